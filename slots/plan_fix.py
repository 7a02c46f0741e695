"""Repairs of a cluster whose nodes disagree, or that stopped half-way through a move of slots.

Owns the diagnosis of every slot (`Case`) and the repair of it: a list of actions, each a record, to
be carried out in order by somebody who can talk to the nodes.

Rules:
* Only primaries count, and what each says of itself: the slots it owns, its marks, its keys.
* Keys are never dropped: a slot is closed or taken from a node only when its keys are gone or none
  were there. A move that was under way is finished forwards if both ends still know of it.
* One owner by configuration stays the owner. Where several or none claim a slot, the node with the
  most keys gets it; a claim that nobody agreed to needs a new config epoch (`TakeSlot`).
* Primaries that cannot be reached may own what looks unowned and hold keys that look lost, so with
  any of them nothing is repaired unless `with_unreachable_primaries` says so.

The cases of `redis-cli --cluster fix` are all here. Two of them are treated otherwise: with keys on
both ends of an interrupted move redis-cli may turn the move round, and it gives up on a slot whose
mark and keys are left over on a node that is not the owner any more.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum

from attrs import define, field, frozen

from .hashing import SLOT_COUNT
from .slotset import SlotSet
from .table import SlotTable


@frozen
class NodeView:
    """What one node says."""

    node_id: str
    #: The slots that it says are its own.
    slots: SlotSet = field(factory=SlotSet)
    #: Slot and the node that it is on its way to, or comes from.
    migrating: Mapping[int, str] = field(factory=dict)
    importing: Mapping[int, str] = field(factory=dict)
    #: Keys in each slot that has any, whoever owns it.
    key_counts: Mapping[int, int] = field(factory=dict)
    is_replica: bool = False
    is_reachable: bool = True
    #: Who owns what in its eyes; None if it was not asked.
    owners: Mapping[str, SlotSet] | None = None


class Case(Enum):
    """What is wrong with a slot."""

    UNCOVERED_WITHOUT_KEYS = "no node owns the slot and no node has keys in it"
    UNCOVERED_KEYS_ON_ONE = "no node owns the slot, one node has keys in it"
    UNCOVERED_KEYS_ON_SEVERAL = "no node owns the slot, several nodes have keys in it"
    OPEN_BOTH_ENDS = "the slot is migrating on one node and importing on another"
    OPEN_SEVERAL_IMPORTING = "the slot is migrating on one node and importing on several"
    OPEN_ONLY_MIGRATING = "the slot is migrating, but importing nowhere"
    OPEN_ONLY_IMPORTING = "the slot is importing, but its owner is not migrating it"
    OPEN_LEFTOVER = "the slot is still marked on a node that neither gives nor takes it"
    SEVERAL_OWNERS = "more than one node says that it owns the slot"
    STRAY_KEYS = "nodes that do not own the slot have keys in it"


@frozen
class TakeSlot:
    """On the node: DELSLOTS, ADDSLOTS, SETSLOT STABLE and BUMPEPOCH in one transaction."""

    node_id: str
    slot: int
    reason: str


@frozen
class TellOwner:
    """On the node: SETSLOT NODE `owner_id`; before it DELSLOTS if it claims the slot itself."""

    node_id: str
    slot: int
    owner_id: str
    drops_claim: bool
    reason: str


@frozen
class OpenForLeaving:
    """On the node: SETSLOT IMPORTING `owner_id`, so that MIGRATE of its keys is served there."""

    node_id: str
    slot: int
    owner_id: str
    reason: str


@frozen
class MoveKeys:
    """Move the slot's keys, and nothing else, from one node to the owner."""

    source_id: str
    target_id: str
    slot: int
    key_count: int
    reason: str


@frozen
class FinishMove:
    """Move the slot as a reshard does: marks on both ends, keys, then SETSLOT NODE everywhere."""

    source_id: str
    target_id: str
    slot: int
    reason: str


@frozen
class CloseSlot:
    """On the node: SETSLOT STABLE."""

    node_id: str
    slot: int
    reason: str


Action = TakeSlot | TellOwner | OpenForLeaving | MoveKeys | FinishMove | CloseSlot


@frozen
class SlotRepair:
    """One slot: what is wrong, and the actions in their order."""

    slot: int
    case: Case
    owner_id: str
    actions: tuple[Action, ...]


class Refusal(Enum):
    """Why nothing is repaired."""

    UNREACHABLE_PRIMARIES = "masters cannot be reached, and their slots and keys would be lost"
    NO_PRIMARY = "there is no master that can be reached"


@frozen
class FixPlan:
    """All repairs: open slots, then uncovered ones, then those with several owners."""

    repairs: tuple[SlotRepair, ...] = ()
    refusal: Refusal | None = None

    def actions(self) -> list[Action]:
        """All actions in their order."""
        return [action for repair in self.repairs for action in repair.actions]


def disagreements(views: Iterable[NodeView]) -> dict[str, SlotSet]:
    """For each node the slots that it gives to another owner than these owners do themselves."""
    views = [view for view in views if view.is_reachable]
    table = SlotTable()
    for view in views:
        if not view.is_replica:
            table.assign_all(view.slots, view.node_id)
    truth = {owner: table.slots_of(owner) for owner in table.owners()}
    found = {}
    for view in views:
        if view.owners is not None:
            wrong = SlotSet()
            for owner in truth.keys() | view.owners.keys():
                wrong |= truth.get(owner, SlotSet()) ^ view.owners.get(owner, SlotSet())
            if wrong:
                found[view.node_id] = wrong
    return found


def plan_fix(
    views: Sequence[NodeView],
    *,
    with_unreachable_primaries: bool = False,
    search_several_owners: bool = True,
) -> FixPlan:
    """Find what is wrong and how to repair it; a healthy cluster needs nothing."""
    everyone = [view for view in views if not view.is_replica]
    primaries = [view for view in everyone if view.is_reachable]
    if not primaries:
        return FixPlan(refusal=Refusal.NO_PRIMARY)
    diagnosis = _Diagnosis.of(primaries, search_several_owners)
    if not diagnosis.all_slots():
        return FixPlan()
    if len(primaries) < len(everyone) and not with_unreachable_primaries:
        return FixPlan(refusal=Refusal.UNREACHABLE_PRIMARIES)
    slot_counts = {view.node_id: len(view.slots) for view in primaries}
    repairs = []
    for slot in diagnosis.open_slots:
        repairs.append(_Slot.of(slot, primaries).repair_open())
    for slot in diagnosis.uncovered:
        repair = _Slot.of(slot, primaries).repair_uncovered(slot_counts)
        slot_counts[repair.owner_id] += 1
        repairs.append(repair)
    for slot in diagnosis.disputed:
        repairs.append(_Slot.of(slot, primaries).repair_disputed())
    return FixPlan(tuple(repairs))


@frozen
class _Diagnosis:
    """The slots that need a repair, by the kind of it."""

    open_slots: SlotSet
    uncovered: SlotSet
    disputed: SlotSet

    @classmethod
    def of(cls, primaries: Sequence[NodeView], search_several_owners: bool) -> "_Diagnosis":
        covered, claimed_twice, stray = SlotSet(), SlotSet(), SlotSet()
        marks: set[int] = set()
        for view in primaries:
            claimed_twice |= covered & view.slots
            covered |= view.slots
            marks |= view.migrating.keys() | view.importing.keys()
            held = SlotSet.of(slot for slot, count in view.key_counts.items() if count)
            stray |= held - view.slots
        open_slots = SlotSet.of(marks)
        disputed = (claimed_twice | stray) & covered - open_slots
        return cls(
            open_slots,
            covered.complement() - open_slots,
            disputed if search_several_owners else SlotSet(),
        )

    def all_slots(self) -> SlotSet:
        """Every slot that needs a repair."""
        return self.open_slots | self.uncovered | self.disputed


@define
class _Slot:
    """One slot as all reachable primaries see it, and the actions found so far."""

    slot: int
    nodes: Sequence[NodeView]
    actions: list[Action] = field(factory=list)

    @classmethod
    def of(cls, slot: int, primaries: Sequence[NodeView]) -> "_Slot":
        assert 0 <= slot < SLOT_COUNT
        return cls(slot, primaries)

    def _keys(self, node: NodeView) -> int:
        return node.key_counts.get(self.slot, 0)

    def _claimants(self) -> list[NodeView]:
        return [node for node in self.nodes if self.slot in node.slots]

    def _richest(self, nodes: Sequence[NodeView]) -> NodeView:
        """The node with the most keys; the first of them, to give the same plan every time."""
        return max(nodes, key=self._keys)

    def _done(self, case: Case, owner: NodeView) -> SlotRepair:
        return SlotRepair(self.slot, case, owner.node_id, tuple(self.actions))

    def _bring_home(
        self, node: NodeView, owner: NodeView, reason: str, *, is_new_owner: bool = False
    ) -> None:
        """Make a node know the owner, hand it its keys and forget about the slot."""
        slot, key_count = self.slot, self._keys(node)
        is_marked = slot in node.importing or slot in node.migrating
        if is_new_owner or slot in node.slots:
            self._tell(node, owner, reason)
        if key_count:
            if slot not in node.importing:
                self.actions.append(OpenForLeaving(node.node_id, slot, owner.node_id, reason))
            self.actions.append(
                MoveKeys(node.node_id, owner.node_id, slot, key_count, reason),
            )
        if key_count or is_marked:
            self.actions.append(CloseSlot(node.node_id, slot, reason))

    def _tell(self, node: NodeView, owner: NodeView, reason: str) -> None:
        # SETSLOT NODE is refused to an owner with keys, so its claim must go before.
        claims = self.slot in node.slots
        self.actions.append(TellOwner(node.node_id, self.slot, owner.node_id, claims, reason))

    def _tell_others(self, owner: NodeView, told: Iterable[NodeView], reason: str) -> None:
        """Spread the owner without waiting for gossip, where it is not known for certain."""
        known = {node.node_id for node in told}
        for node in self.nodes:
            if node is not owner and node.node_id not in known:
                self._tell(node, owner, reason)

    def repair_uncovered(self, slot_counts: Mapping[str, int]) -> SlotRepair:
        """Give the slot to whoever has its keys, or to the node with the fewest slots."""
        holders = [node for node in self.nodes if self._keys(node)]
        if not holders:
            case = Case.UNCOVERED_WITHOUT_KEYS
            owner = min(self.nodes, key=lambda node: slot_counts[node.node_id])
        else:
            several = len(holders) > 1
            case = Case.UNCOVERED_KEYS_ON_SEVERAL if several else Case.UNCOVERED_KEYS_ON_ONE
            owner = self._richest(holders)
        self.actions.append(TakeSlot(owner.node_id, self.slot, case.value))
        for node in holders:
            if node is not owner:
                self._bring_home(node, owner, case.value, is_new_owner=True)
        return self._done(case, owner)

    def repair_disputed(self) -> SlotRepair:
        """Leave one owner, and all keys with it."""
        claimants = self._claimants()
        owner = self._richest(claimants)
        if len(claimants) > 1:
            case = Case.SEVERAL_OWNERS
            self.actions.append(TakeSlot(owner.node_id, self.slot, case.value))
        else:
            case = Case.STRAY_KEYS
        involved = [node for node in claimants if node is not owner]
        involved += [node for node in self.nodes if self._keys(node) and node not in claimants]
        for node in involved:
            self._bring_home(node, owner, case.value, is_new_owner=len(claimants) > 1)
        if len(claimants) > 1:
            self._tell_others(owner, involved, case.value)
        return self._done(case, owner)

    def repair_open(self) -> SlotRepair:
        """Finish the move if it can be finished, or else undo it."""
        slot = self.slot
        claimants = self._claimants()
        marked = [node for node in self.nodes if slot in node.migrating or slot in node.importing]
        if len(claimants) == 1:
            owner = claimants[0]
        else:
            holders = [node for node in self.nodes if self._keys(node)]
            owner = self._richest(claimants or holders or marked)
            return self._repair_open_without_owner(owner, claimants)
        importing = [node for node in marked if node is not owner and slot in node.importing]
        if slot in owner.migrating:
            return self._repair_half_moved(owner, importing)
        case = Case.OPEN_ONLY_IMPORTING if importing else Case.OPEN_LEFTOVER
        involved = self._involved(owner, marked)
        for node in involved:
            self._bring_home(node, owner, case.value)
        if owner in marked:
            self.actions.append(CloseSlot(owner.node_id, slot, case.value))
        self._tell_others(owner, (), case.value)
        return self._done(case, owner)

    def _involved(self, owner: NodeView, marked: Sequence[NodeView]) -> list[NodeView]:
        """All nodes but the owner that have a mark, a claim or keys."""
        return [
            node
            for node in self.nodes
            if node is not owner and (node in marked or self._keys(node) or self.slot in node.slots)
        ]

    def _repair_open_without_owner(
        self, owner: NodeView, claimants: Sequence[NodeView]
    ) -> SlotRepair:
        case = Case.SEVERAL_OWNERS if claimants else self._uncovered_case()
        self.actions.append(TakeSlot(owner.node_id, self.slot, case.value))
        marked = [
            node
            for node in self.nodes
            if self.slot in node.migrating or self.slot in node.importing
        ]
        involved = self._involved(owner, marked)
        for node in involved:
            self._bring_home(node, owner, case.value, is_new_owner=True)
        self._tell_others(owner, involved, case.value)
        return self._done(case, owner)

    def _uncovered_case(self) -> Case:
        holder_count = sum(bool(self._keys(node)) for node in self.nodes)
        if not holder_count:
            return Case.UNCOVERED_WITHOUT_KEYS
        return Case.UNCOVERED_KEYS_ON_ONE if holder_count == 1 else Case.UNCOVERED_KEYS_ON_SEVERAL

    def _repair_half_moved(self, owner: NodeView, importing: Sequence[NodeView]) -> SlotRepair:
        slot = self.slot
        wanted = owner.migrating[slot]
        target = next((node for node in importing if node.node_id == wanted), None)
        if target is None and len(importing) == 1:
            target = importing[0]
        several = len(importing) > 1
        case = Case.OPEN_SEVERAL_IMPORTING if several else Case.OPEN_BOTH_ENDS
        if target is None and not several:
            case = Case.OPEN_ONLY_MIGRATING
        home = target or owner
        if target is not None:
            self.actions.append(FinishMove(owner.node_id, target.node_id, slot, case.value))
        for node in self.nodes:
            is_end = node is owner or node is target
            if not is_end and (node in importing or slot in node.migrating or self._keys(node)):
                self._bring_home(node, home, case.value)
        if target is None:
            self.actions.append(CloseSlot(owner.node_id, slot, case.value))
        return self._done(case, home)
