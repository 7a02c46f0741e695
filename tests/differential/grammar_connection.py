"""Connection basics, and commands on whole databases."""

from typing import Final

from .agreement import same_shape
from .dsl import command, constant, maybe, one_of, value

_DATABASE: Final = constant(b"0", b"0", b"1", b"2", b"15", b"16", b"-1", b"x", b"", b"1.0")

GRAMMAR: Final = [
    command("PING", maybe(value)),
    command("ECHO", value),
    command("SELECT", _DATABASE, weight=2),
    command("HELLO", constant(b"2", b"3", b"2", b"3", b"4", b"1", b"x"), agree=same_shape),
    command("DBSIZE", weight=2),
    command("FLUSHDB", maybe(one_of("ASYNC", "SYNC", "nonsense"))),
    command("FLUSHALL", maybe(one_of("ASYNC", "SYNC", "nonsense"))),
    command("SWAPDB", _DATABASE, _DATABASE),
    command("NOSUCHCOMMAND", maybe(value), maybe(value)),
]
