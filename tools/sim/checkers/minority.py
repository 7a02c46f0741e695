"""P02, P03: a primary in a minority soon refuses writes, and after that does not rush back.

It may serve before it has waited if nobody is, or will be in that time, elected in its place.
"""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import ElectionWon, Event, HealthChanged, VotesAsked
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
    events: ClassVar[tuple[type, ...]] = (HealthChanged, VotesAsked, ElectionWon)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.since: dict[int, int] = {}
        self.voters: dict[int, tuple[NodeId, ...]] = {}
        self.felt_at: dict[tuple[int, int], int] = {}
        self.waits_until: dict[tuple[int, int], int] = {}
        """Of those that serve again already: when they would if they had waited."""
        self.forced: set[tuple[int, int]] = set()
        """(node, epoch) of the elections that an operator ordered."""
        self.won: list[tuple[int, int]] = []
        """(epoch, slots) of the others."""

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
        """It opens again, or somebody is elected."""
        if isinstance(event, VotesAsked):
            if process.core.state.manual is not None:
                self.forced.add((process.index, event.epoch))
        elif isinstance(event, ElectionWon):
            if (process.index, event.epoch) not in self.forced:
                self.won.append((event.epoch, process.myself.mask))
                for other in self.world.processes:
                    if other.is_up and other is not process:
                        self.check_rush(other)
        elif isinstance(event, HealthChanged) and event.is_ok and process.myself.is_primary:
            key = process.index, process.boot
            if key in self.felt_at:
                # Ticks are up to 1 % shorter or longer than ours.
                delay_ms = min(max(process.config.node_timeout_ms, 500), 5_000) * 98 // 100
                self.waits_until[key] = self.felt_at[key] + delay_ms
                self.check_rush(process)

    def check_rush(self, process: "Process") -> None:
        """Whoever serves before it has waited is in nobody's way."""
        until, myself = self.waits_until.get((process.index, process.boot), 0), process.myself
        if self.now >= until or not process.core.state.is_ok:
            return
        for epoch, mask in self.won:
            if mask & myself.mask and epoch > myself.config_epoch:
                early_ms = until - self.now
                self.fail(f"{process.name} serves {early_ms} ms too early: epoch {epoch} was won")

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
