"""Sorted sets: a dict of scores, and an order over them once somebody asks for one.

Read the scores as the dict they are (`get`, `in`, `len`, `items`); change them through `put`,
`take` and their kin alone, which keep the encoding, the order and the index in step. Up to 2048
members the order is made by the first question for it; larger sets always have it, since sorting a
million members would keep everybody waiting for 0.7 s.

Measured, with 16-byte members: 149 bytes each among 300000 (redis-server: 138), 124 in sets of 20
and 165 once ordered (redis-server: 26). Among a million in random order `put` of a new member 1.7
us, of another score 3.8 us, `take` 1.7 us, `rank` 2.9 us, a range of 300 members 8 us, a pop 2.6
us; ascending scores 0.9 us. `sortedcontainers.SortedList` of (score, member) takes 5.4 us to add,
4.3 us to remove, 4 us for a rank (10 us right after a change) and 72 bytes a member instead of 17.
"""

from collections.abc import Sequence
from itertools import islice
from math import inf
from typing import Final

from attrs import frozen

from ..memory import bytes_size
from .limits import DEFAULT_LIMITS, CollectionLimits
from .ordering import ScoreOrder
from .scancursor import CHECK_MASK, GC_HEADER_BYTES, INDEX_ENTRY_BYTES, Beside, Indexed

#: A larger set keeps its order from the start: sorting it on demand would stall everybody.
_LAZY_UP_TO: Final = 2048
_SCORE_BYTES: Final = 32
_ORDER_BYTES: Final = 400
_ORDER_ENTRY_BYTES: Final = 17


@frozen
class ScoreBound:
    """One end of a range of scores."""

    score: float
    is_exclusive: bool = False


@frozen
class LexBound:
    """One end of a range of members; `text` is None for the ends - and + of the alphabet."""

    text: bytes | None
    is_exclusive: bool = False
    #: Only without a text: whether this is + rather than -.
    is_maximum: bool = False

    def is_reached_by(self, member: bytes) -> bool:
        """As a lower end: whether a member is within."""
        if self.text is None:
            return not self.is_maximum
        return member > self.text if self.is_exclusive else member >= self.text

    def is_kept_by(self, member: bytes) -> bool:
        """As an upper end: whether a member is within."""
        if self.text is None:
            return self.is_maximum
        return member < self.text if self.is_exclusive else member <= self.text


ALL_SCORES: Final = (ScoreBound(-inf), ScoreBound(inf))


class ZSetValue(dict[bytes, float], Indexed):
    """Member to score. Ranks count from 0 at the lowest score; ranges are [start, stop)."""

    __slots__ = ("_beside", "_order", "is_compact", "limits")

    def __init__(self, limits: CollectionLimits = DEFAULT_LIMITS) -> None:
        self.limits = limits
        #: Within the limits of a listpack ever since.
        self.is_compact = True
        self._order: ScoreOrder | None = None
        self._beside: Beside | None = None

    @classmethod
    def from_scores(
        cls, scores: dict[bytes, float], limits: CollectionLimits = DEFAULT_LIMITS
    ) -> "ZSetValue":
        """A value with the encoding that Redis gives a finished result, as ZUNIONSTORE's."""
        value = cls(limits)
        value.update(scores)
        value.settle_encoding()
        return value

    def settle_encoding(self) -> None:
        """Find the most compact encoding that is allowed; for results and for what was loaded."""
        longest = self.limits.zset_max_listpack_value
        self.is_compact = len(self) <= self.limits.zset_max_listpack_entries and all(
            len(member) <= longest for member in self
        )

    @property
    def encoding(self) -> bytes:
        """What OBJECT ENCODING says."""
        return b"listpack" if self.is_compact else b"skiplist"

    def expect(self, count: int, longest: int) -> None:
        """Before ZADD adds `count` members, the longest of so many bytes: later than 7.0 only."""
        limits = self.limits
        if count > limits.zset_max_listpack_entries or longest > limits.zset_max_listpack_value:
            self.is_compact = False

    # --- changing ----------------------------------------------------------------------------

    def put(self, member: bytes, score: float) -> float | None:
        """Add a member, or give it another score; returns the one that it had, None: it is new."""
        old = self.get(member)
        order = self._order
        if old is None:
            self[member] = score
            if self.is_compact:
                limits = self.limits
                if (
                    len(self) > limits.zset_max_listpack_entries
                    or len(member) > limits.zset_max_listpack_value
                ):
                    self.is_compact = False
            if order is not None:
                order.add(score, member)
            elif len(self) > _LAZY_UP_TO:
                self._order = ScoreOrder(self)
            if self._beside is not None:
                self._note_change(member, True)
        elif old != score:
            self[member] = score
            if order is not None:
                # The kept object goes back in: the same text twice in memory would cost more.
                order.add(score, order.remove(old, member))
        return old

    def take(self, member: bytes) -> float | None:
        """Remove a member; returns its score, None if there was none."""
        score = self.pop(member, None)
        if score is not None:
            if self._order is not None:
                self._order.remove(score, member)
            if self._beside is not None:
                self._note_change(member, False)
            if not len(self) & CHECK_MASK:
                self._give_back_room()
        return score

    def _rebuild(self) -> None:
        kept = dict(self)
        self.clear()
        self.update(kept)

    def take_ranks(self, start: int, stop: int) -> list[tuple[bytes, float]]:
        """Remove a range of ranks; returns what was there, lowest first."""
        members, scores = self.order().take(start, stop)
        for member in members:
            del self[member]
        if self._beside is not None:
            if len(members) > len(self):
                self._beside = None
            for member in members:
                self._note_change(member, False)
        if len(members) > 1 or not len(self) & CHECK_MASK:
            self._give_back_room()
        return list(zip(members, scores, strict=True))

    def pop_end(self, is_last: bool) -> tuple[bytes, float]:
        """Remove the lowest or (`is_last`) the highest member; there must be one."""
        order = self._order
        pair = (self.order() if order is None else order).take_end(is_last)
        del self[pair[0]]
        if self._beside is not None:
            self._note_change(pair[0], False)
        if not len(self) & CHECK_MASK:
            self._give_back_room()
        return pair

    def pop_lowest(self, count: int) -> list[tuple[bytes, float]]:
        """Remove the `count` lowest members (all, if there are fewer); lowest first."""
        if count == 1 and self:
            return [self.pop_end(is_last=False)]
        return self.take_ranks(0, min(count, len(self)))

    def pop_highest(self, count: int) -> list[tuple[bytes, float]]:
        """Remove the `count` highest members (all, if there are fewer); highest first."""
        if count == 1 and self:
            return [self.pop_end(is_last=True)]
        size = len(self)
        taken = self.take_ranks(max(size - count, 0), size)
        taken.reverse()
        return taken

    # --- ranges ------------------------------------------------------------------------------

    def order(self) -> ScoreOrder:
        """The order, made now if nobody asked before."""
        order = self._order
        if order is None:
            order = self._order = ScoreOrder(self)
        return order

    def ranks(self, members: Sequence[bytes]) -> list[int | None]:
        """`rank` for many members."""
        # Looked up in one go: the processor waits for several places in memory at once.
        scores = list(map(self.get, members))
        rank = self.order().rank
        return [
            None if score is None else rank(score, member)
            for score, member in zip(scores, members, strict=True)
        ]

    def rank(self, member: bytes) -> int | None:
        """The rank of a member, None if there is none. From the top: `len` - 1 - rank."""
        score = self.get(member)
        if score is None:
            return None
        order = self._order
        return (self.order() if order is None else order).rank(score, member)

    def members(self, start: int, stop: int, is_reversed: bool = False) -> list[bytes]:
        """The members of a range of ranks; reversed means the same range from its upper end."""
        found = self.order().members(start, stop)
        if is_reversed:
            found.reverse()
        return found

    def pairs(self, start: int, stop: int, is_reversed: bool = False) -> list[tuple[bytes, float]]:
        """The members of a range of ranks with their scores; see `members`."""
        order = self.order()
        found = list(zip(order.members(start, stop), order.scores(start, stop), strict=True))
        if is_reversed:
            found.reverse()
        return found

    def score_ranks(self, lower: ScoreBound, upper: ScoreBound) -> tuple[int, int]:
        """The ranks [start, stop) of a range of scores."""
        order = self.order()
        start = order.rank_of_score(lower.score, lower.is_exclusive)
        return start, max(start, order.rank_of_score(upper.score, not upper.is_exclusive))

    def lex_ranks(
        self, lower: LexBound, upper: LexBound, is_reversed: bool = False
    ) -> tuple[int, int]:
        """The ranks [start, stop) of a range of members in a set of one score.

        With several scores Redis promises nothing, but a listpack is simply walked from the end
        where the range begins, and that is done here too.
        """
        order = self.order()
        if self.is_compact:
            return _walk(order.members(0, len(self)), lower, upper, is_reversed)
        start = _lex_rank(order, lower, is_lower=True)
        return start, max(start, _lex_rank(order, upper, is_lower=False))

    # --- the whole value -----------------------------------------------------------------------

    def copy(self) -> "ZSetValue":
        """An independent copy; the bytes are shared. The order is made when it is needed."""
        other = ZSetValue(self.limits)
        other.update(self)
        other.is_compact = self.is_compact
        return other

    def estimate_bytes(self, samples: int) -> int:
        """About how many bytes this takes, judged by `samples` members (0: all)."""
        size = len(self)
        total = GC_HEADER_BYTES + self.__sizeof__()
        if not size:
            return total
        looked_at = min(samples, size) if samples > 0 else size
        seen = sum(bytes_size(len(member)) for member in islice(self, looked_at))
        each = _SCORE_BYTES
        if self._order is not None:
            total += _ORDER_BYTES
            each += _ORDER_ENTRY_BYTES
        if self._beside is not None:
            each += INDEX_ENTRY_BYTES
        return total + size * each + seen * size // looked_at


def _lex_rank(order: ScoreOrder, bound: LexBound, is_lower: bool) -> int:
    if bound.text is None:
        return order.count if bound.is_maximum else 0
    return order.rank_of_member(bound.text, bound.is_exclusive == is_lower)


def _walk(
    members: list[bytes], lower: LexBound, upper: LexBound, is_reversed: bool
) -> tuple[int, int]:
    """The range of a listpack, from the first member within one bound while within the other."""
    size = len(members)
    if not size or not lower.is_reached_by(members[-1]) or not upper.is_kept_by(members[0]):
        return 0, 0
    if is_reversed:
        stop = size
        while stop and not upper.is_kept_by(members[stop - 1]):
            stop -= 1
        start = stop
        while start and lower.is_reached_by(members[start - 1]):
            start -= 1
        return start, stop
    start = 0
    while start < size and not lower.is_reached_by(members[start]):
        start += 1
    stop = start
    while stop < size and upper.is_kept_by(members[stop]):
        stop += 1
    return start, stop
