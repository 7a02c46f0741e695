"""Every change that a node makes to its files, behind one small class.

Whatever must survive a crash goes through a `Disk`, so that tests can put one in its place that
fails or kills the process at any operation (`FaultyDisk`), and so that the one right way to
replace a file stands in one place: write beside it, sync, rename, sync the directory.
"""

import contextlib
import errno
import os
import signal
from collections.abc import Callable
from typing import Final, NoReturn

_MODE: Final = 0o644


class Disk:
    """The real thing. Every method raises OSError, as the operating system has it."""

    def open(self, path: str, flags: int, mode: int = _MODE) -> int:
        """Open a file for writing; returns its descriptor."""
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write once; returns how many bytes the system took."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Return when what was written is on disk."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Let go of a descriptor."""
        os.close(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, in place of whatever had it."""
        os.rename(old, new)

    def unlink(self, path: str) -> None:
        """Remove a file."""
        os.unlink(path)

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut a file off."""
        os.ftruncate(descriptor, size)

    def make_directory(self, path: str) -> None:
        """Make a directory, unless there is one."""
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o755)

    def sync_directory(self, path: str) -> None:
        """Return when the names in a directory are on disk."""
        descriptor = os.open(path or ".", os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def give_up(self) -> NoReturn:
        """End the process at once: what must be on disk before anything else cannot be written."""
        os._exit(1)

    # --- made of the above ----------------------------------------------------------------------

    def create(self, path: str) -> int:
        """A new, empty file in place of any old one."""
        return self.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def write_all(self, descriptor: int, data: bytes | memoryview) -> None:
        """Write everything, however many writes it takes."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.write(descriptor, rest) :]

    def discard(self, path: str) -> None:
        """Remove what is left of a failure; that nothing is there is just as well."""
        with contextlib.suppress(OSError):
            self.unlink(path)

    def replace(
        self,
        path: str,
        data: bytes,
        *,
        must_sync: bool = True,
        claim: Callable[[int], None] | None = None,
    ) -> int:
        """Give a file new contents so that it is never seen half written, not even after a crash.

        `claim` may lock the new file before it takes the old one's place. Returns the open
        descriptor of the new file, which is in its place then; `sync_directory` has yet to make
        sure that it stays there.
        """
        temporary = f"{path}.tmp-{os.getpid()}"
        descriptor = self.create(temporary)
        try:
            self.write_all(descriptor, data)
            if must_sync:
                self.sync(descriptor)
            if claim is not None:
                claim(descriptor)
            self.rename(temporary, path)
        except OSError:
            os.close(descriptor)
            self.discard(temporary)
            raise
        return descriptor


#: What a `FaultyDisk` does at the chosen operation.
KILL: Final = "kill"
SHORT: Final = "short"


class FaultyDisk(Disk):
    """For tests: from its operation number `at` on (counted from 1) something goes wrong.

    `fault` is `KILL` (the process dies before the operation), `SHORT` (half of the data is written,
    then there is no space), or the name of an error such as `ENOSPC`. It happens `times` times;
    after that the disk is well again.
    """

    def __init__(self, at: int, fault: str, times: int = 1) -> None:
        self.at: Final = at
        self.fault: Final = fault
        self.times: Final = times
        self.count = 0

    def _is_due(self) -> bool:
        self.count += 1
        return self.at <= self.count < self.at + self.times

    def _step(self) -> None:
        if not self._is_due():
            return
        if self.fault == KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        code = errno.ENOSPC if self.fault == SHORT else getattr(errno, self.fault)
        raise OSError(code, os.strerror(code))

    def open(self, path: str, flags: int, mode: int = _MODE) -> int:
        """Fails, or opens."""
        self._step()
        return super().open(path, flags, mode)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Fails, writes half, dies in the middle, or writes."""
        if not self._is_due():
            return super().write(descriptor, data)
        if self.fault in (KILL, SHORT):
            written = super().write(descriptor, data[: len(data) // 2])
            if self.fault == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            return written
        code = getattr(errno, self.fault)
        raise OSError(code, os.strerror(code))

    def sync(self, descriptor: int) -> None:
        """Fails, or syncs."""
        self._step()
        super().sync(descriptor)

    def rename(self, old: str, new: str) -> None:
        """Fails, or renames."""
        self._step()
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        """Fails, or removes."""
        self._step()
        super().unlink(path)

    def truncate(self, descriptor: int, size: int) -> None:
        """Fails, or cuts off."""
        self._step()
        super().truncate(descriptor, size)

    def make_directory(self, path: str) -> None:
        """Fails, or makes it."""
        self._step()
        super().make_directory(path)

    def sync_directory(self, path: str) -> None:
        """Fails, or syncs."""
        self._step()
        super().sync_directory(path)
