"""Members by the hash of their text: what SCAN cursors need and dicts do not have.

SCAN promises that a member which is there during the whole scan is returned at least once,
whatever else comes and goes. A cursor here is a threshold in the order of the members' CRC32: the
members below it were returned. That order depends on nothing but the members, so the promise
holds across growth, shrinkage, a copy of the collection, even a failover; and no scan needs any
state in the server. Members with one hash value are always returned together, however many
an adversary makes. Cursors have 32 bits; 0 starts a scan and ends it.

`MemberIndex` makes it fast: the members in buckets of about 32 by their leading hash bits, built
when first asked for (0.3 us a member), then kept exact (0.5 us a change, 18 bytes a member), and
dropped when there were too many changes since it was last used. Measured against it: a sorted
array takes 0.4 us a member to build and O(n) a change.

Random picks have a `Roster`, which is made and dropped in the same way.
"""

from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar
from zlib import crc32

from .roster import Chooser, Roster

_HASH_BITS: Final = 32
_BUCKET_SIZE: Final = 32
#: Up to here walking to a random position is as fast as a roster.
WALK_LIMIT: Final = 256
#: With fewer members in a bucket, on average, there are too many buckets.
_SPARSE_BUCKET: Final = 8
#: So many changes are no reason to drop what a small collection has beside it.
_KEPT_CHANGES: Final = 64


class MemberIndex:
    """The members of one collection by hash. Its owner reports every member that comes or goes."""

    __slots__ = ("_buckets", "_shift", "changes", "count")

    def __init__(self, members: Collection[bytes]) -> None:
        #: Additions and removals since somebody last looked anything up.
        self.changes = 0
        self._build(members, len(members))

    def _build(self, members: Iterable[bytes], count: int) -> None:
        bits = (count // _BUCKET_SIZE).bit_length()
        shift = _HASH_BITS - bits
        buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
        for member in members:
            buckets[crc32(member) >> shift].append(member)
        self._buckets = buckets
        self._shift = shift
        self.count = count

    def __iter__(self) -> Iterator[bytes]:
        for bucket in self._buckets:
            yield from bucket

    def add(self, member: bytes) -> None:
        """A member came."""
        self._buckets[crc32(member) >> self._shift].append(member)
        self.count += 1
        self.changes += 1
        if self.count > len(self._buckets) * (_BUCKET_SIZE * 3):
            self._build(list(self), self.count)

    def remove(self, member: bytes) -> None:
        """A member went."""
        self._buckets[crc32(member) >> self._shift].remove(member)
        self.changes += 1
        self.count -= 1
        if self.count < len(self._buckets) * _SPARSE_BUCKET and len(self._buckets) > 1:
            self._build(list(self), self.count)

    def window(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """The next `count` members (or a few more) from a cursor on, and the cursor after them."""
        self.changes = 0
        found: list[bytes] = []
        shift = self._shift
        buckets = self._buckets
        if cursor >> _HASH_BITS:
            return 0, found
        first = cursor >> shift
        for number in range(first, len(buckets)):
            bucket = buckets[number]
            if not bucket:
                continue
            if number != first and len(found) + len(bucket) <= count:
                found += bucket
                continue
            if len(found) >= count:
                return number << shift, found
            next_cursor = _take(bucket, cursor, count - len(found), found)
            if next_cursor:
                return next_cursor, found
        return 0, found


def _take(bucket: Iterable[bytes], cursor: int, count: int, found: list[bytes]) -> int:
    """Append to `found` `count` members from `cursor` on, and all of the last hash value.

    Returns the cursor behind them, or 0 when nothing is left.
    """
    ordered = sorted(
        pair for pair in zip(map(crc32, bucket), bucket, strict=False) if pair[0] >= cursor
    )
    if count >= len(ordered):
        found.extend(member for _, member in ordered)
        return 0
    last = ordered[max(count, 1) - 1][0]
    end = count
    while end < len(ordered) and ordered[end][0] == last:
        end += 1
    found.extend(member for _, member in ordered[:end])
    return last + 1 if end < len(ordered) else 0


def scan_members(members: Iterable[bytes], cursor: int, count: int) -> tuple[int, list[bytes]]:
    """One SCAN step without an index, with the same cursors: looks at every member."""
    found: list[bytes] = []
    return _take(members, cursor, max(count, 1), found), found


#: Whether there is room to give back is looked at when the size has none of these bits.
CHECK_MASK: Final = 255
#: A container with more room than this for each member is sparse. After growing it is half that.
_SPARSE_BYTES: Final = 256
_FREE_BYTES: Final = 4096
#: About, for estimates.
INDEX_ENTRY_BYTES: Final = 18
#: In front of every container, and not in its `__sizeof__`.
GC_HEADER_BYTES: Final = 16


class Beside:
    """What a collection keeps beside it, each made when first needed."""

    __slots__ = ("index", "roster")

    def __init__(self) -> None:
        self.index: MemberIndex | None = None
        self.roster: Roster | None = None


_Kept = TypeVar("_Kept", MemberIndex, Roster)


def _maybe_kept(kept: _Kept, member: bytes, added: bool, most: int) -> _Kept | None:
    """Tell it of a member that came or went; None: after so many changes it is not worth it."""
    if kept.changes > most:
        return None
    if added:
        kept.add(member)
    else:
        kept.remove(member)
    return kept


class Indexed:
    """What collections share that can be scanned and picked from.

    The slot is the subclass's: only one base of a class can have any, and `dict` and `set` do.
    """

    __slots__ = tuple[str, ...]()

    _beside: Beside | None

    def __len__(self) -> int:
        raise NotImplementedError

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError

    def __contains__(self, member: object, /) -> bool:
        raise NotImplementedError

    def _what_is_beside(self) -> Beside:
        beside = self._beside
        if beside is None:
            beside = self._beside = Beside()
        return beside

    def _indexed(self) -> MemberIndex:
        beside = self._what_is_beside()
        if beside.index is None:
            beside.index = MemberIndex(self)
        return beside.index

    def _roster(self) -> Roster:
        beside = self._what_is_beside()
        if beside.roster is None:
            beside.roster = Roster(self)
        return beside.roster

    def _rebuild(self) -> None:
        """Make the container anew, just large enough."""
        raise NotImplementedError

    def _give_back_room(self) -> None:
        """Python's containers do not shrink as members go, and walking them visits all the room."""
        if self.__sizeof__() > _SPARSE_BYTES * len(self) + _FREE_BYTES:
            self._rebuild()

    def _note_change(self, member: bytes, added: bool) -> None:
        """Keep exact what there is beside, or drop what nobody uses any more."""
        beside = self._beside
        if beside is None:
            return
        most = (len(self) + _KEPT_CHANGES) // 2
        if beside.index is not None:
            beside.index = _maybe_kept(beside.index, member, added, most)
        if beside.roster is not None:
            beside.roster = _maybe_kept(beside.roster, member, added, most)
        if beside.index is None and beside.roster is None:
            self._beside = None

    def _take_random(self, count: int, rng: Chooser) -> list[bytes]:
        """Random members, fewer than all, for the collection itself to remove."""
        chosen = self._roster().take(count, rng)
        beside = self._what_is_beside()
        most = (len(self) + _KEPT_CHANGES) // 2
        for member in chosen:
            if beside.index is None:
                break
            beside.index = _maybe_kept(beside.index, member, False, most)
        return chosen

    def random_member(self, rng: Chooser) -> bytes:
        """Some member, each equally likely; there must be one."""
        size = len(self)
        if size <= WALK_LIMIT:
            return next(islice(self, rng.randrange(size), None))
        return self._roster().pick(rng)

    def random_members(self, count: int, rng: Chooser) -> list[bytes]:
        """`count` different members (all of them, if there are fewer), in no particular order."""
        size = len(self)
        if count >= size:
            return list(self)
        if size <= WALK_LIMIT or count * 3 > size:
            return rng.sample(list(self), count)
        pick = self._roster().pick
        chosen: dict[bytes, None] = {}
        while len(chosen) < count:
            chosen[pick(rng)] = None
        return list(chosen)

    def scan(self, cursor: int, count: int) -> tuple[int, list[bytes]]:
        """One step of HSCAN, SSCAN or ZSCAN: the next cursor (0: done), and some members.

        Compact encodings are to be returned as a whole; that is for the commands to decide.
        """
        if not cursor and count >= len(self):
            return 0, list(self)
        return self._indexed().window(cursor, max(count, 1))
