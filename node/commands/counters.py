"""Counters: strings that are numbers, changed by an amount.

A counter is an ordinary string; its text is read and written anew by each command. INCR is hot, so
it adds by itself.
"""

from ...slots.keyspec import one_key
from ..errors import (
    INCREMENT_OVERFLOW,
    NAN_OR_INFINITY,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    CommandError,
)
from ..registry import command
from ..resp.encoder import bulk, integer
from ..session import Session
from ..values.numbers import (
    INTEGER_MAXIMUM,
    INTEGER_MINIMUM,
    LONG_DOUBLE_ZERO,
    add_long_doubles,
    format_long_double,
    parse_integer,
    parse_long_double,
)

_DECREMENT_OVERFLOW = CommandError(b"ERR decrement would overflow")


@command(
    "INCR",
    group="string",
    since="1.0.0",
    arity=2,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key",
)
def incr(session: Session, args: list[bytes]) -> bytes:
    """Adds one to the number under a key."""
    db = session.db
    key = args[1]
    value = db.string_for_write(key)
    number = 0 if value is None else parse_integer(bytes(value))
    if number is None:
        raise NOT_AN_INTEGER
    if number == INTEGER_MAXIMUM:
        raise INCREMENT_OVERFLOW
    number += 1
    db.put(key, b"%d" % number)
    db.changed(key, "$", b"incrby")
    return integer(number)


@command(
    "DECR",
    group="string",
    since="1.0.0",
    arity=2,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key",
)
def decr(session: Session, args: list[bytes]) -> bytes:
    """Takes one from the number under a key."""
    return _add(session, args[1], -1)


@command(
    "INCRBY",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key increment:integer",
)
def incrby(session: Session, args: list[bytes]) -> bytes:
    """Adds an integer to the number under a key."""
    increment = parse_integer(args[2])
    if increment is None:
        raise NOT_AN_INTEGER
    return _add(session, args[1], increment)


@command(
    "DECRBY",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key decrement:integer",
)
def decrby(session: Session, args: list[bytes]) -> bytes:
    """Takes an integer from the number under a key."""
    decrement = parse_integer(args[2])
    if decrement is None:
        raise NOT_AN_INTEGER
    if decrement == INTEGER_MINIMUM:
        # Its negation is no 64-bit integer.
        raise _DECREMENT_OVERFLOW
    return _add(session, args[1], -decrement)


def _add(session: Session, key: bytes, increment: int) -> bytes:
    db = session.db
    value = db.string_for_write(key)
    number = 0 if value is None else parse_integer(bytes(value))
    if number is None:
        raise NOT_AN_INTEGER
    number += increment
    if not INTEGER_MINIMUM <= number <= INTEGER_MAXIMUM:
        raise INCREMENT_OVERFLOW
    db.put(key, b"%d" % number)
    db.changed(key, "$", b"incrby")
    return integer(number)


@command(
    "INCRBYFLOAT",
    group="string",
    since="2.6.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key increment:double",
)
def incrbyfloat(session: Session, args: list[bytes]) -> bytes:
    """Adds a floating point number to the number under a key."""
    db = session.db
    key = args[1]
    value = db.string_for_write(key)
    number = LONG_DOUBLE_ZERO if value is None else parse_long_double(bytes(value))
    increment = parse_long_double(args[2])
    if number is None or increment is None:
        raise NOT_A_FLOAT
    total = add_long_doubles(number, increment)
    if total is None:
        raise NAN_OR_INFINITY
    text = format_long_double(total)
    db.put(key, text)
    db.changed(key, "$", b"incrbyfloat")
    # Another machine might round differently: the sum is sent, not the summand.
    db.effects.propagate_instead(db.index, (b"SET", key, text, b"KEEPTTL"))
    return bulk(text)
