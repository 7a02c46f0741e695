"""Take a node into the cluster, as an empty master or as a replica.

Run again after it was broken off, it goes on where it was.
"""

import argparse

from attrs import evolve

from .connection import Connection, display, parse_address
from .failures import AdminError, ReplyError, UsageError
from .joining import Candidate, meet, require_empty, wait_until_all_know, wait_until_following
from .options import access_of, add_action, seed_address
from .screen import Report, Screen, count
from .topology import Cluster, Node
from .waiting import wait_for_agreement


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("new", metavar="NEW_HOST:PORT")
    parser.add_argument("address", nargs="*", metavar="HOST:PORT", help="any node of the cluster")
    parser.add_argument(
        "--replica",
        "--cluster-replica",
        "--slave",
        "--cluster-slave",
        action="store_true",
        help="of the master that has the fewest, or of --master-id",
    )
    parser.add_argument(
        "--master-id",
        "--cluster-master-id",
        "--primary-id",
        "--primaries-id",
        "--cluster-primaries-id",
        dest="primary",
        metavar="NODE",
        help="id or HOST:PORT",
    )
    add_action(parser)


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Check, meet, wait, follow."""
    if options.primary and not options.replica:
        raise UsageError("--master-id is for replicas: give --replica as well")
    new = parse_address(options.new)
    cluster = Cluster(seed_address(options.address), access_of(options))
    connection = Connection(new, cluster.access)
    try:
        primary = _primary(cluster, options, new.host) if options.replica else None
        known = next((n for n in cluster.nodes if n.line.address == new and n.is_reachable), None)
        if known is None:
            candidate = require_empty(connection)
        else:
            screen.note(f"  {known.name} is a member already")
            candidate = Candidate(connection, known.node_id, known.line.bus_port)
        role = f"replica of {primary.name}" if primary else "master without slots"
        screen.say(f"{display(new)} joins {count(len(cluster.nodes), 'node')} as {role}")
        fields = {
            "dry_run": options.dry_run,
            "node": display(new),
            "id": candidate.node_id,
            "role": "replica" if primary else "master",
            "master": primary.name if primary else None,
        }
        if options.dry_run:
            return Report(True, fields)
        if known is None:
            _join(cluster, candidate, options, screen)
        if primary is not None:
            follow(cluster, candidate, primary, options.timeout, screen)
        else:
            _copy_functions(cluster, candidate, screen)
        wait_for_agreement(cluster, options.timeout, screen)
        screen.say(f"{display(new)} is a member, id {candidate.node_id}", "green")
        return Report(True, fields)
    finally:
        connection.close()
        cluster.close()


def _primary(cluster: Cluster, options: argparse.Namespace, host: str) -> Node:
    """Whom to follow: as asked, or whoever has the fewest replicas, best on another host."""
    if options.primary:
        found = cluster.find(options.primary)
        if not found.is_primary:
            raise AdminError(f"{found.name} is a replica itself", "give a master")
        return found
    able = [node for node in cluster.primaries if node.is_reachable and node.line.slots]
    if not able:
        raise AdminError("no master with slots can be reached", "start one, then try again")
    return min(
        able,
        key=lambda node: (len(cluster.replicas_of(node)), node.line.address.host == host),
    )


def _join(
    cluster: Cluster, candidate: Candidate, options: argparse.Namespace, screen: Screen
) -> None:
    host = next((node for node in cluster.primaries if node.is_reachable), None)
    if host is None:
        raise AdminError("no master can be reached", "start one, then try again")
    meet(candidate.connection, host.line.address, host.line.bus_port)
    members = cluster.reachable
    connections = [candidate.connection, *(node.connection for node in members)]
    node_ids = {candidate.node_id, *(node.node_id for node in members)}
    wait_until_all_know(connections, node_ids, options.timeout, screen)


def follow(
    cluster: Cluster, candidate: Candidate, primary: Node, timeout_s: float, screen: Screen
) -> None:
    """Make a node the replica of a master, and wait until it has the data."""
    candidate.connection.call("CLUSTER", "REPLICATE", primary.node_id)
    # A full copy of a big data set takes its time, and the node answers nothing meanwhile.
    patient = evolve(cluster.access, timeout_s=max(timeout_s, cluster.access.timeout_s))
    connection = Connection(candidate.connection.address, patient)
    try:
        wait_until_following(connection, primary.node_id, timeout_s, screen)
    finally:
        connection.close()


def _copy_functions(cluster: Cluster, candidate: Candidate, screen: Screen) -> None:
    """A master has the functions of the others; replicas get them from their master."""
    source = next(node for node in cluster.primaries if node.is_reachable)
    try:
        libraries = source.connection.call("FUNCTION", "DUMP")
        if isinstance(libraries, bytes):
            candidate.connection.call("FUNCTION", "RESTORE", libraries, "REPLACE")
    except ReplyError as failure:
        screen.note(f"  functions were not copied: {failure.text}")
