"""Servers as child processes: ports, start, readiness, and an end that is certain.

Owns every server process that a benchmark or a test starts. Rules:

- a port is taken outside the range from which the kernel draws client ports, together with the bus
  port 10000 above it, and is held by a lock file while its server lives, so that test workers
  running side by side never pick the same one;
- a server runs in a process group of its own, dies with the process that started it (on Linux the
  kernel sees to that), and is killed at exit at the latest;
- a server is ready when the process that we started, and no other, answers PING."""

import atexit
import contextlib
import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

#: Client ports come from here; bus ports then lie in 21000-30999: apart from these, below 32768.
PORT_FIRST: Final = 11000
PORT_COUNT: Final = 10000
BUS_OFFSET: Final = 10000
PING: Final = b"*1\r\n$4\r\nPING\r\n"

CLUSTRIO: Final = (sys.executable, "-m", "clustrio.node")
REDIS: Final = ("redis-server",)

#: Run in front of a server: asks the kernel to kill it when its parent is gone.
_LAUNCHER: Final = """
import ctypes, os, signal, sys
parent = int(sys.argv[1])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ServerError(Exception):
    """A server did not start, or did not answer in time; the text holds the end of its log."""


class PortTakenError(ServerError):
    """Somebody took the port between our look and the server's bind."""


class ReservedPort:
    """A client port and its bus port, kept from our other processes until released."""

    def __init__(self, port: int, lock: IO[bytes]) -> None:
        self.port = port
        self._lock = lock

    @property
    def descriptor(self) -> int:
        """What holds the port; a process that inherits it holds the port, too."""
        return self._lock.fileno()

    def release(self) -> None:
        """Let other processes have the port."""
        self._lock.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def reserve_port() -> ReservedPort:
    """Find a port that is free, with its bus port, and hold it."""
    folder = Path(tempfile.gettempdir()) / f"clustrio-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    start = random.SystemRandom().randrange(PORT_COUNT)
    for step in range(PORT_COUNT):
        port = PORT_FIRST + (start + step) % PORT_COUNT
        lock = (folder / str(port)).open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            continue
        if _is_free(port) and _is_free(port + BUS_OFFSET):
            return ReservedPort(port, lock)
        lock.close()
    raise ServerError("no free port with a free bus port above it")


class ServerProcess:
    """One running server; also a context manager, which stops it."""

    def __init__(
        self,
        command: Sequence[str],
        arguments: Sequence[str] = (),
        *,
        name: str | None = None,
        guarded: bool = True,
        deadline_s: float = 40.0,
    ) -> None:
        self.command = tuple(command)
        self.arguments = tuple(arguments)
        self.name = name or " ".join(Path(part).name for part in command)
        self.deadline_s = deadline_s
        self.start_to_ping_s = 0.0
        #: A guard in front costs some milliseconds, which a measured start must not hold.
        self._guarded = guarded
        self._folder = Path(tempfile.mkdtemp(prefix="clustrio-server-"))
        self._reserved: ReservedPort | None = None
        self._process: subprocess.Popen[bytes] | None = None
        _alive.add(self)
        try:
            self._start_with_retries()
        except BaseException:
            self.stop()
            raise

    # --- what tests and benchmarks ask for ----------------------------------------------------

    @property
    def port(self) -> int:
        """The client port."""
        assert self._reserved is not None, "the server has stopped"
        return self._reserved.port

    @property
    def pid(self) -> int:
        """The process id of the server itself."""
        assert self._process is not None, "the server has stopped"
        return self._process.pid

    @property
    def folder(self) -> Path:
        """The server's working directory; goes away with it."""
        return self._folder

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """All that the server has printed so far."""
        path = self._folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise ServerError(f"{self.name}: no VmRSS in /proc/{self.pid}/status")

    def cpu_seconds(self) -> float:
        """CPU time used so far, user and system, by all threads of the process."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def connect(self, timeout_s: float = 10.0) -> socket.socket:
        """Open a plain socket to the client port."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def stop(self) -> None:
        """End the process and everything it started; remove its directory. May be called twice."""
        _alive.discard(self)
        process, self._process = self._process, None
        if process is not None:
            _end(process)
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def restart(self) -> None:
        """Start anew, on a port that may differ, after a crash or a hang."""
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._reserved is not None:
            self._reserved.release()
            self._reserved = None
        self._start_with_retries()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # --- starting -----------------------------------------------------------------------------

    def _start_with_retries(self) -> None:
        for _ in range(5):
            self._reserved = reserve_port()
            try:
                self._start()
            except PortTakenError:
                self._reserved.release()
                continue
            return
        raise PortTakenError(f"{self.name}: five ports in a row were taken away")

    def _arguments(self) -> list[str]:
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        arguments += ["--save", "", "--appendonly", "no", "--enable-debug-command", "yes"]
        return arguments + list(self.arguments)

    def _start(self) -> None:
        launcher: list[str] = []
        if self._guarded:
            launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        with (self._folder / "log").open("ab") as log:
            started_s = time.perf_counter()
            self._process = subprocess.Popen(
                [*launcher, *self.command, *self._arguments()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )
        while not self._answers():
            if self._process.poll() is not None:
                text = self.log()[-3000:]
                kind = PortTakenError if "already in use" in text else ServerError
                raise kind(f"{self.name} ended with code {self._process.returncode}:\n{text}")
            if time.perf_counter() - started_s > self.deadline_s:
                raise ServerError(f"{self.name} did not answer PING:\n{self.log()[-3000:]}")
            time.sleep(0.002)
        self.start_to_ping_s = time.perf_counter() - started_s

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), self.connect(timeout_s=1.0) as connection:
            connection.sendall(PING)
            return connection.recv(64).startswith(b"+PONG")
        return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask politely, then kill the whole group."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=3.0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10.0)


_alive: set[ServerProcess] = set()


@atexit.register
def _stop_all() -> None:
    for server in list(_alive):
        server.stop()
