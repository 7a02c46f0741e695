"""The socket side of a replica: connects to the primary, gets its data, and applies its stream.

One task lives as long as the server. It follows whatever `machine.replication.primary` says; an
order ends the present link at once, though not before a copy that has come as a whole is loaded:
half of it is no data. Any failure costs a second of patience and a new try, which asks for the rest
of the stream if the data allows.
"""

import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import trio

from ..persistence.status import LogState
from ..propagation import encode_command
from ..replay import ReplayError
from ..replication.replica import (
    Continue,
    FullCopy,
    Handshake,
    Introduction,
    LinkError,
    LinkState,
    read_transfer,
)
from ..replication.state import Address
from ..session import ClientKind, Session
from .clock import set_clock
from .copy_loader import CopyLoader
from .log import RedisLog
from .primary_stream import DirectReader, StreamApplier
from .tls import TlsContexts, dial

if TYPE_CHECKING:
    from .dataplane import DataPlane
    from .persistence import ServerPersistence

_RETRY_S: Final = 1.0
_ACK_S: Final = 1.0
_RECEIVE_BYTES: Final = 64 * 1024
_LINE_MAX_BYTES: Final = 1024


class _Wire:
    """A connection to a primary, read by lines and by pieces."""

    def __init__(self, stream: trio.abc.Stream, timeout_s: float) -> None:
        self._stream = stream
        self.timeout_s = timeout_s
        self._held = b""
        self._sending = trio.Lock()
        #: What must leave ahead of anything else.
        self._unsent = b""
        #: The socket, where bytes may be read from it and written to it as they are.
        self.descriptor = stream.socket.fileno() if isinstance(stream, trio.SocketStream) else None

    async def send(self, data: bytes) -> None:
        """Say something; several tasks may."""
        async with self._sending:
            data, self._unsent = self._unsent + data, b""
            with trio.fail_after(self.timeout_s):
                await self._stream.send_all(data)

    def send_now(self, data: bytes) -> None:
        """Say something without waiting: it leaves now, or ahead of what is said next."""
        self._unsent += data
        if self.descriptor is None or self._sending.locked():
            return
        with contextlib.suppress(OSError):  # The next one to read or to wait will see it.
            self._unsent = self._unsent[os.write(self.descriptor, self._unsent) :]

    @property
    def holds_data(self) -> bool:
        """Whether something was read too far."""
        return bool(self._held)

    async def piece(self) -> bytes:
        """Whatever comes next. Raises LinkError at the end, TooSlowError after silence."""
        if self._held:
            held, self._held = self._held, b""
            return held
        with trio.fail_after(self.timeout_s):
            data = await self._stream.receive_some(_RECEIVE_BYTES)
        if not data:
            raise LinkError("Connection with master lost.")
        return bytes(data)

    def give_back(self, data: bytes) -> None:
        """Something was read too far."""
        self._held = data + self._held

    async def line(self) -> bytes:
        """The next line, without its end."""
        data = b""
        while b"\n" not in data:
            if len(data) > _LINE_MAX_BYTES:
                raise LinkError("Bad protocol from MASTER: endless line")
            data += await self.piece()
        line, _, rest = data.partition(b"\n")
        self.give_back(rest)
        return line.rstrip(b"\r")


class ReplicaLink:
    """Follows the primary of one server."""

    def __init__(
        self,
        plane: "DataPlane",
        log: RedisLog,
        persistence: "ServerPersistence",
        tls_contexts: Callable[[], TlsContexts | None],
    ) -> None:
        self._plane = plane
        self._machine = plane.machine
        self._replication = plane.machine.replication
        self._log = log
        self._tls_contexts = tls_contexts
        self._loader = CopyLoader(plane, persistence, log)
        self._order = trio.Event()
        self._attempt: trio.CancelScope | None = None
        self._replication.on_order = self._on_order

    def _on_order(self) -> None:
        self._order.set()
        if self._attempt is not None and not self._loader.has_all:
            self._attempt.cancel()

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            self._order = trio.Event()
            primary = self._replication.primary
            self._log.role = "M" if primary is None else "S"
            if primary is None:
                await self._order.wait()
                continue
            with trio.CancelScope() as self._attempt:
                await self._follow(primary)
            self._attempt = None
            if self._replication.primary is not None:
                self._replication.on_link(LinkState.CONNECT)
                if not self._order.is_set():
                    with trio.move_on_after(_RETRY_S):
                        await self._order.wait()

    async def _follow(self, primary: Address) -> None:
        self._log.notice(f"Connecting to MASTER {primary.host}:{primary.port}")
        self._replication.on_link(LinkState.CONNECTING)
        try:
            stream = await self._connect(primary)
        except (OSError, trio.TooSlowError, trio.BrokenResourceError) as failure:
            self._log.warning(f"Error condition on socket for SYNC: {failure}")
            self._replication.failover.on_refused(str(failure))
            return
        wire = _Wire(stream, self._machine.config.repl_timeout)
        try:
            await self._converse(wire)
        except (LinkError, ReplayError) as failure:
            self._log.warning(str(failure))
            if isinstance(failure, ReplayError):
                self._replication.may_resume = False
            self._replication.failover.on_refused(str(failure))
        except trio.TooSlowError:
            self._log.warning("MASTER timeout: no data nor PING received...")
            self._replication.failover.on_refused("timeout")
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
            self._log.warning("Connection with master lost.")
            self._replication.failover.on_refused("connection lost")
        finally:
            with contextlib.suppress(trio.BrokenResourceError), trio.CancelScope() as quick:
                quick.cancel()
                await stream.aclose()

    async def _connect(self, primary: Address) -> trio.abc.Stream:
        with trio.fail_after(self._machine.config.repl_timeout):
            return await dial(primary.host, primary.port, self._tls_contexts())

    async def _converse(self, wire: _Wire) -> None:
        replication = self._replication
        replication.on_link(LinkState.HANDSHAKE)
        result = await self._shake_hands(wire)
        if isinstance(result, FullCopy):
            name = result.identity.decode("latin-1")
            self._log.notice(f"Full resync from master: {name}:{result.offset}")
            # One that was forced into our place may have less than we have.
            replication.failover.on_accepted()
            replication.on_link(LinkState.SYNC)
            await self._copy(wire, result)
            if self._order.is_set():
                return
        else:
            self._log.notice("Successful partial resynchronization with master.")
            replication.on_continue(result.identity)
            replication.failover.on_accepted()
        replication.on_link(LinkState.CONNECTED)
        self._log.notice("MASTER <-> REPLICA sync: Finished with success")
        await self._stream(wire)

    async def _shake_hands(self, wire: _Wire) -> Continue | FullCopy:
        config, replication = self._machine.config, self._replication
        own_port = config.tls_port if config.tls_replication and config.tls_port else config.port
        handshake = Handshake(
            Introduction(
                config.masteruser,
                config.masterauth,
                config.replica_announce_port or own_port,
                config.replica_announce_ip,
            ),
            replication.resume_point(),
            is_failover=replication.is_failing_over,
        )
        await wire.send(handshake.begin())
        while True:
            answer = handshake.on_line(await wire.line())
            if isinstance(answer, Continue | FullCopy):
                for complaint in handshake.complaints:
                    self._log.notice(complaint)
                return answer
            if answer:
                await wire.send(answer)

    # --- a full copy -----------------------------------------------------------------------------

    async def _copy(self, wire: _Wire, copy: FullCopy) -> None:
        while (transfer := read_transfer(await wire.line())) is None:
            self._replication.transfer_ms = self._machine.clock.now_ms
        rest = b""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_repeat, lambda: self._show_life(wire))
                rest = await self._loader.load(transfer, wire.piece, copy)
                nursery.cancel_scope.cancel()
        except BaseExceptionGroup as group:
            raise _first(group) from None
        wire.give_back(rest)

    async def _show_life(self, wire: _Wire) -> None:
        try:
            await wire.send(b"\n")
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            # Nothing more is needed of a primary whose copy is here.
            if not self._loader.has_all:
                raise

    # --- the stream ------------------------------------------------------------------------------

    async def _stream(self, wire: _Wire) -> None:
        machine, replication = self._machine, self._replication
        primary = replication.primary
        assert primary is not None
        session = machine.connect(f"{primary.host}:{primary.port}", "")
        session.kind = ClientKind.MASTER
        session.authenticated = True
        session.may_block = False
        applier = StreamApplier(self._plane, session)
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_repeat, lambda: self._keep_up(wire, session))
                while wire.holds_data or wire.descriptor is None:
                    data = await wire.piece()
                    set_clock(machine.clock)
                    wants_ack = applier.apply(data)
                    self._plane.flush_awake()
                    if wants_ack:
                        await wire.send(self._acknowledgement())
                await DirectReader(
                    self._plane,
                    wire.descriptor,
                    applier,
                    lambda: wire.send_now(self._acknowledgement()),
                ).run()
        except BaseExceptionGroup as group:
            raise _first(group) from None
        finally:
            replication.unapplied_bytes = 0
            machine.disconnect(session)

    async def _keep_up(self, wire: _Wire, session: Session) -> None:
        if session.close_now:
            raise LinkError("Connection with master lost: a client ended it.")
        silence_ms = self._machine.clock.now_ms - self._replication.heard_ms
        if silence_ms > self._machine.config.repl_timeout * 1000:
            raise trio.TooSlowError
        await wire.send(self._acknowledgement())

    def _acknowledgement(self) -> bytes:
        words = [b"REPLCONF", b"ACK", b"%d" % self._replication.offset]
        state = self._machine.persistence
        if state.log_state is LogState.ON:
            # Old primaries do not look beyond the first offset.
            words += (b"FACK", b"%d" % self._synced_offset())
        return encode_command(words)

    def _synced_offset(self) -> int:
        """How far the stream is on our disk."""
        state = self._machine.persistence
        is_all = state.synced_position >= state.log_position()
        return self._replication.offset if is_all else state.synced_offset


async def _repeat(action: Callable[[], Awaitable[None]]) -> None:
    """Every second, and at once."""
    while True:
        await action()
        await trio.sleep(_ACK_S)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
