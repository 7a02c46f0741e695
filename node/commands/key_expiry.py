"""The lifetimes of keys: giving them, asking for them, taking them away.

A lifetime is kept, and sent to replicas and AOF, as Unix time in milliseconds, however it was
given. One that is over already deletes the key at once and is sent on as that deletion; only a
replica and a node that is loading keep such a key: for them the deletion comes from elsewhere.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import CommandError, invalid_expire_time
from ..registry import command
from ..resp.encoder import ONE, ZERO, integer
from ..session import Session
from ..values.numbers import INTEGER_MAXIMUM, INTEGER_MINIMUM
from .arguments import required_integer
from .keys import remove

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_WRITE: Final = (one_key(1, "RW", "UPDATE"),)
_VARYING: Final = ("nondeterministic_output",)

NO_KEY: Final = -2
NO_LIFETIME: Final = -1
_SECONDS_MAX: Final = INTEGER_MAXIMUM // 1000
#: C divides towards zero.
_SECONDS_MIN: Final = -(-INTEGER_MINIMUM // 1000)


#: When a new lifetime may take the place of the old one; a key without one lives for ever.
_NX: Final = 1
_XX: Final = 2
_GT: Final = 4
_LT: Final = 8
_CONDITIONS: Final = {b"NX": _NX, b"XX": _XX, b"GT": _GT, b"LT": _LT}


def _parse_conditions(words: list[bytes]) -> int:
    chosen = 0
    for text in words:
        condition = _CONDITIONS.get(text.upper())
        if condition is None:
            # Redis takes the text for a C string.
            raise CommandError(b"ERR Unsupported option %b" % text.partition(b"\0")[0])
        chosen |= condition
    if chosen & _NX and chosen != _NX:
        raise CommandError(
            b"ERR NX and XX, GT or LT options at the same time are not compatible",
        )
    if chosen & _GT and chosen & _LT:
        raise CommandError(b"ERR GT and LT options at the same time are not compatible")
    return chosen


def _allows(conditions: int, old_ms: int | None, new_ms: int) -> bool:
    """Whether the conditions let `new_ms` take the place of `old_ms`."""
    if old_ms is None:
        return not conditions & (_XX | _GT)
    if conditions & _NX or (conditions & _GT and new_ms <= old_ms):
        return False
    return not (conditions & _LT and new_ms >= old_ms)


def _set_lifetime(session: Session, args: list[bytes], since_ms: int, in_seconds: bool) -> bytes:
    """What the four commands share: the time in `args` counts from `since_ms`."""
    conditions = _parse_conditions(args[3:]) if len(args) > 3 else 0
    at_ms = required_integer(args[2])
    if in_seconds:
        if not _SECONDS_MIN <= at_ms <= _SECONDS_MAX:
            raise invalid_expire_time(args[0])
        at_ms *= 1000
    at_ms += since_ms
    if at_ms > INTEGER_MAXIMUM:
        raise invalid_expire_time(args[0])
    db = session.db
    key = args[1]
    if db.for_write(key) is None:
        return ZERO
    if conditions and not _allows(conditions, db.expiry(key), at_ms):
        return ZERO
    machine = session.machine
    effects = db.effects
    is_dead = at_ms <= db.clock.now_ms and not db.clock.is_replaying
    if is_dead and not db.is_replica and not machine.gate.is_loading:
        word = b"UNLINK" if machine.config.lazyfree_lazy_expire else b"DEL"
        remove(session, key)
        effects.propagate_instead(db.index, (word, key))
        return ONE
    db.expire_at(key, at_ms)
    db.changed(key, "g", b"expire")
    if effects.observed and (since_ms or in_seconds):
        effects.propagate_instead(db.index, (b"PEXPIREAT", key, b"%d" % at_ms, *args[3:]))
    return ONE


@command(
    "EXPIRE",
    group="generic",
    since="1.0.0",
    arity=-3,
    flags="write fast",
    keys=_WRITE,
    args="key seconds [NX|XX|GT|LT]",
)
def expire(session: Session, args: list[bytes]) -> bytes:
    """Lets a key die after so many seconds."""
    return _set_lifetime(session, args, session.machine.clock.now_ms, True)


@command(
    "PEXPIRE",
    group="generic",
    since="2.6.0",
    arity=-3,
    flags="write fast",
    keys=_WRITE,
    args="key milliseconds [NX|XX|GT|LT]",
)
def pexpire(session: Session, args: list[bytes]) -> bytes:
    """Lets a key die after so many milliseconds."""
    return _set_lifetime(session, args, session.machine.clock.now_ms, False)


@command(
    "EXPIREAT",
    group="generic",
    since="1.2.0",
    arity=-3,
    flags="write fast",
    keys=_WRITE,
    args="key unix-time-seconds [NX|XX|GT|LT]",
)
def expireat(session: Session, args: list[bytes]) -> bytes:
    """Lets a key die at a Unix time in seconds."""
    return _set_lifetime(session, args, 0, True)


@command(
    "PEXPIREAT",
    group="generic",
    since="2.6.0",
    arity=-3,
    flags="write fast",
    keys=_WRITE,
    args="key unix-time-milliseconds [NX|XX|GT|LT]",
)
def pexpireat(session: Session, args: list[bytes]) -> bytes:
    """Lets a key die at a Unix time in milliseconds."""
    return _set_lifetime(session, args, 0, False)


def _expiry(session: Session, key: bytes) -> int:
    """When a key dies, `NO_LIFETIME` or `NO_KEY`; counted as a hit or a miss, not as a use."""
    db = session.db
    if db.look(key) is None:
        db.misses += 1
        db.effects.record_event(db.index, key, "m", b"keymiss")
        return NO_KEY
    db.hits += 1
    at_ms = db.expiry(key) if db.volatile_count else None
    return NO_LIFETIME if at_ms is None else at_ms


@command(
    "TTL",
    group="generic",
    since="1.0.0",
    arity=2,
    flags="readonly fast",
    keys=_READ,
    args="key",
    tips=_VARYING,
)
def ttl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many seconds a key will live; -1 for ever, -2 no such key."""
    at_ms = _expiry(session, args[1])
    if at_ms in (NO_KEY, NO_LIFETIME):
        return integer(at_ms)
    return integer((max(0, at_ms - session.machine.clock.now_ms) + 500) // 1000)


@command(
    "PTTL",
    group="generic",
    since="2.6.0",
    arity=2,
    flags="readonly fast",
    keys=_READ,
    args="key",
    tips=_VARYING,
)
def pttl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many milliseconds a key will live; -1 for ever, -2 no such key."""
    at_ms = _expiry(session, args[1])
    if at_ms in (NO_KEY, NO_LIFETIME):
        return integer(at_ms)
    return integer(max(0, at_ms - session.machine.clock.now_ms))


@command(
    "EXPIRETIME",
    group="generic",
    since="7.0.0",
    arity=2,
    flags="readonly fast",
    keys=_READ,
    args="key",
)
def expiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix time in seconds at which a key dies; -1 never, -2 no such key."""
    at_ms = _expiry(session, args[1])
    return integer(at_ms if at_ms in (NO_KEY, NO_LIFETIME) else (at_ms + 500) // 1000)


@command(
    "PEXPIRETIME",
    group="generic",
    since="7.0.0",
    arity=2,
    flags="readonly fast",
    keys=_READ,
    args="key",
)
def pexpiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix time in milliseconds at which a key dies; -1 never, -2 no such key."""
    return integer(_expiry(session, args[1]))


@command(
    "PERSIST",
    group="generic",
    since="2.2.0",
    arity=2,
    flags="write fast",
    keys=_WRITE,
    args="key",
)
def persist(session: Session, args: list[bytes]) -> bytes:
    """Lets a key live for ever."""
    db = session.db
    key = args[1]
    if db.for_write(key) is None or not db.persist(key):
        return ZERO
    db.changed(key, "g", b"persist")
    return ONE
