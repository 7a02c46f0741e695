"""Lists: chunks of elements, quick at both ends, and packed where nobody looks.

A short list is one Python list. A longer one is cut into chunks of about 64; those at the ends,
eight on either side, are Python lists, those between are packed into one bytes object each.

Measured, with 16-byte elements: 17 bytes each among 300000 (redis-server: 18; unpacked it would be
73), 87 in lists of 20 (redis-server: 28). Among a million a push takes 0.3 to 0.4 us, a pop 0.5
us, the first 300 elements 2 to 5 us and 300 in the middle 25 us (unpacked: 2), an element in the
middle 2.5 to 4 us, replacing it 8 us, LINSERT in the middle 0.2 ms (all later chunks move),
searching all 15 ms. One `collections.deque` has a faster push, but no fast middle, and takes 73
bytes an element.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from ..memory import bytes_size
from .limits import DEFAULT_LIMITS, CollectionLimits
from .listpack import LISTPACK_OVERHEAD, entry_size
from .packing import maybe_pack, unpack

#: Elements of an inner chunk.
_CHUNK: Final = 64
#: A list that never had more elements than this is one Python list.
_FLAT: Final = 256
#: So many chunks at either end stay unpacked: what is read most, is read fastest.
_UNPACKED_EDGE: Final = 8
_EMPTY_BYTES: Final = 200
_ELEMENT_BYTES: Final = 9
_MANY: Final = 1 << 62


class ListValue:
    """A list of bytes. Indexes count from 0 and are within bounds; ranges are [start, stop)."""

    __slots__ = ("_chunks", "_count", "_listpack_bytes", "_starts", "is_quicklist", "limits")

    def __init__(
        self, elements: Iterable[bytes] = (), limits: CollectionLimits = DEFAULT_LIMITS
    ) -> None:
        self.limits = limits
        self._lay_out(list(elements))
        self.is_quicklist = not limits.has_listpack_lists
        #: The length of the listpack; -1 where nobody needed to know.
        self._listpack_bytes = -1
        if not self.is_quicklist:
            self._grow(0, 0)

    @classmethod
    def from_compact(cls, elements: list[bytes], limits: CollectionLimits) -> "ListValue":
        """A short list that has the most compact encoding there is, and is not measured yet."""
        value = cls(limits=limits)
        value._lay_out(elements)
        value._listpack_bytes = -1
        return value

    def _lay_out(self, elements: list[bytes]) -> None:
        self._count = len(elements)
        self._chunks: list[list[bytes] | bytes]
        #: Where the chunks start, counted from anywhere (pushing at the head goes below zero);
        #: None while there is but one.
        self._starts: list[int] | None = None
        if len(elements) <= _FLAT:
            self._chunks = [elements]
            return
        starts = range(0, len(elements), _CHUNK)
        self._chunks = [elements[start : start + _CHUNK] for start in starts]
        self._starts = list(starts)
        for number in range(_UNPACKED_EDGE, len(starts) - _UNPACKED_EDGE):
            self._settle(number)

    # --- chunks ------------------------------------------------------------------------------

    def _elements(self, number: int) -> list[bytes]:
        """The elements of a chunk, not to be changed."""
        chunk = self._chunks[number]
        return unpack(chunk) if isinstance(chunk, bytes) else chunk

    def _open(self, number: int) -> list[bytes]:
        """The elements of a chunk, unpacked for good."""
        chunk = self._chunks[number]
        if isinstance(chunk, bytes):
            chunk = self._chunks[number] = unpack(chunk)
        return chunk

    def _settle(self, number: int) -> None:
        """Pack a chunk that was changed, unless it is near an end or that is of no use."""
        if _UNPACKED_EDGE <= number < len(self._chunks) - _UNPACKED_EDGE:
            chunk = self._chunks[number]
            if isinstance(chunk, list):
                self._chunks[number] = maybe_pack(chunk) or chunk

    def _find(self, index: int) -> tuple[int, int]:
        """The chunk of an index, and the place in it."""
        starts = self._starts
        if starts is None:
            return 0, index
        position = starts[0] + index
        number = bisect_right(starts, position) - 1
        return number, position - starts[number]

    def _index_from(self, number: int) -> int:
        """The index of a chunk's first element."""
        starts = self._starts
        return 0 if starts is None else starts[number] - starts[0]

    def _cut(self, number: int, place: int) -> None:
        """Make two chunks of an unpacked one."""
        chunk = self._open(number)
        if self._starts is None:
            self._starts = [0]
        self._chunks[number : number + 1] = [chunk[:place], chunk[place:]]
        self._starts.insert(number + 1, self._starts[number] + place)

    def _drop(self, start: int, stop: int) -> None:
        """Forget chunks; those at the ends must be unpacked afterwards."""
        del self._chunks[start:stop]
        if self._starts is not None:
            del self._starts[start:stop]
        if not self._chunks:
            self._chunks.append([])
        if len(self._chunks) == 1:
            self._starts = None
        self._open(0)
        self._open(-1)

    # --- encoding ----------------------------------------------------------------------------

    @property
    def encoding(self) -> bytes:
        """What OBJECT ENCODING says."""
        return b"quicklist" if self.is_quicklist else b"listpack"

    def expect(self, values: list[bytes]) -> None:
        """Before a command adds or sets `values`: Redis decides by their plain lengths.

        Only here a listpack becomes a quicklist; the changes themselves do not ask again.
        """
        if not self.is_quicklist:
            self._grow(sum(map(len, values)), len(values))

    def _grow(self, more_bytes: int, more_elements: int) -> None:
        if self._listpack_bytes < 0:
            self._listpack_bytes = self._measure()
        size = self._listpack_bytes + more_bytes
        if self.limits.exceeds_list_node(size, self._count + more_elements, 1):
            self.is_quicklist = True
            self._listpack_bytes = -1

    def _measure(self) -> int:
        return LISTPACK_OVERHEAD + sum(map(entry_size, self))

    def settle_encoding(self) -> None:
        """After elements went: a quicklist that would fill but half a node is a listpack again.

        Redis also asks that what is left lies in a single node, which cannot be known here.
        """
        if not self.is_quicklist or not self.limits.has_listpack_lists:
            return
        if self._count > self.limits.half_list_node_elements:
            # No need to measure.
            self._listpack_bytes = -1
            return
        if self._listpack_bytes < 0:
            self._listpack_bytes = self._measure()
        if not self.limits.exceeds_list_node(self._listpack_bytes, self._count, 2):
            self.is_quicklist = False

    # --- both ends ---------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._count

    def push_left(self, value: bytes) -> None:
        """Add an element at the head."""
        self._count += 1
        chunk = self._chunks[0]
        assert type(chunk) is list
        chunk.insert(0, value)
        if self._listpack_bytes >= 0:
            self._listpack_bytes += entry_size(value)
        if self._starts is not None:
            self._starts[0] -= 1
        if len(chunk) >= 2 * _CHUNK:
            self._divide(chunk, at_head=True)

    def push_right(self, value: bytes) -> None:
        """Add an element at the tail."""
        self._count += 1
        chunk = self._chunks[-1]
        assert type(chunk) is list
        chunk.append(value)
        if self._listpack_bytes >= 0:
            self._listpack_bytes += entry_size(value)
        if len(chunk) >= 2 * _CHUNK:
            self._divide(chunk, at_head=False)

    def push_many(self, values: list[bytes], at_head: bool) -> None:
        """Add elements at one end, one after the other."""
        if self._listpack_bytes >= 0:
            self._listpack_bytes += sum(map(entry_size, values))
        for start in range(0, len(values), _CHUNK):
            piece = values[start : start + _CHUNK]
            self._count += len(piece)
            chunk = self._chunks[0 if at_head else -1]
            assert type(chunk) is list
            if at_head:
                piece.reverse()
                chunk[:0] = piece
                if self._starts is not None:
                    self._starts[0] -= len(piece)
            else:
                chunk += piece
            if len(chunk) >= 2 * _CHUNK:
                self._divide(chunk, at_head)

    def _divide(self, chunk: list[bytes], at_head: bool) -> None:
        """The first or last chunk has grown: cut it if it is too long."""
        if self._starts is not None:
            self._cut(0 if at_head else len(self._chunks) - 1, _CHUNK)
            self._settle(_UNPACKED_EDGE if at_head else len(self._chunks) - 1 - _UNPACKED_EDGE)
        elif len(chunk) > _FLAT:
            self._lay_out(chunk)

    def _note_removed(self, values: list[bytes]) -> None:
        if self._listpack_bytes >= 0:
            self._listpack_bytes -= sum(map(entry_size, values))

    def pop_left(self) -> bytes:
        """Remove the first element; there must be one."""
        chunk = self._chunks[0]
        assert type(chunk) is list
        value = chunk.pop(0)
        self._count -= 1
        if self._listpack_bytes >= 0:
            self._listpack_bytes -= entry_size(value)
        if self._starts is not None:
            self._starts[0] += 1
            if not chunk:
                self._drop(0, 1)
        if self.is_quicklist and self.limits.has_listpack_lists:
            self.settle_encoding()
        return value

    def pop_right(self) -> bytes:
        """Remove the last element; there must be one."""
        chunk = self._chunks[-1]
        assert type(chunk) is list
        value = chunk.pop()
        self._count -= 1
        if self._listpack_bytes >= 0:
            self._listpack_bytes -= entry_size(value)
        if self._starts is not None and not chunk:
            self._drop(len(self._chunks) - 1, len(self._chunks))
        if self.is_quicklist and self.limits.has_listpack_lists:
            self.settle_encoding()
        return value

    def pop_many_left(self, count: int) -> list[bytes]:
        """Remove the first `count` elements (all, if there are fewer), first one first."""
        count = min(count, self._count)
        values = self.range(0, count)
        self.trim(count, self._count)
        return values

    def pop_many_right(self, count: int) -> list[bytes]:
        """Remove the last `count` elements (all, if there are fewer), last one first."""
        keep = max(self._count - count, 0)
        values = self.range(keep, self._count)
        self.trim(0, keep)
        values.reverse()
        return values

    # --- reading -----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[bytes]:
        for number in range(len(self._chunks)):
            yield from self._elements(number)

    def __reversed__(self) -> Iterator[bytes]:
        for number in range(len(self._chunks) - 1, -1, -1):
            yield from reversed(self._elements(number))

    def get(self, index: int) -> bytes:
        """The element at an index."""
        number, place = self._find(index)
        return self._elements(number)[place]

    def range(self, start: int, stop: int) -> list[bytes]:
        """The elements of a range, in a list of the caller's own."""
        if start >= stop:
            return []
        number, place = self._find(start)
        length = stop - start
        found = self._elements(number)[place : place + length]
        while len(found) < length:
            number += 1
            found += self._elements(number)
        del found[length:]
        return found

    def positions(
        self, value: bytes, is_reversed: bool = False, longest_look: int = _MANY
    ) -> Iterator[int]:
        """The indexes of all elements that equal `value`, looking at `longest_look` at most."""
        # A packed chunk is searched as the text that it is before it is unpacked.
        size = self._count
        if is_reversed:
            lowest = max(size - longest_look, 0)
            for number in range(len(self._chunks) - 1, -1, -1):
                first = self._index_from(number)
                if value in self._chunks[number]:
                    elements = self._elements(number)
                    for place in range(len(elements) - 1, -1, -1):
                        if first + place < lowest:
                            return
                        if elements[place] == value:
                            yield first + place
                if first <= lowest:
                    return
            return
        for number in range(len(self._chunks)):
            first = self._index_from(number)
            if first >= longest_look:
                return
            if value in self._chunks[number]:
                for place, element in enumerate(self._elements(number)):
                    if element == value:
                        if first + place >= longest_look:
                            return
                        yield first + place

    # --- changing ----------------------------------------------------------------------------

    def set(self, index: int, value: bytes) -> None:
        """Replace the element at an index."""
        number, place = self._find(index)
        chunk = self._open(number)
        if self._listpack_bytes >= 0:
            self._listpack_bytes += entry_size(value) - entry_size(chunk[place])
        chunk[place] = value
        self._settle(number)
        self.settle_encoding()

    def insert(self, index: int, value: bytes) -> None:
        """Put an element before the one at an index; the length is an index here, too."""
        if index == self._count:
            self.push_right(value)
            return
        if not index:
            self.push_left(value)
            return
        number, place = self._find(index)
        chunk = self._open(number)
        chunk.insert(place, value)
        self._count += 1
        if self._listpack_bytes >= 0:
            self._listpack_bytes += entry_size(value)
        starts = self._starts
        if starts is None:
            if len(chunk) > _FLAT:
                self._lay_out(chunk)
            return
        starts[number + 1 :] = [start + 1 for start in starts[number + 1 :]]
        if len(chunk) >= 2 * _CHUNK:
            self._cut(number, _CHUNK)
            self._settle(number + 1)
        self._settle(number)

    def remove(self, value: bytes, limit: int = _MANY, is_reversed: bool = False) -> int:
        """Remove the first (`is_reversed`: the last) `limit` elements that equal `value`."""
        removed = 0
        numbers = range(len(self._chunks))
        # A chunk that was emptied goes, so from behind the numbers ahead stay what they are.
        emptied: list[int] = []
        for number in reversed(numbers) if is_reversed else numbers:
            if value not in self._chunks[number]:
                continue
            elements = self._elements(number)
            places = [place for place, element in enumerate(elements) if element == value]
            missing = limit - removed
            if len(places) > missing:
                places = places[-missing:] if is_reversed else places[:missing]
            if places:
                self._delete_from(number, places)
                removed += len(places)
                if not self._chunks[number]:
                    emptied.append(number)
                if removed == limit:
                    break
        if removed:
            self._after_deletions(emptied, removed)
            self._note_removed([value] * removed)
            self.settle_encoding()
        return removed

    def _delete_from(self, number: int, places: list[int]) -> None:
        """Delete ascending places of one chunk; `_after_deletions` must follow."""
        chunk = self._open(number)
        if len(places) == 1:
            del chunk[places[0]]
        else:
            gone = set(places)
            chunk[:] = [element for place, element in enumerate(chunk) if place not in gone]
        if chunk:
            self._settle(number)

    def _after_deletions(self, emptied: list[int], removed: int) -> None:
        """Forget the empty chunks, and count anew where chunks start."""
        self._count -= removed
        for number in sorted(emptied, reverse=True):
            del self._chunks[number]
            if self._starts is not None:
                del self._starts[number]
        if len(self._chunks) * 8 > self._count + 2 * _FLAT:
            # Hardly anything is left in each chunk.
            self._lay_out(list(self))
            return
        if self._starts is not None:
            self._restart()
        self._drop(0, 0)

    def _restart(self) -> None:
        """Compute where all chunks start, from their lengths.

        A packed chunk was not changed since it was packed or knows its length by its separators.
        """
        position = 0
        starts = []
        for chunk in self._chunks:
            starts.append(position)
            position += chunk.count(chunk[:1]) if isinstance(chunk, bytes) else len(chunk)
        self._starts = starts

    def trim(self, start: int, stop: int) -> None:
        """Keep only a range."""
        start, stop = max(start, 0), min(stop, self._count)
        removed = self._count - max(stop - start, 0)
        if not removed:
            return
        if start >= stop:
            self._note_removed_range(0, self._count)
            self._lay_out([])
            self.settle_encoding()
            return
        self._note_removed_range(0, start)
        self._note_removed_range(stop, self._count)
        last, last_place = self._find(stop - 1)
        first, first_place = self._find(start)
        del self._open(last)[last_place + 1 :]
        del self._open(first)[:first_place]
        if self._starts is not None:
            self._starts[first] += first_place
        self._count = stop - start
        self._drop(last + 1, len(self._chunks))
        self._drop(0, first)
        self.settle_encoding()

    def _note_removed_range(self, start: int, stop: int) -> None:
        if self._listpack_bytes >= 0:
            self._note_removed(self.range(start, stop))

    # --- the whole value -----------------------------------------------------------------------

    def copy(self) -> "ListValue":
        """An independent copy; the bytes are shared."""
        other = ListValue(limits=self.limits)
        other._chunks = [chunk if isinstance(chunk, bytes) else chunk[:] for chunk in self._chunks]
        other._starts = None if self._starts is None else self._starts[:]
        other._count = self._count
        other._listpack_bytes = self._listpack_bytes
        other.is_quicklist = self.is_quicklist
        return other

    def estimate_bytes(self, samples: int) -> int:
        """About how many bytes this takes, judged by `samples` chunks (0: all)."""
        chunks = self._chunks
        if not self._count:
            return _EMPTY_BYTES
        if self._starts is None:
            return _EMPTY_BYTES + self._sample(self._open(0), samples)
        looked_at = min(max(samples, 1), len(chunks)) if samples > 0 else len(chunks)
        step = len(chunks) // looked_at
        seen = 0
        # From the middle of each step: the chunks at the ends are not like the others.
        for number in range(step // 2, looked_at * step, step):
            chunk = chunks[number]
            if isinstance(chunk, bytes):
                seen += bytes_size(len(chunk)) + 48
            else:
                seen += 104 + self._sample(chunk, samples)
        return _EMPTY_BYTES + seen * len(chunks) // looked_at

    @staticmethod
    def _sample(elements: list[bytes], samples: int) -> int:
        looked_at = min(samples, len(elements)) if samples > 0 else len(elements)
        seen = sum(bytes_size(len(element)) for element in elements[:looked_at])
        return len(elements) * _ELEMENT_BYTES + seen * len(elements) // looked_at
