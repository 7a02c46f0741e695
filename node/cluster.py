"""One node's place in a cluster: the brain, joined to the node's data and to its clients.

The brain (`gossip.core`) decides; this file carries out what of it concerns the node itself (roles,
slots, pauses), routes requests, and hands the rest to the runtime's `Carrier` in the order that
`gossip.outputs` demands. It is pure: whoever owns the machine calls `tick` and `step`.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final, Protocol

from ..gossip import events, views
from ..gossip.commands import AddSlots, Answer, Request, SetSlotImporting
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
from ..slots.hashing import SLOT_COUNT, key_slot, slots_of
from ..slots.router import Ask, CrossSlot, Decision, Down, DownReason, Moved, Serve, TryAgain
from ..slots.table import SlotTable
from .cluster_options import DIRECTIVES, gossip_config
from .commands.transactions import discard_transaction
from .errors import CROSS_SLOT, CommandError
from .pause import PauseMode
from .persistence.rdb.writer import NODE_ID_FACT
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
#: After a start or a promotion, the owners of the slots are known within this time.
_SETTLED_MS: Final = 2000
#: So long a script may run before the others may find us failing.
_KEPT_ALIVE_MAX_MS: Final = 10_000


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

    def flush(self) -> None:
        """Send now what waits, as far as the sockets take it: the loop is busy for a while."""

    def buffered(self) -> dict[int, int]:
        """Bytes that wait on each link."""


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
        self.on_publish: Callable[[bytes, bytes, bool], None] | None = machine.pubsub.deliver
        #: After that we may have been replaced without knowing it: `tick` comes before clients.
        self.away_from_ms = clock.monotonic_ms + machine.config.cluster_node_timeout
        self._sign_of_life_due_ms = self._last_sign_ms = 0
        #: Whether ASKING was said ahead of the request that was looked at last.
        self.is_asking = False
        #: When to look for keys in slots of others; None: there is no reason to.
        self._foreign_keys_due_ms: int | None = None
        self._take_over_state()
        if stored is not None and len(stored.nodes) > 1:
            self._look_for_foreign_keys()
        if stored is None:
            carrier.save(self.core.stored(), must_sync=True)
        self._carry_out(self.core.start(clock.monotonic_ms))
        machine.gate.route = self.check_route
        machine.gate.served = self._served
        machine.require_gate("cluster", True)
        self._on_config()
        for name in DIRECTIVES:
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
        """How far the replication stream is; 0 on a replica that has nothing of its primary yet."""
        replication = self._machine.replication
        is_worthless = replication.is_replica and not replication.is_synced
        return 0 if is_worthless else replication.offset

    def primary_silence_ms(self) -> int | None:
        """How long nothing was heard of the primary; None if there never was anything."""
        return self._machine.replication.primary_silence_ms()

    def is_whole(self) -> bool:
        """Whether the data is all there; not while it is loaded, or was thrown away for a copy."""
        machine = self._machine
        return not (machine.loading.is_active or machine.replication.has_lost_data)

    def keys_in_slot(self, slot: int) -> int:
        """How many keys a slot holds."""
        return self._machine.keyspace.database(0).keys_in_slot(slot)

    def keys_in_all(self) -> int:
        """How many keys there are."""
        return self._machine.keyspace.database(0).key_count()

    def settle_loaded_keys(self) -> None:
        """Our data was read from a file: take on slots that nobody has, and mark the others' ones.

        Marked as being imported, nothing is lost, and they go on to whom they belong. Not so if we
        wrote the file as a member: then what it holds of others' slots is what a hand-over left
        behind, older than what their owner has, and is dropped when it is sure who owns what.
        """
        if self.core.state.myself.is_replica:
            return
        facts, my_id = self._machine.persistence.loaded_facts, self.view.my_id
        is_ours = facts.get(NODE_ID_FACT) == my_id.encode()
        table, log = self.view.table, self._machine.log
        held = [slot for slot in range(SLOT_COUNT) if self.keys_in_slot(slot)]
        free = tuple(slot for slot in held if table.owner(slot) is None)
        if free:
            log.notice(f"There are keys of {len(free)} slots that nobody has: taking them on.")
            self.command(AddSlots(free))
        if is_ours and self._foreign_keys_due_ms is not None:
            return
        for slot in held:
            owner = table.owner(slot)
            if owner is None or owner == my_id or slot in table.importing:
                continue
            log.notice(f"There are keys of slot {slot}, which is another node's: importing it.")
            self.command(SetSlotImporting(slot, owner))

    # --- driving the brain -------------------------------------------------------------------

    def tick(self) -> None:
        """A tenth of a second has passed, or so much time that we may have been replaced."""
        machine = self._machine
        now_ms, timeout_ms = self._now_ms(), machine.config.cluster_node_timeout
        self.away_from_ms = now_ms + timeout_ms
        self._sign_of_life_due_ms = now_ms + timeout_ms // 4
        if machine.debug_switches.cron_is_paused:
            return
        self._carry_out(self.core.tick(now_ms))
        if self._foreign_keys_due_ms is not None:
            self._drop_foreign_keys()

    def keep_alive(self, elapsed_ms: int) -> None:
        """A command has been running for so long: tell the others in time that we live.

        Not for ever: who does not come back had better be replaced.
        """
        machine = self._machine
        now_ms = machine.clock.monotonic_ms + elapsed_ms
        if now_ms < self._sign_of_life_due_ms or elapsed_ms > _KEPT_ALIVE_MAX_MS:
            return
        timeout_ms = machine.config.cluster_node_timeout
        self.away_from_ms = now_ms + timeout_ms
        self._sign_of_life_due_ms = now_ms + timeout_ms // 4
        self._last_sign_ms = now_ms
        self._carry_out(self.core.keep_alive(now_ms))
        self._carrier.flush()

    def _now_ms(self) -> int:
        """The node's time, which stands still while a command runs, but for signs of life."""
        return max(self._machine.clock.monotonic_ms, self._last_sign_ms)

    def step(self, event: Input) -> None:
        """Something happened on the bus."""
        self._carry_out(self.core.step(event, self._now_ms()))

    def command(self, request: Request) -> Answer:
        """An operator asks; what he orders elsewhere next must not overtake the bus."""
        answer, outputs = self.core.command(request, self._now_ms())
        is_news = outputs.save is not None
        if is_news:
            self._carrier.flush()
        self._carry_out(outputs)
        if is_news:
            self._carrier.flush()
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
            case BecomeReplica(primary_id, ip, port, plain_port):
                uses_plain = plain_port and not machine.config.tls_replication
                self._become_replica(primary_id, ip, plain_port if uses_plain else port)
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
        shard = {self.view.my_id, self.view.primary_id} - {None}
        if owner_id not in shard:
            left = {slot for slot in slots if table.owner(slot) in shard}
            self._machine.pubsub.on_slots_left(left)
            self._machine.watched_keys.on_slots_left(left)
            if owner_id is not None and left and self._machine.maintenance.is_heard:
                nodes = (self.view.primary_id or self.view.my_id, owner_id)
                source, target = (views.redirect_address(self.core, node) for node in nodes)
                self._machine.maintenance.announce_migrated(source, target, left)
        if owner_id is None:
            for slot in slots:
                table.unassign(slot)
        else:
            table.assign_all(slots, owner_id)
        self._settle_served(slots)
        self._send_blocked_away()
        self._machine.slot_migration.on_slots_moved(slots, owner_id)

    def _on_slots_marked(self, migrating: dict[int, NodeId], importing: dict[int, NodeId]) -> None:
        table = self.view.table
        self._machine.slot_migration.trimmer.flush(importing.keys() - table.importing.keys())
        self._machine.maintenance.announce_migrating(migrating.keys() - table.migrating.keys())
        touched = {*table.migrating, *migrating}
        table.migrating, table.importing = migrating, importing
        self._settle_served(touched)
        self._machine.slot_migration.marks.tell_present()

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
            error = None if decision is None else self._worded(decision, waiter.session)
            if error is not None:
                machine.unpark(waiter.session, error.encoded())

    def _delete_keys(self, slots: bytes) -> None:
        machine = self._machine
        machine.slot_migration.trimmer.drop(machine.keyspace.database(0), slots_in(mask_of(slots)))

    def _become_replica(self, primary_id: NodeId, ip: str, port: int) -> None:
        self.view.primary_id = primary_id
        self._machine.slot_migration.on_demoted()
        self._machine.replication.follow(ip, port)

    def _become_primary(self) -> None:
        self.view.primary_id = None
        self._machine.replication.become_primary()
        self._look_for_foreign_keys()

    def _look_for_foreign_keys(self) -> None:
        """Soon, when it is settled which slots are ours."""
        clock = self._machine.clock
        self._foreign_keys_due_ms = clock.monotonic_ms + _SETTLED_MS

    def _drop_foreign_keys(self) -> None:
        machine = self._machine
        is_settled = self.view.is_healthy and not machine.loading.is_active
        if is_settled and machine.clock.monotonic_ms >= (self._foreign_keys_due_ms or 0):
            self._foreign_keys_due_ms = None
            if self.view.primary_id is None:
                machine.slot_migration.drop_foreign_keys()

    # --- routing -----------------------------------------------------------------------------

    def check_route(self, session: Session, command: Command, args: list[bytes]) -> None:
        """The gate's question: does this request belong here? Raises the redirect if not."""
        asking = self.is_asking = session.asking
        # It is good for one request, or for one transaction.
        is_begun = session.queue is not None or command.full_name == "multi"
        session.asking = asking and is_begun and command.full_name not in ("exec", "discard")
        if (keys_of := command.keys_of) is None:
            if command.full_name == "exec" and session.queue:
                self._check_transaction(session, asking)
            return
        keys = keys_of(args)
        if keys:
            slots = slots_of(keys) if len(keys) > 1 else [key_slot(keys[0])]
            slot = slots[0]
            if (
                self._served[slot]
                and slots.count(slot) == len(slots)
                and (len(slots) == 1 or slot not in self.view.table.importing)
            ):
                return
        request = router.Request(
            keys,
            is_write=Flag.WRITE in command.flags,
            is_pubsub_shard=command.full_name in _SHARD_PUBSUB,
            is_migrate=command.full_name == "migrate",
            implies_asking=Flag.ASKING in command.flags,
        )
        self._raise_redirect(self._route(session, request, asking), session)

    def _check_transaction(self, session: Session, asking: bool) -> None:
        """All keys of all queued commands, since slots may have moved since they were queued."""
        keys: list[bytes] = []
        is_write = False
        for command, args in session.queue or ():
            is_write = is_write or Flag.WRITE in command.flags
            if command.keys_of is not None:
                keys += command.keys_of(args)
        request = router.Request(keys, is_queued_write=is_write)
        try:
            self._raise_redirect(self._route(session, request, asking), session)
        except CommandError:
            # It cannot succeed here any more: the client begins anew, elsewhere or here.
            discard_transaction(session)
            raise

    def _route(self, session: Session, request: router.Request, asking: bool) -> Decision:
        exists = self._machine.keyspace.database(0).exists
        return router.route(
            self.view, request, exists, is_asking=asking, is_readonly=session.readonly
        )

    def _raise_redirect(self, decision: Decision, session: Session) -> None:
        error = self._worded(decision, session)
        if error is not None:
            raise error

    def _worded(self, decision: Decision, session: Session) -> CommandError | None:
        """A decision as the client hears it; None means that the request is served."""
        match decision:
            case Serve():
                return None
            case Moved(slot, node_id):
                return CommandError(f"MOVED {slot} {self._address(node_id, session)}".encode())
            case Ask(slot, node_id):
                return CommandError(f"ASK {slot} {self._address(node_id, session)}".encode())
            case TryAgain():
                return _TRY_AGAIN
            case CrossSlot():
                return CROSS_SLOT
            case Down(reason):
                return _DOWN[reason]

    def _address(self, node_id: NodeId, session: Session) -> str:
        return views.redirect_address(self.core, node_id, self.viewer(session))

    @property
    def my_primary(self) -> NodeId | None:
        """Whom we replicate; None on a primary."""
        return self.view.primary_id

    def viewer(self, session: Session) -> views.Viewer:
        """How a client wants nodes to be named, and at which of their ports."""
        preferred = self._machine.config.cluster_preferred_endpoint_type
        return views.Viewer(tls=session.uses_tls, endpoint=Endpoint(preferred))

    def buffered(self) -> dict[int, int]:
        """Bytes that wait on each link of the bus."""
        return self._carrier.buffered()

    def over_limit_count(self) -> int:
        """How many links were cut because their peer did not read."""
        return self._carrier.over_limit_count
