"""Bug 26: a dead peer is not connected to over and over."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import Message, NodeId
from ....gossip.outputs import Connect, Outputs
from ....gossip.state import LinkId
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World

WINDOW_TIMEOUTS = 4
MAX_ATTEMPTS = 16
"""100 ms, 200, 400 ... up to half the timeout: 12 in four timeouts, and a few for good luck."""


class Reconnects(Checker):
    """Counts the attempts to connect to a node that shows no life."""

    name: ClassVar[str] = "reconnects"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.attempts: dict[tuple[int, int, NodeId], list[int]] = {}

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """A sign of life: connect as you like."""
        if self.attempts and message.header is not None:
            self.attempts.pop((process.index, process.boot, message.header.sender), None)

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """Who is connected to?"""
        for order in outputs.links:
            if isinstance(order, Connect):
                self.on_connect(process, order.node_id)

    def on_connect(self, process: "Process", node_id: NodeId) -> None:
        """One attempt."""
        window_ms = WINDOW_TIMEOUTS * process.config.node_timeout_ms
        key = (process.index, process.boot, node_id)
        recent = [at for at in self.attempts.get(key, []) if self.now - at < window_ms]
        recent.append(self.now)
        self.attempts[key] = recent
        if len(recent) > MAX_ATTEMPTS:
            name = self.world.name_of(node_id)
            self.fail(f"{process.name} connected to {name} {len(recent)} times in {window_ms} ms")
