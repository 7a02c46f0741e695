"""`python -m clustrio.tools.bench.persistence`: files and replicas, against redis-server.

How long it takes to save, load and copy many keys, what clients feel while a child writes or a
replica gets its copy, what the append-only log costs, and how far a replica is behind. Each figure
is taken from both servers in turns, in one run.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Final, NamedTuple

import attrs

from ..wire import Caller, CallError
from .failover import render
from .processes import CLUSTRIO, REDIS, ServerError, ServerProcess

COMMANDS: Final = {"redis-server": REDIS, "clustrio-server": CLUSTRIO}
_OPTIONS: Final = ("--repl-diskless-sync-delay", "0", "--enable-debug-command", "yes")
_STEADY_PER_S: Final = 5_000
_LAG_PER_S: Final = 10_000
_PATIENCE_S: Final = 600.0
_CLIENTS: Final = 50
#: Clients that ask at the same time.
_BEAT: Final = 10


class Goal(NamedTuple):
    """What a figure should come to: against the real server's, or by itself."""

    limit: float
    is_least: bool = False
    is_absolute: bool = False

    def is_met(self, theirs: float, ours: float) -> bool:
        """Whether our figure is good enough."""
        figure = ours if self.is_absolute else ours / theirs if theirs else 0.0
        return figure >= self.limit if self.is_least else figure <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.is_least else "≤"
        return f"{sign} {self.limit:g}{'' if self.is_absolute else ' x'}"


TIME: Final = Goal(6)
P99: Final = Goal(2)
STALL: Final = Goal(100, is_absolute=True)
GOALS: Final = {
    "save, s": TIME,
    "load, s": TIME,
    "full sync, s": None,
    "GET p99 during BGSAVE, ms": P99,
    "GET p99 during BGREWRITEAOF, ms": P99,
    "GET p99 during full sync, ms": P99,
    "worst stall during BGSAVE, ms": STALL,
    "worst stall during BGREWRITEAOF, ms": STALL,
    "worst stall during full sync, ms": STALL,
    "SET/s, AOF everysec": Goal(0.8, is_least=True),
    "SET/s, AOF always": Goal(0.7, is_least=True),
    "worst lag, ms": None,
}


@attrs.define
class Scale:
    """How much is measured."""

    keys: int = 1_000_000
    write_s: float = 8.0
    lag_s: float = 5.0


QUICK: Final = Scale(keys=100_000, write_s=3.0, lag_s=2.0)
Figures = dict[str, float]


def _info(caller: Caller, section: str) -> dict[str, str]:
    reply = caller.call("INFO", section)
    assert isinstance(reply, bytes)
    return dict(line.split(":", 1) for line in reply.decode().split("\r\n") if ":" in line)


def _wait(what: str, is_so: Callable[[], bool]) -> float:
    """Poll; the seconds it took."""
    started_s = time.perf_counter()
    while not is_so():
        if time.perf_counter() - started_s > _PATIENCE_S:
            raise ServerError(f"not in time: {what}")
        time.sleep(0.005)
    return time.perf_counter() - started_s


@contextmanager
def _served(command: Sequence[str], *options: str) -> Iterator[tuple[ServerProcess, Caller]]:
    with ServerProcess(command, (*_OPTIONS, *options), deadline_s=120.0) as server:
        caller = Caller(server.port, _PATIENCE_S)
        try:
            yield server, caller
        finally:
            caller.close()


def _fill(caller: Caller, scale: Scale) -> None:
    caller.call("DEBUG", "POPULATE", scale.keys)


# --- what clients feel ---------------------------------------------------------------------------


class Metronome:
    """Asks at a steady pace, and counts from the moment at which each request was due.

    Each beat is one request of each of some clients: one client alone, which waits for its reply
    each time, would measure how fast it is itself.
    """

    def __init__(self, port: int, per_s: int) -> None:
        self._callers = [Caller(port, _PATIENCE_S) for _ in range(_BEAT)]
        self._beat_s = _BEAT / per_s
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.delays_ms: list[float] = []

    def __enter__(self) -> "Metronome":
        self._thread.start()
        time.sleep(0.3)
        self.delays_ms.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        for caller in self._callers:
            caller.close()

    def _run(self) -> None:
        sockets = [caller.socket for caller in self._callers]
        request = b"*2\r\n$3\r\nGET\r\n$5\r\nkey:7\r\n"
        due_s = time.perf_counter()
        while not self._is_over.is_set():
            due_s += self._beat_s
            rest_s = due_s - time.perf_counter()
            if rest_s > 0:
                time.sleep(rest_s)
            for each in sockets:
                each.sendall(request)
            for each in sockets:
                each.recv(256)
                self.delays_ms.append(max(0.0, time.perf_counter() - due_s) * 1000)

    def p99(self) -> float:
        """What one request of a hundred exceeds."""
        return statistics.quantiles(self.delays_ms, n=100)[98] if len(self.delays_ms) > 1 else 0.0


def _felt(port: int, name: str, action: Callable[[], object]) -> Figures:
    with Metronome(port, _STEADY_PER_S) as metronome:
        action()
        time.sleep(0.3)
    return {
        f"GET p99 during {name}, ms": metronome.p99(),
        f"worst stall during {name}, ms": max(metronome.delays_ms),
    }


# --- the measurements ----------------------------------------------------------------------------


def _child_is_done(caller: Caller) -> bool:
    facts = _info(caller, "persistence")
    return facts["rdb_bgsave_in_progress"] == facts["aof_rewrite_in_progress"] == "0"


def measure_files(command: Sequence[str], scale: Scale) -> Figures:
    """Save and load, and what clients feel meanwhile."""
    with _served(command) as (server, caller):
        _fill(caller, scale)
        started_s = time.perf_counter()
        caller.call("SAVE")
        figures = {"save, s": time.perf_counter() - started_s}
        started_s = time.perf_counter()
        caller.call("DEBUG", "RELOAD", "NOSAVE")
        figures["load, s"] = time.perf_counter() - started_s
        for order in ("BGSAVE", "BGREWRITEAOF"):

            def run_child(order: str = order) -> None:
                caller.call(order)
                _wait(order, lambda: _child_is_done(caller))

            figures |= _felt(server.port, order, run_child)
    return figures


def measure_full_sync(command: Sequence[str], scale: Scale) -> Figures:
    """A replica of the same kind gets all keys."""
    with ExitStack() as stack:
        server, caller = stack.enter_context(_served(command))
        _, replica = stack.enter_context(_served(command))
        _fill(caller, scale)

        def follow() -> None:
            replica.call("REPLICAOF", "127.0.0.1", server.port)
            _wait("the copy", lambda: _info(replica, "replication")["master_link_status"] == "up")

        started_s = time.perf_counter()
        follow()
        figures = {"full sync, s": time.perf_counter() - started_s}
        replica.call("REPLICAOF", "NO", "ONE")
        replica.call("SET", "own", "history")
        return figures | _felt(server.port, "full sync", follow)


def measure_log(command: Sequence[str], scale: Scale) -> Figures:
    """Writes of many clients with the log on."""
    figures: Figures = {}
    for policy in ("everysec", "always"):
        options = ("--appendonly", "yes", "--appendfsync", policy)
        with _served(command, *options) as (server, _):
            figures[f"SET/s, AOF {policy}"] = _write(server.port, scale.write_s)
    return figures


def _write(port: int, seconds: float) -> float:
    """Requests a second of clients that each wait for their reply."""
    callers = [Caller(port, 30.0) for _ in range(_CLIENTS)]
    request = b"*3\r\n$3\r\nSET\r\n$6\r\nkey:%02d\r\n$32\r\n" + b"x" * 32 + b"\r\n"
    sockets = [caller.socket for caller in callers]
    ends_s, count = time.perf_counter() + seconds, 0
    try:
        # All ask, then all are heard: the server sees them together, as from many machines.
        while time.perf_counter() < ends_s:
            for number, each in enumerate(sockets):
                each.sendall(request % number)
            for each in sockets:
                each.recv(64)
            count += len(sockets)
    finally:
        for caller in callers:
            caller.close()
    return count / seconds


def measure_lag(command: Sequence[str], scale: Scale) -> Figures:
    """How long it takes at the most until a replica shows what its primary acknowledged."""
    with ExitStack() as stack:
        server, caller = stack.enter_context(_served(command))
        _, replica = stack.enter_context(_served(command))
        replica.call("REPLICAOF", "127.0.0.1", server.port)
        _wait("the copy", lambda: _info(replica, "replication")["master_link_status"] == "up")
        is_over = threading.Event()
        thread = threading.Thread(target=_write_steadily, args=(server.port, is_over))
        thread.start()
        worst_s, number = 0.0, 0
        ends_s = time.perf_counter() + scale.lag_s
        try:
            while time.perf_counter() < ends_s:
                number += 1
                caller.call("SET", "mark", number)
                written_s = time.perf_counter()
                while replica.call("GET", "mark") != b"%d" % number:
                    pass
                worst_s = max(worst_s, time.perf_counter() - written_s)
                time.sleep(0.01)
        finally:
            is_over.set()
            thread.join()
        return {"worst lag, ms": worst_s * 1000}


def _write_steadily(port: int, is_over: threading.Event) -> None:
    caller = Caller(port, 30.0)
    group = 50
    request = b"*3\r\n$3\r\nSET\r\n$3\r\nkey\r\n$32\r\n" + b"x" * 32 + b"\r\n"
    due_s = time.perf_counter()
    while not is_over.is_set():
        caller.socket.sendall(request * group)
        for _ in range(group):
            caller.read()
        due_s += group / _LAG_PER_S
        time.sleep(max(0.0, due_s - time.perf_counter()))
    caller.close()


MEASUREMENTS: Final = (measure_files, measure_full_sync, measure_log, measure_lag)


def run(scale: Scale, rounds: int, only: str = "") -> dict[str, Figures]:
    """The medians of all figures, by server."""
    seen: dict[str, dict[str, list[float]]] = {name: {} for name in COMMANDS}
    for number in range(rounds):
        for measurement in MEASUREMENTS:
            if only not in measurement.__name__:
                continue
            for name, command in COMMANDS.items():
                label = measurement.__name__.removeprefix("measure_").replace("_", " ")
                print(f"{number + 1}/{rounds} {label}: {name}", file=sys.stderr, flush=True)
                for figure, value in measurement(command, scale).items():
                    seen[name].setdefault(figure, []).append(value)
    return {
        name: {figure: statistics.median(values) for figure, values in figures.items()}
        for name, figures in seen.items()
    }


def rows_of(found: dict[str, Figures]) -> list[tuple[str, ...]]:
    """The table: both servers, their ratio, the goal, and whether it is met."""
    theirs, ours = found["redis-server"], found["clustrio-server"]
    rows: list[tuple[str, ...]] = [("", "redis-server", "clustrio-server", "ratio", "goal", "")]
    for figure, goal in GOALS.items():
        if figure not in ours:
            continue
        first, second = theirs[figure], ours[figure]
        ratio = f"{second / first:.2f}" if first else "-"
        verdict = "" if goal is None else "met" if goal.is_met(first, second) else "missed"
        cells = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for value in (first, second)]
        rows.append((figure, *cells, ratio, "" if goal is None else str(goal), verdict))
    return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then print."""
    parser = argparse.ArgumentParser(
        prog="python -m clustrio.tools.bench.persistence", description=__doc__
    )
    parser.add_argument("--quick", action="store_true", help="few keys, for a first impression")
    parser.add_argument("--rounds", type=int, help="how often each server's turn comes")
    parser.add_argument("--only", default="", metavar="NAME", help="files, full_sync, log, or lag")
    parser.add_argument("--markdown", action="store_true", help="print a table for a README")
    options = parser.parse_args(arguments)
    try:
        found = run(
            QUICK if options.quick else Scale(),
            options.rounds or (1 if options.quick else 3),
            options.only,
        )
    except (ServerError, CallError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print(render(rows_of(found), is_markdown=options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
