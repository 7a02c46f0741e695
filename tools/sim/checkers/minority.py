"""P02, P03: a primary in a minority soon refuses writes, and after that does not rush back."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import Event, HealthChanged
from ....gossip.messages import NodeId
from ....gossip.outputs import Outputs
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World
    from ..writes import Write


class Minority(Checker):
    """Keeps since when each node really is in a minority, and when it last thought so."""

    name: ClassVar[str] = "minority"
    events: ClassVar[tuple[type, ...]] = (HealthChanged,)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.since: dict[int, int] = {}
        self.voters: dict[int, tuple[NodeId, ...]] = {}
        self.felt_at: dict[tuple[int, int], int] = {}

    def on_tick(self, process: "Process") -> None:
        """Where is it?"""
        state = process.core.state
        if not state.is_ok and not state.has_majority:
            self.felt_at[process.index, process.boot] = self.now
        if not state.myself.mask or self.world.hears_majority(process):
            self.since.pop(process.index, None)
            return
        voters = tuple(state.owners)
        if self.voters.get(process.index) != voters:
            # With another voter it may have been in a majority in between.
            self.voters[process.index] = voters
            self.since[process.index] = self.now
        self.since.setdefault(process.index, self.now)

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """It opens again: not before it had time to hear of a new owner of its slots."""
        felt_at = self.felt_at.get((process.index, process.boot))
        if not isinstance(event, HealthChanged) or not event.is_ok or felt_at is None:
            return
        # Ticks are up to 1 % shorter or longer than ours.
        delay_ms = min(max(process.config.node_timeout_ms, 500), 5_000) * 98 // 100
        if process.myself.is_primary and self.now - felt_at < delay_ms:
            waited_ms = self.now - felt_at
            self.fail(f"{process.name} serves again {waited_ms} ms after it was in a minority")

    def on_write(self, write: "Write") -> None:
        """Somebody serves: for how long has it been alone?"""
        process = self.world.processes[write.by]
        since = self.since.get(write.by)
        if since is None:
            return
        since = max(since, process.up_since)
        timeout_ms = process.config.node_timeout_ms
        slow_ms = max(self.world.network.slow_ms.values(), default=0)
        limit_ms = timeout_ms * 3 // 2 + 500 + 2 * (self.world.max_delay_ms + slow_ms)
        if self.now - since > limit_ms:
            self.fail(f"{process.name} serves writes {self.now - since} ms after it was cut off")
