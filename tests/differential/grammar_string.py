"""The string group: SET and GET, their relatives, counters, ranges, LCS."""

from typing import Final

from .dsl import (
    command,
    constant,
    double,
    index,
    integer,
    key,
    maybe,
    milliseconds,
    one_of,
    options,
    repeat,
    seconds,
    seq,
    unix_milliseconds,
    unix_seconds,
    value,
    word,
)

_LIFETIME: Final = one_of(
    seq("EX", seconds),
    seq("PX", milliseconds),
    seq("EXAT", unix_seconds),
    seq("PXAT", unix_milliseconds),
)
#: SETRANGE may make a value as long as its offset: short, or refused.
_OFFSET: Final = constant(
    *(b"0", b"1", b"5", b"64", b"500", b"-1", b"536870912", b"9223372036854775807", b"x")
)

GRAMMAR: Final = [
    command("APPEND", key, value),
    command("DECR", key),
    command("DECRBY", key, integer),
    command("GET", key, weight=3),
    command("GETDEL", key),
    command("GETEX", key, maybe(one_of(_LIFETIME, "PERSIST"), 0.7)),
    command("GETEX", key, options(_LIFETIME, "PERSIST", _LIFETIME)),
    command("GETRANGE", key, index, index),
    command("GETSET", key, value),
    command("INCR", key, weight=2),
    command("INCRBY", key, integer),
    command("INCRBYFLOAT", key, double, weight=2),
    command("LCS", key, key, options("LEN", "IDX", seq("MINMATCHLEN", index), "WITHMATCHLEN")),
    command("MGET", repeat(key)),
    command("MSET", repeat(seq(key, value))),
    command("MSETNX", repeat(seq(key, value), 1, 2)),
    # Damage might make a short lifetime of the value.
    command("PSETEX", key, milliseconds, value, takes_damage=False),
    command("SET", key, value, weight=6),
    command("SET", key, value, maybe(_LIFETIME), options("NX", "XX", "GET", "KEEPTTL"), weight=3),
    command("SET", key, value, options(_LIFETIME, "NX", "XX", "GET", "KEEPTTL", _LIFETIME)),
    command("SETEX", key, seconds, value),
    command("SETNX", key, value),
    command("SETRANGE", key, _OFFSET, value),
    command("STRLEN", key),
    command("SUBSTR", key, index, index),
    command("SET", word("fixed"), double),
    command("INCRBYFLOAT", word("fixed"), double),
]
