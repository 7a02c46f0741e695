"""The messages that cluster nodes send each other, as values.

Owns what a message *means*; how it lies in bytes is the business of `wire`. Rules:

* Every record is frozen; equal records encode to equal bytes.
* A node id is a `str` of 40 characters out of `0-9a-z` (in practice hexadecimal); "no node" is
  None, never a string of zeros.
* A slots bitmap is `bytes` of length 2048; slot `s` is bit `s % 8` of byte `s // 8`.
* Times on the wire are whole Unix seconds and named `_s`; epochs fit 63 bits.
* All messages but the light forms carry a `Header`, in which the sender says how it sees itself.
  `header` is None only in `Publish` and `Ignored`, and only if they came with Valkey's 16-byte
  light header, which names no sender: the receiver then knows the sender by the link alone.
"""

import enum
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import field, frozen

from .limits import SLOTS_BITMAP_BYTES

NodeId: TypeAlias = str

NO_SLOTS: Final = bytes(SLOTS_BITMAP_BYTES)
_RUN_OF_ONES: Final = re.compile("1+")


def slot_ranges(slots: bytes) -> Iterator[tuple[int, int]]:
    """The (first, last) slots of each run in a bitmap."""
    bits = f"{int.from_bytes(slots, 'little'):b}"[::-1]
    for run in _RUN_OF_ONES.finditer(bits):
        yield run.start(), run.end() - 1


def slots_text(slots: bytes) -> str:
    """A bitmap as nodes.conf and CLUSTER NODES spell it: `0-100 200`."""
    return " ".join(
        str(first) if first == last else f"{first}-{last}" for first, last in slot_ranges(slots)
    )


def slots_repr(slots: bytes) -> str:
    """For records: 2048 bytes would drown the rest."""
    return f"<{slots_text(slots)}>"


class Reason(enum.Enum):
    """Why foreign bytes were refused; the value is for people."""

    BAD_SIGNATURE = "does not begin with RCmb"
    BAD_VERSION = "is of another protocol version"
    TOO_SHORT = "is shorter than its header"
    OVER_LIMIT = "is longer than any message of its type may be here"
    LENGTH_DIFFERS = "has another length than its header says"
    BODY_LENGTH_WRONG = "has another length than its content says"
    LIGHT_NOT_ALLOWED = "has a light header, which its type may not have"
    BAD_NODE_ID = "holds a node id that is none"
    BAD_ADDRESS = "holds an address with impossible characters"
    EPOCH_TOO_LARGE = "holds an epoch of 2^63 or more"
    OFFSET_TOO_LARGE = "holds a replication offset of 2^63 or more"
    EXTENSION_OVERRUN = "has an extension that reaches over its end"
    EXTENSION_MISALIGNED = "has an extension whose length is no multiple of 8"
    EXTENSION_TOO_SHORT = "has an extension shorter than its type needs"
    BAD_HOSTNAME = "has a host name that could not be one"
    TTL_TOO_LARGE = "shuns a node for 2^63 seconds or more"


class BadPacket(Exception):  # noqa: N818 - named for what was received, as the events are
    """Foreign bytes that are no message; the one exception of everything `*_untrusted` here."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(f"a bus packet {reason.value}")
        self.reason = reason


class NodeFlag:
    """What a node is and how it fares, as one node sees another (or itself).

    Plain numbers, since an IntFlag costs twenty times as much at each `&`, and flags are asked some
    hundred times a step. The values are those on the wire. Bits that we do not know (newer versions
    have some) are kept.
    """

    NONE: Final = 0
    PRIMARY: Final = 1
    REPLICA: Final = 2
    PFAIL: Final = 4
    """Possibly failing: the node that says so got no answer for longer than the node timeout."""
    FAIL: Final = 8
    """Failing: a majority of the voters said PFAIL."""
    MYSELF: Final = 16
    HANDSHAKE: Final = 32
    """Known by address only; its id is a stand-in until its first answer."""
    NOADDR: Final = 64
    """Its address is not known (any more)."""
    MEET: Final = 128
    """A MEET is to be sent to it instead of a PING."""
    MIGRATE_TO: Final = 256
    """A primary that replicas of others may move to."""
    NOFAILOVER: Final = 512
    """A replica that will not start an election by itself."""
    EXTENSIONS_SUPPORTED: Final = 1024
    """It understands ping extensions (local knowledge; 7.2 and later keep it among the flags)."""


class MessageFlag:
    """Bits about one message, or about the sender at that moment. The values are the wire's."""

    NONE: Final = 0
    PAUSED: Final = 1
    """The sending primary holds its clients for a manual failover: its `offset` stands still."""
    FORCEACK: Final = 2
    """Vote even though the primary is up: this election was asked for by an operator."""
    EXT_DATA: Final = 4
    """Extensions follow the gossip; 7.2 and later always set it: "I understand extensions"."""


class MessageType(enum.IntEnum):
    """The type number in the header."""

    PING = 0
    PONG = 1
    MEET = 2
    FAIL = 3
    PUBLISH = 4
    FAILOVER_AUTH_REQUEST = 5
    FAILOVER_AUTH_ACK = 6
    UPDATE = 7
    MFSTART = 8
    MODULE = 9
    PUBLISHSHARD = 10


@frozen
class Header:
    """How the sender sees itself at the time of sending."""

    sender: NodeId
    current_epoch: int
    """The greatest epoch the sender ever saw."""
    config_epoch: int
    """The epoch of `slots`: the sender's own, or its primary's if the sender is a replica."""
    offset: int
    """Replication offset: as primary, of what was written; as replica, of what was received."""
    port: int
    """Client port of the kind that the bus uses: TLS with `tls-cluster yes`, else plain TCP."""
    cport: int
    """Bus port."""
    flags: int
    ip: str = ""
    """The announced address (`cluster-announce-ip`), or "": take the one the link comes from."""
    pport: int = 0
    """Client port of the other kind, 0 if there is none (7.0: plain TCP beside a TLS `port`)."""
    cluster_ok: bool = True
    """Whether the sender considers the cluster up."""
    message_flags: int = MessageFlag.NONE
    slots: bytes = field(default=NO_SLOTS, repr=slots_repr)
    """Slots served by the sender, or by its primary if the sender is a replica."""
    replica_of: NodeId | None = None
    """Id of the sender's primary; None for a primary and for a replica that has none yet."""
    asks: int = 0
    """Ours alone: the number of the question that `promises` answers; 0 for none."""
    promises: int = 0
    """Ours alone: "I vote for nobody else to have your slots now", as the question's number."""


@frozen
class GossipEntry:
    """What a heartbeat's sender says about a third node."""

    node_id: NodeId
    ping_sent_s: int
    """When the sender's still unanswered PING to that node left; 0 if none is waiting."""
    pong_received_s: int
    """When the sender last got a PONG from that node; 0 for never."""
    ip: str
    port: int
    cport: int
    flags: int
    """The sender's view; PFAIL and FAIL are its failure report."""
    pport: int = 0


@frozen
class Hostname:
    """Extension: the sender's `cluster-announce-hostname`; "" says that it has none (any more)."""

    name: str


@frozen
class HumanNodename:
    """Extension (7.2): the sender's `cluster-announce-human-nodename`, for logs."""

    name: str


@frozen
class ForgottenNode:
    """Extension (7.2): the sender was told to forget this node; shun it for so many seconds."""

    node_id: NodeId
    ttl_s: int


@frozen
class ShardId:
    """Extension (7.2): the shard the sender belongs to; a primary and its replicas share it."""

    shard_id: NodeId


@frozen
class UnknownExtension:
    """An extension that we do not know, kept as it came. `body` is a multiple of 8 bytes."""

    type_number: int
    body: bytes


Extension: TypeAlias = Hostname | HumanNodename | ForgottenNode | ShardId | UnknownExtension


@frozen
class Heartbeat:
    """What PING, PONG and MEET have in common: a header, news about others, and extensions."""

    header: Header
    gossip: tuple[GossipEntry, ...] = ()
    extensions: tuple[Extension, ...] = ()


@frozen
class Ping(Heartbeat):
    """Are you there? Answered by a `Pong` on the same link."""


@frozen
class Pong(Heartbeat):
    """The answer to a `Ping` or `Meet`; sent unasked when something about the sender changed."""


@frozen
class Meet(Heartbeat):
    """A `Ping` that makes the receiver take the sender in, though it may be a stranger."""


@frozen
class Fail:
    """A majority of voters finds `node_id` unreachable: mark it FAIL at once."""

    header: Header
    node_id: NodeId


@frozen
class Publish:
    """A message for the subscribers of a channel (PUBLISH) or shard channel (PUBLISHSHARD)."""

    header: Header | None
    channel: bytes
    message: bytes
    sharded: bool = False

    @property
    def light(self) -> bool:
        """Whether it has (had) the light header of Valkey 8.1 and later, which names no sender."""
        return self.header is None


@frozen
class FailoverAuthRequest:
    """A replica asks for votes: epoch and claimed slots are the header's; see also FORCEACK."""

    header: Header


@frozen
class FailoverAuthAck:
    """A primary's vote for the receiver, in the epoch of the header."""

    header: Header


@frozen
class Update:
    """Your view is stale: `node_id` owns `slots` with this greater `config_epoch`."""

    header: Header
    config_epoch: int
    node_id: NodeId
    slots: bytes = field(repr=slots_repr)


@frozen
class MfStart:
    """A replica asks its primary to hold its clients, so that a manual failover loses nothing."""

    header: Header


@frozen
class Ignored:
    """A message of a module, or of a type that we do not know: counted, then dropped."""

    header: Header | None
    type_number: int
    body: bytes


Message: TypeAlias = (
    Ping
    | Pong
    | Meet
    | Fail
    | Publish
    | FailoverAuthRequest
    | FailoverAuthAck
    | Update
    | MfStart
    | Ignored
)


def message_type(message: Message) -> int:
    """The type number in the header, without the light bit; CLUSTER INFO counts messages by it."""
    match message:
        case Publish():
            return MessageType.PUBLISHSHARD if message.sharded else MessageType.PUBLISH
        case Ignored():
            return message.type_number
        case _:
            return _TYPE_OF_CLASS[type(message)]


_TYPE_OF_CLASS: Final[dict[type, MessageType]] = {
    Ping: MessageType.PING,
    Pong: MessageType.PONG,
    Meet: MessageType.MEET,
    Fail: MessageType.FAIL,
    FailoverAuthRequest: MessageType.FAILOVER_AUTH_REQUEST,
    FailoverAuthAck: MessageType.FAILOVER_AUTH_ACK,
    Update: MessageType.UPDATE,
    MfStart: MessageType.MFSTART,
}
