"""Consumer groups: who was given which entry, when, how often, and has not acknowledged it yet."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Final

from attrs import define, field

from .streamentries import StreamId

#: The active time of a consumer that never got anything.
NEVER_ACTIVE: Final = -1
#: About: a pending entry is in two dicts and two lists, once as an object, its ID as a tuple.
PENDING_BYTES: Final = 330


@define(eq=False)
class Pending:
    """One entry that was delivered and not acknowledged; the same object for group and consumer."""

    consumer: "Consumer"
    delivered_at_ms: int
    delivery_count: int = 1


class PendingEntries:
    """Pending entries by ID.

    A dict answers; a sorted list of IDs, in which acknowledged ones stay for a while, orders.
    """

    __slots__ = ("_by_id", "_ids")

    def __init__(self) -> None:
        self._by_id: dict[StreamId, Pending] = {}
        self._ids: list[StreamId] = []

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, entry_id: StreamId) -> bool:
        return entry_id in self._by_id

    def get(self, entry_id: StreamId) -> Pending | None:
        """The pending entry of an ID, or None."""
        return self._by_id.get(entry_id)

    def put(self, entry_id: StreamId, pending: Pending) -> None:
        """Add a pending entry, or replace the one of the same ID."""
        if entry_id not in self._by_id:
            ids = self._ids
            if not ids or entry_id > ids[-1]:
                ids.append(entry_id)
            else:
                place = bisect_left(ids, entry_id)
                if ids[place] != entry_id:
                    insort(ids, entry_id)
        self._by_id[entry_id] = pending

    def take(self, entry_id: StreamId) -> Pending | None:
        """Remove a pending entry; None if there was none."""
        pending = self._by_id.pop(entry_id, None)
        if pending is not None and len(self._ids) > 2 * len(self._by_id) + 64:
            by_id = self._by_id
            self._ids = [known for known in self._ids if known in by_id]
        return pending

    def items(
        self, start: StreamId = (0, 0), end: StreamId | None = None
    ) -> Iterator[tuple[StreamId, Pending]]:
        """The pending entries from `start` to `end` (included), in order.

        Entries may be acknowledged and claimed meanwhile, but no lower IDs may come.
        """
        ids = self._ids
        by_id = self._by_id
        for place in range(bisect_left(ids, start), len(ids)):
            entry_id = ids[place]
            if end is not None and entry_id > end:
                return
            pending = by_id.get(entry_id)
            if pending is not None:
                yield entry_id, pending

    def maybe_first(self) -> StreamId | None:
        """The lowest ID, or None."""
        return next((entry_id for entry_id, _ in self.items()), None)

    def maybe_last(self) -> StreamId | None:
        """The highest ID, or None."""
        by_id = self._by_id
        return next((entry_id for entry_id in reversed(self._ids) if entry_id in by_id), None)


@define(eq=False)
class Consumer:
    """One member of a group."""

    name: bytes
    #: When it last tried to do anything.
    seen_time_ms: int
    #: When it last got an entry; `NEVER_ACTIVE` if it never did.
    active_time_ms: int = NEVER_ACTIVE
    pending: PendingEntries = field(factory=PendingEntries)


@define(eq=False)
class ConsumerGroup:
    """One group of a stream."""

    name: bytes
    #: The last entry that was delivered.
    last_id: StreamId
    #: How many entries were ever read; None when nobody can tell.
    entries_read: int | None = None
    pending: PendingEntries = field(factory=PendingEntries)
    consumers: dict[bytes, Consumer] = field(factory=dict)

    def create_consumer(self, name: bytes, now_ms: int) -> Consumer | None:
        """A new consumer; None if there is one of that name."""
        if name in self.consumers:
            return None
        consumer = self.consumers[name] = Consumer(name, now_ms)
        return consumer

    def delete_consumer(self, name: bytes) -> int | None:
        """Remove a consumer and what it has pending: returns how many; None without such a one."""
        consumer = self.consumers.pop(name, None)
        if consumer is None:
            return None
        for entry_id, _ in consumer.pending.items():
            self.pending.take(entry_id)
        return len(consumer.pending)

    def sorted_consumers(self) -> list[Consumer]:
        """The consumers in the order of their names, as XINFO and XPENDING list them."""
        return [self.consumers[name] for name in sorted(self.consumers)]

    def deliver(self, entry_id: StreamId, consumer: Consumer, now_ms: int) -> Pending:
        """`consumer` gets an entry as a new one: it is pending now, whoever had it before."""
        pending = self.pending.get(entry_id)
        if pending is None:
            pending = Pending(consumer, now_ms)
            self.pending.put(entry_id, pending)
            consumer.pending.put(entry_id, pending)
        else:
            self.assign(entry_id, pending, consumer)
            pending.delivered_at_ms = now_ms
            pending.delivery_count = 1
        consumer.active_time_ms = now_ms
        return pending

    def assign(self, entry_id: StreamId, pending: Pending, consumer: Consumer) -> None:
        """A pending entry changes hands; its times and counts are the caller's."""
        if pending.consumer is not consumer:
            pending.consumer.pending.take(entry_id)
            pending.consumer = consumer
            consumer.pending.put(entry_id, pending)

    def create_pending(
        self, entry_id: StreamId, consumer: Consumer, delivered_at_ms: int, delivery_count: int
    ) -> Pending:
        """Enter a pending entry as it is (loading, XCLAIM with FORCE); there must be none yet."""
        pending = Pending(consumer, delivered_at_ms, delivery_count)
        self.pending.put(entry_id, pending)
        consumer.pending.put(entry_id, pending)
        return pending

    def acknowledge(self, entry_id: StreamId) -> bool:
        """An entry is done; False if it was not pending."""
        pending = self.pending.take(entry_id)
        if pending is None:
            return False
        pending.consumer.pending.take(entry_id)
        return True

    def copy(self) -> "ConsumerGroup":
        """An independent copy."""
        other = ConsumerGroup(self.name, self.last_id, self.entries_read)
        for consumer in self.consumers.values():
            other.consumers[consumer.name] = Consumer(
                consumer.name, consumer.seen_time_ms, consumer.active_time_ms
            )
        for entry_id, pending in self.pending.items():
            consumer = other.consumers[pending.consumer.name]
            other.create_pending(
                entry_id, consumer, pending.delivered_at_ms, pending.delivery_count
            )
        return other
