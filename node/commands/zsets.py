"""Sorted sets: members with scores, and what works on single members.

ZADD and ZSCORE are hot: their plain forms come first. How scores and pairs are written in replies,
and how a finished result is stored, is here for the other families of sorted sets too.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import NOT_A_FLOAT, SYNTAX, CommandError, wrong_arity
from ..lazyfree import free_later
from ..registry import command
from ..resp.bulks import bulk_row
from ..resp.encoder import (
    BULK_PREFIXES,
    CRLF,
    EMPTY_ARRAY,
    ONE,
    ZERO,
    array,
    bulk,
    integer,
    pack_bulks,
)
from ..session import Session
from ..values.numbers import format_double_17g, format_double_shortest, parse_float
from ..values.zsetvalue import ZSetValue
from .keys import remove
from .random_picks import parse_pick, pick
from .scan_collections import (
    EMPTY_SCAN,
    parse_cursor,
    parse_scan_options,
    scan_reply,
    scan_step,
)
from .zset_batches import put_score, zadd_many, zrank_many

Pair = tuple[bytes, float]

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_NX: Final = 1
_XX: Final = 2
_GT: Final = 4
_LT: Final = 8
_CH: Final = 16
_INCR: Final = 32
_OPTIONS: Final = {b"NX": _NX, b"XX": _XX, b"GT": _GT, b"LT": _LT, b"CH": _CH, b"INCR": _INCR}

_NX_AND_XX: Final = CommandError(b"ERR XX and NX options at the same time are not compatible")
_BAD_COMPARISON: Final = CommandError(
    b"ERR GT, LT, and/or NX options at the same time are not compatible"
)
_ONE_INCREMENT: Final = CommandError(b"ERR INCR option supports a single increment-element pair")
_NOT_A_NUMBER: Final = CommandError(b"ERR resulting score is not a number (NaN)")
#: Whole scores below this are printed as integers by everybody.
_PLAIN: Final = 1e15
_SHORT_TEXTS: Final = {float(number): b"%d" % number for number in range(1, 1000)}

#: What is before a member and its score where they are an array, by their lengths.
_PAIR_OPENINGS: Final = [b"*2\r\n" + prefix for prefix in BULK_PREFIXES]
_SCORE_OPENINGS: Final = [CRLF + prefix for prefix in BULK_PREFIXES]

# --- replies and results -------------------------------------------------------------------------


def score_text(score: float) -> bytes:
    """A score as text."""
    text = _SHORT_TEXTS.get(score)
    if text is not None:
        return text
    if -_PLAIN < score < _PLAIN and score:
        whole = int(score)
        if whole == score:
            return b"%d" % whole
        if 0.001 <= score < 10_000 or -10_000 < score <= -0.001:
            # Here Python and Redis put the point in the same place.
            return repr(score).encode()
    return format_double_shortest(score)


def score_reply(session: Session, score: float) -> bytes:
    """A score as a reply."""
    text = score_text(score)
    if session.encoder.protocol == 3:
        return b"," + text + CRLF
    return BULK_PREFIXES[len(text)] + text + CRLF


def pairs_reply(session: Session, pairs: list[Pair]) -> bytes:
    """Members with their scores: in turn, or in RESP3 each pair an array."""
    if session.encoder.protocol == 3:
        return nested_pairs(session, pairs)
    flat: list[bytes] = []
    append = flat.append
    for member, score in pairs:
        append(member)
        append(score_text(score))
    return bulk_row(flat)


def pair_reply(session: Session, pair: Pair) -> bytes:
    """A member with its score, as an array in both dialects."""
    if session.encoder.protocol == 3:
        return b"*2\r\n" + bulk(pair[0]) + score_reply(session, pair[1])
    member, score = pair
    text = score_text(score)
    length = len(member)
    if length >= len(_PAIR_OPENINGS):
        return pack_bulks((member, text))
    return b"".join((_PAIR_OPENINGS[length], member, _SCORE_OPENINGS[len(text)], text, CRLF))


def nested_pairs(session: Session, pairs: list[Pair]) -> bytes:
    """Members with their scores, each pair an array in both dialects."""
    return array([pair_reply(session, pair) for pair in pairs])


def announce_removal(session: Session, key: bytes, value: ZSetValue, event: bytes) -> None:
    """Members were taken out of a sorted set: it goes if it is empty now."""
    db = session.db
    if value:
        db.changed(key, "z", event)
    else:
        db.delete(key)
        db.changed(key, "z", event)
        db.changed(key, "g", b"del")


def store_scores(
    session: Session, destination: bytes, scores: dict[bytes, float], event: bytes
) -> bytes:
    """Let a result take the place of whatever is at the destination; the reply is its size."""
    value = ZSetValue.from_scores(scores, session.machine.limits)
    if value.is_compact:
        # Where Redis keeps whole scores as integers, there is no negative zero.
        for member, score in scores.items():
            if not score:
                value[member] = 0.0
    return store_value(session, destination, value, event)


def store_value(session: Session, destination: bytes, value: ZSetValue, event: bytes) -> bytes:
    """`store_scores` for a finished value."""
    if not value:
        remove(session, destination)
        return ZERO
    db = session.db
    replaced = db.peek(destination)
    if replaced is not None and type(replaced) is not bytes:
        free_later(session.machine, replaced)
    db.set(destination, value)
    db.changed(destination, "z", event)
    return integer(len(value))


# --- adding --------------------------------------------------------------------------------------


@command(
    "ZADD",
    group="sorted-set",
    since="1.2.0",
    arity=-4,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args=("key [condition:oneof(NX|XX)] [comparison:oneof(GT|LT)] [CH] [INCR] (score member)..."),
    complexity="O(log(N)) for each member",
    batch=zadd_many,
)
def zadd(session: Session, args: list[bytes]) -> bytes:
    """Adds members to a sorted set, or changes their scores."""
    score = parse_float(args[2])
    if score is None or len(args) != 4:
        return add_scores(session, args, 0)
    db = session.db
    key, member = args[1], args[3]
    value = db.maybe_value(key)
    if type(value) is ZSetValue:
        old = put_score(value, member, score)
        if old != score:
            db.effects.dirty += 1
        return ONE if old is None else ZERO
    value = db.typed_for_write(key, ZSetValue)
    if value is None:
        value = ZSetValue(session.machine.limits)
        old = put_score(value, member, score)
        db.set(key, value)
    else:
        old = put_score(value, member, score)
    if old != score:
        db.changed(key, "z", b"zadd")
    return ONE if old is None else ZERO


def _parse_options(args: list[bytes], options: int) -> tuple[int, int]:
    """The options, and where the pairs begin."""
    position = 2
    while position < len(args):
        option = _OPTIONS.get(args[position].upper())
        if option is None:
            break
        options |= option
        position += 1
    count = len(args) - position
    if count & 1 or not count:
        raise SYNTAX
    if options & _NX and options & _XX:
        raise _NX_AND_XX
    if (options & _NX and options & (_GT | _LT)) or (options & _GT and options & _LT):
        raise _BAD_COMPARISON
    if options & _INCR and count > 2:
        raise _ONE_INCREMENT
    return options, position


def add_scores(session: Session, args: list[bytes], options: int) -> bytes:
    """ZADD in all its forms, and what is made of it."""
    options, first = _parse_options(args, options)
    scores = [parse_float(text) for text in args[first::2]]
    if None in scores:
        raise NOT_A_FLOAT
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, ZSetValue)
    made = value is None
    if value is None:
        if options & _XX:
            return session.encoder.null if options & _INCR else ZERO
        value = ZSetValue(session.machine.limits)
    value.expect(len(scores), 0)
    added = updated = 0
    is_refused = False
    for score, member in zip(scores, args[first + 1 :: 2], strict=True):
        assert score is not None
        old = value.get(member)
        if old is None:
            is_refused = bool(options & _XX)
            if not is_refused:
                put_score(value, member, score)
                added += 1
            last = score
            continue
        is_refused = True
        if options & _NX:
            continue
        if options & _INCR:
            score += old
            if score != score:
                raise _NOT_A_NUMBER
        if (options & _LT and score >= old) or (options & _GT and score <= old):
            continue
        is_refused = False
        last = score
        if score != old:
            put_score(value, member, score)
            updated += 1
    if made:
        db.set(key, value)
    if added or updated:
        db.changed(key, "z", b"zincr" if options & _INCR else b"zadd")
    if options & _INCR:
        return session.encoder.null if is_refused else score_reply(session, last)
    return integer(added + updated if options & _CH else added)


@command(
    "ZINCRBY",
    group="sorted-set",
    since="1.2.0",
    arity=4,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key increment:integer member",
    complexity="O(log(N))",
)
def zincrby(session: Session, args: list[bytes]) -> bytes:
    """Adds a number to the score of a member."""
    return add_scores(session, args, _INCR)


@command(
    "ZREM",
    group="sorted-set",
    since="1.2.0",
    arity=-3,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key member...",
    complexity="O(log(N)) for each member",
)
def zrem(session: Session, args: list[bytes]) -> bytes:
    """Removes members of a sorted set and returns how many there were."""
    key = args[1]
    value = session.db.typed_for_write(key, ZSetValue)
    if value is None:
        return ZERO
    taken = 0
    for position in range(2, len(args)):
        if value.take(args[position]) is not None:
            taken += 1
    if taken:
        announce_removal(session, key, value, b"zrem")
    return integer(taken)


# --- looking -------------------------------------------------------------------------------------


@command(
    "ZCARD",
    group="sorted-set",
    since="1.2.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def zcard(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members a sorted set has."""
    value = session.db.typed(args[1], ZSetValue)
    return ZERO if value is None else integer(len(value))


@command(
    "ZSCORE",
    group="sorted-set",
    since="1.2.0",
    arity=3,
    flags="readonly fast",
    keys=_READ,
    args="key member",
)
def zscore(session: Session, args: list[bytes]) -> bytes:
    """Returns the score of a member."""
    value = session.db.typed(args[1], ZSetValue)
    score = None if value is None else value.get(args[2])
    return session.encoder.null if score is None else score_reply(session, score)


@command(
    "ZMSCORE",
    group="sorted-set",
    since="6.2.0",
    arity=-3,
    flags="readonly fast",
    keys=_READ,
    args="key member...",
    complexity="O(N), N members",
)
def zmscore(session: Session, args: list[bytes]) -> bytes:
    """Returns the scores of several members, null where there is none."""
    value = session.db.typed(args[1], ZSetValue)
    null = session.encoder.null
    if value is None:
        return array([null] * (len(args) - 2))
    scores = map(value.get, args[2:])
    return array([null if score is None else score_reply(session, score) for score in scores])


def _rank(session: Session, args: list[bytes], name: str, from_top: bool) -> bytes:
    with_score = len(args) > 3
    if with_score:
        if len(args) > 4:
            raise wrong_arity(name)
        if args[3].upper() != b"WITHSCORE":
            raise SYNTAX
    value = session.db.typed(args[1], ZSetValue)
    rank = None if value is None else value.rank(args[2])
    if value is None or rank is None:
        return session.encoder.null_array if with_score else session.encoder.null
    if from_top:
        rank = len(value) - 1 - rank
    if with_score:
        return b"*2\r\n" + integer(rank) + score_reply(session, value[args[2]])
    return integer(rank)


@command(
    "ZRANK",
    group="sorted-set",
    since="2.0.0",
    arity=-3,
    flags="readonly fast",
    keys=_READ,
    args="key member [WITHSCORE]",
    complexity="O(log(N))",
    batch=zrank_many,
)
def zrank(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members stand before one, from the lowest score up."""
    if len(args) == 3:
        db = session.db
        value = db.maybe_value(args[1])
        if type(value) is ZSetValue:
            db.hits += 1
            rank = value.rank(args[2])
            return session.encoder.null if rank is None else integer(rank)
    return _rank(session, args, "zrank", from_top=False)


@command(
    "ZREVRANK",
    group="sorted-set",
    since="2.0.0",
    arity=-3,
    flags="readonly fast",
    keys=_READ,
    args="key member [WITHSCORE]",
    complexity="O(log(N))",
)
def zrevrank(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members stand before one, from the highest score down."""
    return _rank(session, args, "zrevrank", from_top=True)


@command(
    "ZRANDMEMBER",
    group="sorted-set",
    since="6.2.0",
    arity=-2,
    flags="readonly",
    keys=_READ,
    args="key [options:block(count [WITHSCORES])]",
    complexity="O(N), N members returned",
    tips=("nondeterministic_output",),
)
def zrandmember(session: Session, args: list[bytes]) -> bytes:
    """Returns one or several members at random."""
    rng = session.machine.rng
    if len(args) == 2:
        value = session.db.typed(args[1], ZSetValue)
        return session.encoder.null if value is None else bulk(value.random_member(rng))
    count, with_scores = parse_pick(args, b"WITHSCORES")
    value = session.db.typed(args[1], ZSetValue)
    if value is None or count == 0:
        return EMPTY_ARRAY
    members = pick(value, count, rng)
    if not with_scores:
        return bulk_row(members)
    return pairs_reply(session, [(member, value[member]) for member in members])


@command(
    "ZSCAN",
    group="sorted-set",
    since="2.8.0",
    arity=-3,
    flags="readonly",
    keys=_READ,
    args="key cursor [MATCH pattern] [COUNT count]",
    complexity="O(1) per call, O(N) for a whole round",
    tips=("nondeterministic_output",),
)
def zscan(session: Session, args: list[bytes]) -> bytes:
    """Returns some of the members with their scores, and the cursor with which to ask for more."""
    cursor = parse_cursor(args[2])
    value = session.db.typed(args[1], ZSetValue)
    if value is None:
        return EMPTY_SCAN
    options = parse_scan_options(args)
    # Redis prints what it stores compactly in one way and everything else in another.
    as_text = score_text if value.is_compact else format_double_17g
    whole = value.members(0, len(value)) if value.is_compact else None
    following, members = scan_step(value, cursor, options, whole)
    texts = [text for member in members for text in (member, as_text(value[member]))]
    return scan_reply(following, texts)
