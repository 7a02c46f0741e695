"""What the plans that move slots have in common: the nodes they look at and the moves they give.

Owns the choice of slots by number. A plan is data: nothing is moved here, and a plan that was made
is at the same time the simulation of it.
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor

from attrs import frozen

from .arithmetic import single
from .hashing import SLOT_COUNT
from .slotset import SlotSet


class PlanError(Exception):
    """The wish cannot be planned; the text says why."""


@frozen
class Primary:
    """A primary and its slots."""

    node_id: str
    slots: SlotSet


@frozen
class Move:
    """One slot, with all its keys, from one node to another."""

    slot: int
    source_id: str
    target_id: str


def by_node_id(primaries: Sequence[Primary]) -> dict[str, Primary]:
    """The primaries by id; PlanError if an id or a slot occurs twice."""
    found: dict[str, Primary] = {}
    seen = SlotSet()
    for primary in primaries:
        if primary.node_id in found:
            raise PlanError(f"node {primary.node_id} is given twice")
        if not seen.is_disjoint(primary.slots):
            shared = (seen & primary.slots).text()
            raise PlanError(f"more than one node owns the slots {shared}: repair that first")
        found[primary.node_id] = primary
        seen |= primary.slots
    return found


def pick_slots(sources: Sequence[Primary], count: int) -> list[tuple[int, str]]:
    """`count` slots of the sources with their owners, in proportion to what each source has.

    The source with the most slots gives its share rounded up, the others rounded down, each its
    lowest slots: this is redis-cli's way. Where rounding leaves redis-cli with fewer slots than
    were asked for, those give one more that rounding spared most.
    """
    total = sum(len(source.slots) for source in sources)
    if not 0 < count <= SLOT_COUNT:
        raise PlanError(f"1 to {SLOT_COUNT} slots can be moved, not {count}")
    if count > total:
        raise PlanError(f"the sources have only {total} slots, {count} are wanted")
    ordered = sorted(sources, key=lambda source: -len(source.slots))
    shares = [single(single(single(count) / total) * len(source.slots)) for source in ordered]
    given: list[int] = []
    for share, source in zip(shares, ordered, strict=True):
        wanted = floor(share) if given else ceil(share)
        given.append(min(wanted, count - sum(given), len(source.slots)))
    while sum(given) < count:
        able = [index for index, source in enumerate(ordered) if given[index] < len(source.slots)]
        given[max(able, key=lambda index: shares[index] - given[index])] += 1
    return [
        (slot, source.node_id)
        for source, amount in zip(ordered, given, strict=True)
        for slot, _ in zip(source.slots, range(amount), strict=False)
    ]


def after_moves(primaries: Sequence[Primary], moves: Sequence[Move]) -> Mapping[str, SlotSet]:
    """Who owns what once all moves are carried out."""
    slots = {primary.node_id: set(primary.slots) for primary in primaries}
    for move in moves:
        slots[move.source_id].remove(move.slot)
        slots[move.target_id].add(move.slot)
    return {node_id: SlotSet.of(owned) for node_id, owned in slots.items()}
