"""List the masters with their keys, slots and replicas."""

import argparse

from .diagnosis import Problem
from .options import add_address, open_cluster
from .screen import Json, Report, Screen, count
from .topology import Node


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look and tell."""
    cluster = open_cluster(options)
    rows: list[dict[str, Json]] = []
    problems: list[Problem] = []
    total = 0
    try:
        for node in cluster.primaries:
            keys = node.connection.number("DBSIZE") if node.is_reachable else None
            total += keys or 0
            if node.failure is not None:
                problems.append(Problem("unreachable", node.failure.text, (node.name,)))
            rows.append(_row(node, keys, len(cluster.replicas_of(node))))
    finally:
        cluster.close()
    screen.table(
        ("master", "id", ">keys", ">slots", ">replicas"),
        [
            (
                str(row["address"]),
                str(row["id"])[:8],
                "?" if row["keys"] is None else f"{row['keys']:,}",
                f"{row['slots']:,}",
                str(row["replicas"]),
            )
            for row in rows
        ],
    )
    for problem in problems:
        screen.say(problem.text, "red")
    per_slot = total / 16_384
    screen.say(
        f"{count(total, 'key')} in {count(len(rows), 'master')}, {per_slot:.2f} per slot on average"
    )
    return Report(not problems, {"masters": rows, "keys": total, "keys_per_slot": per_slot})


def _row(node: Node, keys: int | None, replicas: int) -> dict[str, Json]:
    return {
        "address": node.name,
        "id": node.node_id,
        "keys": keys,
        "slots": len(node.line.slots),
        "slot_ranges": node.line.slots.text(),
        "replicas": replicas,
    }
