"""One step of the core: what it may look at, and where it puts what it wants done.

Owns `Turn`, which every handler is given, and the building of headers and entries out of the
state. Rules: handlers change the state and call `save`, `change`, `send_*` and `tell`; nothing
happens before `outputs`. A packet is built from the state at the time of the call, and the file
from the state at the end, so the file is never behind a packet.
"""

from typing import Final

from attrs import Factory, define

from .config import Config
from .events import (
    AddressChanged,
    Event,
    LinkDropped,
)
from .inputs import LocalData, Rng
from .messages import (
    Extension,
    ForgottenNode,
    GossipEntry,
    Header,
    Hostname,
    HumanNodename,
    Message,
    MessageFlag,
    NodeFlag,
    NodeId,
    ShardId,
    message_type,
)
from .outputs import (
    BecomeReplica,
    Change,
    Close,
    Connect,
    LinkOrder,
    Outputs,
    Send,
    SlotsMarked,
    SlotsMoved,
)
from .reasons import (
    LinkLoss,
)
from .state import ClusterState, Link, Node, bitmap_of
from .storage import stored_cluster

MAX_FORGOTTEN_TOLD: Final = 100
"""Bounds a packet; more are hardly ever forgotten in one minute."""


@define(eq=False)
class Turn:
    """The core during one step."""

    state: ClusterState
    config: Config
    rng: Rng
    local: LocalData
    now: int
    changes: list[Change] = Factory(list)
    sends: list[Send] = Factory(list)
    links: list[LinkOrder] = Factory(list)
    events: list[Event] = Factory(list)
    must_save: bool = False
    must_sync: bool = False
    must_judge: bool = False
    """The state of the cluster has to be judged anew before the step ends."""
    must_elect: bool = False
    """Our primary may have to be replaced: look before the step ends."""
    is_unsaved: bool = False
    """A bug that loses what should have been saved; see `Bugs.vote_before_sync`."""
    must_announce: bool = False
    """All members should hear at once how we are now."""

    # ---- what is wanted ----

    def tell(self, event: Event) -> None:
        """Notes a decision."""
        self.events.append(event)

    def change(self, change: Change) -> None:
        """Has the node changed."""
        self.changes.append(change)

    def save(self, *, sync: bool = False) -> None:
        """Has nodes.conf written; `sync` if a packet of this step reveals what changed.

        What a message brings is saved with the next tick, or, if it needs `sync`, ahead of our
        next packet.
        """
        self.must_save = True
        self.must_sync = self.must_sync or sync
        self.state.gossip_page = None

    def changed(self, *, sync: bool = False) -> None:
        """As `save`, and the change may also open or close the cluster."""
        self.save(sync=sync)
        self.must_judge = True

    def outputs(self) -> Outputs:
        """All of it."""
        must_save = self.must_save and not self.is_unsaved
        # What was put off is in this file, too.
        must_sync = must_save and (self.must_sync or self.state.sync_is_due)
        if must_save:
            self.state.save_is_due = self.state.sync_is_due = False
        return Outputs(
            save=stored_cluster(self.state) if must_save else None,
            must_sync=must_sync,
            changes=tuple(self.changes),
            send=tuple(self.sends),
            links=tuple(self.links),
            events=tuple(self.events),
        )

    # ---- packets ----

    def send_on(self, link: Link, message: Message) -> None:
        """Sends over one link."""
        self.state.count(self.state.sent_counts, message_type(message))
        self.sends.append(Send(link.link_id, message))

    def send_to(self, node: Node, message: Message) -> bool:
        """Sends to a node over whichever link there is; False if there is none."""
        link = node.link if node.is_linked else node.inbound
        if link is None:
            return False
        self.send_on(link, message)
        return True

    def broadcast(self, message: Message) -> None:
        """Sends one message to all members."""
        for node in self.state.members():
            self.send_to(node, message)

    def header(
        self, message_flags: int = MessageFlag.NONE, *, asks: int = 0, promises: int = 0
    ) -> Header:
        """How we see ourselves; a replica shows its primary's slots and epoch."""
        state, config, myself = self.state, self.config, self.state.myself
        shown = state.shard_primary(myself) or myself
        return Header(
            sender=myself.node_id,
            current_epoch=state.current_epoch,
            config_epoch=shown.config_epoch,
            offset=self.local.offset(),
            port=config.port,
            cport=config.cport,
            pport=config.pport,
            flags=myself.flags,
            ip=config.announce_ip,
            cluster_ok=state.is_ok,
            message_flags=message_flags,
            slots=self.claimed_slots(shown),
            replica_of=myself.replica_of,
            asks=asks,
            promises=promises,
        )

    def claimed_slots(self, owner: Node) -> bytes:
        """What an owner claims: all that it owns, but what we withhold."""
        state = self.state
        if owner is not state.myself or not state.withheld:
            return owner.slots
        return bitmap_of(owner.mask & ~self.withheld_mask)

    @property
    def withheld_mask(self) -> int:
        """The slots of ours that we do not claim now; where the mark is gone, it ends."""
        state = self.state
        return sum(1 << slot for slot in state.withheld & state.migrating_to.keys())

    def entry(self, node: Node) -> GossipEntry:
        """What we say about another node."""
        return GossipEntry(
            node_id=node.node_id,
            ping_sent_s=self.state.wall_ms(node.ping_sent_at) // 1000,
            pong_received_s=self.state.wall_ms(node.pong_received_at) // 1000,
            ip=node.ip,
            port=node.port,
            cport=node.cport,
            flags=node.flags,
            pport=node.pport,
        )

    def extensions(self) -> tuple[Extension, ...]:
        """What goes with each heartbeat, in the order of 7.2."""
        found: list[Extension] = []
        if self.config.hostname:
            found.append(Hostname(self.config.hostname))
        if self.config.human_nodename:
            found.append(HumanNodename(self.config.human_nodename))
        banned = [entry for entry in self.state.banned_until.items() if entry[1] > self.now]
        # The latest are the ones that the others may not have heard of.
        for node_id, until in banned[-MAX_FORGOTTEN_TOLD:]:
            found.append(ForgottenNode(node_id, -(-(until - self.now) // 1000)))
        found.append(ShardId(self.state.myself.shard_id))
        return tuple(found)

    # ---- links ----

    def open_link(self, node: Node) -> None:
        """Begins to connect to a node."""
        link = Link(self.state.next_link_id, self.now, is_inbound=False, node=node)
        self.state.next_link_id += 1
        self.state.links[link.link_id] = link
        node.link = link
        self.state.unlinked[node] = None
        self.links.append(Connect(link.link_id, node.node_id, node.ip, node.cport))

    def close_link(self, link: Link | None, reason: LinkLoss) -> None:
        """Closes a link; what still comes over it is dropped."""
        if link is None or self.state.links.pop(link.link_id, None) is None:
            return
        if link.node is not None:
            self.tell(LinkDropped(link.node.node_id, reason))
        self.state.detach(link)
        self.links.append(Close(link.link_id))

    # ---- what several handlers need ----

    def assign_slots(self, mask: int, owner: Node | None) -> dict[NodeId, int]:
        """Gives slots to a node and tells ours; what each former owner lost."""
        had_moves = bool(self.state.migrating_to)
        lost = self.state.assign(mask, owner)
        self.change(SlotsMoved(bitmap_of(mask), None if owner is None else owner.node_id))
        if had_moves:
            self.tell_marks()
        # Others give us what we claim: whatever a crash comes upon, we must know that it is ours.
        self.changed(sync=owner is self.state.myself)
        return lost

    def tell_marks(self) -> None:
        """Tells our node which slots are on the move; a replica, which it must send on."""
        state = self.state
        migrating_to = state.migrating_to or state.primary_migrating_to
        self.change(
            SlotsMarked(
                tuple(sorted(migrating_to.items())),
                tuple(sorted(state.importing_from.items())),
            )
        )

    def replicate_from(self, primary: Node) -> None:
        """Has our node replicate from a primary, if its address is known."""
        self.state.replicating_from = None
        if primary.has_address:
            self.state.replicating_from = primary.node_id
            self.change(BecomeReplica(primary.node_id, primary.ip, primary.port, primary.pport))

    def move_node(self, node: Node, ip: str, ports: tuple[int, int, int]) -> None:
        """Notes a node's address, (port, pport, cport) behind it; connects there from now on."""
        has_moved = (node.ip, node.cport) != (ip, ports[2])
        node.ip = ip
        node.port, node.pport, node.cport = ports
        node.flags &= ~NodeFlag.NOADDR
        node.connect_at, node.connect_failures = None, 0
        if has_moved:
            self.close_link(node.link, LinkLoss.ADDRESS_CHANGED)
        self.tell(AddressChanged(node.node_id, ip, node.cport))
        self.changed()
        if self.state.myself.replica_of == node.node_id:
            self.replicate_from(node)
