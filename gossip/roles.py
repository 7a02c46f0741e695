"""Who is a primary and who replicates whom: the only place where roles change.

Owns `become_primary` and `become_replica` for ourselves and `learn_role` for the others. Rules: a
node that turns replica has no slots; a primary that gains its first replica may be migrated to
(MIGRATE_TO), and one that loses its last may not; no replica of a replica lasts.
"""

from . import open_slots
from .attempts import end_election, end_manual_failover
from .events import (
    BecamePrimary,
    BecameReplica,
    RoleLearned,
)
from .messages import NodeFlag, NodeId
from .outputs import BecomePrimary
from .reasons import (
    ElectionEnd,
    ManualEnd,
    RoleReason,
)
from .state import Node
from .turn import Turn


def become_primary(turn: Turn, reason: RoleReason) -> None:
    """Turns us into a primary; the slots are the caller's business."""
    myself = turn.state.myself
    former = myself.replica_of
    set_replica_of(turn, myself, None)
    turn.state.replicating_from = None
    end_manual_failover(turn, ManualEnd.DONE)
    if reason is not RoleReason.ELECTED:
        end_election(turn, ElectionEnd.ROLE_CHANGED)
    turn.state.election = None
    turn.change(BecomePrimary())
    turn.tell(BecamePrimary(reason, former))
    turn.changed(sync=True)


def become_replica(turn: Turn, primary: Node, reason: RoleReason) -> None:
    """Turns us into a replica of a node, or of another one than before."""
    myself = turn.state.myself
    open_slots.forget(turn)
    set_replica_of(turn, myself, primary.node_id)
    end_manual_failover(turn, ManualEnd.DONE)
    end_election(turn, ElectionEnd.ROLE_CHANGED)
    set_shard(turn, myself, primary.shard_id)
    turn.replicate_from(primary)
    turn.tell(BecameReplica(primary.node_id, reason))
    turn.changed(sync=True)
    turn.must_announce = True


def leave_sub_replication(turn: Turn) -> None:
    """A replica of a replica follows its primary's primary, as far as the chain goes."""
    state, myself = turn.state, turn.state.myself
    primary = state.primary_of(myself)
    if primary is None or not primary.is_replica or turn.config.bugs.keep_sub_replicas:
        return
    seen = {myself.node_id}
    root: Node | None = primary
    while root is not None and root.is_replica and root.node_id not in seen:
        seen.add(root.node_id)
        root = state.primary_of(root)
    # In a circle (two takeovers crossed), or with an unknown end, nobody is there to follow yet.
    if root is not None and root.is_primary and root is not myself and not root.in_handshake:
        become_replica(turn, root, RoleReason.SUB_REPLICA)


def set_replica_of(turn: Turn, node: Node, primary_id: NodeId | None) -> None:
    """Notes a node's role and primary, and what follows for the primaries' MIGRATE_TO."""
    state = turn.state
    former = state.primary_of(node)
    was_replica = node.is_replica
    node.replica_of = primary_id
    if primary_id is None:
        node.flags = node.flags & ~NodeFlag.REPLICA | NodeFlag.PRIMARY
        if was_replica and node is not state.myself:
            node.flags |= NodeFlag.MIGRATE_TO
    else:
        node.flags = node.flags & ~(NodeFlag.PRIMARY | NodeFlag.MIGRATE_TO) | NodeFlag.REPLICA
        primary = state.nodes.get(primary_id)
        if primary is not None and primary.is_primary:
            primary.flags |= NodeFlag.MIGRATE_TO
    if former is not None and former.node_id != primary_id and not state.replicas_of(former):
        former.flags &= ~NodeFlag.MIGRATE_TO


def learn_role(turn: Turn, node: Node, replica_of: NodeId | None) -> bool:
    """Takes over what a node says about its own role; whether anything changed."""
    role = NodeFlag.PRIMARY if replica_of is None else NodeFlag.REPLICA
    if node.replica_of == replica_of and node.flags & role:
        return False
    if replica_of is not None and node.mask:
        turn.assign_slots(node.mask, None)
    set_replica_of(turn, node, replica_of)
    # What it received from another primary is no measure of what it has of this one.
    node.offset = 0
    primary = turn.state.primary_of(node)
    if primary is not None:
        set_shard(turn, node, primary.shard_id)
        open_slots.follow(turn, node, primary)
    turn.tell(RoleLearned(node.node_id, replica_of))
    turn.changed()
    return True


def set_shard(turn: Turn, node: Node, shard_id: NodeId) -> None:
    """Notes a node's shard; we are always of our primary's."""
    if not shard_id:
        return
    myself = turn.state.myself
    if node.shard_id != shard_id:
        node.shard_id = shard_id
        turn.save()
    if myself.replica_of == node.node_id and myself.shard_id != shard_id:
        myself.shard_id = shard_id
        turn.save(sync=True)
