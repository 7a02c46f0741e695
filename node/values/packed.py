"""Small collections that nobody uses just now, each packed into one bytes object.

Ten fields of 16 bytes take 1600 bytes in a dict and 400 packed; Redis' listpacks take 370. What is
packed is no longer changed nor looked into: who wants to use it unpacks it (1 to 3 us for ten
elements), and it is packed again later (as much). So whatever is in use is as quick as ever; see
`compaction`.

What clients can see of a value is the same before and after: the order of its elements, and what
OBJECT ENCODING says. Values that remember anything else (lifetimes of fields, an encoding that is
not the natural one) are not packed, and large ones neither.
"""

import struct
from array import array
from collections.abc import Callable
from itertools import chain
from typing import Any, Final

from .hashvalue import HashValue
from .limits import CollectionLimits
from .listvalue import ListValue
from .packing import maybe_pack, unpack
from .setvalue import INTSET, LISTPACK, SetValue
from .zsetvalue import ZSetValue

#: Unpacking more elements would be felt by clients.
_MOST_ELEMENTS: Final = 256
_SCORE_BYTES: Final = 8
_COUNT_BYTES: Final = 2
#: Numbers are laid out in so many bytes each before what is empty in them is left out.
_WIDE_BYTES: Final = 8


class Packed(bytes):
    """A collection in one text. It happens to be a bytes object, but is no string."""

    __slots__ = ()

    #: What TYPE says.
    type_name: bytes

    def unpacked(self, limits: CollectionLimits) -> Any:
        """An equal value that can be used."""
        raise NotImplementedError


class PackedList(Packed):
    """The elements."""

    __slots__ = ()
    type_name = b"list"

    def unpacked(self, limits: CollectionLimits) -> ListValue:
        """The list."""
        return ListValue.from_compact(unpack(self), limits)


class PackedHash(Packed):
    """Field, value, field, value ..."""

    __slots__ = ()
    type_name = b"hash"

    def unpacked(self, limits: CollectionLimits) -> HashValue:
        """The hash."""
        value = HashValue(limits)
        texts = unpack(self)
        value.update(zip(texts[::2], texts[1::2], strict=True))
        return value


class PackedSet(Packed):
    """The members of a set that Redis would keep as a listpack."""

    __slots__ = ()
    type_name = b"set"

    def unpacked(self, limits: CollectionLimits) -> SetValue:
        """The set."""
        value = SetValue(limits)
        value.update(unpack(self))
        value.encoding = LISTPACK
        return value


class PackedIntset(Packed):
    """The lowest number, and how far above it each one is.

    The first byte tells how many bytes the lowest takes and how many each of the others, which is
    as few as will do: Redis' intsets know 2, 4 and 8 only, but need no object around them.
    """

    __slots__ = ()
    type_name = b"set"

    @classmethod
    def of(cls, numbers: list[int]) -> "PackedIntset":
        """Different numbers of 64 bits; there must be one."""
        lowest = min(numbers)
        # One bit is for the sign.
        lowest_bytes = lowest.bit_length() // 8 + 1
        width = max((max(numbers) - lowest).bit_length() + 7, 8) // 8
        wide = struct.pack(f"<{len(numbers)}Q", *[number - lowest for number in numbers])
        narrow = bytearray(width * len(numbers))
        for place in range(width):
            narrow[place::width] = wide[place::_WIDE_BYTES]
        head = bytes((lowest_bytes << 4 | width,))
        return cls(head + lowest.to_bytes(lowest_bytes, "little", signed=True) + narrow)

    def unpacked(self, limits: CollectionLimits) -> SetValue:
        """The set."""
        lowest_bytes, width = divmod(self[0], 16)
        start = 1 + lowest_bytes
        lowest = int.from_bytes(self[1:start], "little", signed=True)
        count = (len(self) - start) // width
        wide = bytearray(count * _WIDE_BYTES)
        for place in range(width):
            wide[place::_WIDE_BYTES] = self[start + place :: width]
        value = SetValue(limits)
        value.update([b"%d" % (lowest + above) for above in struct.unpack(f"<{count}Q", wide)])
        value.encoding = INTSET
        return value


class PackedZSet(Packed):
    """How many members there are, their scores, and themselves."""

    __slots__ = ()
    type_name = b"zset"

    def unpacked(self, limits: CollectionLimits) -> ZSetValue:
        """The sorted set."""
        names_from = _COUNT_BYTES + _SCORE_BYTES * int.from_bytes(self[:_COUNT_BYTES], "big")
        value = ZSetValue(limits)
        scores = array("d", self[_COUNT_BYTES:names_from])
        value.update(zip(unpack(self[names_from:]), scores, strict=True))
        return value


def _packed_list(value: ListValue) -> Packed | None:
    if value.is_quicklist is value.limits.has_listpack_lists:
        return None
    text = maybe_pack(value.range(0, len(value)))
    return None if text is None else PackedList(text)


def _packed_hash(value: HashValue) -> Packed | None:
    if not value.is_compact or value.has_expiry:
        return None
    text = maybe_pack(list(chain.from_iterable(value.items())))
    return None if text is None else PackedHash(text)


def _packed_set(value: SetValue) -> Packed | None:
    if value.encoding is LISTPACK:
        text = maybe_pack(list(value))
        return None if text is None else PackedSet(text)
    if value.encoding is not INTSET:
        return None
    return PackedIntset.of(list(map(int, value)))


def _packed_zset(value: ZSetValue) -> Packed | None:
    text = maybe_pack(list(value)) if value.is_compact else None
    if text is None:
        return None
    count = len(value).to_bytes(_COUNT_BYTES, "big")
    return PackedZSet(b"".join((count, array("d", value.values()), text)))


_PACKERS: Final[dict[type, Callable[[Any], Packed | None]]] = {
    ListValue: _packed_list,
    HashValue: _packed_hash,
    SetValue: _packed_set,
    ZSetValue: _packed_zset,
}
#: What is told by its exact class, as values are.
PACKED_KINDS: Final[frozenset[type[Packed]]] = frozenset(
    (PackedList, PackedHash, PackedSet, PackedIntset, PackedZSet)
)
PACKABLE_KINDS: Final = frozenset(_PACKERS)


def maybe_packed(value: Any) -> Packed | None:
    """A collection packed, or None if that is impossible or not worthwhile."""
    pack = _PACKERS.get(type(value))
    if pack is None or not 0 < len(value) <= _MOST_ELEMENTS:
        return None
    return pack(value)


def unpacked(value: Any, limits: CollectionLimits) -> Any:
    """A value that can be used, and is not stored: itself, unless it is packed."""
    return value.unpacked(limits) if type(value) in PACKED_KINDS else value
