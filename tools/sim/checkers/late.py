"""Bug 21: what a node said before a newer word of it changes nothing of the topology."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import Heartbeat, Message, NodeId
from ....gossip.state import LinkId
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class LatePackets(Checker):
    """Keeps the greatest current epoch of each sender at each receiver."""

    name: ClassVar[str] = "late"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.seen: dict[tuple[int, int, NodeId], int] = {}
        self.role: tuple[NodeId | None, int] | None = None
        """The sender's primary and slots in the receiver's eyes, before a late packet."""

    def before_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """Is it late?"""
        self.role = None
        header = message.header
        if header is None or not isinstance(message, Heartbeat):
            return
        if header.current_epoch >= self.seen.get((process.index, process.boot, header.sender), 0):
            return
        node = process.core.state.maybe_member(header.sender)
        if node is not None and link_id in process.core.state.links:
            self.role = (node.replica_of, node.mask)

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """Has it changed the sender's role or slots?"""
        header = message.header
        if header is None or not isinstance(message, Heartbeat):
            return
        if self.role is None:
            # A packet over which the link was given up (it came from a stranger's place, say) was
            # perhaps not taken in.
            if link_id in process.core.state.links:
                key = (process.index, process.boot, header.sender)
                self.seen[key] = max(self.seen.get(key, 0), header.current_epoch)
            return
        node = process.core.state.maybe_member(header.sender)
        if node is not None and (node.replica_of, node.mask) != self.role:
            sender = self.world.name_of(header.sender)
            self.fail(
                f"{process.name} changed the role of {sender} by a packet of epoch "
                f"{header.current_epoch}, after one of {node.seen_current_epoch}"
            )
