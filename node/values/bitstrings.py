"""Strings as arrays of bits: the work behind SETBIT, BITCOUNT, BITPOS, BITOP and BITFIELD.

Owns the arithmetic, on `bytes` or `bytearray`; bit 0 is the highest bit of the first byte.

Rules:

* What changes a string takes a `bytearray` and changes it in place. It grows, filled with zeros,
  before anything else is done, as it does in Redis, where even a BITFIELD whose every operation
  fails has grown its string.
* Beyond the end of a string all bits are zero.
* Indexes that come from clients may be negative and beyond the ends; only this module bends them.
* Megabytes are handled as one large integer or by one call of a bytes method, never bit by bit.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from functools import reduce
from operator import and_, or_, xor

import attrs

from .numbers import parse_integer

_INVERTED = bytes(255 - byte for byte in range(256))
_WIDEST_SIGNED_BITS = 64
_WIDEST_UNSIGNED_BITS = 63

BitString = bytes | bytearray


def parse_bit_offset(data: bytes, proto_max_bulk_len: int, field_bits: int = 0) -> int | None:
    """Read a bit offset; with the width of a field, `#n` stands for the n-th such field."""
    is_counted_in_fields = field_bits > 0 and data.startswith(b"#")
    offset = parse_integer(data[1:] if is_counted_in_fields else data)
    if offset is None:
        return None
    if is_counted_in_fields:
        offset *= field_bits
    return offset if offset >= 0 and offset >> 3 < proto_max_bulk_len else None


def grow_to_bit(value: bytearray, offset: int) -> bool:
    """Lengthen a string so that it has a bit; tell whether that was needed."""
    missing = (offset >> 3) + 1 - len(value)
    if missing <= 0:
        return False
    value.extend(bytes(missing))
    return True


def get_bit(value: BitString, offset: int) -> int:
    """Return one bit."""
    position = offset >> 3
    return value[position] >> (7 - (offset & 7)) & 1 if position < len(value) else 0


def set_bit(value: bytearray, offset: int, bit: int) -> int:
    """Set one bit and return what it was."""
    grow_to_bit(value, offset)
    position, shift = offset >> 3, 7 - (offset & 7)
    byte = value[position]
    value[position] = byte & ~(1 << shift) | bit << shift
    return byte >> shift & 1


def count_bits(
    value: BitString, start: int | None = None, end: int | None = None, in_bits: bool = False
) -> int:
    """Count the ones, of all or from start to end (inclusive, in bytes or in bits)."""
    if start is None or end is None:
        return int.from_bytes(value, "big").bit_count()
    if start < 0 and end < 0 and start > end:
        return 0
    start, end = _bend(start, end, len(value) * 8 if in_bits else len(value))
    if start > end:
        return 0
    if not in_bits:
        return int.from_bytes(value[start : end + 1], "big").bit_count()
    chunk = int.from_bytes(value[start >> 3 : (end >> 3) + 1], "big")
    chunk &= (1 << ((end >> 3) - (start >> 3) + 1) * 8 - (start & 7)) - 1
    return (chunk >> 7 - (end & 7)).bit_count()


def find_bit(
    value: BitString,
    bit: int,
    start: int | None = None,
    end: int | None = None,
    in_bits: bool = False,
) -> int:
    """Return the offset of the first such bit, or -1.

    Without an end, zeros go on behind the string: the first zero behind ones alone is there. An
    empty range has neither ones nor zeros. (A missing key, unlike an empty string, has its first
    zero at 0; that is for the command to know.)
    """
    size = len(value) * 8 if in_bits else len(value)
    low, high = _bend(start or 0, size - 1 if end is None else end, size)
    if low > high:
        return -1
    first_bit, last_bit = (low, high) if in_bits else (low * 8, high * 8 + 7)
    first_byte = first_bit >> 3
    chunk = bytearray(value[first_byte : (last_bit >> 3) + 1])
    # What is outside of the range becomes what is not looked for.
    before, behind = 0xFF << 8 - (first_bit & 7) & 0xFF, 0xFF >> (last_bit & 7) + 1
    if bit:
        chunk[0] &= ~before
        chunk[-1] &= ~behind & 0xFF
    else:
        chunk[0] |= before
        chunk[-1] |= behind
    rest = chunk.lstrip(b"\x00" if bit else b"\xff")
    if not rest:
        return -1 if bit or end is not None else len(value) * 8
    byte = rest[0] if bit else 0xFF - rest[0]
    return (first_byte + len(chunk) - len(rest)) * 8 + 8 - byte.bit_length()


def _bend(start: int, end: int, size: int) -> tuple[int, int]:
    """Count negative indexes from the end and keep both within the string."""
    if start < 0:
        start = max(0, size + start)
    if end < 0:
        end = max(0, size + end)
    return start, min(end, size - 1)


_COMBINE: dict[bytes, Callable[[int, int], int]] = {b"AND": and_, b"OR": or_, b"XOR": xor}


def combine(operation: bytes, values: Sequence[BitString]) -> bytes:
    """BITOP: AND, OR or XOR of all (missing ones given as empty), or NOT of one."""
    if operation == b"NOT":
        (value,) = values
        return bytes(value.translate(_INVERTED))
    # Read as little-endian, shorter strings are filled with zeros at their ends by themselves.
    numbers = [int.from_bytes(value, "little") for value in values]
    return reduce(_COMBINE[operation], numbers).to_bytes(max(map(len, values)), "little")


class Overflow(enum.Enum):
    """What a BITFIELD write does with a number that does not fit."""

    WRAP = b"WRAP"
    SATURATE = b"SAT"
    FAIL = b"FAIL"


class FieldAction(enum.Enum):
    """What a BITFIELD operation does with its field."""

    GET = b"GET"
    SET = b"SET"
    INCREMENT = b"INCRBY"


@attrs.frozen(slots=True)
class FieldType:
    """The type of a field: its width, and whether it has a sign."""

    bits: int
    is_signed: bool

    @property
    def minimum(self) -> int:
        """The smallest number that fits."""
        return -(1 << self.bits - 1) if self.is_signed else 0

    @property
    def maximum(self) -> int:
        """The largest number that fits."""
        return (1 << self.bits - 1 if self.is_signed else 1 << self.bits) - 1


@attrs.frozen(slots=True)
class FieldOperation:
    """One operation of a BITFIELD command; the amount is the new number or the increment."""

    action: FieldAction
    field: FieldType
    offset: int
    amount: int = 0
    overflow: Overflow = Overflow.WRAP


def parse_field_type(data: bytes) -> FieldType | None:
    """Read a type such as i16 or u8; i64 is the widest signed and u63 the widest unsigned one."""
    if data[:1] not in (b"i", b"u"):
        return None
    is_signed = data[:1] == b"i"
    # Redis reads a C string here, which ends at a NUL.
    bits = parse_integer(data[1:].partition(b"\0")[0])
    widest = _WIDEST_SIGNED_BITS if is_signed else _WIDEST_UNSIGNED_BITS
    return FieldType(bits, is_signed) if bits is not None and 1 <= bits <= widest else None


def get_field(value: BitString, offset: int, field: FieldType) -> int:
    """Read the number in a field."""
    first, last = offset >> 3, offset + field.bits - 1 >> 3
    chunk = int.from_bytes(value[first : last + 1].ljust(last - first + 1, b"\0"), "big")
    number = chunk >> 7 - (offset + field.bits - 1 & 7) & (1 << field.bits) - 1
    return number - (1 << field.bits) if number > field.maximum else number


def set_field(value: bytearray, offset: int, field: FieldType, number: int) -> None:
    """Write a number that fits into a field of a string that is long enough."""
    first, last = offset >> 3, offset + field.bits - 1 >> 3
    shift = 7 - (offset + field.bits - 1 & 7)
    mask = (1 << field.bits) - 1
    chunk = int.from_bytes(value[first : last + 1], "big") & ~(mask << shift)
    chunk |= (number & mask) << shift
    value[first : last + 1] = chunk.to_bytes(last - first + 1, "big")


def _is_beyond_64_bits(number: int, field: FieldType) -> bool:
    """Whether the distance from a number up to the field's maximum wraps around in C."""
    return field.bits != 64 and field.maximum - number >= 1 << 63


def run_field_operations(
    value: bytearray, operations: Sequence[FieldOperation]
) -> tuple[list[int | None], int]:
    """BITFIELD: run all operations in place; return the replies and the number of changes.

    A write into a string that had to grow counts as a change whatever it wrote.
    """
    ends = [op.offset + op.field.bits - 1 for op in operations if op.action != FieldAction.GET]
    has_grown = bool(ends) and grow_to_bit(value, max(ends))
    replies: list[int | None] = []
    change_count = 0
    for operation in operations:
        field, offset = operation.field, operation.offset
        old = get_field(value, offset, field)
        if operation.action is FieldAction.GET:
            replies.append(old)
            continue
        wanted = operation.amount
        if operation.action is FieldAction.INCREMENT:
            wanted += old
        elif not field.is_signed:
            wanted %= 1 << 64  # A negative number is a very large one: it saturates upwards.
        elif operation.overflow is Overflow.SATURATE and _is_beyond_64_bits(wanted, field):
            wanted = field.maximum + 1  # So Redis saturates upwards, too.
        new = _fit(wanted, field, operation.overflow)
        if new is None:
            replies.append(None)
            continue
        set_field(value, offset, field, new)
        change_count += has_grown or new != old
        replies.append(new if operation.action is FieldAction.INCREMENT else old)
    return replies, change_count


def _fit(number: int, field: FieldType, overflow: Overflow) -> int | None:
    if field.minimum <= number <= field.maximum:
        return number
    if overflow is Overflow.FAIL:
        return None
    if overflow is Overflow.SATURATE:
        return field.maximum if number > field.maximum else field.minimum
    return (number - field.minimum) % (1 << field.bits) + field.minimum
