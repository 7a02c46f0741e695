"""One node's place in a cluster: the brain, joined to the node's data and to its clients.

The brain (`gossip.core`) decides; this file carries out what of it concerns the node itself (roles,
slots, pauses), routes requests, and hands the rest to the runtime's `Carrier` in the order that
`gossip.outputs` demands. It is pure: whoever owns the machine calls `tick` and `step`.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from ..gossip import events, views
from ..gossip.commands import Answer, Request
from ..gossip.config import Config as GossipConfig
from ..gossip.core import GossipCore
from ..gossip.events import Event
from ..gossip.inputs import ConfigChanged, Input
from ..gossip.messages import NodeId
from ..gossip.nodes_conf import StoredCluster
from ..gossip.outputs import (
    BecomePrimary,
    BecomeReplica,
    Change,
    ClusterStateChanged,
    DeleteKeys,
    DeliverPublish,
    Endpoint,
    FlushData,
    LinkOrder,
    Outputs,
    PauseWrites,
    Renamed,
    Send,
    SlotsMarked,
    SlotsMoved,
    UnpauseWrites,
)
from ..gossip.state import mask_of, slots_in
from ..slots import router
from ..slots.hashing import SLOT_COUNT, key_slot
from ..slots.router import Ask, CrossSlot, Decision, Down, DownReason, Moved, Serve, TryAgain
from ..slots.table import SlotTable
from .errors import CROSS_SLOT, CommandError
from .pause import PauseMode
from .registry import Command, Flag
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

_TRY_AGAIN: Final = CommandError(
    b"TRYAGAIN Multiple keys request during rehashing of slot",
)
_DOWN: Final = {
    DownReason.SLOT_UNASSIGNED: CommandError(b"CLUSTERDOWN Hash slot not served"),
    DownReason.CLUSTER_DOWN: CommandError(b"CLUSTERDOWN The cluster is down"),
    DownReason.CLUSTER_DOWN_READS_ONLY: CommandError(
        b"CLUSTERDOWN The cluster is down and only accepts read commands",
    ),
}
_SHARD_PUBSUB: Final = frozenset({"ssubscribe", "sunsubscribe", "spublish"})
#: Events that an operator wants to find in the log; the others come with every other heartbeat.
_NOTABLE: Final = (
    events.AddressLost,
    events.BecamePrimary,
    events.BecameReplica,
    events.ConfigEpochTaken,
    events.ElectionWon,
    events.EpochCollision,
    events.ManualFailoverEnded,
    events.ManualFailoverStarted,
    events.NodeFailed,
    events.NodeForgotten,
    events.NodeJoined,
    events.NodeRecovered,
    events.VoteGranted,
    events.VoteRefused,
    events.VotesAsked,
)
#: Directives that the brain obeys.
_DIRECTIVES: Final = (
    "cluster-node-timeout",
    "cluster-announce-ip",
    "cluster-announce-port",
    "cluster-announce-bus-port",
    "cluster-announce-tls-port",
    "cluster-announce-hostname",
    "cluster-announce-human-nodename",
    "cluster-replica-validity-factor",
    "cluster-replica-no-failover",
    "cluster-migration-barrier",
    "cluster-allow-replica-migration",
    "cluster-require-full-coverage",
    "repl-ping-replica-period",
    "cluster-allow-reads-when-down",
    "cluster-allow-pubsubshard-when-down",
)


class Carrier(Protocol):
    """What the runtime does for the brain."""

    #: Links that were cut because too much waited on them.
    over_limit_count: int

    def save(self, stored: StoredCluster, must_sync: bool) -> None:
        """Write nodes.conf; returns only when it is safe (and on disk, if `must_sync`)."""

    def send(self, order: Send) -> None:
        """Send a packet on a link, or drop it if the link is gone."""

    def link(self, order: LinkOrder) -> None:
        """Open or close a link."""

    def buffered(self) -> dict[int, int]:
        """Bytes that wait on each link."""


def gossip_config(machine: "Machine") -> GossipConfig:
    """The brain's options, as the node's directives have them."""
    config = machine.config
    port = config.cluster_announce_port or config.port
    return GossipConfig(
        port=port,
        cport=config.cluster_announce_bus_port or bus_port(machine),
        node_timeout_ms=config.cluster_node_timeout,
        announce_ip=config.cluster_announce_ip or "",
        hostname=config.cluster_announce_hostname or "",
        human_nodename=config.cluster_announce_human_nodename or "",
        replica_validity_factor=config.cluster_replica_validity_factor,
        replica_ping_period_s=config.repl_ping_replica_period,
        replica_no_failover=config.cluster_replica_no_failover,
        migration_barrier=config.cluster_migration_barrier,
        allow_replica_migration=config.cluster_allow_replica_migration,
        require_full_coverage=config.cluster_require_full_coverage,
    )


def bus_port(machine: "Machine") -> int:
    """The port of the bus: its own directive, or the client port and 10000."""
    return machine.config.cluster_port or machine.config.port + 10_000


class Cluster:
    """The cluster side of one machine."""

    def __init__(self, machine: "Machine", carrier: Carrier, stored: StoredCluster | None) -> None:
        self._machine = machine
        self._carrier = carrier
        clock = machine.clock
        self.core = GossipCore(
            gossip_config(machine),
            machine.rng,
            self,
            clock.monotonic_ms,
            stored=stored,
            wall_offset_ms=clock.now_ms - clock.monotonic_ms,
        )
        self.view = router.View(SlotTable(), self.core.node_id)
        #: Per slot 1 if a request for one key of it is served here without a further look.
        self._served = bytearray(SLOT_COUNT)
        #: Gets what peers publish: (channel, message, sharded).
        self.on_publish: Callable[[bytes, bytes, bool], None] | None = None
        self._take_over_state()
        if stored is None:
            carrier.save(self.core.stored(), must_sync=True)
        machine.gate.route = self.check_route
        machine.require_gate("cluster", True)
        self._on_config()
        for name in _DIRECTIVES:
            machine.config.on_change(name, self._on_config)

    def _take_over_state(self) -> None:
        """Begin with what the brain found in nodes.conf."""
        state, table = self.core.state, self.view.table
        for owner in state.owners.values():
            table.assign_all(slots_in(owner.mask), owner.node_id)
        table.migrating = dict(state.migrating_to)
        table.importing = dict(state.importing_from)
        self.view.is_healthy = state.is_ok
        self._settle_served(range(SLOT_COUNT))
        if state.myself.is_replica:
            self.view.primary_id = state.myself.replica_of
            self._machine.keyspace.become_replica(True)

    def _settle_served(self, slots: Iterable[int]) -> None:
        """Work out anew which slots need no further look."""
        view = self.view
        table = view.table
        for slot in slots:
            is_mine = table.owner(slot) == view.my_id
            self._served[slot] = view.is_healthy and is_mine and slot not in table.migrating

    def _on_config(self) -> str | None:
        config, view = self._machine.config, self.view
        view.allow_reads_when_down = config.cluster_allow_reads_when_down
        view.allow_pubsubshard_when_down = config.cluster_allow_pubsubshard_when_down
        self.step(ConfigChanged(gossip_config(self._machine)))
        return None

    # --- what the brain asks about the node --------------------------------------------------

    def offset(self) -> int:
        """The replication offset; there is no replication stream yet, so nothing was replicated."""
        return 0

    def primary_silence_ms(self) -> int | None:
        """How long nothing was heard of the primary; there is no stream that could be heard."""
        return None

    def keys_in_slot(self, slot: int) -> int:
        """How many keys a slot holds."""
        return self._machine.keyspace.database(0).keys_in_slot(slot)

    def keys_in_all(self) -> int:
        """How many keys there are."""
        return self._machine.keyspace.database(0).key_count()

    # --- driving the brain -------------------------------------------------------------------

    def tick(self) -> None:
        """A tenth of a second has passed."""
        self._carry_out(self.core.tick(self._machine.clock.monotonic_ms))

    def step(self, event: Input) -> None:
        """Something happened on the bus."""
        self._carry_out(self.core.step(event, self._machine.clock.monotonic_ms))

    def command(self, request: Request) -> Answer:
        """An operator asks for something."""
        answer, outputs = self.core.command(request, self._machine.clock.monotonic_ms)
        self._carry_out(outputs)
        return answer

    def _carry_out(self, outputs: Outputs) -> None:
        """The order is law: nothing is revealed before it is on disk."""
        carrier = self._carrier
        if outputs.save is not None:
            carrier.save(outputs.save, outputs.must_sync)
        for change in outputs.changes:
            self._apply(change)
        for packet in outputs.send:
            carrier.send(packet)
        for order in outputs.links:
            carrier.link(order)
        for event in outputs.events:
            self._tell(event)

    def _tell(self, event: Event) -> None:
        log = self._machine.log
        (log.notice if isinstance(event, _NOTABLE) else log.verbose)(f"Cluster: {event}")

    def _apply(self, change: Change) -> None:
        machine = self._machine
        match change:
            case SlotsMoved(slots, owner_id):
                self._on_slots_moved(list(slots_in(mask_of(slots))), owner_id)
            case SlotsMarked(migrating_to, importing_from):
                self._on_slots_marked(dict(migrating_to), dict(importing_from))
            case ClusterStateChanged(is_ok):
                self._on_state_changed(is_ok)
            case DeleteKeys(slots):
                self._delete_keys(slots)
            case PauseWrites(until):
                clock = machine.clock
                until_ms = clock.now_ms + max(0, until - clock.monotonic_ms)
                machine.pause.begin("failover", PauseMode.WRITE, until_ms)
            case UnpauseWrites():
                machine.pause.end("failover")
            case BecomeReplica(primary_id):
                self._become_replica(primary_id)
            case BecomePrimary():
                self._become_primary()
            case FlushData():
                machine.keyspace.database(0).clear()
            case DeliverPublish(channel, message, sharded):
                if self.on_publish is not None:
                    self.on_publish(channel, message, sharded)
            case Renamed(node_id):
                self._on_renamed(node_id)

    def _on_slots_moved(self, slots: list[int], owner_id: NodeId | None) -> None:
        table = self.view.table
        if owner_id is None:
            for slot in slots:
                table.unassign(slot)
        else:
            table.assign_all(slots, owner_id)
        self._settle_served(slots)
        self._send_blocked_away()

    def _on_slots_marked(self, migrating: dict[int, NodeId], importing: dict[int, NodeId]) -> None:
        table = self.view.table
        touched = {*table.migrating, *migrating}
        table.migrating, table.importing = migrating, importing
        self._settle_served(touched)

    def _on_state_changed(self, is_ok: bool) -> None:
        self.view.is_healthy = is_ok
        self._settle_served(range(SLOT_COUNT))
        self._machine.log.warning(f"Cluster state changed: {'ok' if is_ok else 'fail'}")
        self._send_blocked_away()

    def _on_renamed(self, node_id: NodeId) -> None:
        table, old_id = self.view.table, self.view.my_id
        table.assign_all(table.unassign_all_of(old_id), node_id)
        self.view.my_id = node_id
        self._settle_served(range(SLOT_COUNT))

    def _send_blocked_away(self) -> None:
        """Clients that wait for keys which are not ours any more are told where to go."""
        machine, view = self._machine, self.view
        for waiter in machine.blocked.waiters():
            decision = router.route_blocked(
                view,
                waiter.places[0][1],
                is_write=waiter.is_write,
                is_readonly=waiter.session.readonly,
            )
            error = None if decision is None else self._worded(decision)
            if error is not None:
                machine.unpark(waiter.session, error.encoded())

    def _delete_keys(self, slots: bytes) -> None:
        database = self._machine.keyspace.database(0)
        for slot in slots_in(mask_of(slots)):
            database.clear_slot(slot)
        self._machine.keyspace.effects.record_flush(0)
        self._machine.keyspace.effects.deliver()

    def _become_replica(self, primary_id: NodeId) -> None:
        self.view.primary_id = primary_id
        machine = self._machine
        machine.keyspace.become_replica(True)
        machine.blocked.release_all(
            b"-UNBLOCKED force unblock from blocking operation, instance state changed "
            b"(master -> replica?)\r\n",
            only_writes=True,
        )

    def _become_primary(self) -> None:
        self.view.primary_id = None
        self._machine.keyspace.become_replica(False)

    # --- routing -----------------------------------------------------------------------------

    def check_route(self, session: Session, command: Command, args: list[bytes]) -> None:
        """The gate's question: does this request belong here? Raises the redirect if not."""
        asking, session.asking = session.asking, False
        keys_of = command.keys_of
        if keys_of is None:
            if command.full_name == "exec" and session.queue:
                self._check_transaction(session, asking)
            return
        keys = keys_of(args)
        if len(keys) == 1 and self._served[key_slot(keys[0])]:
            return
        request = router.Request(
            keys,
            is_write=Flag.WRITE in command.flags,
            is_pubsub_shard=command.full_name in _SHARD_PUBSUB,
            is_migrate=command.full_name == "migrate",
            implies_asking=Flag.ASKING in command.flags,
        )
        self._raise_redirect(self._route(session, request, asking))

    def _check_transaction(self, session: Session, asking: bool) -> None:
        """All keys of all queued commands, since slots may have moved since they were queued."""
        keys: list[bytes] = []
        is_write = False
        for command, args in session.queue or ():
            is_write = is_write or Flag.WRITE in command.flags
            if command.keys_of is not None:
                keys += command.keys_of(args)
        request = router.Request(keys, is_queued_write=is_write)
        self._raise_redirect(self._route(session, request, asking))

    def _route(self, session: Session, request: router.Request, asking: bool) -> Decision:
        exists = self._machine.keyspace.database(0).exists
        return router.route(
            self.view, request, exists, is_asking=asking, is_readonly=session.readonly
        )

    def _raise_redirect(self, decision: Decision) -> None:
        error = self._worded(decision)
        if error is not None:
            raise error

    def _worded(self, decision: Decision) -> CommandError | None:
        """A decision as the client hears it; None means that the request is served."""
        match decision:
            case Serve():
                return None
            case Moved(slot, node_id):
                return CommandError(f"MOVED {slot} {self._address(node_id)}".encode())
            case Ask(slot, node_id):
                return CommandError(f"ASK {slot} {self._address(node_id)}".encode())
            case TryAgain():
                return _TRY_AGAIN
            case CrossSlot():
                return CROSS_SLOT
            case Down(reason):
                return _DOWN[reason]

    def _address(self, node_id: NodeId) -> str:
        return views.redirect_address(self.core, node_id, self.viewer())

    @property
    def my_primary(self) -> NodeId | None:
        """Whom we replicate; None on a primary."""
        return self.view.primary_id

    def viewer(self) -> views.Viewer:
        """How clients want nodes to be named."""
        preferred = self._machine.config.cluster_preferred_endpoint_type
        return views.Viewer(endpoint=Endpoint(preferred))

    def buffered(self) -> dict[int, int]:
        """Bytes that wait on each link of the bus."""
        return self._carrier.buffered()

    def over_limit_count(self) -> int:
        """How many links were cut because their peer did not read."""
        return self._carrier.over_limit_count
