"""A small blocking client that hides nothing: every reply keeps its type on the wire.

A reply is a `Reply(kind, value)`, where `kind` is the byte that opened it, so `+OK` differs from a
bulk string `OK`, and the RESP2 nulls (`$-1`, `*-1`) differ from each other and from RESP3's `_`.
Text of doubles, big numbers and errors is kept as it came. Two replies are equal if and only if
their bytes are."""

import socket
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, NamedTuple, Self

_AGGREGATES: Final = {b"*": 1, b"~": 1, b">": 1, b"%": 2, b"|": 2}
_TEXTS: Final = frozenset({b"+", b"-", b",", b"(", b"#"})
_BULKS: Final = frozenset({b"$", b"=", b"!"})


class Reply(NamedTuple):
    """One reply: the byte that opened it, and what followed."""

    kind: bytes
    value: "bytes | int | tuple[Reply, ...] | None"

    def __repr__(self) -> str:
        if isinstance(self.value, tuple):
            return f"{self.kind.decode()}[{', '.join(map(repr, self.value))}]"
        return f"{self.kind.decode()}{self.value!r}"

    @property
    def text(self) -> bytes:
        """The value of a reply that must be text."""
        assert isinstance(self.value, bytes), self
        return self.value

    @property
    def number(self) -> int:
        """The value of a reply that must be an integer."""
        assert isinstance(self.value, int), self
        return self.value

    @property
    def items(self) -> "tuple[Reply, ...]":
        """The elements of a reply that must be an aggregate."""
        assert isinstance(self.value, tuple), self
        return self.value


def simple(text: str) -> Reply:
    """`+text`."""
    return Reply(b"+", text.encode())


def error(text: str) -> Reply:
    """`-text`."""
    return Reply(b"-", text.encode())


def integer(number: int) -> Reply:
    """`:number`."""
    return Reply(b":", number)


def bulk(text: bytes | str | None) -> Reply:
    """`$length text`, or the RESP2 null."""
    return Reply(b"$", text.encode() if isinstance(text, str) else text)


def array(*elements: Reply) -> Reply:
    """`*count elements`."""
    return Reply(b"*", elements)


#: Stands in for a reply that never came because the server closed the connection.
CLOSED: Final = Reply(b"closed", None)
#: Stands in for a reply that did not come in time.
SILENT: Final = Reply(b"silent", None)


def encode_command(arguments: Sequence[bytes]) -> bytes:
    """Word a command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(arguments)]
    for argument in arguments:
        parts.append(b"$%d\r\n%b\r\n" % (len(argument), argument))
    return b"".join(parts)


def _as_bytes(arguments: Iterable[bytes | str | int | float]) -> list[bytes]:
    return [part if isinstance(part, bytes) else str(part).encode() for part in arguments]


class RawClient:
    """One connection. Raises `ConnectionError` at its end and `TimeoutError` when nothing comes."""

    def __init__(self, host: str, port: int, timeout_s: float = 30.0) -> None:
        self.socket = socket.create_connection((host, port), timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._position = 0

    def close(self) -> None:
        """Hang up."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- sending ------------------------------------------------------------------------------

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def send(self, *arguments: bytes | str | int | float) -> None:
        """Send one command without waiting for its reply."""
        self.send_raw(encode_command(_as_bytes(arguments)))

    def call(self, *arguments: bytes | str | int | float) -> Reply:
        """Send one command and read one reply."""
        self.send(*arguments)
        return self.read()

    def inline(self, line: bytes) -> Reply:
        """Send a line as a person at a terminal would, and read one reply."""
        self.send_raw(line + b"\r\n")
        return self.read()

    def pipeline(self, commands: Sequence[Sequence[bytes]]) -> list[Reply]:
        """Send many commands in one go; read as many replies.

        A connection that ends early gives `CLOSED`, one that falls silent `SILENT`, for all that is
        missing: which reply did not come is what a test wants to know.
        """
        replies: list[Reply] = []
        missing = SILENT
        try:
            self.send_raw(b"".join(map(encode_command, commands)))
            while len(replies) < len(commands):
                replies.append(self.read())
        except TimeoutError:
            missing = SILENT
        except ConnectionError:
            missing = CLOSED
        return replies + [missing] * (len(commands) - len(replies))

    # --- reading ------------------------------------------------------------------------------

    def read(self) -> Reply:
        """Read one reply."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b":":
            return Reply(kind, int(rest))
        if kind in _BULKS:
            return Reply(kind, self._bulk(int(rest)))
        if kind in _TEXTS:
            return Reply(kind, rest)
        if kind in _AGGREGATES:
            count = int(rest)
            if count < 0:
                return Reply(kind, None)
            return Reply(kind, tuple(self.read() for _ in range(count * _AGGREGATES[kind])))
        if line == b"_":
            return Reply(kind, None)
        raise ValueError(f"not RESP: {line!r}")

    def read_to_end(self, deadline_s: float = 30.0) -> bytes:
        """Read raw bytes until the server closes; `TimeoutError` if it does not."""
        ends_at_s = time.monotonic() + deadline_s
        parts = [self._buffer[self._position :]]
        self._buffer, self._position = b"", 0
        while True:
            self.socket.settimeout(max(0.001, ends_at_s - time.monotonic()))
            try:
                data = self.socket.recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                return b"".join(parts)
            parts.append(data)

    def _fill(self) -> None:
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed the connection")
        self._buffer = self._buffer[self._position :] + data
        self._position = 0

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n", self._position)) < 0:
            self._fill()
        line = self._buffer[self._position : end]
        self._position = end + 2
        return line

    def _bulk(self, size: int) -> bytes | None:
        if size < 0:
            return None
        while len(self._buffer) - self._position < size + 2:
            self._fill()
        start, self._position = self._position, self._position + size + 2
        if self._buffer[start + size : self._position] != b"\r\n":
            raise ValueError("a bulk string does not end where it says")
        return self._buffer[start : start + size]
