"""Lifetimes of single fields of hashes: HEXPIRE and its kin, as in Redis 7.4.

A lifetime is kept, and sent to replicas and AOF, as Unix time in milliseconds, however it was
given. A field whose time is over already is deleted at once and sent on as that deletion; only a
replica and a node that is loading keep it: for them the deletion comes from elsewhere.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import CommandError, invalid_expire_time
from ..field_expiry import hash_to_change, hash_to_read, may_remove
from ..registry import command
from ..resp.encoder import array, integer
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.numbers import parse_integer
from .arguments import required_integer
from .hashes import announce_removal

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_UPDATE: Final = (one_key(1, "RW", "UPDATE"),)
O_FIELDS: Final = "O(N), N fields"

#: Redis keeps lifetimes in 48 bits, two of which it holds back.
_LATEST_MS: Final = 0xFFFF_FFFF_FFFF >> 2

NO_FIELDS_WORD: Final = CommandError(
    b"ERR Mandatory argument FIELDS is missing or not at the right position"
)
_WRONG_NUMBER: Final = CommandError(
    b"ERR The `numfields` parameter must match the number of arguments"
)
NUMBER_NOT_POSITIVE: Final = CommandError(b"ERR Number of fields must be a positive integer")
_NUMBER_TOO_SMALL: Final = CommandError(b"ERR Parameter `numFields` should be greater than 0")
_NEGATIVE_TIME: Final = CommandError(b"ERR invalid expire time, must be >= 0")

_NO_FIELD: Final = -2
_NO_LIFETIME: Final = -1
_REFUSED: Final = 0
_DONE: Final = 1
_DELETED: Final = 2

#: How each unit counts: from now or from 1970, and in milliseconds.
UNITS: Final = {
    b"EX": (True, 1000),
    b"PX": (True, 1),
    b"EXAT": (False, 1000),
    b"PXAT": (False, 1),
}
_CONDITIONS: Final = frozenset({b"NX", b"XX", b"GT", b"LT"})


def parse_time(session: Session, text: bytes, unit: bytes, name: bytes) -> int:
    """When a lifetime ends, as Unix milliseconds; `name` is the command's in the error text."""
    is_relative, milliseconds = UNITS[unit]
    time = required_integer(text)
    if time < 0:
        raise _NEGATIVE_TIME
    at_ms = time * milliseconds + (session.machine.clock.now_ms if is_relative else 0)
    if at_ms > _LATEST_MS:
        raise invalid_expire_time(name)
    return at_ms


def parse_fields(args: list[bytes], position: int, failure: CommandError) -> list[bytes]:
    """Read `FIELDS numfields field...`, which ends the line, from `position` on."""
    if position + 1 >= len(args) or args[position].upper() != b"FIELDS":
        raise NO_FIELDS_WORD
    count = parse_integer(args[position + 1])
    if count is None or count < 1:
        raise failure
    if count != len(args) - position - 2:
        raise _WRONG_NUMBER
    return args[position + 2 :]


def _numbers(numbers: list[int]) -> bytes:
    return array([integer(number) for number in numbers])


def is_over(session: Session, at_ms: int) -> bool:
    """Whether a field with this lifetime is to be deleted instead."""
    return at_ms <= session.machine.clock.now_ms and may_remove(session)


def settle(
    session: Session, key: bytes, value: HashValue, updated: list[bytes], deleted: list[bytes]
) -> None:
    """Announce what lifetimes were given to, and what died of it."""
    if updated:
        session.machine.field_expiry.note(session.db, key, value)
    if deleted:
        announce_removal(session, key, value, b"hdel")
    else:
        session.db.changed(key, "h", b"hexpire")


# --- HEXPIRE and its kin -------------------------------------------------------------------------


def _allows(condition: bytes, old_ms: int | None, new_ms: int) -> bool:
    if not condition:
        return True
    if old_ms is None:
        return condition in (b"NX", b"LT")
    if condition == b"GT":
        return new_ms > old_ms
    if condition == b"LT":
        return new_ms < old_ms
    return condition == b"XX"


def _expire(session: Session, args: list[bytes], unit: bytes, name: bytes) -> bytes:
    key = args[1]
    value = hash_to_change(session, key)
    at_ms = parse_time(session, args[2], unit, name)
    condition = args[3].upper()
    if condition not in _CONDITIONS:
        condition = b""
    fields = parse_fields(args, 4 if condition else 3, _NUMBER_TOO_SMALL)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    is_dead = is_over(session, at_ms)
    results: list[int] = []
    updated: list[bytes] = []
    deleted: list[bytes] = []
    for field in fields:
        if field not in value:
            results.append(_NO_FIELD)
        elif not _allows(condition, value.maybe_expiry_ms(field), at_ms):
            results.append(_REFUSED)
        elif is_dead:
            value.take(field)
            deleted.append(field)
            results.append(_DELETED)
        else:
            value.expire_at(field, at_ms)
            updated.append(field)
            results.append(_DONE)
    if updated or deleted:
        settle(session, key, value, updated, deleted)
        propagate_expiry(session, key, at_ms, updated, deleted)
    return _numbers(results)


def propagate_expiry(
    session: Session, key: bytes, at_ms: int, updated: list[bytes], deleted: list[bytes]
) -> None:
    """Say what happened in terms that hold at any time: the conditions were met here."""
    db = session.db
    effects = db.effects
    if not effects.observed:
        return
    if deleted:
        effects.propagate_instead(db.index, (b"HDEL", key, *deleted))
    if updated:
        count = b"%d" % len(updated)
        words = (b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", count, *updated)
        effects.propagate_instead(db.index, words)


_EXPIRE_SYNTAX: Final = "key {} [condition:oneof(NX|XX|GT|LT)] FIELDS (numfields field...)"


@command(
    "HEXPIRE",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("seconds"),
    complexity=O_FIELDS,
)
def hexpire(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die after so many seconds."""
    return _expire(session, args, b"EX", b"hexpire")


@command(
    "HPEXPIRE",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("milliseconds"),
    complexity=O_FIELDS,
)
def hpexpire(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die after so many milliseconds."""
    return _expire(session, args, b"PX", b"hpexpire")


@command(
    "HEXPIREAT",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("unix-time-seconds"),
    complexity=O_FIELDS,
)
def hexpireat(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die at a Unix time in seconds."""
    return _expire(session, args, b"EXAT", b"hexpireat")


@command(
    "HPEXPIREAT",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("unix-time-milliseconds"),
    complexity=O_FIELDS,
)
def hpexpireat(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die at a Unix time in milliseconds."""
    return _expire(session, args, b"PXAT", b"hpexpireat")


# --- asking for lifetimes ------------------------------------------------------------------------


def _lifetimes(session: Session, args: list[bytes], since_ms: int, unit_ms: int) -> bytes:
    """What the four commands share: for each field, when it dies, counted from `since_ms`."""
    value = hash_to_read(session, args[1])
    fields = parse_fields(args, 2, NUMBER_NOT_POSITIVE)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    results: list[int] = []
    for field in fields:
        at_ms = value.maybe_expiry_ms(field)
        if at_ms is not None:
            results.append((at_ms - since_ms + unit_ms - 1) // unit_ms)
        else:
            results.append(_NO_LIFETIME if field in value else _NO_FIELD)
    return _numbers(results)


FIELDS_SYNTAX: Final = "key FIELDS (numfields field...)"


@command(
    "HTTL",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
    tips=("nondeterministic_output",),
)
def httl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many seconds fields will live; -1 for ever, -2 no such field."""
    return _lifetimes(session, args, session.machine.clock.now_ms, 1000)


@command(
    "HPTTL",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
    tips=("nondeterministic_output",),
)
def hpttl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many milliseconds fields will live; -1 for ever, -2 no such field."""
    return _lifetimes(session, args, session.machine.clock.now_ms, 1)


@command(
    "HEXPIRETIME",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
)
def hexpiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix times in seconds at which fields die; -1 never, -2 no such field."""
    return _lifetimes(session, args, 0, 1000)


@command(
    "HPEXPIRETIME",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
)
def hpexpiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix times in milliseconds at which fields die; -1 never, -2 no such field."""
    return _lifetimes(session, args, 0, 1)


@command(
    "HPERSIST",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="write fast",
    keys=_UPDATE,
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
)
def hpersist(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash live for ever."""
    key = args[1]
    value = hash_to_change(session, key)
    fields = parse_fields(args, 2, NUMBER_NOT_POSITIVE)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    results: list[int] = []
    for field in fields:
        if field not in value:
            results.append(_NO_FIELD)
        else:
            results.append(_DONE if value.persist(field) else _NO_LIFETIME)
    if _DONE in results:
        session.db.changed(key, "h", b"hpersist")
    return _numbers(results)
