"""Even out the masters: by their numbers of slots, or by keys, memory or operations.

Made again after it was broken off, the plan is the rest of the first one.
"""

import argparse
from collections.abc import Mapping, Sequence
from typing import Final

from ...slots.plan_rebalance import (
    DEFAULT_THRESHOLD_PERCENT,
    RebalancePlan,
    plan_rebalance,
    plan_rebalance_by_load,
)
from .connection import fields_of
from .diagnosis import key_counts
from .failures import AdminError, UsageError
from .moving import Moved, Mover
from .options import add_action, add_address, add_moving, fraction, move_options, open_cluster
from .plans import carry_out, human, moved_fields, moves_fields, show_moves
from .repairing import finish_interrupted
from .screen import Json, Report, Screen, count
from .topology import Cluster, Node, require_reachable

_UNITS: Final = {"slots": "slots", "keys": "keys", "memory": "bytes", "ops": "CPU microseconds"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    add_address(parser)
    parser.add_argument(
        "--weight",
        "--cluster-weight",
        nargs="+",
        action="extend",
        default=[],
        metavar="NODE=WEIGHT",
        help="relative, 1 by default; 0 empties a master",
    )
    parser.add_argument(
        "--threshold",
        "--cluster-threshold",
        type=fraction,
        default=DEFAULT_THRESHOLD_PERCENT,
        metavar="PERCENT",
        help="smaller differences are let be (default: %(default)g)",
    )
    parser.add_argument(
        "--use-empty-masters",
        "--cluster-use-empty-masters",
        "--use-empty-primaries",
        "--cluster-use-empty-primaries",
        action="store_true",
        dest="use_empty",
        help="masters without slots get their share, too",
    )
    parser.add_argument(
        "--by", choices=tuple(_UNITS), default="slots", help="what to even out (default: slots)"
    )
    add_action(parser)
    add_moving(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Finish what was begun, plan, ask, move."""
    # --weight takes all words that follow; those that are no weights are the address.
    words = [word for word in options.weight if "=" not in word]
    options.address = [*options.address, *words]
    cluster = open_cluster(options)
    try:
        how = move_options(options)
        finisher = Mover(cluster, how, screen)
        finished = finish_interrupted(cluster, finisher, screen, is_dry=options.dry_run)
        if finished and not options.dry_run:
            cluster.refresh()
        plan = _plan(cluster, options)
        for node_id, excess in plan.excess.items():
            node = cluster.by_id(node_id)
            more = "more" if excess >= 0 else "less"
            amount = human(abs(excess), options.by)
            screen.say(f"{node.name}: {amount} {_UNITS[options.by]} {more} than its share")
        show_moves(cluster, plan.moves, screen)
        fields: dict[str, Json] = {
            "dry_run": options.dry_run,
            "by": options.by,
            "finished_slots": [repair.slot for repair in finished],
            "excess": {cluster.by_id(key).name: value for key, value in plan.excess.items()},
            "moves": moves_fields(cluster, plan.moves),
        }
        moved = Moved()
        if not plan.moves:
            screen.say("balanced well enough: nothing to move", "green")
        elif not options.dry_run:
            screen.confirm(f"move {count(len(plan.moves), 'slot')}?", is_agreed=options.yes)
            moved = carry_out(cluster, plan.moves, how, screen, "rebalancing")
        return Report(True, {**fields, **moved_fields(moved)})
    finally:
        cluster.close()


def _plan(cluster: Cluster, options: argparse.Namespace) -> RebalancePlan:
    weights = _weights(cluster, options.weight)
    primaries = cluster.plan_primaries()
    require_reachable(cluster.primaries, "to rebalance")
    if options.by == "slots":
        return plan_rebalance(
            primaries,
            weights=weights,
            threshold_percent=options.threshold,
            use_empty_primaries=options.use_empty,
        )
    loads: dict[int, float] = {}
    for node in cluster.primaries:
        loads.update(_loads(node, options.by))
    return plan_rebalance_by_load(
        primaries,
        loads,
        weights=weights,
        threshold_percent=options.threshold,
        use_empty_primaries=options.use_empty,
    )


def _weights(cluster: Cluster, words: Sequence[str]) -> dict[str, float]:
    weights = {}
    for word in words:
        name, equals, text = word.rpartition("=")
        if not equals:
            continue
        try:
            weight = float(text)
        except ValueError:
            weight = -1.0
        if not 0 <= weight < float("inf"):
            raise UsageError(f"--weight {word}: {text!r} is no number from 0")
        weights[cluster.find(name).node_id] = weight
    return weights


def _loads(node: Node, by: str) -> Mapping[int, float]:
    """The load of each slot of a node."""
    if by == "keys":
        return key_counts(node, node.line.slots)
    if by == "ops":
        return _slot_stats(node, b"cpu-usec")
    return _memory(node)


def _memory(node: Node) -> Mapping[int, float]:
    """What the node has measured, or else its data set shared out by numbers of keys."""
    if node.connection.knows("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 0):
        stats = _slot_stats(node, b"memory-bytes", is_needed=False)
        if stats:
            return stats
    keys = key_counts(node, node.line.slots)
    fields = fields_of(node.connection.text("INFO", "memory"))
    data_bytes = float(fields.get("used_memory_dataset") or fields.get("used_memory") or 0)
    per_key = data_bytes / (sum(keys.values()) or 1)
    return {slot: number * per_key for slot, number in keys.items()}


def _slot_stats(node: Node, name: bytes, *, is_needed: bool = True) -> Mapping[int, float]:
    words = ("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 16_383)
    loads: dict[int, float] = {}
    if node.connection.knows(*words[:3], 0, 0):
        for entry in node.connection.items(*words):
            if not (isinstance(entry, list) and len(entry) == 2):
                continue
            slot, stats = entry
            if not isinstance(stats, list):
                continue
            values = dict(zip(map(bytes_of, stats[::2]), stats[1::2], strict=False))
            value = values.get(name)
            if isinstance(slot, int) and isinstance(value, int | float):
                loads[slot] = float(value)
    if not loads and is_needed and node.line.slots:
        raise AdminError(
            f"{node.name} does not measure the load of its slots",
            "set cluster-slot-stats-enabled yes there (Clustrio, Valkey 8), "
            "or use --by keys or --by memory",
        )
    return loads


def bytes_of(word: object) -> bytes:
    """The name of a field."""
    return word if isinstance(word, bytes) else b""
