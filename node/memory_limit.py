"""`maxmemory`: room is made before a command runs, or the command is refused.

Measuring costs time on every write, so it is done only while a limit is set.
"""

from typing import TYPE_CHECKING, Final

from .errors import OUT_OF_MEMORY
from .eviction import AccessLog, Policy
from .registry import Command, Flag

if TYPE_CHECKING:
    from .database import Database
    from .machine import Machine
    from .session import Session

#: Also what begins one, which is an error within one.
_ENDS_A_TRANSACTION: Final = frozenset({"discard", "multi", "quit", "reset"})


class MemoryLimit:
    """Keeps the data set below the limit."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.limit_bytes = 0
        self.policy = Policy.NOEVICTION

    def set_limit(self, limit_bytes: int) -> None:
        """Obey a new `maxmemory`; 0 is no limit."""
        machine = self._machine
        self.limit_bytes = limit_bytes
        machine.keyspace.keep_meters(bool(limit_bytes))
        machine.gate.make_room = self._before_command if limit_bytes else None
        machine.require_gate("maxmemory", bool(limit_bytes))

    def set_policy(self, policy: Policy) -> None:
        """Obey a new `maxmemory-policy`; the books that it needs are begun now."""
        machine = self._machine
        self.policy = policy
        machine.evictor.forget_pool()
        if policy.uses_lru or policy.uses_lfu:
            machine.keyspace.keep_access(self._new_access)
        else:
            machine.keyspace.keep_access(None)

    def _new_access(self, database: "Database") -> AccessLog:
        log = AccessLog(database, self._machine.rng, self.policy.uses_lfu)
        log.log_factor = self._machine.config.lfu_log_factor
        log.decay_minutes = self._machine.config.lfu_decay_time
        return log

    def _before_command(self, session: "Session", command: Command, args: list[bytes]) -> None:
        if self.make_room():
            return
        if session.queue is None or command.full_name in _ENDS_A_TRANSACTION:
            takes_memory = Flag.DENYOOM in command.flags
        elif command.full_name == "exec":
            takes_memory = any(Flag.DENYOOM in queued.flags for queued, _ in session.queue)
        else:
            # What waits in a transaction takes memory, whatever it is.
            takes_memory = True
        if takes_memory:
            raise OUT_OF_MEMORY

    def make_room(self) -> bool:
        """Throw keys away until the limit is kept; False when the policy gives no more victims."""
        machine = self._machine
        keyspace = machine.keyspace
        while keyspace.metered_bytes() > self.limit_bytes:
            found = machine.evictor.victim(self.policy)
            if found is None:
                return False
            database, key = found
            database.delete(key)
            machine.evictor.evicted_count += 1
            keyspace.effects.propagate_before(database.index, (b"DEL", key))
            if keyspace.effects.observed:
                keyspace.effects.record_change(database.index, key, "e", b"evicted")
        keyspace.effects.deliver()
        return True

    def on_tick(self) -> None:
        """A limit that was lowered is reached even if no client writes."""
        if self.limit_bytes:
            self.make_room()
