"""Dead hash fields: nobody sees them from the moment they die, and soon they are gone.

A field with a lifetime is looked at when its hash is used: what is dead then is removed, and the
world hears of it as `HDEL` ahead of the running command. What nobody uses is found by the cycle
here. It has a list of the hashes whose next field dies soon, and besides walks through all keys,
slowly: so it also finds the hashes that were loaded, renamed, copied or moved, and the list need
not know of whatever lies far ahead. The walk begins with the first lifetime that a field gets, and
rests while a child writes a snapshot: to look at an object is to write to it (it counts who holds
it), which then makes the system copy its whole page.

A replica, and a node that loads its file, remove nothing: the deletions come from elsewhere. They
only do not show what is dead.
"""

from typing import TYPE_CHECKING, Final

from ..slots.hashing import SLOT_COUNT
from .values.fieldexpiry import FieldExpiry
from .values.hashvalue import HashValue

if TYPE_CHECKING:
    from .database import Database
    from .machine import Machine
    from .session import Session

#: Fields in one HDEL, and fields removed between two looks at the clock.
_PIECE: Final = 512
#: What one tick may cost.
_BUDGET_NS: Final = 2_000_000
#: Later deaths are left to the walk through all keys.
_HORIZON_MS: Final = 600_000
#: How far the walk gets in one tick.
_WALKED_SLOTS: Final = 512
_WALKED_KEYS: Final = 1024


def remove_dead_fields(db: "Database", key: bytes, value: HashValue, limit: int = 1 << 62) -> int:
    """Remove the dead fields of a hash (at most `limit`), and the hash if none is left."""
    dead = value.take_dead(db.clock.now_ms, limit)
    if not dead:
        return 0
    effects = db.effects
    if effects.observed:
        for start in range(0, len(dead), _PIECE):
            effects.propagate_before(db.index, (b"HDEL", key, *dead[start : start + _PIECE]))
        effects.record_change(db.index, key, "h", b"hexpired")
    if not value:
        db.delete(key)
        if effects.observed:
            effects.record_change(db.index, key, "g", b"del")
    elif db.meter is not None:
        db.meter.remeasure(key, value)
    return len(dead)


def may_remove(session: "Session") -> bool:
    """Whether it is this node that decides when fields are gone."""
    db = session.db
    return not (db.is_replica or db.clock.is_replaying or session.machine.gate.is_loading)


def without_dead(session: "Session", key: bytes, value: HashValue) -> HashValue | None:
    """A hash as it is to be read as a whole; None if nothing in it lives.

    Where nothing may be removed this is a copy, if anything is dead.
    """
    now_ms = session.db.clock.now_ms
    next_ms = value.maybe_next_expiry_ms()
    if next_ms is None or next_ms > now_ms:
        return value
    if may_remove(session):
        remove_dead_fields(session.db, key, value)
    else:
        value = value.copy()
        value.take_dead(now_ms)
    return value or None


def is_field_dead(session: "Session", key: bytes, value: HashValue, field: bytes) -> bool:
    """Whether a field of a hash that has lifetimes is not to be seen; removes what is dead."""
    at_ms = value.maybe_expiry_ms(field)
    if at_ms is None or at_ms > session.db.clock.now_ms:
        return False
    if may_remove(session):
        remove_dead_fields(session.db, key, value)
    return True


def hash_to_read(session: "Session", key: bytes) -> HashValue | None:
    """The hash under a key for a command that looks at many of its fields."""
    value = session.db.typed(key, HashValue)
    if value is None or not value.has_expiry:
        return value
    return without_dead(session, key, value)


def hash_to_change(session: "Session", key: bytes) -> HashValue | None:
    """The hash under a key for a command that changes it. A replica does as its primary did."""
    value = session.db.typed_for_write(key, HashValue)
    if value is None or not value.has_expiry or not may_remove(session):
        return value
    return without_dead(session, key, value)


class FieldExpiryCycle:
    """Removes, on every tick, some of the dead fields of a node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: By database: the keys whose next field dies within the horizon, and when.
        self._due: dict[int, FieldExpiry] = {}
        #: Where the walk through all keys is.
        self._database = 0
        self._slot = 0
        self._backlog: list[bytes] = []

    def note(self, db: "Database", key: bytes, value: HashValue) -> None:
        """A hash has a field that dies, perhaps sooner than was known."""
        next_ms = value.maybe_next_expiry_ms()
        if next_ms is None or next_ms > db.clock.now_ms + _HORIZON_MS:
            return
        due = self._due.get(db.index)
        if due is None:
            due = self._due[db.index] = FieldExpiry()
        known_ms = due.at_ms.get(key)
        if known_ms is None or known_ms > next_ms:
            due.expire_at(key, next_ms)

    def __call__(self) -> None:
        """The tick."""
        machine = self._machine
        keyspace = machine.keyspace
        if keyspace.is_replica or machine.gate.is_loading or not machine.active_expiry:
            return
        ends_at_ns = machine.timer() + _BUDGET_NS
        if machine.limits.has_field_lifetimes and machine.persistence.child is None:
            self._walk()
        for index, due in self._due.items():
            db = keyspace.database(index)
            while machine.timer() < ends_at_ns:
                keys = due.take_dead(db.clock.now_ms, 1)
                if not keys:
                    break
                self._visit(db, keys[0])
        keyspace.effects.deliver()

    def _visit(self, db: "Database", key: bytes) -> None:
        value = db.peek(key)
        if type(value) is not HashValue or not value.has_expiry:
            return
        remove_dead_fields(db, key, value, _PIECE)
        self.note(db, key, value)

    def _walk(self) -> None:
        """Look for hashes that nobody told of."""
        databases = self._machine.keyspace.existing()
        if not databases:
            return
        db = databases[self._database % len(databases)]
        looked = 0
        for _ in range(_WALKED_SLOTS):
            values = db.slots[self._slot]
            if values:
                if not self._backlog:
                    self._backlog = list(values)
                piece = self._backlog[-_WALKED_KEYS:]
                del self._backlog[-_WALKED_KEYS:]
                for key in piece:
                    value = values.get(key)
                    if type(value) is HashValue and value.has_expiry:
                        self.note(db, key, value)
                looked += len(piece)
                if self._backlog:
                    return
            else:
                self._backlog.clear()
            self._slot += 1
            if self._slot == SLOT_COUNT:
                self._slot = 0
                self._database += 1
                return
            if looked >= _WALKED_KEYS:
                return
