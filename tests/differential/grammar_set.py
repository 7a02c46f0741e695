"""The set group. What SPOP takes is random, so it is only used where it takes everything."""

from typing import Final

from .agreement import same_shape, same_type, scanned, unordered
from .dsl import command, constant, counted, key, member, mostly, options, pattern, repeat, seq

_MEMBER: Final = mostly(
    member, constant(b"1", b"2", b"3", b"70000", b"9223372036854775807", b"007"), 0.7
)
#: Large negative counts make large replies.
_COUNT: Final = mostly(
    constant(b"0", b"1", b"2", b"5", b"1000", b"-1", b"-2", b"-5", b"-30"),
    constant(b"9223372036854775807", b"-9223372036854775808", b"9223372036854775808", b"x", b""),
)
_ALL: Final = mostly(constant(b"1000", b"9223372036854775807"), constant(b"0", b"-1", b"x"))
_CURSOR: Final = mostly(constant(b"0"), constant(b"x", b"-1", b"", b"5"))

GRAMMAR: Final = [
    command("SADD", key, repeat(_MEMBER), weight=8),
    command("SREM", key, repeat(_MEMBER), weight=2),
    command("SCARD", key),
    command("SISMEMBER", key, _MEMBER),
    command("SMISMEMBER", key, repeat(_MEMBER)),
    command("SMEMBERS", key, agree=unordered, weight=2),
    command("SMOVE", key, key, _MEMBER, weight=3),
    command("SPOP", key, _ALL, agree=unordered, takes_damage=False),
    command("SRANDMEMBER", key, agree=same_type),
    command("SRANDMEMBER", key, _COUNT, agree=same_shape, weight=2),
    command(
        "SSCAN",
        key,
        _CURSOR,
        options(seq("MATCH", pattern), seq("COUNT", constant(b"1000", b"0", b"-1", b"x"))),
        agree=scanned,
        weight=2,
    ),
    command("SINTER", repeat(key), agree=unordered),
    command("SUNION", repeat(key), agree=unordered),
    command("SDIFF", repeat(key), agree=unordered),
    command("SINTERCARD", counted(key), options(seq("LIMIT", _COUNT)), weight=2),
    command("SINTERSTORE", key, repeat(key)),
    command("SUNIONSTORE", key, repeat(key)),
    command("SDIFFSTORE", key, repeat(key)),
    command("DEL", key),
]
