"""P44 and bug 23: a primary holds its clients for one replica at a time."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import Event, ManualFailoverEnded, ManualFailoverStarted
from ....gossip.messages import MessageFlag, NodeId
from ....gossip.outputs import Outputs
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class ManualFailovers(Checker):
    """Keeps for whom each primary holds its clients."""

    name: ClassVar[str] = "manual"
    events: ClassVar[tuple[type, ...]] = (ManualFailoverStarted, ManualFailoverEnded)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.held_for: dict[tuple[int, int], NodeId] = {}

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A manual failover began or ended at a node."""
        life = (process.index, process.boot)
        if isinstance(event, ManualFailoverEnded):
            self.held_for.pop(life, None)
        elif isinstance(event, ManualFailoverStarted) and process.myself.is_primary:
            other = self.held_for.get(life)
            if other is not None and other != event.replica:
                first, second = map(self.world.name_of, (other, event.replica))
                self.fail(f"{process.name} holds its clients for {first} and {second} at once")
            self.held_for[life] = event.replica

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """Only the replica that asked may see the mark PAUSED."""
        asker = self.held_for.get((process.index, process.boot))
        if asker is None:
            return
        for send in outputs.send:
            header = send.message.header
            if header is None or not header.message_flags & MessageFlag.PAUSED:
                continue
            pipe = process.pipes.get(send.link_id)
            if pipe is not None and pipe.target.node_id != asker:
                self.fail(f"{process.name} shows {pipe.target.name} that it holds its clients")
