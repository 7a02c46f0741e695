"""P01, P05, P44: an acknowledged write is lost in the documented windows only.

The windows: it had not reached the replica that was promoted (whose primary had failed, or whose
operator did not care); it was acknowledged by a primary that could not know yet that it had been
replaced; an operator gave the slots away without a vote. A plain manual failover has no window.
"""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.events import (
    BecamePrimary,
    ConfigEpochTaken,
    Event,
    ManualFailoverEnded,
    OffsetReached,
)
from ....gossip.messages import NodeId
from ....gossip.outputs import Outputs
from ....gossip.reasons import RoleReason
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process
    from ..world import World
    from ..writes import Write


class LostWrites(Checker):
    """Gives excuses where they are due, and asks for them in the end."""

    name: ClassVar[str] = "lost-writes"
    events: ClassVar[tuple[type, ...]] = (
        OffsetReached,
        ManualFailoverEnded,
        BecamePrimary,
        ConfigEpochTaken,
    )

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self.promoted: dict[int, int] = {}
        """When each node was last promoted."""
        self.overruled: list[tuple[int, int, int]] = []
        """(from, until, slots): a TAKEOVER, or an epoch taken while two claimed the slots."""
        self.reached: set[int] = set()
        """Which replicas have all that their paused primaries wrote."""
        self.ended: dict[int, int] = {}
        """When the manual failover of such a replica ended."""

    def on_event(self, process: "Process", event: Event, outputs: Outputs) -> None:
        """A manual failover goes on, or an operator overrules the elections."""
        if isinstance(event, OffsetReached):
            self.reached.add(process.index)
        elif isinstance(event, BecamePrimary):
            if event.reason is RoleReason.TAKEOVER:
                self.overrule(process.myself.mask, self.now)
            self.on_promotion(process, event.former)
        elif isinstance(event, ConfigEpochTaken):
            for other in self.world.processes:
                both = process.myself.mask & other.myself.mask
                if other is not process and other.is_up and both:
                    promoted_at = self.promoted.get(other.index, self.now)
                    self.overrule(both, promoted_at)
        elif process.index in self.reached:
            self.reached.discard(process.index)
            self.ended[process.index] = self.now

    def overrule(self, mask: int, since: int) -> None:
        """Who has these slots is a matter of chance for a while: nobody was elected for them."""
        window_ms = 2 * self.world.options.patience_ms + 1_000
        self.overruled.append((since - window_ms, self.now + window_ms, mask))

    def on_promotion(self, process: "Process", former_id: NodeId | None) -> None:
        """What the former primary has and the new one has not may be lost, if it failed.

        Decided, but not carried out: the data of both are still those of replica and primary.
        """
        former = self.world.by_id.get(former_id or "")
        self.promoted[process.index] = self.now
        if former is None:
            return
        is_lossless = self.ended.get(process.index) == self.now and former.is_write_paused()
        for slot, numbers in former.data.slots.items():
            for number in sorted(numbers - process.data.slots.get(slot, set())):
                write = self.world.writes[number]
                if is_lossless:
                    self.fail(
                        f"{process.name} takes over from {former.name} by a manual failover "
                        f"without write {number} of slot {slot}"
                    )
                write.excuse = f"not replicated when {process.name} was promoted"

    def on_write(self, write: "Write") -> None:
        """Is it acknowledged by somebody who has been replaced?"""
        process = self.world.processes[write.by]
        if not process.myself.mask >> write.slot & 1:
            # Taken in for a slot that is still on the move.
            return
        for index, at in self.promoted.items():
            other = self.world.processes[index]
            if index == write.by or not other.myself.mask >> write.slot & 1:
                continue
            if other.myself.config_epoch <= process.myself.config_epoch:
                continue
            since = max(at, process.up_since, self.world.disturbed_at)
            late_ms = self.now - since
            limit_ms = 2 * self.world.options.patience_ms + 1_000
            if other.is_up and self.world.active_faults == 0 and late_ms > limit_ms:
                self.fail(f"{process.name} serves {late_ms} ms after {other.name} took its slots")
            write.excuse = f"acknowledged by {process.name}, which {other.name} had replaced"

    def on_end(self) -> None:
        """Everything that was promised is there."""
        world = self.world
        for write in world.writes:
            if write.excuse or write.slot in world.disturbed_slots:
                continue
            if any(a <= write.at <= b and mask >> write.slot & 1 for a, b, mask in self.overruled):
                write.excuse = "acknowledged around a TAKEOVER or a collision of epochs"
                continue
            owner = next(p for p in world.live() if p.myself.mask >> write.slot & 1)
            if write.number not in owner.data.slots.get(write.slot, ()):
                by = world.processes[write.by].name
                self.fail(
                    f"write {write.number} to slot {write.slot}, acknowledged by {by} at "
                    f"{write.at} ms, is not at {owner.name}"
                )
