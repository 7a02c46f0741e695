"""Broken input for a port, from a seed: whole messages, cut, flipped, mixed, repeated.

The commands in the corpus are harmless and have one right answer each, so that the same bytes sent
to two servers must get the same bytes back.
"""

from collections.abc import Sequence
from itertools import pairwise
from random import Random
from typing import Final

from ..support.raw import encode_command

_WORDS: Final = (
    *((b"PING",), (b"PING", b"greet"), (b"ECHO", b"x" * 40), (b"SET", b"k", b"v\r\n$3\r\n")),
    *((b"GET", b"k"), (b"DEL", b"k", b"l"), (b"INCR", b"n"), (b"MGET", b"k", b"", b"n")),
    *((b"EXISTS", b"k"), (b"APPEND", b"k", b"\x00\xff"), (b"NOSUCH", b"a", b"b"), (b"GET",)),
    *((b"SELECT", b"0"), (b"TYPE", b"k"), (b"STRLEN", b"k"), (b"GETRANGE", b"k", b"0", b"-1")),
)
_INLINE: Final = (
    *(b"PING\r\n", b"PING\n", b'SET k "a\\x41\\n"\r\n', b"GET 'k'\r\n", b"\r\n"),
    *(b'ECHO "unbalanced\r\n', b"ECHO 'x'y\r\n", b"INCR n\r\n", b"ECHO \xff\xfe\r\n", b"*\r\n"),
    *(b"\n", b"  \r\n"),
)
_BROKEN: Final = (
    *(
        b"*1\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*-5\r\n",
        b"*abc\r\n",
        b"*2147483648\r\n",
        b"*2147483648\r\n",
    ),
    *(b"$-1\r\n", b"$0\r\n\r\n", b"$5\r\n", b"$abc\r\n", b"$99999999999\r\n", b"$536870913\r\n"),
    *(
        b":1\r\n",
        b"+OK\r\n",
        b"-ERR\r\n",
        b"%1\r\n",
        b"_\r\n",
        b"#t\r\n",
        b"~1\r\n",
        b"*1\r\n*1\r\n",
    ),
    *(b"\x00", b"\xff" * 8, b"\r", b"\n", b"\r\n", b"*", b"$", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n"),
)
_SPLICES: Final = (b"\r", b"\n", b"\r\n", b"\x00", b"*", b"$", b"-", b"9", b" ", b'"', b"'", b"\\x")
INPUT_BYTES_MAX: Final = 8192


def _message(random: Random) -> bytes:
    chance = random.random()
    if chance < 0.55:
        return encode_command(random.choice(_WORDS))
    if chance < 0.75:
        return random.choice(_INLINE)
    if chance < 0.97:
        return random.choice(_BROKEN)
    return random.randbytes(random.randint(1, 64))


def draw_input(random: Random) -> bytes:
    """Some messages, with a few bytes changed, added, taken out or cut off."""
    data = bytearray(b"".join(_message(random) for _ in range(random.randint(1, 6))))
    for _ in range(random.choice((0, 0, 1, 1, 2, 3, 8))):
        position = random.randrange(len(data) + 1)
        match random.randrange(6):
            case 0:
                data[position : position + 1] = bytes([random.randrange(256)])
            case 1:
                data[position:position] = random.choice(_SPLICES)
            case 2:
                del data[position : position + random.randint(1, 4)]
            case 3:
                start = random.randrange(len(data) + 1)
                data[position:position] = data[start : start + random.randint(1, 40)]
            case 4:
                del data[position:]
            case _:
                data[position : position + 1] = b"%d" % random.choice(
                    (0, 1, 9, 10**6, 2**31, 2**63)
                )
    return bytes(data[:INPUT_BYTES_MAX])


def cut(data: bytes, random: Random) -> list[bytes]:
    """The same bytes in several packets."""
    count = random.choice((1, 1, 1, 2, 3))
    borders = sorted(random.randrange(len(data) + 1) for _ in range(count - 1))
    edges = [0, *borders, len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


def show_bytes(parts: Sequence[bytes]) -> str:
    """The packets as Python literals, to be pasted into a test."""
    return "[" + ", ".join(map(repr, parts)) + "]"
