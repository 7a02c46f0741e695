"""Reading the data from files, a little at a time.

Every function is a generator that pauses after each piece, so that the caller decides what happens
in between: nothing (DEBUG RELOAD), or a turn for the clients and the bus (at start). What cannot be
read raises `LoadError`, whose texts are for the log; half of the data may be in memory then.
"""

import os
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Final

from ..persistence.log_reader import LogFormatError, LogReader
from ..persistence.manifest import Manifest
from ..persistence.rdb import CorruptSnapshotError, KeyspaceSink, ReadOptions, SnapshotReader
from ..replay import Replay, ReplayError
from .disk import Disk

if TYPE_CHECKING:
    from ..machine import Machine

#: A piece of a file: a few milliseconds of work.
_PIECE_BYTES: Final = 64 * 1024
_SNAPSHOT_MAGIC: Final = b"REDIS"


class LoadError(Exception):
    """The data cannot be read."""


def load_snapshot(
    machine: "Machine",
    path: str,
    *,
    drop_expired: bool,
    replaces: bool = False,
) -> Iterator[None]:
    """Read a snapshot file. Raises FileNotFoundError or LoadError."""
    with _open(path) as file:
        for _ in _read_snapshot(machine, file, path, drop_expired, replaces):
            yield


def _open(path: str) -> IO[bytes]:
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise
    except OSError as failure:
        raise LoadError(f"Fatal error: can't open {path} for reading: {failure.strerror}") from None


def _read_snapshot(
    machine: "Machine", file: IO[bytes], path: str, drop_expired: bool, replaces: bool
) -> Iterator[bytes]:
    """Read until the snapshot is over; the last thing yielded is what was read beyond it."""
    total_bytes = os.fstat(file.fileno()).st_size
    sink = KeyspaceSink(
        machine.keyspace,
        now_ms=machine.clock.now_ms,
        drop_expired=drop_expired,
        load_function=machine.persistence.load_function,
        replaces=replaces,
    )
    options = ReadOptions(
        limits=machine.limits,
        check_checksum=machine.config.rdbchecksum,
        database_count=machine.keyspace.database_count,
        total_bytes=total_bytes,
    )
    reader = SnapshotReader(options, sink)
    try:
        while not reader.is_done:
            piece = file.read(_PIECE_BYTES)
            if not piece:
                reader.finish()
                break
            reader.feed(piece)
            machine.loading.progress(len(piece))
            yield b""
    except CorruptSnapshotError as failure:
        raise LoadError(
            f"Error loading the snapshot {path}: {failure.reason} (at offset {failure.offset} of "
            f"{total_bytes} bytes). Terminating server after rdb file reading failure."
        ) from None
    except OSError as failure:
        raise LoadError(f"Error reading {path}: {failure.strerror}") from None
    machine.persistence.on_snapshot_read(sink.loaded_count, sink.expired_count, sink.facts)
    yield reader.remainder


def load_log(machine: "Machine", manifest: Manifest, directory: str, disk: Disk) -> Iterator[None]:
    """Read all files of a log in order. Raises LoadError."""
    files = manifest.files()
    for number, each in enumerate(files):
        path = os.path.join(directory, each.name)
        is_last = number == len(files) - 1
        started_ms = machine.unix_time_us() // 1000
        try:
            with _open(path) as file:
                yield from _load_file(machine, file, path, disk, may_be_cut=is_last)
        except FileNotFoundError:
            raise LoadError(
                f"The AOF file {each.name} doesn't exist: the manifest names it."
            ) from None
        seconds = (machine.unix_time_us() // 1000 - started_ms) / 1000
        kind = "base" if each.kind == "b" else "incr"
        machine.log.notice(f"DB loaded from {kind} file {each.name}: {seconds:.3f} seconds")


def _load_file(
    machine: "Machine", file: IO[bytes], path: str, disk: Disk, *, may_be_cut: bool
) -> Iterator[None]:
    head = file.read(len(_SNAPSHOT_MAGIC))
    file.seek(0)
    rest = b""
    offset = 0
    if head == _SNAPSHOT_MAGIC:
        machine.log.notice("Reading RDB base file on AOF loading...")
        for beyond in _read_snapshot(machine, file, path, drop_expired=False, replaces=False):
            rest = beyond
            yield
        offset = file.tell() - len(rest)
    yield from _Tail(machine, file, path, disk, may_be_cut).read(rest, offset)


class _Tail:
    """The commands of one file."""

    def __init__(
        self, machine: "Machine", file: IO[bytes], path: str, disk: Disk, may_be_cut: bool
    ) -> None:
        self._machine = machine
        self._file = file
        self._path = path
        self._disk = disk
        self._may_be_cut = may_be_cut
        self._replay = Replay(machine)
        #: Where the transaction begins that is not complete yet.
        self._transaction_start = 0

    def read(self, piece: bytes, offset: int) -> Iterator[None]:
        """Run all commands; `piece` was read already, and begins at `offset`."""
        reader = LogReader(offset)
        file = self._file
        try:
            while piece or (piece := file.read(_PIECE_BYTES)):
                self._machine.loading.progress(len(piece))
                self._run(reader, reader.feed(piece))
                piece = b""
                yield
            while commands := reader.finish():
                self._run(reader, commands)
                yield
        except LogFormatError as failure:
            raise LoadError(
                f"Bad file format reading the append only file {self._path} at offset "
                f"{failure.offset}: make a backup of your AOF file, then use ./redis-check-aof "
                "--fix <filename.manifest>"
            ) from None
        except OSError as failure:
            raise LoadError(
                f"Unrecoverable error reading the append only file {self._path}: {failure.strerror}"
            ) from None
        if self._replay.in_transaction:
            self._machine.log.warning(
                f"Revert incomplete MULTI/EXEC transaction from AOF file {self._path}"
            )
            self._cut(self._transaction_start)
        elif reader.rest_bytes:
            self._cut(reader.offset)

    def _run(self, reader: LogReader, commands: list[list[bytes]]) -> None:
        replay = self._replay
        apply = replay.apply
        last_begin = -1
        index = 0
        try:
            for index, args in enumerate(commands):
                if len(args) == 1 and args[0].upper() == b"MULTI":
                    last_begin = index
                apply(args)
        except ReplayError as failure:
            raise LoadError(
                f"{failure} reading the append only file {self._path} at offset "
                f"{reader.start_of(index)}"
            ) from None
        if replay.in_transaction and last_begin >= 0:
            self._transaction_start = reader.start_of(last_begin)

    def _cut(self, offset: int) -> None:
        """The end of the file is missing: go on without it, if that is allowed."""
        log, path = self._machine.log, self._path
        self._replay.forget_transaction()
        if not self._may_be_cut or not self._machine.config.aof_load_truncated:
            raise LoadError(
                f"Unexpected end of file reading the append only file {path}. You can: 1) Make a "
                "backup of your AOF file, then use ./redis-check-aof --fix <filename.manifest>. "
                "2) Alternatively you can set the 'aof-load-truncated' configuration option to "
                "yes and restart the server."
            )
        log.warning(f"!!! Warning: short read while loading the AOF file {path}!!!")
        log.warning(f"Truncating the AOF {path} at offset {offset}")
        try:
            descriptor = self._disk.open(path, os.O_WRONLY)
            try:
                self._disk.truncate(descriptor, offset)
                self._disk.sync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as failure:
            raise LoadError(f"Error truncating the AOF file {path}: {failure.strerror}") from None
        log.warning(f"AOF {path} loaded anyway because aof-load-truncated is enabled")
