"""How a replica that its primary can spare moves to a primary that has none.

Owns the decision. Rules: only while the cluster is ok; our primary keeps more than
`cluster-migration-barrier` working replicas; the target owns slots, had replicas once (MIGRATE_TO)
and has been without for 5 s; and we are the smallest id among the replicas of the primaries with
the most replicas, so that one moves at a time.
"""

from typing import Final

from .messages import NodeFlag, NodeId
from .reasons import (
    RoleReason,
)
from .roles import become_replica
from .state import Node
from .turn import Turn

CHECK_TICKS: Final = 5
"""It is a look at all nodes, for what takes seconds anyway."""
ORPHAN_DELAY_MS: Final = 5_000
"""During failovers, time for the primary's own replicas to announce themselves."""


def on_tick(turn: Turn) -> None:
    """Moves to an orphaned primary if it is our turn."""
    state, config = turn.state, turn.config
    myself = state.myself
    if state.ticks % CHECK_TICKS:
        return
    if not myself.is_replica or not config.allow_replica_migration or not state.is_ok:
        return
    working = _working_replicas(turn)
    target = _maybe_orphan(turn, working)
    primary = state.primary_of(myself)
    if target is None or primary is None:
        return
    most = max((len(replicas) for replicas in working.values()), default=0)
    ours = working.get(primary.node_id, [])
    if len(ours) < most or most < 2 or len(ours) <= config.migration_barrier:
        return
    candidates = [r for replicas in working.values() if len(replicas) == most for r in replicas]
    if min(candidates) == myself.node_id:
        become_replica(turn, target, RoleReason.MIGRATION)


def _working_replicas(turn: Turn) -> dict[NodeId, list[NodeId]]:
    """The replicas of each primary that do not fail."""
    found: dict[NodeId, list[NodeId]] = {}
    for node in turn.state.nodes.values():
        if node.replica_of is not None and not node.is_failing:
            found.setdefault(node.replica_of, []).append(node.node_id)
    return found


def _maybe_orphan(turn: Turn, working: dict[NodeId, list[NodeId]]) -> Node | None:
    """A primary that has been without replicas for long enough; keeps the time for all."""
    found: Node | None = None
    for node in turn.state.owners.values():
        is_orphan = (
            not node.is_failed
            and bool(node.flags & NodeFlag.MIGRATE_TO)
            and not working.get(node.node_id)
        )
        if not is_orphan:
            node.orphaned_at = None
        elif node.orphaned_at is None:
            node.orphaned_at = turn.now
        elif turn.now - node.orphaned_at > ORPHAN_DELAY_MS and found is None:
            found = node
    return found
