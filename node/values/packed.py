"""Small collections that nobody uses just now, each packed into one bytes object.

Ten fields of 16 bytes take 1600 bytes in a dict and 400 packed; Redis' listpacks take 370. What is
packed is no longer changed nor looked into: who wants to use it unpacks it (1 to 3 us for ten
elements), and it is packed again later (as much). So whatever is in use is as quick as ever; see
`compaction`.

What clients can see of a value is the same before and after: the order of its elements, and what
OBJECT ENCODING says. Values that remember anything else (lifetimes of fields, an encoding that is
not the natural one) are not packed, and large ones neither.
"""

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
#: The narrowest of these that holds all numbers is chosen, as in Redis' intsets.
_INTEGER_CODES: Final = ((1 << 15, "h"), (1 << 31, "i"), (1 << 63, "q"))


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
    """The code of an array, and its numbers."""

    __slots__ = ()
    type_name = b"set"

    def unpacked(self, limits: CollectionLimits) -> SetValue:
        """The set."""
        value = SetValue(limits)
        value.update([b"%d" % number for number in array(chr(self[0]), self[1:])])
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
    numbers = [int(member) for member in value]
    low, high = min(numbers), max(numbers)
    code = next(code for limit, code in _INTEGER_CODES if -limit <= low and high < limit)
    return PackedIntset(code.encode() + array(code, numbers).tobytes())


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
