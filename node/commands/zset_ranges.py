"""Ranges of sorted sets: by rank, by score, by member; returned, stored, counted, removed.

A range is first read (bounds before the key is looked up: so errors come in Redis' order), then
turned into ranks, which serve all that is done with it.
"""

from typing import Final

from attrs import define

from ...slots.keyspec import one_key
from ..errors import SYNTAX, CommandError
from ..registry import command
from ..resp.bulks import bulk_row
from ..resp.encoder import EMPTY_ARRAY, ZERO, integer
from ..session import Session
from ..values.numbers import parse_float_loosely
from ..values.zsetvalue import LexBound, ScoreBound, ZSetValue
from .arguments import required_integer
from .zset_batches import put_score
from .zsets import announce_removal, pairs_reply, store_scores, store_value

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_DELETE: Final = (one_key(1, "RW", "DELETE"),)
_O_RANGE: Final = "O(log(N)+M), M members in the range"

_NOT_A_SCORE: Final = CommandError(b"ERR min or max is not a float")
_NOT_A_BOUND: Final = CommandError(b"ERR min or max not valid string range item")
_LIMIT_BY_RANK: Final = CommandError(
    b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
_SCORES_BY_LEX: Final = CommandError(
    b"ERR syntax error, WITHSCORES not supported in combination with BYLEX"
)

_MINIMUM: Final = LexBound(None)
_MAXIMUM: Final = LexBound(None, is_maximum=True)

_RANK: Final = "rank"
_SCORE: Final = "score"
_LEX: Final = "lex"

# --- bounds --------------------------------------------------------------------------------------


def _score_bound(text: bytes) -> ScoreBound:
    is_exclusive = text[:1] == b"("
    score = parse_float_loosely(text[1:] if is_exclusive else text)
    if score is None:
        raise _NOT_A_SCORE
    return ScoreBound(score, is_exclusive)


def _lex_bound(text: bytes) -> LexBound:
    sign = text[:1]
    if sign in (b"(", b"["):
        return LexBound(text[1:], is_exclusive=sign == b"(")
    # Redis takes the rest for a C string.
    if sign in (b"+", b"-") and text[1:2] in (b"", b"\0"):
        return _MAXIMUM if sign == b"+" else _MINIMUM
    raise _NOT_A_BOUND


def _rank_range(first: int, last: int, size: int) -> tuple[int, int]:
    """Ranks [start, stop) of what Python calls a slice, its last element included."""
    if first < 0:
        first = max(first + size, 0)
    if last < 0:
        last += size
    return (first, min(last + 1, size)) if first <= last and first < size else (0, 0)


@define
class _Range:
    """A range as a client words it."""

    kind: str
    is_reversed: bool
    with_scores: bool = False
    offset: int = 0
    #: Negative: no limit.
    limit: int = -1
    first: int = 0
    last: int = 0
    low: ScoreBound | LexBound = _MINIMUM
    high: ScoreBound | LexBound = _MAXIMUM

    def read_bounds(self, first: bytes, last: bytes) -> None:
        """Read both ends, the lower one first unless the range is reversed."""
        if self.kind == _RANK:
            self.first, self.last = required_integer(first), required_integer(last)
            return
        low, high = (last, first) if self.is_reversed else (first, last)
        parse = _score_bound if self.kind == _SCORE else _lex_bound
        self.low, self.high = parse(low), parse(high)

    def ranks(self, value: ZSetValue) -> tuple[int, int]:
        """The ranks [start, stop) from the lowest score up, whatever the direction."""
        size = len(value)
        if self.kind == _RANK:
            start, stop = _rank_range(self.first, self.last, size)
            return (size - stop, size - start) if self.is_reversed else (start, stop)
        low, high = self.low, self.high
        if isinstance(low, ScoreBound) and isinstance(high, ScoreBound):
            start, stop = value.score_ranks(low, high)
        else:
            assert isinstance(low, LexBound)
            assert isinstance(high, LexBound)
            start, stop = value.lex_ranks(low, high, self.is_reversed)
        if self.offset or self.limit >= 0:
            return self._limited(start, stop)
        return start, stop

    def _limited(self, start: int, stop: int) -> tuple[int, int]:
        size = stop - start
        if not 0 <= self.offset < size:
            return 0, 0
        count = size - self.offset
        if 0 <= self.limit < count:
            count = self.limit
        if self.is_reversed:
            return stop - self.offset - count, stop - self.offset
        return start + self.offset, start + self.offset + count


def _parse_range(
    args: list[bytes], first: int, kind: str = "", is_reversed: bool | None = None
) -> _Range:
    """Read `min max` at `first`, and the options that a command with so much fixed may have."""
    stores = first == 3
    wanted = _Range(kind, bool(is_reversed))
    position, end = first + 2, len(args)
    while position < end:
        word = args[position].upper()
        if word == b"WITHSCORES" and not stores:
            wanted.with_scores = True
        elif word == b"LIMIT" and position + 2 < end:
            wanted.offset = required_integer(args[position + 1])
            wanted.limit = required_integer(args[position + 2])
            position += 2
        elif word == b"REV" and is_reversed is None:
            wanted.is_reversed = is_reversed = True
        elif word == b"BYLEX" and not wanted.kind:
            wanted.kind = _LEX
        elif word == b"BYSCORE" and not wanted.kind:
            wanted.kind = _SCORE
        else:
            raise SYNTAX
        position += 1
    wanted.kind = wanted.kind or _RANK
    if wanted.limit != -1 and wanted.kind == _RANK:
        raise _LIMIT_BY_RANK
    if wanted.with_scores and wanted.kind == _LEX:
        raise _SCORES_BY_LEX
    wanted.read_bounds(args[first], args[first + 1])
    return wanted


def _reply(session: Session, key: bytes, wanted: _Range) -> bytes:
    value = session.db.typed(key, ZSetValue)
    if value is None:
        return EMPTY_ARRAY
    start, stop = wanted.ranks(value)
    if wanted.with_scores:
        return pairs_reply(session, value.pairs(start, stop, wanted.is_reversed))
    return bulk_row(value.members(start, stop, wanted.is_reversed))


# --- ZRANGE --------------------------------------------------------------------------------------


@command(
    "ZRANGE",
    group="sorted-set",
    since="1.2.0",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args=(
        "key start:string stop:string [sortby:oneof(BYSCORE|BYLEX)] [REV] [LIMIT offset count] "
        "[WITHSCORES]"
    ),
    complexity=_O_RANGE,
)
def zrange(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of a range of ranks, scores or members."""
    with_scores = len(args) == 5 and args[4].upper() == b"WITHSCORES"
    if len(args) != 4 and not with_scores:
        return _reply(session, args[1], _parse_range(args, 2))
    first, last = required_integer(args[2]), required_integer(args[3])
    value = session.db.typed(args[1], ZSetValue)
    if value is None:
        return EMPTY_ARRAY
    start, stop = _rank_range(first, last, len(value))
    if with_scores:
        return pairs_reply(session, value.pairs(start, stop))
    return bulk_row(value.members(start, stop))


@command(
    "ZREVRANGE",
    group="sorted-set",
    since="1.2.0",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key start stop [WITHSCORES]",
    complexity=_O_RANGE,
    deprecated=("6.2.0", "`ZRANGE` with the `REV` argument"),
)
def zrevrange(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of a range of ranks, which count from the highest score."""
    return _reply(session, args[1], _parse_range(args, 2, _RANK, True))


@command(
    "ZRANGEBYSCORE",
    group="sorted-set",
    since="1.0.5",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key min max [WITHSCORES] [LIMIT offset count]",
    complexity=_O_RANGE,
    deprecated=("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
)
def zrangebyscore(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of a range of scores."""
    return _reply(session, args[1], _parse_range(args, 2, _SCORE, False))


@command(
    "ZREVRANGEBYSCORE",
    group="sorted-set",
    since="2.2.0",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key max min [WITHSCORES] [LIMIT offset count]",
    complexity=_O_RANGE,
    deprecated=("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
)
def zrevrangebyscore(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of a range of scores, from the highest down."""
    return _reply(session, args[1], _parse_range(args, 2, _SCORE, True))


@command(
    "ZRANGEBYLEX",
    group="sorted-set",
    since="2.8.9",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key min:string max:string [LIMIT offset count]",
    complexity=_O_RANGE,
    deprecated=("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
)
def zrangebylex(session: Session, args: list[bytes]) -> bytes:
    """Returns the members between two texts, of a set in which all have one score."""
    return _reply(session, args[1], _parse_range(args, 2, _LEX, False))


@command(
    "ZREVRANGEBYLEX",
    group="sorted-set",
    since="2.8.9",
    arity=-4,
    flags="readonly",
    keys=_READ,
    args="key max:string min:string [LIMIT offset count]",
    complexity=_O_RANGE,
    deprecated=("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
)
def zrevrangebylex(session: Session, args: list[bytes]) -> bytes:
    """Returns the members between two texts, the last one first."""
    return _reply(session, args[1], _parse_range(args, 2, _LEX, True))


@command(
    "ZRANGESTORE",
    group="sorted-set",
    since="6.2.0",
    arity=-5,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"), one_key(2, "RO", "ACCESS")),
    args=(
        "dst:key src:key min:string max:string [sortby:oneof(BYSCORE|BYLEX)] [REV] "
        "[LIMIT offset count]"
    ),
    complexity=_O_RANGE,
)
def zrangestore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members of a range, with their scores, as a sorted set of its own."""
    wanted = _parse_range(args, 3)
    value = session.db.typed(args[2], ZSetValue)
    limits = session.machine.limits
    pairs = []
    if value is not None:
        pairs = value.pairs(*wanted.ranks(value), wanted.is_reversed)
    if len(pairs) > limits.zset_max_listpack_entries:
        return store_scores(session, args[1], dict(pairs), b"zrangestore")
    # One by one, as Redis does it: that decides which zeros keep a sign.
    result = ZSetValue(limits)
    for member, score in pairs:
        put_score(result, member, score)
    return store_value(session, args[1], result, b"zrangestore")


# --- counting ------------------------------------------------------------------------------------


def _count(session: Session, args: list[bytes], kind: str) -> bytes:
    wanted = _Range(kind, is_reversed=False)
    wanted.read_bounds(args[2], args[3])
    value = session.db.typed(args[1], ZSetValue)
    if value is None:
        return ZERO
    start, stop = wanted.ranks(value)
    return integer(stop - start)


@command(
    "ZCOUNT",
    group="sorted-set",
    since="2.0.0",
    arity=4,
    flags="readonly fast",
    keys=_READ,
    args="key min max",
    complexity="O(log(N))",
)
def zcount(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members have a score in a range."""
    return _count(session, args, _SCORE)


@command(
    "ZLEXCOUNT",
    group="sorted-set",
    since="2.8.9",
    arity=4,
    flags="readonly fast",
    keys=_READ,
    args="key min:string max:string",
    complexity="O(log(N))",
)
def zlexcount(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members are between two texts, if all have one score."""
    return _count(session, args, _LEX)


# --- removing ------------------------------------------------------------------------------------


def _remove(session: Session, args: list[bytes], kind: str, event: bytes) -> bytes:
    wanted = _Range(kind, is_reversed=False)
    wanted.read_bounds(args[2], args[3])
    key = args[1]
    value = session.db.typed_for_write(key, ZSetValue)
    if value is None:
        return ZERO
    start, stop = wanted.ranks(value)
    if start >= stop:
        return ZERO
    value.take_ranks(start, stop)
    announce_removal(session, key, value, event)
    return integer(stop - start)


@command(
    "ZREMRANGEBYRANK",
    group="sorted-set",
    since="2.0.0",
    arity=4,
    flags="write",
    keys=_DELETE,
    args="key start stop",
    complexity=_O_RANGE,
)
def zremrangebyrank(session: Session, args: list[bytes]) -> bytes:
    """Removes the members of a range of ranks and returns how many there were."""
    return _remove(session, args, _RANK, b"zremrangebyrank")


@command(
    "ZREMRANGEBYSCORE",
    group="sorted-set",
    since="1.2.0",
    arity=4,
    flags="write",
    keys=_DELETE,
    args="key min max",
    complexity=_O_RANGE,
)
def zremrangebyscore(session: Session, args: list[bytes]) -> bytes:
    """Removes the members of a range of scores and returns how many there were."""
    return _remove(session, args, _SCORE, b"zremrangebyscore")


@command(
    "ZREMRANGEBYLEX",
    group="sorted-set",
    since="2.8.9",
    arity=4,
    flags="write",
    keys=_DELETE,
    args="key min:string max:string",
    complexity=_O_RANGE,
)
def zremrangebylex(session: Session, args: list[bytes]) -> bytes:
    """Removes the members between two texts and returns how many there were."""
    return _remove(session, args, _LEX, b"zremrangebylex")
