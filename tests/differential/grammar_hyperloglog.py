"""The hyperloglog group. GET compares the values themselves, register by register.

PFSELFTEST is left out: a real server is busy with it for a second.
"""

from random import Random
from typing import Final

from .dsl import Command, command, constant, key, one_of, repeat, value


def _element(random: Random) -> Command:
    """Elements from a larger pool than usual, so that registers fill."""
    return [b"%d" % random.randint(0, 5000)]


_HEADER_OFFSET: Final = constant(*(b"%d" % offset for offset in range(16)))

GRAMMAR: Final = [
    command("PFADD", key, repeat(one_of(_element, value), 0, 30), weight=12),
    command("PFCOUNT", repeat(key), weight=3),
    command("PFMERGE", key, repeat(key, 0, 3), weight=2),
    command("PFDEBUG", one_of("ENCODING", "DECODE", "GETREG", "TODENSE", "nonsense"), key),
    command("DEL", repeat(key), weight=3),
    command("GET", key, weight=3),
    command("STRLEN", key),
    # A damaged header. What PFADD makes of damaged registers is nobody's promise: offsets end here.
    command(
        "SETRANGE",
        key,
        _HEADER_OFFSET,
        constant(b"x", b"\x00", b"\x01", b"\x80", b"H"),
        takes_damage=False,
    ),
]
