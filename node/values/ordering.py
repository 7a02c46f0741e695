"""The order of a sorted set: by score, then by member.

`ScoreOrder` keeps the members in lists and their scores in arrays beside them, cut into chunks, so
that a range is a slice and nothing is wrapped: 17 bytes a member beside the dict. The chunk of a
score is found by bisecting the chunks' last scores, the rank of a place by adding up the lengths
of chunks, in blocks of 32. Lists of scores instead of arrays made everything 30 to 40 percent
slower: bisecting them visits float objects all over the memory.
"""

from array import array
from bisect import bisect_left, bisect_right
from itertools import accumulate, chain
from operator import itemgetter
from typing import Final

#: Chunks are cut in half when they reach twice this many members.
_LOAD: Final = 512
#: Neighbours that together hold no more than this are joined.
_JOINED: Final = _LOAD
_BLOCK_BITS: Final = 5
_BLOCK: Final = 1 << _BLOCK_BITS
#: After so many ranks without a change between it pays to know where every chunk starts.
_MANY_QUESTIONS: Final = 32

_last_of = itemgetter(-1)


class ScoreOrder:
    """Members in the order of their scores. Scores are never NaN, and no member is added twice."""

    __slots__ = (
        "_block_sizes",
        "_last_scores",
        "_member_chunks",
        "_questions",
        "_score_chunks",
        "_starts",
        "count",
    )

    def __init__(self, scores: dict[bytes, float]) -> None:
        # Sorting by member first and then, stably, by score compares no pairs: twice as fast.
        members = sorted(scores)
        members.sort(key=scores.__getitem__)
        ordered = [scores[member] for member in members]
        self._load(members, ordered)

    def _load(self, members: list[bytes], scores: list[float]) -> None:
        self.count = len(members)
        starts = range(0, len(members), _LOAD)
        self._member_chunks = [members[start : start + _LOAD] for start in starts]
        self._score_chunks = [array("d", scores[start : start + _LOAD]) for start in starts]
        #: Bisected by each change; so few that a list, which is quicker to search, is no waste.
        self._last_scores = [chunk[-1] for chunk in self._score_chunks]
        #: Members in each block of chunks; None after the chunks themselves changed.
        self._block_sizes: list[int] | None = None
        #: The rank of each chunk's first member; None unless many asked since the last change.
        self._starts: list[int] | None = None
        self._questions = 0

    # --- places ------------------------------------------------------------------------------

    def _blocks(self) -> list[int]:
        sizes = self._block_sizes
        if sizes is None:
            lengths = list(map(len, self._score_chunks))
            sizes = self._block_sizes = [
                sum(lengths[start : start + _BLOCK]) for start in range(0, len(lengths), _BLOCK)
            ]
        return sizes

    def _rank(self, chunk: int, offset: int) -> int:
        """How many members are before a place."""
        starts = self._starts
        if starts is not None:
            return starts[chunk] + offset
        self._questions += 1
        if self._questions > _MANY_QUESTIONS:
            lengths = map(len, self._score_chunks)
            starts = self._starts = list(accumulate(lengths, initial=0))
            return starts[chunk] + offset
        block = chunk >> _BLOCK_BITS
        return (
            sum(self._blocks()[:block])
            + sum(map(len, self._score_chunks[block << _BLOCK_BITS : chunk]))
            + offset
        )

    def _place(self, rank: int) -> tuple[int, int]:
        """The chunk and offset of a rank that exists."""
        chunks = self._score_chunks
        if rank < len(chunks[0]):
            return 0, rank
        if rank >= self.count - len(chunks[-1]):
            return len(chunks) - 1, rank - self.count + len(chunks[-1])
        ends = list(accumulate(self._blocks()))
        block = bisect_right(ends, rank)
        if block:
            rank -= ends[block - 1]
        chunk = block << _BLOCK_BITS
        while rank >= len(chunks[chunk]):
            rank -= len(chunks[chunk])
            chunk += 1
        return chunk, rank

    def _locate(self, score: float, member: bytes) -> tuple[int, int]:
        """The chunk and offset where a member is, or would be; one chunk too many: behind all."""
        last_scores = self._last_scores
        chunk = bisect_left(last_scores, score)
        if chunk == len(last_scores):
            return chunk, 0
        if last_scores[chunk] == score:
            # The first chunk that ends with this member or a later one.
            end = bisect_right(last_scores, score, chunk)
            chunk = bisect_left(self._member_chunks, member, chunk, end, key=_last_of)
            if chunk == len(last_scores):
                return chunk, 0
        scores = self._score_chunks[chunk]
        low = bisect_left(scores, score)
        if scores[low] == score:
            members = self._member_chunks[chunk]
            if members[low] < member:
                low = bisect_left(members, member, low, bisect_right(scores, score, low))
        return chunk, low

    def rank(self, score: float, member: bytes) -> int:
        """The rank of a member that is there."""
        chunk, offset = self._locate(score, member)
        starts = self._starts
        return self._rank(chunk, offset) if starts is None else starts[chunk] + offset

    def rank_of_score(self, score: float, after: bool) -> int:
        """How many members have a lower score, or (`after`) no higher one."""
        find = bisect_right if after else bisect_left
        chunk = find(self._last_scores, score)
        if chunk == len(self._last_scores):
            return self.count
        return self._rank(chunk, find(self._score_chunks[chunk], score))

    def rank_of_member(self, member: bytes, after: bool) -> int:
        """How many members come before a text (`after`: and not after it), all having one score."""
        find = bisect_right if after else bisect_left
        chunk = find(self._member_chunks, member, key=_last_of)
        if chunk == len(self._member_chunks):
            return self.count
        return self._rank(chunk, find(self._member_chunks[chunk], member))

    # --- reading -----------------------------------------------------------------------------

    def members(self, start: int, stop: int) -> list[bytes]:
        """The members from rank `start` up to but without `stop`; both within bounds."""
        if start >= stop:
            return []
        chunks = self._member_chunks
        chunk, offset = self._place(start)
        length = stop - start
        found = chunks[chunk][offset : offset + length]
        while len(found) < length:
            chunk += 1
            found += chunks[chunk][: length - len(found)]
        return found

    def scores(self, start: int, stop: int) -> list[float]:
        """The scores from rank `start` up to but without `stop`; both within bounds."""
        if start >= stop:
            return []
        chunks = self._score_chunks
        chunk, offset = self._place(start)
        length = stop - start
        found = chunks[chunk][offset : offset + length].tolist()
        while len(found) < length:
            chunk += 1
            found += chunks[chunk][: length - len(found)]
        return found

    # --- changing ----------------------------------------------------------------------------

    def add(self, score: float, member: bytes) -> None:
        """A member came."""
        self.count += 1
        self._starts = None
        self._questions = 0
        last_scores = self._last_scores
        chunk, offset = self._locate(score, member)
        if chunk == len(last_scores):
            if not chunk or len(self._score_chunks[-1]) >= _LOAD:
                # Ascending scores fill chunks completely: the next one starts a new chunk.
                self._member_chunks.append([member])
                self._score_chunks.append(array("d", (score,)))
                last_scores.append(score)
                self._block_sizes = None
                return
            chunk -= 1
            self._member_chunks[chunk].append(member)
            self._score_chunks[chunk].append(score)
            last_scores[chunk] = score
        else:
            scores = self._score_chunks[chunk]
            scores.insert(offset, score)
            self._member_chunks[chunk].insert(offset, member)
            if len(scores) >= 2 * _LOAD:
                self._cut(chunk)
                return
        if self._block_sizes is not None:
            self._block_sizes[chunk >> _BLOCK_BITS] += 1

    def _cut(self, chunk: int) -> None:
        """Make two chunks of one."""
        members = self._member_chunks[chunk]
        scores = self._score_chunks[chunk]
        self._member_chunks[chunk : chunk + 1] = [members[:_LOAD], members[_LOAD:]]
        self._score_chunks[chunk : chunk + 1] = [scores[:_LOAD], scores[_LOAD:]]
        self._last_scores.insert(chunk, scores[_LOAD - 1])
        self._block_sizes = None

    def remove(self, score: float, member: bytes) -> bytes:
        """A member went; returns the object that was kept for it."""
        chunk, offset = self._locate(score, member)
        kept = self._member_chunks[chunk].pop(offset)
        assert kept == member, "the order and the scores disagree"
        scores = self._score_chunks[chunk]
        if offset == len(scores) - 1 or len(scores) <= _LOAD // 4:
            self._shrink(chunk, offset, 1)
            return kept
        # `_shrink`, where no chunk ends elsewhere.
        del scores[offset]
        self.count -= 1
        self._starts = None
        self._questions = 0
        if self._block_sizes is not None:
            self._block_sizes[chunk >> _BLOCK_BITS] -= 1
        return kept

    def _shrink(self, chunk: int, start: int, taken: int) -> None:
        """After `taken` members went from `start` on, let their scores (and all else) follow."""
        scores = self._score_chunks[chunk]
        del scores[start : start + taken]
        self.count -= taken
        self._starts = None
        self._questions = 0
        if self._block_sizes is not None:
            self._block_sizes[chunk >> _BLOCK_BITS] -= taken
        if start == len(scores):
            if not scores:
                del self._member_chunks[chunk], self._score_chunks[chunk]
                del self._last_scores[chunk]
                self._block_sizes = None
                return
            self._last_scores[chunk] = scores[-1]
        if len(scores) < _LOAD // 4:
            self._join(chunk)

    def _join(self, chunk: int) -> None:
        """Put a small chunk and a neighbour together if they fit into one."""
        chunks = self._score_chunks
        first = chunk if chunk + 1 < len(chunks) else chunk - 1
        if first < 0 or len(chunks[first]) + len(chunks[first + 1]) > _JOINED:
            return
        chunks[first] += chunks.pop(first + 1)
        self._member_chunks[first] += self._member_chunks.pop(first + 1)
        del self._last_scores[first]
        self._block_sizes = None

    def take(self, start: int, stop: int) -> tuple[list[bytes], list[float]]:
        """Remove the ranks from `start` up to but without `stop`; returns what was there."""
        if start >= stop:
            return [], []
        if stop - start > self.count // 2 and stop - start > _LOAD:
            return self._take_most(start, stop)
        members: list[bytes] = []
        scores: list[float] = []
        while len(members) < stop - start:
            chunk, offset = self._place(start)
            end = offset + stop - start - len(members)
            taken = self._member_chunks[chunk][offset:end]
            members += taken
            scores += self._score_chunks[chunk][offset:end]
            del self._member_chunks[chunk][offset:end]
            self._shrink(chunk, offset, len(taken))
        return members, scores

    def take_end(self, is_last: bool) -> tuple[bytes, float]:
        """Remove the first or last member; there must be one."""
        chunk = -1 if is_last else 0
        scores = self._score_chunks[chunk]
        member = self._member_chunks[chunk].pop(chunk)
        if len(scores) <= _LOAD // 4:
            score = scores[chunk]
            if is_last:
                self._shrink(len(self._score_chunks) - 1, len(scores) - 1, 1)
            else:
                self._shrink(0, 0, 1)
            return member, score
        # `_shrink`, where nothing is joined.
        score = scores.pop(chunk)
        self.count -= 1
        self._starts = None
        self._questions = 0
        if self._block_sizes is not None:
            self._block_sizes[chunk] -= 1
        if is_last:
            self._last_scores[-1] = scores[-1]
        return member, score

    def _take_most(self, start: int, stop: int) -> tuple[list[bytes], list[float]]:
        """Taking more than stays: what stays is laid out anew."""
        members = list(chain.from_iterable(self._member_chunks))
        scores = list(chain.from_iterable(self._score_chunks))
        taken = members[start:stop], scores[start:stop]
        del members[start:stop], scores[start:stop]
        self._load(members, scores)
        return taken
