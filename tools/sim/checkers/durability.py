"""P31: no packet shows an epoch, a vote or a slot of its sender that is not on disk."""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.messages import FailoverAuthAck
from ....gossip.outputs import Outputs
from ....gossip.state import mask_of
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process


class Durability(Checker):
    """Looks at every packet that is about to leave."""

    name: ClassVar[str] = "durability"

    def on_outputs(self, process: "Process", outputs: Outputs) -> None:
        """The file has been written as far as the core asked for it."""
        durable, seen = process.disk.durable, None
        shown_slots: bytes | None = None
        for send in outputs.send:
            header = send.message.header
            if header is None:
                continue
            if header.current_epoch > durable.current_epoch and header.current_epoch != seen:
                self.fail(
                    f"{process.name} shows epoch {header.current_epoch}; "
                    f"{durable.current_epoch} is on disk"
                )
            seen = header.current_epoch
            claimed_epoch = durable.myself.config_epoch
            if process.myself.is_primary and header.config_epoch > claimed_epoch:
                self.fail(
                    f"{process.name} claims slots with epoch {header.config_epoch}; "
                    f"{claimed_epoch} is on disk"
                )
            if header.slots is not shown_slots and process.myself.is_primary:
                shown_slots = header.slots
                if mask_of(shown_slots) & ~mask_of(durable.myself.slots):
                    self.fail(f"{process.name} shows slots that are not its own on disk")
            if isinstance(send.message, FailoverAuthAck):
                voted = durable.last_vote_epoch
                if voted < header.current_epoch:
                    self.fail(
                        f"{process.name} votes in epoch {header.current_epoch}; "
                        f"the last vote on disk is of {voted}"
                    )
