"""Sets: a Python set that knows what Redis would call its encoding.

Read it as the set it is (`in`, `len`, and `&`, `|`, `-`, which are C loops and give plain sets, to
be made values by `from_members`); change it through `insert` and `take` alone, which keep the
encoding and what is beside it in step.

Measured, with 16-byte members: 92 bytes each in a set of 300000 (redis-server: 85), 110 once SSCAN
asked for the index, 100 once a random pick asked for the roster, 174 in sets of 20 (redis-server
7.0: 90) because Python's sets grow fourfold; `insert` 0.2 us, `take` 0.2 us (0.7 with the index),
a random member 0.4 us.

An intset in Redis is a sorted array of 2 to 8 bytes a member; here a member of a set in use is text
and takes 87 bytes in a set of 200. An array of integers would have to print and parse them at each
use and could not be intersected. Small sets that nobody uses are `packed`, and then it is an array.
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Final

from ..memory import bytes_size
from .limits import DEFAULT_LIMITS, CollectionLimits
from .numbers import parse_integer
from .roster import Chooser
from .scancursor import (
    CHECK_MASK,
    GC_HEADER_BYTES,
    INDEX_ENTRY_BYTES,
    WALK_LIMIT,
    Beside,
    Indexed,
)

INTSET: Final = b"intset"
LISTPACK: Final = b"listpack"
HASHTABLE: Final = b"hashtable"

#: Redis refuses larger intsets whatever the directive says.
_LARGEST_INTSET: Final = 1 << 30


class SetValue(set[bytes], Indexed):
    """The members; `encoding` is what OBJECT ENCODING says."""

    __slots__ = ("_beside", "encoding", "limits")

    def __init__(self, limits: CollectionLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        #: An empty set can hold anything: its first member decides.
        self.encoding = INTSET
        self._beside: Beside | None = None

    @classmethod
    def from_members(
        cls, members: Iterable[bytes], limits: CollectionLimits = DEFAULT_LIMITS
    ) -> "SetValue":
        """A value with the encoding that Redis gives a finished result, as SUNIONSTORE's."""
        value = cls(limits)
        set.update(value, members)
        value.settle_encoding()
        return value

    def settle_encoding(self) -> None:
        """Find the most compact encoding that is allowed; for results and for what was loaded."""
        limits = self.limits
        size = len(self)
        if size <= min(limits.set_max_intset_entries, _LARGEST_INTSET) and all(
            parse_integer(member) is not None for member in self
        ):
            self.encoding = INTSET
        elif (
            limits.has_listpack_sets
            and size <= limits.set_max_listpack_entries
            and all(len(member) <= limits.set_max_listpack_value for member in self)
        ):
            self.encoding = LISTPACK
        else:
            self.encoding = HASHTABLE

    @property
    def is_compact(self) -> bool:
        """Whether SSCAN returns everything at once."""
        return self.encoding is not HASHTABLE

    def expect(self, count: int, first: bytes) -> None:
        """Before a command adds `count` members, `first` ahead: 7.2 decides by that."""
        limits = self.limits
        if not limits.has_listpack_sets:
            return
        if not self:
            if count <= limits.set_max_intset_entries and parse_integer(first) is not None:
                self.encoding = INTSET
            elif count <= limits.set_max_listpack_entries:
                self.encoding = LISTPACK
            else:
                self.encoding = HASHTABLE
        elif (self.encoding is LISTPACK and count > limits.set_max_listpack_entries) or (
            self.encoding is INTSET and count > limits.set_max_intset_entries
        ):
            self.encoding = HASHTABLE

    def insert(self, member: bytes) -> bool:
        """Add a member; False if it was there."""
        if member in self:
            return False
        if self.encoding is not HASHTABLE:
            self._adapt_encoding(member)
        self.add(member)
        if self._beside is not None:
            self._note_change(member, True)
        return True

    def insert_each(self, members: Sequence[bytes]) -> list[bool]:
        """`expect` and `insert` for many members that are added one by one."""
        if self.encoding is not HASHTABLE or self._beside is not None:
            found = []
            for member in members:
                self.expect(1, member)
                found.append(self.insert(member))
            return found
        # Looked up in one go: the processor waits for several places in memory at once.
        found = [not is_there for is_there in map(self.__contains__, members)]
        before = len(self)
        self.update(members)
        if len(self) - before != sum(found):
            # A new one came twice: the first time it was new.
            seen: set[bytes] = set()
            for place, member in enumerate(members):
                found[place] = found[place] and member not in seen
                seen.add(member)
        return found

    def _adapt_encoding(self, member: bytes) -> None:
        """Leave the compact encodings as far as a new member asks for it."""
        limits = self.limits
        if self.encoding is INTSET:
            if parse_integer(member) is not None:
                if len(self) >= min(limits.set_max_intset_entries, _LARGEST_INTSET):
                    self.encoding = HASHTABLE
                return
            if not limits.has_listpack_sets or any(
                len(other) > limits.set_max_listpack_value for other in self
            ):
                self.encoding = HASHTABLE
                return
        if (
            len(self) < limits.set_max_listpack_entries
            and len(member) <= limits.set_max_listpack_value
        ):
            self.encoding = LISTPACK
        else:
            self.encoding = HASHTABLE

    def take(self, member: bytes) -> bool:
        """Remove a member; False if there was none."""
        if member not in self:
            return False
        self.remove(member)
        if self._beside is not None:
            self._note_change(member, False)
        if not len(self) & CHECK_MASK:
            self._give_back_room()
        return True

    def _rebuild(self) -> None:
        kept = set(self)
        self.clear()
        self.update(kept)

    def pop_random(self, count: int, rng: Chooser) -> list[bytes]:
        """Remove `count` random members (all, if there are fewer) and return them."""
        size = len(self)
        if count >= size:
            chosen = list(self)
            self._beside = None
        elif size <= WALK_LIMIT:
            chosen = [self.random_member(rng)] if count == 1 else self.random_members(count, rng)
            for member in chosen if self._beside is not None else ():
                self._note_change(member, False)
        else:
            chosen = self._take_random(count, rng)
        self.difference_update(chosen)
        if count > 1 or not len(self) & CHECK_MASK:
            self._give_back_room()
        return chosen

    def members(self) -> list[bytes]:
        """All members, in Redis' order where it has one: an intset is sorted."""
        return sorted(self, key=int) if self.encoding is INTSET else list(self)

    def copy(self) -> "SetValue":
        """An independent copy; the bytes are shared."""
        other = SetValue(self.limits)
        set.update(other, self)
        other.encoding = self.encoding
        return other

    def estimate_bytes(self, samples: int) -> int:
        """About how many bytes this takes, judged by `samples` members (0: all)."""
        size = len(self)
        total = GC_HEADER_BYTES + self.__sizeof__()
        if not size:
            return total
        looked_at = min(samples, size) if samples > 0 else size
        seen = sum(bytes_size(len(member)) for member in islice(self, looked_at))
        if self._beside is not None:
            total += size * INDEX_ENTRY_BYTES
        return total + seen * size // looked_at


def intersection(sets: Collection[SetValue]) -> set[bytes]:
    """The members that all sets share; starts with the smallest, as its size bounds the work."""
    first, *others = sorted(sets, key=len)
    return set(first).intersection(*others)
