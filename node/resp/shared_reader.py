"""What several clients sent in one go, parsed together.

A parser per client costs more than the parsing: handing it bytes, taking the requests out, seeing
that nothing is left. So what arrived from several clients is joined, with a number between that
nobody can guess, and read by one parser. If all of these numbers come out of it where a request
could begin, with requests between them, then every client had sent just whole requests, and
nobody's bytes went into another's.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

import hiredis

from .alike import Request
from .stream import BALKS, MISSING, WIDE_ARRAY

_STAR: Final = ord("*")
_PLUS: Final = ord("+")
_ONLY_LISTS: Final = {list}
_JOIN: Final = b"".join


class SharedReader:
    """Reads the ordinary requests of several clients that are at an edge of their streams."""

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

    def read(self, chunks: Sequence[bytes]) -> tuple[list[Request], Sequence[int]] | None:
        """All requests, and where in their row those of each chunk end.

        None if any of the chunks is something else than one ordinary request, or several.
        """
        joined = self._between.join([*chunks, b""])
        if _PLUS in joined and b"\n+" in joined:
            return None  # perhaps a status line, which passes for a bulk string
        if WIDE_ARRAY(joined):
            return None
        self._feed(joined)
        try:
            requests: list[Any] = list(iter(self._gets, MISSING))
            ends = self._take_marks_out(requests, len(chunks))
            _JOIN(chain.from_iterable(requests))  # raises unless all words are bulk strings
        except BALKS:
            self._renew()
            return None
        if (
            set(map(type, requests)) != _ONLY_LISTS
            or not all(requests)
            # A set of RESP3 is a list, too.
            or [chunk[0] for chunk in chunks].count(_STAR) != len(chunks)
        ):
            self._renew()
            return None
        return requests, ends

    def _take_marks_out(self, parsed: list[Any], count: int) -> Sequence[int]:
        """Leave the requests only; where those of each chunk end. ValueError: it has none."""
        marks = [self._mark] * count
        # Most clients of a kind send equally many.
        each, odd = divmod(len(parsed) - count, count)
        if each > 0 and not odd and parsed[each :: each + 1] == marks:
            del parsed[each :: each + 1]
            return range(each, len(parsed) + 1, each)
        ends: list[int] = []
        place = -1
        for number in range(count):
            former, place = place, parsed.index(self._mark, place + 1)
            if place == former + 1:
                raise ValueError
            ends.append(place - number)
        if place != len(parsed) - 1:
            raise ValueError
        parsed[:] = [each for each in parsed if each != self._mark]
        return ends
