"""Promote a replica: the one that is named, the best of a master, or one for every master in turn.

Without --force or --takeover no write is lost: the master stops its clients until the replica has
everything. --force does not ask the master, --takeover asks nobody.
"""

import argparse
import time

from attrs import frozen

from .failures import AdminError, UsageError
from .options import access_of, add_action, seed_address
from .screen import Json, Report, Screen
from .topology import Cluster, Node, ask_lines, own_line
from .waiting import wait_for_agreement, wait_until


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument(
        "address", nargs="*", metavar="HOST:PORT", help="the replica, or any node of the cluster"
    )
    parser.add_argument(
        "--node", metavar="NODE", help="id or HOST:PORT of a replica, or of a master to relieve"
    )
    parser.add_argument(
        "--all-masters",
        "--all-primaries",
        action="store_true",
        dest="everyone",
        help="one after the other, each when the one before is in sync again",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--force", action="store_true", help="do not ask the master")
    which.add_argument("--takeover", action="store_true", help="do not ask the other masters")
    add_action(parser)


@frozen
class _Change:
    replica: Node
    primary_name: str
    primary_id: str


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Choose, ask, promote, wait."""
    if options.everyone and options.node:
        raise UsageError("--all-masters and --node exclude each other")
    cluster = Cluster(seed_address(options.address), access_of(options))
    done: list[Json] = []
    try:
        changes = _choose(cluster, options, screen)
        for change in changes:
            screen.say(f"{change.replica.name} takes over from {change.primary_name}")
        if not options.dry_run:
            screen.confirm("go ahead?", is_agreed=options.yes)
        for change in changes:
            seconds = None
            if not options.dry_run:
                seconds = _promote(cluster, change, options, screen)
                screen.say(f"{change.replica.name} is master after {seconds:.2f} s", "green")
            done.append(
                {
                    "promoted": change.replica.name,
                    "id": change.replica.node_id,
                    "from": change.primary_name,
                    "seconds": seconds,
                }
            )
    finally:
        cluster.close()
    return Report(True, {"dry_run": options.dry_run, "failovers": done})


def _choose(cluster: Cluster, options: argparse.Namespace, screen: Screen) -> list[_Change]:
    if options.everyone:
        found = []
        for primary in cluster.primaries:
            if primary.line.slots and cluster.replicas_of(primary):
                found.append(_Change(_best(cluster, primary), primary.name, primary.node_id))
            elif primary.line.slots:
                screen.note(f"  {primary.name} has no replica and stays")
        if not found:
            raise AdminError(
                "no master has a replica", "add some: 'clustrio cluster add-node --replica'"
            )
        return found
    if options.node:
        node = cluster.find(options.node)
    else:
        node = next((n for n in cluster.nodes if n.line.address == cluster.seed), cluster.nodes[0])
    if node.is_primary:
        return [_Change(_best(cluster, node), node.name, node.node_id)]
    if node.failure is not None:
        raise node.failure
    primary_id = node.line.primary_id or ""
    names = [each.name for each in cluster.nodes if each.node_id == primary_id]
    return [_Change(node, names[0] if names else primary_id[:8], primary_id)]


def _best(cluster: Cluster, primary: Node) -> Node:
    """The replica that has the most of the data."""
    replicas = [node for node in cluster.replicas_of(primary) if node.is_reachable]
    if not replicas:
        raise AdminError(
            f"{primary.name} has no replica that answers",
            "add one: 'clustrio cluster add-node --replica'",
        )
    return max(replicas, key=_offset)


def _offset(node: Node) -> int:
    fields = node.connection.info("replication")
    return int(fields.get("slave_repl_offset", 0))


def _promote(
    cluster: Cluster, change: _Change, options: argparse.Namespace, screen: Screen
) -> float:
    words = ["TAKEOVER"] if options.takeover else ["FORCE"] if options.force else []
    started_s = time.monotonic()
    connection = change.replica.connection
    if not own_line(ask_lines(connection)).is_replica:
        # Somebody was quicker, such as an election.
        return 0.0
    connection.call("CLUSTER", "FAILOVER", *words)

    def complaint() -> str:
        own = own_line(ask_lines(connection))
        return f"{change.replica.name} is still a replica" if own.is_replica else ""

    wait_until(
        complaint,
        "the failover",
        options.timeout,
        screen,
        "the replica may lag, or a majority of masters may be out of reach: see its log; "
        "--force does without the master, --takeover without a vote",
    )
    wait_for_agreement(cluster, options.timeout, screen)
    _await_old_primary(cluster, change, options, screen)
    return time.monotonic() - started_s


def _await_old_primary(
    cluster: Cluster, change: _Change, options: argparse.Namespace, screen: Screen
) -> None:
    """The relieved master is in sync before the next one's turn, so that no shard is left bare."""
    old = next((node for node in cluster.nodes if node.node_id == change.primary_id), None)
    if old is None or not old.is_reachable:
        return

    def complaint() -> str:
        if own_line(ask_lines(change.replica.connection)).is_replica:
            raise AdminError(
                f"{change.replica.name} was master, but has lost the role again",
                # Seen of redis-server 7.0: it counts the votes of its last election once more.
                "a redis-server that was promoted a moment ago cannot be so again before four "
                "times cluster-node-timeout are over: wait that long, then run this again",
            )
        link = old.connection.info("replication").get("master_link_status")
        return "" if link == "up" else f"{old.name} is not in sync yet ({link})"

    wait_until(
        complaint,
        "the relieved master follows",
        options.timeout,
        screen,
        "see its log; masterauth must fit, if there is a password",
    )
