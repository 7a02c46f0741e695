"""Values in their serialized form: what Redis 7.0 would write for the same value.

What OBJECT ENCODING calls compact is written compact, as far as Redis 7.0 reads it: a set that is a
listpack is written member by member. Only hashes whose fields have lifetimes need a newer Redis.
"""

from collections.abc import Callable
from typing import Any, Final

from ...values.hashvalue import HashValue
from ...values.limits import DEFAULT_LIMITS
from ...values.listvalue import ListValue
from ...values.numbers import format_double_stored
from ...values.packed import unpacked
from ...values.setvalue import INTSET, SetValue
from ...values.streamvalue import StreamValue
from ...values.zsetvalue import ZSetValue
from .lengths import encode_double, encode_length, encode_milliseconds, encode_string
from .listpack import encode_element, encode_integer, join_listpack
from .opcodes import (
    HASH,
    HASH_EXPIRING,
    HASH_LISTPACK,
    HASH_LISTPACK_EXPIRING,
    LIST_QUICKLIST_2,
    SET,
    SET_INTSET,
    STREAM_2,
    STRING,
    ZSET_2,
    ZSET_LISTPACK,
)
from .streams import encode_stream
from .ziplist import encode_intset

#: A node of a list is finished when it reaches this, as with list-max-listpack-size -2.
_NODE_BYTES: Final = 8192
_NODE_ELEMENTS: Final = 0xFFFF - 1
_PLAIN_NODE: Final = b"\x01"
_PACKED_NODE: Final = b"\x02"
_NO_LIFETIME: Final = encode_integer(0)


def needs_field_expiry(value: object) -> bool:
    """Whether only Redis 7.4 and later can read this value."""
    return type(value) is HashValue and value.has_expiry


def encode_body(value: object, compress: bool) -> tuple[int, bytes]:
    """The number of the value's type, and what follows it."""
    value = unpacked(value, DEFAULT_LIMITS)
    return _WRITERS[type(value)](value, compress)


def _string(value: bytes | bytearray, compress: bool) -> tuple[int, bytes]:
    return STRING, encode_string(value, compress)


def _list(value: ListValue, compress: bool) -> tuple[int, bytes]:
    nodes: list[bytes] = []
    elements: list[bytes] = []
    room = _NODE_BYTES

    def finish_node() -> None:
        if elements:
            nodes.append(_PACKED_NODE + encode_string(join_listpack(elements), compress))
            elements.clear()

    for text in value:
        if len(text) > _NODE_BYTES:
            finish_node()
            room = _NODE_BYTES
            nodes.append(_PLAIN_NODE + encode_string(text, compress))
            continue
        element = encode_element(text)
        room -= len(element)
        if room < 0 or len(elements) >= _NODE_ELEMENTS:
            finish_node()
            room = _NODE_BYTES - len(element)
        elements.append(element)
    finish_node()
    return LIST_QUICKLIST_2, encode_length(len(nodes)) + b"".join(nodes)


def _set(value: SetValue, compress: bool) -> tuple[int, bytes]:
    if value.encoding is INTSET:
        return SET_INTSET, encode_string(encode_intset(sorted(map(int, value))), compress)
    parts = [encode_length(len(value))]
    parts += [encode_string(member, compress) for member in value]
    return SET, b"".join(parts)


def _zset(value: ZSetValue, compress: bool) -> tuple[int, bytes]:
    pairs = value.pairs(0, len(value))
    if value.is_compact:
        elements: list[bytes] = []
        for member, score in pairs:
            elements.append(encode_element(member))
            elements.append(encode_element(format_double_stored(score)))
        return ZSET_LISTPACK, encode_string(join_listpack(elements), compress)
    parts = [encode_length(len(pairs))]
    # The highest first: so Redis loads it fastest.
    for member, score in reversed(pairs):
        parts.append(encode_string(member, compress))
        parts.append(encode_double(score))
    return ZSET_2, b"".join(parts)


def _hash(value: HashValue, compress: bool) -> tuple[int, bytes]:
    if value.has_expiry:
        return _expiring_hash(value, compress)
    if value.is_compact:
        elements = []
        for field, text in value.items():
            elements.append(encode_element(field))
            elements.append(encode_element(text))
        return HASH_LISTPACK, encode_string(join_listpack(elements), compress)
    parts = [encode_length(len(value))]
    for field, text in value.items():
        parts.append(encode_string(field, compress))
        parts.append(encode_string(text, compress))
    return HASH, b"".join(parts)


def _expiring_hash(value: HashValue, compress: bool) -> tuple[int, bytes]:
    first_ms = value.maybe_next_expiry_ms() or 0
    head = encode_milliseconds(first_ms)
    if value.is_compact:
        # Redis keeps such a listpack in the order of the lifetimes, fields without one last.
        endless = 1 << 62
        lifetimes = [
            (value.maybe_expiry_ms(field) or endless, field, text) for field, text in value.items()
        ]
        lifetimes.sort(key=lambda entry: entry[0])
        elements = []
        for at_ms, field, text in lifetimes:
            elements.append(encode_element(field))
            elements.append(encode_element(text))
            elements.append(_NO_LIFETIME if at_ms == endless else encode_integer(at_ms))
        body = encode_string(join_listpack(elements), compress)
        return HASH_LISTPACK_EXPIRING, head + body
    parts = [head, encode_length(len(value))]
    for field, text in value.items():
        at = value.maybe_expiry_ms(field)
        parts.append(encode_length(0 if at is None else at - first_ms + 1))
        parts.append(encode_string(field, compress))
        parts.append(encode_string(text, compress))
    return HASH_EXPIRING, b"".join(parts)


def _stream(value: StreamValue, compress: bool) -> tuple[int, bytes]:
    return STREAM_2, encode_stream(value, compress)


_WRITERS: Final[dict[type, Callable[[Any, bool], tuple[int, bytes]]]] = {
    bytes: _string,
    bytearray: _string,
    ListValue: _list,
    SetValue: _set,
    ZSetValue: _zset,
    HashValue: _hash,
    StreamValue: _stream,
}
