"""The sorted-set group. BZPOPMIN and its kin never find nothing to take: they would wait."""

from typing import Final

from .agreement import numbers_alike, same_encoding, same_shape, same_type, scanned
from .dsl import (
    command,
    constant,
    counted,
    double,
    index,
    integer,
    key,
    maybe,
    member,
    mostly,
    one_of,
    options,
    pattern,
    repeat,
    seq,
)

_SCORE: Final = mostly(
    constant(
        *(b"0", b"1", b"1", b"2", b"2.5", b"-1", b"3", b"-0", b"1e17", b"0.1", b"inf", b"-inf")
    ),
    double,
    0.8,
)
_FLAGS: Final = options("NX", "XX", "GT", "LT", "CH", "INCR")
_BOUND: Final = mostly(
    constant(
        *(b"-inf", b"+inf", b"0", b"1", b"(1", b"2.5", b"(2.5", b"-1", b"3", b"(-inf", b"(inf"),
    ),
    one_of(double, constant(b"(", b"((1", b"( 1", b"[1", b"1\x002", b"1e400", b"nan", b"(nan")),
    0.8,
)
_LEX: Final = mostly(
    constant(*(b"-", b"+", b"[x", b"(x", b"[", b"(", b"[a", b"(z", b"[10", b"[long")),
    constant(b"", b"x", b"+a", b"-\x00", b"1", b"++", b"\xff", b"(\xff"),
)
_LIMIT: Final = seq("LIMIT", index, index)
#: All members of these have one score: what a range of members is of others, nobody can say. So
#: commands that ask for one take no damage, which might give them another key.
_EVEN: Final = constant(b"even", b"even2")
_COUNT: Final = mostly(
    constant(b"0", b"1", b"2", b"5", b"1000", b"-1", b"-2", b"-5", b"-30"),
    constant(
        *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"x", b""),
        *(b"4611686018427387904", b"1.0"),
    ),
)
_POSITIVE: Final = mostly(constant(b"1", b"2", b"3"), constant(b"0", b"-1", b"x", b"1000"))
_CURSOR: Final = mostly(constant(b"0"), constant(b"x", b"-1", b"", b"5"))
_SOURCES: Final = counted(key, 1, 3)
_WEIGHTS: Final = one_of(
    seq("WEIGHTS", repeat(mostly(constant(b"1", b"2", b"-1", b"0.5", b"0"), double), 1, 3)),
)
_AGGREGATE: Final = seq("AGGREGATE", mostly(one_of("SUM", "MIN", "MAX"), constant(b"x", b"")))
_WEIGHING: Final = options(_WEIGHTS, _AGGREGATE)
_ANY_RANGE: Final = one_of(
    seq(index, index),
    seq(index, index, "REV"),
    seq(_BOUND, _BOUND, "BYSCORE"),
    seq(_BOUND, _BOUND, "BYSCORE", "REV"),
)
_PICKED: Final = numbers_alike(same_shape)
_EXACT: Final = numbers_alike()

GRAMMAR: Final = [
    command("ZADD", key, repeat(seq(_SCORE, member)), weight=8),
    command("ZADD", key, _FLAGS, repeat(seq(_SCORE, member), 1, 2), agree=_EXACT, weight=4),
    command("ZADD", key, _FLAGS, "INCR", _SCORE, member, agree=_EXACT, weight=2),
    command("ZINCRBY", key, _SCORE, member, agree=_EXACT, weight=2),
    command("SADD", key, repeat(member), weight=2),
    command("ZREM", key, repeat(member), weight=2),
    command("ZCARD", key),
    command("ZSCORE", key, member, agree=_EXACT, weight=2),
    command("ZMSCORE", key, repeat(member), agree=_EXACT),
    # A further argument is an error of another kind since ZRANK takes one.
    command("ZRANK", key, member, weight=2, takes_damage=False),
    command("ZREVRANK", key, member, takes_damage=False),
    command("ZCOUNT", key, _BOUND, _BOUND, weight=2),
    command("ZRANGE", key, index, index, maybe("WITHSCORES"), agree=_EXACT, weight=2),
    command(
        "ZRANGE", key, _ANY_RANGE, maybe(_LIMIT, 0.3), maybe("WITHSCORES"), agree=_EXACT, weight=4
    ),
    command(
        "ZRANGE",
        key,
        one_of(_BOUND, integer),
        _BOUND,
        options("BYSCORE", "REV", _LIMIT, "WITHSCORES", "BYSCORE", "REV"),
        agree=_EXACT,
    ),
    command("ZREVRANGE", key, index, index, maybe("WITHSCORES"), agree=_EXACT),
    command(
        "ZRANGEBYSCORE", key, _BOUND, _BOUND, options("WITHSCORES", _LIMIT), agree=_EXACT, weight=2
    ),
    command("ZREVRANGEBYSCORE", key, _BOUND, _BOUND, options("WITHSCORES", _LIMIT), agree=_EXACT),
    command("ZRANGESTORE", key, key, _ANY_RANGE, maybe(_LIMIT, 0.3), weight=2),
    command("ZREMRANGEBYRANK", key, index, index),
    command("ZREMRANGEBYSCORE", key, _BOUND, _BOUND),
    command("ZADD", _EVEN, repeat(seq(constant(b"0"), member), 1, 6), weight=3, takes_damage=False),
    *[
        command(name, *words, weight=weight, takes_damage=False)
        for name, words, weight in (
            ("ZRANGEBYLEX", (_EVEN, _LEX, _LEX, options(_LIMIT)), 2),
            ("ZREVRANGEBYLEX", (_EVEN, _LEX, _LEX, options(_LIMIT)), 2),
            ("ZRANGE", (_EVEN, _LEX, _LEX, "BYLEX", options("REV", _LIMIT, "WITHSCORES")), 2),
            ("ZRANGESTORE", (key, _EVEN, _LEX, _LEX, "BYLEX", options("REV", _LIMIT)), 1),
            ("ZLEXCOUNT", (_EVEN, _LEX, _LEX), 2),
            ("ZREMRANGEBYLEX", (_EVEN, _LEX, _LEX), 1),
        )
    ],
    command("ZUNION", _SOURCES, _WEIGHING, maybe("WITHSCORES"), agree=_EXACT, weight=3),
    command("ZINTER", _SOURCES, _WEIGHING, maybe("WITHSCORES"), agree=_EXACT, weight=3),
    command("ZDIFF", _SOURCES, maybe("WITHSCORES"), agree=_EXACT, weight=2),
    command("ZUNIONSTORE", key, _SOURCES, _WEIGHING, weight=2),
    command("ZINTERSTORE", key, _SOURCES, _WEIGHING, weight=2),
    command("ZDIFFSTORE", key, _SOURCES),
    command("ZINTERCARD", _SOURCES, options(seq("LIMIT", _POSITIVE)), weight=2),
    command("ZPOPMIN", key, maybe(_POSITIVE), agree=_EXACT),
    command("ZPOPMAX", key, maybe(_POSITIVE), agree=_EXACT),
    command(
        "ZMPOP",
        counted(key, 1, 3),
        one_of("MIN", "MAX"),
        options(seq("COUNT", _POSITIVE)),
        agree=_EXACT,
        weight=2,
    ),
    command("ZRANDMEMBER", key, agree=same_type),
    command("ZRANDMEMBER", key, _COUNT, maybe("WITHSCORES"), agree=_PICKED, weight=2),
    command(
        "ZSCAN",
        key,
        _CURSOR,
        options(seq("MATCH", pattern), seq("COUNT", constant(b"1000", b"0", b"-1", b"x"))),
        agree=numbers_alike(scanned),
        weight=2,
    ),
    command("OBJECT", "ENCODING", key, agree=same_encoding),
    command("DEL", key),
]
