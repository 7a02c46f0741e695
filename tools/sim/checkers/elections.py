"""P39, P41 and the bugs 13, 14, 18: who may stand for election, and in which order."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import (
    ElectionEnded,
    ElectionScheduled,
    ElectionWon,
    Event,
    FailoverNotStarted,
    VotesAsked,
)
from ....gossip.messages import NodeFlag
from ....gossip.outputs import Outputs
from ....gossip.reasons import ElectionEnd, NotStarted
from ....gossip.state import Node
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class Elections(Checker):
    """Looks at each candidate when it moves."""

    name: ClassVar[str] = "elections"
    events: ClassVar[tuple[type, ...]] = (
        ElectionScheduled,
        VotesAsked,
        ElectionWon,
        ElectionEnded,
        FailoverNotStarted,
    )

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.last_end: dict[tuple[int, int], ElectionEnd | None] = {}
        """How the last election of a process ended; None if it was won."""

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A candidate moved."""
        life = (process.index, process.boot)
        match event:
            case ElectionScheduled():
                self.on_scheduled(process, event)
            case VotesAsked():
                self.on_asked(process)
            case ElectionWon():
                self.last_end[life] = None
            case ElectionEnded():
                self.last_end[life] = event.reason
            case FailoverNotStarted(reason=NotStarted.RETRY_LATER):
                end = self.last_end.get(life)
                if end is not ElectionEnd.NO_VOTES:
                    word = "was won" if end is None else end.value
                    self.fail(f"{process.name} waits for a retry, but the last time {word}")
            case _:
                pass

    def on_scheduled(self, process: "Process", event: ElectionScheduled) -> None:
        """Nobody may have the rank of a sibling that it knows and that has as much data."""
        manual = process.core.state.manual
        if manual is not None and manual.can_start:
            return
        rank = sum(
            (node.offset, process.node_id) > (process.offset(), node.node_id)
            for node in self.siblings(process)
        )
        if event.rank < rank:
            self.fail(f"{process.name} has rank {event.rank}; {rank} siblings are before it")

    def on_asked(self, process: "Process") -> None:
        """Only a failing primary is replaced, and not by an empty replica beside a full one."""
        state = process.core.state
        if state.manual is not None:
            return
        primary = state.primary_of(process.myself)
        if primary is None or not primary.mask or not primary.is_failed:
            name = self.world.name_of(process.myself.replica_of)
            self.fail(f"{process.name} asks for votes, though {name} does not fail or has no slots")
        if process.offset() == 0 and any(node.offset > 0 for node in self.siblings(process)):
            self.fail(f"{process.name} asks for votes without data, though a sibling has some")

    @staticmethod
    def siblings(process: "Process") -> list[Node]:
        """The other replicas of its primary that it thinks could stand."""
        state = process.core.state
        return [
            node
            for node in state.members()
            if node.replica_of == state.myself.replica_of
            and node.replica_of is not None
            and not node.is_failing
            and not node.flags & NodeFlag.NOFAILOVER
        ]
