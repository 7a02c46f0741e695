"""Streams in snapshots: their listpacks of entries, and the consumer groups.

A listpack starts with a master entry (how many entries, how many of them deleted, the fields of the
first one); then come the entries, their IDs as differences to that of the master entry. Deleted
ones are only marked in Redis; here they are gone, so that what is written has none.
"""

from itertools import chain
from typing import Final

from ...values.limits import CollectionLimits
from ...values.streamentries import Fields, StreamId, StreamNode
from ...values.streamgroups import Consumer, ConsumerGroup
from ...values.streamvalue import ZERO_ID, StreamValue
from .errors import DamagedError
from .lengths import (
    Cursor,
    encode_length,
    encode_milliseconds,
    encode_stream_id,
    encode_string,
)
from .listpack import (
    Element,
    as_texts,
    decode_listpack_untrusted,
    encode_element,
    encode_integer,
    join_listpack,
)
from .opcodes import STREAM, STREAM_3

_DELETED: Final = 1
_SAME_FIELDS: Final = 2
_64_BITS: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63
#: An ID of a key of Redis' tree.
_ID_BYTES: Final = 16
#: How an unknown number of entries is written.
_UNKNOWN: Final = _64_BITS
_ZERO: Final = encode_integer(0)


def read_stream(cursor: Cursor, type_number: int, limits: CollectionLimits) -> StreamValue:
    """A stream, whatever the version of its type."""
    stream = StreamValue(limits)
    nodes: list[StreamNode] = []
    length = 0
    highest = ZERO_ID
    for _ in range(cursor.length()):
        key = cursor.string()
        if len(key) != _ID_BYTES:
            raise DamagedError("stream node is not found by an ID")
        first_id = Cursor(key).stream_id()
        if nodes and first_id <= highest:
            raise DamagedError("stream nodes are not in order")
        node = _node_of(first_id, decode_listpack_untrusted(listpack := cursor.string()))
        node.listpack_bytes = len(listpack)
        highest = node.last_id
        length += len(node)
        nodes.append(node)
    for node in nodes[:-1]:
        node.pack()
    stream.adopt(nodes)
    if cursor.length() != length:
        raise DamagedError("stream has another length than it says")
    stream.last_id = (cursor.length(), cursor.length())
    if stream.last_id < highest:
        raise DamagedError("stream has entries behind its last ID")
    if type_number == STREAM:
        stream.entries_added = length
    else:
        # Where the first entry is was seen above.
        cursor.length(), cursor.length()
        stream.max_deleted_id = (cursor.length(), cursor.length())
        stream.entries_added = cursor.length()
    for _ in range(cursor.length()):
        _read_group(cursor, type_number, stream)
    return stream


def _node_of(first_id: StreamId, elements: list[Element]) -> StreamNode:
    """The entries of one listpack."""
    walk = _Walk(elements)
    count, deleted = walk.number(), walk.number()
    names = walk.texts(walk.number())
    if count < 0 or deleted < 0 or walk.number() != 0:
        raise DamagedError("stream node has a damaged master entry")
    # The node takes its fields from the first entry, values and all.
    node = StreamNode(first_id, tuple(chain.from_iterable((name, b"") for name in names)))
    last_id = None
    for _ in range(count + deleted):
        flags = walk.number()
        entry_id = (
            (first_id[0] + walk.number()) & _64_BITS,
            (first_id[1] + walk.number()) & _64_BITS,
        )
        fields = walk.fields(flags, names)
        if (entry_id < first_id) if last_id is None else (entry_id <= last_id):
            raise DamagedError("stream entries are not in order")
        last_id = entry_id
        if flags & _DELETED:
            node.deleted += 1
            node.last_id = entry_id
        else:
            node.append(entry_id, fields)
    if node.deleted != deleted or not walk.is_done:
        raise DamagedError("stream node has another number of entries than it says")
    return node


class _Walk:
    """Steps through the elements of a listpack, each of which may be anything."""

    __slots__ = ("_elements", "_place")

    def __init__(self, elements: list[Element]) -> None:
        self._elements = elements
        self._place = 0

    @property
    def is_done(self) -> bool:
        """Whether nothing is left."""
        return self._place == len(self._elements)

    def number(self) -> int:
        """The next element, which must be an integer."""
        if self.is_done:
            raise DamagedError("stream node ends too early")
        element = self._elements[self._place]
        self._place += 1
        if type(element) is not int:
            raise DamagedError("stream node has a text where a number must be")
        return element

    def texts(self, count: int) -> list[bytes]:
        """The next `count` elements."""
        start = self._place
        stop = start + count
        if count < 0 or stop > len(self._elements):
            raise DamagedError("stream node ends too early")
        self._place = stop
        return as_texts(self._elements[start:stop])

    def fields(self, flags: int, names: list[bytes]) -> Fields:
        """The fields and values of an entry, and the number of elements behind it."""
        if flags & _SAME_FIELDS:
            values = self.texts(len(names))
            fields = tuple(chain.from_iterable(zip(names, values, strict=True)))
            size = len(names) + 3
        else:
            count = self.number()
            fields = tuple(self.texts(2 * count))
            size = 2 * count + 4
        if self.number() != size:
            raise DamagedError("stream entry has another length than it says")
        return fields


# --- groups
# ------------------------------------------------------------------------------------------


def _read_group(cursor: Cursor, type_number: int, stream: StreamValue) -> None:
    name = cursor.string()
    last_id = (cursor.length(), cursor.length())
    entries_read: int | None
    if type_number == STREAM:
        entries_read = stream.maybe_entries_before(last_id)
    else:
        entries_read = cursor.length()
        if entries_read == _UNKNOWN:
            entries_read = None
    group = stream.create_group(name, last_id, entries_read)
    if group is None:
        raise DamagedError("stream has a group twice")
    deliveries: dict[StreamId, tuple[int, int]] = {}
    for _ in range(cursor.length()):
        entry_id = cursor.stream_id()
        if entry_id in deliveries:
            raise DamagedError("stream group has a pending entry twice")
        deliveries[entry_id] = (cursor.milliseconds(), cursor.length())
    for _ in range(cursor.length()):
        _read_consumer(cursor, type_number, group, deliveries)
    if deliveries:
        raise DamagedError("stream group has a pending entry of no consumer")


def _read_consumer(
    cursor: Cursor,
    type_number: int,
    group: ConsumerGroup,
    deliveries: dict[StreamId, tuple[int, int]],
) -> None:
    name = cursor.string()
    if name in group.consumers:
        raise DamagedError("stream group has a consumer twice")
    seen_time_ms = cursor.milliseconds()
    active_time_ms = cursor.milliseconds() if type_number == STREAM_3 else seen_time_ms
    consumer = group.consumers[name] = Consumer(name, seen_time_ms, active_time_ms)
    for _ in range(cursor.length()):
        entry_id = cursor.stream_id()
        delivery = deliveries.pop(entry_id, None)
        if delivery is None:
            raise DamagedError("stream consumer has a pending entry that its group has not")
        group.create_pending(entry_id, consumer, *delivery)


# --- writing
# -----------------------------------------------------------------------------------------


def encode_stream(stream: StreamValue, compress: bool) -> bytes:
    """A stream as Redis 7.0 writes it."""
    nodes = [node for node in stream.nodes if len(node)]
    parts = [encode_length(len(nodes))]
    for node in nodes:
        # Written like any string, and sixteen bytes long.
        parts.append(b"\x10" + encode_stream_id(node.first_id))
        parts.append(encode_string(_listpack_of(node), compress))
    for number in (
        stream.length,
        *stream.last_id,
        *stream.first_id,
        *stream.max_deleted_id,
        stream.entries_added,
        len(stream.groups),
    ):
        parts.append(encode_length(number))
    for group in stream.sorted_groups():
        _encode_group(group, compress, parts)
    return b"".join(parts)


def _listpack_of(node: StreamNode) -> bytes:
    first_milliseconds, first_sequence = node.first_id
    entries = node.entries(0, len(node), node.all_fields())
    names = entries[0][1][::2]
    elements = [encode_integer(len(entries)), _ZERO, encode_integer(len(names))]
    elements += map(encode_element, names)
    elements.append(_ZERO)
    same_flags, same_count = encode_integer(_SAME_FIELDS), encode_integer(len(names) + 3)
    for (milliseconds, sequence), fields in entries:
        is_same = len(fields) == 2 * len(names) and fields[::2] == names
        elements.append(same_flags if is_same else _ZERO)
        elements.append(encode_integer(_signed(milliseconds - first_milliseconds)))
        elements.append(encode_integer(_signed(sequence - first_sequence)))
        if is_same:
            elements += map(encode_element, fields[1::2])
            elements.append(same_count)
        else:
            elements.append(encode_integer(len(fields) // 2))
            elements += map(encode_element, fields)
            elements.append(encode_integer(len(fields) + 4))
    return join_listpack(elements)


def _signed(difference: int) -> int:
    """A difference as the 64-bit integer that it is in Redis."""
    return ((difference + _SIGN) & _64_BITS) - _SIGN


def _encode_group(group: ConsumerGroup, compress: bool, parts: list[bytes]) -> None:
    parts.append(encode_string(group.name, compress))
    entries_read = _UNKNOWN if group.entries_read is None else group.entries_read
    for number in (*group.last_id, entries_read, len(group.pending)):
        parts.append(encode_length(number))
    for entry_id, pending in group.pending.items():
        parts.append(encode_stream_id(entry_id))
        parts.append(encode_milliseconds(pending.delivered_at_ms))
        parts.append(encode_length(pending.delivery_count))
    parts.append(encode_length(len(group.consumers)))
    for consumer in group.sorted_consumers():
        parts.append(encode_string(consumer.name, compress))
        parts.append(encode_milliseconds(consumer.seen_time_ms))
        parts.append(encode_length(len(consumer.pending)))
        parts += [encode_stream_id(entry_id) for entry_id, _ in consumer.pending.items()]
