"""What the core decided and why: one record for each kind of decision, refusals included.

Owns the records; the named reasons are in `reasons`. Rules: an event is never read by the core; it
holds ids and plain values, so that it can be printed, counted and compared. Nothing is repeated at
every tick: a lasting refusal is told when it begins.
"""

from typing import TypeAlias

from attrs import field, frozen

from .messages import NodeId, slots_repr
from .reasons import (
    DropReason,
    ElectionEnd,
    HandshakeEnd,
    HandshakeRefusal,
    LinkLoss,
    ManualEnd,
    NotStarted,
    RoleReason,
    UnhealthyReason,
    Via,
    VoteIgnored,
    VoteRefusal,
)

# ---- members and links ---------------------------------------------------------------------------


@frozen
class HandshakeStarted:
    """A node is to be made a member."""

    ip: str
    cport: int


@frozen
class HandshakeRefused:
    """It is not."""

    ip: str
    cport: int
    reason: HandshakeRefusal


@frozen
class HandshakeEnded:
    """It was not."""

    ip: str
    cport: int
    reason: HandshakeEnd


@frozen
class NodeJoined:
    """A handshake succeeded."""

    node_id: NodeId


@frozen
class NodeLearned:
    """A member told us about another."""

    node_id: NodeId
    by: NodeId


@frozen
class NodeForgotten:
    """A member was removed, and is banned for a while."""

    node_id: NodeId
    by: NodeId | None
    """Who told us; None for our operator."""


@frozen
class AddressChanged:
    """A member can be reached elsewhere now."""

    node_id: NodeId
    ip: str
    cport: int


@frozen
class AddressLost:
    """Somebody else answered at a member's address."""

    node_id: NodeId
    found: NodeId


@frozen
class OwnAddressLearned:
    """Others reach us at this address."""

    ip: str


@frozen
class LinkDropped:
    """We closed a link to a member, or from it."""

    node_id: NodeId
    reason: LinkLoss


@frozen
class MessageDropped:
    """A message was not acted on."""

    sender: NodeId | None
    reason: DropReason


# ---- failure detection ---------------------------------------------------------------------------


@frozen
class NodeSuspected:
    """PFAIL: a member has not answered in time."""

    node_id: NodeId


@frozen
class NodeReported:
    """A member calls another one failing."""

    node_id: NodeId
    by: NodeId


@frozen
class ReportWithdrawn:
    """It no longer does."""

    node_id: NodeId
    by: NodeId


@frozen
class NodeFailed:
    """FAIL."""

    node_id: NodeId
    via: Via


@frozen
class NodeRecovered:
    """PFAIL or FAIL is over."""

    node_id: NodeId


@frozen
class HealthChanged:
    """Whether the cluster serves queries, as we see it; why not."""

    is_ok: bool
    reason: UnhealthyReason | None = None


# ---- epochs, slots, roles ------------------------------------------------------------------------


@frozen
class EpochRaised:
    """The current epoch of the cluster is greater than we knew."""

    current_epoch: int


@frozen
class ConfigEpochTaken:
    """We have a new config epoch that nobody voted for."""

    config_epoch: int


@frozen
class EpochCollision:
    """Another primary has our config epoch; `moves` says whether it is us who take a new one."""

    node_id: NodeId
    config_epoch: int
    moves: bool


@frozen
class SlotsTaken:
    """A claim was accepted."""

    node_id: NodeId
    slots: bytes = field(repr=slots_repr)
    config_epoch: int


@frozen
class ClaimOutdated:
    """A claim is older than the owner's; the claimer is told."""

    node_id: NodeId
    owner: NodeId


@frozen
class LateHeartbeat:
    """A heartbeat is older than one that came before it; what it says of slots is not believed."""

    node_id: NodeId
    current_epoch: int


@frozen
class RoleLearned:
    """A member changed its role or its primary."""

    node_id: NodeId
    replica_of: NodeId | None


@frozen
class BecameReplica:
    """We replicate that node now."""

    primary: NodeId
    reason: RoleReason


@frozen
class BecamePrimary:
    """We are a primary now; the former one of ours, if we had one, may have no known address."""

    reason: RoleReason
    former: NodeId | None


# ---- elections -----------------------------------------------------------------------------------


@frozen
class FailoverNotStarted:
    """Our primary is failing, but we stand back."""

    reason: NotStarted


@frozen
class ElectionScheduled:
    """We will ask for votes."""

    delay_ms: int
    rank: int
    failed_rank: int


@frozen
class ElectionDelayed:
    """Others are ahead of us, as we learned since."""

    delay_ms: int
    rank: int
    failed_rank: int


@frozen
class ElectionHastened:
    """All siblings agree, and none is ahead of us."""


@frozen
class VotesAsked:
    """We asked for votes."""

    epoch: int


@frozen
class VoteReceived:
    """A voter wants us."""

    by: NodeId
    count: int
    needed: int


@frozen
class VoteNotCounted:
    """A vote came, but does not count."""

    by: NodeId
    reason: VoteIgnored


@frozen
class ElectionWon:
    """A majority wants us."""

    epoch: int


@frozen
class ElectionEnded:
    """We did not win."""

    reason: ElectionEnd


@frozen
class VoteGranted:
    """We voted."""

    to: NodeId
    epoch: int


@frozen
class VoteRefused:
    """We did not."""

    to: NodeId
    reason: VoteRefusal


@frozen
class PromiseGiven:
    """To a primary that comes out of a minority: we elect nobody in its place for a while."""

    to: NodeId


# ---- manual failover -----------------------------------------------------------------------------


@frozen
class ManualFailoverStarted:
    """At a replica: an operator asked for it. At a primary: its replica did."""

    replica: NodeId


@frozen
class ManualFailoverRefused:
    """A second replica asks while the first is at it."""

    replica: NodeId


@frozen
class PausedOffsetReceived:
    """The primary holds its clients at this offset."""

    offset: int


@frozen
class OffsetReached:
    """We have all that the primary wrote."""

    offset: int


@frozen
class ManualFailoverEnded:
    """It is over."""

    reason: ManualEnd


Event: TypeAlias = (
    HandshakeStarted
    | HandshakeRefused
    | HandshakeEnded
    | NodeJoined
    | NodeLearned
    | NodeForgotten
    | AddressChanged
    | AddressLost
    | OwnAddressLearned
    | LinkDropped
    | MessageDropped
    | NodeSuspected
    | NodeReported
    | ReportWithdrawn
    | NodeFailed
    | NodeRecovered
    | HealthChanged
    | EpochRaised
    | ConfigEpochTaken
    | EpochCollision
    | SlotsTaken
    | ClaimOutdated
    | LateHeartbeat
    | RoleLearned
    | BecameReplica
    | BecamePrimary
    | FailoverNotStarted
    | ElectionScheduled
    | ElectionDelayed
    | ElectionHastened
    | VotesAsked
    | VoteReceived
    | VoteNotCounted
    | ElectionWon
    | ElectionEnded
    | VoteGranted
    | VoteRefused
    | PromiseGiven
    | ManualFailoverStarted
    | ManualFailoverRefused
    | PausedOffsetReceived
    | OffsetReached
    | ManualFailoverEnded
)
