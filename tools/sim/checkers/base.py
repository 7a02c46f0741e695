"""What every checker is: it watches one world and knows one promise.

Owns `Checker` and its methods, all empty here: the world calls only those that a checker has of its
own. Rules: a checker never changes anything but itself and the excuse of a write; a broken promise
is a `Violation`, at the very step that breaks it if that can be told.
"""

from typing import TYPE_CHECKING, ClassVar, NoReturn

from ....gossip.events import Event
from ....gossip.messages import Message
from ....gossip.outputs import Outputs
from ....gossip.state import LinkId
from ..verdict import Violation

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World
    from ..writes import Write


class Checker:
    """One promise, watched over one run."""

    name: ClassVar[str] = ""
    events: ClassVar[tuple[type, ...]] = ()
    """The kinds of events that `on_event` is called for."""

    def __init__(self, world: "World") -> None:
        self.world = world

    @property
    def now(self) -> int:
        """The simulated time."""
        return self.world.queue.now

    def fail(self, text: str) -> NoReturn:
        """The promise is broken."""
        raise Violation(self.name, text)

    def on_built(self) -> None:
        """All nodes are there, though none has started."""

    def before_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """A process is about to take a message in."""

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """It has, though nothing that follows has been carried out."""

    def on_tick(self, process: "Process") -> None:
        """A process has ticked, though nothing that follows has been carried out."""

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """The file is written; packets and changes are still to come."""

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """One of `events` was decided, in the step that has these outputs."""

    def on_write(self, write: "Write") -> None:
        """A write was acknowledged."""

    def maybe_unsettled(self) -> str | None:
        """Why the cluster has not converged yet, as far as this promise goes; None if it has."""
        return None

    def on_end(self) -> None:
        """The run is over, and the cluster has converged."""
