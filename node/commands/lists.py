"""Lists: pushing, popping, reading and editing one list under one key.

What moves elements between lists or waits for them is in `list_blocking`. LPUSH, RPUSH, LPOP and
RPOP are hot: their plain forms come first and touch nothing that they do not need.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..database import Database
from ..errors import (
    INDEX_OUT_OF_RANGE,
    MUST_BE_POSITIVE,
    NO_SUCH_KEY,
    SYNTAX,
    CommandError,
    wrong_arity,
)
from ..registry import command
from ..resp.bulks import bulk_row
from ..resp.encoder import (
    EMPTY_ARRAY,
    OK,
    ZERO,
    array,
    bulk,
    bulk_array,
    integer,
)
from ..session import Session
from ..values.listvalue import ListValue
from ..values.numbers import INTEGER_MAXIMUM, INTEGER_MINIMUM, parse_integer
from .arguments import required_integer
from .collection_batches import lpop_many, lpush_many, rpop_many, rpush_many

_LIMITLESS: Final = 1 << 62
_RANK_IS_ZERO: Final = CommandError(
    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    b"or use negative to start from the end of the list"
)
_COUNT_IS_NEGATIVE: Final = CommandError(b"ERR COUNT can't be negative")
_MAXLEN_IS_NEGATIVE: Final = CommandError(b"ERR MAXLEN can't be negative")
#: The lowest integer has no positive counterpart.
_NOT_INVERTIBLE: Final = CommandError(
    b"ERR value is out of range, value must between %d and %d"
    % (INTEGER_MINIMUM + 1, INTEGER_MAXIMUM)
)


def parse_signed_count(text: bytes) -> int:
    """A number whose sign is a direction, so that it must have a counterpart of the other sign."""
    number = required_integer(text)
    if number == INTEGER_MINIMUM:
        raise _NOT_INVERTIBLE
    return number


def announce_removal(db: Database, key: bytes, value: ListValue, event: bytes) -> None:
    """Elements went from the list under `key`; if it was emptied, so does the key."""
    if len(value):
        db.changed(key, "l", event)
        return
    db.delete(key)
    db.changed(key, "l", event)
    db.effects.record_event(db.index, key, "g", b"del")


# --- pushing -------------------------------------------------------------------------------------


@command(
    "LPUSH",
    group="list",
    since="1.0.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key element...",
    complexity="O(1) per element",
    batch=lpush_many,
)
def lpush(session: Session, args: list[bytes]) -> bytes:
    """Adds elements at the head of a list, which is made if need be."""
    db = session.db
    key = args[1]
    value = db.maybe_value(key)
    if type(value) is ListValue and value.is_quicklist and len(args) == 3:
        value.push_left(args[2])
        db.effects.dirty += 1
        return integer(len(value))
    value = db.typed_for_write(key, ListValue)
    if value is None:
        value = ListValue((), session.machine.limits)
        db.set(key, value)
    elements = args[2:]
    if not value.is_quicklist:
        value.expect(elements)
    for element in elements:
        value.push_left(element)
    db.changed(key, "l", b"lpush")
    return integer(len(value))


@command(
    "RPUSH",
    group="list",
    since="1.0.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key element...",
    complexity="O(1) per element",
    batch=rpush_many,
)
def rpush(session: Session, args: list[bytes]) -> bytes:
    """Adds elements at the tail of a list, which is made if need be."""
    db = session.db
    key = args[1]
    value = db.maybe_value(key)
    if type(value) is ListValue and value.is_quicklist and len(args) == 3:
        value.push_right(args[2])
        db.effects.dirty += 1
        return integer(len(value))
    value = db.typed_for_write(key, ListValue)
    if value is None:
        value = ListValue((), session.machine.limits)
        db.set(key, value)
    elements = args[2:]
    if not value.is_quicklist:
        value.expect(elements)
    for element in elements:
        value.push_right(element)
    db.changed(key, "l", b"rpush")
    return integer(len(value))


@command(
    "LPUSHX",
    group="list",
    since="2.2.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key element...",
    complexity="O(1) per element",
)
def lpushx(session: Session, args: list[bytes]) -> bytes:
    """Adds elements at the head of a list that exists."""
    if session.db.typed_for_write(args[1], ListValue) is None:
        return ZERO
    return lpush(session, args)


@command(
    "RPUSHX",
    group="list",
    since="2.2.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key element...",
    complexity="O(1) per element",
)
def rpushx(session: Session, args: list[bytes]) -> bytes:
    """Adds elements at the tail of a list that exists."""
    if session.db.typed_for_write(args[1], ListValue) is None:
        return ZERO
    return rpush(session, args)


@command(
    "LINSERT",
    group="list",
    since="2.2.0",
    arity=5,
    flags="write denyoom",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key where:oneof(BEFORE|AFTER) pivot element",
    complexity="O(N) in the number of elements up to the pivot",
)
def linsert(session: Session, args: list[bytes]) -> bytes:
    """Adds an element beside the first one that equals another."""
    _, key, where, pivot, element = args
    where = where.upper()
    if where not in (b"BEFORE", b"AFTER"):
        raise SYNTAX
    db = session.db
    value = db.typed_for_write(key, ListValue)
    if value is None:
        return ZERO
    # Redis makes room before it looks, and leaves it so.
    value.expect([element])
    index = next(value.positions(pivot), None)
    if index is None:
        return integer(-1)
    value.insert(index + (where == b"AFTER"), element)
    db.changed(key, "l", b"linsert")
    return integer(len(value))


# --- popping -------------------------------------------------------------------------------------


@command(
    "LPOP",
    group="list",
    since="1.0.0",
    arity=-2,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"),),
    args="key [count]",
    complexity="O(N) in the number of elements returned",
    batch=lpop_many,
)
def lpop(session: Session, args: list[bytes]) -> bytes:
    """Removes elements from the head of a list and returns them."""
    if len(args) != 2:
        return _pop_several(session, args, from_left=True)
    db = session.db
    key = args[1]
    value = db.maybe_value(key)
    if type(value) is ListValue and len(value) > 1:
        db.effects.dirty += 1
        return bulk(value.pop_left())
    value = db.typed_for_write(key, ListValue)
    if value is None:
        return session.encoder.null
    element = value.pop_left()
    announce_removal(db, key, value, b"lpop")
    return bulk(element)


@command(
    "RPOP",
    group="list",
    since="1.0.0",
    arity=-2,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"),),
    args="key [count]",
    complexity="O(N) in the number of elements returned",
    batch=rpop_many,
)
def rpop(session: Session, args: list[bytes]) -> bytes:
    """Removes elements from the tail of a list and returns them, last one first."""
    if len(args) != 2:
        return _pop_several(session, args, from_left=False)
    db = session.db
    key = args[1]
    value = db.maybe_value(key)
    if type(value) is ListValue and len(value) > 1:
        db.effects.dirty += 1
        return bulk(value.pop_right())
    value = db.typed_for_write(key, ListValue)
    if value is None:
        return session.encoder.null
    element = value.pop_right()
    announce_removal(db, key, value, b"rpop")
    return bulk(element)


def _pop_several(session: Session, args: list[bytes], *, from_left: bool) -> bytes:
    if len(args) > 3:
        raise wrong_arity("lpop" if from_left else "rpop")
    count = parse_integer(args[2])
    if count is None or count < 0:
        raise MUST_BE_POSITIVE
    value = session.db.typed_for_write(args[1], ListValue)
    if value is None:
        return session.encoder.null_array
    if not count:
        return EMPTY_ARRAY
    return bulk_array(pop_many(session, args[1], value, count, from_left=from_left))


def pop_many(
    session: Session, key: bytes, value: ListValue, count: int, *, from_left: bool
) -> list[bytes]:
    """Remove up to `count` elements from an end of the list under `key`, and announce that."""
    elements = value.pop_many_left(count) if from_left else value.pop_many_right(count)
    announce_removal(session.db, key, value, b"lpop" if from_left else b"rpop")
    return elements


# --- reading -------------------------------------------------------------------------------------


@command(
    "LLEN",
    group="list",
    since="1.0.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def llen(session: Session, args: list[bytes]) -> bytes:
    """Returns how many elements a list has."""
    value = session.db.typed(args[1], ListValue)
    return ZERO if value is None else integer(len(value))


@command(
    "LINDEX",
    group="list",
    since="1.0.0",
    arity=3,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key index",
    complexity="O(log N)",
)
def lindex(session: Session, args: list[bytes]) -> bytes:
    """Returns the element at a position, which counts from the end if it is negative."""
    value = session.db.typed(args[1], ListValue)
    if value is None:
        return session.encoder.null
    index = required_integer(args[2])
    size = len(value)
    if index < 0:
        index += size
    return bulk(value.get(index)) if 0 <= index < size else session.encoder.null


def _bounds(first: int, last: int, size: int) -> tuple[int, int]:
    """The range [start, stop) that two positions mean, the last one included."""
    start = max(first + size, 0) if first < 0 else first
    stop = min(last + size if last < 0 else last, size - 1) + 1
    return start, stop


@command(
    "LRANGE",
    group="list",
    since="1.0.0",
    arity=4,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key start stop",
    complexity="O(N) in the number of elements returned",
)
def lrange(session: Session, args: list[bytes]) -> bytes:
    """Returns the elements between two positions."""
    first, last = required_integer(args[2]), required_integer(args[3])
    value = session.db.typed(args[1], ListValue)
    if value is None:
        return EMPTY_ARRAY
    start, stop = _bounds(first, last, len(value))
    return bulk_row(value.range(start, stop))


@command(
    "LPOS",
    group="list",
    since="6.0.6",
    arity=-3,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key element [RANK rank:integer] [COUNT num-matches:integer] [MAXLEN len:integer]",
    complexity="O(N) in the length of the list",
)
def lpos(session: Session, args: list[bytes]) -> bytes:
    """Returns where in a list an element stands."""
    rank, most, longest_look = _parse_lpos(args)
    value = session.db.typed(args[1], ListValue)
    found: list[int] = []
    if value is not None:
        to_skip = abs(rank) - 1
        wanted = 1 if most is None else most or _LIMITLESS
        for position in value.positions(args[2], rank < 0, longest_look or _LIMITLESS):
            if to_skip:
                to_skip -= 1
                continue
            found.append(position)
            if len(found) == wanted:
                break
    if most is not None:
        return array([*map(integer, found)])
    return integer(found[0]) if found else session.encoder.null


def _parse_lpos(args: list[bytes]) -> tuple[int, int | None, int]:
    """Which match, how many of them (0: all, None: a single one), how far to look (0: all)."""
    rank, most, longest_look = 1, None, 0
    for position in range(3, len(args), 2):
        option = args[position].upper()
        if position + 1 == len(args):
            raise SYNTAX
        text = args[position + 1]
        if option == b"RANK":
            rank = parse_signed_count(text)
            if not rank:
                raise _RANK_IS_ZERO
        elif option == b"COUNT":
            most = parse_integer(text)
            if most is None or most < 0:
                raise _COUNT_IS_NEGATIVE
        elif option == b"MAXLEN":
            number = parse_integer(text)
            if number is None or number < 0:
                raise _MAXLEN_IS_NEGATIVE
            longest_look = number
        else:
            raise SYNTAX
    return rank, most, longest_look


# --- editing -------------------------------------------------------------------------------------


@command(
    "LSET",
    group="list",
    since="1.0.0",
    arity=4,
    flags="write denyoom",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key index element",
    complexity="O(log N)",
)
def lset(session: Session, args: list[bytes]) -> bytes:
    """Replaces the element at a position."""
    _, key, position, element = args
    db = session.db
    value = db.typed_for_write(key, ListValue)
    if value is None:
        raise NO_SUCH_KEY
    index = required_integer(position)
    value.expect([element])
    size = len(value)
    if index < 0:
        index += size
    if not 0 <= index < size:
        raise INDEX_OUT_OF_RANGE
    value.set(index, element)
    db.changed(key, "l", b"lset")
    return OK


@command(
    "LREM",
    group="list",
    since="1.0.0",
    arity=4,
    flags="write",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key count element",
    complexity="O(N) in the length of the list",
)
def lrem(session: Session, args: list[bytes]) -> bytes:
    """Removes elements that equal another, from the head or (negative count) from the tail."""
    _, key, limit, element = args
    count = parse_signed_count(limit)
    value = session.db.typed_for_write(key, ListValue)
    if value is None:
        return ZERO
    removed = value.remove(element, abs(count) or _LIMITLESS, count < 0)
    if removed:
        announce_removal(session.db, key, value, b"lrem")
    return integer(removed)


@command(
    "LTRIM",
    group="list",
    since="1.0.0",
    arity=4,
    flags="write",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key start stop",
    complexity="O(N) in the number of elements removed",
)
def ltrim(session: Session, args: list[bytes]) -> bytes:
    """Removes all elements but those between two positions."""
    first, last = required_integer(args[2]), required_integer(args[3])
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, ListValue)
    if value is None:
        return OK
    size = len(value)
    start, stop = _bounds(first, last, size)
    value.trim(start, stop)
    if len(value) != size:
        announce_removal(db, key, value, b"ltrim")
    elif db.effects.observed:
        # Announced like any other, but there is nothing to tell a replica.
        db.effects.record_change(db.index, key, "l", b"ltrim")
    return OK
