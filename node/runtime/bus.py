"""The cluster bus: TCP links to the other nodes, in trio tasks of their own.

Each link has a task that reads and one that writes. The brain orders links and packets through
`Bus.link` and `Bus.send`; what arrives goes to it as inputs. A peer that does not read is cut off
at `cluster-link-sendbuf-limit`; a stranger gets little memory until it has shown who it is.
"""

import os
import socket
from collections.abc import Callable
from typing import Final

import trio

from ...gossip.frame import NEED_DATA, FrameLimits, FrameReader
from ...gossip.inputs import (
    DataSeen,
    Input,
    LinkAccepted,
    LinkClosed,
    LinkEstablished,
    LinkFailed,
    MessageReceived,
)
from ...gossip.messages import BadPacket, Message
from ...gossip.nodes_conf import StoredCluster
from ...gossip.outputs import Connect, LinkOrder, Send
from ...gossip.wire import decode_untrusted, encode
from ..cluster import Cluster
from ..machine import Machine
from .clock import set_clock
from .listeners import plain_ip
from .log import RedisLog
from .nodes_file import NodesFile
from .tls import TlsContexts, wrap_incoming, wrap_outgoing

_CHUNK_BYTES: Final = 64 * 1024
#: Links of peers that have not shown themselves members; the oldest makes room for one more.
_STRANGERS_MAX: Final = 256
#: What may wait for a stranger that asks and does not listen.
_STRANGER_OUTGOING_BYTES_MAX: Final = 256 * 1024


class BusLink:
    """One connection: its socket, what waits to be sent, and its parser."""

    __slots__ = (
        "closed",
        "direct",
        "is_sending",
        "link_id",
        "outgoing",
        "outgoing_bytes",
        "reader",
        "scope",
        "wake",
    )

    def __init__(self, link_id: int) -> None:
        self.link_id = link_id
        self.outgoing: list[bytes] = []
        self.outgoing_bytes = 0
        self.wake = trio.Event()
        self.scope = trio.CancelScope()
        self.reader: FrameReader | None = None
        self.closed = False
        #: Its socket, if what is sent needs no encryption.
        self.direct: trio.socket.SocketType | None = None
        #: Whether its task has begun to send something.
        self.is_sending = False


class Bus:
    """Carries out what the brain orders; see `cluster.Carrier`."""

    def __init__(self, machine: Machine, log: RedisLog, nodes_file: NodesFile) -> None:
        self._machine = machine
        self._log = log
        self._nodes_file = nodes_file
        self._links: dict[int, BusLink] = {}
        self._next_inbound_id = -1
        self._nursery: trio.Nursery | None = None
        #: Orders that came before the bus ran.
        self._early: list[LinkOrder] = []
        self._last_encoded: tuple[Message | None, bytes] = (None, b"")
        self.over_limit_count = 0
        #: What the links are encrypted with at present; None: not at all.
        self.tls_contexts: Callable[[], TlsContexts | None] = _no_contexts
        self.cluster: Cluster | None = None
        #: Called after each input, so that what it changed reaches the clients.
        self.after_input = machine.keyspace.effects.deliver

    # --- orders of the brain -----------------------------------------------------------------

    def save(self, stored: StoredCluster, must_sync: bool) -> None:
        """Write nodes.conf before anything else happens; a node that cannot must stop."""
        try:
            self._nodes_file.save(stored, must_sync)
        except OSError as failure:
            if self._nursery is None:
                # Whoever starts the node tells why it does not start.
                raise
            self._log.warning(
                f"Fatal: the cluster config file cannot be saved: {failure.strerror}. Exiting."
            )
            self._nodes_file.give_up()

    def send(self, order: Send) -> None:
        """Queue a packet; a link over its limit is cut, since its peer does not listen."""
        link = self._links.get(order.link_id)
        if link is None or link.closed:
            return
        if self._last_encoded[0] is not order.message:
            self._last_encoded = (order.message, encode(order.message))
        data = self._last_encoded[1]
        limit = self._machine.config.cluster_link_sendbuf_limit
        if self._is_stranger(link):
            limit = min(limit or _STRANGER_OUTGOING_BYTES_MAX, _STRANGER_OUTGOING_BYTES_MAX)
        if limit and link.outgoing_bytes + len(data) > limit:
            self.over_limit_count += 1
            self._log.warning(
                f"Freeing outbound cluster link {link.link_id} due to exceeding send buffer memory "
                "limit.",
            )
            link.scope.cancel()
            return
        link.outgoing.append(data)
        link.outgoing_bytes += len(data)
        link.wake.set()

    def link(self, order: LinkOrder) -> None:
        """Open or close a link."""
        if self._nursery is None:
            self._early.append(order)
        elif isinstance(order, Connect):
            link = BusLink(order.link_id)
            self._links[order.link_id] = link
            self._nursery.start_soon(self._run_outbound, link, order)
        else:
            closing = self._links.pop(order.link_id, None)
            if closing is not None:
                closing.closed = True
                closing.scope.cancel()

    def flush(self) -> None:
        """Send what waits on plain links without waiting, while a command holds up the loop."""
        for link in self._links.values():
            if link.direct is None or link.is_sending or not link.outgoing:
                continue
            data = b"".join(link.outgoing)
            try:
                sent = os.write(link.direct.fileno(), data)
            except OSError:
                # Its task will find out what is wrong, if anything is.
                continue
            link.outgoing[:] = [data[sent:]] if sent < len(data) else []
            link.outgoing_bytes -= sent

    def buffered(self) -> dict[int, int]:
        """Bytes that wait on each link that has any."""
        return {
            link.link_id: link.outgoing_bytes
            for link in self._links.values()
            if link.outgoing_bytes
        }

    # --- running -----------------------------------------------------------------------------

    async def run(self, listeners: list[socket.socket]) -> None:
        """Serve the bus until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            early, self._early = self._early, []
            for order in early:
                self.link(order)
            for listener in listeners:
                nursery.start_soon(self._accept, trio.socket.from_stdlib_socket(listener))

    async def _accept(self, listener: trio.socket.SocketType) -> None:
        while True:
            try:
                peer, _ = await listener.accept()
            except OSError as failure:
                self._log.warning(f"Accepting cluster node connection: {failure.strerror}")
                await trio.sleep(0.1)
                continue
            self._make_room_for_stranger()
            assert self._nursery is not None
            link = BusLink(self._next_inbound_id)
            self._next_inbound_id -= 1
            self._links[link.link_id] = link
            self._nursery.start_soon(self._run_inbound, link, trio.SocketStream(peer))

    def _make_room_for_stranger(self) -> None:
        """Cut off who is a stranger for longest, if there are too many of them.

        Whoever comes now may well be a member that lost its link: to refuse it would let some
        hundred idle connections part the cluster.
        """
        strangers = [
            link
            for link in self._links.values()
            if self._is_stranger(link) and link.link_id < 0 and not link.scope.cancel_called
        ]
        if len(strangers) >= _STRANGERS_MAX:
            self._log.verbose(f"Cutting off stranger {strangers[0].link_id} on the cluster bus")
            strangers[0].scope.cancel()

    async def _run_inbound(self, link: BusLink, stream: trio.SocketStream) -> None:
        async with stream:
            try:
                peer_ip = plain_ip(stream.socket.getpeername()[0])
                local_ip = plain_ip(stream.socket.getsockname()[0])
            except OSError:
                # Gone before we looked at it.
                self._links.pop(link.link_id, None)
                return
            with link.scope:
                contexts = self.tls_contexts()
                try:
                    secured = await wrap_incoming(stream, contexts) if contexts else stream
                except (trio.BrokenResourceError, trio.TooSlowError) as failure:
                    self._log.verbose(f"Error accepting cluster node connection: {failure}")
                    self._links.pop(link.link_id, None)
                    return
                self._tell(LinkAccepted(link.link_id, peer_ip, local_ip))
                await self._serve(link, stream, secured)
        self._on_end(link, was_up=True)

    async def _run_outbound(self, link: BusLink, order: Connect) -> None:
        timeout_s = self._machine.config.cluster_node_timeout / 1000
        was_up = False
        with link.scope:
            try:
                with trio.fail_after(timeout_s):
                    stream = await trio.open_tcp_stream(order.ip, order.cport)
                    contexts = self.tls_contexts()
                    secured = await wrap_outgoing(stream, contexts) if contexts else stream
            except (OSError, trio.BrokenResourceError, trio.TooSlowError) as failure:
                self._log.debug(f"Unable to connect to {order.ip}:{order.cport}: {failure}")
            else:
                was_up = True
                async with stream:
                    local_ip = plain_ip(stream.socket.getsockname()[0])
                    self._tell(LinkEstablished(link.link_id, local_ip))
                    await self._serve(link, stream, secured)
        self._on_end(link, was_up)

    def _on_end(self, link: BusLink, was_up: bool) -> None:
        """A connection is over; the brain is told, unless it was the one that closed it."""
        if self._links.pop(link.link_id, None) is not None:
            self._tell(LinkClosed(link.link_id) if was_up else LinkFailed(link.link_id))

    async def _serve(
        self, link: BusLink, transport: trio.SocketStream, stream: trio.abc.Stream
    ) -> None:
        """Read and write until either end hangs up; whatever a peer does stays in here.

        `stream` is what is spoken on, `transport` itself or something encrypted around it.
        """
        transport.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.reader = FrameReader(self._limits(link))
        if stream is transport:
            link.direct = transport.socket
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write, link, stream, nursery.cancel_scope)
            try:
                await self._read(link, stream)
            except Exception as failure:
                self._log.exception("Serving a cluster link failed", failure)
            nursery.cancel_scope.cancel()

    async def _write(self, link: BusLink, stream: trio.abc.Stream, scope: trio.CancelScope) -> None:
        try:
            while True:
                await link.wake.wait()
                data = b"".join(link.outgoing)
                link.outgoing.clear()
                if not data:
                    link.wake = trio.Event()
                    continue
                link.is_sending = True
                await stream.send_all(data)
                link.is_sending = False
                link.outgoing_bytes -= len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            scope.cancel()

    async def _read(self, link: BusLink, stream: trio.abc.Stream) -> None:
        reader = link.reader
        assert reader is not None
        while True:
            try:
                data = bytes(await stream.receive_some(_CHUNK_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            self._tell(DataSeen(link.link_id))
            try:
                reader.feed(data)
                while (frame := reader.next_frame()) is not NEED_DATA:
                    self._on_frame(link, frame)
                    if link.closed:
                        return
            except BadPacket as bad:
                self._log.verbose(f"Bad packet on the cluster bus: {bad.reason}")
                return
            reader.limits = self._limits(link)

    def _on_frame(self, link: BusLink, frame: bytes) -> None:
        try:
            message = decode_untrusted(frame)
        except BadPacket as bad:
            # The frame was whole, so the stream is still in step: only this packet is lost.
            self._log.verbose(f"Bad packet on the cluster bus: {bad.reason}")
            return
        self._tell(MessageReceived(link.link_id, message))

    # --- towards the brain -------------------------------------------------------------------

    def _tell(self, event: Input) -> None:
        """Hand an input to the brain, at the present time."""
        cluster = self.cluster
        assert cluster is not None
        set_clock(self._machine.clock)
        cluster.step(event)
        self.after_input()

    def _is_stranger(self, link: BusLink) -> bool:
        cluster = self.cluster
        assert cluster is not None
        known = cluster.core.state.links.get(link.link_id)
        return known is None or known.node is None

    def _limits(self, link: BusLink) -> FrameLimits:
        cluster = self.cluster
        assert cluster is not None
        return FrameLimits(
            known_node_count=len(cluster.core.state.nodes),
            max_bulk_bytes=self._machine.config.proto_max_bulk_len,
            is_stranger=self._is_stranger(link),
        )


def _no_contexts() -> None:
    """Without anything said about TLS the bus is plain."""
