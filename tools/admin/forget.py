"""Make all nodes forget one that is lost, within the minute for which they do not take it back."""

import argparse

from .failures import AdminError, ReplyError, UsageError
from .options import access_of, add_action, seed_address
from .screen import Report, Screen, count
from .topology import Cluster, ask_lines
from .waiting import wait_until


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "address", nargs="+", metavar="HOST:PORT NODE", help="a node of the cluster, and the lost"
    )
    add_action(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Ask all nodes."""
    *seed, word = options.address
    if not seed:
        raise UsageError("HOST:PORT of the cluster and the node to forget are needed")
    cluster = Cluster(seed_address(seed), access_of(options))
    try:
        node_id = _node_id(cluster, word)
        node = next((each for each in cluster.nodes if each.node_id == node_id), None)
        if node is not None and node.line.slots:
            raise AdminError(
                f"{node.name} owns {count(len(node.line.slots), 'slot')}",
                "use 'clustrio cluster del-node', which drains it first; if it is lost with its "
                "slots: 'clustrio cluster fix --fix-with-unreachable-masters'",
            )
        others = [each.name for each in cluster.reachable if each.node_id != node_id]
        screen.say(f"{count(len(others), 'node')} forget {node_id[:8]}")
        fields = {"dry_run": options.dry_run, "id": node_id, "told": others}
        if not options.dry_run:
            forget_everywhere(cluster, node_id, options.timeout, screen)
        return Report(True, fields)
    finally:
        cluster.close()


def _node_id(cluster: Cluster, word: str) -> str:
    """Also nodes without an address, which are no members that could be asked."""
    seen = {node_id for node in cluster.reachable for node_id in node.lines}
    found = [node_id for node_id in seen if node_id.startswith(word.lower())]
    return found[0] if len(found) == 1 else cluster.find(word).node_id


def forget_everywhere(cluster: Cluster, node_id: str, timeout_s: float, screen: Screen) -> None:
    """FORGET on all nodes but itself, until none knows it."""
    others = [node for node in cluster.reachable if node.node_id != node_id]

    def complaint() -> str:
        for node in others:
            if node_id in ask_lines(node.connection):
                try:
                    node.connection.call("CLUSTER", "FORGET", node_id)
                except ReplyError as failure:
                    if "Unknown node" not in failure.reply:
                        raise
        stubborn = [node.name for node in others if node_id in ask_lines(node.connection)]
        return f"{', '.join(stubborn)} know it still" if stubborn else ""

    wait_until(
        complaint,
        f"all nodes have forgotten {node_id[:8]}",
        timeout_s,
        screen,
        "shut the lost node down, so that it cannot come back by gossip; then run this again",
    )
