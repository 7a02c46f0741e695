"""Make a cluster of empty nodes: masters with all slots, and replicas kept off their hosts.

Runs again on what a broken-off run has left, as long as the nodes are those of that run.
"""

import argparse
from collections.abc import Mapping, Sequence

from attrs import frozen

from ...slots.plan_create import Address, CreatePlan, PlannedReplica, plan_create
from ...slots.slotset import SlotSet
from .connection import Connection, close_all, display, parse_address
from .failures import ReplyError, UsageError
from .joining import Candidate, meet, require_empty, wait_until_all_know, wait_until_following
from .options import access_of, add_action, natural
from .screen import Json, Report, Screen, count
from .topology import Cluster, ask_lines, own_line
from .waiting import wait_for_agreement, wait_until

#: With fewer masters nobody can be voted out.
_FAILOVER_PRIMARIES_MIN = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Its options."""
    parser.add_argument("address", nargs="+", metavar="HOST:PORT")
    parser.add_argument(
        "--replicas",
        "--cluster-replicas",
        type=natural,
        default=0,
        metavar="N",
        help="of each master (default: %(default)s)",
    )
    add_action(parser)


@frozen
class _Run:
    """What all steps need."""

    plan: CreatePlan
    nodes: Mapping[Address, Candidate]
    options: argparse.Namespace
    screen: Screen

    def of(self, address: Address) -> Candidate:
        return self.nodes[address]


def run(options: argparse.Namespace, screen: Screen) -> Report:
    """Plan, ask, do, wait."""
    addresses = [parse_address(word) for word in options.address]
    if len(set(addresses)) < len(addresses):
        raise UsageError("an address is given twice")
    access = access_of(options)
    connections = {address: Connection(address, access) for address in addresses}
    try:
        plan = plan_create(addresses, options.replicas)
        nodes = {
            address: _candidate(connection, plan, addresses)
            for address, connection in connections.items()
        }
        _show(plan, screen)
        fields = _fields(plan)
        if options.dry_run:
            return Report(True, {**fields, "dry_run": True, "created": False})
        screen.confirm("make this cluster?", is_agreed=options.yes)
        seconds = _create(_Run(plan, nodes, options, screen))
    finally:
        close_all(connections.values())
    screen.say(f"the cluster serves after {seconds:.1f} s", "green")
    return Report(True, {**fields, "dry_run": False, "created": True, "seconds": seconds})


def _candidate(connection: Connection, plan: CreatePlan, addresses: Sequence[Address]) -> Candidate:
    """An empty node, or one that a broken-off run has begun with."""
    lines = ask_lines(connection)
    own = own_line(lines)
    planned = {
        primary.address: SlotSet.of_ranges([(primary.first_slot, primary.last_slot)])
        for primary in plan.primaries
    }
    known = {Address(address.host, address.port) for address in addresses}
    others = {line.address for line in lines.values()} - {own.address}
    replica_count = sum(line.is_replica for line in lines.values())
    is_whole = len(lines) == len(known) and replica_count == len(plan.replicas)
    is_begun = len(lines) > 1 or bool(own.slots)
    fits = others <= known and own.slots in (SlotSet(), planned.get(connection.address))
    if own.is_replica:
        primary = lines[own.primary_id].address if own.primary_id in lines else None
        fits = PlannedReplica(connection.address, primary) in plan.replicas if primary else False
    if is_begun and fits and not is_whole and not connection.number("DBSIZE"):
        return Candidate(connection, own.node_id, own.bus_port)
    return require_empty(connection)


def _show(plan: CreatePlan, screen: Screen) -> None:
    for primary in plan.primaries:
        place = display(primary.address)
        screen.say(f"master  {place:<22} slots {primary.first_slot}-{primary.last_slot}")
        for replica in plan.replicas:
            if replica.primary == primary.address:
                screen.say(f"  replica {display(replica.address)}")
    if plan.score:
        screen.say("some replicas share a host with their master or each other", "yellow")
    if len(plan.primaries) < _FAILOVER_PRIMARIES_MIN:
        text = f"with {count(len(plan.primaries), 'master')} there is no automatic failover"
        screen.say(text, "yellow")


def _fields(plan: CreatePlan) -> dict[str, Json]:
    return {
        "masters": [
            {"address": display(p.address), "slots": f"{p.first_slot}-{p.last_slot}"}
            for p in plan.primaries
        ],
        "replicas": [
            {"address": display(r.address), "master": display(r.primary)} for r in plan.replicas
        ],
        "anti_affinity_score": plan.score,
    }


def _create(run: _Run) -> float:
    seconds = 0.0
    steps = len(run.nodes) * 3
    with run.screen.progress("creating", steps) as advance:
        for index, address in enumerate(run.nodes):
            _set_epoch(run.of(address), index + 1)
            advance(1, "epochs")
        for primary in run.plan.primaries:
            candidate = run.of(primary.address)
            wanted = SlotSet.of_ranges([(primary.first_slot, primary.last_slot)])
            if own_line(ask_lines(candidate.connection)).slots != wanted:
                _add_slots(candidate.connection, wanted)
        first, *others = run.nodes.values()
        for candidate in others:
            meet(candidate.connection, first.connection.address, first.bus_port)
            advance(1, "meeting")
        connections = [candidate.connection for candidate in run.nodes.values()]
        node_ids = {candidate.node_id for candidate in run.nodes.values()}
        seconds += wait_until_all_know(connections, node_ids, run.options.timeout, run.screen)
        for replica in run.plan.replicas:
            primary_id = run.of(replica.primary).node_id
            run.of(replica.address).connection.call("CLUSTER", "REPLICATE", primary_id)
        for replica in run.plan.replicas:
            candidate = run.of(replica.address)
            primary_id = run.of(replica.primary).node_id
            seconds += wait_until_following(
                candidate.connection, primary_id, run.options.timeout, run.screen
            )
            advance(1, "replicating")
    return seconds + _await_service(first, run)


def _await_service(first: Candidate, run: _Run) -> float:
    cluster = Cluster(first.connection.address, first.connection.access)
    try:
        seconds = wait_for_agreement(cluster, run.options.timeout, run.screen)

        def complaint() -> str:
            for node in cluster.reachable:
                if "cluster_state:ok" not in node.connection.text("CLUSTER", "INFO"):
                    return f"{node.name} says cluster_state:fail"
            return ""

        return seconds + wait_until(
            complaint,
            "the cluster serves",
            run.options.timeout,
            run.screen,
            "look with 'clustrio cluster check'",
        )
    finally:
        cluster.close()


def _set_epoch(candidate: Candidate, epoch: int) -> None:
    try:
        candidate.connection.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    except ReplyError as failure:
        # A node that has an epoch, or knows others, was here before: its epoch settles by itself.
        if "already" not in failure.reply and "only" not in failure.reply:
            raise


def _add_slots(connection: Connection, slots: SlotSet) -> None:
    ends = [end for pair in slots.ranges() for end in pair]
    if connection.knows("CLUSTER", "ADDSLOTSRANGE", *ends):
        return
    # Servers before 7.0; what else may be wrong, this says.
    connection.call("CLUSTER", "ADDSLOTS", *slots)
