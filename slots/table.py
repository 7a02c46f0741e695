"""Who owns each hash slot, as one node sees it, and which slots are on their way between nodes.

Owns the owner of every slot and the two kinds of marks (migrating to a node, importing from one).
Nodes are named by their ids; the config epochs belong to the nodes, so the epochs are handed in
when two claims have to be compared.

Rules:
* A claim wins an unowned slot, and an owned one only with a greater config epoch than its owner's.
* "A slot in importing state is not touched by claims": only SETSLOT, that is an operator, ends an
  import, or the target would give up a slot because of a message that was under way.
* Marks say nothing about ownership here; `invariants()` says which of them make no sense.
"""

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from .hashing import SLOT_COUNT
from .slotset import SlotSet, checked_slot


@frozen
class ClaimOutcome:
    """What a claim did to the table."""

    #: Slots that changed hands, by the node that owned them before (None: nobody).
    taken: Mapping[str | None, SlotSet] = field(factory=dict)
    #: Slots that were refused because the owner's epoch is greater: the claimer must be told.
    stale: Mapping[str, SlotSet] = field(factory=dict)

    @property
    def taken_slots(self) -> SlotSet:
        """All slots that changed hands."""
        return _united(self.taken.values())


class SlotTable:
    """Owners and marks of all slots. `owner(slot)` is the quick question of the data path."""

    __slots__ = ("_owned", "_owners", "importing", "migrating", "owner")

    def __init__(self) -> None:
        self._owners: list[str | None] = [None] * SLOT_COUNT
        #: Sets already computed; a change drops those of the nodes concerned.
        self._owned: dict[str | None, SlotSet] = {}
        #: Slots that leave, each with the node it goes to.
        self.migrating: dict[int, str] = {}
        #: Slots that arrive, each with the node it comes from.
        self.importing: dict[int, str] = {}
        #: The owner of a slot or None. Bound to the list: a method around it would double the cost.
        self.owner = self._owners.__getitem__

    def assign(self, slot: int, node_id: str) -> None:
        """Make a node the owner, whoever owned the slot before."""
        self._change(checked_slot(slot), node_id)

    def assign_all(self, slots: Iterable[int], node_id: str) -> None:
        """Make a node the owner of many slots."""
        for slot in slots:
            self.assign(slot, node_id)

    def unassign(self, slot: int) -> None:
        """Leave a slot without an owner."""
        self._change(checked_slot(slot), None)

    def unassign_all_of(self, node_id: str) -> SlotSet:
        """Take all its slots from a node; returns what it had."""
        slots = self.slots_of(node_id)
        for slot in slots:
            self._change(slot, None)
        return slots

    def _change(self, slot: int, node_id: str | None) -> None:
        self._owned.pop(self._owners[slot], None)
        self._owned.pop(node_id, None)
        self._owners[slot] = node_id

    def slots_of(self, node_id: str) -> SlotSet:
        """All slots of a node."""
        return self._slots_owned_by(node_id)

    def unassigned_slots(self) -> SlotSet:
        """All slots without an owner."""
        return self._slots_owned_by(None)

    def _slots_owned_by(self, node_id: str | None) -> SlotSet:
        found = self._owned.get(node_id)
        if found is None:
            found = SlotSet.of(slot for slot, owner in enumerate(self._owners) if owner == node_id)
            self._owned[node_id] = found
        return found

    def count_of(self, node_id: str) -> int:
        """How many slots a node owns."""
        return len(self.slots_of(node_id))

    def assigned_count(self) -> int:
        """How many slots have an owner."""
        return SLOT_COUNT - len(self.unassigned_slots())

    def is_fully_covered(self) -> bool:
        """Whether every slot has an owner."""
        return not self.unassigned_slots()

    def owners(self) -> set[str]:
        """All nodes that own a slot."""
        return {owner for owner in self._owners if owner is not None}

    def ranges(self) -> list[tuple[int, int, str]]:
        """Runs of slots with the same owner, lowest first; slots without one are left out."""
        found: list[tuple[int, int, str]] = []
        for slot, owner in enumerate(self._owners):
            if owner is None:
                continue
            if found and found[-1][1] == slot - 1 and found[-1][2] == owner:
                found[-1] = (found[-1][0], slot, owner)
            else:
                found.append((slot, slot, owner))
        return found

    def claim(
        self,
        node_id: str,
        slots: SlotSet,
        config_epoch: int,
        epochs: Mapping[str, int],
    ) -> ClaimOutcome:
        """Weigh a node's claim to `slots`, of its `config_epoch`, against the owners' epochs."""
        taken: dict[str | None, list[int]] = {}
        stale: dict[str, list[int]] = {}
        for slot in slots - self.slots_of(node_id):
            if slot in self.importing:
                continue
            owner = self._owners[slot]
            if owner is None or epochs[owner] < config_epoch:
                taken.setdefault(owner, []).append(slot)
            elif epochs[owner] > config_epoch:
                stale.setdefault(owner, []).append(slot)
        for changed in taken.values():
            self.assign_all(changed, node_id)
        return ClaimOutcome(
            {owner: SlotSet.of(found) for owner, found in taken.items()},
            {owner: SlotSet.of(found) for owner, found in stale.items()},
        )

    def is_open(self, slot: int) -> bool:
        """Whether the slot is on its way, in or out."""
        return slot in self.migrating or slot in self.importing

    def close(self, slot: int) -> None:
        """Drop both marks of a slot."""
        self.migrating.pop(slot, None)
        self.importing.pop(slot, None)

    def close_all(self) -> None:
        """Drop all marks."""
        self.migrating.clear()
        self.importing.clear()

    def close_all_with(self, node_id: str) -> None:
        """Drop the marks that name a node, because it was forgotten."""
        for marks in (self.migrating, self.importing):
            for slot in [slot for slot, other in marks.items() if other == node_id]:
                del marks[slot]

    def repoint_marks(self, old_id: str, new_id: str) -> None:
        """Let the marks follow a failover: `new_id` took the place of `old_id`."""
        for marks in (self.migrating, self.importing):
            for slot, other in marks.items():
                if other == old_id:
                    marks[slot] = new_id

    def invariants(self, shard_primary_id: str) -> list[str]:
        """What is wrong with the marks, seen from the shard of this primary."""
        broken = [
            f"slot {slot} is migrating to {target} but belongs to {self._owners[slot]}"
            for slot, target in self.migrating.items()
            if self._owners[slot] != shard_primary_id
        ]
        broken += [
            f"slot {slot} is importing from {source} but is ours already"
            for slot, source in self.importing.items()
            if self._owners[slot] == shard_primary_id
        ]
        return broken


def _united(sets: Iterable[SlotSet]) -> SlotSet:
    total = SlotSet()
    for slots in sets:
        total |= slots
    return total
