"""Who owns each hash slot, as one node sees it, and which slots are on their way between nodes.

Owns the owner of every slot and the two kinds of marks (migrating to a node, importing from one).
Nodes are named by their ids. Rules: who wins a slot is decided elsewhere (by the brain, whose
changes are noted here; by a planner); marks say nothing about ownership.
"""

from collections.abc import Iterable

from .hashing import SLOT_COUNT
from .slotset import SlotSet, checked_slot


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

    def owners(self) -> set[str]:
        """All nodes that own a slot."""
        return {owner for owner in self._owners if owner is not None}

    def is_open(self, slot: int) -> bool:
        """Whether the slot is on its way, in or out."""
        return slot in self.migrating or slot in self.importing

    def close(self, slot: int) -> None:
        """Drop both marks of a slot."""
        self.migrating.pop(slot, None)
        self.importing.pop(slot, None)
