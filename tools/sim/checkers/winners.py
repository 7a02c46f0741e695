"""P32: an epoch has one winner at most, and one owner in the end (P46)."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import ElectionWon, Event
from ....gossip.messages import NodeId
from ....gossip.outputs import Outputs
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class Winners(Checker):
    """Keeps the winner of each epoch."""

    name: ClassVar[str] = "winners"
    events: ClassVar[tuple[type, ...]] = (ElectionWon,)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.won: dict[int, NodeId] = {}

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """An election was won."""
        if not isinstance(event, ElectionWon):
            return
        other = self.won.get(event.epoch)
        if other is not None:
            self.fail(f"{self.world.name_of(other)} and {process.name} won epoch {event.epoch}")
        self.won[event.epoch] = process.node_id

    def maybe_unsettled(self) -> str | None:
        """In the end no two primaries with slots have the same config epoch."""
        seen: dict[int, str] = {}
        for process in self.world.live():
            if process.myself.mask:
                epoch = process.myself.config_epoch
                if epoch in seen:
                    return f"{seen[epoch]} and {process.name} share config epoch {epoch}"
                seen[epoch] = process.name
        return None
