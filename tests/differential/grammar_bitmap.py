"""The bitmap group."""

from typing import Final

from .dsl import (
    command,
    constant,
    index,
    integer,
    key,
    maybe,
    mostly,
    one_of,
    repeat,
    seq,
)

#: Setting a bit may make a value as long as its offset: short, or refused.
_BIT: Final = mostly(
    constant(b"0", b"1", b"3", b"7", b"8", b"9", b"13", b"100", b"999"),
    constant(b"-1", b"4294967296", b"9223372036854775807", b"x", b"1.0", b""),
)
_TYPE: Final = mostly(
    constant(b"u1", b"u4", b"u8", b"i8", b"i5", b"u16", b"i32", b"u63", b"i64", b"i1"),
    constant(b"I8", b"U2", b"u64", b"i65", b"u0", b"i0", b"x8", b"u", b"", b"i-1"),
)
_FIELD_OFFSET: Final = mostly(
    one_of(_BIT, constant(b"#0", b"#1", b"#3")),
    constant(b"#-1", b"#", b"#x", b"#99999999999999", b"# 1"),
)
_GET: Final = seq("GET", _TYPE, _FIELD_OFFSET)
_SET: Final = seq("SET", _TYPE, _FIELD_OFFSET, integer)
_INCREMENT: Final = seq("INCRBY", _TYPE, _FIELD_OFFSET, integer)
_OVERFLOW: Final = seq("OVERFLOW", mostly(one_of("WRAP", "SAT", "FAIL"), "nonsense"))
_FLAG: Final = mostly(constant(b"0", b"1"), constant(b"2", b"-1", b"x", b""))
_UNIT: Final = mostly(one_of("BYTE", "BIT"), "nonsense")

GRAMMAR: Final = [
    command("SETBIT", key, _BIT, _FLAG, weight=5),
    command("GETBIT", key, _BIT, weight=2),
    command("BITCOUNT", key, maybe(seq(index, index, maybe(_UNIT))), weight=3),
    command("BITCOUNT", key, index),
    command("BITPOS", key, _FLAG, maybe(seq(index, maybe(seq(index, maybe(_UNIT))))), weight=3),
    command("BITOP", one_of("AND", "OR", "XOR"), key, repeat(key), weight=2),
    command("BITOP", one_of("NOT", "nonsense"), key, repeat(key, 1, 2)),
    command("BITFIELD", key, repeat(one_of(_GET, _SET, _INCREMENT, _OVERFLOW), 0, 4), weight=4),
    command("BITFIELD_RO", key, repeat(one_of(_GET, _GET, _GET, _SET), 0, 3)),
]
