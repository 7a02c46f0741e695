"""Hashes: fields and their values under one key.

HSET, HGET and HGETALL are hot. Fields with lifetimes (see `hash_expiry`) cost the others one test:
whether the hash has any.
"""

from itertools import chain
from typing import Final

from ...slots.keyspec import one_key
from ..errors import (
    INCREMENT_OVERFLOW,
    NAN_OR_INFINITY,
    NOT_A_FLOAT,
    CommandError,
    wrong_arity,
)
from ..field_expiry import hash_to_change, hash_to_read, is_field_dead, without_dead
from ..registry import command
from ..resp.bulks import bulk_row, opened_row
from ..resp.encoder import (
    BULK_PREFIXES,
    CRLF,
    EMPTY_ARRAY,
    OK,
    ONE,
    ZERO,
    array,
    bulk,
    bulk_array,
    integer,
)
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.numbers import (
    INTEGER_MAXIMUM,
    INTEGER_MINIMUM,
    LONG_DOUBLE_ZERO,
    add_long_doubles,
    format_long_double,
    parse_integer,
    parse_long_double,
)
from .arguments import required_integer
from .collection_batches import hget_many, hset_many
from .random_picks import parse_pick, pick
from .scan_collections import (
    EMPTY_SCAN,
    parse_cursor,
    parse_scan_options,
    scan_reply,
    scan_step,
)

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_LOOK: Final = (one_key(1, "RO"),)
_UPDATE: Final = (one_key(1, "RW", "UPDATE"),)
_INCREMENT: Final = (one_key(1, "RW", "ACCESS", "UPDATE"),)

_VALUE_NOT_AN_INTEGER: Final = CommandError(b"ERR hash value is not an integer")
_VALUE_NOT_A_FLOAT: Final = CommandError(b"ERR hash value is not a float")
_INCREMENT_INFINITE: Final = CommandError(b"ERR value is NaN or Infinity")

# --- setting -------------------------------------------------------------------------------------


def _put(session: Session, key: bytes, field: bytes, text: bytes) -> None:
    """Set a field, which keeps its lifetime, in a hash that may have to be made."""
    db = session.db
    value = hash_to_change(session, key)
    if value is None:
        value = HashValue(session.machine.limits)
        value.put(field, text)
        db.set(key, value)
    else:
        value.put_keeping_expiry(field, text)


def _set_all(session: Session, args: list[bytes]) -> int:
    """Set the fields from `args[2]` on; returns how many are new."""
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, HashValue)
    if value is not None and value.has_expiry:
        value = hash_to_change(session, key)
    made = value is None
    if value is None:
        value = HashValue(session.machine.limits)
    put = value.put
    created = 0
    for position in range(2, len(args), 2):
        if put(args[position], args[position + 1]):
            created += 1
    if made:
        db.set(key, value)
    db.changed(key, "h", b"hset")
    return created


@command(
    "HSET",
    group="hash",
    since="2.0.0",
    arity=-4,
    flags="write denyoom fast",
    keys=_UPDATE,
    args="key (field value)...",
    complexity="O(N), N fields",
    batch=hset_many,
)
def hset(session: Session, args: list[bytes]) -> bytes:
    """Sets fields of a hash and returns how many of them are new."""
    if len(args) & 1:
        raise wrong_arity("hset")
    return integer(_set_all(session, args))


@command(
    "HMSET",
    group="hash",
    since="2.0.0",
    arity=-4,
    flags="write denyoom fast",
    keys=_UPDATE,
    args="key (field value)...",
    complexity="O(N), N fields",
    deprecated=("4.0.0", "`HSET` with several fields"),
)
def hmset(session: Session, args: list[bytes]) -> bytes:
    """Sets fields of a hash."""
    if len(args) & 1:
        raise wrong_arity("hmset")
    _set_all(session, args)
    return OK


@command(
    "HSETNX",
    group="hash",
    since="2.0.0",
    arity=4,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key field value",
)
def hsetnx(session: Session, args: list[bytes]) -> bytes:
    """Sets a field of a hash unless there is one of that name."""
    _, key, field, text = args
    value = hash_to_change(session, key)
    if value is not None and field in value:
        return ZERO
    _put(session, key, field, text)
    session.db.changed(key, "h", b"hset")
    return ONE


@command(
    "HINCRBY",
    group="hash",
    since="2.0.0",
    arity=4,
    flags="write denyoom fast",
    keys=_INCREMENT,
    args="key field increment:integer",
)
def hincrby(session: Session, args: list[bytes]) -> bytes:
    """Adds an integer to the number in a field."""
    _, key, field, amount = args
    increment = required_integer(amount)
    value = hash_to_change(session, key)
    text = None if value is None else value.get(field)
    number = 0 if text is None else parse_integer(text)
    if number is None:
        raise _VALUE_NOT_AN_INTEGER
    number += increment
    if not INTEGER_MINIMUM <= number <= INTEGER_MAXIMUM:
        raise INCREMENT_OVERFLOW
    _put(session, key, field, b"%d" % number)
    session.db.changed(key, "h", b"hincrby")
    return integer(number)


@command(
    "HINCRBYFLOAT",
    group="hash",
    since="2.6.0",
    arity=4,
    flags="write denyoom fast",
    keys=_INCREMENT,
    args="key field increment:double",
)
def hincrbyfloat(session: Session, args: list[bytes]) -> bytes:
    """Adds a floating point number to the number in a field."""
    _, key, field, amount = args
    increment = parse_long_double(amount)
    if increment is None:
        raise NOT_A_FLOAT
    if increment.is_infinite:
        raise _INCREMENT_INFINITE
    db = session.db
    value = hash_to_change(session, key)
    text = None if value is None else value.get(field)
    number = LONG_DOUBLE_ZERO if text is None else parse_long_double(text)
    if number is None:
        raise _VALUE_NOT_A_FLOAT
    total = add_long_doubles(number, increment)
    if total is None:
        raise NAN_OR_INFINITY
    text = format_long_double(total)
    _put(session, key, field, text)
    db.changed(key, "h", b"hincrbyfloat")
    # Another machine might round differently: the sum is sent, not the summand.
    if value is not None and value.maybe_expiry_ms(field) is not None:
        words = (b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, text)
        db.effects.propagate_instead(db.index, words)
    else:
        db.effects.propagate_instead(db.index, (b"HSET", key, field, text))
    return bulk(text)


@command(
    "HDEL",
    group="hash",
    since="2.0.0",
    arity=-3,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key field...",
    complexity="O(N), N fields",
)
def hdel(session: Session, args: list[bytes]) -> bytes:
    """Removes fields of a hash and returns how many there were."""
    key = args[1]
    value = hash_to_change(session, key)
    if value is None:
        return ZERO
    taken = 0
    for position in range(2, len(args)):
        if value.take(args[position]) is not None:
            taken += 1
    if taken:
        announce_removal(session, key, value, b"hdel")
    return integer(taken)


def announce_removal(session: Session, key: bytes, value: HashValue, event: bytes) -> None:
    """Fields were taken out of a hash: it goes if it is empty now."""
    db = session.db
    if value:
        db.changed(key, "h", event)
    else:
        db.delete(key)
        db.changed(key, "h", event)
        db.changed(key, "g", b"del")


# --- single fields -------------------------------------------------------------------------------


@command(
    "HGET",
    group="hash",
    since="2.0.0",
    arity=3,
    flags="readonly fast",
    keys=_READ,
    args="key field",
    batch=hget_many,
)
def hget(session: Session, args: list[bytes]) -> bytes:
    """Returns the value of a field."""
    value = session.db.typed(args[1], HashValue)
    if value is None:
        return session.encoder.null
    text = value.get(args[2])
    if text is None or (value.has_expiry and is_field_dead(session, args[1], value, args[2])):
        return session.encoder.null
    length = len(text)
    if length < 1024:
        return BULK_PREFIXES[length] + text + CRLF
    return bulk(text)


@command(
    "HMGET",
    group="hash",
    since="2.0.0",
    arity=-3,
    flags="readonly fast",
    keys=_READ,
    args="key field...",
    complexity="O(N), N fields",
)
def hmget(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of several fields, null where there is none."""
    null = session.encoder.null
    value = hash_to_read(session, args[1])
    count = len(args) - 2
    if value is None:
        return b"*%d\r\n" % count + null * count
    texts = map(value.get, args[2:])
    return array([null if text is None else bulk(text) for text in texts])


@command(
    "HSTRLEN",
    group="hash",
    since="3.2.0",
    arity=3,
    flags="readonly fast",
    keys=_LOOK,
    args="key field",
)
def hstrlen(session: Session, args: list[bytes]) -> bytes:
    """Returns how long the value of a field is; 0 if there is none."""
    value = session.db.typed(args[1], HashValue)
    text = None if value is None else value.get(args[2])
    if value is None or text is None:
        return ZERO
    if value.has_expiry and is_field_dead(session, args[1], value, args[2]):
        return ZERO
    return integer(len(text))


@command(
    "HEXISTS",
    group="hash",
    since="2.0.0",
    arity=3,
    flags="readonly fast",
    keys=_LOOK,
    args="key field",
)
def hexists(session: Session, args: list[bytes]) -> bytes:
    """Tells whether a hash has a field."""
    value = session.db.typed(args[1], HashValue)
    if value is None or args[2] not in value:
        return ZERO
    if value.has_expiry and is_field_dead(session, args[1], value, args[2]):
        return ZERO
    return ONE


# --- whole hashes --------------------------------------------------------------------------------


@command(
    "HLEN",
    group="hash",
    since="2.0.0",
    arity=2,
    flags="readonly fast",
    keys=_LOOK,
    args="key",
)
def hlen(session: Session, args: list[bytes]) -> bytes:
    """Returns how many fields a hash has."""
    value = hash_to_read(session, args[1])
    return ZERO if value is None else integer(len(value))


@command(
    "HGETALL",
    group="hash",
    since="2.0.0",
    arity=2,
    flags="readonly",
    keys=_READ,
    args="key",
    complexity="O(N) in the size of the hash",
    tips=("nondeterministic_output_order",),
)
def hgetall(session: Session, args: list[bytes]) -> bytes:
    """Returns all fields with their values."""
    value = session.db.typed(args[1], HashValue)
    if value is not None and value.has_expiry:
        value = without_dead(session, args[1], value)
    resp3 = session.resp3
    if value is None:
        return b"%0\r\n" if resp3 else EMPTY_ARRAY
    flat = list(chain.from_iterable(value.items()))
    return opened_row(b"%%%d" % len(value), flat) if resp3 else bulk_row(flat)


@command(
    "HKEYS",
    group="hash",
    since="2.0.0",
    arity=2,
    flags="readonly",
    keys=_READ,
    args="key",
    complexity="O(N) in the size of the hash",
    tips=("nondeterministic_output_order",),
)
def hkeys(session: Session, args: list[bytes]) -> bytes:
    """Returns the names of all fields."""
    value = hash_to_read(session, args[1])
    return EMPTY_ARRAY if value is None else bulk_row(list(value))


@command(
    "HVALS",
    group="hash",
    since="2.0.0",
    arity=2,
    flags="readonly",
    keys=_READ,
    args="key",
    complexity="O(N) in the size of the hash",
    tips=("nondeterministic_output_order",),
)
def hvals(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of all fields."""
    value = hash_to_read(session, args[1])
    return EMPTY_ARRAY if value is None else bulk_row(list(value.values()))


@command(
    "HRANDFIELD",
    group="hash",
    since="6.2.0",
    arity=-2,
    flags="readonly",
    keys=_READ,
    args="key [options:block(count [WITHVALUES])]",
    complexity="O(N), N fields returned",
    tips=("nondeterministic_output",),
)
def hrandfield(session: Session, args: list[bytes]) -> bytes:
    """Returns one or several fields at random."""
    rng = session.machine.rng
    if len(args) == 2:
        value = hash_to_read(session, args[1])
        return session.encoder.null if value is None else bulk(value.random_member(rng))
    count, with_values = parse_pick(args, b"WITHVALUES")
    value = hash_to_read(session, args[1])
    if value is None or count == 0:
        return EMPTY_ARRAY
    fields = pick(value, count, rng)
    if not with_values:
        return bulk_array(fields)
    if session.resp3:
        return array([b"*2\r\n" + bulk(field) + bulk(value[field]) for field in fields])
    return bulk_array([text for field in fields for text in (field, value[field])])


@command(
    "HSCAN",
    group="hash",
    since="2.8.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args="key cursor [MATCH pattern] [COUNT count] [NOVALUES]",
    complexity="O(1) per call, O(N) for a whole round",
    tips=("nondeterministic_output",),
)
def hscan(session: Session, args: list[bytes]) -> bytes:
    """Returns some of the fields with their values, and the cursor with which to ask for more."""
    cursor = parse_cursor(args[2])
    value = hash_to_read(session, args[1])
    if value is None:
        return EMPTY_SCAN
    options = parse_scan_options(args, knows_novalues=True)
    whole = list(value) if value.is_compact else None
    following, fields = scan_step(value, cursor, options, whole)
    if options.leaves_out_values:
        return scan_reply(following, fields)
    return scan_reply(following, [text for field in fields for text in (field, value[field])])
