"""The client side of a node: one poller, one loop, no await per request.

All client sockets sit in one poller. When it reports events, `DataPlane.run` reads each ready
socket, hands the bytes to the machine, and sends what comes back, all in plain calls; a pass is
bounded in time, after which the other trio tasks (bus, timers, replication) get their turn. After
a pass the loop lingers for a fraction of a millisecond inside the poller before it goes back to
sleep in trio: the next request of a client that waits for its reply is then met without the cost
of trio's scheduler.
"""

import contextlib
import socket
from collections.abc import Callable
from time import monotonic, perf_counter, time
from typing import Final

import trio

from ..machine import Machine
from ..session import Session
from .connection import Connection
from .poller import BROKEN, READABLE, WRITABLE, SystemPoller

#: How long clients are served before the other tasks get a turn.
SLICE_S: Final = 0.002
#: How long a pass without events may wait in the poller before trio takes over.
LINGER_S: Final = 0.0005
#: Connections taken from one listener in one go.
_ACCEPTS_MAX: Final = 128


class DataPlane:
    """Serves the clients of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.poller = SystemPoller()
        self.connections: dict[int, Connection] = {}
        self._acceptors: dict[int, Callable[[], None]] = {}
        self._closing = False

    # --- listeners
    # ---------------------------------------------------------------------------------

    def listen(self, listener: socket.socket, admit: Callable[[socket.socket], str | None]) -> None:
        """Accept clients from a listening socket; `admit` may refuse one with a text to send."""
        listener.setblocking(False)

        def accept() -> None:
            for _ in range(_ACCEPTS_MAX):
                try:
                    client, _ = listener.accept()
                except (BlockingIOError, ConnectionAbortedError):
                    return
                except OSError as failure:
                    # Out of descriptors, most likely: those already connected go on.
                    self.machine.log.warning(f"Accepting client connection: {failure.strerror}")
                    return
                refusal = admit(client)
                if refusal is None:
                    self.add(client)
                else:
                    self.machine.connections_rejected += 1
                    with contextlib.suppress(OSError):
                        client.setblocking(False)
                        client.send(refusal.encode())
                    client.close()

        self._acceptors[listener.fileno()] = accept
        self.poller.watch(listener.fileno(), writable=False)

    def stop_listening(self, listener: socket.socket) -> None:
        """Take no more clients from this socket; the caller closes it."""
        if self._acceptors.pop(listener.fileno(), None) is not None:
            self.poller.forget(listener.fileno())

    def add(self, client: socket.socket) -> Session:
        """Serve a connected client."""
        client.setblocking(False)
        connection = Connection(client, self.machine)
        self.connections[connection.descriptor] = connection
        self.poller.watch(connection.descriptor, writable=False)
        return connection.session

    # --- the loop
    # ----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve until cancelled."""
        poll = self.poller.poll
        descriptor = self.poller.fileno()
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            events = poll(0)
            slice_ends = perf_counter() + SLICE_S
            while events:
                self.serve(events)
                now = perf_counter()
                if now >= slice_ends:
                    await trio.lowlevel.checkpoint()
                    slice_ends = perf_counter() + SLICE_S
                events = poll(LINGER_S)

    def serve(self, events: list[tuple[int, int]]) -> None:
        """One pass over ready sockets."""
        machine = self.machine
        clock = machine.clock
        clock.now_ms = int(time() * 1000)
        clock.monotonic_ms = int(monotonic() * 1000)
        connections = self.connections
        receive = machine.receive
        reads = writes = 0
        for descriptor, mask in events:
            connection = connections.get(descriptor)
            if connection is None:
                accept = self._acceptors.get(descriptor)
                if accept is not None:
                    accept()
                continue
            if mask != READABLE and not self._may_read(connection, mask):
                continue
            try:
                data = connection.receive(connection.chunk_bytes)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                self.close(connection)
                continue
            if not data:
                self._on_end(connection)
                continue
            reads += 1
            if len(data) >= connection.chunk_bytes:
                connection.grow_chunk()
            session = connection.session
            reply = receive(session, data)
            if reply:
                if connection.rest:
                    self._queue(connection, reply)
                    continue
                try:
                    sent = connection.send(reply)
                except (BlockingIOError, InterruptedError):
                    sent = 0
                except OSError:
                    self.close(connection)
                    continue
                writes += 1
                session.sent_bytes += sent
                if sent != len(reply):
                    self._queue(connection, memoryview(reply)[sent:])
                    continue
            if session.close_after_reply:
                self.close(connection)
        machine.traffic.reads += reads
        machine.traffic.writes += writes
        if machine.awake:
            self.flush_awake()

    def _may_read(self, connection: Connection, mask: int) -> bool:
        """Write first, if there is room; whether there may be something to read, too."""
        if mask & WRITABLE and not self._write_rest(connection):
            return False
        return bool(mask & (READABLE | BROKEN))

    def flush_awake(self) -> None:
        """Send what sessions got outside their own requests, and let those go on that waited."""
        machine = self.machine
        while machine.awake:
            awake, machine.awake = machine.awake, []
            for session in awake:
                connection = session.transport
                if connection is None or connection.closed:
                    continue
                if session.close_now:
                    self.close(connection)
                    continue
                reply = machine.proceed(session)
                if reply:
                    self._queue(connection, reply)
                    self._write_rest(connection)
                elif session.close_after_reply and not connection.rest:
                    self.close(connection)

    # --- output
    # ------------------------------------------------------------------------------------

    def _queue(self, connection: Connection, data: bytes | memoryview) -> None:
        """Keep output that the kernel did not take, within the client's limit."""
        if not connection.rest:
            self.poller.change(connection.descriptor, writable=True)
        connection.queue(data)
        session = connection.session
        session.output_bytes = connection.rest_bytes
        reason = self.machine.output_limit_reason(session)
        if reason is not None:
            self.machine.log.warning(
                f"Client {session.address} scheduled to be closed ASAP for overcoming of output "
                f"buffer limits ({reason}).",
            )
            self.close(connection)

    def _write_rest(self, connection: Connection) -> bool:
        """Send queued output; False when the connection is closed now."""
        try:
            connection.send_rest()
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self.close(connection)
            return False
        session = connection.session
        session.sent_bytes += session.output_bytes - connection.rest_bytes
        self.machine.traffic.writes += 1
        session.output_bytes = connection.rest_bytes
        if not connection.closed and not connection.rest:
            if session.close_after_reply or connection.ended:
                self.close(connection)
                return False
            self.poller.change(connection.descriptor, writable=False)
        return not connection.closed

    # --- ends
    # --------------------------------------------------------------------------------------

    def _on_end(self, connection: Connection) -> None:
        """The client will send no more; what it is still owed goes out first."""
        if connection.rest:
            connection.ended = True
            self.poller.change(connection.descriptor, writable=True, readable=False)
            return
        self.close(connection)

    def close(self, connection: Connection) -> None:
        """End a connection and everything that it held."""
        if connection.closed:
            return
        connection.closed = True
        self.poller.forget(connection.descriptor)
        del self.connections[connection.descriptor]
        connection.session.transport = None
        self.machine.disconnect(connection.session)
        connection.socket.close()

    def close_all(self) -> None:
        """The node stops."""
        for connection in list(self.connections.values()):
            self.close(connection)
        self.poller.close()
