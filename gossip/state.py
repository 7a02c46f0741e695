"""What a node knows: the other nodes, the owners of the slots, epochs, links. Data only.

Owns the records and the look-ups; decides nothing. Rules:

* Times (`*_at`) are monotonic milliseconds, None for "never" or "not now".
* A set of slots is an `int` with bit `s` for slot `s`; on the wire it is the same number as 2048
  little-endian bytes, which each node keeps beside it, as it is sent with every packet.
* Slots change hands in `assign` alone, so that nobody can own a slot twice.
* A node's primary is held by id and looked up when needed: it may not be known yet.
* In a big cluster no tick looks at all nodes: who lacks a link, who owes an answer and who is to be
  pinged when is kept apart (`unlinked`, `waiting`, `ping_times`), and nodes come and go by `enter`
  and `leave` alone, their links by `attach` and `detach`.
"""

import heapq
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, field

from .limits import SLOT_COUNT, SLOTS_BITMAP_BYTES
from .messages import (
    NO_SLOTS,
    FailoverAuthRequest,
    GossipEntry,
    MessageType,
    NodeFlag,
    NodeId,
)
from .reasons import NotStarted
from .undertakings import Election, ManualFailover

if TYPE_CHECKING:
    from .inputs import Rng
    from .nodes_conf import StoredNode

LinkId = int
"""The runtime numbers inbound links downwards from -1, the core outbound ones upwards from 1."""

ALL_SLOTS: Final = (1 << SLOT_COUNT) - 1
FAILING: Final = NodeFlag.PFAIL | NodeFlag.FAIL
_FEW_SLOTS: Final = 64
_KEPT_BITMAPS: Final = 1_024
"""The same bitmaps come with every packet: each is converted, and kept in memory, once."""


@lru_cache(_KEPT_BITMAPS)
def mask_of(slots: bytes) -> int:
    """The number for a bitmap of the wire."""
    return int.from_bytes(slots, "little")


@lru_cache(_KEPT_BITMAPS)
def bitmap_of(mask: int) -> bytes:
    """The bitmap of the wire for a set of slots."""
    return mask.to_bytes(SLOTS_BITMAP_BYTES, "little")


def slots_in(mask: int) -> Iterator[int]:
    """The slots of a set, in ascending order."""
    if mask.bit_count() > _FEW_SLOTS:
        # Every step on a number of 2 kB costs as much as a look at all its bytes.
        for index, byte in enumerate(mask.to_bytes(-(-mask.bit_length() // 8), "little")):
            if byte:
                for bit in range(8):
                    if byte >> bit & 1:
                        yield 8 * index + bit
        return
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest


class BrokenInvariant(AssertionError):  # noqa: N818 - it says what it is
    """What we know contradicts itself: a bug of ours, never something that a peer can cause."""


@define(eq=False)
class Link:
    """One TCP connection on the bus."""

    link_id: LinkId
    created_at: int
    is_inbound: bool
    peer_ip: str = ""
    local_ip: str = ""
    is_up: bool = False
    """False while an outbound connection is being made."""
    data_at: int | None = None
    """When anything last came over it."""
    node: "Node | None" = None
    """Whom it leads to; None for an inbound link whose peer has not shown itself a member."""


@define(eq=False)
class Node:
    """One member of the cluster, or somebody in handshake, as we see it."""

    node_id: NodeId
    flags: int
    created_at: int
    ip: str = ""
    port: int = 0
    pport: int = 0
    cport: int = 0
    hostname: str = ""
    human_nodename: str = ""
    shard_id: NodeId = ""
    other_aux: tuple[tuple[str, str], ...] = ()
    config_epoch: int = 0
    seen_current_epoch: int = 0
    """Greatest current epoch in its own packets: one with a smaller epoch comes late."""
    replica_of: NodeId | None = None
    mask: int = field(default=0, repr=False)
    slots: bytes = field(default=NO_SLOTS, repr=False)
    ping_sent_at: int | None = None
    """Since when an answer is owed; see `ClusterState.await_answer`."""
    pong_received_at: int | None = None
    data_received_at: int | None = None
    says_ok: bool = True
    """Whether the cluster serves, as it saw it last."""
    failed_at: int | None = None
    """When it was flagged FAIL; None too while only our file says so, see `storage`."""
    reports: dict[NodeId, int] = Factory(dict)
    """Who called it failing, and when last."""
    offset: int = 0
    voted_at: int | None = None
    """When we last voted for one of its replicas."""
    voted_for: NodeId | None = None
    voted_epoch: int = 0
    """Greatest epoch in which we may have voted for somebody else to have its slots."""
    promised_at: int | None = None
    """When we last promised to vote for nobody else to have them."""
    has_promised: int = 0
    """The number of our last question that it answered by such a promise."""
    orphaned_at: int | None = None
    link: Link | None = None
    """The outbound link, over which we ping it."""
    inbound: Link | None = None
    connect_at: int | None = None
    """When to try the next connection, if that failed before."""
    connect_failures: int = 0
    stored: "StoredNode | None" = field(default=None, repr=False)
    """What was stored of it last; see `storage`."""
    expected_id: NodeId | None = None
    """In a handshake: who it was that had us meet it."""

    @property
    def is_primary(self) -> bool:
        """Whether it says it is one; a node in handshake is neither primary nor replica."""
        return self.flags & NodeFlag.PRIMARY != 0

    @property
    def is_replica(self) -> bool:
        """Whether it says it is one."""
        return self.flags & NodeFlag.REPLICA != 0

    @property
    def is_failed(self) -> bool:
        """Whether a majority found it failing."""
        return self.flags & NodeFlag.FAIL != 0

    @property
    def is_found_failed(self) -> bool:
        """Whether that was found since we started: else it is old, and no news for others."""
        return self.is_failed and self.failed_at is not None

    @property
    def is_suspected(self) -> bool:
        """Whether we alone find it failing."""
        return self.flags & NodeFlag.PFAIL != 0

    @property
    def is_failing(self) -> bool:
        """PFAIL or FAIL."""
        return self.flags & FAILING != 0

    @property
    def in_handshake(self) -> bool:
        """Whether its id is a stand-in."""
        return self.flags & NodeFlag.HANDSHAKE != 0

    @property
    def has_address(self) -> bool:
        """Whether it can be connected to."""
        return not self.flags & NodeFlag.NOADDR and self.ip != "" and self.cport > 0

    @property
    def is_linked(self) -> bool:
        """Whether the outbound link stands."""
        return self.link is not None and self.link.is_up


@define(eq=False)
class ClusterState:
    """Everything a node knows about its cluster."""

    myself: Node
    wall_offset_ms: int = 0
    """Unix milliseconds minus monotonic milliseconds."""
    nodes: dict[NodeId, Node] = Factory(dict)
    deck: list[Node] = Factory(list)
    """The others in an order of chance: whom heartbeats tell about, one after the other."""
    deck_at: int = 0
    unlinked: dict[Node, None] = Factory(dict)
    """The others to whom no link of ours stands, and those in handshake."""
    waiting: dict[Node, None] = Factory(dict)
    """Who owes us an answer."""
    ping_times: list[tuple[int, int, Node]] = Factory(list)
    """A heap: when to see whether a node has to be pinged; one entry for each of the others."""
    ping_times_count: int = 0
    owners: dict[NodeId, Node] = Factory(dict)
    """The nodes with slots. All are primaries: they are the voters."""
    assigned: int = field(default=0, repr=False)
    not_claimed: int = field(default=0, repr=False)
    """Slots whose owner has stopped claiming them, but that nobody else has claimed yet."""
    current_epoch: int = 0
    last_vote_epoch: int = 0
    epoch_held_until: int | None = None
    """Until then we take no config epoch without asking: slots of ours are being handed over."""
    migrating_to: dict[int, NodeId] = Factory(dict)
    importing_from: dict[int, NodeId] = Factory(dict)
    withheld: set[int] = Factory(set)
    """Slots of ours that we do not claim just now; see `open_slots`."""
    primary_migrating_to: dict[int, NodeId] = Factory(dict)
    """On a replica: which slots its primary has on the move, as it says; else empty."""
    primary_importing_from: dict[int, NodeId] = Factory(dict)
    banned_until: dict[NodeId, int] = Factory(dict)
    links: dict[LinkId, Link] = Factory(dict)
    next_link_id: LinkId = 1
    is_ok: bool = False
    first_judged_at: int | None = None
    minority_at: int | None = None
    is_in_minority: bool = False
    returned_at: int | None = None
    """Since when we are back after an absence; None as soon as a majority was heard since."""
    question: int = 0
    """The number of the question by which we ask the voters to let us serve; 0 if we do not."""
    question_count: int = 0
    asked_at: int = 0
    voter_since: int | None = None
    """Since when we have slots, as seen at the ticks."""
    epoch_before: int | None = None
    """The current epoch when we came into the minority; None if we are open again since."""
    deferred: dict[NodeId, tuple[int, FailoverAuthRequest]] = Factory(dict)
    """The candidates against whom only a promise stands, and since when; see `voting`."""
    replicating_from: NodeId | None = None
    """Whom our node was last told to replicate from."""
    election: Election | None = None
    retry_at: int | None = None
    """No automatic election before this, after one that failed."""
    manual: ManualFailover | None = None
    not_started_reason: NotStarted | None = None
    """The reason last given for not starting a failover, so that it is given once."""
    ticks: int = 0
    save_is_due: bool = False
    """Something has changed that could wait for the next tick to be saved."""
    sync_is_due: bool = False
    """It cannot wait for longer than until our next packet."""
    gossip_page: tuple[GossipEntry, ...] | None = None
    """What the heartbeats of this tick tell about others, as long as it holds."""
    dropped_types: frozenset[int] = frozenset()
    closes_on_drop: bool = False
    """Whether a link ends that a message of these types came over."""
    sent_counts: dict[int, int] = Factory(dict)
    received_counts: dict[int, int] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        self.nodes[self.myself.node_id] = self.myself

    # ---- nodes ----

    def others(self) -> Iterator[Node]:
        """All nodes but myself, those in handshake included."""
        return (node for node in self.nodes.values() if node is not self.myself)

    def members(self) -> Iterator[Node]:
        """All nodes but myself that have shown their id."""
        return (node for node in self.others() if not node.in_handshake)

    def maybe_member(self, node_id: NodeId) -> Node | None:
        """The node with that id, unless the id is a stand-in."""
        node = self.nodes.get(node_id)
        return None if node is None or node.in_handshake else node

    def primary_of(self, node: Node) -> Node | None:
        """The primary that a replica names, if it is known."""
        return None if node.replica_of is None else self.nodes.get(node.replica_of)

    def shard_primary(self, node: Node) -> Node | None:
        """The node itself if it is a primary, else its primary."""
        return node if node.is_primary else self.primary_of(node)

    def replicas_of(self, primary: Node) -> list[Node]:
        """All replicas of a node, myself included, in the order of their ids."""
        found = [node for node in self.nodes.values() if node.replica_of == primary.node_id]
        return sorted(found, key=lambda node: node.node_id)

    def enter(self, node: Node, rng: "Rng") -> None:
        """Files a node that is new under its id."""
        self.nodes[node.node_id] = node
        self.deck.insert(rng.randrange(len(self.deck) + 1), node)
        self.unlinked[node] = None
        if node.ping_sent_at is not None:
            self.waiting[node] = None
        self.look_at(node, node.created_at)

    def rename(self, node: Node, node_id: NodeId) -> None:
        """A node has shown its id, or takes another one."""
        del self.nodes[node.node_id]
        node.node_id = node_id
        self.nodes[node_id] = node

    def leave(self, node: Node) -> None:
        """Takes a node out, its links being closed already."""
        del self.nodes[node.node_id]
        self.deck.remove(node)
        self.unlinked.pop(node, None)
        self.waiting.pop(node, None)
        self.gossip_page = None

    def look_at(self, node: Node, when: int) -> None:
        """Notes when to see whether a node has to be pinged."""
        self.ping_times_count += 1
        heapq.heappush(self.ping_times, (when, self.ping_times_count, node))

    def await_answer(self, node: Node, now: int) -> None:
        """From now on a node owes an answer; an older debt still counts from when it began."""
        if node.ping_sent_at is None:
            node.ping_sent_at = now
            self.waiting[node] = None

    def note_answer(self, node: Node, now: int) -> None:
        """A node owes nothing any more."""
        node.pong_received_at = now
        node.ping_sent_at = None
        self.waiting.pop(node, None)

    # ---- links ----

    def attach(self, link: Link) -> None:
        """Our link to its node stands."""
        node = link.node
        if node is not None and not node.in_handshake:
            self.unlinked.pop(node, None)

    def detach(self, link: Link) -> None:
        """Lets the node forget the link."""
        node, link.node = link.node, None
        if node is not None and node.link is link:
            node.link = None
            self.unlinked[node] = None
        if node is not None and node.inbound is link:
            node.inbound = None

    # ---- slots ----

    def owner_of(self, slot: int) -> Node | None:
        """Who owns a slot."""
        bit = 1 << slot
        return next((node for node in self.owners.values() if node.mask & bit), None)

    def assign(self, mask: int, owner: Node | None) -> dict[NodeId, int]:
        """Gives slots to `owner` (None: to nobody); what each former owner lost by it."""
        lost: dict[NodeId, int] = {}
        for node in list(self.owners.values()):
            taken = node.mask & mask
            if taken and node is not owner:
                lost[node.node_id] = taken
                self._set_mask(node, node.mask & ~taken)
        if owner is None:
            self.assigned &= ~mask
        else:
            self.assigned |= mask
            self._set_mask(owner, owner.mask | mask if owner.mask else mask)
        self.not_claimed &= ~mask
        if owner is not self.myself:
            for slot in [slot for slot in self.migrating_to if mask >> slot & 1]:
                del self.migrating_to[slot]
        return lost

    def _set_mask(self, node: Node, mask: int) -> None:
        if mask and not node.mask and any(other.replica_of for other in self.nodes.values()):
            # A primary with its first slots may get replicas of others, if there are any.
            node.flags |= NodeFlag.MIGRATE_TO
        node.mask = mask
        node.slots = bitmap_of(mask)
        if mask:
            self.owners[node.node_id] = node
        else:
            self.owners.pop(node.node_id, None)

    # ---- votes ----

    def is_voter(self, node: Node) -> bool:
        """Whether a node may vote: a primary with at least one slot."""
        return node.node_id in self.owners

    @property
    def quorum(self) -> int:
        """How many of the voters are a majority, dead ones included."""
        return len(self.owners) // 2 + 1

    @property
    def has_majority(self) -> bool:
        """Whether we reach a majority of the voters."""
        return sum(not node.is_failing for node in self.owners.values()) >= self.quorum

    # ---- time ----

    def wall_ms(self, at: int | None) -> int:
        """A monotonic time as Unix milliseconds, for others' eyes; 0 for never."""
        return 0 if at is None else max(0, at + self.wall_offset_ms)

    def count(self, counts: dict[int, int], message_type: MessageType | int) -> None:
        """Counts a message for CLUSTER INFO."""
        counts[int(message_type)] = counts.get(int(message_type), 0) + 1

    # ---- invariants ----

    def invariants(self) -> None:
        """Raises BrokenInvariant if what we know contradicts itself."""
        self.invariants_cheap()
        seen = 0
        for node_id, node in self.nodes.items():
            rule = self._maybe_broken_rule(node_id, node)
            _require(rule is None, rule or "")
            _require(seen & node.mask == 0, "a slot has one owner")
            seen |= node.mask
            if node is not self.myself:
                is_unlinked = node.in_handshake or not node.is_linked
                _require((node in self.unlinked) == is_unlinked, "unlinked are those without link")
                _require((node in self.waiting) == (node.ping_sent_at is not None), "who owes owes")
                _require(node in self.waiting or not node.is_suspected, "suspects owe an answer")
        others = len(self.nodes) - 1
        _require(len(self.deck) == others, "the deck holds all others")
        _require(max(len(self.unlinked), len(self.waiting)) <= others, "who is gone is forgotten")
        _require(seen == self.assigned, "the assigned slots are the owned ones")
        for link_id, link in self.links.items():
            _require(link.link_id == link_id, "a link is filed under its id")
            if link.node is not None:
                _require(self.nodes.get(link.node.node_id) is link.node, "links lead to nodes")

    def _maybe_broken_rule(self, node_id: NodeId, node: Node) -> str | None:
        flags, mask = node.flags, node.mask
        if node.node_id != node_id:
            return "a node is filed under its id"
        if (mask != 0) != (node_id in self.owners):
            return "owners are those with slots"
        if mask and not flags & NodeFlag.PRIMARY:
            return "only primaries own slots"
        roles = flags & (NodeFlag.PRIMARY | NodeFlag.REPLICA)
        if not flags & NodeFlag.HANDSHAKE and roles not in (NodeFlag.PRIMARY, NodeFlag.REPLICA):
            return "one role each"
        if flags & FAILING == FAILING:
            return "FAIL replaces PFAIL"
        if node.replica_of is not None and not flags & (NodeFlag.REPLICA | NodeFlag.HANDSHAKE):
            return "only replicas have a primary"
        if node.config_epoch > self.current_epoch:
            return "no config epoch beyond the current"
        return None

    def invariants_cheap(self) -> None:
        """The invariants that cost nothing: checked after every step, in production too."""
        myself, flags = self.myself, self.myself.flags
        if self.nodes.get(myself.node_id) is not myself:
            raise BrokenInvariant("I know myself")
        if myself.config_epoch > self.current_epoch:
            raise BrokenInvariant("my epoch is not beyond the current")
        if self.last_vote_epoch > self.current_epoch:
            raise BrokenInvariant("no vote in an epoch to come")
        if myself.replica_of == myself.node_id:
            raise BrokenInvariant("nobody replicates himself")
        if flags & FAILING:
            raise BrokenInvariant("I never call myself failing")
        if myself.mask != mask_of(myself.slots):
            raise BrokenInvariant("both forms of my slots are equal")
        if self.migrating_to or self.importing_from:
            self._check_moves()

    def _check_moves(self) -> None:
        myself = self.myself
        _require(not (myself.is_replica and self.migrating_to), "replicas move no slots")
        for slot in self.migrating_to:
            _require(bool(myself.mask >> slot & 1), "a migrating slot is ours")
        for slot in self.importing_from:
            _require(not myself.mask >> slot & 1, "an importing slot is not ours yet")


def _require(condition: bool, rule: str) -> None:
    if not condition:
        raise BrokenInvariant(rule)
