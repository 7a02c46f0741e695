"""Show the load of each node, live: operations, hit rate, memory, keys, clients, lag.

In a terminal until Ctrl-C; --count ends it after so many looks. With --json one line a look.
"""

import argparse
import itertools
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from attrs import frozen

from .failures import AdminError
from .nodes import health_of
from .options import add_address, open_cluster, positive, whole
from .screen import Json, Report, Screen, painted_cell, size
from .topology import Cluster, Node

if TYPE_CHECKING:
    from rich.table import Table

_PATIENCE_S: Final = 1.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--interval", type=positive, default=1.0, metavar="SECONDS", help="default: %(default)g"
    )
    parser.add_argument("--count", type=whole, default=None, metavar="LOOKS")


@frozen
class Sample:
    """A node at one moment."""

    at_s: float
    info: Mapping[str, str]

    def number(self, name: str) -> int:
        """A field that is a number; 0 if it is not there."""
        text = self.info.get(name, "0")
        return int(text) if text.lstrip("-").isdigit() else 0

    @property
    def keys(self) -> int:
        """Keys of all databases."""
        total = 0
        for name, value in self.info.items():
            if name.startswith("db") and name[2:].isdigit():
                total += int(value.partition("keys=")[2].partition(",")[0] or 0)
        return total


@frozen
class Load:
    """What two samples tell."""

    ops_per_second: float
    hit_percent: float | None
    """None if nothing was looked up."""


def load_between(before: Sample | None, after: Sample) -> Load:
    """Rates; without an earlier sample those that the node itself gives."""
    hits, misses = after.number("keyspace_hits"), after.number("keyspace_misses")
    if before is None:
        rate = float(after.number("instantaneous_ops_per_sec"))
    else:
        hits -= before.number("keyspace_hits")
        misses -= before.number("keyspace_misses")
        done = after.number("total_commands_processed")
        done -= before.number("total_commands_processed")
        rate = max(0.0, done / max(0.001, after.at_s - before.at_s))
    looked_up = hits + misses
    return Load(rate, 100 * hits / looked_up if looked_up > 0 and hits >= 0 else None)


def _sample(node: Node) -> Sample | None:
    if not node.is_reachable:
        return None
    try:
        return Sample(time.monotonic(), node.connection.info())
    except AdminError:
        return None


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Look again and again."""
    # Who hangs must not hide what happens to the others.
    options.connect_timeout = min(options.connect_timeout, _PATIENCE_S)
    cluster = open_cluster(options)
    samples: dict[str, Sample] = {}
    try:
        is_live = sys.stdout.isatty() and not screen.is_json
        if is_live:
            return _live(cluster, options, samples)
        limit = options.count or (1 if not screen.is_json else None)
        for look in itertools.count(1):
            rows = look_at(cluster, samples)
            if screen.is_json:
                screen.line({"command": "top", "ok": True, "error": None, "nodes": rows})
            else:
                from rich.console import Console

                Console(width=160, highlight=False).print(_table(rows))
            if look == limit:
                break
            time.sleep(options.interval)
            cluster.refresh()
    finally:
        cluster.close()
    return Report(True, {"looks": look})


def _live(cluster: Cluster, options: argparse.Namespace, samples: dict[str, Sample]) -> Report:
    from rich.live import Live

    look = 0
    try:
        with Live(auto_refresh=False, screen=options.count is None) as live:
            for look in itertools.count(1):
                live.update(_table(look_at(cluster, samples)), refresh=True)
                if look == options.count:
                    break
                time.sleep(options.interval)
                cluster.refresh()
    except KeyboardInterrupt:
        # That is how people leave it.
        return Report(True, {"looks": look})
    return Report(True, {"looks": look})


def look_at(cluster: Cluster, samples: dict[str, Sample]) -> list[dict[str, Json]]:
    """A row for each node; keeps the samples for the next look."""
    ordered = []
    for primary in cluster.primaries:
        ordered += [primary, *cluster.replicas_of(primary)]
    with ThreadPoolExecutor(16) as pool:
        fresh = dict(
            zip((node.node_id for node in ordered), pool.map(_sample, ordered), strict=True)
        )
    rows = []
    for node in ordered:
        sample = fresh[node.node_id]
        row: dict[str, Json] = {
            "address": node.name,
            "id": node.node_id,
            "role": "master" if node.is_primary else "replica",
            "health": health_of(cluster, node) if sample else "down",
            "slots": len(node.line.slots),
        }
        primary_sample = fresh.get(node.line.primary_id or "")
        row.update(_figures(sample, samples.get(node.node_id), primary_sample, node.is_primary))
        rows.append(row)
        if sample:
            samples[node.node_id] = sample
    return rows


def _figures(
    sample: Sample | None, before: Sample | None, primary: Sample | None, is_primary: bool
) -> dict[str, Json]:
    if sample is None:
        names = ("ops_per_second", "hit_percent", "memory_bytes", "memory_limit_bytes", "keys")
        return dict.fromkeys((*names, "clients", "lag_bytes", "link"))
    load = load_between(before, sample)
    lag = None
    if not is_primary and primary is not None:
        lag = max(0, primary.number("master_repl_offset") - sample.number("slave_repl_offset"))
    return {
        "ops_per_second": round(load.ops_per_second, 1),
        "hit_percent": None if load.hit_percent is None else round(load.hit_percent, 1),
        "memory_bytes": sample.number("used_memory"),
        "memory_limit_bytes": sample.number("maxmemory"),
        "keys": sample.keys,
        "clients": sample.number("connected_clients"),
        "lag_bytes": lag,
        "link": None if is_primary else sample.info.get("master_link_status"),
    }


def _table(rows: list[dict[str, Json]]) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
    names = ("address", "health", "slots", "keys", "ops/s", "hits", "memory", "clients", "lag")
    for name in names:
        table.add_column(
            name, justify="left" if name in ("address", "health") else "right", no_wrap=True
        )
    colours = {"ok": "green", "fail?": "yellow"}
    for row in rows:
        health = str(row["health"])
        is_replica = row["role"] == "replica"
        cells = [
            ("  " if is_replica else "") + str(row["address"]),
            painted_cell(health, colours.get(health, "red")),
            "" if is_replica else f"{row['slots']:,}",
            _whole(row["keys"]),
            _whole(row["ops_per_second"]),
            "" if row["hit_percent"] is None else f"{row['hit_percent']}%",
            _memory(row),
            _whole(row["clients"]),
            _lag(row),
        ]
        table.add_row(*map(Text.from_ansi, cells))
    primaries = [row for row in rows if row["role"] == "master"]
    table.add_section()
    table.add_row(
        Text("masters", style="bold"),
        "",
        _total(primaries, "slots"),
        _total(primaries, "keys"),
        _total(primaries, "ops_per_second"),
        "",
        size(_sum(primaries, "memory_bytes")),
        _total(primaries, "clients"),
        "",
    )
    return table


def _sum(rows: Sequence[Mapping[str, Json]], name: str) -> float:
    return sum(value for row in rows if isinstance(value := row[name], int | float))


def _total(rows: Sequence[Mapping[str, Json]], name: str) -> str:
    return f"{_sum(rows, name):,.0f}"


def _whole(value: Json) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) else ""


def _memory(row: Mapping[str, Json]) -> str:
    used, limit = row["memory_bytes"], row["memory_limit_bytes"]
    if not isinstance(used, int):
        return ""
    return f"{size(used)}/{size(limit)}" if isinstance(limit, int) and limit else size(used)


def _lag(row: Mapping[str, Json]) -> str:
    if row["link"] not in (None, "up"):
        return painted_cell("link down", "red")
    lag = row["lag_bytes"]
    return size(lag) if isinstance(lag, int) else ""
