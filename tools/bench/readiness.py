"""`python -m clustrio.tools.bench up`: how long a cluster of six takes until it is usable, beside
the way that redis-server offers.

Rules: each way ends when all nodes say cluster_state:ok, see the same, and every replica that tells
about its link says that it is up; the ways take turns, so that a busy moment hits them all.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ..bench.clusters import disagreement, not_ok, start_redis_node, wait_until
from ..local.cluster import LocalCluster
from ..up.state import StateError, end_cluster
from ..wire import CallError

_NODES: Final = 6
_NODE_TIMEOUT_MS: Final = 2000
_DEADLINE_S: Final = 120.0
#: As create-cluster leaves it; our own test servers shorten it.
_DEFAULTS: Final = ("--repl-diskless-sync-delay", "5")


def in_threads() -> float:
    """`LocalCluster()` in this process, whose imports are done."""
    started_s = time.monotonic()
    with LocalCluster(node_timeout_ms=_NODE_TIMEOUT_MS):
        return time.monotonic() - started_s


def in_threads_from_nothing() -> float:
    """The same in a new Python, its imports included but not the start of Python itself."""
    code = (
        "import time; started = time.monotonic()\n"
        "from clustrio import LocalCluster\n"
        f"with LocalCluster(node_timeout_ms={_NODE_TIMEOUT_MS}):\n"
        "    print(time.monotonic() - started)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, timeout=_DEADLINE_S, check=True
    )
    return float(done.stdout)


def _detached(*options: str) -> float:
    name = "measure"
    command = [sys.executable, "-m", "clustrio.tools", "up", "--detach", "--name", name, *options]
    started_s = time.monotonic()
    try:
        subprocess.run(command, capture_output=True, timeout=_DEADLINE_S, check=True)
        return time.monotonic() - started_s
    finally:
        with contextlib.suppress(StateError):
            end_cluster(name)


def up() -> float:
    """`clustrio up --detach`, from the shell's prompt to the next."""
    return _detached()


def up_redis() -> float:
    """`clustrio up --detach --server redis-server`."""
    return _detached("--server", "redis-server")


def create() -> float:
    """Start six redis-servers, `redis-cli --cluster create`, and wait until all agree."""
    with contextlib.ExitStack() as stack:
        started_s = time.monotonic()
        nodes = [
            stack.enter_context(start_redis_node(*_DEFAULTS, timeout_ms=_NODE_TIMEOUT_MS))
            for _ in range(_NODES)
        ]
        addresses = [f"127.0.0.1:{node.port}" for node in nodes]
        options = ["--cluster-replicas", "1", "--cluster-yes"]
        with tempfile.TemporaryFile() as output:
            subprocess.run(
                ["redis-cli", "--cluster", "create", *addresses, *options],
                stdout=output,
                timeout=_DEADLINE_S,
                check=True,
            )

        def missing() -> str:
            for node in nodes:
                with contextlib.suppress(CallError):
                    if "master_link_status:down" in node.text("INFO", "replication"):
                        return f"{node.name} {node.port} has no data yet"
            replicas = sum(line.role == "slave" for line in nodes[0].lines().values())
            return not_ok(nodes) or disagreement(nodes, _NODES) or ("" if replicas == 3 else "?")

        wait_until("the cluster serves", missing, nodes, _DEADLINE_S)
        return time.monotonic() - started_s


THREADS: Final = "LocalCluster in threads"
DETACHED: Final = "clustrio up --detach"
CREATE: Final = "redis-server and redis-cli --cluster create"
GOALS_S: Final = {THREADS: 0.7, DETACHED: 2.0}
FASTER_GOAL: Final = 5.0
WAYS: Final[Mapping[str, Callable[[], float]]] = {
    THREADS: in_threads,
    "LocalCluster in threads, with all imports": in_threads_from_nothing,
    DETACHED: up,
    "clustrio up --detach --server redis-server": up_redis,
    CREATE: create,
}


def rows_of(seconds: Mapping[str, Sequence[float]]) -> list[tuple[str, float, float, str]]:
    """For each way its median, how many times faster than the slow way it is, and the goal."""
    slowest = statistics.median(seconds[CREATE])
    rows = []
    for name, values in seconds.items():
        median = statistics.median(values)
        faster, goal = slowest / median, GOALS_S.get(name)
        verdict = ""
        if goal is not None:
            is_met = median < goal and faster >= FASTER_GOAL
            verdict = f"{goal:g} s, {FASTER_GOAL:g} x: {'met' if is_met else 'missed'}"
        rows.append((name, median, faster, verdict))
    return rows


def main(arguments: Sequence[str]) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m clustrio.tools.bench up", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(arguments).rounds
    seconds: dict[str, list[float]] = {name: [] for name in WAYS}
    # What this process loads only once.
    in_threads()
    for number in range(rounds):
        for name, way in WAYS.items():
            print(f"{number + 1}/{rounds} {name}", file=sys.stderr, flush=True)
            seconds[name].append(way())
    print("| six nodes, three of them replicas | s (median) | all rounds | faster by | goal |")
    print("|---|---:|---|---:|---|")
    for name, median, faster, verdict in rows_of(seconds):
        values = " ".join(f"{value:.2f}" for value in seconds[name])
        print(f"| {name} | {median:.2f} | {values} | {faster:.1f} x | {verdict} |")
    return 0
