"""List all nodes: role, health as the others see it, slots, epoch, and how far replicas lag."""

import argparse

from attrs import frozen

from .connection import fields_of
from .failures import AdminError
from .options import add_address, open_cluster
from .screen import Json, Report, Screen, painted_cell, size
from .topology import Cluster, Node


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)


@frozen
class Replication:
    """How far a node's data is."""

    offset: int
    link: str
    """`up` or `down` for replicas, else empty."""


def replication_of(node: Node) -> Replication:
    """INFO replication; an offset of -1 if the node does not answer."""
    if not node.is_reachable:
        return Replication(-1, "")
    try:
        fields = fields_of(node.connection.text("INFO", "replication"))
    except AdminError:
        return Replication(-1, "")
    if fields.get("role") == "slave":
        offset = int(fields.get("slave_repl_offset", -1))
        return Replication(offset, fields.get("master_link_status", ""))
    return Replication(int(fields.get("master_repl_offset", -1)), "")


def health_of(cluster: Cluster, node: Node) -> str:
    """`ok`, or the worst that any of the others says."""
    if not node.is_reachable:
        return "down"
    words = {
        other.lines[node.node_id].health
        for other in cluster.reachable
        if node.node_id in other.lines
    }
    return next((word for word in ("fail", "fail?") if word in words), "ok")


def rows_of(cluster: Cluster) -> list[dict[str, Json]]:
    """All nodes, each master followed by its replicas."""
    ordered = []
    for primary in cluster.primaries:
        ordered += [primary, *cluster.replicas_of(primary)]
    ordered += [node for node in cluster.nodes if node not in ordered]
    states = {node.node_id: replication_of(node) for node in ordered}
    rows: list[dict[str, Json]] = []
    for node in ordered:
        own = states[node.node_id]
        primary_state = states.get(node.line.primary_id or "")
        lag = None
        if primary_state and min(primary_state.offset, own.offset) >= 0:
            # Asked a moment apart, the replica may be further than its master was.
            lag = max(0, primary_state.offset - own.offset)
        rows.append(
            {
                "id": node.node_id,
                "address": node.name,
                "role": "master" if node.is_primary else "replica",
                "master": node.line.primary_id if not node.is_primary else None,
                "health": health_of(cluster, node),
                "slots": len(node.line.slots),
                "slot_ranges": node.line.slots.text(),
                "config_epoch": node.line.config_epoch,
                "link": own.link or None,
                "offset": own.offset if own.offset >= 0 else None,
                "lag_bytes": lag,
            }
        )
    return rows


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look and tell."""
    cluster = open_cluster(options)
    try:
        rows = rows_of(cluster)
    finally:
        cluster.close()
    colours = {"ok": "green", "fail?": "yellow"}
    cells = []
    for row in rows:
        health = str(row["health"])
        is_replica = row["role"] == "replica"
        lag = row["lag_bytes"]
        cells.append(
            (
                ("  " if is_replica else "") + str(row["address"]),
                str(row["id"])[:8],
                str(row["role"]),
                painted_cell(health, colours.get(health, "red")),
                "" if is_replica else f"{row['slots']:,}",
                str(row["config_epoch"]),
                "" if row["link"] is None else str(row["link"]),
                size(lag) if isinstance(lag, int) else "",
            )
        )
    screen.table(("address", "id", "role", "health", ">slots", ">epoch", "link", ">lag"), cells)
    return Report(all(row["health"] == "ok" for row in rows), {"nodes": rows})
