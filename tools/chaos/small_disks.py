"""Small disks for nodes, which can be filled to the last byte.

Owns mounting them. Rules: they are tmpfs in a mount namespace of the calling thread, which its
children inherit, so that nobody else sees them and the kernel removes them with the last process;
that needs Linux and root. A real ENOSPC reaches any kind of server.
"""

import ctypes
import errno
import os
import sys
from pathlib import Path
from typing import Final

from ..local.errors import NotSupportedError

_NEW_MOUNTS: Final = 0x00020000
_PRIVATE: Final = (1 << 18) | (1 << 14)
_DETACH: Final = 2
_SIZE: Final = "24m"
_FILLER: Final = "filler"
_PIECE: Final = bytes(1 << 16)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise NotSupportedError(f"a full disk needs Linux and root: {what}: {os.strerror(code)}")


class SmallDisks:
    """One for each node, under `folder`; only the calling thread and its children see them."""

    def __init__(self, folder: Path, count: int) -> None:
        if sys.platform != "linux":
            raise NotSupportedError("a full disk needs Linux and root")
        self._system = ctypes.CDLL(None, use_errno=True)
        self._folders = [folder / f"node-{index}" for index in range(count)]
        _check(self._system.unshare(_NEW_MOUNTS), "unshare")
        _check(self._system.mount(b"none", b"/", None, _PRIVATE, None), "mount")
        for path in self._folders:
            path.mkdir(parents=True, exist_ok=True)
            target, options = os.fsencode(path), f"size={_SIZE}".encode()
            _check(self._system.mount(b"tmpfs", target, b"tmpfs", 0, options), "mount")

    def fill(self, node: int) -> int:
        """Leave no byte free; how many were taken."""
        taken = 0
        with open(self._folders[node] / _FILLER, "ab", buffering=0) as filler:
            while True:
                try:
                    taken += filler.write(_PIECE)
                except OSError as failure:
                    if failure.errno != errno.ENOSPC:
                        raise
                    return taken

    def free(self, node: int) -> None:
        """There is room again."""
        (self._folders[node] / _FILLER).unlink(missing_ok=True)

    def close(self) -> None:
        """Take them away."""
        for path in self._folders:
            self._system.umount2(os.fsencode(path), _DETACH)
