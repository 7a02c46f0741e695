"""Unions, intersections and differences of sorted sets, returned or stored.

Plain sets take part as if each member had the score 1. Scores are added up in Redis' order, the
smallest set first, since the last digit of a sum depends on it; what is not a number becomes 0.
"""

from collections.abc import Iterable
from math import isnan
from typing import Final

from attrs import define

from ...slots.keyspec import KeySpec, keynum, one_key
from ..errors import LIMIT_NEGATIVE, SYNTAX, WRONG_TYPE, CommandError
from ..registry import command
from ..resp.bulks import bulk_row
from ..resp.encoder import EMPTY_ARRAY, integer
from ..session import Session
from ..values.numbers import parse_float, parse_integer
from ..values.setvalue import SetValue
from ..values.zsetvalue import ZSetValue
from .arguments import required_integer
from .zsets import Pair, pairs_reply, store_scores

_READ: Final = (keynum(1, "RO", "ACCESS"),)
_STORE: Final[tuple[KeySpec, ...]] = (one_key(1, "OW", "UPDATE"), keynum(2, "RO", "ACCESS"))
_AGGREGATES: Final = frozenset({b"SUM", b"MIN", b"MAX"})
_OPTIONS: Final = "[WEIGHTS weight:integer...] [AGGREGATE aggregate:oneof(SUM|MIN|MAX)]"

_WEIGHT_NOT_A_FLOAT: Final = CommandError(b"ERR weight value is not a float")


@define(eq=False)
class _Source:
    """One of the sets; None for a key that does not exist."""

    value: ZSetValue | SetValue | None
    weight: float = 1.0

    def __len__(self) -> int:
        return 0 if self.value is None else len(self.value)

    def items(self) -> Iterable[Pair]:
        """Members with their own scores."""
        value = self.value
        if value is None:
            return ()
        if isinstance(value, ZSetValue):
            return value.items()
        return ((member, 1.0) for member in value)

    def score_of(self, member: bytes) -> float | None:
        """The score of a member, None if there is none."""
        value = self.value
        if isinstance(value, ZSetValue):
            return value.get(member)
        return 1.0 if value is not None and member in value else None


@define(eq=False)
class _Request:
    """What a command says: which sets, and what to do with their scores."""

    sources: list[_Source]
    aggregate: bytes = b"SUM"
    with_scores: bool = False
    #: 0: none.
    limit: int = 0

    def combine(self, score: float, other: float) -> float:
        """The score of a member that is in two sets."""
        if self.aggregate == b"SUM":
            total = score + other
            return 0.0 if isnan(total) else total
        if self.aggregate == b"MIN":
            return other if other < score else score
        return other if other > score else score


def _read_sources(session: Session, args: list[bytes], position: int, name: bytes) -> list[_Source]:
    """Read `numkeys key...` at a position."""
    count = required_integer(args[position])
    if count < 1:
        raise CommandError(b"ERR at least 1 input key is needed for '%b' command" % name)
    if count > len(args) - position - 1:
        raise SYNTAX
    sources: list[_Source] = []
    for key in args[position + 1 : position + 1 + count]:
        value = session.db.get(key)
        if value is not None and type(value) is not ZSetValue and type(value) is not SetValue:
            raise WRONG_TYPE
        sources.append(_Source(value))
    return sources


def _parse(
    session: Session, args: list[bytes], position: int, name: bytes, options: frozenset[bytes]
) -> _Request:
    """Read a whole request; `options` are those that the command knows."""
    request = _Request(_read_sources(session, args, position, name))
    sources = request.sources
    position += 1 + len(sources)
    end = len(args)
    while position < end:
        word = args[position].upper()
        left = end - position
        if word not in options:
            raise SYNTAX
        if word == b"WITHSCORES":
            request.with_scores = True
            position += 1
        elif word == b"WEIGHTS" and left > len(sources):
            for source, text in zip(sources, args[position + 1 :], strict=False):
                weight = parse_float(text)
                if weight is None:
                    raise _WEIGHT_NOT_A_FLOAT
                source.weight = weight
            position += 1 + len(sources)
        elif word == b"AGGREGATE" and left >= 2:
            request.aggregate = args[position + 1].upper()
            if request.aggregate not in _AGGREGATES:
                raise SYNTAX
            position += 2
        elif word == b"LIMIT" and left >= 2:
            limit = parse_integer(args[position + 1])
            if limit is None or limit < 0:
                raise LIMIT_NEGATIVE
            request.limit = limit
            position += 2
        else:
            raise SYNTAX
    return request


_WEIGHING: Final = frozenset({b"WEIGHTS", b"AGGREGATE"})
_WEIGHING_AND_SHOWING: Final = _WEIGHING | {b"WITHSCORES"}
_SHOWING: Final = frozenset({b"WITHSCORES"})
_NOTHING: Final = frozenset[bytes]()

# --- the operations ------------------------------------------------------------------------------


def _weighed(weight: float, score: float) -> float:
    weighed = weight * score
    return 0.0 if isnan(weighed) else weighed


def _union(request: _Request) -> dict[bytes, float]:
    result: dict[bytes, float] = {}
    combine = request.combine
    for source in sorted(request.sources, key=len):
        weight = source.weight
        for member, score in source.items():
            weighed = weight * score
            if weighed != weighed:
                weighed = 0.0
            old = result.get(member)
            result[member] = weighed if old is None else combine(old, weighed)
    return result


def _intersection(request: _Request) -> dict[bytes, float]:
    first, *others = sorted(request.sources, key=len)
    result: dict[bytes, float] = {}
    combine = request.combine
    for member, score in first.items():
        total = _weighed(first.weight, score)
        for other in others:
            other_score = other.score_of(member)
            if other_score is None:
                break
            total = combine(total, other_score * other.weight)
        else:
            result[member] = total
    return result


def _difference(request: _Request) -> dict[bytes, float]:
    first, *others = request.sources
    values = [other.value for other in others if other.value is not None]
    if any(value is first.value for value in values):
        return {}
    return {
        member: score
        for member, score in first.items()
        if not any(member in value for value in values)
    }


def _reply(session: Session, request: _Request, scores: dict[bytes, float]) -> bytes:
    if not scores:
        return EMPTY_ARRAY
    value = ZSetValue.from_scores(scores)
    if request.with_scores:
        return pairs_reply(session, value.pairs(0, len(value)))
    return bulk_row(value.members(0, len(value)))


# --- the commands --------------------------------------------------------------------------------


@command(
    "ZUNION",
    group="sorted-set",
    since="6.2.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args=f"numkeys key... {_OPTIONS} [WITHSCORES]",
    complexity="O(N)+O(M*log(M)), N members in all sets, M in the result",
)
def zunion(session: Session, args: list[bytes]) -> bytes:
    """Returns the members that are in any of some sorted sets."""
    request = _parse(session, args, 1, b"zunion", _WEIGHING_AND_SHOWING)
    return _reply(session, request, _union(request))


@command(
    "ZINTER",
    group="sorted-set",
    since="6.2.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args=f"numkeys key... {_OPTIONS} [WITHSCORES]",
    complexity="O(N*K)+O(M*log(M)), N members in the smallest of K sets, M in the result",
)
def zinter(session: Session, args: list[bytes]) -> bytes:
    """Returns the members that are in all of some sorted sets."""
    request = _parse(session, args, 1, b"zinter", _WEIGHING_AND_SHOWING)
    return _reply(session, request, _intersection(request))


@command(
    "ZDIFF",
    group="sorted-set",
    since="6.2.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args="numkeys key... [WITHSCORES]",
    complexity="O(N*K)+O(M*log(M)), N members in the first of K sets, M in the result",
)
def zdiff(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of a sorted set that are in none of some others."""
    request = _parse(session, args, 1, b"zdiff", _SHOWING)
    return _reply(session, request, _difference(request))


@command(
    "ZUNIONSTORE",
    group="sorted-set",
    since="2.0.0",
    arity=-4,
    flags="write denyoom",
    keys=_STORE,
    args=f"destination:key numkeys key... {_OPTIONS}",
    complexity="O(N)+O(M*log(M)), N members in all sets, M in the result",
)
def zunionstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members that are in any of some sorted sets."""
    request = _parse(session, args, 2, b"zunionstore", _WEIGHING)
    return store_scores(session, args[1], _union(request), b"zunionstore")


@command(
    "ZINTERSTORE",
    group="sorted-set",
    since="2.0.0",
    arity=-4,
    flags="write denyoom",
    keys=_STORE,
    args=f"destination:key numkeys key... {_OPTIONS}",
    complexity="O(N*K)+O(M*log(M)), N members in the smallest of K sets, M in the result",
)
def zinterstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members that are in all of some sorted sets."""
    request = _parse(session, args, 2, b"zinterstore", _WEIGHING)
    return store_scores(session, args[1], _intersection(request), b"zinterstore")


@command(
    "ZDIFFSTORE",
    group="sorted-set",
    since="6.2.0",
    arity=-4,
    flags="write denyoom",
    keys=_STORE,
    args="destination:key numkeys key...",
    complexity="O(N*K)+O(M*log(M)), N members in the first of K sets, M in the result",
)
def zdiffstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members of a sorted set that are in none of some others."""
    request = _parse(session, args, 2, b"zdiffstore", _NOTHING)
    return store_scores(session, args[1], _difference(request), b"zdiffstore")


@command(
    "ZINTERCARD",
    group="sorted-set",
    since="7.0.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args="numkeys key... [LIMIT limit]",
    complexity="O(N*K), N members in the smallest of K sets",
)
def zintercard(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members are in all of some sorted sets."""
    request = _parse(session, args, 1, b"zintercard", frozenset({b"LIMIT"}))
    first, *others = sorted(request.sources, key=len)
    count = 0
    for member, _ in first.items():
        if all(other.score_of(member) is not None for other in others):
            count += 1
            if count == request.limit:
                break
    return integer(count)
