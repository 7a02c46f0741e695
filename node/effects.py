"""What a command did, besides its reply: what to propagate, whom to notify, whom to wake.

Commands never write to a replica, a file or another client. They call `Database.changed` for each
key that they changed, and, where sending the request word for word would not be deterministic, say
what is to be sent instead (`propagate_instead`). After each command the gate collects this as one
`EffectBatch` and hands it to the consumers in their order: replication and AOF feed, keyspace
notifications, client tracking and WATCH, blocked clients.

While nobody listens (`observed` is false) nothing is recorded but the count of changes: the hot
path of a plain cache pays one test for all of this.
"""

from collections.abc import Sequence
from typing import Protocol

from attrs import define, field, frozen


@frozen
class Propagated:
    """One command as replicas and the append-only file must see it."""

    database: int
    args: Sequence[bytes]


@frozen
class KeyEvent:
    """One keyspace event: `kind` is its class letter in `notify-keyspace-events`."""

    kind: str
    name: bytes
    key: bytes
    database: int


@frozen
class EffectBatch:
    """Everything that one command (or one transaction) did."""

    commands: tuple[Propagated, ...]
    events: tuple[KeyEvent, ...]
    #: Each changed key once, in the order of its first change.
    touched: tuple[tuple[int, bytes], ...]
    #: Databases that were emptied or swapped as a whole; -1 stands for all of them.
    flushed: tuple[int, ...]


class Consumer(Protocol):
    """Somebody who acts on what commands did."""

    def on_effects(self, batch: EffectBatch) -> None:
        """Take one batch; must not raise and must not run commands."""


@define(eq=False)
class Effects:
    """The recorder of one node. Its fields describe the command that is running now."""

    #: Changes since the last snapshot, as INFO shows them; commands add to it through `changed`.
    dirty: int = 0
    #: Somebody wants to know: the recorder records.
    observed: bool = False
    #: Nesting of transactions and scripts: a batch is handed out when the outermost one ends.
    depth: int = 0
    consumers: list[Consumer] = field(factory=list)
    _commands: list[Propagated] = field(factory=list)
    _events: list[KeyEvent] = field(factory=list)
    _touched: dict[tuple[int, bytes], None] = field(factory=dict)
    _flushed: list[int] = field(factory=list)
    _instead: list[Propagated] | None = None

    def add_consumer(self, consumer: Consumer) -> None:
        """From now on `consumer` gets every batch."""
        self.consumers.append(consumer)
        self.observed = True

    def remove_consumer(self, consumer: Consumer) -> None:
        """`consumer` has seen enough."""
        self.consumers.remove(consumer)
        self.observed = bool(self.consumers)

    def record_change(self, database: int, key: bytes, kind: str, event: bytes) -> None:
        """A key changed (called by `Database.changed` while observed)."""
        self._touched[(database, key)] = None
        if event:
            self._events.append(KeyEvent(kind, event, key, database))

    def record_event(self, database: int, key: bytes, kind: str, event: bytes) -> None:
        """Something happened around a key that did not change its value (a miss, a new key)."""
        if self.observed:
            self._events.append(KeyEvent(kind, event, key, database))

    def record_flush(self, database: int) -> None:
        """A whole database went away or became another one."""
        if self.observed:
            self._flushed.append(database)

    def propagate_instead(self, database: int, *commands: Sequence[bytes]) -> None:
        """Send these commands to replicas and AOF in place of the request; none is allowed."""
        if self.observed:
            if self._instead is None:
                self._instead = []
            self._instead.extend(Propagated(database, args) for args in commands)

    def propagate_before(self, database: int, args: Sequence[bytes]) -> None:
        """Send this command ahead of whatever the running command sends (lazy expiry, eviction)."""
        if self.observed:
            self._commands.append(Propagated(database, args))

    def finish_command(self, database: int, args: Sequence[bytes], dirty_before: int) -> None:
        """A command ended: settle what is propagated; empty `args`: only what it asked for."""
        instead, self._instead = self._instead, None
        if instead is not None:
            self._commands.extend(instead)
        elif args and self.dirty != dirty_before:
            self._commands.append(Propagated(database, args))

    def take_batch(self) -> EffectBatch | None:
        """What was recorded since the last call; None when that is nothing."""
        if not (self._commands or self._events or self._touched or self._flushed):
            return None
        batch = EffectBatch(
            tuple(self._commands),
            tuple(self._events),
            tuple(self._touched),
            tuple(self._flushed),
        )
        self._commands.clear()
        self._events.clear()
        self._touched.clear()
        self._flushed.clear()
        return batch

    def deliver(self) -> None:
        """Hand the recorded batch to every consumer, unless a transaction or script still runs."""
        if self.depth:
            return
        batch = self.take_batch()
        if batch is not None:
            for consumer in tuple(self.consumers):
                consumer.on_effects(batch)
