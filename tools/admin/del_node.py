"""Remove a node: its slots go to the other masters first, its replicas get a new master, all others
forget it, and the node itself is reset, so that it can join another cluster.

Run again after it was broken off, it goes on where it was.
"""

import argparse

from ...slots.plan_drain import plan_drain
from .failures import AdminError, UsageError
from .forget import forget_everywhere
from .moving import Moved, Mover
from .options import access_of, add_action, add_moving, move_options, seed_address
from .plans import carry_out, moved_fields, moves_fields, show_moves
from .repairing import finish_interrupted
from .screen import Json, Report, Screen, count
from .topology import Cluster, Node
from .waiting import wait_for_agreement, wait_until


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "address",
        nargs="+",
        metavar="HOST:PORT NODE",
        help="any node of the cluster, and id or HOST:PORT of the one that leaves",
    )
    parser.add_argument("--drain", action="store_true", help="move its slots away without asking")
    parser.add_argument(
        "--no-reset", action="store_true", help="do not reset the node that has left"
    )
    add_action(parser)
    add_moving(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Drain, hand over the replicas, forget, reset."""
    *seed, word = options.address
    if not seed:
        raise UsageError("HOST:PORT of the cluster and the node that leaves are needed")
    cluster = Cluster(seed_address(seed), access_of(options))
    try:
        node = cluster.find(word)
        others = [each for each in cluster.nodes if each is not node]
        if not others:
            raise AdminError(f"{node.name} is the last node", "shut it down instead")
        if cluster.seed == node.line.address:
            # The others are asked from now on: this one will forget them.
            cluster.seed = next((n for n in others if n.is_reachable), node).line.address
        replicas = cluster.replicas_of(node)
        fields: dict[str, Json] = {
            "dry_run": options.dry_run,
            "node": node.name,
            "id": node.node_id,
            "replicas_moved": [replica.name for replica in replicas],
        }
        moved, fields["moves"] = _drain(cluster, node, options, screen)
        if options.dry_run:
            screen.say(f"then {node.name} would be forgotten by {count(len(others), 'node')}")
            return Report(True, {**fields, **moved_fields(moved)})
        screen.confirm(f"remove {node.name} from the cluster?", is_agreed=options.yes)
        _rehome(cluster, node, replicas, screen)
        forget_everywhere(cluster, node.node_id, options.timeout, screen)
        if node.is_reachable and not options.no_reset:
            _reset(node, options.timeout, screen)
        wait_for_agreement(cluster, options.timeout, screen)
        screen.say(f"{node.name} has left", "green")
        return Report(True, {**fields, **moved_fields(moved)})
    finally:
        cluster.close()


def _drain(
    cluster: Cluster, node: Node, options: argparse.Namespace, screen: Screen
) -> tuple[Moved, Json]:
    if not node.is_primary or not node.line.slots:
        return Moved(), []
    slot_count = len(node.line.slots)
    if not node.is_reachable:
        raise AdminError(
            f"{node.name} owns {count(slot_count, 'slot')} and does not answer",
            "start it again, or promote its replica ('clustrio cluster failover --takeover')",
        )
    how = move_options(options)
    finisher = Mover(cluster, how, screen)
    if finish_interrupted(cluster, finisher, screen, is_dry=options.dry_run):
        cluster.refresh()
    moves = plan_drain(cluster.plan_primaries(), node.node_id)
    show_moves(cluster, moves, screen)
    planned = moves_fields(cluster, moves)
    if options.dry_run or not moves:
        return Moved(), planned
    screen.confirm(
        f"{node.name} owns {count(slot_count, 'slot')}: move them to the other masters?",
        is_agreed=options.yes or options.drain,
    )
    return carry_out(cluster, moves, how, screen, f"draining {node.name}"), planned


def _rehome(cluster: Cluster, node: Node, replicas: list[Node], screen: Screen) -> None:
    """Its replicas follow whoever has the fewest."""
    cluster.refresh()
    able = [each for each in cluster.primaries if each.node_id != node.node_id and each.line.slots]
    for replica in replicas:
        if not replica.is_reachable or not able:
            continue
        primary = min(able, key=lambda each: len(cluster.replicas_of(each)))
        screen.say(f"{replica.name} follows {primary.name} from now on")
        replica.connection.call("CLUSTER", "REPLICATE", primary.node_id)
        cluster.refresh()


def _reset(node: Node, timeout_s: float, screen: Screen) -> None:
    """Without its last slot it follows somebody, and takes no orders while it loads his data."""

    def complaint() -> str:
        node.connection.call("CLUSTER", "RESET", "SOFT")
        return ""

    try:
        wait_until(complaint, f"{node.name} is reset", timeout_s, screen, "reset it by hand")
    except AdminError as failure:
        screen.note(f"  it was not reset: {failure.text}")
