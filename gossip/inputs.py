"""What can happen to the core, and what it may ask about the node it lives in.

Owns the records that `GossipCore.step` takes. Everything else reaches the core as a tick or a
command.
"""

from typing import Protocol, TypeAlias

from attrs import frozen

from .config import Config
from .messages import Message
from .state import LinkId


class LocalData(Protocol):
    """The node's own data, asked at the very moment a decision needs it, never remembered."""

    def offset(self) -> int:
        """Replication offset: written as primary; as replica received from its *present* primary.

        0 until the first synchronisation with that primary: an offset in another history is worth
        nothing.
        """

    def primary_silence_ms(self) -> int | None:
        """How long the link to the primary has been down or silent; None if it never was up."""

    def keys_in_slot(self, slot: int) -> int:
        """How many keys a slot holds."""

    def keys_in_all(self) -> int:
        """How many keys there are."""

    def is_whole(self) -> bool:
        """Whether the data is all there.

        It is not while it is being loaded, nor when it was thrown away for a copy that never came.
        """


class Rng(Protocol):
    """What the core needs of a seeded `random.Random`."""

    def randrange(self, stop: int, /) -> int:
        """An integer from 0 to `stop - 1`."""

    def getrandbits(self, bits: int, /) -> int:
        """An integer of so many random bits."""


@frozen
class LinkAccepted:
    """A peer connected to us; the runtime chose a negative `link_id`."""

    link_id: LinkId
    peer_ip: str
    local_ip: str


@frozen
class LinkEstablished:
    """A `Connect` succeeded."""

    link_id: LinkId
    local_ip: str = ""


@frozen
class LinkFailed:
    """A `Connect` did not succeed."""

    link_id: LinkId


@frozen
class LinkClosed:
    """A link that stood is gone: the peer closed it, it broke, or its buffer was over the limit."""

    link_id: LinkId


@frozen
class DataSeen:
    """Bytes arrived on a link, though no whole message yet: the peer lives."""

    link_id: LinkId


@frozen
class MessageReceived:
    """A whole message arrived on a link."""

    link_id: LinkId
    message: Message


@frozen
class ReplicationProgressed:
    """The offset of the node moved; only needed while a manual failover waits for it."""


@frozen
class ConfigChanged:
    """An operator changed an option."""

    config: Config


@frozen
class WallClockChanged:
    """Unix milliseconds minus monotonic milliseconds is this now."""

    offset_ms: int


Input: TypeAlias = (
    LinkAccepted
    | LinkEstablished
    | LinkFailed
    | LinkClosed
    | DataSeen
    | MessageReceived
    | ReplicationProgressed
    | ConfigChanged
    | WallClockChanged
)
