"""DUMP and RESTORE. Payloads are those that a real server made, and such with a broken seal.

What DUMP returns may differ in its bytes (compression, the order of a set), so that only its type
is compared; what was restored is compared by reading it.
"""

from typing import Final

from ..node.persistence.rdb.samples import DUMPED
from .agreement import near_milliseconds, numbers_alike, same_type, unordered
from .dsl import (
    command,
    constant,
    integer,
    key,
    maybe,
    milliseconds,
    mostly,
    one_of,
    options,
    repeat,
    seq,
    unix_milliseconds,
)

_PAYLOADS: Final = tuple(sample.payload for sample in DUMPED)
_PAYLOAD: Final = mostly(
    constant(*_PAYLOADS),
    constant(b"", b"\x00" * 9, b"\x01" * 10, _PAYLOADS[0][:-1], _PAYLOADS[0] + b"x", b"\x01ab"),
    0.9,
)
_OPTIONS: Final = options(
    "REPLACE",
    "REPLACE",
    seq("IDLETIME", integer),
    seq("FREQ", integer),
)

GRAMMAR: Final = [
    command("RESTORE", key, constant(b"0"), _PAYLOAD, "REPLACE", weight=8),
    command("RESTORE", key, mostly(constant(b"0"), milliseconds), _PAYLOAD, _OPTIONS, weight=6),
    command("RESTORE", key, unix_milliseconds, _PAYLOAD, "ABSTTL", _OPTIONS, weight=3),
    command("RESTORE-ASKING", key, constant(b"0"), _PAYLOAD, maybe("REPLACE")),
    command("DUMP", key, agree=same_type, weight=3, takes_damage=False),
    command("TYPE", key, weight=3),
    command("PTTL", key, agree=near_milliseconds, weight=2),
    command("GET", key),
    command("LRANGE", key, constant(b"0"), constant(b"-1")),
    command("SMEMBERS", key, agree=unordered),
    command("ZRANGE", key, constant(b"0"), constant(b"-1"), "WITHSCORES", agree=numbers_alike()),
    command("HGETALL", key, agree=unordered),
    command("XRANGE", key, constant(b"-"), constant(b"+")),
    command("XLEN", key),
    command("DEL", repeat(key), weight=2),
    # Going on with what was restored.
    command("RPUSH", key, constant(b"x", b"1")),
    command("SADD", key, constant(b"1", b"x")),
    command("HSET", key, constant(b"a", b"f"), constant(b"1", b"v" * 80)),
    command("ZADD", key, constant(b"1", b"2.5"), constant(b"a", b"z")),
    command("XADD", key, constant(b"9-1"), constant(b"a"), constant(b"1")),
    command("XADD", key, one_of(constant(b"20-*"), constant(b"20-1")), constant(b"a", b"b"), "x"),
]
