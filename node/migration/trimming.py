"""The keys of slots that are no longer ours: gone at once here, told to others bit by bit.

A slot's dict is taken out of the database in one step, and freed later. Replicas and the log must
be told each key, which takes time when there are many, so it is done in portions on the ticks. That
is safe as long as nobody can write to such a slot: before it comes back (`flush`), all is told.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from ..lazyfree import lazy_free_of

if TYPE_CHECKING:
    from ..database import Database
    from ..machine import Machine

_KEYS_PER_TICK: Final = 5000
#: Keys in one command.
_PORTION: Final = 200


class SlotTrimmer:
    """Removes slots from one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Slot -> keys that replicas and the log were not told of yet.
        self._untold: dict[int, list[bytes]] = {}
        #: Slots that were taken out, and of how many of them everything, or no more, is to be told.
        self.started_count = 0
        self.completed_count = 0
        self.cancelled_count = 0
        #: Keys told of since there was nothing to tell.
        self.told_count = 0
        machine.on_tick.append(self._on_tick)

    @property
    def running_count(self) -> int:
        """Of how many slots there are keys still to be told."""
        return len(self._untold)

    @property
    def untold_count(self) -> int:
        """How many keys are still to be told."""
        return sum(map(len, self._untold.values()))

    def drop(self, database: "Database", slots: Iterable[int]) -> int:
        """Remove all keys of these slots; returns how many there were."""
        effects = self._machine.keyspace.effects
        garbage: list[dict[bytes, Any]] = []
        for slot in slots:
            values = database.slots[slot]
            if not values:
                continue
            if effects.wants_events:
                for key in values:
                    effects.record_change(database.index, key, "g", b"")
            self.tell(slot, values)
            garbage.append(values)
            database.clear_slot(slot)
        if garbage:
            lazy_free_of(self._machine).take_dicts(garbage)
            effects.deliver()
        return sum(map(len, garbage))

    def tell(self, slot: int, keys: Mapping[bytes, object]) -> None:
        """Have replicas and the log forget these keys, whether or not they are in a database."""
        if not keys:
            return
        self.started_count += slot not in self._untold
        if self._machine.keyspace.effects.observed:
            if not self._untold:
                self.told_count = 0
            self._untold.setdefault(slot, []).extend(keys)
        else:
            self.completed_count += slot not in self._untold

    def forget(self) -> None:
        """There is nobody to be told any more: a replica says nothing of its own."""
        self.cancelled_count += len(self._untold)
        self._untold.clear()

    def flush(self, slots: Iterable[int]) -> None:
        """These slots may be written to again: tell everything of them now."""
        if not self._untold:
            return
        for slot in slots:
            keys = self._untold.pop(slot, None)
            if keys:
                self.completed_count += 1
                self._tell(keys)

    def _on_tick(self) -> None:
        budget = _KEYS_PER_TICK
        while self._untold and budget > 0:
            slot, keys = next(iter(self._untold.items()))
            portion = keys[-budget:]
            del keys[-budget:]
            budget -= len(portion)
            self._tell(portion)
            if not keys:
                self.completed_count += 1
                del self._untold[slot]

    def _tell(self, keys: list[bytes]) -> None:
        effects = self._machine.keyspace.effects
        self.told_count += len(keys)
        for start in range(0, len(keys), _PORTION):
            effects.propagate_before(0, (b"UNLINK", *keys[start : start + _PORTION]))
            effects.deliver()
