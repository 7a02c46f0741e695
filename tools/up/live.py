"""The live view of a cluster: who is there, what they serve, how busy they are.

Owns the table. Rules: without a terminal nothing is drawn; the cluster is then only kept alive.
"""

import sys
import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

from ..local.cluster import LocalCluster
from ..local.views import NodeView

_PERIOD_S: Final = 0.5


def table_of(cluster: LocalCluster, views: Sequence[NodeView], rates: Sequence[str]) -> Table:
    """All nodes, one a row."""
    table = Table(title=f"clustrio up - {len(cluster.nodes)} nodes, Ctrl-C ends them")
    for title in ("node", "address", "role", "state", "slots", "link", "ops/s"):
        table.add_column(title)
    for node, view, rate in zip(cluster.nodes, views, rates, strict=True):
        own = next((line for line in view.nodes.values() if "myself" in line.flags), None)
        if own is None:
            table.add_row(str(node.index), node.address, "", "[red]down[/red]", "", "", "")
            continue
        state = view.cluster.get("cluster_state", "?")
        colour = "green" if state == "ok" else "red"
        role = "replica" if own.role == "slave" else "master"
        link = view.replication.get("master_link_status", "")
        slots = " ".join(own.slots)
        table.add_row(
            str(node.index), node.address, role, f"[{colour}]{state}[/{colour}]", slots, link, rate
        )
    return table


def watch(cluster: LocalCluster) -> None:
    """Show the cluster until interrupted."""
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        while True:
            time.sleep(_PERIOD_S)
    with Live(console=console, auto_refresh=False) as live:
        while True:
            views = cluster.snapshot().views
            rates = [
                node.info("stats").get("instantaneous_ops_per_sec", "")
                if view.cluster and node.is_running
                else ""
                for node, view in zip(cluster.nodes, views, strict=True)
            ]
            live.update(table_of(cluster, views, rates), refresh=True)
            time.sleep(_PERIOD_S)
