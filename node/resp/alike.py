"""Pipelines of requests that look alike: one command, and one word of one length after it.

Whoever asks for many keys at once often has keys of one length: identifiers, digests, numbers with
zeros in front. Then all requests begin with the same bytes, and cutting the pipeline there is the
whole of parsing, at a third of a parser's price. That it was cut right is proven by the lengths: if
each piece is as long as the common head announces, then head, piece and line end, again and again,
are the bytes that came, and each of these is a proper request.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Final, overload

Request = list[bytes]
#: What is looked at as a pipeline: rows of words, all of them bytes unless `settled` is still to
#: say so.
Requests = Sequence[Request]

#: Up to the bytes of the second word. Lengths in the one proper form; odd names are for a parser.
_HEAD: Final = re.compile(rb"\*2\r\n\$([1-9]\d?)\r\n([^\r\n]+)\r\n\$([1-9]\d{0,4})\r\n").match
_CRLF: Final = b"\r\n"
_JOIN: Final = b"".join


class Alike(Requests):
    """Requests of two words each with the same first one; made into rows when one is asked for."""

    __slots__ = ("_rows", "data", "name", "seconds")

    def __init__(self, data: bytes, name: bytes, seconds: list[bytes]) -> None:
        #: As it was sent.
        self.data = data
        self.name = name
        #: The second words.
        self.seconds = seconds
        self._rows: list[Request] | None = None

    @property
    def rows(self) -> list[Request]:
        """The requests themselves; always the same lists, since some are known by who they are."""
        if self._rows is None:
            self._rows = [[self.name, second] for second in self.seconds]
        return self._rows

    def __len__(self) -> int:
        return len(self.seconds)

    def __iter__(self) -> Iterator[Request]:
        return iter(self.rows)

    @overload
    def __getitem__(self, place: int) -> Request: ...
    @overload
    def __getitem__(self, place: slice) -> list[Request]: ...
    def __getitem__(self, place: int | slice) -> Request | list[Request]:
        return self.rows[place]


def maybe_name(requests: Requests) -> bytes | None:
    """The first word of all requests, if there is just one; they may be odd ones."""
    if type(requests) is Alike:
        return requests.name
    try:
        names = {args[0] for args in requests}
    except (IndexError, KeyError, TypeError):
        return None  # odd, or empty
    return names.pop() if len(names) == 1 else None


def maybe_alike(data: bytes, at_least: int) -> Alike | None:
    """All of `data` as such requests, if it is whole and has so many of them."""
    head = _HEAD(data)
    if head is None:
        return None
    each = _request_bytes(head)
    if len(data) % each or len(data) < at_least * each:
        return None
    return _cut(data, head)


def maybe_alike_of_several(chunks: Sequence[bytes]) -> tuple[Alike, Sequence[int]] | None:
    """The same of what several clients sent, and where in the row those of each of them end."""
    head = _HEAD(chunks[0])
    if head is None:
        return None
    each = _request_bytes(head)
    lengths = list(map(len, chunks))
    if any(length % each for length in lengths):
        return None
    requests = _cut(_JOIN(chunks), head)
    return None if requests is None else (requests, [end // each for end in accumulate(lengths)])


def _request_bytes(head: re.Match[bytes]) -> int:
    return head.end() + int(head[3]) + len(_CRLF)


def _cut(data: bytes, head: re.Match[bytes]) -> Alike | None:
    name = head[2]
    seconds = data[head.end() : -len(_CRLF)].split(_CRLF + head[0])
    if len(name) != int(head[1]) or set(map(len, seconds)) != {int(head[3])}:
        return None
    return Alike(data, name, seconds) if data.endswith(_CRLF) else None
