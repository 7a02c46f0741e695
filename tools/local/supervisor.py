"""The process above the nodes of a local cluster: loads Clustrio once, and forks each node.

    python -m clustrio.tools.local.supervisor [--stay STATE_FILE] FOLDER

Owns the processes. It reads one order a line from standard input (JSON) and answers each with a
line. Rules:

* Everything it starts is in its process group, and dies with it: the kernel sees to that on Linux,
  whatever happens to us.
* When its input ends, because the caller closed it or crashed, it ends the nodes and removes the
  folder. With `--stay` it lives on until SIGTERM and keeps the state file locked: that lock is how
  others know that the cluster lives.
"""

import contextlib
import ctypes
import fcntl
import gc
import json
import os
import select
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn

import trio

from ...node.config import ConfigError
from ...node.runtime.garbage import tame_garbage_collector
from ...node.runtime.listeners import CannotListenError
from ...node.version import REDIS_VERSION
from .folders import MARK
from .full_disk import limit_process
from .scripted import ScriptedReply
from .server import LocalServer
from .shape import LOG_FILE

_SET_DEATH_SIGNAL: Final = 1
_POLL_MS: Final = 200

Order = Mapping[str, object]


class _Child:
    """A node's process, and the line on which it is told what to answer."""

    def __init__(self, pid: int, line: socket.socket | None) -> None:
        self.pid = pid
        self.line = line
        self.exit_code: int | None = None

    def reap(self, *, wait: bool) -> bool:
        """Whether it has ended."""
        if self.exit_code is None:
            pid, status = os.waitpid(self.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.exit_code = os.waitstatus_to_exitcode(status)
        return self.exit_code is not None


class Supervisor:
    """Carries out orders."""

    def __init__(self) -> None:
        self._children: dict[int, _Child] = {}
        self._orders: Mapping[str, Callable[[int, Order], object]] = {
            "start": self._start,
            "signal": self._signal,
            "alive": self._is_alive,
            "script": self._script,
            "disk": self._set_disk_full,
        }

    def answer(self, line: bytes) -> bytes:
        """Carry out one order."""
        order: Order = json.loads(line)
        try:
            answer = {"answer": self._orders[str(order["do"])](int(str(order["node"])), order)}
        except (OSError, KeyError, ValueError) as failure:
            answer = {"failure": f"{type(failure).__name__}: {failure}"}
        return json.dumps(answer).encode() + b"\n"

    def _start(self, node: int, order: Order) -> int:
        command = order["command"]
        ours, theirs = (None, None) if command else socket.socketpair()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            if ours is not None:
                ours.close()
            _become_node(order, theirs, parent)
        if theirs is not None:
            theirs.close()
        self._children[node] = _Child(pid, ours)
        return pid

    def _signal(self, node: int, order: Order) -> bool:
        """Send a signal; with `wait`, return when the process has ended."""
        child = self._children[node]
        if not child.reap(wait=False):
            os.kill(child.pid, int(str(order["signal"])))
            if order.get("wait"):
                child.reap(wait=True)
                self._forget(node)
        return True

    def _is_alive(self, node: int, order: Order) -> bool:
        child = self._children.get(node)
        return child is not None and not child.reap(wait=False)

    def _set_disk_full(self, node: int, order: Order) -> bool:
        child = self._children[node]
        if not child.reap(wait=False):
            limit_process(child.pid, is_full=bool(order["is_full"]))
        return True

    def _script(self, node: int, order: Order) -> bool:
        line = self._children[node].line
        if line is None:
            raise ValueError("only Clustrio's own nodes can be given a script")
        line.sendall(json.dumps(order["rule"]).encode() + b"\n")
        # The node says when the rule is in force.
        return bool(line.recv(1))

    def _forget(self, node: int) -> None:
        child = self._children.pop(node)
        if child.line is not None:
            child.line.close()

    def reap(self) -> None:
        """Look after processes that ended by themselves."""
        for child in self._children.values():
            child.reap(wait=False)

    def end(self) -> None:
        """Kill what runs."""
        for child in self._children.values():
            if not child.reap(wait=False):
                os.kill(child.pid, signal.SIGKILL)
        for child in self._children.values():
            child.reap(wait=True)


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


def _become_node(order: Order, line: socket.socket | None, parent: int) -> NoReturn:
    """In the child: be a node, and never return."""
    code = 1
    try:
        die_with(parent)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        folder = str(order["folder"])
        os.chdir(folder)
        null = os.open(os.devnull, os.O_RDWR)
        output = os.open(LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for target, source in ((0, null), (1, output), (2, output)):
            os.dup2(source, target)
        if order["has_full_disk"]:
            limit_process(os.getpid(), is_full=True)
        options = [(str(name), str(value)) for name, value in _pairs(order["options"])]
        command = order["command"]
        if isinstance(command, list):
            words = [part for name, value in options for part in (f"--{name}", value)]
            os.execvp(str(command[0]), [*map(str, command), *words])
        code = _serve(options, str(order["seed"]), line, is_fresh=bool(order["is_fresh"]))
    except BaseException as failure:
        os.write(2, f"The node failed: {failure!r}\n".encode())
    finally:
        os._exit(code)


def _pairs(value: object) -> list[tuple[object, object]]:
    assert isinstance(value, list)
    return [(name, text) for name, text in value]


def _serve(
    options: list[tuple[str, str]], seed: str, line: socket.socket | None, *, is_fresh: bool
) -> int:
    try:
        server = LocalServer(options, seed, own_process=True)
        server.prepare(is_fresh=is_fresh)
    except ConfigError as failure:
        os.write(2, failure.fatal_text(REDIS_VERSION).encode() + b"\n")
        return 1
    except CannotListenError as failure:
        os.write(2, f"The node failed: {failure}\n".encode())
        return 1
    tame_garbage_collector()

    async def serve() -> int:
        async with trio.open_nursery() as nursery:
            if line is not None:
                nursery.start_soon(_listen_to_orders, server, line)
            code = await server.run()
            nursery.cancel_scope.cancel()
        return code

    return trio.run(serve)


async def _listen_to_orders(server: LocalServer, line: socket.socket) -> None:
    """Obey what the supervisor says about scripted replies."""
    line.setblocking(False)
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(line))
    rest = b""
    async for data in stream:
        *orders, rest = (rest + data).split(b"\n")
        for order in orders:
            rule = json.loads(order)
            if rule is None:
                server.script.clear()
            else:
                server.script.add(ScriptedReply(**rule))
            await stream.send_all(b".")


# ---- the process itself --------------------------------------------------------------------------


class _Ended(BaseException):
    """A signal asked for the end."""


def _on_signal(number: int, frame: object) -> None:
    raise _Ended


def _listen(supervisor: Supervisor, *, stays: bool) -> None:
    """Obey until the input ends, or for ever."""
    poller = select.poll()
    poller.register(0, select.POLLIN)
    rest = b""
    while True:
        events = poller.poll(_POLL_MS)
        supervisor.reap()
        if not events:
            continue
        data = os.read(0, 1 << 20)
        if not data:
            if not stays:
                return
            poller.unregister(0)
            _let_go_of_caller()
            continue
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            os.write(1, supervisor.answer(line))


def _let_go_of_caller() -> None:
    """Whoever reads what our caller prints must not wait for us."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def main() -> None:
    """The process."""
    words = sys.argv[1:]
    state_file = ""
    if words[:1] == ["--stay"]:
        _, state_file, *words = words
        lock = os.open(state_file, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (folder,) = words
    for name in os.listdir("/dev/fd"):
        if int(name) > 2:
            # The held ports are ours, not those of servers that a node is.
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    # Ctrl-C goes to the whole group of the terminal; the caller decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The first machine of a process builds the tables of all commands: once here, not in each node.
    LocalServer((), "", own_process=False).plane.close_all()
    gc.collect()
    gc.freeze()
    supervisor = Supervisor()
    try:
        os.write(1, b"ready\n")
        _listen(supervisor, stays=bool(state_file))
    except (_Ended, BrokenPipeError):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    finally:
        supervisor.end()
        if Path(folder, MARK).exists():
            shutil.rmtree(folder, ignore_errors=True)
        if state_file:
            Path(state_file).unlink(missing_ok=True)


if __name__ == "__main__":
    main()
