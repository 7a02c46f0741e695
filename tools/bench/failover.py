"""`python -m clustrio.tools.bench.failover`: how fast a cluster finds out that a primary is dead.

Each trial kills a primary (kill -9) of a small cluster and polls all survivors until they all see
it: PFAIL at the first, FAIL at all, the cluster down at all, and, with replicas, a new owner of the
slots and the cluster up again at all. Both kinds of cluster are measured in one run, in turns.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial
from typing import Final

from attrs import define, field

from .clusters import (
    FAIL,
    PFAIL,
    CallError,
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
#: Events, in the order in which they can happen.
SUSPECTED: Final = "PFAIL"
FAILED: Final = "FAIL at all"
DOWN: Final = "state fail at all"
TAKEN_OVER: Final = "new owner at all"
UP: Final = "state ok at all"
DETECTION: Final = (SUSPECTED, FAILED, DOWN)
FAILOVER: Final = (TAKEN_OVER, UP)


@define
class Setting:
    """A cluster to be measured, and what was seen."""

    name: str
    is_real: bool
    timeout_ms: int
    has_replicas: bool
    #: Seconds after the kill, by event.
    seen_s: dict[str, list[float]] = field(factory=dict)

    @property
    def events(self) -> tuple[str, ...]:
        """What is to be seen. With a replica, a primary may be replaced before all saw it fail."""
        return (SUSPECTED, FAILED, *FAILOVER) if self.has_replicas else DETECTION


@define
class Watch:
    """What the survivors have been seen to know about the victim since the kill."""

    victim_id: str
    suspected: bool = False
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


def measure(setting: Setting, nodes: Sequence[ClusterNode], victim: ClusterNode) -> None:
    """Kill a primary and note when what is seen."""
    survivors = [node for node in nodes if node is not victim]
    watch = Watch(victim.node_id)
    missing = list(setting.events)
    victim.kill()
    killed_s = time.perf_counter()
    deadline_s = killed_s + 10 + 5 * setting.timeout_ms / 1000
    while missing:
        oks = [watch.look(node) for node in survivors]
        passed_s = time.perf_counter() - killed_s
        count = len(survivors)
        happened = {
            SUSPECTED: watch.suspected,
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
        measure(setting, nodes, primaries[0])


def _out_of_step(replica: ClusterNode) -> str:
    return "" if "master_link_status:up" in replica.text("INFO", "replication") else "link is down"


def settings(timeouts_ms: Sequence[int], *, clustrio_replicas: bool) -> list[Setting]:
    """All clusters to measure."""
    found = []
    for timeout_ms in timeouts_ms:
        found += [
            Setting("redis-server", True, timeout_ms, False),
            Setting("clustrio-server", False, timeout_ms, False),
            Setting("redis-server", True, timeout_ms, True),
        ]
        if clustrio_replicas:
            found.append(Setting("clustrio-server", False, timeout_ms, True))
    return found


def rows_of(measured: Sequence[Setting]) -> list[tuple[str, ...]]:
    """The table: median and worst of each event, in seconds."""
    heads = (*DETECTION, *FAILOVER)
    rows: list[tuple[str, ...]] = [("timeout", "nodes", "server", *heads)]
    for setting in measured:
        shape = f"{PRIMARY_COUNT}+{PRIMARY_COUNT if setting.has_replicas else 0}"
        cells = [_cell(setting.seen_s.get(event, [])) for event in heads]
        rows.append((f"{setting.timeout_ms} ms", shape, setting.name, *cells))
    return rows


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
    parser.add_argument("--repeats", type=int, default=5, help="kills for each cluster")
    parser.add_argument(
        "--timeouts", type=int, nargs="+", default=TIMEOUTS_MS, help="node timeouts in ms"
    )
    parser.add_argument(
        "--clustrio-replicas", action="store_true", help="measure Clustrio with replicas, too"
    )
    parser.add_argument("--markdown", action="store_true", help="print a table for a README")
    options = parser.parse_args(arguments)
    measured = settings(options.timeouts, clustrio_replicas=options.clustrio_replicas)
    try:
        for repeat in range(options.repeats):
            for setting in measured:
                label = f"{setting.timeout_ms} ms {setting.name}"
                print(f"{repeat + 1}/{options.repeats} {label}", file=sys.stderr, flush=True)
                run_trial(setting)
    except (ServerError, CallError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print("Seconds after kill -9: median (worst).\n")
    print(render(rows_of(measured), is_markdown=options.markdown))
    return 0


if __name__ == "__main__":
    sys.exit(main())
