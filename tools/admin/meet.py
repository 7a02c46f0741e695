"""Let a node meet the cluster, and wait until all know each other; nothing else is changed."""

import argparse

from .connection import Connection, display, parse_address
from .joining import meet, wait_until_all_know
from .options import access_of, add_timeout, seed_address
from .screen import Report, Screen
from .topology import Cluster, ask_lines, own_line


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("new", metavar="NEW_HOST:PORT")
    parser.add_argument("address", nargs="*", metavar="HOST:PORT", help="any node of the cluster")
    add_timeout(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Introduce it."""
    new = parse_address(options.new)
    cluster = Cluster(seed_address(options.address), access_of(options))
    connection = Connection(new, cluster.access)
    try:
        node_id = own_line(ask_lines(connection)).node_id
        host = cluster.reachable[0]
        meet(connection, host.line.address, host.line.bus_port)
        members = cluster.reachable
        seconds = wait_until_all_know(
            [connection, *(node.connection for node in members)],
            {node_id, *(node.node_id for node in members)},
            options.timeout,
            screen,
        )
    finally:
        connection.close()
        cluster.close()
    screen.say(f"all know {display(new)} after {seconds:.1f} s", "green")
    return Report(True, {"node": display(new), "id": node_id, "seconds": seconds})
