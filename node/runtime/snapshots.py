"""Snapshot files: written beside the old one, synced, renamed over it; in the foreground or not.

The same function writes in the foreground (SAVE), in the child of BGSAVE, and the base of the
append-only log.
"""

import os
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..keyspace import Keyspace
from ..observe.traffic import memory_in_use
from ..persistence.rdb import SnapshotFacts, write_snapshot
from .disk import Disk
from .gentle import GENTLE_PIECE_BYTES, gently

if TYPE_CHECKING:
    from ..machine import Machine

#: With `rdb-save-incremental-fsync` the disk gets its portion each time so much was written.
_SYNC_BYTES: Final = 4 * 1024 * 1024


def snapshot_facts(machine: "Machine", *, is_aof_base: bool = False) -> SnapshotFacts:
    """What a snapshot taken now says of this node."""
    history = machine.persistence.replication_facts()
    identity, offset, database = history if history is not None else (None, 0, 0)
    cluster = machine.cluster
    return SnapshotFacts(
        created_s=machine.clock.now_ms // 1000,
        used_memory_bytes=memory_in_use(machine),
        replication_id=identity,
        replication_offset=offset,
        replication_database=database,
        is_aof_base=is_aof_base,
        node_id=None if cluster is None else cluster.core.node_id.encode(),
    )


def snapshot_pieces(
    machine: "Machine", keyspace: Keyspace | None = None, *, is_aof_base: bool = False
) -> Iterable[bytes]:
    """The data (or other data) as it is now; it must not change while this is read."""
    config = machine.config
    delay_us = config.rdb_key_save_delay
    pieces = write_snapshot(
        machine.keyspace if keyspace is None else keyspace,
        snapshot_facts(machine, is_aof_base=is_aof_base),
        compress=config.rdbcompression,
        checksum=config.rdbchecksum,
        functions=machine.persistence.function_sources(),
        piece_bytes=1 if delay_us > 0 else GENTLE_PIECE_BYTES,
    )
    for piece in pieces:
        yield piece
        if delay_us > 0:
            time.sleep(delay_us / 1e6)


def write_file(disk: Disk, path: str, pieces: Iterable[bytes], *, syncs_in_portions: bool) -> None:
    """Write pieces to a new file and have them on disk. Raises OSError; nothing is left then."""
    descriptor = disk.create(path)
    try:
        unsynced = 0
        for piece in pieces:
            disk.write_all(descriptor, piece)
            unsynced += len(piece)
            if syncs_in_portions and unsynced >= _SYNC_BYTES:
                disk.sync(descriptor)
                unsynced = 0
        disk.sync(descriptor)
    except OSError:
        os.close(descriptor)
        disk.discard(path)
        raise
    disk.close(descriptor)


def temporary_snapshot_path(path: str, pid: int) -> str:
    """Where a process writes the snapshot at `path` before it is whole: beside it."""
    return os.path.join(os.path.dirname(path), f"temp-{pid}.rdb")


def save_snapshot(
    machine: "Machine", disk: Disk, path: str, *, in_background: bool = False
) -> None:
    """Write a snapshot and put it in the place of the old one. Raises OSError."""
    temporary = temporary_snapshot_path(path, os.getpid())
    pieces = snapshot_pieces(machine)
    write_file(
        disk,
        temporary,
        gently(pieces) if in_background else pieces,
        syncs_in_portions=machine.config.rdb_save_incremental_fsync,
    )
    try:
        disk.rename(temporary, path)
    except OSError:
        disk.discard(temporary)
        raise
    disk.sync_directory(os.path.dirname(path))
