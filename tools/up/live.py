"""The live view of a cluster: who is there, what they serve, how busy they are.

Owns the table. Rules: without a terminal nothing is drawn; the cluster is then only kept alive.
What the view itself asks, and what replicas tell their masters, is no work of the cluster's.
"""

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import evolve, frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...slots.hashing import SLOT_COUNT
from ..local.cluster import LocalCluster
from ..local.errors import LocalClusterError
from ..local.node import Node
from ..local.views import NodeView, view_of
from ..wire import CallError

_PERIOD_S: Final = 0.5
#: `view_of` asks three things of a node, and `_facts` one.
_OWN_CALLS: Final = 4
_RANGES_SHOWN: Final = 3
_UNWELL: Final = "bold red"
_QUIET: Final = "dim"


@frozen
class Row:
    """One node as the table shows it."""

    number: int
    address: str
    role: str
    state: str
    slots: int
    ranges: str
    keys: int
    memory: str
    operations: int

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong with it."""
        return self.state == "ok"


def row_of(node: Node, view: NodeView, facts: Mapping[str, str], operations: int) -> Row:
    """The row of a node; `facts` are of INFO."""
    own = next((line for line in view.nodes.values() if "myself" in line.flags), None)
    if own is None:
        state = "paused" if view.is_paused else "starting" if view.is_running else "down"
        return Row(node.index, node.address, "", state, 0, "", 0, "", 0)
    link = view.replication.get("master_link_status", "up")
    state = view.cluster.get("cluster_state", "?") if link == "up" else f"link {link}"
    settled = [text for text in own.slots if not text.startswith("[")]
    moving = len(own.slots) - len(settled)
    ranges = " ".join(settled[:_RANGES_SHOWN])
    if len(settled) > _RANGES_SHOWN:
        ranges += f" +{len(settled) - _RANGES_SHOWN}"
    if moving:
        ranges += f" ({moving} moving)"
    keyspace = facts.get("db0", "keys=0").partition(",")[0]
    return Row(
        number=node.index,
        address=node.address,
        role="master" if own.role == "master" else "replica",
        state=state,
        slots=sum(map(_length, settled)),
        ranges=ranges.strip(),
        keys=int(keyspace.removeprefix("keys=")),
        memory=facts.get("used_memory_human", ""),
        operations=operations,
    )


def _length(text: str) -> int:
    first, _, last = text.partition("-")
    return int(last or first) - int(first) + 1


def with_masters(rows: Sequence[Row], views: Sequence[NodeView]) -> list[Row]:
    """Each replica below its master."""
    owners: dict[str, int] = {}
    follows: dict[int, str] = {}
    for view in views:
        for line in view.nodes.values():
            if "myself" in line.flags:
                owners[line.node_id] = view.index
                if line.role != "master":
                    follows[view.index] = line.primary_id
    placed = []
    for row in rows:
        master = owners.get(follows.get(row.number, ""))
        role = row.role if master is None else f"└ {row.role}"
        key = (row.number if master is None else master, master is not None, row.number)
        placed.append((key, evolve(row, role=role)))
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def table_of(rows: Sequence[Row]) -> Table:
    """All nodes, one a row, and what they are together."""
    served = sum(row.slots for row in rows)
    unwell = sum(not row.is_well for row in rows)
    words = f"{len(rows)} nodes, all slots served"
    if served != SLOT_COUNT:
        words = f"{len(rows)} nodes, {served} of {SLOT_COUNT} slots served"
    caption = Text(words + (f", {unwell} unwell" if unwell else ""), _UNWELL if unwell else "green")
    caption.append("   Ctrl-C ends them", _QUIET)
    table = Table(
        box=SIMPLE_HEAD,
        caption=caption,
        caption_justify="left",
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for title in ("node", "address", "role", "state"):
        table.add_column(title, no_wrap=True)
    table.add_column("slots")
    for title in ("keys", "memory", "ops/s"):
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        is_master = row.role == "master"
        style = "" if is_master or not row.is_well else _QUIET
        table.add_row(
            str(row.number),
            row.address,
            row.role,
            Text(row.state, "green" if row.is_well else _UNWELL),
            row.ranges,
            str(row.keys) if row.role else "",
            row.memory,
            str(row.operations) if row.role else "",
            style=style,
        )
    return table


class Looker:
    """Looks at a cluster again and again, and counts what was done between two looks."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._counts: dict[int, tuple[float, int]] = {}

    def look(self) -> list[Row]:
        """All rows at this moment."""
        views = [view_of(node) for node in self._cluster.nodes]
        rows = []
        for node, view in zip(self._cluster.nodes, views, strict=True):
            facts = _facts(node) if view.cluster else {}
            rows.append(row_of(node, view, facts, self._rate(node.index, facts)))
        return with_masters(rows, views)

    def _rate(self, index: int, facts: Mapping[str, str]) -> int:
        """Requests a second since the last look."""
        if not facts:
            self._counts.pop(index, None)
            return 0
        now_s = time.monotonic()
        told = facts.get("cmdstat_replconf", "calls=0").partition(",")[0].removeprefix("calls=")
        count = int(facts.get("total_commands_processed", "0")) - int(told)
        last_s, last = self._counts.get(index, (now_s, count))
        self._counts[index] = (now_s, count)
        passed_s = now_s - last_s
        return max(round((count - last - _OWN_CALLS) / passed_s), 0) if passed_s else 0


def _facts(node: Node) -> Mapping[str, str]:
    """What CLUSTER does not tell; empty if the node went away meanwhile."""
    try:
        return node.info("everything")
    except (OSError, CallError, LocalClusterError):
        return {}


def watch(cluster: LocalCluster) -> None:
    """Show the cluster until interrupted."""
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        while True:
            time.sleep(_PERIOD_S)
    looker = Looker(cluster)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(table_of(looker.look()), refresh=True)
            time.sleep(_PERIOD_S)
