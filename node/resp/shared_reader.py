"""The single requests that several clients sent in one go, parsed together.

A parser per client costs more than the parsing: handing it bytes, taking the request out, seeing
that nothing is left. So what arrived from several clients is joined, with a number between that
nobody can guess, and read by one parser. If between two numbers there is one request each time,
then every client had sent just one whole request, and nobody's bytes went into another's.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import hiredis

from .stream import BALKS, MISSING, WIDE_ARRAY, Request

_STAR: Final = ord("*")
_PLUS: Final = ord("+")
_ONLY_LISTS: Final = {list}
_JOIN: Final = b"".join


class SharedReader:
    """Reads one ordinary request each of several clients that are at an edge of their streams."""

    __slots__ = ("_between", "_feed", "_gets", "_mark")

    def __init__(self, mark: int) -> None:
        #: Clients must not be able to guess this number.
        self._mark = mark
        self._between = b":%d\r\n" % mark
        self._renew()

    def _renew(self) -> None:
        reader: Any = hiredis.Reader(notEnoughData=MISSING)
        self._feed = reader.feed
        self._gets = reader.gets

    def read(self, chunks: Sequence[bytes]) -> list[Request] | None:
        """The request in each chunk; None if any of them is not just one ordinary request."""
        joined = self._between.join([*chunks, b""])
        if _PLUS in joined and b"\n+" in joined:
            return None  # perhaps a status line, which passes for a bulk string
        if WIDE_ARRAY(joined):
            return None
        self._feed(joined)
        try:
            parsed: list[Any] = list(iter(self._gets, MISSING))
            requests: list[Request] = parsed[::2]
            _JOIN(chain.from_iterable(requests))  # raises unless all words are bulk strings
        except BALKS:
            self._renew()
            return None
        count = len(chunks)
        if (
            len(parsed) != 2 * count
            or parsed[1::2] != [self._mark] * count
            or set(map(type, requests)) != _ONLY_LISTS
            or not all(requests)
            # A set of RESP3 is a list, too.
            or [chunk[0] for chunk in chunks].count(_STAR) != count
        ):
            self._renew()
            return None
        return requests
