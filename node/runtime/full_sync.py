"""Full copies for replicas: a snapshot by a forked child, sent as it is written or from the disk.

One snapshot serves all replicas that wait when it begins. It is sent in pieces through the
connections that the data plane owns; a replica that reads slowly holds up the others of its group
by no more than `_AHEAD_BYTES`, and is left behind after `repl-timeout`.
"""

import os
import socket
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import trio

from ..keyspace import Keyspace
from ..persistence.status import ChildKind
from ..replication.primary import Peer, PeerState
from .child import Child, ChildResult, PipeWriter
from .connection import Connection
from .disk import Disk
from .gentle import gently
from .log import RedisLog
from .one_child import OneChild
from .snapshots import save_snapshot, snapshot_pieces, temporary_snapshot_path

if TYPE_CHECKING:
    from .dataplane import DataPlane

#: A piece that is sent at a time.
_PIECE_BYTES: Final = 256 * 1024
#: So much may wait for the kernel before the next piece is read.
_AHEAD_BYTES: Final = 1024 * 1024
_PAUSE_S: Final = 0.005
_RETRY_S: Final = 0.05


class FullSync:
    """Sends snapshots, one at a time."""

    def __init__(self, plane: "DataPlane", log: RedisLog, disk: Disk, one_child: OneChild) -> None:
        self._plane = plane
        self._machine = plane.machine
        self._replication = plane.machine.replication
        self._log = log
        self._disk = disk
        self._one_child = one_child
        self._wanted = trio.Event()
        self._replication.on_snapshot_wanted = self._wake
        self._replication.on_admitted = self._tune

    def _wake(self) -> None:
        self._wanted.set()

    def _tune(self, peer: Peer) -> None:
        """`repl-disable-tcp-nodelay`: fewer packets, later."""
        connection: Connection | None = peer.session.transport
        if (
            self._machine.config.repl_disable_tcp_nodelay
            and connection is not None
            and connection.socket.family != socket.AF_UNIX
        ):
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    async def run(self) -> None:
        """Serve replicas until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted = trio.Event()
            while self._waiting():
                if self._is_due():
                    await self._send_one()
                else:
                    await trio.sleep(_RETRY_S)

    def _waiting(self) -> list[Peer]:
        return [
            peer for peer in self._replication.peers if peer.state is PeerState.WAITS_FOR_SNAPSHOT
        ]

    def _next_group(self) -> list[Peer]:
        """Who gets the next snapshot: those who want the same as the first in the queue."""
        waiting = self._waiting()
        return [peer for peer in waiting if peer.wanted == waiting[0].wanted]

    def _is_diskless(self, peers: list[Peer]) -> bool:
        wanted = self._machine.config.repl_diskless_sync or peers[0].is_filtered
        return wanted and all(peer.understands_eof for peer in peers)

    def _is_due(self) -> bool:
        if self._machine.persistence.child is not None:
            return False
        config, waiting = self._machine.config, self._next_group()
        if not self._is_diskless(waiting):
            return True
        most = config.repl_diskless_sync_max_replicas
        if most and len(waiting) >= most:
            return True
        since_ms = min(peer.waits_since_ms for peer in waiting)
        waited_ms = self._machine.unix_time_us() // 1000 - since_ms
        return waited_ms >= config.repl_diskless_sync_delay * 1000

    async def _send_one(self) -> None:
        peers = self._next_group()
        is_diskless = self._is_diskless(peers)
        mark = b"%040x" % self._machine.rng.getrandbits(160)
        self._replication.begin_snapshot(peers)
        self._plane.flush_awake()
        child = self._start_child(peers, is_diskless)
        if child is None:
            self._drop(peers)
            return
        where = "replicas sockets" if is_diskless else "disk"
        self._log.notice(f"Starting BGSAVE for SYNC with target: {where}")
        is_complete = False
        try:
            if is_diskless:
                is_complete = await self._send_pipe(child, peers, mark)
            else:
                is_complete = (await child.wait()).is_success
        finally:
            if child.result is None:
                child.stop()
                child.poll(blocking=True)
            self._one_child.settle(child)
            child.close()
        if is_complete and not is_diskless:
            await self._send_file(peers)
        elif not is_complete:
            self._log.warning("Background transfer terminated with an error")
            self._drop(peers)

    def _start_child(self, peers: list[Peer], is_diskless: bool) -> Child | None:
        job: Callable[[PipeWriter], int | None] = self._write_to_disk
        on_end = self._on_written
        if is_diskless:
            job, on_end = partial(self._write_to_pipe, peers[0]), self._on_piped
        return self._one_child.start(
            ChildKind.SNAPSHOT, job, on_end, feeds_replicas=is_diskless, lends_pipe=True
        )

    def _on_piped(self, child: Child, result: ChildResult) -> None:
        self._machine.persistence.end_child()

    def _on_written(self, child: Child, result: ChildResult) -> None:
        state = self._machine.persistence
        if result.is_success:
            state.on_background_saved(0)
            return
        self._disk.discard(temporary_snapshot_path(self._machine.config.dbfilename, child.pid))
        state.on_background_save_failed(was_ordered=child.was_ordered_to_stop)

    # --- in the child ---------------------------------------------------------------------------

    def _write_to_pipe(self, reader: Peer, pipe: PipeWriter) -> int:
        machine = self._machine
        if not reader.wants_functions:
            machine.persistence.function_sources = list
        keyspace = machine.keyspace
        if reader.is_filtered:
            keyspace = Keyspace(1, False, machine.clock, machine.rng)
        for piece in gently(snapshot_pieces(machine, keyspace)):
            pipe.write(piece)
        pipe.flush()
        return 0

    def _write_to_disk(self, pipe: PipeWriter) -> int:
        try:
            save_snapshot(
                self._machine, self._disk, self._machine.config.dbfilename, in_background=True
            )
        except OSError as failure:
            self._log.warning(f"Write error saving DB on disk: {failure.strerror}")
            return 1
        return 0

    # --- sending --------------------------------------------------------------------------------

    async def _send_pipe(self, child: Child, peers: list[Peer], mark: bytes) -> bool:
        for peer in peers:
            peer.state = PeerState.TRANSFER
        await self._send(peers, b"$EOF:%b\r\n" % mark)
        while True:
            await trio.lowlevel.wait_readable(child.pipe)
            piece = os.read(child.pipe, _PIECE_BYTES)
            if not piece:
                break
            await self._send(peers, piece)
            if not self._alive(peers):
                return False
        if not (await child.wait()).is_success:
            return False
        await self._send(peers, mark)
        self._finish(peers)
        return True

    async def _send_file(self, peers: list[Peer]) -> None:
        path = self._machine.config.dbfilename
        try:
            # Written a moment ago, so that it is in memory.
            with open(path, "rb") as file:  # noqa: ASYNC230
                size = os.fstat(file.fileno()).st_size
                for peer in peers:
                    peer.state = PeerState.TRANSFER
                await self._send(peers, b"$%d\r\n" % size)
                while piece := file.read(_PIECE_BYTES):
                    await self._send(peers, piece)
        except OSError as failure:
            self._log.warning(f"SYNC failed. Can't open the snapshot: {failure.strerror}")
            self._drop(peers)
            return
        self._finish(peers)

    def _finish(self, peers: list[Peer]) -> None:
        for peer in self._alive(peers):
            # The replica says when it has loaded: until then it may not tell snapshot and stream
            # apart (a marked end), or not be ready to read.
            peer.state = PeerState.MUST_CONFIRM
            peer.acked_ms = self._machine.clock.now_ms
            if peer.is_ancient or peer.only_snapshot:
                self._replication.put_online(peer)
        self._plane.flush_awake()

    def _alive(self, peers: list[Peer]) -> list[Peer]:
        return [peer for peer in peers if peer.session.transport is not None]

    async def _send(self, peers: list[Peer], piece: bytes) -> None:
        for peer in self._alive(peers):
            peer.session.push(piece)
        self._plane.flush_awake()
        with trio.move_on_after(self._machine.config.repl_timeout) as scope:
            await trio.lowlevel.checkpoint()
            # The data plane does the sending, and has nobody to tell of room.
            while any(  # noqa: ASYNC110
                _waiting_bytes(peer) > _AHEAD_BYTES for peer in self._alive(peers)
            ):
                await trio.sleep(_PAUSE_S)
        if scope.cancelled_caught:
            slow = [peer for peer in self._alive(peers) if _waiting_bytes(peer) > _AHEAD_BYTES]
            self._log.warning("Disconnecting timedout replica (full sync)")
            self._drop(slow)

    def _drop(self, peers: list[Peer]) -> None:
        for peer in self._alive(peers):
            peer.session.close(after_reply=False)
        self._plane.flush_awake()


def _waiting_bytes(peer: Peer) -> int:
    connection: Connection | None = peer.session.transport
    return 0 if connection is None else connection.rest_bytes
