"""Bug 29: who answers at a node's address is not that node unless it says so."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import Message
from ....gossip.state import LinkId
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process


class Identity(Checker):
    """Compares whom a link leads to with who spoke on it."""

    name: ClassVar[str] = "identity"

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """Somebody spoke on a link."""
        link, header = process.core.state.links.get(link_id), message.header
        if link is None or link.node is None or header is None or link.node.in_handshake:
            return
        # Its own messages are dropped, wherever they come back to it.
        if header.sender not in (link.node.node_id, process.node_id):
            names = map(self.world.name_of, (header.sender, link.node.node_id))
            self.fail(f"{process.name} takes {' for '.join(names)}")
