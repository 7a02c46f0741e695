"""Values from their serialized form, whatever version of Redis or Valkey wrote it.

The bytes may come from anywhere. What is damaged raises `DamagedError`, what ends too early raises
`IncompleteError`, and nothing else is ever raised; duplicates and broken orders count as damage.
"""

import math
from collections.abc import Callable
from struct import Struct
from typing import Final

from ...values.fieldnames import shared_name
from ...values.hashvalue import HashValue
from ...values.limits import CollectionLimits
from ...values.listvalue import ListValue
from ...values.numbers import parse_float
from ...values.setvalue import HASHTABLE, INTSET, LISTPACK, SetValue
from ...values.streamvalue import StreamValue
from ...values.zsetvalue import ZSetValue
from .errors import DamagedError
from .lengths import Cursor
from .listpack import Element, as_texts, decode_listpack_untrusted
from .opcodes import (
    HASH,
    HASH_EXPIRING,
    HASH_EXPIRING_PRE_GA,
    HASH_LISTPACK,
    HASH_LISTPACK_EXPIRING,
    HASH_LISTPACK_EXPIRING_PRE_GA,
    HASH_ZIPLIST,
    HASH_ZIPMAP,
    LIST,
    LIST_QUICKLIST,
    LIST_QUICKLIST_2,
    LIST_ZIPLIST,
    MODULE_2,
    MODULE_DOUBLE,
    MODULE_END,
    MODULE_FLOAT,
    MODULE_PRE_GA,
    MODULE_SIGNED,
    MODULE_STRING,
    MODULE_UNSIGNED,
    NODE_LISTPACK,
    NODE_PLAIN,
    SET,
    SET_INTSET,
    SET_LISTPACK,
    STREAM,
    STREAM_2,
    STREAM_3,
    STRING,
    ZSET,
    ZSET_2,
    ZSET_LISTPACK,
    ZSET_ZIPLIST,
)
from .streams import read_stream
from .ziplist import decode_intset_untrusted, decode_ziplist_untrusted, decode_zipmap_untrusted

#: What a snapshot can hold. None stands for an empty collection, which is no value.
ReadValue = bytes | ListValue | SetValue | ZSetValue | HashValue | StreamValue | None

#: More fields than this are not shared between hashes.
_SHARED_NAMES_UP_TO: Final = 64
_LONGEST_LIFETIME_MS: Final = (1 << 48) - 2
#: Scores as Redis before 4.0 wrote them: a length, or one of these.
_NAN, _INFINITY, _MINUS_INFINITY = 253, 254, 255
_FLOAT: Final = Struct("<f")
_MODULE_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def read_value(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ReadValue:
    """The value that begins at the cursor."""
    read = _READERS.get(type_number)
    if read is None:
        if type_number in (MODULE_2, MODULE_PRE_GA):
            name = "?" if type_number == MODULE_PRE_GA else module_name(cursor.length())
            raise DamagedError(f"values of modules cannot be loaded (type {name})")
        raise DamagedError(f"unknown type {type_number} of a value")
    return read(cursor, type_number, limits)


def _string(cursor: Cursor, type_number: int, limits: CollectionLimits) -> bytes:
    return cursor.string()


# --- lists
# -------------------------------------------------------------------------------------------


def _list(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ListValue | None:
    string = cursor.string
    return _list_of([string() for _ in range(cursor.length())], limits)


def _list_of(elements: list[bytes], limits: CollectionLimits) -> ListValue | None:
    return ListValue(elements, limits) if elements else None


def _packed_list(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ListValue | None:
    return _list_of(as_texts(decode_ziplist_untrusted(cursor.string())), limits)


def _quicklist(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ListValue | None:
    elements: list[bytes] = []
    for _ in range(cursor.length()):
        if type_number == LIST_QUICKLIST:
            elements += as_texts(decode_ziplist_untrusted(cursor.string()))
            continue
        container = cursor.length()
        if container == NODE_PLAIN:
            elements.append(cursor.string())
        elif container == NODE_LISTPACK:
            elements += as_texts(decode_listpack_untrusted(cursor.string()))
        else:
            raise DamagedError(f"unknown kind {container} of a list node")
    return _list_of(elements, limits)


# --- sets
# --------------------------------------------------------------------------------------------


def _set(cursor: Cursor, type_number: int, limits: CollectionLimits) -> SetValue | None:
    string = cursor.string
    count = cursor.length()
    members = [string() for _ in range(count)]
    value = SetValue.from_members(members, limits)
    return _checked_set(value, count)


def _checked_set(value: SetValue, count: int) -> SetValue | None:
    if len(value) != count:
        raise DamagedError("set has a member twice")
    return value or None


def _intset(cursor: Cursor, type_number: int, limits: CollectionLimits) -> SetValue | None:
    numbers = decode_intset_untrusted(cursor.string())
    value = SetValue(limits)
    set.update(value, [b"%d" % number for number in numbers])
    value.encoding = INTSET if len(numbers) <= limits.set_max_intset_entries else HASHTABLE
    return _checked_set(value, len(numbers))


def _listpack_set(cursor: Cursor, type_number: int, limits: CollectionLimits) -> SetValue | None:
    members = as_texts(decode_listpack_untrusted(cursor.string()))
    value = SetValue(limits)
    set.update(value, members)
    fits = limits.has_listpack_sets and len(members) <= limits.set_max_listpack_entries
    value.encoding = LISTPACK if fits else HASHTABLE
    return _checked_set(value, len(members))


# --- sorted sets
# -------------------------------------------------------------------------------------


def _zset(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ZSetValue | None:
    count = cursor.length()
    scores: dict[bytes, float] = {}
    string = cursor.string
    for _ in range(count):
        member = string()
        score = cursor.double() if type_number == ZSET_2 else _old_score(cursor)
        if score != score:
            raise DamagedError("sorted set has a score that is no number")
        scores[member] = score
    return _zset_of(scores, count, limits, False)


def _old_score(cursor: Cursor) -> float:
    size = cursor.byte()
    if size == _NAN:
        return math.nan
    if size == _INFINITY:
        return math.inf
    if size == _MINUS_INFINITY:
        return -math.inf
    return _score(cursor.take(size))


def _score(element: Element) -> float:
    score = float(element) if type(element) is int else parse_float(bytes(element))
    if score is None or score != score:
        raise DamagedError("sorted set has a score that is no number")
    return score


def _packed_zset(cursor: Cursor, type_number: int, limits: CollectionLimits) -> ZSetValue | None:
    elements = _unpack(cursor, type_number == ZSET_ZIPLIST)
    if len(elements) & 1:
        raise DamagedError("sorted set has a member without a score")
    members = as_texts(elements[::2])
    scores = dict(zip(members, map(_score, elements[1::2]), strict=True))
    return _zset_of(scores, len(members), limits, True)


def _unpack(cursor: Cursor, is_ziplist: bool) -> list[Element]:
    decode = decode_ziplist_untrusted if is_ziplist else decode_listpack_untrusted
    return decode(cursor.string())


def _zset_of(
    scores: dict[bytes, float], count: int, limits: CollectionLimits, was_packed: bool
) -> ZSetValue | None:
    if len(scores) != count:
        raise DamagedError("sorted set has a member twice")
    value = ZSetValue.from_scores(scores, limits)
    if was_packed:
        # Redis looks only at the number: what is too long stays packed until something changes.
        value.is_compact = count <= limits.zset_max_listpack_entries
    return value or None


# --- hashes
# ------------------------------------------------------------------------------------------


def _hash(cursor: Cursor, type_number: int, limits: CollectionLimits) -> HashValue | None:
    count = cursor.length()
    string = cursor.string
    fields: dict[bytes, bytes] = {}
    for _ in range(count):
        field = string()
        fields[field] = string()
    return _hash_of(fields, count, limits, False)


def _packed_hash(cursor: Cursor, type_number: int, limits: CollectionLimits) -> HashValue | None:
    if type_number == HASH_ZIPMAP:
        elements = decode_zipmap_untrusted(cursor.string())
    else:
        elements = _unpack(cursor, type_number == HASH_ZIPLIST)
    if len(elements) & 1:
        raise DamagedError("hash has a field without a value")
    texts = as_texts(elements)
    fields = dict(zip(texts[::2], texts[1::2], strict=True))
    return _hash_of(fields, len(texts) // 2, limits, type_number != HASH_ZIPMAP)


def _hash_of(
    fields: dict[bytes, bytes], count: int, limits: CollectionLimits, was_packed: bool
) -> HashValue | None:
    if len(fields) != count:
        raise DamagedError("hash has a field twice")
    if not fields:
        return None
    if count <= _SHARED_NAMES_UP_TO:
        fields = {shared_name(field): text for field, text in fields.items()}
    value = HashValue(limits)
    value.update(fields)
    longest = limits.hash_max_listpack_value
    value.is_compact = count <= limits.hash_max_listpack_entries and (
        was_packed
        or all(len(field) <= longest and len(text) <= longest for field, text in fields.items())
    )
    return value


def _expiring_hash(cursor: Cursor, type_number: int, limits: CollectionLimits) -> HashValue | None:
    first_ms = cursor.milliseconds() if type_number == HASH_EXPIRING else 1
    count = cursor.length()
    string = cursor.string
    fields: dict[bytes, bytes] = {}
    lifetimes: dict[bytes, int] = {}
    for _ in range(count):
        lifetime = cursor.length()
        field = string()
        fields[field] = string()
        if lifetime:
            lifetimes[field] = lifetime + first_ms - 1
    return _with_lifetimes(_hash_of(fields, count, limits, False), lifetimes)


def _packed_expiring_hash(
    cursor: Cursor, type_number: int, limits: CollectionLimits
) -> HashValue | None:
    if type_number == HASH_LISTPACK_EXPIRING:
        # When the first field dies; that is seen below.
        cursor.milliseconds()
    elements = decode_listpack_untrusted(cursor.string())
    if len(elements) % 3:
        raise DamagedError("hash has a field without a value or a lifetime")
    names = as_texts(elements[::3])
    fields = dict(zip(names, as_texts(elements[1::3]), strict=True))
    lifetimes: dict[bytes, int] = {}
    for name, lifetime in zip(names, elements[2::3], strict=True):
        if type(lifetime) is not int:
            raise DamagedError("hash has a lifetime that is no number")
        if lifetime:
            lifetimes[name] = lifetime
    return _with_lifetimes(_hash_of(fields, len(names), limits, True), lifetimes)


def _with_lifetimes(value: HashValue | None, lifetimes: dict[bytes, int]) -> HashValue | None:
    if value is not None:
        for field, at_ms in lifetimes.items():
            if not 0 <= at_ms <= _LONGEST_LIFETIME_MS:
                raise DamagedError("hash has an impossible lifetime")
            value.expire_at(field, at_ms)
    return value


# --- streams and modules
# -----------------------------------------------------------------------------


def _stream(cursor: Cursor, type_number: int, limits: CollectionLimits) -> StreamValue:
    return read_stream(cursor, type_number, limits)


def module_name(number: int) -> str:
    """The nine letters that are in a module's number, and the version behind them."""
    letters = bytes(_MODULE_LETTERS[number >> shift & 63] for shift in range(58, 9, -6))
    return f"{letters.decode()} version {number & 1023}"


def skip_module_parts(cursor: Cursor) -> None:
    """Pass over what a module wrote, up to its end."""
    while True:
        part = cursor.length()
        if part == MODULE_END:
            return
        if part in (MODULE_SIGNED, MODULE_UNSIGNED):
            cursor.length()
        elif part == MODULE_FLOAT:
            cursor.skip(_FLOAT.size)
        elif part == MODULE_DOUBLE:
            cursor.double()
        elif part == MODULE_STRING:
            cursor.string()
        else:
            raise DamagedError(f"unknown part {part} of a module's value")


_Reader = Callable[[Cursor, int, CollectionLimits], ReadValue]
_READERS: Final[dict[int, _Reader]] = {
    STRING: _string,
    LIST: _list,
    SET: _set,
    ZSET: _zset,
    HASH: _hash,
    ZSET_2: _zset,
    HASH_ZIPMAP: _packed_hash,
    LIST_ZIPLIST: _packed_list,
    SET_INTSET: _intset,
    ZSET_ZIPLIST: _packed_zset,
    HASH_ZIPLIST: _packed_hash,
    LIST_QUICKLIST: _quicklist,
    STREAM: _stream,
    HASH_LISTPACK: _packed_hash,
    ZSET_LISTPACK: _packed_zset,
    LIST_QUICKLIST_2: _quicklist,
    STREAM_2: _stream,
    SET_LISTPACK: _listpack_set,
    STREAM_3: _stream,
    HASH_EXPIRING_PRE_GA: _expiring_hash,
    HASH_LISTPACK_EXPIRING_PRE_GA: _packed_expiring_hash,
    HASH_EXPIRING: _expiring_hash,
    HASH_LISTPACK_EXPIRING: _packed_expiring_hash,
}
