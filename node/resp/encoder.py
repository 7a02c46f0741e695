"""Replies as bytes: one function per RESP type, and the two dialects where they differ.

A command returns finished bytes. What reads the same in RESP2 and RESP3 is a plain function here
(`integer`, `bulk`, `array`); what differs is a method of `session.encoder`, which is `RESP2` or
`RESP3`.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, cast

from hiredis import pack_command

from ..values.numbers import format_double_shortest

CRLF: Final = b"\r\n"
OK: Final = b"+OK\r\n"
QUEUED: Final = b"+QUEUED\r\n"
PONG: Final = b"+PONG\r\n"
ZERO: Final = b":0\r\n"
ONE: Final = b":1\r\n"
EMPTY_ARRAY: Final = b"*0\r\n"
EMPTY_BULK: Final = b"$0\r\n\r\n"

#: A tuple of bytes as an array of bulk strings, in C.
pack_bulks: Final[Callable[[tuple[bytes, ...]], bytes]] = cast("Any", pack_command)

_CACHED = 1024
_INTEGERS: Final = [b":%d\r\n" % number for number in range(_CACHED)]
#: Indexed by the length of a bulk string; building this prefix is the dearest part of a GET reply.
BULK_PREFIXES: Final = [b"$%d\r\n" % length for length in range(_CACHED)]


def integer(number: int) -> bytes:
    """An integer reply."""
    if 0 <= number < _CACHED:
        return _INTEGERS[number]
    return b":%d\r\n" % number


def bulk(data: bytes | bytearray) -> bytes:
    """A bulk string."""
    length = len(data)
    if length < _CACHED:
        return BULK_PREFIXES[length] + data + CRLF
    return b"".join((b"$%d\r\n" % length, data, CRLF))


def simple(text: bytes) -> bytes:
    """A status line; the caller guarantees that `text` holds no line break."""
    return b"+" + text + CRLF


def error(text: bytes) -> bytes:
    """An error line, code word included; line breaks in foreign text forge no second reply."""
    return b"-" + text.replace(b"\r", b" ").replace(b"\n", b" ") + CRLF


def array(items: Sequence[bytes]) -> bytes:
    """An array of replies that are already encoded."""
    return b"*%d\r\n%b" % (len(items), b"".join(items))


def array_header(count: int) -> bytes:
    """The start of an array whose `count` items follow."""
    return b"*%d\r\n" % count


def bulk_array(items: Sequence[bytes]) -> bytes:
    """An array of bulk strings, encoded in C: this is what LRANGE, SMEMBERS and KEYS send."""
    return pack_bulks(tuple(items)) if items else EMPTY_ARRAY


def flat_bulks(items: Iterable[bytes]) -> bytes:
    """Bulk strings one after the other, without a header."""
    return b"".join(map(bulk, items))


class Resp2:
    """The dialect of connections that never said HELLO 3."""

    protocol = 2
    null = b"$-1\r\n"
    null_array = b"*-1\r\n"

    def map_header(self, count: int) -> bytes:
        """`count` pairs follow."""
        return b"*%d\r\n" % (count * 2)

    def set_header(self, count: int) -> bytes:
        """`count` distinct items follow."""
        return b"*%d\r\n" % count

    def push_header(self, count: int) -> bytes:
        """An out-of-band message of `count` items follows."""
        return b"*%d\r\n" % count

    def attribute_header(self, count: int) -> bytes:
        """RESP2 has no attributes: callers must leave them out."""
        raise ValueError(f"{count} attributes cannot be sent in RESP2")

    def double(self, number: float) -> bytes:
        """A floating point number, as text in a bulk string."""
        return bulk(format_double_shortest(number))

    def boolean(self, truth: bool) -> bytes:
        """1 or 0."""
        return ONE if truth else ZERO

    def big_number(self, digits: bytes) -> bytes:
        """A number of any size, as text."""
        return bulk(digits)

    def verbatim(self, text: bytes, kind: bytes = b"txt") -> bytes:
        """Text for people; the kind is dropped."""
        return bulk(text)

    def bulk_set(self, items: Sequence[bytes]) -> bytes:
        """Distinct bulk strings."""
        return bulk_array(items)

    def bulk_map(self, flat: Sequence[bytes]) -> bytes:
        """Keys and values in turn, all bulk strings."""
        return bulk_array(flat)


class Resp3(Resp2):
    """The dialect after HELLO 3."""

    protocol = 3
    null = b"_\r\n"
    null_array = b"_\r\n"

    def map_header(self, count: int) -> bytes:
        """`count` pairs follow."""
        return b"%%%d\r\n" % count

    def set_header(self, count: int) -> bytes:
        """`count` distinct items follow."""
        return b"~%d\r\n" % count

    def push_header(self, count: int) -> bytes:
        """An out-of-band message of `count` items follows."""
        return b">%d\r\n" % count

    def attribute_header(self, count: int) -> bytes:
        """`count` pairs of attributes of the next reply follow."""
        return b"|%d\r\n" % count

    def double(self, number: float) -> bytes:
        """A floating point number."""
        return b"," + format_double_shortest(number) + CRLF

    def boolean(self, truth: bool) -> bytes:
        """True or false."""
        return b"#t\r\n" if truth else b"#f\r\n"

    def big_number(self, digits: bytes) -> bytes:
        """A number of any size."""
        return b"(" + digits + CRLF

    def verbatim(self, text: bytes, kind: bytes = b"txt") -> bytes:
        """Text for people, marked with its kind."""
        return b"=%d\r\n%b:%b\r\n" % (len(text) + 4, kind, text)

    def bulk_set(self, items: Sequence[bytes]) -> bytes:
        """Distinct bulk strings."""
        return b"~%d\r\n%b" % (len(items), flat_bulks(items))

    def bulk_map(self, flat: Sequence[bytes]) -> bytes:
        """Keys and values in turn, all bulk strings."""
        return b"%%%d\r\n%b" % (len(flat) // 2, flat_bulks(flat))


RESP2: Final = Resp2()
RESP3: Final = Resp3()
