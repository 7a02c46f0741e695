"""Pipelines of requests that look alike: one command, with one or two words of the same lengths.

Whoever asks for many keys at once often has keys of one length: identifiers, digests, numbers with
zeros in front. Then all requests begin with the same bytes, and cutting the pipeline there is the
whole of parsing, at a third of a parser's price. That it was cut right is proven by the lengths: if
each piece is as long as the common head announces (and has what must stand between two words in its
place), then head, piece and line end, again and again, are the bytes that came, and each of these
is a proper request.
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
_HEAD: Final = re.compile(rb"\*([23])\r\n\$([1-9]\d?)\r\n([^\r\n]+)\r\n\$([1-9]\d{0,4})\r\n").match
#: What stands between the second word and the bytes of the third.
_BETWEEN: Final = re.compile(rb"\r\n\$([1-9]\d{0,4})\r\n").match
_CRLF: Final = b"\r\n"
_JOIN: Final = b"".join


class Alike(Requests):
    """Requests with the same first word; made into rows when one is asked for."""

    __slots__ = ("_rows", "columns", "data", "name")

    def __init__(self, data: bytes, name: bytes, columns: list[list[bytes]]) -> None:
        #: As it was sent.
        self.data = data
        self.name = name
        #: All second words, and all third ones if there are any.
        self.columns = columns
        self._rows: list[Request] | None = None

    @property
    def rows(self) -> list[Request]:
        """The requests themselves; always the same lists, since some are known by who they are."""
        if self._rows is None:
            self._rows = [[self.name, *words] for words in zip(*self.columns, strict=True)]
        return self._rows

    def __len__(self) -> int:
        return len(self.columns[0])

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
    shape = _maybe_shape(data)
    if shape is None or len(data) % shape[-1] or len(data) < at_least * shape[-1]:
        return None
    return _cut(data, shape)


def maybe_alike_of_several(chunks: Sequence[bytes]) -> tuple[Alike, Sequence[int]] | None:
    """The same of what several clients sent, and where in the row those of each of them end."""
    shape = _maybe_shape(chunks[0])
    if shape is None:
        return None
    each = shape[-1]
    lengths = list(map(len, chunks))
    if any(length % each for length in lengths):
        return None
    requests = _cut(_JOIN(chunks), shape)
    return None if requests is None else (requests, [end // each for end in accumulate(lengths)])


#: What the first request looks like: all up to the bytes of its second word, its name, the length
#: of the second word, what stands from there up to the bytes of the third (nothing, if there is
#: none), and the length of the whole. PERFORMANCE: a plain tuple, made for each few requests.
_Shape = tuple[bytes, bytes, int, bytes, int]


def _maybe_shape(data: bytes) -> _Shape | None:
    match = _HEAD(data)
    if match is None:
        return None
    count, name_length, name, digits = match.groups()
    if len(name) != int(name_length):
        return None
    length = int(digits)
    end = match.end() + length
    if count == b"2":
        return match[0], name, length, b"", end + len(_CRLF)
    between = _BETWEEN(data, end)
    if between is None:
        return None
    return match[0], name, length, between[0], between.end() + int(between[1]) + len(_CRLF)


def _cut(data: bytes, shape: _Shape) -> Alike | None:
    head, name, length, between, each = shape
    start = len(head)
    pieces = data[start : -len(_CRLF)].split(_CRLF + head)
    if set(map(len, pieces)) != {each - start - len(_CRLF)} or not data.endswith(_CRLF):
        return None
    if not between:
        return Alike(data, name, [pieces])
    third = length + len(between)
    if [piece[length:third] for piece in pieces].count(between) != len(pieces):
        return None
    seconds = [piece[:length] for piece in pieces]
    return Alike(data, name, [seconds, [piece[third:] for piece in pieces]])
