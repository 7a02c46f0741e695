"""The entries of a stream: nodes of about 100, each with its IDs in arrays and its texts packed.

Where a node ends is visible to clients: "MAXLEN ~" removes whole nodes. So nodes end exactly where
those of Redis do, by the number of entries (deleted ones count) and by the bytes of their listpack,
which are computed though no listpack exists. Only the last node grows; those before it are packed.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain, cycle, pairwise, repeat
from typing import Final

from ..memory import bytes_size
from .fieldnames import shared_name
from .limits import CollectionLimits
from .listpack import LISTPACK_OVERHEAD, entry_size, integer_entry_size
from .packing import maybe_pack, unpack

#: Milliseconds and sequence number; tuples sort as IDs do.
StreamId = tuple[int, int]
#: Field, value, field, value ...
Fields = tuple[bytes, ...]
Entry = tuple[StreamId, Fields]

#: No listpack is longer, whatever `stream-node-max-bytes` says.
_LONGEST_LISTPACK: Final = 1 << 30
#: What the small integers take in a listpack.
_SIZED: Final = 1 << 12
_SIZES: Final = [integer_entry_size(number) for number in range(_SIZED)]
_NODE_BYTES: Final = 600
_TUPLE_BYTES: Final = 64


def _most_bytes(limits: CollectionLimits) -> int:
    """How long a listpack may become."""
    most = limits.stream_node_max_bytes
    return most if 0 < most <= _LONGEST_LISTPACK else _LONGEST_LISTPACK


def _texts_bytes(fields: Fields, names: Sequence[bytes]) -> int:
    """What an entry takes in a listpack of these master fields, but for its ID."""
    if len(fields) == 2 and len(names) == 1 and fields[0] == names[0]:
        return 4 + entry_size(fields[1])
    if len(fields) == 2 * len(names) and fields[::2] == names:
        # Flags, the length of the entry, and its values.
        size = 4 + sum(map(entry_size, fields[1::2]))
        if len(names) > 124:
            size += integer_entry_size(len(names) + 3) - 2
        return size
    size = 2 + integer_entry_size(len(fields) // 2) + integer_entry_size(len(fields) + 4)
    return size + sum(map(entry_size, fields))


def _maybe_values(texts: Sequence[Fields], names: Sequence[bytes]) -> list[bytes] | None:
    """The values of all entries, if they have the master fields each, and no others."""
    if {*map(len, texts)} != {2 * len(names)}:
        return None
    columns = list(zip(*texts, strict=True))
    for name, column in zip(names, columns[::2], strict=True):
        if column.count(name) != len(column):
            return None
    return list(chain.from_iterable(zip(*columns[1::2], strict=True)))


class StreamNode:
    """Up to `stream-node-max-entries` entries. Deleted ones are gone, but counted."""

    __slots__ = (
        "_fields",
        "_milliseconds",
        "_sequences",
        "_texts",
        "_widths",
        "deleted",
        "first_id",
        "last_id",
        "listpack_bytes",
    )

    def __init__(self, entry_id: StreamId, fields: Fields) -> None:
        #: The ID that the node is found by; its entry may be deleted.
        self.first_id = entry_id
        #: The highest ID that ever was in the node.
        self.last_id = entry_id
        self.deleted = 0
        self._milliseconds = array("Q")
        self._sequences = array("Q")
        #: The entries; or, packed, all their values (or all their fields and values).
        self._texts: list[Fields] | bytes = []
        #: Only while packed: how many texts each entry has, if they have not all the master fields.
        self._widths: array[int] | None = None
        #: The master fields: those of the first entry.
        self._fields = tuple(map(shared_name, fields[::2]))
        self.listpack_bytes = (
            LISTPACK_OVERHEAD
            + sum(map(integer_entry_size, (1, 0, len(self._fields), 0)))
            + sum(map(entry_size, self._fields))
        )

    def __len__(self) -> int:
        return len(self._milliseconds)

    # --- growing -----------------------------------------------------------------------------

    def has_room(self, fields: Fields, limits: CollectionLimits) -> bool:
        """Whether Redis would put another entry in here."""
        most_bytes = limits.stream_node_max_bytes
        if not 0 < most_bytes <= _LONGEST_LISTPACK:
            most_bytes = _LONGEST_LISTPACK
        most = limits.stream_node_max_entries
        return (
            not most or len(self._milliseconds) + self.deleted < most
        ) and self.listpack_bytes + sum(map(len, fields)) < most_bytes

    def append(self, entry_id: StreamId, fields: Fields) -> None:
        """Add an entry with a higher ID than any before."""
        texts = self._texts
        if type(texts) is not list:
            texts = self._open()
        milliseconds, sequence = entry_id
        first_milliseconds, first_sequence = self.first_id
        later = milliseconds - first_milliseconds
        further = sequence - first_sequence
        texts.append(fields)
        self._milliseconds.append(milliseconds)
        self._sequences.append(sequence)
        self.listpack_bytes += (
            _texts_bytes(fields, self._fields)
            + (_SIZES[later] if later < _SIZED else integer_entry_size(later))
            + (_SIZES[further] if 0 <= further < _SIZED else integer_entry_size(further))
        )
        count = len(texts)
        if count > 127:
            # The counter in the master entry grows, too.
            self.listpack_bytes += integer_entry_size(count) - integer_entry_size(count - 1)
        self.last_id = entry_id

    def append_run(
        self, entry_id: StreamId, rows: Sequence[Fields], limits: CollectionLimits
    ) -> int:
        """Add entries with this ID and those that follow it, while there is room; how many."""
        texts = self._texts
        if type(texts) is not list:
            texts = self._open()
        milliseconds, sequence = entry_id
        names, most_bytes, size = self._fields, _most_bytes(limits), self.listpack_bytes
        count, most = len(texts), limits.stream_node_max_entries
        if most:
            rows = rows[: max(most - count - self.deleted, 0)]
        first_milliseconds, first_sequence = self.first_id
        time_bytes = integer_entry_size(milliseconds - first_milliseconds)
        difference = sequence - first_sequence
        taken = 0
        only = names[0] if len(names) == 1 else None
        for fields in rows:
            if len(fields) == 2 and fields[0] == only:
                # The simplest entries are measured in one go.
                length = len(fields[0]) + len(fields[1])
                grown = 4 + entry_size(fields[1])
            else:
                length = sum(map(len, fields))
                grown = _texts_bytes(fields, names)
            if size + length >= most_bytes:
                break
            size += grown + time_bytes
            small = 0 <= difference < _SIZED
            size += _SIZES[difference] if small else integer_entry_size(difference)
            difference += 1
            count += 1
            if count > 127:
                size += integer_entry_size(count) - integer_entry_size(count - 1)
            taken += 1
        if taken:
            texts += rows[:taken]
            self._milliseconds.extend(repeat(milliseconds, taken))
            self._sequences.extend(range(sequence, sequence + taken))
            self.listpack_bytes = size
            self.last_id = milliseconds, sequence + taken - 1
        return taken

    def _count_bytes(self) -> int:
        """What the two counters in the master entry take."""
        return integer_entry_size(len(self._milliseconds)) + integer_entry_size(self.deleted)

    # --- packing -----------------------------------------------------------------------------

    def pack(self) -> None:
        """No more entries are to come: put all texts into one, if that is of any use."""
        texts = self._texts
        if isinstance(texts, bytes) or not texts:
            return
        values = _maybe_values(texts, self._fields)
        packed: bytes | None
        if values is not None:
            packed = maybe_pack(values)
        else:
            packed = maybe_pack(list(chain.from_iterable(texts)))
            self._widths = array("L", map(len, texts))
        if packed is None:
            self._widths = None
            self._texts = [
                tuple(map(_share_names, cycle((True, False)), fields)) for fields in texts
            ]
        else:
            self._texts = packed
            # Growing leaves room behind; a copy has none.
            self._milliseconds = self._milliseconds[:]
            self._sequences = self._sequences[:]

    @property
    def is_packed(self) -> bool:
        """Whether reading fields costs unpacking all of them."""
        return isinstance(self._texts, bytes)

    def _open(self) -> list[Fields]:
        """All entries' fields, unpacked for good."""
        texts = self._texts
        if isinstance(texts, bytes):
            texts = self._texts = self.all_fields()
            self._widths = None
        return texts

    def all_fields(self) -> list[Fields]:
        """All entries' fields, not to be changed."""
        texts = self._texts
        if not isinstance(texts, bytes):
            return texts
        parts = unpack(texts)
        widths = self._widths
        if widths is not None:
            ends = iter(parts)
            return [tuple(next(ends) for _ in range(width)) for width in widths]
        names = self._fields
        count = len(names)
        columns = ((repeat(name), parts[place::count]) for place, name in enumerate(names))
        return list(zip(*chain.from_iterable(columns), strict=False))

    # --- reading -----------------------------------------------------------------------------

    def place(self, entry_id: StreamId) -> int:
        """How many entries have a lower ID."""
        milliseconds, sequence = entry_id
        times = self._milliseconds
        place = bisect_left(times, milliseconds)
        size = len(times)
        sequences = self._sequences
        if place < size and times[place] == milliseconds and sequences[place] < sequence:
            end = bisect_left(times, milliseconds + 1, place) if times[-1] != milliseconds else size
            return bisect_left(sequences, sequence, place, end)
        return place

    def id_at(self, place: int) -> StreamId:
        """The ID of an entry."""
        return self._milliseconds[place], self._sequences[place]

    def entries(self, start: int, stop: int, fields: list[Fields]) -> list[Entry]:
        """The entries of a range of places; `fields` are those of `all_fields`."""
        ids = zip(self._milliseconds[start:stop], self._sequences[start:stop], strict=True)
        return list(zip(ids, fields[start:stop], strict=True))

    # --- shrinking ---------------------------------------------------------------------------

    def delete(self, start: int, stop: int) -> None:
        """Delete the entries of a range of places."""
        before = self._count_bytes()
        del self._open()[start:stop]
        del self._milliseconds[start:stop]
        del self._sequences[start:stop]
        self.deleted += stop - start
        self.listpack_bytes += self._count_bytes() - before

    def copy(self) -> "StreamNode":
        """An independent copy."""
        other = StreamNode(self.first_id, ())
        other.last_id = self.last_id
        other.deleted = self.deleted
        other.listpack_bytes = self.listpack_bytes
        other._fields = self._fields
        other._milliseconds = self._milliseconds[:]
        other._sequences = self._sequences[:]
        other._texts = self._texts if isinstance(self._texts, bytes) else self._texts[:]
        other._widths = self._widths
        return other

    def estimate_bytes(self) -> int:
        """About how many bytes this takes."""
        size = _NODE_BYTES + 16 * len(self)
        texts = self._texts
        if isinstance(texts, bytes):
            return size + bytes_size(len(texts))
        if not texts:
            return size
        one = texts[-1]
        each = _TUPLE_BYTES + 8 * len(one) + sum(bytes_size(len(value)) for value in one[1::2])
        return size + len(texts) * each


def radix_tree_nodes(ids: Sequence[StreamId]) -> int:
    """How many nodes Redis' radix tree has for such ascending keys of 16 bytes.

    Each key ends in a leaf; keys part at branching nodes; and where at least one more byte
    follows on the way down, a node of its own holds those bytes.
    """
    if not ids:
        return 1
    keys = [
        milliseconds.to_bytes(8, "big") + sequence.to_bytes(8, "big")
        for milliseconds, sequence in ids
    ]
    shared = [_shared_length(first, second) for first, second in pairwise(keys)]
    # The depths of the branching nodes on the path to the current key, the innermost last.
    path: list[int] = []
    nodes = len(keys) + (1 if not shared or min(shared) > 0 else 0)
    for position in range(len(keys)):
        before = shared[position - 1] if position else -1
        after = shared[position] if position < len(shared) else -1
        nodes += 1 if 0 <= max(before, after) < len(keys[0]) - 1 else 0
        while path and path[-1] > after:
            depth = path.pop()
            nodes += 1
            parent = max(path[-1] if path else -1, after)
            nodes += 1 if parent >= 0 and depth - parent > 1 else 0
        if after >= 0 and (not path or path[-1] < after):
            path.append(after)
    return nodes


def _share_names(is_name: bool, text: bytes) -> bytes:
    return shared_name(text) if is_name else text


def _shared_length(first: bytes, second: bytes) -> int:
    """How many bytes two different keys have in common at their front."""
    difference = int.from_bytes(first, "big") ^ int.from_bytes(second, "big")
    return len(first) - (difference.bit_length() + 7) // 8
