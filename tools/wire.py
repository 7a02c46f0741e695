"""Commands to nodes, and what they answer: what all connections of the tools have in common.

Owns how a command is written, and the blocking connection. Rules: it follows no redirections, and
knows nothing of clusters; an error reply is a value like any other, which only `Caller` raises.
"""

import socket
from collections.abc import Sequence
from typing import Final

import hiredis

Argument = bytes | str | int | float
#: What RESP2 can say.
Reply = bytes | int | float | list["Reply"] | hiredis.ReplyError | None
_CHUNK_BYTES: Final = 1 << 18


class CallError(Exception):
    """A node answered with an error; the text is the node's."""


def encode(*commands: Sequence[Argument]) -> bytes:
    """Commands as nodes read them."""
    parts = []
    for command in commands:
        words = [part if isinstance(part, bytes) else str(part).encode() for part in command]
        parts.append(b"*%d\r\n" % len(words))
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
    return b"".join(parts)


def connect(host: str, port: int, timeout_s: float) -> socket.socket:
    """A socket that waits so long at the most, each time; raises OSError."""
    opened = socket.create_connection((host, port), timeout_s)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


class Wire:
    """Commands out and replies in, over an open socket; raises OSError."""

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self._reader = hiredis.Reader()

    def send(self, *commands: Sequence[Argument]) -> None:
        """Send commands, without waiting for their replies."""
        self.socket.sendall(encode(*commands))

    def read(self) -> Reply:
        """One reply, or what the node sends by itself."""
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self.receive())
        answer: Reply = reply
        return answer

    def receive(self) -> bytes:
        """The next bytes as they come."""
        data = self.socket.recv(_CHUNK_BYTES)
        if not data:
            raise ConnectionError("the node closed the connection")
        return data

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


class Caller(Wire):
    """A connection to a node of this machine: a command in, a reply out."""

    def __init__(self, port: int, timeout_s: float = 30.0) -> None:
        super().__init__(connect("127.0.0.1", port, timeout_s))

    def call(self, *arguments: Argument) -> Reply:
        """Send a command and read its reply; raises CallError, and OSError if the node is gone."""
        self.send(arguments)
        return self.read()

    def read(self) -> Reply:
        """One reply, or what the node sends by itself; raises CallError for an error."""
        reply = super().read()
        if isinstance(reply, hiredis.ReplyError):
            raise CallError(str(reply))
        return reply
