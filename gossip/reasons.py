"""The named reasons of all decisions and refusals that `events` tell.

Owns the enums. Rule: each member's value is for people, and each is reached by a story.
"""

import enum


class DropReason(enum.Enum):
    """Why a message was not acted on."""

    UNKNOWN_LINK = "the link is closed already"
    STALE_LINK = "its link was cut for longer than the timeout: it may be as old"
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
    OTHER_NODE = "the peer is not who asked for it"


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
    PROMISED = "we have promised its primary not to just now; we come back to it"


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
    HALF_DATA = "our data makes room for a copy that is not complete yet"
    NO_MAJORITY = "we do not reach a majority of the voters"
    RETRY_LATER = "the last attempt was too short a time ago"


class ElectionEnd(enum.Enum):
    """Why an election ended without a win."""

    PRIMARY_RETURNED = "the primary is no longer failing"
    RIVAL_WON = "the primary has lost its slots to another node"
    ROLE_CHANGED = "we are no replica of that primary any more"
    NO_VOTES = "no majority answered in time"
    OVERTAKEN = "an election of another shard took the epoch; trying again soon"
    SPLIT = "another shard's candidate asked in the same epoch; trying again soon"
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

    KILLED = "an operator wanted it (DEBUG)"
    SILENT = "no answer and no data for half the timeout"
    STALE = "it was cut, or we stood still: what comes over it may be older than the timeout"
    CONNECT_TIMEOUT = "the connection could not be made in time"
    ADDRESS_CHANGED = "the node moved"
    REPLACED = "the peer has connected anew"
    REMOVED = "the node was removed"
    WRONG_IDENTITY = "somebody else lives at the address now"
