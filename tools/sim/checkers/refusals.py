"""Bug 19: a candidate that is refused for a stale view is told what it missed."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import Event, VoteRefused
from ....gossip.messages import Update
from ....gossip.outputs import Outputs
from ....gossip.reasons import VoteRefusal
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process


class Refusals(Checker):
    """Looks at each refusal."""

    name: ClassVar[str] = "refusals"
    events: ClassVar[tuple[type, ...]] = (VoteRefused,)

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A vote was refused."""
        if not isinstance(event, VoteRefused) or event.reason is not VoteRefusal.STALE_SLOTS:
            return
        if not any(isinstance(send.message, Update) for send in outputs.send):
            name = self.world.name_of(event.to)
            self.fail(f"{process.name} refuses {name} for its stale view, but does not correct it")
