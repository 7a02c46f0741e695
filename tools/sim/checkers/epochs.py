"""P30: the epochs of a node never fall, not even over a restart."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import Message
from ....gossip.outputs import Outputs
from ....gossip.state import LinkId
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World


class Epochs(Checker):
    """Watches the current epoch after every step, and primaries' own epochs with every file."""

    name: ClassVar[str] = "epochs"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.current: dict[int, int] = {}
        self.revealed: dict[int, int] = {}
        self.own: dict[int, int] = {}

    def after_message(self, process: "Process", link_id: LinkId, message: Message) -> None:
        """Compares with the step before."""
        self.compare(process)

    def on_tick(self, process: "Process") -> None:
        """Compares with the step before."""
        self.compare(process)

    def compare(self, process: "Process") -> None:
        """The current epoch of one process in one life."""
        epoch = process.core.state.current_epoch
        key = process.index * 100_000 + process.boot
        before = self.current.get(key, 0)
        if epoch < before:
            self.fail(f"{process.name} went from epoch {before} back to {epoch}")
        self.current[key] = epoch

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """What others have been shown must never be taken back, whoever restarts."""
        epoch, index = process.core.state.current_epoch, process.index
        before = self.revealed.get(index, 0)
        if epoch < before:
            self.fail(f"{process.name} has shown epoch {before}, and is at {epoch} now")
        if outputs.send:
            self.revealed[index] = epoch
        if outputs.save is not None and process.myself.is_primary:
            own = process.myself.config_epoch
            if own < self.own.get(index, 0):
                self.fail(f"{process.name} went from config epoch {self.own[index]} to {own}")
            self.own[index] = own
