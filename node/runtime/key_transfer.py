"""The sockets of MIGRATE.

Connections are kept for ten seconds, in case more keys go the same way; each carries one transfer
at a time. A kept one may be dead by now, so what fails before the target has answered to a key is
tried once more on a new connection, unless time was up.
"""

import socket
from collections.abc import Callable
from contextlib import closing
from time import monotonic
from typing import Final

import trio

from ..machine import Machine
from ..migration.transfers import CONNECTING, READING, WRITING, Conversation, KeyTransfer
from .clock import set_clock
from .dataplane import DataPlane
from .tls import TlsContexts, dial

_KEPT_S: Final = 10.0
_KEPT_MAX: Final = 64
_CHUNK_BYTES: Final = 64 * 1024
#: No answer to AUTH, SELECT or RESTORE is this long.
_LINE_MAX_BYTES: Final = 64 * 1024

Address = tuple[str, int]


class _TransferError(Exception):
    """The transfer cannot go on over this connection."""

    def __init__(self, failure: str, *, may_retry: bool) -> None:
        super().__init__(failure)
        self.failure = failure
        self.may_retry = may_retry


class _Lines:
    """Cuts what a target answers into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are complete now."""
        *lines, self._rest = (self._rest + data).split(b"\r\n")
        if not data or len(self._rest) > _LINE_MAX_BYTES:
            raise _TransferError(READING, may_retry=True)
        return lines


class _Connection:
    """A connection to a target, and which database it is in there."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.selected: int | None = None
        self.used_at_s = monotonic()


class KeyCarrier:
    """Carries the transfers of one machine."""

    def __init__(
        self, machine: Machine, plane: DataPlane, contexts: Callable[[], TlsContexts | None]
    ) -> None:
        self._machine = machine
        self._plane = plane
        self._contexts = contexts
        self._kept: dict[Address, list[_Connection]] = {}
        self._orders, self._wanted = trio.open_memory_channel[KeyTransfer](float("inf"))
        transfers = machine.transfers
        transfers.on_wanted = self._begin
        transfers.carry_now = self._carry_now
        transfers.count_connections = self._count_kept

    def _count_kept(self) -> int:
        return sum(map(len, self._kept.values()))

    async def run(self) -> None:
        """Serve until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._drop_unused)
            async for transfer in self._wanted:
                nursery.start_soon(self._carry, transfer)

    async def _drop_unused(self) -> None:
        while True:
            await trio.sleep(1)
            oldest_s = monotonic() - _KEPT_S
            for address, connections in list(self._kept.items()):
                kept = [each for each in connections if each.used_at_s >= oldest_s]
                for each in connections:
                    if each.used_at_s < oldest_s:
                        await trio.aclose_forcefully(each.stream)
                if kept:
                    self._kept[address] = kept
                else:
                    del self._kept[address]

    # --- one transfer ----------------------------------------------------------------------------

    def _begin(self, transfer: KeyTransfer) -> None:
        self._plane.hurried += 1
        self._orders.send_nowait(transfer)

    async def _carry(self, transfer: KeyTransfer) -> None:
        try:
            try:
                await self._attempt(transfer)
            except _TransferError as first:
                if not first.may_retry:
                    raise
                await self._attempt(transfer)
        except _TransferError as failure:
            transfer.failure = transfer.failure or failure.failure
        except Exception as failure:
            # A bug must cost one MIGRATE, and never leave its keys locked.
            self._machine.log.exception("MIGRATE failed", failure)
            transfer.failure = transfer.failure or WRITING
        self._finish(transfer)

    def _finish(self, transfer: KeyTransfer) -> None:
        self._plane.hurried -= 1
        set_clock(self._machine.clock)
        self._machine.transfers.finish(transfer)
        self._plane.flush_awake()

    async def _attempt(self, transfer: KeyTransfer) -> None:
        connection = self._maybe_kept(transfer) or await self._connect(transfer)
        talk = self._conversation(transfer, connection.selected)
        try:
            await self._say(transfer, talk, connection.stream)
            await self._listen(transfer, talk, connection.stream)
        except _TransferError:
            await trio.aclose_forcefully(connection.stream)
            raise
        except BaseException:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(connection.stream)
            raise
        # After an error nobody knows which database was selected.
        connection.selected = transfer.database if transfer.failure is None else None
        connection.used_at_s = monotonic()
        if self._count_kept() >= _KEPT_MAX:
            await trio.aclose_forcefully(connection.stream)
            return
        self._kept.setdefault((transfer.host, transfer.port), []).append(connection)

    def _conversation(self, transfer: KeyTransfer, selected: int | None) -> Conversation:
        return Conversation(transfer, selected, asks=self._machine.config.cluster_enabled)

    def _maybe_kept(self, transfer: KeyTransfer) -> _Connection | None:
        address = (transfer.host, transfer.port)
        connections = self._kept.get(address)
        if not connections:
            return None
        connection = connections.pop()
        if not connections:
            del self._kept[address]
        return connection

    async def _connect(self, transfer: KeyTransfer) -> _Connection:
        timeout_s = transfer.timeout_ms / 1000
        try:
            with trio.fail_after(timeout_s):
                return _Connection(await dial(transfer.host, transfer.port, self._contexts()))
        except (trio.TooSlowError, socket.gaierror, UnicodeError, ValueError):
            raise _TransferError(CONNECTING, may_retry=False) from None
        except (OSError, trio.BrokenResourceError):
            # Redis does not see a refusal before it writes.
            raise _TransferError(WRITING, may_retry=True) from None

    async def _say(
        self, transfer: KeyTransfer, talk: Conversation, stream: trio.abc.Stream
    ) -> None:
        timeout_s = transfer.timeout_ms / 1000
        for piece in talk.pieces(compress=self._machine.config.rdbcompression):
            try:
                with trio.fail_after(timeout_s):
                    await stream.send_all(piece)
            except trio.TooSlowError:
                raise _TransferError(WRITING, may_retry=False) from None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise _TransferError(WRITING, may_retry=True) from None

    async def _listen(
        self, transfer: KeyTransfer, talk: Conversation, stream: trio.abc.Stream
    ) -> None:
        timeout_s = transfer.timeout_ms / 1000
        lines = _Lines()
        while talk.missing:
            try:
                with trio.fail_after(timeout_s):
                    data = bytes(await stream.receive_some(_CHUNK_BYTES))
            except trio.TooSlowError:
                raise _TransferError(READING, may_retry=False) from None
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise _TransferError(READING, may_retry=talk.is_untouched) from None
            try:
                for line in lines.feed(data):
                    talk.on_line(line)
            except _TransferError as failure:
                raise _TransferError(failure.failure, may_retry=talk.is_untouched) from None

    # --- where nothing can wait ------------------------------------------------------------------

    def _carry_now(self, transfer: KeyTransfer) -> None:
        """In a transaction or a script the node stands still meanwhile, as Redis always does."""
        timeout_s = transfer.timeout_ms / 1000
        address = (transfer.host, transfer.port)
        try:
            with closing(socket.create_connection(address, timeout_s)) as raw:
                contexts = self._contexts()
                target = contexts.client.wrap_socket(raw) if contexts else raw
                target.settimeout(timeout_s)
                self._talk_now(transfer, target)
        except (TimeoutError, socket.gaierror, UnicodeError):
            transfer.failure = transfer.failure or CONNECTING
        except OSError:
            transfer.failure = transfer.failure or WRITING
        except _TransferError as failure:
            transfer.failure = transfer.failure or failure.failure

    def _talk_now(self, transfer: KeyTransfer, target: socket.socket) -> None:
        talk = self._conversation(transfer, None)
        try:
            for piece in talk.pieces(compress=self._machine.config.rdbcompression):
                target.sendall(piece)
        except OSError:
            raise _TransferError(WRITING, may_retry=False) from None
        lines = _Lines()
        try:
            while talk.missing:
                for line in lines.feed(target.recv(_CHUNK_BYTES)):
                    talk.on_line(line)
        except OSError:
            raise _TransferError(READING, may_retry=False) from None
