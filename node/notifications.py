"""Keyspace notifications: what happens to keys, published on two channels.

`notify-keyspace-events` says for which classes of events, and whether by key
(`__keyspace@<database>__:<key>`, the message is the event) or by event
(`__keyevent@<database>__:<event>`, the message is the key). Only this node's own listeners hear
them: nothing of it travels through the cluster. While the directive asks for nothing, this is no
consumer of effects, and nothing is recorded for it.
"""

from typing import TYPE_CHECKING

from .effects import EffectBatch

if TYPE_CHECKING:
    from .machine import Machine


class Notifications:
    """The notifications of one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._classes: frozenset[str] = frozenset()
        self._by_key = False
        self._by_event = False
        #: Whether events of missing or of new keys are asked for.
        self.wants_misses = False
        self._is_consumer = False
        machine.config.on_change("notify-keyspace-events", self._on_config)
        self._on_config()

    def _on_config(self) -> None:
        """Obey the directive."""
        letters = self._machine.config.notify_keyspace_events
        self._by_key, self._by_event = "K" in letters, "E" in letters
        self._classes = frozenset(letters - {"K", "E"})
        self.wants_misses = bool(self._classes & {"m", "n"})
        wanted = bool(self._classes) and (self._by_key or self._by_event)
        if wanted and not self._is_consumer:
            self._machine.add_consumer(self)
        elif self._is_consumer and not wanted:
            self._machine.remove_consumer(self)
        self._machine.keyspace.effects.look_around()
        self._is_consumer = wanted

    def on_effects(self, batch: EffectBatch) -> None:
        """Publish the events of one command."""
        pubsub = self._machine.pubsub
        if not (pubsub.channels.listeners or pubsub.patterns.listeners):
            return
        for event in batch.events:
            if event.kind not in self._classes:
                continue
            if self._by_key:
                pubsub.publish(b"__keyspace@%d__:%b" % (event.database, event.key), event.name)
            if self._by_event:
                pubsub.publish(b"__keyevent@%d__:%b" % (event.database, event.name), event.key)
