"""What the core decided and why: one record for each kind of decision, refusals included.

Owns the records and the named reasons. Rules: an event is never read by the core; it holds ids and
plain values, so that it can be printed, counted and compared; each reason is an enum member whose
value is for people. Nothing is repeated at every tick: a lasting refusal is told when it begins.
"""

import enum
from typing import TypeAlias

from attrs import field, frozen

from .messages import NodeId, slots_repr

# ---- reasons -------------------------------------------------------------------------------------


class DropReason(enum.Enum):
    """Why a message was not acted on."""

    UNKNOWN_LINK = "the link is closed already"
    FILTERED = "its type is dropped by order of DEBUG"
    UNKNOWN_SENDER = "its sender is no member"
    OWN_MESSAGE = "we sent it ourselves"
    WRONG_IDENTITY = "its sender is not the node that the link leads to"
    ABSURD_EPOCH = "its epoch is beyond anything that elections could reach"
    UNKNOWN_TYPE = "its type is unknown"
    NOT_MY_REPLICA = "it may come from our own replicas only"
    UNKNOWN_SUBJECT = "the node it is about is unknown"
    ABOUT_MYSELF = "it tells us about ourselves"
    OLD_NEWS = "what it tells is older than what we know"


class HandshakeRefusal(enum.Enum):
    """Why no handshake begins."""

    BAD_ADDRESS = "the address is none"
    IN_PROGRESS = "one with that address is in progress"
    TOO_MANY = "too many are in progress"


class HandshakeEnd(enum.Enum):
    """Why a handshake ended without a new member."""

    TIMEOUT = "no answer in time"
    KNOWN_NODE = "the peer is a member already"
    MYSELF = "the peer is this node"


class Via(enum.Enum):
    """How something was learned."""

    QUORUM = "a majority of the voters reported it"
    MESSAGE = "a peer said so"


class RoleReason(enum.Enum):
    """Why our role or our primary changed."""

    LOST_LAST_SLOT = "another node took our last slot"
    PRIMARY_LOST_LAST_SLOT = "another node took our primary's last slot"
    SUB_REPLICA = "our primary is a replica itself"
    MIGRATION = "another primary was left without replicas"
    COMMAND = "an operator asked for it"
    ELECTED = "a majority elected us"
    TAKEOVER = "an operator had us take over without a vote"


class VoteRefusal(enum.Enum):
    """Why a replica does not get our vote."""

    NOT_A_VOTER = "we have no slots, so no vote"
    OLD_EPOCH = "the request is of an epoch that is over"
    ALREADY_VOTED = "we voted in this epoch"
    NOT_A_REPLICA = "the candidate is no replica"
    UNKNOWN_PRIMARY = "the candidate's primary is unknown"
    PRIMARY_UP = "the candidate's primary is not failing"
    VOTED_RECENTLY = "we voted for another replica of that primary a moment ago"
    STALE_SLOTS = "a claimed slot has an owner with a greater epoch"
    NO_MAJORITY = "we are in a minority ourselves"
    NO_DATA = "the candidate has no data, but a sibling has"


class VoteIgnored(enum.Enum):
    """Why a vote for us does not count."""

    NO_ELECTION = "we are not asking for votes (any more)"
    NOT_A_VOTER = "its sender has no slots, so no vote"
    OTHER_EPOCH = "it is for another attempt"


class NotStarted(enum.Enum):
    """Why a replica of a failing primary does not start an election."""

    NO_FAILOVER = "cluster-replica-no-failover is set"
    DATA_TOO_OLD = "our data is older than cluster-replica-validity-factor allows"
    NO_DATA = "we have no data, but a sibling has"
    NO_MAJORITY = "we do not reach a majority of the voters"
    RETRY_LATER = "the last attempt was too short a time ago"


class ElectionEnd(enum.Enum):
    """Why an election ended without a win."""

    PRIMARY_RETURNED = "the primary is no longer failing"
    RIVAL_WON = "the primary has lost its slots to another node"
    ROLE_CHANGED = "we are no replica of that primary any more"
    NO_VOTES = "no majority answered in time"
    OVERTAKEN = "an election of another shard took the epoch; trying again soon"
    SUPERSEDED = "an operator asked for another kind of failover"


class ManualEnd(enum.Enum):
    """Why a manual failover ended."""

    DONE = "the role has changed"
    TIMEOUT = "it took too long"
    RESET = "the node was reset"
    REPLACED = "an operator asked again"


class UnhealthyReason(enum.Enum):
    """Why the cluster serves no queries."""

    UNASSIGNED_SLOTS = "some slots have no owner"
    FAILED_SLOTS = "the owner of some slots has failed"
    MINORITY = "we do not reach a majority of the voters"


class LinkLoss(enum.Enum):
    """Why we closed a link."""

    SILENT = "no answer and no data for half the timeout"
    CONNECT_TIMEOUT = "the connection could not be made in time"
    ADDRESS_CHANGED = "the node moved"
    REPLACED = "the peer has connected anew"
    REMOVED = "the node was removed"
    WRONG_IDENTITY = "somebody else lives at the address now"


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
    """We are a primary now."""

    reason: RoleReason


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
    | ManualFailoverStarted
    | ManualFailoverRefused
    | PausedOffsetReceived
    | OffsetReached
    | ManualFailoverEnded
)
