"""Takes the full copy that a primary sends, and puts it in the place of the data.

By way of a file (`repl-diskless-load disabled`), straight into the emptied data set
(`on-empty-db`), or into a data set of its own that then takes the old one's place (`swapdb`).
"""

import contextlib
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, NoReturn

import trio

from ...gossip.commands import Failover
from ..keyspace import Keyspace
from ..lazyfree import lazy_free_of
from ..persistence.rdb import CorruptSnapshotError, KeyspaceSink, ReadOptions, SnapshotReader
from ..persistence.status import ChildKind
from ..replication.replica import EOF_MARK_BYTES, FullCopy, LinkError, Transfer
from .log import RedisLog

if TYPE_CHECKING:
    from .dataplane import DataPlane
    from .persistence import ServerPersistence

_PIECE_BYTES: Final = 64 * 1024
#: A snapshot of at most so many bytes may hold nothing.
_PERHAPS_EMPTY_BYTES: Final = 64 * 1024


class CopyLoader:
    """Loads one copy at a time."""

    def __init__(self, plane: "DataPlane", persistence: "ServerPersistence", log: RedisLog) -> None:
        self._plane = plane
        self._machine = plane.machine
        self._persistence = persistence
        self._log = log
        #: A copy lies in a file, as a whole: whatever becomes of its primary, it can be loaded.
        self.has_all = False

    async def load(
        self, transfer: Transfer, receive: Callable[[], Awaitable[bytes]], copy: FullCopy
    ) -> bytes:
        """Take the copy; returns what was read beyond it. Raises LinkError and OSError."""
        machine, replication = self._machine, self._machine.replication
        replication.transfer_total_bytes = transfer.total_bytes or 0
        replication.transfer_read_bytes = 0
        size = "streamed" if transfer.total_bytes is None else f"{transfer.total_bytes} bytes"
        way = machine.config.repl_diskless_load
        is_empty = not any(each.key_count() for each in machine.keyspace.existing())
        is_direct = way == "swapdb" or (way == "on-empty-db" and is_empty)
        self._log.notice(
            f"MASTER <-> REPLICA sync: receiving {size} from master to "
            f"{'parser' if is_direct else 'disk'}"
        )
        pieces = _Pieces(transfer, self._counted(receive))
        if is_direct:
            async with aclosing(pieces.all()) as parts:
                await self._load_pieces(parts, transfer.total_bytes or 0, copy, way == "swapdb")
            async with aclosing(pieces.all()) as parts:
                async for _ in parts:
                    pass
            return pieces.rest
        wanted = machine.config.dbfilename
        path = os.path.join(os.path.dirname(wanted), f"temp-replica-{os.getpid()}.rdb")
        try:
            # A page cache takes pieces of this size about as fast as a thread could be asked to.
            with open(path, "wb") as file:  # noqa: ASYNC230
                async with aclosing(pieces.all()) as parts:
                    async for piece in parts:
                        file.write(piece)
                size_bytes = file.tell()
            self._refuse_nothing(path)
            self.has_all = True
            async with aclosing(_read(path)) as stored:
                await self._load_pieces(stored, size_bytes, copy, False)
            os.replace(path, wanted)
        finally:
            self.has_all = False
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        return pieces.rest

    def _counted(self, receive: Callable[[], Awaitable[bytes]]) -> Callable[[], Awaitable[bytes]]:
        replication = self._machine.replication

        async def receive_counted() -> bytes:
            piece = await receive()
            replication.transfer_read_bytes += len(piece)
            replication.transfer_ms = self._machine.clock.now_ms
            return piece

        return receive_counted

    def _refuse_nothing(self, path: str) -> None:
        """A primary that lost its data must not have its replicas lose it, too."""
        machine = self._machine
        if os.path.getsize(path) > _PERHAPS_EMPTY_BYTES or not self._is_guarding():
            return
        probe = Keyspace(machine.keyspace.database_count, False, machine.clock, machine.rng)
        with open(path, "rb") as file:
            sink, reader = self._reader(probe, lambda _: None)
            try:
                reader.feed(file.read())
                reader.finish()
            except CorruptSnapshotError as failure:
                raise LinkError(
                    f"Failed trying to load the MASTER synchronization DB: {failure}"
                ) from None
        if not sink.loaded_count:
            self._refuse()

    def _is_guarding(self) -> bool:
        """Whether there is data here that nothing must take the place of."""
        machine = self._machine
        return (
            machine.config.cluster_enabled
            and machine.config.cluster_refuse_empty_primary
            and machine.keyspace.database(0).key_count() > 0
        )

    def _refuse(self) -> NoReturn:
        cluster = self._machine.cluster
        if cluster is not None and not self._machine.config.cluster_replica_no_failover:
            cluster.command(Failover())
        raise LinkError(
            "The primary has come back without any data; this replica keeps its own, and asks "
            "to take over (unless cluster-replica-no-failover is set). To follow the primary "
            "into emptiness, set cluster-refuse-empty-primary to no."
        )

    def _reader(
        self, keyspace: Keyspace, load_function: Callable[[bytes], object]
    ) -> tuple[KeyspaceSink, SnapshotReader]:
        machine = self._machine
        sink = KeyspaceSink(
            keyspace,
            now_ms=machine.clock.now_ms,
            drop_expired=False,
            load_function=load_function,
        )
        options = ReadOptions(
            limits=machine.limits,
            check_checksum=machine.config.rdbchecksum,
            database_count=keyspace.database_count,
        )
        return sink, SnapshotReader(options, sink)

    async def _load_pieces(
        self, pieces: AsyncIterator[bytes], total_bytes: int, copy: FullCopy, swaps: bool
    ) -> None:
        machine = self._machine
        own = machine.keyspace
        target = own
        if swaps:
            target = Keyspace(own.database_count, own.clustered, machine.clock, machine.rng)
        else:
            self._log.notice("MASTER <-> REPLICA sync: Flushing old data")
            self._end_files()
            self._empty()
            machine.loading.begin(total_bytes, "primary")
        self._log.notice("MASTER <-> REPLICA sync: Loading DB in memory")
        functions = machine.functions.new_set() if swaps else machine.functions
        sink, reader = self._reader(target, functions.load_stored)
        try:
            async for piece in pieces:
                for start in range(0, len(piece), _PIECE_BYTES):
                    part = piece[start : start + _PIECE_BYTES]
                    reader.feed(part)
                    machine.loading.progress(len(part))
                    await trio.lowlevel.checkpoint()
                if reader.is_done:
                    break
            reader.finish()
        except CorruptSnapshotError as failure:
            if not swaps:
                self._empty()
            raise LinkError(
                f"Failed trying to load the MASTER synchronization DB: {failure}"
            ) from None
        except BaseException:
            if not swaps:
                # Half of a copy is worth nothing.
                self._empty()
            raise
        finally:
            if not swaps:
                machine.loading.end()
        if swaps:
            if not sink.loaded_count and self._is_guarding():
                self._refuse()
            self._end_files()
            self._swap(target)
            machine.functions.become(functions)
        database = sink.facts.get(b"repl-stream-db", b"0")
        machine.replication.stream_database = int(database) if database.isdigit() else 0
        machine.persistence.on_snapshot_read(sink.loaded_count, sink.expired_count, sink.facts)
        machine.replication.on_full_copy(copy.identity, copy.offset)
        # What the log on disk has is older than the copy.
        self._persistence.begin_log_anew()

    def _end_files(self) -> None:
        """What is written of the old data must not come to stand for the new."""
        state = self._machine.persistence
        if state.child is ChildKind.SNAPSHOT:
            self._log.notice("Replica is about to load another data set: the child is stopped.")
            state.stop_child()
        self._persistence.stop_log()

    def _empty(self) -> None:
        self._machine.functions.clear()
        self._empty_databases()

    def _empty_databases(self) -> None:
        machine = self._machine
        machine.replication.on_data_dropped()
        garbage = lazy_free_of(machine)
        for database in machine.keyspace.existing():
            slots, lifetimes = database.slots, database.volatile
            database.clear()
            garbage.take_dicts(slots)
            garbage.take_dicts(lifetimes)
        machine.keyspace.effects.record_flush(-1)
        machine.keyspace.effects.deliver()

    def _swap(self, fresh: Keyspace) -> None:
        self._empty_databases()
        own = self._machine.keyspace
        for source in fresh.existing():
            database = own.database(source.index)
            database.slots, database.volatile = source.slots, source.volatile
            database.volatile_count = source.volatile_count
        if any(each.meter is not None for each in own.existing()):
            own.keep_meters(False)
            own.keep_meters(True)


async def _read(path: str) -> AsyncGenerator[bytes, None]:
    with open(path, "rb") as file:  # noqa: ASYNC230
        while piece := file.read(_PIECE_BYTES):
            yield piece


class _Pieces:
    """A copy cut out of what comes: so many bytes, or everything ahead of a mark."""

    def __init__(self, transfer: Transfer, receive: Callable[[], Awaitable[bytes]]) -> None:
        self._left = transfer.total_bytes
        self._mark = transfer.mark
        self._receive = receive
        self._tail = b""
        self._is_over = False
        #: What came behind it.
        self.rest = b""

    async def all(self) -> AsyncGenerator[bytes, None]:
        """What is left of it."""
        while not self._is_over:
            piece = await self._receive()
            piece = self._cut_at_mark(piece) if self._left is None else self._cut(piece)
            if piece:
                yield piece

    def _cut(self, piece: bytes) -> bytes:
        assert self._left is not None
        taken = piece[: self._left]
        self._left -= len(taken)
        if not self._left:
            self._is_over = True
            self.rest = piece[len(taken) :]
        return taken

    def _cut_at_mark(self, piece: bytes) -> bytes:
        data = self._tail + piece
        place = data.find(self._mark)
        if place >= 0:
            self._is_over = True
            self.rest = data[place + EOF_MARK_BYTES :]
            return data[:place]
        keep = min(len(data), EOF_MARK_BYTES - 1)
        self._tail = data[len(data) - keep :]
        return data[: len(data) - keep]
