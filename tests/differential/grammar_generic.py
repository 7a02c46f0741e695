"""The generic group: whatever works on keys of any type; and what makes keys of every type."""

from typing import Final

from .agreement import near_milliseconds, near_seconds, same_encoding, same_type, scanned, unordered
from .dsl import (
    FAR_MS,
    Rule,
    command,
    constant,
    key,
    maybe,
    member,
    milliseconds,
    mostly,
    one_of,
    options,
    pattern,
    repeat,
    seconds,
    seq,
    unix_milliseconds,
    unix_seconds,
    value,
)

_DATABASE: Final = constant(b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b"99999999999999999999")
_CONDITION: Final = options("NX", "XX", "GT", "LT")
_FAR_S: Final = constant(*(b"%d" % (FAR_MS // 1000 + step) for step in (-1000, 0, 0, 1, 1000)))
_TYPE: Final = one_of("string", "list", "set", "zset", "hash", "stream", "nonsense", "STRING")
_CURSOR: Final = mostly(constant(b"0"), constant(b"x", b"-1", b""), 0.8)
_SCAN_OPTIONS: Final = options(
    seq("MATCH", pattern),
    seq("COUNT", constant(b"1000", b"5000", b"0", b"-1", b"x", b"1000", b"1000")),
    seq("TYPE", _TYPE),
)

GRAMMAR: Final = [
    command("DEL", repeat(key)),
    command("UNLINK", repeat(key)),
    command("EXISTS", repeat(key)),
    command("EXPIRE", key, seconds, weight=2),
    command("PEXPIRE", key, milliseconds, weight=2),
    # A relative time is never compared with another one: conditions go with absolute times.
    command("EXPIRE", key, constant(b"0", b"-1", b"-9223372036854775808"), _CONDITION),
    command("EXPIREAT", key, one_of(unix_seconds, _FAR_S), _CONDITION, weight=2),
    command("PEXPIREAT", key, unix_milliseconds, _CONDITION, weight=2),
    command("TTL", key, agree=near_seconds, weight=2),
    command("PTTL", key, agree=near_milliseconds, weight=2),
    command("EXPIRETIME", key, agree=near_seconds),
    command("PEXPIRETIME", key, agree=near_milliseconds),
    command("PERSIST", key),
    command("TYPE", key, weight=2),
    command("KEYS", pattern, agree=unordered, weight=2),
    command(
        "SCAN", constant(b"0", b"0", b"0", b"x", b"-1", b""), _SCAN_OPTIONS, agree=scanned, weight=3
    ),
    command("RANDOMKEY", agree=same_type),
    command("RENAME", key, key),
    command("RENAMENX", key, key),
    command("COPY", key, key, options(seq("DB", _DATABASE), "REPLACE"), weight=3),
    command("MOVE", key, _DATABASE),
    command("OBJECT", "ENCODING", key, agree=same_encoding),
    command("OBJECT", "REFCOUNT", key, agree=same_type),
    command("OBJECT", "IDLETIME", key, agree=same_type),
    command("OBJECT", "FREQ", key),
    command("OBJECT", one_of("nonsense", "ENCODING"), maybe(key), maybe(key), agree=same_encoding),
    command("TOUCH", repeat(key)),
]

#: Keys of every type, for the groups whose commands must refuse some of them.
STRINGS: Final[list[Rule]] = [
    command("SET", key, value, weight=4),
    command("MSET", repeat(seq(key, value), 2, 6), weight=2),
]
COLLECTIONS: Final[list[Rule]] = [
    command("RPUSH", key, repeat(member)),
    command("SADD", key, repeat(member)),
    command("HSET", key, repeat(seq(member, value))),
    command("ZADD", key, repeat(seq(constant(b"1", b"2.5", b"-inf"), member))),
]
