"""Listpacks: many short strings and integers in one, as small collections are serialized."""

from collections.abc import Callable
from struct import Struct
from typing import Final

from ...values.numbers import parse_integer
from .errors import DamagedError

#: An element as it is kept; integers become text for those who want text.
Element = bytes | int

_HEADER: Final = Struct("<IH")
_HEADER_BYTES: Final = 6
_END: Final = 0xFF
#: The count is not known once it does not fit.
_MANY: Final = 0xFFFF
_SHORTEST: Final = _HEADER_BYTES + 1
_LONGEST_INTEGER: Final = 20
_NINE: Final = 0x39
#: First byte -> how many bytes of a signed integer follow.
_INTEGERS: Final = {0xF1: 2, 0xF2: 3, 0xF3: 4, 0xF4: 8}
_LONG_STRING: Final = 0xF0


def decode_listpack_untrusted(data: bytes) -> list[Element]:
    """The elements of a listpack; every length in it is checked."""
    end = len(data)
    if end < _SHORTEST:
        raise DamagedError("listpack is too short")
    size, count = _HEADER.unpack_from(data)
    if size != end or data[-1] != _END:
        raise DamagedError("listpack does not end where it says")
    elements: list[Element] = []
    append = elements.append
    place = _HEADER_BYTES
    end -= 1
    while place < end:
        first = data[place]
        if first < 0x80:
            append(first)
            stop = place + 1
        elif first < 0xC0:
            stop = place + 1 + (first & 0x3F)
            append(data[place + 1 : stop])
        else:
            stop = _decode_long(data, place, first, append)
        length = stop - place
        if stop >= end or not (
            data[stop] == length if length < 128 else _has_back_length(data, stop, length)
        ):
            raise DamagedError("listpack element is damaged")
        place = stop + (1 if length < 128 else _back_length_size(length))
    if place != end or (count != _MANY and count != len(elements)):
        raise DamagedError("listpack has another number of elements than it says")
    return elements


def _decode_long(data: bytes, place: int, first: int, append: Callable[[Element], None]) -> int:
    """Any element but the two shortest kinds; returns where it ends."""
    # Slices that reach behind the end are noticed by the caller, which looks at `stop`.
    if first < 0xE0:
        value = (first & 0x1F) << 8 | data[place + 1]
        append(value - 0x2000 if value >= 0x1000 else value)
        return place + 2
    if first < 0xF0:
        start = place + 2
        stop = start + ((first & 0x0F) << 8 | data[place + 1])
    elif first == _LONG_STRING:
        start = place + 5
        stop = start + int.from_bytes(data[place + 1 : start], "little")
    else:
        width = _INTEGERS.get(first)
        if width is None:
            raise DamagedError(f"unknown listpack element 0x{first:02x}")
        stop = place + 1 + width
        append(int.from_bytes(data[place + 1 : stop], "little", signed=True))
        return stop
    append(data[start:stop])
    return stop


def _back_length_size(length: int) -> int:
    # The limits are one less than would fit, as they are in Redis.
    if length < (1 << 14) - 1:
        return 1 if length < 128 else 2
    if length < (1 << 21) - 1:
        return 3
    return 4 if length < (1 << 28) - 1 else 5


def _back_length(length: int) -> bytes:
    """The length of an element as it stands behind it: seven bits a byte, readable backwards."""
    if length < 128:
        return bytes((length,))
    groups = []
    for _ in range(_back_length_size(length)):
        groups.append(length & 0x7F | 0x80)
        length >>= 7
    groups[-1] &= 0x7F
    return bytes(reversed(groups))


def _has_back_length(data: bytes, place: int, length: int) -> bool:
    return data.startswith(_back_length(length), place)


def as_texts(elements: list[Element]) -> list[bytes]:
    """All elements as text."""
    return [b"%d" % element if isinstance(element, int) else element for element in elements]


# --- writing
# -----------------------------------------------------------------------------------------


def encode_element(text: bytes) -> bytes:
    """One element with its length behind it; what is an integer becomes one."""
    size = len(text)
    if size <= _LONGEST_INTEGER and size and text[0] <= _NINE:
        number = parse_integer(text)
        if number is not None:
            return encode_integer(number)
    if size < 62:
        return b"%c%b%c" % (0x80 | size, text, size + 1)
    if size < 64:
        head = bytes((0x80 | size,))
    elif size < 4096:
        head = bytes((0xE0 | size >> 8, size & 0xFF))
    else:
        head = b"\xf0" + size.to_bytes(4, "little")
    return head + text + _back_length(len(head) + size)


def encode_integer(value: int) -> bytes:
    """An integer as an element."""
    if 0 <= value <= 127:
        return bytes((value, 1))
    if -4096 <= value < 4096:
        return bytes((0xC0 | value >> 8 & 0x1F, value & 0xFF, 2))
    if -(1 << 15) <= value < 1 << 15:
        return b"\xf1" + value.to_bytes(2, "little", signed=True) + b"\x03"
    if -(1 << 23) <= value < 1 << 23:
        return b"\xf2" + value.to_bytes(3, "little", signed=True) + b"\x04"
    if -(1 << 31) <= value < 1 << 31:
        return b"\xf3" + value.to_bytes(4, "little", signed=True) + b"\x05"
    return b"\xf4" + value.to_bytes(8, "little", signed=True) + b"\x09"


def join_listpack(elements: list[bytes]) -> bytes:
    """A listpack of encoded elements."""
    body = b"".join(elements)
    count = len(elements)
    header = _HEADER.pack(_SHORTEST + len(body), count if count < _MANY else _MANY)
    return b"%b%b\xff" % (header, body)
