"""One run: a cluster, the load, the faults at their times, the mending, what is left.

Owns the order of things. Rules: everything is on the clock of the recorder; whatever happens, the
cluster is ended. `run_plan` blocks, and gives back the history; judging it is for `verdict.py`.
"""

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import trio

from ...slots.hashing import key_slot
from ..bench.clusters import parse_nodes
from ..local.cluster import LocalCluster
from ..local.errors import LocalClusterError, WaitTimeoutError
from ..local.node import Node
from .breaker import Breaker, Undo
from .client import Address, ask
from .drawing import with_drawn_faults
from .history import History
from .load import Cluster, Load, read_finals
from .plan import Plan
from .recorder import Recorder

#: The load runs for a while before the first fault, and goes on for a while after the last.
AFTER_S: Final = 1.0
_POLL_S: Final = 0.02

Progress = Callable[[str], None]


def _quiet(line: str) -> None:
    """Say nothing."""


def run_plan(
    plan: Plan,
    *,
    server: str | Sequence[str] | None = None,
    mix: bool = False,
    mode: str = "processes",
    progress: Progress = _quiet,
    logs: Path | None = None,
) -> History:
    """Run a plan on a local cluster of Clustrio, of `server`, or of both.

    `logs` is a folder that gets the nodes' logs.
    """
    plan = with_drawn_faults(plan)
    cluster = LocalCluster(
        plan.masters,
        plan.replicas,
        mode=mode,
        server=server,
        mix=mix,
        node_timeout_ms=plan.node_timeout_ms,
        seed=plan.seed,
        options=plan.options,
    )
    with cluster:
        name = server if isinstance(server, str) else " ".join(server or ())
        label = f"{name} + clustrio" if mix else name or "clustrio"
        try:
            return _run_on(plan, cluster, label, progress)
        finally:
            if logs is not None:
                _keep_logs(cluster, logs)


def _keep_logs(cluster: LocalCluster, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for node in cluster.nodes:
        (folder / f"node-{node.index}.log").write_text(node.log(), encoding="utf-8")


def _direct_address(node: Node) -> Address:
    reply = node.call("CONFIG", "GET", "port")
    if not isinstance(reply, list) or not isinstance(reply[1], bytes):
        raise LocalClusterError(f"{node} does not tell its port: {reply!r}")
    return "127.0.0.1", int(reply[1])


def _run_on(plan: Plan, cluster: LocalCluster, label: str, progress: Progress) -> History:
    where = Cluster(cluster.addresses, [_direct_address(node) for node in cluster.nodes])
    history = History(plan, label, len(cluster.nodes), [f"{h}:{p}" for h, p in where.addresses])
    recorder = Recorder(history, where.addresses)
    load = Load(plan, where, recorder)
    breaker = Breaker(plan, cluster, recorder, lambda: _hot_slots(load))
    with _recording(load, history, recorder, progress):
        _break(plan, breaker, recorder, progress)
        progress(f"{recorder.now_ms() / 1000:6.1f} s  mending")
        mended_ms = recorder.now_ms()
        breaker.mend_all()
        _converge(plan, cluster, breaker, history)
        if not history.complaint:
            history.converged_ms = round(recorder.now_ms() - mended_ms, 1)
        time.sleep(AFTER_S)
    history.finals = trio.run(read_finals, plan, where, load.workloads)
    return history


@contextmanager
def _recording(
    load: Load, history: History, recorder: Recorder, progress: Progress
) -> Iterator[None]:
    """The load while something is done; its last requests may end in peace."""
    load.start()
    try:
        yield
        load.end_clients()
        history.load_end_ms = recorder.now_ms()
        time.sleep(history.plan.operation_timeout_ms / 1000)
    finally:
        load.close()
    progress(f"{recorder.now_ms() / 1000:6.1f} s  reading what is left")


def _hot_slots(load: Load) -> list[int]:
    names = [name for workload in load.workloads for name in list(workload.key_names)]
    return [key_slot(name.encode()) for name in names]


def _break(plan: Plan, breaker: Breaker, recorder: Recorder, progress: Progress) -> None:
    """Begin and end faults when it is time, and wait for the end of the load."""
    numbers = count()
    due: list[tuple[float, int, str, Callable[[], Undo | None]]] = []

    def at(moment_s: float, words: str, do: Callable[[], Undo | None]) -> None:
        heapq.heappush(due, (moment_s, next(numbers), words, do))

    for fault in plan.faults:
        words = f"{fault.kind} {', '.join(fault.targets)}".strip()
        at(fault.at_s, words, lambda fault=fault: breaker.begin(fault))  # type: ignore[misc]
    ends: dict[int, float] = {}
    for number, fault in enumerate(plan.faults):
        last_s = plan.duration_s if fault.for_s is None else fault.at_s + fault.for_s
        ends[number] = min(last_s, plan.duration_s)
    open_ends: list[Undo] = []
    while due:
        moment_s, number, words, do = heapq.heappop(due)
        _sleep_until(moment_s, recorder)
        progress(f"{recorder.now_ms() / 1000:6.1f} s  {words}")
        undo = do()
        if undo is None:
            continue
        if ends.get(number, plan.duration_s) < plan.duration_s:
            at(ends[number], f"end of {words}", undo)
        else:
            open_ends.append(undo)
    _sleep_until(plan.duration_s, recorder)
    for undo in open_ends:
        undo()


def _sleep_until(moment_s: float, recorder: Recorder) -> None:
    while (left_s := moment_s - recorder.now_ms() / 1000) > 0:
        time.sleep(min(left_s, _POLL_S) if left_s < 1 else left_s - 0.5)


def _converge(plan: Plan, cluster: LocalCluster, breaker: Breaker, history: History) -> None:
    """Wait until all views agree; slots that were left half way are moved on meanwhile."""
    deadline_s = time.monotonic() + plan.promises.converge_s
    moves_slots = any(fault.kind == "migrate" for fault in plan.faults)
    try:
        cluster.wait_for_ok(plan.promises.converge_s)
        while moves_slots and breaker.finish_slots() and time.monotonic() < deadline_s:
            time.sleep(_POLL_S)
        cluster.wait_for_ok(max(deadline_s - time.monotonic(), 0.5))
    except WaitTimeoutError as failure:
        history.complaint = str(failure)


# ---- a cluster that runs already -----------------------------------------------------------------


def run_on_addresses(plan: Plan, address: Address, *, progress: Progress = _quiet) -> History:
    """The load of a plan on a cluster that runs already; nothing is broken there."""
    if plan.faults:
        raise LocalClusterError("faults need a cluster of our own; this one only gets the load")
    where = trio.run(_find_nodes, address)
    history = History(
        plan, f"cluster at {address[0]}:{address[1]}", len(where.addresses),
        [f"{host}:{port}" for host, port in where.addresses],
    )  # fmt: skip
    recorder = Recorder(history, where.addresses)
    load = Load(plan, where, recorder)
    with _recording(load, history, recorder, progress):
        _sleep_until(plan.duration_s, recorder)
    history.converged_ms = 0.0
    history.finals = trio.run(read_finals, plan, where, load.workloads)
    return history


async def _find_nodes(address: Address) -> Cluster:
    replies = await ask(address, [["CLUSTER", "NODES"]], 5.0)
    if not replies or not isinstance(replies[0], bytes):
        raise LocalClusterError(f"no cluster answers at {address[0]}:{address[1]}")
    addresses = []
    for line in parse_nodes(replies[0].decode()).values():
        host, _, port = line.address.partition("@")[0].rpartition(":")
        addresses.append((host or address[0], int(port)))
    return Cluster(addresses, addresses)
