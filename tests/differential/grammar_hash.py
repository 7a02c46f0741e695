"""The hash group, as far as Redis 7.0 knows it; lifetimes of fields are newer."""

from typing import Final

from .agreement import same_encoding, same_shape, same_type, scanned, unordered, unordered_pairs
from .dsl import (
    command,
    constant,
    double,
    integer,
    key,
    maybe,
    member,
    mostly,
    options,
    pattern,
    repeat,
    seq,
    value,
)

#: Large negative counts make large replies.
_COUNT: Final = mostly(
    constant(b"0", b"1", b"2", b"5", b"1000", b"-1", b"-2", b"-5", b"-30"),
    constant(
        *(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"x", b""),
        *(b"4611686018427387904", b"1.0", b" 1"),
    ),
)
_WITH_VALUES: Final = mostly("WITHVALUES", constant(b"WITHVALUE", b"x", b""))
_CURSOR: Final = mostly(constant(b"0"), constant(b"x", b"-1", b"", b"5"))

GRAMMAR: Final = [
    command("HSET", key, repeat(seq(member, value)), weight=8),
    command("HMSET", key, repeat(seq(member, value)), weight=2),
    command("HSETNX", key, member, value),
    command("HGET", key, member, weight=2),
    command("HMGET", key, repeat(member)),
    command("HDEL", key, repeat(member), weight=2),
    command("HEXISTS", key, member),
    command("HSTRLEN", key, member),
    command("HLEN", key),
    command("HGETALL", key, agree=unordered_pairs, weight=2),
    command("HKEYS", key, agree=unordered),
    command("HVALS", key, agree=unordered),
    command("HINCRBY", key, member, integer, weight=3),
    command("HINCRBYFLOAT", key, member, double, weight=3),
    command("HSET", key, constant(b"10", b"x"), double),
    command("HRANDFIELD", key, agree=same_type),
    command("HRANDFIELD", key, _COUNT, maybe(_WITH_VALUES), agree=same_shape, weight=2),
    command("HRANDFIELD", key, constant(b"1000"), agree=unordered, takes_damage=False),
    command(
        "HSCAN",
        key,
        _CURSOR,
        options(seq("MATCH", pattern), seq("COUNT", constant(b"1000", b"0", b"-1", b"x"))),
        agree=scanned,
        weight=2,
    ),
    command("OBJECT", "ENCODING", key, agree=same_encoding),
    command("DEL", key),
]
