"""What to throw away when memory is short: the eight policies of `maxmemory-policy`.

Redis approximates LRU and LFU by sampling: a few random keys are looked at, the best candidates are
kept in a small pool, the worst of the pool goes. So do we. The bookkeeping costs memory and time,
so it exists only while a policy needs it (`AccessLog`), and `estimated_bytes` is kept only while
`maxmemory` is set.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final

from ..slots.randomness import Generator
from .sampling import near_key

if TYPE_CHECKING:
    from .database import Database
    from .keyspace import Keyspace

POOL_SIZE: Final = 16
LFU_START: Final = 5
_COUNTER_MAX: Final = 255


class Policy(Enum):
    """`maxmemory-policy`."""

    NOEVICTION = "noeviction"
    ALLKEYS_LRU = "allkeys-lru"
    ALLKEYS_LFU = "allkeys-lfu"
    ALLKEYS_RANDOM = "allkeys-random"
    VOLATILE_LRU = "volatile-lru"
    VOLATILE_LFU = "volatile-lfu"
    VOLATILE_RANDOM = "volatile-random"
    VOLATILE_TTL = "volatile-ttl"

    @property
    def only_volatile(self) -> bool:
        """Only keys with a lifetime may go."""
        return self.value.startswith("volatile")

    @property
    def uses_lru(self) -> bool:
        """Needs to know when a key was last used."""
        return self.value.endswith("lru")

    @property
    def uses_lfu(self) -> bool:
        """Needs to know how often a key was used lately."""
        return self.value.endswith("lfu")


class AccessLog:
    """When (LRU) or how often (LFU) the keys of one database were used.

    LRU keeps the time of the last use in milliseconds. LFU keeps Redis' logarithmic counter and the
    minute of its last change, packed as minute * 256 + counter.
    """

    __slots__ = (
        "_clock_ms",
        "_rng",
        "_slots",
        "counts_uses",
        "decay_minutes",
        "log_factor",
        "paused",
    )

    def __init__(self, database: "Database", rng: Generator, counts_uses: bool) -> None:
        self._slots: dict[int, dict[bytes, int]] = {}
        self._clock_ms = database.clock
        self._rng = rng
        #: LFU; otherwise LRU.
        self.counts_uses = counts_uses
        self.log_factor = 10
        self.decay_minutes = 1
        #: A client said CLIENT NO-TOUCH, and its command is running.
        self.paused = False

    def start(self, slot: int, key: bytes) -> None:
        """A key was written anew."""
        now_ms = self._clock_ms.now_ms
        mark = (now_ms // 60_000) * 256 + LFU_START if self.counts_uses else now_ms
        self._slots.setdefault(slot, {})[key] = mark

    def touch(self, slot: int, key: bytes) -> None:
        """A key was used."""
        if self.paused:
            return
        if not self.counts_uses:
            self._slots.setdefault(slot, {})[key] = self._clock_ms.now_ms
            return
        counter = self.frequency(slot, key)
        if counter < _COUNTER_MAX:
            base = max(counter - LFU_START, 0)
            if self._rng.random() < 1.0 / (base * self.log_factor + 1):
                counter += 1
        minute = self._clock_ms.now_ms // 60_000
        self._slots.setdefault(slot, {})[key] = minute * 256 + counter

    def forget(self, slot: int, key: bytes) -> None:
        """A key is gone."""
        marks = self._slots.get(slot)
        if marks is not None:
            marks.pop(key, None)

    def clear(self) -> None:
        """All keys are gone."""
        self._slots.clear()

    def clear_slot(self, slot: int) -> None:
        """All keys of a slot are gone."""
        self._slots.pop(slot, None)

    def idle_ms(self, slot: int, key: bytes) -> int:
        """How long a key was not used; a key from before the bookkeeping counts as just used."""
        now_ms = self._clock_ms.now_ms
        return max(0, now_ms - self._slots.get(slot, {}).get(key, now_ms))

    def set_idle_ms(self, slot: int, key: bytes, idle_ms: int) -> None:
        """Pretend that a key was last used so long ago (RESTORE IDLETIME)."""
        self._slots.setdefault(slot, {})[key] = self._clock_ms.now_ms - idle_ms

    def frequency(self, slot: int, key: bytes) -> int:
        """The use counter of a key, after its decay."""
        now_minute = self._clock_ms.now_ms // 60_000
        minute, counter = divmod(
            self._slots.get(slot, {}).get(key, now_minute * 256 + LFU_START), 256
        )
        if self.decay_minutes:
            counter = max(0, counter - (now_minute - minute) // self.decay_minutes)
        return counter

    def set_frequency(self, slot: int, key: bytes, counter: int) -> None:
        """Set the use counter of a key (RESTORE FREQ)."""
        minute = self._clock_ms.now_ms // 60_000
        self._slots.setdefault(slot, {})[key] = minute * 256 + counter


class Evictor:
    """Chooses victims by sampling."""

    def __init__(self, keyspace: "Keyspace", rng: Generator) -> None:
        self._keyspace = keyspace
        self._rng = rng
        self.samples = 5
        self.evicted_count = 0
        #: Candidates of earlier rounds, best last: (worth, database index, key).
        self._pool: list[tuple[int, int, bytes]] = []

    def victim(self, policy: Policy) -> "tuple[Database, bytes] | None":
        """The next key to throw away, or None when the policy leaves nothing to choose."""
        if policy is Policy.NOEVICTION:
            return None
        databases = [database for database in self._keyspace.existing() if any(database.slots)]
        if policy in (Policy.ALLKEYS_RANDOM, Policy.VOLATILE_RANDOM):
            self._rng.shuffle(databases)
            for database in databases:
                key = self._random_key(database, policy)
                if key is not None:
                    return database, key
            return None
        for database in databases:
            self._sample_into_pool(database, policy)
        while self._pool:
            _, index, key = self._pool.pop()
            database = self._keyspace.database(index)
            slot = database.slot_of(key)
            home = database.volatile[slot] if policy.only_volatile else database.slots[slot]
            if key in home:
                return database, key
        return None

    def forget_pool(self) -> None:
        """The policy changed: old candidates mean nothing any more."""
        self._pool.clear()

    def _sample_into_pool(self, database: "Database", policy: Policy) -> None:
        known = {(index, key) for _, index, key in self._pool}
        for _ in range(self.samples):
            key = self._random_key(database, policy)
            if key is not None and (database.index, key) not in known:
                known.add((database.index, key))
                self._pool.append((_worth(database, key, policy), database.index, key))
        self._pool.sort(key=lambda entry: entry[0])
        del self._pool[:-POOL_SIZE]

    def _random_key(self, database: "Database", policy: Policy) -> bytes | None:
        homes: list[dict[bytes, int]] = (
            database.volatile if policy.only_volatile else database.slots
        )
        return near_key(homes, self._rng)


def _worth(database: "Database", key: bytes, policy: Policy) -> int:
    """How good a victim a key is: more is better."""
    slot = database.slot_of(key)
    if policy is Policy.VOLATILE_TTL:
        return -database.volatile[slot].get(key, 1 << 62)
    access = database.access
    assert access is not None, "LRU and LFU policies keep an access log"
    if policy.uses_lru:
        return access.idle_ms(slot, key)
    return _COUNTER_MAX - access.frequency(slot, key)
