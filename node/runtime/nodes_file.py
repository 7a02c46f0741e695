"""nodes.conf on disk: the cluster's memory of one node.

Rules: a new version is written beside the old one, synced, and renamed over it, and then the
directory is synced, so that a crash at any point leaves a whole file; and the file is locked, so
that no two processes can believe to be the same node. The lock moves along, as each version is a
new file.
"""

import fcntl
import os
from collections import deque
from typing import Final, NoReturn

from ...gossip.nodes_conf import (
    NodesConfError,
    StoredCluster,
    decode_nodes_conf,
    encode_nodes_conf,
)
from .disk import Disk

#: The last descriptor of an old version is closed so many versions later.
_RETIRED_MAX: Final = 16


class NodesFileError(Exception):
    """The node cannot start with this file; the text is for the log."""


class NodesFile:
    """The nodes.conf of one process."""

    def __init__(self, path: str, disk: Disk | None = None) -> None:
        self.path = os.path.abspath(path)
        self._disk = disk or Disk()
        self._locked: int | None = None
        #: PERFORMANCE: closing it removes the old version for good, which waits for the system to
        #: have written it out: 2-5 ms right after it was replaced, nothing a moment later.
        self._retired: deque[int] = deque()

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
            _lock(descriptor)
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
        descriptor = self._disk.replace(
            self.path, encode_nodes_conf(stored), must_sync=must_sync, claim=_lock
        )
        if self._locked is not None:
            self._retired.append(self._locked)
            if len(self._retired) > _RETIRED_MAX:
                os.close(self._retired.popleft())
        self._locked = descriptor
        if must_sync:
            self._disk.sync_directory(os.path.dirname(self.path))

    def give_up(self) -> NoReturn:
        """End the node, which must not go on with what it could not save."""
        self._disk.give_up()

    def close(self) -> None:
        """Let go of the lock."""
        while self._retired:
            os.close(self._retired.pop())
        if self._locked is not None:
            os.close(self._locked)
            self._locked = None


def _lock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
