"""Ziplists, zipmaps and intsets: how Redis before 7.0 (the intset: ever since) packed values.

They are only read here, but for the intset.
"""

from struct import Struct, error
from typing import Final

from .errors import DamagedError
from .listpack import Element

_HEADER: Final = Struct("<IIH")
_HEADER_BYTES: Final = 10
_END: Final = 0xFF
_MANY: Final = 0xFFFF
_LONG_PREVIOUS: Final = 0xFE
#: Encoding -> how many bytes of a signed integer follow.
_INTEGERS: Final = {0xC0: 2, 0xD0: 4, 0xE0: 8, 0xF0: 3, 0xFE: 1}
_IMMEDIATE: Final = range(0xF1, 0xFE)
_LONG_STRING: Final = 0x80

_INTSET_HEADER: Final = Struct("<II")
_INTSET_WIDTHS: Final = {2: "h", 4: "i", 8: "q"}


def decode_ziplist_untrusted(data: bytes) -> list[Element]:
    """The elements of a ziplist; every length in it is checked."""
    if len(data) < _HEADER_BYTES + 1:
        raise DamagedError("ziplist is too short")
    size, tail, count = _HEADER.unpack_from(data)
    end = len(data) - 1
    if size != len(data) or data[end] != _END:
        raise DamagedError("ziplist does not end where it says")
    elements: list[Element] = []
    place = _HEADER_BYTES
    previous_bytes = 0
    last = place
    while place < end:
        start = place
        previous = data[place]
        place += 1
        if previous == _LONG_PREVIOUS:
            previous = int.from_bytes(data[place : place + 4], "little")
            place += 4
        if previous != previous_bytes or place >= end:
            raise DamagedError("ziplist element is damaged")
        element, place = _decode_element(data, place, end)
        if place > end:
            raise DamagedError("ziplist element reaches beyond the end")
        elements.append(element)
        previous_bytes = place - start
        last = start
    if tail != last or (count != _MANY and count != len(elements)):
        raise DamagedError("ziplist has another number of elements than it says")
    return elements


def _decode_element(data: bytes, place: int, end: int) -> tuple[Element, int]:
    """An element and where it ends, which may be behind the end."""
    kind = data[place]
    if kind < 0x40:
        start, size = place + 1, kind
    elif kind < _LONG_STRING:
        start, size = place + 2, (kind & 0x3F) << 8 | data[place + 1]
    elif kind == _LONG_STRING:
        start, size = place + 5, int.from_bytes(data[place + 1 : place + 5], "big")
    elif kind in _IMMEDIATE:
        return kind - 0xF1, place + 1
    else:
        width = _INTEGERS.get(kind)
        if width is None:
            raise DamagedError(f"unknown ziplist element 0x{kind:02x}")
        stop = place + 1 + width
        return int.from_bytes(data[place + 1 : stop], "little", signed=True), stop
    return data[start : start + size], start + size


def decode_zipmap_untrusted(data: bytes) -> list[Element]:
    """Field, value, field, value ... of a zipmap (hashes before Redis 2.6)."""
    end = len(data) - 1
    if end < 1 or data[end] != _END:
        raise DamagedError("zipmap does not end where it says")
    elements: list[Element] = []
    place = 1
    while place < end:
        is_value = bool(len(elements) & 1)
        size = data[place]
        place += 1
        if size == _LONG_PREVIOUS:
            size = int.from_bytes(data[place : place + 4], "little")
            place += 4
        elif size > _LONG_PREVIOUS:
            raise DamagedError("zipmap ends too early")
        free = 0
        if is_value:
            if place >= end:
                raise DamagedError("zipmap ends too early")
            free = data[place]
            place += 1
        if place + size + free > end:
            raise DamagedError("zipmap element reaches beyond the end")
        elements.append(data[place : place + size])
        place += size + free
    count = data[0]
    if place != end or len(elements) & 1 or (count < 254 and count != len(elements) // 2):
        raise DamagedError("zipmap has another number of elements than it says")
    return elements


def decode_intset_untrusted(data: bytes) -> list[int]:
    """The integers of an intset, which must ascend."""
    try:
        width, count = _INTSET_HEADER.unpack_from(data)
    except error:
        raise DamagedError("intset is too short") from None
    letter = _INTSET_WIDTHS.get(width)
    if letter is None or len(data) != _INTSET_HEADER.size + width * count:
        raise DamagedError("intset has an impossible length")
    numbers = list(Struct(f"<{count}{letter}").unpack_from(data, _INTSET_HEADER.size))
    if any(numbers[place] >= numbers[place + 1] for place in range(count - 1)):
        raise DamagedError("intset is not in order")
    return numbers


def encode_intset(numbers: list[int]) -> bytes:
    """An intset; the numbers ascend."""
    width = 2
    if numbers and not (numbers[0] >= -(1 << 15) and numbers[-1] < 1 << 15):
        width = 4 if numbers[0] >= -(1 << 31) and numbers[-1] < 1 << 31 else 8
    count = len(numbers)
    body = Struct(f"<{count}{_INTSET_WIDTHS[width]}").pack(*numbers)
    return _INTSET_HEADER.pack(width, count) + body
