"""P51 and the bugs 3 and 4: who believes something of a slot's owner believes what was true once.

An owner's epoch and its slots belong together. A view that pairs an epoch with a slot that the
owner gave up before it had that epoch defends that slot against the true owner, for ever; and an
UPDATE that says so spreads it. Both may be old, but never false.
"""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import Message, NodeId, Update
from ....gossip.outputs import Outputs
from ....gossip.state import LinkId, Node, mask_of, slots_in
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class Truth(Checker):
    """Keeps what each node ever claimed, by epoch."""

    name: ClassVar[str] = "truth"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.claimed: dict[tuple[NodeId, int], int] = {}
        self.newest: dict[int, tuple[int, int]] = {}
        self.checked: dict[tuple[int, NodeId], tuple[int, int]] = {}

    def on_built(self) -> None:
        """The files that the cluster starts from are true."""
        for process in self.world.processes:
            stored = process.disk.durable.myself
            self.claimed[stored.node_id, stored.config_epoch] = mask_of(stored.slots)

    def note(self, process: "Process") -> None:
        """Notes what a process claims now."""
        myself = process.myself
        pair = (myself.config_epoch, myself.mask)
        if self.newest.get(process.index) != pair:
            self.newest[process.index] = pair
            key = (process.node_id, myself.config_epoch)
            self.claimed[key] = self.claimed.get(key, 0) | myself.mask

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """What it claims now, and what it believes of the sender."""
        self.note(process)
        header = message.header
        if header is not None:
            node = process.core.state.owners.get(header.sender)
            if node is not None:
                self.check(process, node)

    def on_tick(self, process: "Process") -> None:
        """What it claims now; an operator's order is a tick, too."""
        self.note(process)

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """All of a view that has changed, and the UPDATEs that are about to leave."""
        if outputs.save is not None:
            self.note(process)
            for node in process.core.state.owners.values():
                self.check(process, node)
        for send in outputs.send:
            message = send.message
            if isinstance(message, Update):
                self.check_pair(
                    f"{process.name} sends an UPDATE",
                    message.node_id,
                    message.config_epoch,
                    mask_of(message.slots),
                )

    def check(self, process: "Process", node: Node) -> None:
        """What a process believes of an owner."""
        if node is process.myself:
            return
        mask, not_claimed = node.mask, process.core.state.not_claimed
        if not_claimed:
            mask &= ~not_claimed
        key, pair = (process.index, node.node_id), (node.config_epoch, mask)
        if self.checked.get(key) != pair:
            self.checked[key] = pair
            self.check_pair(f"{process.name} believes", node.node_id, node.config_epoch, mask)

    def check_pair(self, who: str, owner: NodeId, epoch: int, mask: int) -> None:
        """Whether an owner ever claimed these slots with that epoch."""
        false = mask & ~self.claimed.get((owner, epoch), 0) & ~self.world.ordered.get(owner, 0)
        if false:
            slots = list(slots_in(false))
            self.fail(
                f"{who} that {self.world.name_of(owner)} owns {len(slots)} slots from {slots[0]} "
                f"with epoch {epoch}, which it never did"
            )
