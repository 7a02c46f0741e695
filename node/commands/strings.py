"""Strings: one value of bytes under a key.

GET and SET are the hottest code of the whole node. Their plain forms come first and touch nothing
that they do not need; everything with options lives in functions of its own.

Lifetimes leave here as absolute times: what a replica gets is always `SET key value PXAT when`,
since the moment at which it hears of the command is not the moment at which the command ran.
"""

from collections.abc import Sequence
from typing import Final

from ...slots.keyspec import key_range, one_key
from ..batches import Replies, encoded, maybe_columns, refusal, same_keys
from ..database import Value
from ..errors import NOT_AN_INTEGER, SYNTAX, WRONG_TYPE, CommandError, wrong_arity
from ..registry import command
from ..resp.alike import Requests
from ..resp.bulks import bulk_row, flat_row
from ..resp.encoder import BULK_PREFIXES, CRLF, OK, ONE, ZERO, bulk
from ..session import Session
from ..values.numbers import INTEGER_MAXIMUM, parse_integer

_RELATIVE_UNITS: Final = frozenset({b"EX", b"PX"})
_LIFETIME_UNITS: Final = frozenset({b"EX", b"PX", b"EXAT", b"PXAT"})
_SECOND_UNITS: Final = frozenset({b"EX", b"EXAT"})
_MILLISECONDS_PER_SECOND: Final = 1000
_ONLY_BYTES: Final = {bytes}


def lifetime_end_ms(amount: bytes, unit: bytes, now_ms: int, name: bytes) -> int:
    """When a lifetime of so many units ends, as Unix milliseconds; must be positive.

    `unit` is EX, PX, EXAT or PXAT, `name` that of the command in the error text.
    """
    number = parse_integer(amount)
    if number is None:
        raise NOT_AN_INTEGER
    end_ms = number
    if unit in _SECOND_UNITS:
        end_ms *= _MILLISECONDS_PER_SECOND
    if unit in _RELATIVE_UNITS:
        end_ms += now_ms
    if number <= 0 or end_ms > INTEGER_MAXIMUM:
        raise CommandError(b"ERR invalid expire time in '%b' command" % name)
    return end_ms


# --- one key -------------------------------------------------------------------------------------


def _get_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of GETs in one go."""
    keys = same_keys(requests, 2)
    if keys is None:
        return None
    values: list[Value] = session.db.get_many(keys)
    if set(map(type, values)) == _ONLY_BYTES:
        return Replies(flat_row, values, bulk)
    null = session.encoder.null
    replies: list[bytes] = []
    for value in values:
        if value is None:
            replies.append(null)
        elif type(value) is bytes and len(value) < 1024:
            replies.append(BULK_PREFIXES[len(value)] + value + CRLF)
        elif type(value) is bytes or type(value) is bytearray:
            replies.append(bulk(value))
        else:
            replies.append(refusal(session, b"GET", WRONG_TYPE))
    return encoded(replies)


@command(
    "GET",
    group="string",
    since="1.0.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key",
    batch=_get_many,
)
def get(session: Session, args: list[bytes]) -> bytes:
    """Returns the string under a key."""
    value = session.db.string(args[1])
    if value is None:
        return session.encoder.null
    length = len(value)
    if length < 1024:
        return BULK_PREFIXES[length] + value + CRLF
    return bulk(value)


def _ok(value: bytes) -> bytes:
    return OK


def _oks(values: Sequence[bytes]) -> bytes:
    return OK * len(values)


def _set_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of plain SETs in one go."""
    columns = maybe_columns(requests, 3)
    if columns is None:
        return None
    values = columns[2]
    session.db.set_many(columns[1], values)
    return Replies(_oks, values, _ok)


@command(
    "SET",
    group="string",
    since="1.0.0",
    arity=-3,
    flags="write denyoom",
    keys=(
        one_key(
            1, "RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS", notes="Only `GET` and `IFEQ` read it"
        ),
    ),
    args=(
        "key value [condition:oneof(IFEQ comparison-value|NX|XX)] [GET] "
        "[expiration:oneof(EX seconds|PX milliseconds|EXAT unix-time-seconds|"
        "PXAT unix-time-milliseconds|KEEPTTL)]"
    ),
    batch=_set_many,
)
def set_(session: Session, args: list[bytes]) -> bytes:
    """Stores a string under a key, whatever was there before."""
    if len(args) != 3:
        return _set_with_options(session, args)
    db = session.db
    key = args[1]
    db.set(key, args[2])
    db.changed(key, "$", b"set")
    return OK


def _set_with_options(session: Session, args: list[bytes]) -> bytes:
    unit = amount = condition = b""
    expected: bytes | None = None
    wants_old = False
    position, count = 3, len(args)
    while position < count:
        word = args[position].upper()
        position += 1
        if word in _LIFETIME_UNITS and unit in (b"", word) and position < count:
            unit, amount = word, args[position]
            position += 1
        elif word in (b"NX", b"XX") and condition in (b"", word):
            condition = word
        elif word == b"GET":
            wants_old = True
        elif word == b"KEEPTTL" and unit in (b"", word):
            unit = word
        elif word == b"IFEQ" and condition in (b"", word) and position < count:
            condition, expected = word, args[position]
            position += 1
        else:
            raise SYNTAX
    end_ms: int | None = None
    if unit in _LIFETIME_UNITS:
        end_ms = lifetime_end_ms(amount, unit, session.machine.clock.now_ms, b"set")
    db = session.db
    key = args[1]
    reply = OK
    if wants_old:
        old = db.string(key)
        reply = session.encoder.null if old is None else bulk(old)
    if condition and not _is_condition_met(session, key, condition, expected):
        return reply if wants_old else session.encoder.null
    if unit == b"KEEPTTL":
        db.put(key, args[2])
    else:
        db.set(key, args[2])
    db.changed(key, "$", b"set")
    if end_ms is not None:
        _start_lifetime(session, key, args[2], end_ms)
    elif expected is not None:
        # Servers that know no IFEQ may be listening, and the condition was met here anyway.
        db.effects.propagate_instead(
            db.index, (*(b"SET", key, args[2]), *((unit,) if unit else ()))
        )
    elif wants_old:
        options = [word for word in args[3:] if word.upper() != b"GET"]
        db.effects.propagate_instead(db.index, [*args[:3], *options])
    return reply


def _is_condition_met(
    session: Session, key: bytes, condition: bytes, expected: bytes | None
) -> bool:
    if condition == b"IFEQ":
        return session.db.string_for_write(key) == expected
    return (session.db.for_write(key) is None) == (condition == b"NX")


def _start_lifetime(session: Session, key: bytes, value: bytes, end_ms: int) -> None:
    """A key that was just set gets a lifetime, and the world hears of both in one."""
    db = session.db
    db.expire_at(key, end_ms)
    effects = db.effects
    if effects.observed:
        effects.record_event(db.index, key, "g", b"expire")
        effects.propagate_instead(db.index, (b"SET", key, value, b"PXAT", b"%d" % end_ms))


@command(
    "SETEX",
    group="string",
    since="2.0.0",
    arity=4,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"),),
    args="key seconds value",
)
def setex(session: Session, args: list[bytes]) -> bytes:
    """Stores a string that dies after some seconds."""
    return _set_for(session, args, b"EX", b"setex")


@command(
    "PSETEX",
    group="string",
    since="2.6.0",
    arity=4,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"),),
    args="key milliseconds value",
)
def psetex(session: Session, args: list[bytes]) -> bytes:
    """Stores a string that dies after some milliseconds."""
    return _set_for(session, args, b"PX", b"psetex")


def _set_for(session: Session, args: list[bytes], unit: bytes, name: bytes) -> bytes:
    _, key, amount, value = args
    end_ms = lifetime_end_ms(amount, unit, session.machine.clock.now_ms, name)
    db = session.db
    db.set(key, value)
    db.changed(key, "$", b"set")
    _start_lifetime(session, key, value, end_ms)
    return OK


@command(
    "SETNX",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "OW", "INSERT"),),
    args="key value",
)
def setnx(session: Session, args: list[bytes]) -> bytes:
    """Stores a string unless the key is taken."""
    db = session.db
    key = args[1]
    if db.for_write(key) is not None:
        return ZERO
    db.set(key, args[2])
    db.changed(key, "$", b"set")
    return ONE


@command(
    "GETSET",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key value",
    deprecated=("6.2.0", "`SET` with the `GET` option"),
)
def getset(session: Session, args: list[bytes]) -> bytes:
    """Stores a string and returns the one that it replaced."""
    db = session.db
    _, key, value = args
    old = db.string(key)
    reply = session.encoder.null if old is None else bulk(old)
    db.set(key, value)
    db.changed(key, "$", b"set")
    db.effects.propagate_instead(db.index, (b"SET", key, value))
    return reply


@command(
    "GETDEL",
    group="string",
    since="6.2.0",
    arity=2,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"),),
    args="key",
)
def getdel(session: Session, args: list[bytes]) -> bytes:
    """Returns the string under a key and deletes the key."""
    db = session.db
    key = args[1]
    value = db.string(key)
    if value is None:
        return session.encoder.null
    db.delete(key)
    db.changed(key, "g", b"del")
    db.effects.propagate_instead(db.index, (b"DEL", key))
    return bulk(value)


@command(
    "DELIFEQ",
    group="string",
    since="9.0.0",
    arity=3,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key value",
)
def delifeq(session: Session, args: list[bytes]) -> bytes:
    """Deletes a key if the string under it is the given one: how a lock is let go."""
    db = session.db
    key = args[1]
    if db.string_for_write(key) != args[2]:
        return ZERO
    db.delete(key)
    db.changed(key, "g", b"del")
    db.effects.propagate_instead(db.index, (b"DEL", key))
    return ONE


@command(
    "GETEX",
    group="string",
    since="6.2.0",
    arity=-2,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE", notes="Its lifetime is what changes"),),
    args=(
        "key [expiration:oneof(EX seconds|PX milliseconds|EXAT unix-time-seconds|"
        "PXAT unix-time-milliseconds|PERSIST)]"
    ),
)
def getex(session: Session, args: list[bytes]) -> bytes:
    """Returns the string under a key and changes how long it lives."""
    unit = amount = b""
    position, count = 2, len(args)
    while position < count:
        word = args[position].upper()
        position += 1
        if word in _LIFETIME_UNITS and unit in (b"", word) and position < count:
            unit, amount = word, args[position]
            position += 1
        elif word == b"PERSIST" and unit in (b"", word):
            unit = word
        else:
            raise SYNTAX
    db = session.db
    key = args[1]
    value = db.string(key)
    if value is None:
        return session.encoder.null
    if unit == b"PERSIST":
        if db.persist(key):
            db.changed(key, "g", b"persist")
            db.effects.propagate_instead(db.index, (b"PERSIST", key))
    elif unit:
        now_ms = session.machine.clock.now_ms
        end_ms = lifetime_end_ms(amount, unit, now_ms, b"getex")
        # A replica, or a node that reads its file, waits for the DEL of whoever knows the time.
        if end_ms <= now_ms and not (db.is_replica or db.clock.is_replaying):
            db.delete(key)
            db.changed(key, "g", b"del")
            db.effects.propagate_instead(db.index, (b"DEL", key))
        else:
            db.expire_at(key, end_ms)
            db.changed(key, "g", b"expire")
            db.effects.propagate_instead(db.index, (b"PEXPIREAT", key, b"%d" % end_ms))
    return bulk(value)


# --- many keys -----------------------------------------------------------------------------------


@command(
    "MGET",
    group="string",
    since="1.0.0",
    arity=-2,
    flags="readonly fast",
    keys=(key_range(1, "RO", "ACCESS"),),
    args="key...",
    complexity="O(N), N keys",
    tips=("request_policy:multi_shard",),
)
def mget(session: Session, args: list[bytes]) -> bytes:
    """Returns the strings under several keys, null where there is none."""
    values: list[Value] = session.db.get_many(args[1:])
    if set(map(type, values)) == _ONLY_BYTES:
        return bulk_row(values)
    null = session.encoder.null
    parts: list[bytes | bytearray] = [b"*%d\r\n" % len(values)]
    for value in values:
        if type(value) is bytes or type(value) is bytearray:
            length = len(value)
            parts += (
                BULK_PREFIXES[length] if length < 1024 else b"$%d\r\n" % length,
                value,
                CRLF,
            )
        else:
            parts.append(null)
    return b"".join(parts)


@command(
    "MSET",
    group="string",
    since="1.0.1",
    arity=-3,
    flags="write denyoom",
    keys=(key_range(1, "OW", "UPDATE", step=2),),
    args="(key value)...",
    complexity="O(N), N keys",
    tips=("request_policy:multi_shard", "response_policy:all_succeeded"),
)
def mset(session: Session, args: list[bytes]) -> bytes:
    """Stores several strings at once."""
    if not len(args) & 1:
        raise wrong_arity("mset")
    session.db.set_many(args[1::2], args[2::2])
    return OK


@command(
    "MSETNX",
    group="string",
    since="1.0.1",
    arity=-3,
    flags="write denyoom",
    keys=(key_range(1, "OW", "INSERT", step=2),),
    args="(key value)...",
    complexity="O(N), N keys",
    tips=("request_policy:multi_shard", "response_policy:agg_min"),
)
def msetnx(session: Session, args: list[bytes]) -> bytes:
    """Stores several strings at once, or none of them if one of the keys is taken."""
    if not len(args) & 1:
        raise wrong_arity("msetnx")
    for_write = session.db.for_write
    # All are looked at before the first is set, so that a key may stand there twice.
    for position in range(1, len(args), 2):
        if for_write(args[position]) is not None:
            return ZERO
    session.db.set_many(args[1::2], args[2::2])
    return ONE
