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
from collections import deque
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
#: From so many clients on, it pays to carry their requests out together.
_CROWD: Final = 12
#: What is longer is carried out as soon as it is read.
_SHORT_BYTES: Final = 2048


class DataPlane:
    """Serves the clients of one machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.poller = SystemPoller()
        self.connections: dict[int, Connection] = {}
        #: What is called for sockets that are no clients: listeners, the link to a primary.
        self._attended: dict[int, Callable[[], None]] = {}
        #: Called once before the replies of a pass leave, if there are any: what they promise may
        #: have to be on disk by then.
        self.before_sending: Callable[[], None] | None = None
        #: Replies of the present pass. They leave together at its end: sent one by one, each would
        #: wake a client that had just gone to sleep, which costs more than all else here.
        self._held: list[tuple[Session, bytes]] = []
        #: What clients sent in the present pass, as far as it was not carried out yet.
        self._arrived: deque[tuple[Session, bytes]] = deque()
        #: How many tasks beside this one are in a hurry (keys and slots on their way): they get
        #: their turn after each pass, and nobody lingers.
        self.hurried = 0
        #: Whose command is in the middle of being run.
        self._busy: Session | None = None

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

        self.attend(listener.fileno(), accept)

    def stop_listening(self, listener: socket.socket) -> None:
        """Take no more clients from this socket; the caller closes it."""
        self.disregard(listener.fileno())

    def attend(self, descriptor: int, on_readable: Callable[[], None]) -> None:
        """Have something other than a client called in each pass in which it is readable."""
        self._attended[descriptor] = on_readable
        self.poller.watch(descriptor, writable=False)

    def disregard(self, descriptor: int) -> None:
        """It is about to be closed, perhaps not for the first time."""
        if self._attended.pop(descriptor, None) is not None:
            self.poller.forget(descriptor)

    @property
    def is_in_command(self) -> bool:
        """Whether a pass is within a command that serves others meanwhile."""
        return self._busy is not None

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
                if now >= slice_ends or self.hurried:
                    await trio.lowlevel.checkpoint()
                    slice_ends = perf_counter() + SLICE_S
                events = poll(0 if self.hurried else LINGER_S)

    def serve(self, events: list[tuple[int, int]]) -> None:
        """One pass over ready sockets."""
        clock = self.machine.clock
        # `set_clock`, without a call: this is run for every few requests.
        clock.now_ms = int(time() * 1000)
        clock.monotonic_ms = int(monotonic() * 1000)
        cluster = self.machine.cluster
        if cluster is not None and clock.monotonic_ms > cluster.away_from_ms:
            # We were stopped; our slots may be somebody else's by now.
            cluster.tick()
        self._serve_ready(events)
        self._send_held()
        if self.machine.awake:
            self.flush_awake()
        compaction = self.machine.keyspace.compaction
        if compaction.is_due:
            compaction.run()

    def serve_while_busy(self, session: Session) -> None:
        """Serve whoever is ready in the middle of a long command of `session`; never waits.

        That session itself is left alone until its command is done, and time stands still.
        """
        before, self._busy = self._busy, session
        try:
            # Whoever is served now must first get what the outer pass owes it, and who was to be
            # served in that one comes first.
            self._run_arrived()
            self._send_held()
            self._serve_ready(
                [event for event in self.poller.poll(0) if event[0] != session.descriptor]
            )
            self._send_held()
            self.flush_awake()
        finally:
            self._busy = before

    def _serve_ready(self, events: list[tuple[int, int]]) -> None:
        connections = self.connections
        arrived = self._arrived.append
        reads = 0
        for descriptor, mask in events:
            connection = connections.get(descriptor)
            if connection is None:
                on_readable = self._attended.get(descriptor)
                if on_readable is not None:
                    on_readable()
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
                data = connection.receive_more(data)
            if len(data) < _SHORT_BYTES:
                arrived((connection.session, data))
            else:
                # A pipeline or a long value: nothing is won by keeping it.
                self._run(connection.session, data)
        self.machine.traffic.reads += reads
        self._run_arrived()

    def _run_arrived(self) -> None:
        """Carry out what was read.

        Long commands serve other clients meanwhile, and come here again for what is left.
        """
        arrived = self._arrived
        if len(arrived) >= _CROWD:
            parcels = list(arrived)
            arrived.clear()
            arrived.extend(self.machine.run_crowd(parcels, self._held))
        while arrived:
            self._run(*arrived.popleft())

    def _run(self, session: Session, data: bytes) -> None:
        connection = session.transport
        if connection is None:
            return
        reply = self.machine.receive(session, data)
        if reply:
            self._held.append((session, reply))
        elif session.close_after_reply:
            self.close(connection)

    def _send_held(self) -> None:
        """Send the replies of this pass, once `before_sending` has been."""
        if not self._held:
            return
        if self.before_sending is not None:
            self.before_sending()
        writes = 0
        for session, reply in self._held:
            connection = session.transport
            if connection is None:
                continue
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
            elif session.close_after_reply:
                self.close(connection)
        self.machine.traffic.writes += writes
        # In place: an outer pass goes on adding to it.
        self._held.clear()

    def _may_read(self, connection: Connection, mask: int) -> bool:
        """Write first, if there is room; whether there may be something to read, too."""
        if mask & WRITABLE and not self._write_rest(connection):
            return False
        return bool(mask & (READABLE | BROKEN))

    def flush_awake(self) -> None:
        """Send what sessions got outside their own requests, and let those go on that waited."""
        machine = self.machine
        left_alone: list[Session] = []
        while machine.awake:
            awake, machine.awake = machine.awake, []
            for session in awake:
                connection = session.transport
                if connection is None or connection.closed:
                    continue
                if session is self._busy:
                    left_alone.append(session)
                    continue
                if session.close_now:
                    self.close(connection)
                    continue
                reply = machine.proceed(session)
                if reply:
                    self._held.append((session, reply))
                elif session.close_after_reply and not connection.rest:
                    self.close(connection)
            self._send_held()
        machine.awake += left_alone

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
