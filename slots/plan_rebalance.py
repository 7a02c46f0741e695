"""Moves that even out the nodes, by their numbers of slots or by a load measured for each slot.

Owns when a cluster counts as balanced and who gives what to whom. By number it does what
`redis-cli --cluster rebalance` does. By load (keys, memory, operations: any number that is not
negative) it moves as few slots as it can, heaviest first.

Rules: weights are relative and 1 by default; a node of weight 0 is emptied. A node without slots
takes part only with `use_empty_primaries`. If no node is further than `threshold_percent` from what
it should have, nothing is moved; a threshold of 0 lets no difference pass.
"""

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define, field, frozen

from .arithmetic import single
from .plan_moves import Move, PlanError, Primary, by_node_id, pick_slots
from .slotset import SlotSet

DEFAULT_THRESHOLD_PERCENT: Final = 2.0


@frozen
class Transfer:
    """So many slots from one node to another."""

    source_id: str
    target_id: str
    slot_count: int


@frozen
class RebalancePlan:
    """What to move; no moves mean that the cluster is balanced well enough."""

    #: What each node that takes part has too much of (or, negative, too little), before the moves.
    excess: Mapping[str, float]
    transfers: tuple[Transfer, ...] = ()
    moves: tuple[Move, ...] = ()


@define
class _Account:
    """A node while slots are shared out."""

    node_id: str
    slots: SlotSet
    balance: int


def plan_rebalance(
    primaries: Sequence[Primary],
    *,
    weights: Mapping[str, float] | None = None,
    threshold_percent: float = DEFAULT_THRESHOLD_PERCENT,
    use_empty_primaries: bool = False,
) -> RebalancePlan:
    """Even out the numbers of slots."""
    weight_of = _weights_of_involved(primaries, weights or {}, use_empty_primaries)
    involved = [primary for primary in primaries if primary.node_id in weight_of]
    slot_count = sum(len(primary.slots) for primary in involved)
    total_weight = 0.0
    for weight in weight_of.values():
        total_weight = single(total_weight + single(weight))
    slots_per_weight = single(slot_count / total_weight)
    accounts = []
    is_needed = False
    for primary in involved:
        expected = int(single(slots_per_weight * single(weight_of[primary.node_id])))
        own_count = len(primary.slots)
        accounts.append(_Account(primary.node_id, primary.slots, own_count - expected))
        if own_count:
            difference_percent = abs(100 - 100.0 * expected / own_count)
            is_needed |= difference_percent > threshold_percent
        else:
            is_needed |= expected > 1
    excess = {account.node_id: float(account.balance) for account in accounts}
    if not is_needed:
        return RebalancePlan(excess)
    _cancel_rounding(accounts)
    transfers, moves = _settle(sorted(accounts, key=lambda account: account.balance))
    return RebalancePlan(excess, tuple(transfers), tuple(moves))


def _weights_of_involved(
    primaries: Sequence[Primary], weights: Mapping[str, float], use_empty_primaries: bool
) -> dict[str, float]:
    """The weights of the nodes that take part, in their order."""
    known = by_node_id(primaries)
    for node_id, weight in weights.items():
        if node_id not in known:
            raise PlanError(f"no such master node: {node_id}")
        if weight < 0:
            raise PlanError(f"the weight of {node_id} is negative")
    found = {
        primary.node_id: weights.get(primary.node_id, 1.0)
        for primary in primaries
        if primary.slots or use_empty_primaries
    }
    if not any(found.values()):
        raise PlanError("no node with a weight takes part")
    return found


def _cancel_rounding(accounts: Sequence[_Account]) -> None:
    """Make the balances add up to 0: shares were rounded down, so there are slots left over."""
    surplus = sum(account.balance for account in accounts)
    takers = [account for account in accounts if account.balance <= 0] or accounts
    while surplus > 0:
        for account in takers:
            if surplus > 0:
                account.balance -= 1
                surplus -= 1


def _settle(ordered: Sequence[_Account]) -> tuple[list[Transfer], list[Move]]:
    """Let the node that has most too much give to the one that has most too little, and so on."""
    transfers: list[Transfer] = []
    moves: list[Move] = []
    low, high = 0, len(ordered) - 1
    while low < high:
        target, source = ordered[low], ordered[high]
        count = min(-target.balance, source.balance)
        if count > 0:
            picked = pick_slots([Primary(source.node_id, source.slots)], count)
            source.slots -= SlotSet.of(slot for slot, _ in picked)
            transfers.append(Transfer(source.node_id, target.node_id, count))
            moves += [Move(slot, source.node_id, target.node_id) for slot, _ in picked]
            target.balance += count
            source.balance -= count
        if target.balance >= 0:
            low += 1
        if source.balance <= 0:
            high -= 1
    return transfers, moves


@define
class _Load:
    """A node while load is shared out."""

    node_id: str
    excess: float
    threshold: float
    #: Load and slot, lightest first; slots without load stay where they are.
    slots: list[tuple[float, int]] = field(factory=list)

    @property
    def is_off(self) -> bool:
        return abs(self.excess) > self.threshold


def plan_rebalance_by_load(
    primaries: Sequence[Primary],
    load_of_slot: Mapping[int, float],
    *,
    weights: Mapping[str, float] | None = None,
    threshold_percent: float = DEFAULT_THRESHOLD_PERCENT,
    use_empty_primaries: bool = False,
) -> RebalancePlan:
    """Even out a load; slots that are not in `load_of_slot` have none."""
    weight_of = _weights_of_involved(primaries, weights or {}, use_empty_primaries)
    if any(load < 0 for load in load_of_slot.values()):
        raise PlanError("a load cannot be negative")
    total_weight = sum(weight_of.values())
    nodes = []
    total = 0.0
    for primary in primaries:
        if primary.node_id in weight_of:
            loads = [(load_of_slot.get(slot, 0), slot) for slot in primary.slots]
            node = _Load(primary.node_id, 0, 0, sorted(pair for pair in loads if pair[0] > 0))
            node.excess = sum(load for load, _ in node.slots)
            total += node.excess
            nodes.append(node)
    for node in nodes:
        expected = total * weight_of[node.node_id] / total_weight
        node.excess -= expected
        node.threshold = expected * threshold_percent / 100
    excess = {node.node_id: node.excess for node in nodes}
    moves = _even_out(nodes, {slot: p.node_id for p in primaries for slot in p.slots})
    return RebalancePlan(excess, tuple(_transfers_of(moves)), tuple(moves))


def _even_out(nodes: Sequence[_Load], owner_of: Mapping[int, str]) -> list[Move]:
    """Each move brings the nodes nearer to their shares, so this ends."""
    new_owner: dict[int, str] = {}
    while any(node.is_off for node in nodes):
        source = max(nodes, key=lambda node: node.excess)
        target = min(nodes, key=lambda node: node.excess)
        picked = _maybe_pick(source, target)
        if picked is None:
            break
        load, slot = picked
        source.slots.remove(picked)
        insort(target.slots, picked)
        source.excess -= load
        target.excess += load
        new_owner[slot] = target.node_id
    return [
        Move(slot, owner_of[slot], node_id)
        for slot, node_id in sorted(new_owner.items())
        if owner_of[slot] != node_id
    ]


def _maybe_pick(source: _Load, target: _Load) -> tuple[float, int] | None:
    """The heaviest slot that neither node is too small for, or else one that still helps."""
    room = min(source.excess, -target.excess)
    index = bisect_right(source.slots, room, key=lambda pair: pair[0])
    if index:
        return source.slots[index - 1]
    # Moving this much shrinks the sum of the squared differences, and by a margin that keeps
    # rounding errors from moving a slot back and forth.
    useful_load_max = (source.excess - target.excess) * (1 - 1e-9)
    if source.slots and source.slots[0][0] < useful_load_max:
        return source.slots[0]
    return None


def _transfers_of(moves: Sequence[Move]) -> list[Transfer]:
    counts: dict[tuple[str, str], int] = {}
    for move in moves:
        pair = move.source_id, move.target_id
        counts[pair] = counts.get(pair, 0) + 1
    return [Transfer(source, target, count) for (source, target), count in counts.items()]
