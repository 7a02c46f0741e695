"""The source's end of an atomic slot migration: which keys the target still has to be told.

What travels is state, never commands. The slots are read one after the other while clients go on
writing; whatever changes in a slot that was read already is noted, and told again in its present
state, round after round, until little is left. So no write, however fast they come, has to be kept
for later, and the order in which things happened does not matter.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ...slots.hashing import key_slot
from ..effects import EffectBatch
from ..persistence.rdb import encode_value
from .jobs import mask_of

if TYPE_CHECKING:
    from ..database import Database
    from ..machine import Machine

#: As much goes into one message, about.
PIECE_BYTES: Final = 16 * 1024
#: A message takes no longer to make than that, unless a single value does. PERFORMANCE: clients
#: wait for a message, here and at the target, so that their p99 is about this; pieces three times
#: as big made the migration no faster, but their p99 several times as long.
_PIECE_NS: Final = 150_000
#: Nor does it tell of more keys. PERFORMANCE: like this the target's clients wait for a tenth of a
#: millisecond, not for a half.
_PIECE_KEYS: Final = 32
#: What the words of one key cost beside key and payload.
_OVERHEAD_BYTES: Final = 40
#: Stands for the value of a key that is gone.
GONE: Final = b""


class Export:
    """Reads the slots of one job. Consumes effects from its making until `close`."""

    wants_events: Final = True

    def __init__(self, machine: "Machine", slots: list[int], on_flush: Callable[[], None]) -> None:
        self._machine = machine
        self._database: Database = machine.keyspace.database(0)
        self._on_flush = on_flush
        self._slots_left = slots[::-1]
        #: One byte for each slot: whether reading it has begun.
        self._is_begun = mask_of(())
        self._keys: list[bytes] = []
        #: Keys to be told again, in the order of their first change.
        self._dirty: dict[bytes, None] = {}
        #: How many keys were told, some of them several times.
        self.key_count = 0
        machine.add_consumer(self)

    def close(self) -> None:
        """Nobody wants to know any more."""
        if self in self._machine.keyspace.effects.consumers:
            self._machine.remove_consumer(self)

    def on_effects(self, batch: EffectBatch) -> None:
        """Note what changed behind the reader's back."""
        if batch.flushed:
            self._on_flush()
            return
        is_begun = self._is_begun
        for index, key in batch.touched:
            if index == 0 and is_begun[key_slot(key)]:
                self._dirty[key] = None

    @property
    def dirty_count(self) -> int:
        """How many keys must be told again."""
        return len(self._dirty)

    @property
    def is_read(self) -> bool:
        """Whether every slot was read once."""
        return not self._slots_left and not self._keys

    def next_piece(self) -> list[bytes]:
        """Key, time of death (or 0) and payload (or GONE) of some keys; empty: all is told.

        Keys that changed come last: what changes often is told less often so. However late it is,
        there is one key in it at least, for nothing would mean that nothing is left.
        """
        timer = self._machine.timer
        ends_ns = timer() + _PIECE_NS
        words: list[bytes] = []
        size = 0
        ends_at_key = self.key_count + _PIECE_KEYS
        while (key := self._maybe_next_key()) is not None:
            size += self._add(words, key)
            if size >= PIECE_BYTES or self.key_count >= ends_at_key or timer() >= ends_ns:
                break
        return words

    def _maybe_next_key(self) -> bytes | None:
        while not self._keys:
            if not self._slots_left:
                break
            slot = self._slots_left.pop()
            self._is_begun[slot] = 1
            self._keys = list(self._database.slots[slot])
        if self._keys:
            return self._keys.pop()
        if self._dirty:
            key = next(iter(self._dirty))
            del self._dirty[key]
            return key
        return None

    def _add(self, words: list[bytes], key: bytes) -> int:
        database = self._database
        slot = key_slot(key)
        # Not `peek`: a key whose time is up is told as it is, and dies over there.
        value = database.slots[slot].get(key)
        self.key_count += 1
        if value is None:
            words += (key, b"0", GONE)
            return len(key) + _OVERHEAD_BYTES
        payload = encode_value(value, compress=False)
        words += (key, b"%d" % database.volatile[slot].get(key, 0), payload)
        return len(key) + len(payload) + _OVERHEAD_BYTES
