"""One client's socket: the bytes that the kernel did not take yet, and how much to read at once."""

import socket
from collections import deque
from typing import Final

from ..machine import Machine
from .listeners import plain_ip

#: Python keeps room for so little in its own pools; for more it asks the C library each time.
_CHUNK_START_BYTES: Final = 479
_CHUNK_SECOND_BYTES: Final = 16 * 1024
_CHUNK_MAX_BYTES: Final = 256 * 1024


class Connection:
    """A non-blocking socket and its session."""

    __slots__ = (
        "chunk_bytes",
        "closed",
        "descriptor",
        "ended",
        "receive",
        "rest",
        "rest_bytes",
        "send",
        "session",
        "socket",
    )

    def __init__(self, client: socket.socket, machine: Machine) -> None:
        self.socket = client
        self.descriptor = client.fileno()
        self.receive = client.recv
        self.send = client.send
        #: Output that waits for room in the kernel.
        self.rest: deque[bytes | memoryview] = deque()
        self.rest_bytes = 0
        self.chunk_bytes = _CHUNK_START_BYTES
        self.closed = False
        #: The client closed its sending side.
        self.ended = False
        self.session = machine.connect(
            _address(client, remote=True), _address(client, remote=False)
        )
        self.session.transport = self
        self.session.descriptor = self.descriptor

    def receive_more(self, data: bytes) -> bytes:
        """The client sends much: read the rest of what is there, and more at once from now on.

        Only one step further, since the others wait. Requests that are not cut cost less to parse.
        """
        self.chunk_bytes = max(_CHUNK_SECOND_BYTES, min(self.chunk_bytes * 2, _CHUNK_MAX_BYTES))
        try:
            return data + self.receive(self.chunk_bytes)
        except OSError:
            # Nothing more, or the end: the next read will tell.
            return data

    def queue(self, data: bytes | memoryview) -> None:
        """Keep output for later."""
        self.rest.append(data)
        self.rest_bytes += len(data)

    def send_rest(self) -> None:
        """Send queued output until all is out or the kernel takes no more (BlockingIOError)."""
        while self.rest:
            data = self.rest[0]
            sent = self.send(data)
            self.rest_bytes -= sent
            if sent == len(data):
                self.rest.popleft()
            else:
                self.rest[0] = memoryview(data)[sent:]


def _address(client: socket.socket, *, remote: bool) -> str:
    """`ip:port`, `[ip6]:port`, or the path of a unix socket with `:0`, as CLIENT LIST shows it."""
    try:
        name = client.getpeername() if remote else client.getsockname()
    except OSError:
        # Gone already; the next read will tell.
        return "?:0"
    if client.family == socket.AF_INET:
        return f"{name[0]}:{name[1]}"
    if client.family == socket.AF_INET6:
        host = plain_ip(name[0])
        return f"{host}:{name[1]}" if "." in host else f"[{host}]:{name[1]}"
    return f"{client.getsockname() or ''}:0"
