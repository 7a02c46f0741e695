"""SORT and SORT_RO, with keys for their patterns to find.

The elements of a set come in the order of a hash table when nobody sorts them, and so do those of
which the weights are equal texts."""

from collections.abc import Sequence
from typing import Final

from ..support.raw import Reply
from .agreement import same_shape, unordered
from .dsl import (
    command,
    constant,
    index,
    integer,
    key,
    maybe,
    mostly,
    one_of,
    options,
    repeat,
    seq,
)

_ELEMENT: Final = mostly(
    constant(*(b"%d" % number for number in (1, 2, 3, 10, 20, 100, -5, 7, 1))),
    constant(b"1.5", b"1e3", b"a", b"b", b"3.5", b" 4", b"inf", b"2.0", b"long" * 20),
    0.97,
)
#: No number out of range: SORT of a 7.0 stumbles over the `errno` that somebody else left there.
_DOUBLE: Final = constant(
    *(
        b"0",
        b"-1",
        b"1",
        b"2.5",
        b"3",
        b"1e3",
        b"-1.5e-3",
        b"17179869184.5",
        b"0x1p3",
        b"-inf",
        b"7",
    )
)
_TEXT: Final = mostly(_DOUBLE, constant(b"foo", b"", b"bar", b"1.5abc", b"10", b"9", b"nan", b"1 "))
_LISTS: Final = constant(b"list", b"words", b"list", b"words")
_SOURCE: Final = constant(
    b"list", b"list", b"set", b"sorted", b"words", b"texts", b"missing", b"hash"
)
#: Weights of words are all different, so that nothing depends on the order of a hash table.
_NUMERIC_BY: Final = constant(
    *(b"w_*", b"h_*->f", b"h_*->g", b"missing_*", b"w_*->f", b"h_*->", b"*->f", b"w_*_*", b"*")
)
_BY: Final = seq("BY", mostly(_NUMERIC_BY, constant(b"nosort", b"#")))
_LIMIT: Final = seq("LIMIT", index, one_of(index, integer))
_GET: Final = seq(
    "GET",
    constant(
        *(b"#", b"w_*", b"h_*->f", b"h_*->missing", b"none", b"h_*", b"w_*->f", b"*", b"a*\x00b")
    ),
)
_ORDER: Final = maybe(one_of("ASC", "DESC"))
_SORT: Final = one_of("SORT", "SORT_RO")
_DISTINCT: Final = constant(b"one", b"two", b"three", b"four", b"10", b"9")


def _partly_sorted(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Where BY leaves things in no order, it is only known how many there are.

    That is so with a pattern without an asterisk, and if elements have equal texts: together with
    LIMIT, Redis sorts in a way that mixes those up.
    """
    words = [word.upper() for word in command]
    patterns = [words[place + 1] for place, word in enumerate(words[:-1]) if word == b"BY"]
    is_mixed = {b"BY", b"ALPHA", b"LIMIT"} <= {*words}
    if is_mixed or not all(b"*" in pattern for pattern in patterns):
        return same_shape(command, ours, theirs)
    return ours == theirs


GRAMMAR: Final = [
    command("RPUSH", constant(b"list"), repeat(_ELEMENT), weight=3),
    command("RPUSH", constant(b"words"), repeat(_DISTINCT), weight=3),
    command("SADD", constant(b"set"), repeat(_ELEMENT), weight=3),
    command("SADD", constant(b"texts"), repeat(_DISTINCT)),
    command("ZADD", constant(b"sorted"), repeat(seq(_DOUBLE, _ELEMENT)), weight=3),
    command("SET", constant(b"w_1", b"w_2", b"w_3", b"w_10"), _DOUBLE, weight=2),
    command("SET", constant(b"w_one", b"w_two", b"w_three", b"1"), _TEXT, weight=2),
    command(
        "HSET", constant(b"h_1", b"h_2", b"h_3", b"hash", b"w_100"), constant(b"f", b"g"), _DOUBLE
    ),
    command("HSET", constant(b"h_one", b"h_two", b"h_three"), constant(b"f", b"g"), _TEXT),
    command("DEL", _SOURCE, weight=2),
    command("LTRIM", constant(b"list"), constant(b"0"), constant(b"7")),
    command("LTRIM", constant(b"words"), constant(b"0"), constant(b"5")),
    command(
        *("SORT", _SOURCE, maybe(seq("BY", _NUMERIC_BY), 0.3), maybe(_LIMIT, 0.3), _ORDER),
        repeat(_GET, 0, 2),
        agree=_partly_sorted,
        weight=3,
    ),
    command("SORT", _LISTS, _BY, options(_LIMIT, "DESC", _GET), takes_damage=False),
    command("SORT_RO", _SOURCE, maybe(_LIMIT, 0.3), _ORDER, "ALPHA", weight=3),
    command(
        *("SORT", _LISTS, options(_BY, _LIMIT, "DESC", "ALPHA", _GET, _GET)),
        agree=_partly_sorted,
        weight=3,
    ),
    command("SORT", constant(b"sorted"), "BY", "nosort", options(_LIMIT, "DESC", _GET), weight=2),
    command("SORT", constant(b"set"), "BY", "nosort", _ORDER, agree=unordered, takes_damage=False),
    command(
        *("SORT", constant(b"set"), "BY", "nosort", _LIMIT, _ORDER),
        agree=same_shape,
        takes_damage=False,
    ),
    command(
        *("SORT", _SOURCE, options(_LIMIT, "DESC", "ALPHA", _GET, seq("BY", constant(b"nosort")))),
        *("STORE", constant(b"stored", b"stored", b"list", b"w_1")),
        weight=3,
        takes_damage=False,
    ),
    command("SORT", _LISTS, options(_BY, "DESC", "ALPHA", _GET), "STORE", constant(b"stored")),
    command("SORT_RO", _SOURCE, "STORE", constant(b"stored")),
    command("SORT", key, options(_LIMIT, "DESC", _GET)),
    command("LRANGE", constant(b"stored"), constant(b"0"), constant(b"-1")),
    command(
        *("COMMAND", "GETKEYS", "SORT", key),
        options(_LIMIT, _GET, _BY, seq("STORE", key)),
        takes_damage=False,
    ),
]
