"""P27, P51, bugs 1, 2, 20: when nothing goes wrong any more, all nodes come to agree.

Four promises about the end, each a checker of its own: one owner for each slot (`SlotOwner`), equal
views (`Views`), no chains (`Chains`), and a cluster that serves (`Service`).
"""

from typing import TYPE_CHECKING, ClassVar

from ....gossip.state import ALL_SLOTS
from .base import Checker

if TYPE_CHECKING:
    from ..process import Process


class SlotOwner(Checker):
    """Each slot has one owner, in its own eyes and in all others'."""

    name: ClassVar[str] = "slot-owner"

    def maybe_unsettled(self) -> str | None:
        """Whether anybody disagrees."""
        live = self.world.live()
        claims: dict[str, int] = {}
        seen = 0
        for process in live:
            mask = process.myself.mask
            if mask & seen:
                return f"{process.name} claims slots that another node claims"
            seen |= mask
            if mask:
                claims[process.node_id] = mask
        if seen != ALL_SLOTS:
            return f"{(ALL_SLOTS & ~seen).bit_count()} slots have no owner"
        for process in live:
            owners = process.core.state.owners
            if len(owners) != len(claims):
                return f"{process.name} sees {len(owners)} owners of slots, not {len(claims)}"
            for node_id, mask in claims.items():
                node = owners.get(node_id)
                if node is None or node.mask != mask:
                    name = self.world.name_of(node_id)
                    return f"{process.name} is wrong about the slots of {name}"
        return None


class Views(Checker):
    """Everybody sees everybody as he is: role, epoch, life."""

    name: ClassVar[str] = "views"

    def maybe_unsettled(self) -> str | None:
        """Whether anybody is wrong about anybody."""
        live = self.world.live()
        epochs = {process.core.state.current_epoch for process in live}
        if len(epochs) > 1:
            return f"the current epochs are {sorted(epochs)}"
        for process in live:
            for other in self.world.processes:
                wrong = None if other is process else self.maybe_wrong(process, other)
                if wrong is not None:
                    return f"{process.name} sees {other.name} {wrong}"
        return None

    @staticmethod
    def maybe_wrong(process: "Process", other: "Process") -> str | None:
        """What one sees wrongly of another."""
        node = process.core.state.nodes.get(other.node_id)
        if node is None:
            return "not at all"
        if not other.is_working:
            return None if node.is_failed else "not as failed"
        if node.is_failing:
            return "as failing"
        if not node.is_linked:
            return "without a link"
        myself = other.myself
        if node.replica_of != myself.replica_of:
            return "in another role"
        if myself.is_primary and node.config_epoch != myself.config_epoch:
            return f"with epoch {node.config_epoch}, not {myself.config_epoch}"
        return None


class Chains(Checker):
    """A replica follows a primary that lives and has slots: no chains, no circles."""

    name: ClassVar[str] = "chains"

    def maybe_unsettled(self) -> str | None:
        """Whether anybody follows the wrong one."""
        for process in self.world.live():
            if process.myself.is_primary:
                continue
            primary = self.world.by_id.get(process.myself.replica_of or "")
            if primary is None or not primary.is_working:
                return f"{process.name} follows nobody who lives"
            if primary.myself.is_replica:
                return f"{process.name} follows {primary.name}, a replica"
            if process.primary_id != primary.node_id or not process.is_synced:
                return f"{process.name} has not its data from {primary.name} yet"
        return None


class Service(Checker):
    """All nodes serve, whatever the slot."""

    name: ClassVar[str] = "service"

    def maybe_unsettled(self) -> str | None:
        """Whether anybody refuses."""
        for process in self.world.live():
            if not process.core.state.is_ok:
                return f"{process.name} says that the cluster is down"
        return None
