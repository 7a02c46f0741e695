"""What a command did, besides its reply: what to propagate, whom to notify, whom to wake.

Commands never write to a replica, a file or another client. They call `Database.changed` for each
key that they changed, and, where sending the request word for word would not be deterministic, say
what is to be sent instead (`propagate_instead`). After each command the gate collects this as one
`EffectBatch` and hands it to the consumers in their order: replication and AOF feed, keyspace
notifications, client tracking and WATCH, blocked clients.

While nobody listens (`observed` is false) nothing is recorded but the count of changes: the hot
path of a plain cache pays one test for all of this. While all who listen only send commands on,
one that is sent on as it came is encoded once, and goes to them without any record (`settle`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from attrs import define, field

from .resp.alike import Alike, Requests
from .resp.encoder import pack_bulks


@define
class Propagated:
    """One command as replicas and the append-only file must see it."""

    database: int
    args: Sequence[bytes]


class KeyEvent(NamedTuple):
    """One keyspace event: `kind` is its class letter in `notify-keyspace-events`."""

    kind: str
    name: bytes
    key: bytes
    database: int


class EffectBatch:
    """Everything that one command (or one transaction) did."""

    __slots__ = ("_events", "commands", "flushed", "touched")

    def __init__(
        self,
        commands: tuple[Propagated, ...],
        events: Sequence[tuple[str, bytes, bytes, int]],
        touched: tuple[tuple[int, bytes], ...],
        flushed: tuple[int, ...],
    ) -> None:
        self.commands = commands
        self._events = events
        #: Each changed key once, in the order of its first change.
        self.touched = touched
        #: Databases that were emptied or swapped as a whole; -1 stands for all of them.
        self.flushed = flushed

    @property
    def events(self) -> tuple[KeyEvent, ...]:
        """The keyspace events; few ask for them."""
        return tuple(map(KeyEvent._make, self._events))


class Consumer(Protocol):
    """Somebody who acts on what commands did.

    One that has an attribute `wants_events` that is false looks at the commands of a batch only. It
    may have a method `on_run(database, encoded)`, and then gets commands that stand alone and are
    sent on as they came in this way, one or more at a time, as the bytes that are to be sent.
    One that has an attribute `wants_misses` that is false does not look at events of the classes
    m and n (a key that is missing, a key that is new).
    """

    def on_effects(self, batch: EffectBatch) -> None:
        """Take one batch; must not raise and must not run commands."""


def _nowhere(encoded: bytes) -> None:
    """There is no place where anything may be put without asking."""


@define(eq=False)
class Effects:
    """The recorder of one node. Its fields describe the command that is running now."""

    #: Changes since the last snapshot, as INFO shows them; commands add to it through `changed`.
    dirty: int = 0
    #: Somebody wants to know: the recorder records.
    observed: bool = False
    #: Somebody wants to know more than which commands to send on.
    wants_events: bool = False
    #: Somebody wants to know of keys that are missing, and of those that are new.
    wants_misses: bool = False
    #: Something is recorded that was not handed out yet.
    pending: bool = False
    #: Nesting of transactions and scripts: a batch is handed out when the outermost one ends.
    depth: int = 0
    #: How far the replication stream is; replication keeps it.
    stream_offset: int = 0
    consumers: list[Consumer] = field(factory=list)
    _commands: list[Propagated] = field(factory=list)
    _events: list[tuple[str, bytes, bytes, int]] = field(factory=list)
    _touched: dict[tuple[int, bytes], None] = field(factory=dict)
    _flushed: list[int] = field(factory=list)
    _instead: list[Propagated] | None = None
    #: `on_run` of all consumers; None if one of them has none.
    _takers: tuple[Callable[[int, bytes], None], ...] | None = None
    #: Where a command of this database that is sent on as it came may be put without asking, if
    #: nothing is pending and `depth` is 0; -1: nowhere (see `offer_place`).
    place_database: int = -1
    place: Callable[[bytes], None] = _nowhere
    #: What single requests of a pipeline did that is run as one, by the identity of the request.
    _apart: dict[int, EffectBatch | None] = field(factory=dict)

    def add_consumer(self, consumer: Consumer) -> None:
        """From now on `consumer` gets every batch."""
        self.consumers.append(consumer)
        self.look_around()

    def remove_consumer(self, consumer: Consumer) -> None:
        """`consumer` has seen enough."""
        self.consumers.remove(consumer)
        self.look_around()

    def look_around(self) -> None:
        """Find out anew what is wanted."""
        consumers = self.consumers
        self.observed = bool(consumers)
        self.wants_events = any(getattr(each, "wants_events", True) for each in consumers)
        self.wants_misses = any(
            getattr(each, "wants_events", True) and getattr(each, "wants_misses", True)
            for each in consumers
        )
        takers = [getattr(each, "on_run", None) for each in consumers]
        plain = not self.wants_events and None not in takers
        self._takers = tuple(take for take in takers if take is not None) if plain else None
        self.place_database = -1

    def offer_place(
        self, taker: Callable[[int, bytes], None], database: int, place: Callable[[bytes], None]
    ) -> None:
        """`taker` (an `on_run`) would just put further commands of this database there.

        That is so until anything else is handed out; nobody else takes them.
        """
        if self._takers is not None and len(self._takers) == 1 and self._takers[0] == taker:
            self.place_database, self.place = database, place

    def record_change(self, database: int, key: bytes, kind: str, event: bytes) -> None:
        """A key changed (called by `Database.changed` while somebody wants to know)."""
        if not self.wants_events:
            return
        self.pending = True
        self._touched[(database, key)] = None
        if event:
            self._events.append((kind, event, key, database))

    def record_event(self, database: int, key: bytes, kind: str, event: bytes) -> None:
        """Something happened around a key that did not change its value (a miss, a new key)."""
        if self.wants_misses or (self.wants_events and kind not in "mn"):
            self.pending = True
            self._events.append((kind, event, key, database))

    def record_flush(self, database: int) -> None:
        """A whole database went away or became another one."""
        if self.observed:
            self.pending = True
            self._flushed.append(database)

    def propagate_instead(self, database: int, *commands: Sequence[bytes]) -> None:
        """Send these commands to replicas and AOF in place of the request; none is allowed."""
        if self.observed:
            self.pending = True
            if self._instead is None:
                self._instead = []
            self._instead.extend(Propagated(database, args) for args in commands)

    def propagate_before(self, database: int, args: Sequence[bytes]) -> None:
        """Send this command ahead of whatever the running command sends (lazy expiry, eviction)."""
        if self.observed:
            self.pending = True
            self._commands.append(Propagated(database, args))

    def finish_command(self, database: int, args: Sequence[bytes], dirty_before: int) -> None:
        """A command ended: settle what is propagated; empty `args`: only what it asked for."""
        instead, self._instead = self._instead, None
        if instead is not None:
            self._commands.extend(instead)
        elif args and self.dirty != dirty_before:
            self.pending = True
            self._commands.append(Propagated(database, args))

    def settle(self, database: int, args: list[bytes], dirty_before: int) -> None:
        """`finish_command` and `deliver`, for a command that changed or recorded something."""
        if self._takers is not None and not self.pending and not self.depth:
            encoded = pack_bulks(tuple(args))
            if database == self.place_database:
                self.place(encoded)
                return
            for take in self._takers:
                take(database, encoded)
            return
        self.finish_command(database, args, dirty_before)
        self.deliver()

    # --- pipelines that are run as one ---------------------------------------------------------

    @property
    def takes_runs(self) -> bool:
        """Whether `settle_run` may be used."""
        return self._takers is not None and not self.pending and not self.depth

    def set_apart(self, database: int, args: list[bytes], dirty_before: int) -> None:
        """One request of such a pipeline was run by itself: keep what it did until its turn."""
        self.finish_command(database, args, dirty_before)
        self._apart[id(args)] = self.take_batch()

    def settle_run(self, database: int, requests: Requests) -> None:
        """Hand out what a pipeline did: each request is sent on as it came, or was set apart."""
        if self._apart:
            self._settle_mixed(database, requests)
        else:
            self._hand_on(database, requests)

    def settle_apart(self) -> None:
        """Hand out what single requests of a pipeline did whose others did nothing."""
        if self._apart:
            apart, self._apart = self._apart, {}
            for batch in apart.values():
                if batch is not None:
                    self._hand_out(batch)

    def _hand_on(self, database: int, requests: Requests) -> None:
        if type(requests) is Alike:
            encoded = requests.data
        else:
            encoded = b"".join([pack_bulks(tuple(args)) for args in requests])
        for take in self._takers or ():
            take(database, encoded)

    def _settle_mixed(self, database: int, requests: Requests) -> None:
        apart, self._apart = self._apart, {}
        plain: list[list[bytes]] = []
        for args in requests:
            if id(args) not in apart:
                plain.append(args)
                continue
            if plain:
                self._hand_on(database, plain)
                plain = []
            batch = apart[id(args)]
            if batch is not None:
                self._hand_out(batch)
        if plain:
            self._hand_on(database, plain)

    # --- handing out ---------------------------------------------------------------------------

    def take_batch(self) -> EffectBatch | None:
        """What was recorded since the last call; None when that is nothing."""
        if not self.pending:
            return None
        self.pending = False
        commands, events = self._commands, self._events
        touched, flushed = self._touched, self._flushed
        if not (commands or events or touched or flushed):
            return None
        batch = EffectBatch(tuple(commands), tuple(events), tuple(touched), tuple(flushed))
        commands.clear()
        events.clear()
        touched.clear()
        flushed.clear()
        return batch

    def deliver(self) -> None:
        """Hand the recorded batch to every consumer, unless a transaction or script still runs."""
        if self.depth:
            return
        batch = self.take_batch()
        if batch is not None:
            self._hand_out(batch)

    def _hand_out(self, batch: EffectBatch) -> None:
        self.place_database = -1
        for consumer in tuple(self.consumers):
            consumer.on_effects(batch)
