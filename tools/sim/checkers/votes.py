"""P32: a voter votes once in an epoch, also over restarts; and P33, P37: only such votes count."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import ElectionWon, Event, VoteGranted, VoteReceived
from ....gossip.messages import NodeId
from ....gossip.outputs import Outputs
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class Votes(Checker):
    """Keeps all votes that were ever granted."""

    name: ClassVar[str] = "votes"
    events: ClassVar[tuple[type, ...]] = (VoteGranted, VoteReceived, ElectionWon)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.granted: dict[tuple[NodeId, int], NodeId] = {}
        """Whom a voter voted for in an epoch."""
        self.won: set[tuple[NodeId, int]] = set()
        """Who won which epoch: to stand for election is to vote for oneself."""

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A vote was granted or counted."""
        if isinstance(event, VoteGranted):
            self.on_granted(process, event)
        elif isinstance(event, VoteReceived):
            election = process.core.state.election
            epoch = None if election is None else election.epoch
            # The last vote may have ended the election within the step.
            if epoch is not None and self.granted.get((event.by, epoch)) != process.node_id:
                voter = self.world.name_of(event.by)
                self.fail(f"{process.name} counts a vote of {voter} not given in epoch {epoch}")
        elif isinstance(event, ElectionWon):
            self.on_won(process, event)

    def on_granted(self, process: "Process", event: VoteGranted) -> None:
        """Somebody voted."""
        key = (process.node_id, event.epoch)
        if key in self.granted:
            first, second = map(self.world.name_of, (self.granted[key], event.to))
            self.fail(f"{process.name} voted twice in epoch {event.epoch}: {first}, {second}")
        self.granted[key] = event.to
        if key in self.won:
            self.fail(f"{process.name} voted in epoch {event.epoch}, which it had won itself")
        if not process.myself.is_primary or not process.myself.mask:
            self.fail(f"{process.name} voted, but has no slots")

    def on_won(self, process: "Process", event: ElectionWon) -> None:
        """Somebody won: were there enough votes?"""
        self.won.add((process.node_id, event.epoch))
        votes = sum(
            epoch == event.epoch and candidate == process.node_id
            for (_, epoch), candidate in self.granted.items()
        )
        # By now the winner owns its former primary's slots: the number of voters is as before.
        needed = process.core.state.quorum
        if votes < needed:
            self.fail(f"{process.name} won epoch {event.epoch} with {votes} of {needed} votes")
