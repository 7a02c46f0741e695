"""Make a node the replica of a master, and wait until it is in sync."""

import argparse

from .add_node import follow
from .failures import AdminError
from .joining import Candidate
from .options import access_of, add_action, seed_address
from .screen import Report, Screen, count
from .topology import Cluster
from .waiting import wait_for_agreement


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("node", metavar="NODE", help="id or HOST:PORT of the replica-to-be")
    parser.add_argument("primary", metavar="MASTER", help="id or HOST:PORT of its master")
    parser.add_argument("address", nargs="*", metavar="HOST:PORT", help="any node of the cluster")
    add_action(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Check, tell, wait."""
    seed = options.address or ([options.node] if ":" in options.node else [])
    cluster = Cluster(seed_address(seed), access_of(options))
    try:
        node, primary = cluster.find(options.node), cluster.find(options.primary)
        if not primary.is_primary:
            raise AdminError(f"{primary.name} is a replica itself", "give a master")
        if node is primary:
            raise AdminError(f"{node.name} cannot follow itself", "give another master")
        if node.is_primary and node.line.slots:
            raise AdminError(
                f"{node.name} owns {count(len(node.line.slots), 'slot')}",
                "move them away first: 'clustrio cluster reshard', or 'rebalance --weight ...=0'",
            )
        if node.is_primary and node.connection.number("DBSIZE"):
            raise AdminError(
                f"{node.name} holds keys, which would be lost",
                "look with 'clustrio cluster check --search-multiple-owners', repair with 'fix'",
            )
        screen.say(f"{node.name} follows {primary.name}")
        fields = {
            "dry_run": options.dry_run,
            "node": node.name,
            "id": node.node_id,
            "master": primary.name,
            "master_id": primary.node_id,
        }
        if not options.dry_run:
            candidate = Candidate(node.connection, node.node_id, node.line.bus_port)
            follow(cluster, candidate, primary, options.timeout, screen)
            wait_for_agreement(cluster, options.timeout, screen)
            screen.say("in sync", "green")
        return Report(True, fields)
    finally:
        cluster.close()
