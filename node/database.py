"""The data set: databases of keys, each split into 16384 slots.

A database is a list of plain dicts, one a slot, so that counting, listing, scanning, migrating and
flushing a slot touch nothing else, and no dict ever grows so large that resizing it stalls the
clients. The slot is the cluster's hash slot, outside a cluster too: one way for both, and CRC16 in
C costs no more than Python's own hash (whose number is too long to be masked quickly).

Values are stored bare: `bytes` (or `bytearray` once a command edited it in place) for strings, and
the classes of `values/` for the collections. Lifetimes stand in dicts of their own, so that keys
without one pay nothing.

Only commands and the expiry and eviction cycles change a database, always through these methods.
"""

from binascii import crc_hqx
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..slots.hashing import SLOT_COUNT, key_slot, slots_of
from ..slots.randomness import Generator
from .batches import look_up
from .compaction import Compaction
from .effects import Effects
from .errors import WRONG_TYPE
from .memory import Meter
from .sampling import fair_slot, key_at
from .values.packed import PACKABLE_KINDS, PACKED_KINDS

if TYPE_CHECKING:
    from .eviction import AccessLog

#: A stored value: bytes, bytearray or one of the collection classes. They share no base class on
#: purpose (strings must stay bare), and commands narrow them by exact type.
Value = Any

T = TypeVar("T")

_MASK: Final = SLOT_COUNT - 1
_BRACE: Final = ord("{")


def _nothing() -> None:
    """Stand-in for a counter that nobody asked for."""


class Clock:
    """The time as the node sees it: set before each pass, constant in it."""

    __slots__ = ("is_replaying", "monotonic_ms", "now_ms")

    def __init__(self, now_ms: int = 0, monotonic_ms: int = 0) -> None:
        #: Unix time in milliseconds: lifetimes are wall-clock times.
        self.now_ms = now_ms
        #: Milliseconds of a clock that nobody sets: the cluster brain lives by it.
        self.monotonic_ms = monotonic_ms
        #: A command runs that was decided elsewhere: whoever sent it knows which keys are dead.
        self.is_replaying = False


class Database:
    """One numbered database; a cluster node has only number 0.

    The slot of a key is computed in place where it is hot: a method call would cost as much again.
    """

    __slots__ = (
        "access",
        "clock",
        "compaction",
        "effects",
        "hits",
        "index",
        "is_replica",
        "meter",
        "misses",
        "on_expired",
        "slots",
        "volatile",
        "volatile_count",
    )

    def __init__(self, index: int, clock: Clock, effects: Effects) -> None:
        self.index = index
        self.clock = clock
        self.effects = effects
        #: Knows the collections in use, which are not packed.
        self.compaction = Compaction()
        self.slots: list[dict[bytes, Value]] = [{} for _ in range(SLOT_COUNT)]
        #: Per slot: key -> Unix time in milliseconds at which it dies.
        self.volatile: list[dict[bytes, int]] = [{} for _ in range(SLOT_COUNT)]
        self.volatile_count = 0
        self.hits = 0
        self.misses = 0
        #: A replica never deletes an expired key by itself: its primary will tell it to.
        self.is_replica = False
        #: When keys were last used; kept only while an LRU or LFU policy needs it.
        self.access: AccessLog | None = None
        #: How much memory the keys take; kept only while `maxmemory` is set.
        self.meter: Meter | None = None
        #: Counts keys that died of old age.
        self.on_expired: Callable[[], None] = _nothing

    # --- where a key lives -----------------------------------------------------------------

    #: The slot of a key.
    slot_of = staticmethod(key_slot)

    # --- reading ---------------------------------------------------------------------------

    def get(self, key: bytes) -> Value | None:
        """The living value of `key`, or None. Counts as a use, and as a hit or a miss."""
        slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
        value = self.slots[slot].get(key)
        if value is None or (self.volatile_count and self._is_dead(slot, key)):
            self.misses += 1
            self.effects.record_event(self.index, key, "m", b"keymiss")
            return None
        self.hits += 1
        if self.access is not None:
            self.access.touch(slot, key)
        return self._open(slot, key, value) if type(value) in PACKED_KINDS else value

    def _open(self, slot: int, key: bytes, packed: Value) -> Value:
        """Unpack a small collection that is about to be used."""
        value = self.slots[slot][key] = packed.unpacked(self.compaction.limits)
        self.compaction.note(self, key)
        if self.meter is not None:
            self.meter.remeasure(key, value)
        return value

    def get_many(self, keys: Sequence[bytes]) -> list[Value | None]:
        """`get` for a whole pipeline."""
        if self.volatile_count or self.access is not None or self.effects.wants_misses:
            return [self.get(key) for key in keys]
        values = look_up(self.homes(keys), keys)
        missed = values.count(None)
        self.misses += missed
        self.hits += len(values) - missed
        return values

    def peek(self, key: bytes) -> Value | None:
        """The living value of `key`, or None, unseen by statistics and access times."""
        value = self.look(key)
        return self._open(key_slot(key), key, value) if type(value) in PACKED_KINDS else value

    def look(self, key: bytes) -> Value | None:
        """`peek`, for who does not look into the value: it may be `Packed`."""
        slot = self.slot_of(key)
        value = self.slots[slot].get(key)
        if value is None or (self.volatile_count and self._is_dead(slot, key)):
            return None
        return value

    def for_write(self, key: bytes) -> Value | None:
        """The living value of `key` for a command that will change it: no hit, no miss."""
        slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
        value = self.slots[slot].get(key)
        if value is None or (self.volatile_count and self._is_dead(slot, key)):
            return None
        if self.access is not None:
            self.access.touch(slot, key)
        return self._open(slot, key, value) if type(value) in PACKED_KINDS else value

    def string(self, key: bytes) -> bytes | bytearray | None:
        """`get`, for commands that read strings."""
        if not self.volatile_count and self.access is None:
            # The common case, without a further call: GET lives here.
            slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
            value = self.slots[slot].get(key)
            if type(value) is bytes:
                self.hits += 1
                return value
        value = self.get(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise WRONG_TYPE

    def string_for_write(self, key: bytes) -> bytes | bytearray | None:
        """`for_write`, for commands that edit strings."""
        if not self.volatile_count and self.access is None:
            slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
            value = self.slots[slot].get(key)
            if value is None or type(value) is bytes:
                return value
        value = self.for_write(key)
        if value is None or type(value) is bytes or type(value) is bytearray:
            return value
        raise WRONG_TYPE

    def typed(self, key: bytes, kind: type[T]) -> T | None:
        """`get`, for commands that read a collection of one class."""
        value = self.get(key)
        if value is None or type(value) is kind:
            return value
        raise WRONG_TYPE

    def typed_for_write(self, key: bytes, kind: type[T]) -> T | None:
        """`for_write`, for commands that change a collection of one class."""
        value = self.for_write(key)
        if value is None or type(value) is kind:
            return value
        raise WRONG_TYPE

    def exists(self, key: bytes) -> bool:
        """Whether `key` lives."""
        return self.look(key) is not None

    # --- writing ---------------------------------------------------------------------------

    def set(self, key: bytes, value: Value) -> None:
        """Store a value; an old one goes, and so does its lifetime."""
        slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
        if self.meter is not None:
            self.meter.replace(key, self.slots[slot].get(key), value)
        if self.effects.wants_misses and key not in self.slots[slot]:
            self.effects.record_event(self.index, key, "n", b"new")
        self.slots[slot][key] = value
        if type(value) in PACKABLE_KINDS:
            self.compaction.note(self, key)
        if self.volatile_count and self.volatile[slot].pop(key, None) is not None:
            self.volatile_count -= 1
        if self.access is not None:
            self.access.start(slot, key)

    def set_many(self, keys: Sequence[bytes], values: Sequence[bytes]) -> None:
        """`set` and `changed` for as many strings as there are."""
        homes = self.maybe_homes(keys)
        if homes is None:
            for key, value in zip(keys, values, strict=True):
                self.set(key, value)
                self.changed(key, "$", b"set")
            return
        look_up(homes, keys)
        for home, key, value in zip(homes, keys, values, strict=True):
            home[key] = value
        self.effects.dirty += len(keys)

    def put(self, key: bytes, value: Value) -> None:
        """Store a value under a key that keeps its lifetime, if it has one and lives."""
        slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
        if self.volatile_count and key in self.slots[slot]:
            self._is_dead(slot, key)
        if self.meter is not None:
            self.meter.replace(key, self.slots[slot].get(key), value)
        if self.effects.wants_misses and key not in self.slots[slot]:
            self.effects.record_event(self.index, key, "n", b"new")
        self.slots[slot][key] = value
        if self.access is not None:
            self.access.touch(slot, key)

    def delete(self, key: bytes) -> bool:
        """Remove a living key; False if there was none."""
        slot = self.slot_of(key)
        if self.volatile_count:
            if key in self.slots[slot] and self._is_dead(slot, key):
                return False
            if self.volatile[slot].pop(key, None) is not None:
                self.volatile_count -= 1
        value = self.slots[slot].pop(key, None)
        if value is None:
            return False
        if self.meter is not None:
            self.meter.remove(key, value)
        if self.access is not None:
            self.access.forget(slot, key)
        return True

    def changed(self, key: bytes, kind: str, event: bytes) -> None:
        """Every command calls this for each key that it changed, after the change.

        `kind` is the class letter of the keyspace event ($ l s h z t x e g ...), `event` its name
        (empty for a change that Redis announces no event for).
        """
        effects = self.effects
        effects.dirty += 1
        if self.meter is not None:
            self.meter.remeasure(key, self.slots[self.slot_of(key)].get(key))
        if effects.wants_events:
            effects.record_change(self.index, key, kind, event)

    # --- short cuts ------------------------------------------------------------------------

    def maybe_home(self, key: bytes) -> dict[bytes, Value] | None:
        """The dict in which `key` stands, for a command that settles everything there itself.

        That is `dirty`, hits and misses, and nothing else. None when there would be more to do:
        lifetimes, access times, sizes, or somebody who wants to know.
        """
        if self.volatile_count or self.effects.wants_events or self.access or self.meter:
            return None
        return self.slots[crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)]

    def maybe_value(self, key: bytes) -> Value | None:
        """What stands in `maybe_home`, in one call; None as well when there would be more to do."""
        if self.volatile_count or self.effects.wants_events or self.access or self.meter:
            return None
        slot = crc_hqx(key, 0) & _MASK if _BRACE not in key else key_slot(key)
        return self.slots[slot].get(key)

    def maybe_homes(self, keys: Sequence[bytes]) -> list[dict[bytes, Value]] | None:
        """`maybe_home` for many keys."""
        if self.volatile_count or self.effects.wants_events or self.access or self.meter:
            return None
        return self.homes(keys)

    def homes(self, keys: Sequence[bytes]) -> list[dict[bytes, Value]]:
        """In which of the dicts each of some keys stands, whatever else is to be done there."""
        # Each key knows its hash afterwards, which the dicts will ask for: see `look_up`.
        deque(map(hash, keys), 0)
        return list(map(self.slots.__getitem__, slots_of(keys)))

    # --- lifetimes -------------------------------------------------------------------------

    def expiry(self, key: bytes) -> int | None:
        """When `key` dies (Unix milliseconds), or None. Does not ask whether the key lives."""
        return self.volatile[self.slot_of(key)].get(key)

    def expire_at(self, key: bytes, at_ms: int) -> None:
        """Give a living key a lifetime."""
        lifetimes = self.volatile[self.slot_of(key)]
        if key not in lifetimes:
            self.volatile_count += 1
        lifetimes[key] = at_ms

    def persist(self, key: bytes) -> bool:
        """Take a key's lifetime away; False if it had none."""
        if self.volatile[self.slot_of(key)].pop(key, None) is None:
            return False
        self.volatile_count -= 1
        return True

    def _is_dead(self, slot: int, key: bytes) -> bool:
        """Whether the lifetime of an existing key is over; on a primary that removes it."""
        at_ms = self.volatile[slot].get(key)
        # A key lives through the millisecond that it is to die at.
        if at_ms is None or at_ms >= self.clock.now_ms or self.clock.is_replaying:
            return False
        if not self.is_replica:
            self.remove_expired(slot, key)
        return True

    def remove_expired(self, slot: int, key: bytes) -> None:
        """Remove a key whose time is up, and tell the world: `DEL` goes out first."""
        value = self.slots[slot].pop(key)
        del self.volatile[slot][key]
        self.volatile_count -= 1
        if self.meter is not None:
            self.meter.remove(key, value)
        if self.access is not None:
            self.access.forget(slot, key)
        self.effects.propagate_before(self.index, (b"DEL", key))
        if self.effects.observed:
            self.effects.record_change(self.index, key, "x", b"expired")
        self.on_expired()

    # --- the whole database ----------------------------------------------------------------

    def key_count(self) -> int:
        """How many keys there are, dead ones that nobody removed yet included, as DBSIZE counts."""
        return sum(map(len, self.slots))

    def keys_in_slot(self, slot: int) -> int:
        """How many keys one slot holds."""
        return len(self.slots[slot])

    def keys_of_slot(self, slot: int, count: int) -> list[bytes]:
        """At most `count` keys of one slot."""
        return list(islice(self.slots[slot], count))

    def living_items(self) -> Iterator[tuple[bytes, Value]]:
        """Every living key with its value; the database must not change meanwhile."""
        now_ms = self.clock.now_ms
        for slot, values in enumerate(self.slots):
            if not values:
                continue
            lifetimes = self.volatile[slot]
            if not lifetimes:
                yield from values.items()
                continue
            for key, value in values.items():
                if lifetimes.get(key, now_ms) >= now_ms:
                    yield key, value

    def random_key(self, rng: Generator) -> bytes | None:
        """Some living key, each about equally likely; None if there is none."""
        for _ in range(100):
            slot = fair_slot(self.slots, rng)
            if slot is None:
                return None
            values = self.slots[slot]
            key = key_at(values, rng.randrange(len(values)))
            if not (self.volatile_count and self._is_dead(slot, key)):
                return key
        return next((key for key, _ in self.living_items()), None)

    def clear(self) -> int:
        """Remove everything; returns how many keys there were."""
        count = self.key_count()
        self.slots = [{} for _ in range(SLOT_COUNT)]
        self.volatile = [{} for _ in range(SLOT_COUNT)]
        self.volatile_count = 0
        if self.meter is not None:
            self.meter.clear()
        if self.access is not None:
            self.access.clear()
        return count

    def clear_slot(self, slot: int) -> int:
        """Remove every key of one slot; returns how many there were."""
        count = len(self.slots[slot])
        if self.meter is not None:
            for key, value in self.slots[slot].items():
                self.meter.remove(key, value)
        self.slots[slot] = {}
        self.volatile_count -= len(self.volatile[slot])
        self.volatile[slot] = {}
        if self.access is not None:
            self.access.clear_slot(slot)
        return count
