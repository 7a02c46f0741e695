"""`python -m clustrio.tools.bench.failover`: how fast a cluster finds out that a primary is dead.

Each trial ends a primary of a small cluster (kill -9, or SIGSTOP) and polls all survivors until
they all see it: PFAIL at the first, FAIL at all, the cluster down at all, and, with replicas, the
first write to a key of the lost slots that is acknowledged, a new owner of the slots at all, and
the cluster up again at all. Both kinds of cluster are measured in one run, in turns, so that an
uneven load of the machine meets both; the run ends in time, with as many repeats as there were.
"""

import argparse
import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from attrs import define, field

from ..wire import CallError
from .clusters import (
    FAIL,
    PFAIL,
    ClusterNode,
    disagreement,
    form,
    not_ok,
    parse_nodes,
    running,
    wait_until,
)
from .processes import ServerError

PRIMARY_COUNT: Final = 3
TIMEOUTS_MS: Final = (1000, 2000, 5000)
#: For primaries that are stopped, not killed: this is what issue 5 asks for.
STOP_TIMEOUT_MS: Final = 2000
KILL: Final = "kill -9"
STOP: Final = "SIGSTOP"
#: Events, in the order in which they can happen.
SUSPECTED: Final = "PFAIL"
FAILED: Final = "FAIL at all"
DOWN: Final = "state fail at all"
WRITTEN: Final = "first write"
TAKEN_OVER: Final = "new owner at all"
UP: Final = "state ok at all"
DETECTION: Final = (SUSPECTED, FAILED, DOWN)
FAILOVER: Final = (WRITTEN, TAKEN_OVER, UP)


@define
class Setting:
    """A cluster to be measured, and what was seen."""

    name: str
    is_real: bool
    timeout_ms: int
    has_replicas: bool
    fault: str = KILL
    #: Seconds after the fault, by event.
    seen_s: dict[str, list[float]] = field(factory=dict)

    @property
    def events(self) -> tuple[str, ...]:
        """What is to be seen. With a replica, a primary may be replaced before all saw it fail."""
        return (SUSPECTED, FAILED, *FAILOVER) if self.has_replicas else DETECTION

    @property
    def shape(self) -> str:
        """Primaries and replicas."""
        return f"{PRIMARY_COUNT}+{PRIMARY_COUNT if self.has_replicas else 0}"


@define
class Watch:
    """What the survivors have been seen to know about the victim since the fault."""

    victim_id: str
    suspected: bool = False
    is_written: bool = False
    failed_at: set[int] = field(factory=set)
    down_at: set[int] = field(factory=set)
    replaced_at: set[int] = field(factory=set)

    def look(self, node: ClusterNode) -> bool:
        """Ask one survivor; whether it says that the cluster serves."""
        lines = parse_nodes(node.text("CLUSTER", "NODES"))
        health = lines[self.victim_id].health
        self.suspected = self.suspected or health in (PFAIL, FAIL)
        if health == FAIL:
            self.failed_at.add(node.port)
        if not lines[self.victim_id].slots:
            # Whoever saw the successor has seen the failure, if only in between two looks.
            self.replaced_at.add(node.port)
            self.failed_at.add(node.port)
        is_ok = node.is_ok()
        if not is_ok:
            self.down_at.add(node.port)
        return is_ok


def takes_writes(heir: ClusterNode, key: str) -> bool:
    """Whether the replica of the victim acknowledges a write by now."""
    try:
        return heir.call("SET", key, "value") == b"OK"
    except CallError:
        return False


def key_of(node: ClusterNode) -> str:
    """A key that a node serves."""
    keys = (f"key{number}" for number in range(10_000))
    return next(key for key in keys if node.serves(node.number("CLUSTER", "KEYSLOT", key)))


def measure(
    setting: Setting, nodes: Sequence[ClusterNode], victim: ClusterNode, heir: ClusterNode | None
) -> None:
    """End a primary and note when what is seen."""
    survivors = [node for node in nodes if node is not victim]
    watch = Watch(victim.node_id)
    missing = list(setting.events)
    key = key_of(victim)
    if setting.fault == STOP:
        os.kill(victim.pid, signal.SIGSTOP)
    else:
        victim.kill()
    killed_s = time.perf_counter()
    deadline_s = killed_s + 10 + 5 * setting.timeout_ms / 1000
    while missing:
        oks = [watch.look(node) for node in survivors]
        if heir is not None and not watch.is_written and takes_writes(heir, key):
            # All of an election may have happened between two looks.
            watch.is_written = watch.suspected = True
        passed_s = time.perf_counter() - killed_s
        count = len(survivors)
        happened = {
            SUSPECTED: watch.suspected,
            WRITTEN: watch.is_written,
            FAILED: len(watch.failed_at) == count,
            DOWN: len(watch.down_at) == count,
            TAKEN_OVER: len(watch.replaced_at) == count,
            UP: len(watch.replaced_at) == count and all(oks),
        }
        for event in [event for event in missing if happened[event]]:
            setting.seen_s.setdefault(event, []).append(passed_s)
            missing.remove(event)
        if time.perf_counter() > deadline_s:
            raise ServerError(f"{setting.name}, {setting.timeout_ms} ms: never saw {missing}")
        time.sleep(0.002)


def run_trial(setting: Setting) -> None:
    """One fresh cluster, one kill."""
    count = PRIMARY_COUNT * (2 if setting.has_replicas else 1)
    ours, theirs = (0, count) if setting.is_real else (count, 0)
    with running(clustrio=ours, redis=theirs, timeout_ms=setting.timeout_ms) as nodes:
        primaries, replicas = nodes[:PRIMARY_COUNT], nodes[PRIMARY_COUNT:]
        form(primaries, [*zip(replicas, primaries, strict=False)])
        wait_until("one view", lambda: disagreement(nodes, count) or not_ok(nodes), nodes)
        for replica in replicas:
            wait_until("replicas are in step", partial(_out_of_step, replica), nodes)
        victim = primaries[0]
        try:
            measure(setting, nodes, victim, replicas[0] if replicas else None)
        finally:
            if setting.fault == STOP:
                # It could not even be ended otherwise.
                os.kill(victim.pid, signal.SIGCONT)


def _out_of_step(replica: ClusterNode) -> str:
    return "" if "master_link_status:up" in replica.text("INFO", "replication") else "link is down"


def settings(timeouts_ms: Sequence[int], *, stop_timeout_ms: int) -> list[Setting]:
    """All clusters to measure; no `stop_timeout_ms`: nobody is stopped."""
    servers = (("redis-server", True), ("clustrio-server", False))
    found = [
        Setting(name, is_real, timeout_ms, has_replicas)
        for timeout_ms in timeouts_ms
        for has_replicas in (False, True)
        for name, is_real in servers
    ]
    if stop_timeout_ms:
        found += [Setting(name, is_real, stop_timeout_ms, True, STOP) for name, is_real in servers]
    return found


def rows_of(measured: Sequence[Setting]) -> list[tuple[str, ...]]:
    """The table: median and worst of each event, in seconds."""
    heads = (*DETECTION, *FAILOVER)
    rows: list[tuple[str, ...]] = [("timeout", "nodes", "fault", "server", *heads)]
    for setting in measured:
        cells = [_cell(setting.seen_s.get(event, [])) for event in heads]
        timeout = f"{setting.timeout_ms} ms"
        rows.append((timeout, setting.shape, setting.fault, setting.name, *cells))
    return rows


def as_json(measured: Sequence[Setting]) -> str:
    """Everything, for programs."""
    rows = [
        {
            "server": setting.name,
            "node_timeout_ms": setting.timeout_ms,
            "nodes": setting.shape,
            "fault": setting.fault,
            "seconds": {
                event: {
                    "median": round(statistics.median(seen), 3),
                    "worst": round(max(seen), 3),
                    "all": [round(second, 3) for second in seen],
                }
                for event, seen in setting.seen_s.items()
            },
        }
        for setting in measured
    ]
    return json.dumps(rows, indent=2)


def _cell(seconds: Sequence[float]) -> str:
    if not seconds:
        return "-"
    return f"{statistics.median(seconds):.2f} ({max(seconds):.2f})"


def render(rows: Sequence[Sequence[str]], *, is_markdown: bool) -> str:
    """The table as text."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append(f"| {' | '.join(cells)} |" if is_markdown else "  ".join(cells).rstrip())
        if is_markdown and number == 0:
            lines.append(f"|{'|'.join('-' * (width + 2) for width in widths)}|")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then print."""
    parser = argparse.ArgumentParser(
        prog="python -m clustrio.tools.bench.failover", description=__doc__
    )
    add = parser.add_argument
    add("--repeats", type=int, default=10, help="faults for each cluster (default: 10)")
    add("--minutes", type=float, default=45.0, help="begin no trial after that (default: 45)")
    add("--timeouts", type=int, nargs="+", default=TIMEOUTS_MS, help="node timeouts in ms")
    add(
        "--stop-timeout",
        type=int,
        default=STOP_TIMEOUT_MS,
        help="node timeout where a primary is stopped; 0 leaves that out",
    )
    add("--markdown", action="store_true", help="print a table for a README")
    add("--json", action="store_true", help="print all figures as JSON")
    options = parser.parse_args(arguments)
    measured = settings(options.timeouts, stop_timeout_ms=options.stop_timeout)
    try:
        run_trials(measured, options.repeats, time.monotonic() + 60 * options.minutes)
    except (ServerError, CallError) as failure:
        print(failure, file=sys.stderr)
        return 1
    if options.json:
        print(as_json(measured))
        return 0
    print("Seconds after the fault: median (worst).\n")
    print(render(rows_of(measured), is_markdown=options.markdown))
    return 0


def run_trials(measured: Sequence[Setting], repeats: int, ends_s: float) -> None:
    """All trials, each cluster in its turn, as long as there is time."""
    began_s = time.monotonic()
    for repeat in range(repeats):
        for setting in measured:
            now_s = time.monotonic()
            if now_s > ends_s:
                print("no time left: fewer repeats", file=sys.stderr, flush=True)
                return
            label = f"{setting.timeout_ms} ms {setting.shape} {setting.fault} {setting.name}"
            passed = f"{now_s - began_s:.0f} s"
            print(f"{repeat + 1}/{repeats} {passed} {label}", file=sys.stderr, flush=True)
            run_trial(setting)


if __name__ == "__main__":
    sys.exit(main())
