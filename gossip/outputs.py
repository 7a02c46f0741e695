"""What the core wants done, in the order in which it must be done.

Owns `Outputs` and its order law. Rules:

1. `save` is written, and fsynced if `must_sync`, before anything below happens: **an epoch, a
   vote or a slot of ours is on disk before a packet reveals it**. If it cannot be written, nothing
   below may happen. What came with a message may be saved later: with
   the next tick, or ahead of the next packet if that would reveal it.
2. `changes` are applied to the node, in their order; a pause is in force before the packet that
   announces the paused offset leaves.
3. `send` goes out; a message for a link that is gone is dropped silently.
4. `links` are opened and closed. A `Close` follows what is to be sent before.
5. `events` are told to whoever listens (log, metrics, tests). They never change anything.
"""

import enum
from typing import TypeAlias

from attrs import field, frozen

from .events import (
    Event,
)
from .messages import Message, NodeId, slots_repr
from .nodes_conf import StoredCluster
from .state import LinkId

# ---- changes: what happens to the node itself ----------------------------------------------------


@frozen
class BecomeReplica:
    """Replicate from this node; also given again when its address changes."""

    primary_id: NodeId
    ip: str
    port: int
    pport: int = 0


@frozen
class BecomePrimary:
    """Stop replicating and keep the data."""


@frozen
class FlushData:
    """Forget all data: a replica was reset."""


@frozen
class SlotsMoved:
    """These slots have a new owner now, None for nobody."""

    slots: bytes = field(repr=slots_repr)
    owner_id: NodeId | None


@frozen
class DeleteKeys:
    """We lost these slots to another node, but hold keys in them: they must go."""

    slots: bytes = field(repr=slots_repr)


@frozen
class SlotsMarked:
    """The slots on the move are these now."""

    migrating_to: tuple[tuple[int, NodeId], ...]
    importing_from: tuple[tuple[int, NodeId], ...]


@frozen
class ClusterStateChanged:
    """Whether the cluster serves queries."""

    is_ok: bool


@frozen
class PauseWrites:
    """Hold the writes of clients until then at most: a manual failover."""

    until: int


@frozen
class UnpauseWrites:
    """Let the clients go on."""


@frozen
class DeliverPublish:
    """A peer passed on a message for our subscribers."""

    channel: bytes
    message: bytes
    sharded: bool


@frozen
class Renamed:
    """We have a new id: CLUSTER RESET HARD."""

    node_id: NodeId


Change: TypeAlias = (
    BecomeReplica
    | BecomePrimary
    | FlushData
    | SlotsMoved
    | DeleteKeys
    | SlotsMarked
    | ClusterStateChanged
    | PauseWrites
    | UnpauseWrites
    | DeliverPublish
    | Renamed
)

# ---- packets and links ---------------------------------------------------------------------------


@frozen
class Send:
    """One packet; equal messages (by identity) need to be encoded once only."""

    link_id: LinkId
    message: Message


@frozen
class Connect:
    """Connect to a node's bus port; answer with `LinkEstablished` or `LinkFailed`."""

    link_id: LinkId
    node_id: NodeId
    ip: str
    cport: int


@frozen
class Close:
    """Close a link, whether it stands or is being made; no `LinkClosed` is expected."""

    link_id: LinkId


LinkOrder: TypeAlias = Connect | Close


@frozen
class Outputs:
    """All that follows from one step; the order of the fields is the law."""

    save: StoredCluster | None = None
    must_sync: bool = False
    changes: tuple[Change, ...] = ()
    send: tuple[Send, ...] = ()
    links: tuple[LinkOrder, ...] = ()
    events: tuple[Event, ...] = ()


class Endpoint(enum.Enum):
    """Which name of a node clients are told (`cluster-preferred-endpoint-type`)."""

    IP = "ip"
    HOSTNAME = "hostname"
    UNKNOWN = "unknown-endpoint"
