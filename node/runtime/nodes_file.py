"""nodes.conf on disk: the cluster's memory of one node.

Rules: a new version is written beside the old one, synced, and renamed over it, and then the
directory is synced, so that a crash at any point leaves a whole file; and the file is locked, so
that no two processes can believe to be the same node. The lock moves along, as each version is a
new file.
"""

import fcntl
import os
from typing import Final

from ...gossip.nodes_conf import (
    NodesConfError,
    StoredCluster,
    decode_nodes_conf,
    encode_nodes_conf,
)

_MODE: Final = 0o644


class NodesFileError(Exception):
    """The node cannot start with this file; the text is for the log."""


class NodesFile:
    """The nodes.conf of one process."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(path)
        self._locked: int | None = None

    def load(self) -> StoredCluster | None:
        """Lock the file and read it; None if there is none yet. Raises NodesFileError."""
        try:
            descriptor = os.open(self.path, os.O_RDWR)
        except FileNotFoundError:
            return None
        except OSError as failure:
            raise NodesFileError(
                f"Cannot open the cluster config file {self.path}: {failure.strerror}"
            ) from None
        self._lock(descriptor)
        with open(self.path, "rb") as file:
            data = file.read()
        try:
            return decode_nodes_conf(data)
        except NodesConfError as damage:
            # Starting as a new node would throw the cluster's memory away without a word.
            raise NodesFileError(
                f"Unrecoverable error: corrupted cluster config file {self.path}: {damage}. "
                "Restore it from a copy, or remove it to start as a new node."
            ) from None

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise NodesFileError(
                f"Sorry, the cluster configuration file {self.path} is already used by a different "
                "Redis Cluster node. Please make sure that different nodes use different cluster "
                "configuration files."
            ) from None
        if self._locked is not None:
            os.close(self._locked)
        self._locked = descriptor

    def save(self, stored: StoredCluster, must_sync: bool) -> None:
        """Replace the file; when this returns, the new version is what a restart will find."""
        data = encode_nodes_conf(stored)
        temporary = f"{self.path}.tmp-{os.getpid()}"
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC, _MODE)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
            if must_sync:
                os.fsync(descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.rename(temporary, self.path)
        except OSError:
            os.close(descriptor)
            if os.path.exists(temporary):
                os.unlink(temporary)
            raise
        if self._locked is not None:
            os.close(self._locked)
        self._locked = descriptor
        if must_sync:
            self._sync_directory()

    def _sync_directory(self) -> None:
        descriptor = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of the lock."""
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None
