"""Lengths, strings and numbers: what everything in a snapshot is made of.

`Cursor` reads them from bytes that may come from anywhere: nothing is allocated on the word of a
length. Where the data ends too early it raises `IncompleteError`, as more may be on its way.
"""

from struct import Struct
from typing import Final

from ...values.numbers import parse_integer
from .errors import DamagedError, IncompleteError
from .lzf import SHORTEST, decompress_untrusted, maybe_compress
from .opcodes import (
    COMPRESSED,
    INTEGER_8,
    INTEGER_16,
    INTEGER_32,
    LENGTH_32,
    LENGTH_64,
)

_BIG_32: Final = Struct(">I")
_BIG_64: Final = Struct(">Q")
_SIGNED_8: Final = Struct("<b")
_SIGNED_16: Final = Struct("<h")
_SIGNED_32: Final = Struct("<i")
_SIGNED_64: Final = Struct("<q")
_UNSIGNED_64: Final = Struct("<Q")
_DOUBLE: Final = Struct("<d")
_STREAM_ID: Final = Struct(">QQ")

#: No string is longer, whatever its length says.
LONGEST_STRING: Final = 1 << 32
#: Longer texts are never stored as integers.
_LONGEST_INTEGER: Final = 11
_NINE: Final = 0x39


class Cursor:
    """A place in some bytes."""

    __slots__ = ("data", "end", "place")

    def __init__(self, data: bytes, place: int = 0, end: int | None = None) -> None:
        self.data = data
        self.place = place
        self.end = len(data) if end is None else end

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        place = self.place
        stop = place + count
        if stop > self.end:
            raise IncompleteError(stop)
        self.place = stop
        return self.data[place:stop]

    def skip(self, count: int) -> int:
        """Pass over `count` bytes; returns where they start."""
        place = self.place
        stop = place + count
        if stop > self.end:
            raise IncompleteError(stop)
        self.place = stop
        return place

    def byte(self) -> int:
        """The next byte."""
        place = self.place
        if place >= self.end:
            raise IncompleteError(place + 1)
        self.place = place + 1
        return self.data[place]

    def length(self) -> int:
        """A length, or any other unsigned number that is written as one."""
        first = self.byte()
        if first < 0x40:
            return first
        if first < 0x80:
            return (first & 0x3F) << 8 | self.byte()
        if first == LENGTH_32:
            return int(_BIG_32.unpack_from(self.data, self.skip(4))[0])
        if first == LENGTH_64:
            return int(_BIG_64.unpack_from(self.data, self.skip(8))[0])
        raise DamagedError(f"no length begins with byte 0x{first:02x}")

    def string(self) -> bytes:
        """A string: plain, compressed, or an integer."""
        first = self.byte()
        if first < 0x40:
            return self.take(first)
        if first >= INTEGER_8:
            return self._special_string(first)
        self.place -= 1
        size = self.length()
        if size > LONGEST_STRING:
            raise DamagedError(f"string of {size} bytes")
        return self.take(size)

    def _special_string(self, first: int) -> bytes:
        if first == INTEGER_8:
            return b"%d" % int(_SIGNED_8.unpack_from(self.data, self.skip(1))[0])
        if first == INTEGER_16:
            return b"%d" % int(_SIGNED_16.unpack_from(self.data, self.skip(2))[0])
        if first == INTEGER_32:
            return b"%d" % int(_SIGNED_32.unpack_from(self.data, self.skip(4))[0])
        if first != COMPRESSED:
            raise DamagedError(f"unknown encoding 0x{first:02x} of a string")
        compressed_size = self.length()
        size = self.length()
        if compressed_size > LONGEST_STRING or size > LONGEST_STRING:
            raise DamagedError(f"string of {max(size, compressed_size)} bytes")
        return decompress_untrusted(self.take(compressed_size), size)

    def double(self) -> float:
        """A score of eight bytes."""
        return float(_DOUBLE.unpack_from(self.data, self.skip(8))[0])

    def milliseconds(self) -> int:
        """A time."""
        return int(_SIGNED_64.unpack_from(self.data, self.skip(8))[0])

    def unsigned_64(self) -> int:
        """Eight bytes, the lowest first."""
        return int(_UNSIGNED_64.unpack_from(self.data, self.skip(8))[0])

    def stream_id(self) -> tuple[int, int]:
        """An ID of sixteen bytes, the highest first."""
        milliseconds, sequence = _STREAM_ID.unpack_from(self.data, self.skip(16))
        return milliseconds, sequence


# --- writing
# -----------------------------------------------------------------------------------------

SHORT_LENGTHS: Final = tuple(bytes([size]) for size in range(64))


def encode_length(value: int) -> bytes:
    """A length."""
    if value < 0x40:
        return SHORT_LENGTHS[value]
    if value < 0x4000:
        return bytes((0x40 | value >> 8, value & 0xFF))
    if value < 1 << 32:
        return b"\x80" + _BIG_32.pack(value)
    return b"\x81" + _BIG_64.pack(value)


def encode_string(text: bytes | bytearray, compress: bool) -> bytes:
    """A string: as an integer or compressed where that is shorter."""
    size = len(text)
    if size <= _LONGEST_INTEGER:
        if size and text[0] <= _NINE:
            number = parse_integer(bytes(text))
            if number is not None and -(1 << 31) <= number < 1 << 31:
                return encode_small_integer(number)
        return SHORT_LENGTHS[size] + text
    if compress and size >= SHORTEST:
        packed = maybe_compress(bytes(text))
        if packed is not None:
            return b"\xc3" + encode_length(len(packed)) + encode_length(size) + packed
    return encode_length(size) + text


def encode_small_integer(number: int) -> bytes:
    """A string that is an integer of 32 bits."""
    if -128 <= number <= 127:
        return b"\xc0" + _SIGNED_8.pack(number)
    if -32768 <= number <= 32767:
        return b"\xc1" + _SIGNED_16.pack(number)
    return b"\xc2" + _SIGNED_32.pack(number)


def encode_milliseconds(value: int) -> bytes:
    """A time."""
    return _SIGNED_64.pack(value)


def encode_double(value: float) -> bytes:
    """A score."""
    return _DOUBLE.pack(value)


def encode_stream_id(entry_id: tuple[int, int]) -> bytes:
    """An ID of sixteen bytes."""
    return _STREAM_ID.pack(*entry_id)
