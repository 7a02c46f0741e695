"""Publish and subscribe: who listens to which channel, pattern and shard channel of one node.

Owns the registers of listeners, the `subscribed` state of their sessions, and the spreading of
messages. A message is encoded once for each protocol, put into the outboxes of all listeners, and
each of them is awakened once; how many listeners there are costs one append each. Everything is
kept in the order of arrival, so that the same history gives the same bytes.
"""

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Final

from ..slots.hashing import key_slot
from .resp.encoder import RESP2, bulk, integer, pack_bulks
from .session import ClientKind, Session
from .values.glob import compile_glob

if TYPE_CHECKING:
    from .machine import Machine

FEATURE: Final = "pubsub"
_FLAG: Final = "subscribed"

#: Dicts serve as ordered sets: listeners hear a message in the order in which they came.
Listeners = dict[Session, None]


class Subscriptions:
    """What one session listens to."""

    __slots__ = ("_pubsub", "channels", "patterns", "shard_channels")

    def __init__(self, pubsub: "PubSub") -> None:
        self._pubsub = pubsub
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    def on_disconnect(self, session: Session) -> None:
        """The client is gone, or wants to be an ordinary one again; nobody tells it anything."""
        for register in self._pubsub.registers:
            for name in register.names_of(self):
                register.remove(session, name)
            register.names_of(self).clear()
        session.flags.discard(_FLAG)
        if session.kind is ClientKind.PUBSUB:
            session.kind = ClientKind.NORMAL


class Register:
    """Who listens, for one of the three ways to subscribe."""

    __slots__ = ("counts", "left_word", "listeners", "names_of", "subscribed_word")

    def __init__(
        self,
        prefix: bytes,
        names_of: Callable[[Subscriptions], dict[bytes, None]],
        counts: Callable[[Subscriptions], int],
    ) -> None:
        self.subscribed_word = prefix + b"subscribe"
        self.left_word = prefix + b"unsubscribe"
        self.listeners: dict[bytes, Listeners] = {}
        #: The names that a session has in this register.
        self.names_of = names_of
        #: The number that a session is told when it changes something in this register.
        self.counts = counts

    def add(self, session: Session, name: bytes) -> None:
        """`session` listens to `name`."""
        self.listeners.setdefault(name, {})[session] = None

    def remove(self, session: Session, name: bytes) -> None:
        """`session` listens to `name` no more."""
        listeners = self.listeners[name]
        del listeners[session]
        if not listeners:
            del self.listeners[name]


def _open_count(own: Subscriptions) -> int:
    """Channels and patterns are counted together, shard channels by themselves."""
    return len(own.channels) + len(own.patterns)


class PubSub:
    """Everything about publishing on one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.channels = Register(b"", lambda own: own.channels, _open_count)
        self.patterns = Register(b"p", lambda own: own.patterns, _open_count)
        self.shard_channels = Register(
            b"s", lambda own: own.shard_channels, lambda own: len(own.shard_channels)
        )
        self.registers: Final = (self.channels, self.patterns, self.shard_channels)
        self._matchers: dict[bytes, Callable[[bytes], bool]] = {}

    # --- subscribing -------------------------------------------------------------------------

    def subscribe(self, session: Session, register: Register, names: Iterable[bytes]) -> bytes:
        """Let a session listen; returns one confirmation for each name."""
        own: Subscriptions | None = session.features.get(FEATURE)
        if own is None:
            own = session.features[FEATURE] = Subscriptions(self)
        mine = register.names_of(own)
        confirmations: list[bytes] = []
        for name in names:
            if name not in mine:
                mine[name] = None
                register.add(session, name)
                if register is self.patterns and name not in self._matchers:
                    self._matchers[name] = compile_glob(name)
            confirmations.append(
                _confirmation(session, register.subscribed_word, name, register.counts(own))
            )
        if _FLAG not in session.flags:
            session.flags.add(_FLAG)
            if session.kind is ClientKind.NORMAL:
                session.kind = ClientKind.PUBSUB
            self._machine.regate(session)
        return b"".join(confirmations)

    def unsubscribe(self, session: Session, register: Register, names: Collection[bytes]) -> bytes:
        """Let a session listen no more, to anything if no names are given."""
        own: Subscriptions = session.features.get(FEATURE) or Subscriptions(self)
        mine = register.names_of(own)
        word = register.left_word
        confirmations: list[bytes] = []
        for name in names or list(mine):
            if name in mine:
                self._leave(session, register, mine, name)
            confirmations.append(_confirmation(session, word, name, register.counts(own)))
        if not confirmations:
            confirmations.append(_confirmation(session, word, None, register.counts(own)))
        self._settle(session, own)
        return b"".join(confirmations)

    def _leave(
        self, session: Session, register: Register, mine: dict[bytes, None], name: bytes
    ) -> None:
        del mine[name]
        register.remove(session, name)

    def _settle(self, session: Session, own: Subscriptions) -> None:
        """Who listens to nothing is an ordinary client."""
        if own.channels or own.patterns or own.shard_channels or _FLAG not in session.flags:
            return
        session.features.pop(FEATURE, None)
        own.on_disconnect(session)
        self._machine.regate(session)

    def on_slots_left(self, slots: Collection[int]) -> None:
        """These slots went to another shard: whoever listened there is told to go, too."""
        register = self.shard_channels
        for name in [name for name in register.listeners if key_slot(name) in slots]:
            for session in list(register.listeners[name]):
                own: Subscriptions = session.features[FEATURE]
                self._leave(session, register, own.shard_channels, name)
                session.push(_confirmation(session, register.left_word, name, register.counts(own)))
                self._settle(session, own)

    # --- publishing --------------------------------------------------------------------------

    def publish(self, channel: bytes, message: bytes) -> int:
        """Give a message to the listeners of this node; returns how many there were."""
        count = 0
        listeners = self.channels.listeners.get(channel)
        if listeners is not None:
            count = self._spread(listeners, pack_bulks((b"message", channel, message)))
        if self.patterns.listeners:
            count += self._publish_by_pattern(channel, message)
        return count

    def _publish_by_pattern(self, channel: bytes, message: bytes) -> int:
        count = 0
        matchers = self._matchers
        for pattern, listeners in self.patterns.listeners.items():
            if matchers[pattern](channel):
                packed = pack_bulks((b"pmessage", pattern, channel, message))
                count += self._spread(listeners, packed)
        if len(matchers) > 2 * len(self.patterns.listeners) + 16:
            self._matchers = {name: matchers[name] for name in self.patterns.listeners}
        return count

    def publish_shard(self, channel: bytes, message: bytes) -> int:
        """`publish` for a shard channel."""
        listeners = self.shard_channels.listeners.get(channel)
        if listeners is None:
            return 0
        return self._spread(listeners, pack_bulks((b"smessage", channel, message)))

    def deliver(self, channel: bytes, message: bytes, is_sharded: bool) -> None:
        """Another node of the cluster passed a message on."""
        if is_sharded:
            self.publish_shard(channel, message)
        else:
            self.publish(channel, message)

    def _spread(self, listeners: Listeners, packed: bytes) -> int:
        """Put a message into the outbox of every listener."""
        awake = self._machine.awake
        as_push = b""
        for session in listeners:
            outbox = session.outbox
            if not outbox:
                # Otherwise the runtime knows already that something waits.
                awake.append(session)
            if session.encoder is RESP2:
                outbox.append(packed)
            else:
                as_push = as_push or b">" + packed[1:]
                outbox.append(as_push)
        return len(listeners)


def _confirmation(session: Session, word: bytes, name: bytes | None, count: int) -> bytes:
    encoder = session.encoder
    shown = encoder.null if name is None else bulk(name)
    return b"".join((encoder.push_header(3), bulk(word), shown, integer(count)))
