"""All databases of a node: what they share, and what is done to all of them at once."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..slots.randomness import Generator
from .compaction import Compaction
from .database import Clock, Database
from .effects import Effects
from .memory import Meter

if TYPE_CHECKING:
    from .eviction import AccessLog


class Keyspace:
    """All databases of one node."""

    def __init__(self, database_count: int, clustered: bool, clock: Clock, rng: Generator) -> None:
        self.clock = clock
        self.rng = rng
        self.effects = Effects()
        self.compaction = Compaction()
        self.clustered = clustered
        self.database_count = 1 if clustered else database_count
        self.expired_count = 0
        self._databases: dict[int, Database] = {}
        #: Keys that are still hidden (slots on their way here); snapshots hold them, too.
        self.staged: list[Database] = []
        self.is_replica = False
        self._new_access: Callable[[Database], AccessLog] | None = None
        self._metered = False

    def database(self, index: int) -> Database:
        """Database number `index`; made when somebody first asks for it."""
        database = self._databases.get(index)
        if database is None:
            database = Database(index, self.clock, self.effects)
            database.is_replica = self.is_replica
            database.compaction = self.compaction
            database.on_expired = self._count_expired
            if self._new_access is not None:
                database.access = self._new_access(database)
            if self._metered:
                database.meter = Meter()
            self._databases[index] = database
        return database

    def existing(self) -> list[Database]:
        """The databases that somebody used, in order."""
        return [self._databases[index] for index in sorted(self._databases)]

    def _count_expired(self) -> None:
        self.expired_count += 1

    def become_replica(self, is_replica: bool) -> None:
        """Leave expiry to the primary, or take it back."""
        self.is_replica = is_replica
        for database in self._databases.values():
            database.is_replica = is_replica

    def keep_access(self, new_access: "Callable[[Database], AccessLog] | None") -> None:
        """Start (or stop) keeping access times in every database."""
        self._new_access = new_access
        for database in self._databases.values():
            database.access = new_access(database) if new_access is not None else None

    def pause_access(self, paused: bool) -> None:
        """Let keys be used without a trace (CLIENT NO-TOUCH), or note uses again."""
        for database in self._databases.values():
            if database.access is not None:
                database.access.paused = paused

    def keep_meters(self, metered: bool) -> None:
        """Start (or stop) measuring how much memory the keys take; starting looks at every key."""
        if metered == self._metered:
            return
        self._metered = metered
        for database in self._databases.values():
            database.meter = None
            if metered:
                meter = Meter()
                for values in database.slots:
                    for key, value in values.items():
                        meter.replace(key, None, value)
                database.meter = meter

    def metered_bytes(self) -> int:
        """The measured size of all keys; 0 while nothing is measured."""
        return sum(
            database.meter.total_bytes
            for database in (*self._databases.values(), *self.staged)
            if database.meter is not None
        )

    def swap(self, first: int, second: int) -> None:
        """Exchange the contents of two databases; sessions keep their numbers."""
        one, other = self.database(first), self.database(second)
        one.slots, other.slots = other.slots, one.slots
        one.volatile, other.volatile = other.volatile, one.volatile
        one.volatile_count, other.volatile_count = other.volatile_count, one.volatile_count
        one.access, other.access = other.access, one.access
        one.meter, other.meter = other.meter, one.meter
