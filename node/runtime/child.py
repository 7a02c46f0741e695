"""Work in a forked child, which sees all data as it was at the moment of the fork.

The child must never touch what it shares with its parent in more than memory: sockets and files
are closed, signals are what they were before the server took them, trio is never entered again,
and the end is `os._exit`. What it has to tell goes through a pipe and its exit code.
"""

import contextlib
import gc
import os
import signal
import traceback
from collections.abc import Callable
from typing import IO, Final, Protocol

import trio
from attrs import frozen

from .gentle import let_parent_go_first
from .log import RedisLog

_STATUS_PAUSE_S: Final = 0.01
_DESCRIPTORS_MAX: Final = 4096
#: How a child says that it was told to stop: no failure, and not worth a warning.
EXIT_ORDERED: Final = 255


class PipeWriter(Protocol):
    """The child's end of the pipe."""

    def write(self, data: bytes, /) -> int | None:
        """Send to the parent."""

    def flush(self) -> None:
        """Have it leave now."""


@frozen
class ChildResult:
    """How a child ended: by itself with a code, or by a signal (0: none)."""

    exit_code: int
    signal: int

    @property
    def is_success(self) -> bool:
        """Whether the work was done."""
        return not self.exit_code and not self.signal


class Child:
    """A running child, seen by its parent."""

    def __init__(self, pid: int, pipe: int) -> None:
        self.pid: Final = pid
        #: The readable end; non-blocking.
        self.pipe: Final = pipe
        self.was_ordered_to_stop = False
        self.result: ChildResult | None = None

    def stop(self) -> None:
        """Have it end now; its work is not wanted any more."""
        self.was_ordered_to_stop = True
        if self.result is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def poll(self, *, blocking: bool = False) -> ChildResult | None:
        """How it ended, if it has."""
        if self.result is None:
            try:
                pid, status = os.waitpid(self.pid, 0 if blocking else os.WNOHANG)
            except ChildProcessError:
                pid, status = self.pid, 1 << 8
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.result = ChildResult(max(0, code), max(0, -code))
        return self.result

    async def wait(self) -> ChildResult:
        """Return when it has ended."""
        # Asked now and then: there is no event for the end of a process everywhere.
        while (result := self.poll()) is None:  # noqa: ASYNC110
            await trio.sleep(_STATUS_PAUSE_S)
        return result

    def read_rest(self) -> bytes:
        """What it wrote into the pipe and nobody has read yet, without waiting."""
        parts: list[bytes] = []
        with contextlib.suppress(BlockingIOError):
            while part := os.read(self.pipe, 1 << 16):
                parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the pipe."""
        os.close(self.pipe)


def start_child(job: Callable[[PipeWriter], int | None], log: RedisLog) -> Child:
    """Fork, and run `job` in the child; what it returns is the exit code. Raises OSError."""
    readable, writable = os.pipe()
    # What exists now is never looked at by a collector again: neither here, where a look would
    # take long, nor in the child, where it would copy every page.
    gc.freeze()
    try:
        pid = os.fork()
    except OSError:
        os.close(readable)
        os.close(writable)
        raise
    if pid:
        os.close(writable)
        os.set_blocking(readable, False)
        return Child(pid, readable)
    code = 1
    try:
        let_parent_go_first()
        _leave_parent(writable)
        log.role = "C"
        with os.fdopen(writable, "wb") as pipe:
            code = job(pipe) or 0
    except BaseException as failure:
        log.write_raw("".join(traceback.format_exception(failure)))
    finally:
        os._exit(code)


def _leave_parent(keep: int) -> None:
    """Drop everything that would work on the parent's behalf."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    gc.disable()
    limit = os.sysconf("SC_OPEN_MAX")
    os.closerange(3, keep)
    os.closerange(keep + 1, limit if 0 < limit < _DESCRIPTORS_MAX else _highest_descriptor() + 1)


def _highest_descriptor() -> int:
    try:
        return max(map(int, os.listdir("/dev/fd")))
    except OSError:
        return _DESCRIPTORS_MAX


def copied_bytes() -> int:
    """How much memory this process has of its own by now, since it was forked; 0: nobody knows."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            lines: IO[bytes] = file
            return sum(
                int(line.split()[1]) * 1024 for line in lines if line.startswith(b"Private_Dirty")
            )
    except OSError:
        return 0
