"""Disks without room, for nodes of either kind; no root is needed, and nothing is really filled.

Owns both ways. A node in a thread writes by a `FillableDisk`, which says ENOSPC. To a process, ours
or a foreign server's, the kernel refuses to write more to any file (RLIMIT_FSIZE, hence EFBIG
"File too large" in its words). Rules: what is written stays, can be read, cut off, renamed and
removed; children that write at that moment find no room either; there is room again at once.
"""

import contextlib
import errno
import mmap
import os
import sys
from pathlib import Path
from typing import NoReturn

from ...node.runtime.disk import Disk
from .errors import NotSupportedError


class NodeGivesUp(BaseException):
    """Ends a node that shares its process; nothing on the way may take it for a mere failure."""


class FillableDisk(Disk):
    """A disk that can be full."""

    def __init__(self, *, is_full: bool = False) -> None:
        # Shared, so that forked children of the node see it change.
        self._state = mmap.mmap(-1, 1)
        self.set_full(is_full=is_full)

    def set_full(self, *, is_full: bool) -> None:
        """Take all room, or give it back."""
        self._state[0] = is_full

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Fails while the disk is full."""
        if self._state[0] and data:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(descriptor, data)

    def give_up(self) -> NoReturn:
        """End the node, and nothing else of the process."""
        raise NodeGivesUp


def require_limits() -> None:
    """Raise NotSupportedError where the room of another process cannot be limited."""
    if sys.platform != "linux":
        raise NotSupportedError("only on Linux can the disk of a process be full: use threads")


def limit_process(pid: int, *, is_full: bool) -> None:
    """Take all room from a process and its children, or give it back.

    The soft limit alone, which any user may raise again.
    """
    import resource

    if sys.platform != "linux":
        return
    own, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    for each in (pid, *_children(pid)):
        with contextlib.suppress(ProcessLookupError):
            _, hard = resource.prlimit(each, resource.RLIMIT_FSIZE)
            resource.prlimit(each, resource.RLIMIT_FSIZE, (0 if is_full else own, hard))


def _children(pid: int) -> list[int]:
    """Those that the main thread has forked."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        # It has ended, or the kernel does not tell.
        return []
