"""Bug 11: of two primaries of one shard with one epoch, the one with more data prevails."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import EpochCollision, Event
from ....gossip.outputs import Outputs
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process


class Collisions(Checker):
    """Looks at each collision of epochs."""

    name: ClassVar[str] = "collisions"
    events: ClassVar[tuple[type, ...]] = (EpochCollision,)

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """Two primaries have one epoch."""
        if not isinstance(event, EpochCollision) or not event.moves:
            return
        other = process.core.state.nodes[event.node_id]
        if other.shard_id == process.myself.shard_id and other.offset > process.offset():
            self.fail(
                f"{process.name} at offset {process.offset()} takes a newer epoch than "
                f"{self.world.name_of(event.node_id)} of its shard at {other.offset}"
            )
