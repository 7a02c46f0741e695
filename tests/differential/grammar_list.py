"""The list group. Blocking commands either find something or time out within a few milliseconds."""

from typing import Final

from .dsl import command, constant, counted, index, key, mostly, one_of, options, repeat, seq, value

#: Later versions refuse the lowest integer where 7.0 takes it: it is left out.
_COUNT: Final = mostly(
    constant(b"0", b"1", b"2", b"5", b"1000", b"-1", b"-2"),
    constant(b"9223372036854775807", b"9223372036854775808", b"-9223372036854775807", b"x", b""),
)
_RANK: Final = mostly(
    constant(b"1", b"2", b"3", b"-1", b"-2"), constant(b"0", b"x", b"9223372036854775807")
)
_ELEMENT: Final = mostly(constant(b"x", b"y", b"10", b"-3", b"", b"\x00\xfe"), value, 0.8)
_SIDE: Final = mostly(one_of("LEFT", "RIGHT"), constant(b"MIDDLE", b""), 0.97)
#: Just above zero; 7.0 words what is far too large differently, so that is left out.
_TIMEOUT: Final = mostly(
    constant(b"0.001", b"0.0001", b"1e-3"), constant(b"-1", b"-0.5", b"x", b"nan", b""), 0.95
)

GRAMMAR: Final = [
    command("RPUSH", key, repeat(_ELEMENT), weight=6),
    command("LPUSH", key, repeat(_ELEMENT), weight=6),
    command("RPUSHX", key, repeat(_ELEMENT)),
    command("LPUSHX", key, repeat(_ELEMENT)),
    command("LINSERT", key, mostly(one_of("BEFORE", "AFTER"), "nonsense"), _ELEMENT, _ELEMENT),
    command("LPOP", key, weight=2),
    command("RPOP", key, weight=2),
    command("LPOP", key, _COUNT),
    command("RPOP", key, _COUNT),
    command("LLEN", key),
    command("LINDEX", key, index),
    command("LRANGE", key, index, index, weight=2),
    command(
        "LPOS",
        key,
        _ELEMENT,
        options(seq("RANK", _RANK), seq("COUNT", _COUNT), seq("MAXLEN", _COUNT)),
        weight=3,
    ),
    command("LSET", key, index, _ELEMENT, weight=2),
    # Damage could put the lowest integer in.
    command("LREM", key, _COUNT, _ELEMENT, weight=2, takes_damage=False),
    command("LTRIM", key, index, index),
    command("LMOVE", key, key, _SIDE, _SIDE, weight=3),
    command("RPOPLPUSH", key, key),
    command("LMPOP", counted(key), _SIDE, options(seq("COUNT", _COUNT)), weight=2),
    command(
        "BLMPOP", _TIMEOUT, counted(key), _SIDE, options(seq("COUNT", _COUNT)), takes_damage=False
    ),
    command("BLPOP", repeat(key), _TIMEOUT, takes_damage=False),
    command("BRPOP", repeat(key), _TIMEOUT, takes_damage=False),
    command("BLMOVE", key, key, _SIDE, _SIDE, _TIMEOUT, takes_damage=False),
    command("BRPOPLPUSH", key, key, _TIMEOUT, takes_damage=False),
    command("DEL", key),
]
