"""One client's incoming bytes as requests: hiredis for what is regular, `ExactParser` for the rest.

hiredis parses a request in 0.13 microseconds, but it was made for replies: it knows no inline
commands, it accepts integers and nested arrays inside a request, it allocates whatever an array
header announces, and it waits for ever for a bulk string of any size. So it only ever gets bytes
that begin where a request begins, and what it made of them is believed only if it is regular.

A stream is in one of two states:

* At an edge (`exact` is None): nothing is half read. The next bytes go to hiredis if they begin
  like a request and hold no wide array header (`WIDE_ARRAY`).
* Half read (`exact` is there): the exact parser has what came since the last edge. It finishes
  the request that is half read; what follows that one is at an edge again.

When hiredis was given a request that is cut, is odd, or is none, then the lengths of the requests
before it tell where it begins: there the exact parser takes over, and hiredis starts afresh.
Every client but one that has not logged in is read this way; strangers are always read exactly.
"""

import re
from itertools import chain
from typing import Any, Final

import hiredis

from ..errors import ProtocolError
from .alike import Alike, Request, Requests, maybe_alike
from .encoder import pack_bulks
from .exact_parser import ExactParser

WIDE_ARRAY: Final = re.compile(rb"\*\d{5}").search
#: How ordinary requests begin: so many words follow.
_HEADS: Final = frozenset([b"*%d\r\n" % count for count in range(1, 10)]) | frozenset(
    [b"*%d\r" % count for count in range(10, 100)]
)
_HEAD_BYTES: Final = 4
#: How requests of 100 to 9999 words begin; wider ones are `WIDE_ARRAY`.
_LONG_HEAD: Final = re.compile(rb"\*[1-9]\d\d\d?\r\n").match
_LF: Final = ord("\n")
_STAR: Final = ord("*")
_TWO: Final = ord("2")

#: How the fast parser says that it cannot go on. TypeError comes of a map with a list as a key, and
#: of a request that is cut; MemoryError of an array that is as long as it pleases the client.
BALKS: Final = (hiredis.HiredisError, TypeError, ValueError, SystemError, MemoryError)

#: Up to so many requests and bytes are encoded again to see whether they were sent in the one
#: proper form. In longer pipelines the fast parser's leniency stands: it takes a status line for a
#: bulk string; and everywhere it takes a plus or a zero in front of a length. That harms nobody.
LONG_PIPELINE: Final = 6
_REENCODED_MAX_BYTES: Final = 4096
#: Shorter pipelines, and nearly all single requests, are not looked at for being alike; nor are
#: requests of three words, which the fast parser reads as quickly if they come from one client.
_ALIKE_MIN_BYTES: Final = 128

#: What the fast parser answers when bytes are missing; nothing else is equal to it.
MISSING: Final = object()
#: A whole reply of one number. Fed at an edge it comes back as such; anywhere else it does not.
_PROBE: Final = b":7\r\n"
_PROBED: Final = 7
_JOIN: Final = b"".join
_CRLF: Final = b"\r\n"
#: What a bulk string takes beside its bytes, by its length; the same for an array by its count.
_OVERHEADS: Final = [len(b"$%d\r\n\r\n" % length) for length in range(1024)]
_OVERHEAD: Final = _OVERHEADS.__getitem__


class RequestStream:
    """Give it chunks with `read`; it returns the requests that are complete by now.

    All words of these are bytes; of `LONG_PIPELINE` requests or more only `settled` sees to that.
    After `read`, `failure` holds a protocol error that follows the requests, and `unread` says that
    `read(b"")` would return more (strangers get their requests one at a time, as the limits may
    change).
    """

    __slots__ = (
        "_bulk_max_bytes",
        "_feed",
        "_gets",
        "_has_data",
        "exact",
        "failure",
        "pending_bytes",
        "stranger",
        "unread",
    )

    def __init__(self, bulk_max_bytes: int, stranger: bool = False) -> None:
        self._bulk_max_bytes = bulk_max_bytes
        #: Has what follows the latest edge; None at an edge. Then nothing failed, and all is read.
        self.exact: ExactParser | None = None
        #: How much of a request has arrived that is not whole yet.
        self.pending_bytes = 0
        self.stranger = stranger
        self.failure: ProtocolError | None = None
        self.unread = False
        self._renew_fast()
        if stranger:
            self.exact = ExactParser(stranger)

    def _renew_fast(self) -> None:
        """Forget what the fast parser has."""
        reader: Any = hiredis.Reader(notEnoughData=MISSING)
        self._feed = reader.feed
        self._gets = reader.gets
        self._has_data = reader.has_data

    def read(self, data: bytes) -> Requests:
        """Take bytes as they came from the socket; returns the requests that are whole now."""
        if self.exact is not None:
            return self._finish_exactly(self.exact, data)
        if data[:_HEAD_BYTES] not in _HEADS and _LONG_HEAD(data) is None:
            return self._read_exactly(data) if data else []
        if (
            len(data) > _ALIKE_MIN_BYTES
            and data[1] == _TWO
            and (alike := maybe_alike(data, LONG_PIPELINE)) is not None
        ):
            return alike
        if data.find(b"*", _HEAD_BYTES) > 0 and WIDE_ARRAY(data, _HEAD_BYTES):
            return self._read_exactly(data)
        self._feed(data)
        try:
            request = self._gets()
            if not self._has_data() and data[-1] == _LF:
                # Most clients wait for each reply, so most reads are just one request. Its length
                # tells that the words were bulk strings: a status line would have been shorter.
                words = len(request)
                if 6 * words + 4 <= len(data) - len(_JOIN(request)) <= 10 * words + 4:
                    return [request]
        except BALKS:
            return self._restart([], data)
        if request is MISSING:
            return self._restart([], data)
        requests: list[Request] = [request]
        try:
            requests.extend(iter(self._gets, MISSING))
        except BALKS:
            return self._restart(requests, data)
        if not self._is_at_edge(data):
            return self._restart(requests, data)
        if len(requests) < LONG_PIPELINE and not _are_regular(requests, data):
            return self._restart([], data)
        return requests

    def settled(self, requests: Requests, data: bytes) -> Requests:
        """What `read(data)` should have returned in place of `requests`: they may be odd ones."""
        if type(requests) is Alike or len(requests) < LONG_PIPELINE or _are_regular(requests, data):
            return requests
        return self._restart([], data)

    def _is_at_edge(self, data: bytes) -> bool:
        """Whether the fast parser has read all and waits for nothing."""
        # It swallows a lone type byte, so the data must end with a line.
        if self._has_data() or data[-1] != _LF:
            return False
        self._feed(_PROBE)
        try:
            return bool(self._gets() == _PROBED)
        except BALKS:
            return False

    def _restart(self, requests: list[Request], data: bytes) -> list[Request]:
        """Keep these requests from the head of `data`, and parse exactly what follows them.

        All of it, if the requests are no regular ones or do not end where one could begin.
        """
        self._renew_fast()
        if requests:
            try:
                taken = _encoded_bytes(requests)
            except TypeError:
                return self._read_exactly(data)
            if (
                data[taken - 2 : taken] == _CRLF
                and (taken == len(data) or data[taken] == _STAR)
                and _are_regular(requests, data[:taken])
            ):
                return requests + self._read_exactly(data[taken:])
        return self._read_exactly(data)

    def _read_exactly(self, data: bytes) -> list[Request]:
        """Bytes that begin where a request begins, but are not for the fast parser."""
        exact = self.exact = ExactParser(self.stranger)
        exact.feed(data)
        requests: list[Request] = []
        try:
            while (request := exact.gets(self._bulk_max_bytes)) is not False:
                requests.append(request)
        except ProtocolError as failure:
            self.failure = failure
        self._note_rest(exact)
        return requests

    def _finish_exactly(self, exact: ExactParser, data: bytes) -> list[Request]:
        """A request is half read, or its sender is a stranger."""
        if data:
            exact.feed(data)
        exact.stranger = self.stranger
        self.unread = False
        requests: list[Request] = []
        try:
            while (request := exact.gets(self._bulk_max_bytes)) is not False:
                requests.append(request)
                if self.stranger:
                    self.unread = True
                    break
                if exact.next_is_array:
                    # An ordinary client goes on with ordinary requests.
                    self.exact = None
                    rest = exact.take_rest()
                    return [*requests, *self.settled(self.read(rest), rest)]
        except ProtocolError as failure:
            self.failure = failure
        self._note_rest(exact)
        return requests

    def _note_rest(self, exact: ExactParser) -> None:
        self.pending_bytes = exact.buffered_bytes
        if exact.at_boundary and not self.stranger and self.failure is None:
            self.exact = None

    def drop(self) -> None:
        """Forget everything that was received: the connection is on its way out."""
        self.exact = ExactParser(self.stranger) if self.stranger else None
        self.pending_bytes = 0
        self._renew_fast()

    def logged_in(self) -> None:
        """From now on the client has the ordinary limits."""
        self.stranger = False

    def set_bulk_max(self, bulk_max_bytes: int) -> None:
        """Obey a new `proto-max-bulk-len`."""
        self._bulk_max_bytes = bulk_max_bytes


def _are_regular(requests: Requests, data: bytes) -> bool:
    """Whether these are lists of bulk strings; of a few, whether `data` is their very encoding."""
    try:
        if len(requests) < LONG_PIPELINE and len(data) <= _REENCODED_MAX_BYTES:
            return _JOIN([pack_bulks(tuple(request)) for request in requests]) == data
        _JOIN(chain.from_iterable(requests))
        return set(map(type, requests)) == {list}
    except TypeError:
        return False


def _encoded_bytes(requests: list[Request]) -> int:
    """How long such requests are on the wire if they are regular; they need not be."""
    lengths = list(map(len, chain.from_iterable(requests)))
    counts = list(map(len, requests))
    try:
        overhead = sum(map(_OVERHEAD, lengths)) + sum(map(_OVERHEAD, counts))
    except IndexError:
        overhead = sum(len(b"$%d\r\n\r\n" % length) for length in chain(lengths, counts))
    return sum(lengths) + overhead - len(_CRLF) * len(counts)
