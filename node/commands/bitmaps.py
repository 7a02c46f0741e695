"""Bitmaps: strings seen as arrays of bits.

The arithmetic is in `values/bitstrings.py`; here are the arguments, the order in which they are
checked (Redis looks at some of them only when the key exists), and what changed.
"""

from typing import Final

from ...slots.keyspec import key_range, one_key
from ..errors import SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import ONE, ZERO, array, integer
from ..session import Session
from ..values.bitstrings import (
    FieldAction,
    FieldOperation,
    Overflow,
    combine,
    count_bits,
    find_bit,
    get_bit,
    get_field,
    parse_bit_offset,
    parse_field_type,
    run_field_operations,
    set_bit,
)
from .arguments import required_integer

_BAD_OFFSET: Final = CommandError(b"ERR bit offset is not an integer or out of range")
_BAD_BIT: Final = CommandError(b"ERR bit is not an integer or out of range")
_BIT_IS_NOT_0_OR_1: Final = CommandError(b"ERR The bit argument must be 1 or 0.")
_NOT_OF_ONE: Final = CommandError(b"ERR BITOP NOT must be called with a single source key.")
_BAD_FIELD_TYPE: Final = CommandError(
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
    b"i64 is."
)
_BAD_OVERFLOW: Final = CommandError(b"ERR Invalid OVERFLOW type specified")
_ONLY_GET: Final = CommandError(b"ERR BITFIELD_RO only supports the GET subcommand")

_BITS: Final = {b"0": 0, b"1": 1}
_UNITS: Final = {b"BYTE": False, b"BIT": True}
_OPERATIONS: Final = frozenset({b"AND", b"OR", b"XOR", b"NOT"})
_ACTIONS: Final = {action.value: action for action in FieldAction}
_OVERFLOWS: Final = {overflow.value: overflow for overflow in Overflow}


def _bit_offset(session: Session, text: bytes) -> int:
    offset = parse_bit_offset(text, session.machine.config.proto_max_bulk_len)
    if offset is None:
        raise _BAD_OFFSET
    return offset


def _is_in_bits(unit: bytes) -> bool:
    in_bits = _UNITS.get(unit.upper())
    if in_bits is None:
        raise SYNTAX
    return in_bits


@command(
    "SETBIT",
    group="bitmap",
    since="2.2.0",
    arity=4,
    flags="write denyoom",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key offset value:integer",
)
def setbit(session: Session, args: list[bytes]) -> bytes:
    """Sets one bit of a string and returns what it was."""
    key = args[1]
    offset = _bit_offset(session, args[2])
    bit = _BITS.get(args[3])
    if bit is None:
        raise _BAD_BIT
    db = session.db
    value = db.string_for_write(key)
    room = value if type(value) is bytearray else bytearray(value or b"")
    length = len(room)
    old = set_bit(room, offset, bit)
    if old != bit or len(room) != length:
        if room is not value:
            db.put(key, room)
        db.changed(key, "$", b"setbit")
    return ONE if old else ZERO


@command(
    "GETBIT",
    group="bitmap",
    since="2.2.0",
    arity=3,
    flags="readonly fast",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key offset",
)
def getbit(session: Session, args: list[bytes]) -> bytes:
    """Returns one bit of a string."""
    offset = _bit_offset(session, args[2])
    value = session.db.string(args[1])
    return ONE if value is not None and get_bit(value, offset) else ZERO


@command(
    "BITCOUNT",
    group="bitmap",
    since="2.6.0",
    arity=-2,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key [range:block(start end [BYTE|BIT])]",
    complexity="O(N), N bytes looked at",
)
def bitcount(session: Session, args: list[bytes]) -> bytes:
    """Counts the ones in a string or in part of it."""
    value = session.db.string(args[1])
    if value is None:
        return ZERO
    count = len(args)
    if count == 2:
        return integer(count_bits(value))
    if count not in (4, 5):
        raise SYNTAX
    start, end = required_integer(args[2]), required_integer(args[3])
    if start < 0 and end < 0 and start > end:
        return ZERO  # Redis sees that the range is empty before it looks at the unit.
    in_bits = count == 5 and _is_in_bits(args[4])
    return integer(count_bits(value, start, end, in_bits))


@command(
    "BITPOS",
    group="bitmap",
    since="2.8.7",
    arity=-3,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key bit [range:block(start [end-unit:block(end [BYTE|BIT])])]",
    complexity="O(N), N bytes looked at",
)
def bitpos(session: Session, args: list[bytes]) -> bytes:
    """Finds the first one or the first zero in a string or in part of it."""
    bit = required_integer(args[2])
    if bit not in (0, 1):
        raise _BIT_IS_NOT_0_OR_1
    value = session.db.string(args[1])
    if value is None:
        return integer(-1) if bit else ZERO
    count = len(args)
    if count > 6:
        raise SYNTAX
    start = required_integer(args[3]) if count > 3 else None
    in_bits = count == 6 and _is_in_bits(args[5])
    end = required_integer(args[4]) if count > 4 else None
    return integer(find_bit(value, bit, start, end, in_bits))


@command(
    "BITOP",
    group="bitmap",
    since="2.6.0",
    arity=-4,
    flags="write denyoom",
    keys=(one_key(2, "OW", "UPDATE"), key_range(3, "RO", "ACCESS")),
    args="AND|OR|XOR|NOT destkey key...",
    complexity="O(N), N bytes in the longest string",
)
def bitop(session: Session, args: list[bytes]) -> bytes:
    """Combines strings bit by bit and stores the result."""
    operation = args[1].upper()
    if operation not in _OPERATIONS:
        raise SYNTAX
    if operation == b"NOT" and len(args) != 4:
        raise _NOT_OF_ONE
    db = session.db
    destination = args[2]
    values = [db.string(key) or b"" for key in args[3:]]
    result = combine(operation, values)
    if result:
        db.set(destination, result)
        db.changed(destination, "$", b"set")
    elif db.delete(destination):
        db.changed(destination, "g", b"del")
    return integer(len(result))


@command(
    "BITFIELD",
    group="bitmap",
    since="3.2.0",
    arity=-2,
    flags="write denyoom",
    keys=(
        one_key(1, "RW", "ACCESS", "UPDATE", "VARIABLE_FLAGS", notes="`GET` alone only reads it"),
    ),
    args=(
        "key [operation:oneof(GET encoding offset|write:block([OVERFLOW WRAP|SAT|FAIL] "
        "(SET encoding offset value:integer|INCRBY encoding offset increment:integer)))]..."
    ),
    complexity="O(1) for each operation",
)
def bitfield(session: Session, args: list[bytes]) -> bytes:
    """Reads, writes and adds to integers of any width anywhere in a string."""
    operations = _parse_field_operations(session, args)
    if all(operation.action is FieldAction.GET for operation in operations):
        return _read_fields(session, args[1], operations)
    db = session.db
    key = args[1]
    value = db.string_for_write(key)
    room = value if type(value) is bytearray else bytearray(value or b"")
    length = len(room)
    numbers, change_count = run_field_operations(room, operations)
    has_grown = len(room) != length
    if change_count or has_grown:
        if room is not value:
            db.put(key, room)
        # Growing alone is not announced, but replicas must hear of it to stay equal.
        db.changed(key, "$", b"setbit" if change_count else b"")
    return _numbers_reply(session, numbers)


@command(
    "BITFIELD_RO",
    group="bitmap",
    since="6.0.0",
    arity=-2,
    flags="readonly fast",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key [GET (encoding offset)]...",
    complexity="O(1) for each operation",
)
def bitfield_ro(session: Session, args: list[bytes]) -> bytes:
    """Reads integers of any width anywhere in a string."""
    operations = _parse_field_operations(session, args)
    if any(operation.action is not FieldAction.GET for operation in operations):
        raise _ONLY_GET
    return _read_fields(session, args[1], operations)


def _parse_field_operations(session: Session, args: list[bytes]) -> list[FieldOperation]:
    operations: list[FieldOperation] = []
    overflow = Overflow.WRAP
    longest = session.machine.config.proto_max_bulk_len
    position, count = 2, len(args)
    while position < count:
        word = args[position].upper()
        remaining = count - position - 1
        if word == b"OVERFLOW" and remaining >= 1:
            chosen = _OVERFLOWS.get(args[position + 1].upper())
            if chosen is None:
                raise _BAD_OVERFLOW
            overflow = chosen
            position += 2
            continue
        action = _ACTIONS.get(word)
        is_reading = action is FieldAction.GET
        if action is None or remaining < (2 if is_reading else 3):
            raise SYNTAX
        field = parse_field_type(args[position + 1])
        if field is None:
            raise _BAD_FIELD_TYPE
        offset = parse_bit_offset(args[position + 2], longest, field.bits)
        if offset is None:
            raise _BAD_OFFSET
        amount = 0 if is_reading else required_integer(args[position + 3])
        operations.append(FieldOperation(action, field, offset, amount, overflow))
        position += 3 if is_reading else 4
    return operations


def _read_fields(session: Session, key: bytes, operations: list[FieldOperation]) -> bytes:
    value = session.db.string(key) or b""
    return array([integer(get_field(value, each.offset, each.field)) for each in operations])


def _numbers_reply(session: Session, numbers: list[int | None]) -> bytes:
    null = session.encoder.null
    return array([null if number is None else integer(number) for number in numbers])
