"""P20, P23, P24 and the bugs 24, 26: the dead are found in time, and a majority decides."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import Event, NodeFailed, NodeRecovered, NodeSuspected
from ....gossip.messages import NodeId
from ....gossip.outputs import Outputs
from ....gossip.reasons import Via
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World

CHECK_EVERY_TICKS = 10
QUORUM_SLACK_MS = 150


class Failure(Checker):
    """Keeps who suspects whom, and since when."""

    name: ClassVar[str] = "failure"
    events: ClassVar[tuple[type, ...]] = (NodeSuspected, NodeFailed, NodeRecovered)

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.suspected: dict[NodeId, dict[NodeId, int]] = {}
        """Who flags a node, since when."""
        self.flagged_until: dict[tuple[NodeId, NodeId], int] = {}
        """(subject, observer): when the observer last took its flag back."""
        self.told: dict[NodeId, int] = {}
        """When a node was first found FAIL since it last recovered everywhere."""

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A flag was set or taken back."""
        if isinstance(event, NodeRecovered):
            flags = self.suspected.get(event.node_id, {})
            if flags.pop(process.node_id, None) is not None:
                self.flagged_until[event.node_id, process.node_id] = self.now
            if not flags:
                self.told.pop(event.node_id, None)
        elif isinstance(event, NodeSuspected):
            self.suspected.setdefault(event.node_id, {})[process.node_id] = self.now
        elif isinstance(event, NodeFailed):
            if event.via is Via.QUORUM:
                self.on_quorum(process, event.node_id)
            flags = self.suspected.setdefault(event.node_id, {})
            flags.setdefault(process.node_id, self.now)

    def on_quorum(self, process: "Process", subject: NodeId) -> None:
        """Did a majority of the voters flag it, not too long ago?"""
        state = process.core.state
        flags = self.suspected.get(subject, {})
        window_ms = 2 * process.config.node_timeout_ms
        # On their way, reports get older; what counts is when they came.
        window_ms += window_ms // 50 + process.config.node_timeout_ms * 2 + 1_000
        count = 0
        since: list[int] = []
        for voter in state.owners:
            until = self.flagged_until.get((subject, voter))
            if voter in flags:
                since.append(flags[voter])
                count += 1
            elif voter == process.node_id or (until is not None and self.now - until < window_ms):
                count += 1
        if count < state.quorum:
            name = self.world.name_of(subject)
            self.fail(f"{process.name} finds {name} failed: {count} of {state.quorum} voters agree")
        self.check_delay(process, subject, since)

    def check_delay(self, process: "Process", subject: NodeId, since: list[int]) -> None:
        """In a calm network the quorum is found as soon as it exists."""
        quorum = process.core.state.quorum
        if subject in self.told or len(since) < quorum:
            return
        self.told[subject] = self.now
        dead = self.world.by_id[subject]
        if dead.is_up or not self.world.is_calm_for(4 * self.world.options.patience_ms):
            return
        waited_ms = self.now - sorted(since)[quorum - 1]
        if waited_ms > QUORUM_SLACK_MS + 2 * self.world.max_delay_ms:
            self.fail(f"{dead.name} was suspected by a majority for {waited_ms} ms before FAIL")

    def on_tick(self, process: "Process") -> None:
        """Whoever is dead for long enough has been noticed by all who live."""
        if not self.world.stopped or process.core.state.ticks % CHECK_EVERY_TICKS:
            return
        timeout_ms = process.config.node_timeout_ms
        patience_ms = 2 * timeout_ms + 2_000 + max(self.world.network.slow_ms.values(), default=0)
        now = self.now
        if now - process.up_since < patience_ms:
            return
        for index in sorted(self.world.stopped):
            other = self.world.processes[index]
            if other.is_up or now - other.down_since < patience_ms or other.boot == 0:
                continue
            node = process.core.state.nodes.get(other.node_id)
            if node is not None and not node.is_failing:
                down_ms = now - other.down_since
                self.fail(f"{process.name} thinks that {other.name} lives, {down_ms} ms after")
