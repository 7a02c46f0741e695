"""Who is a member: adding, removing and banning nodes.

Owns the table of nodes and the ban list. Rules: a node is added by a handshake, or on the word of a
member; a forgotten node is not added again on anybody's word for 60 seconds; whoever removes a node
takes its slots, its reports and its links along.
"""

from typing import Final

from .events import (
    NodeForgotten,
    NodeLearned,
)
from .limits import SLOT_COUNT
from .messages import GossipEntry, NodeFlag, NodeId
from .reasons import (
    LinkLoss,
)
from .state import Node
from .storage import new_node_id
from .turn import Turn

BAN_MS: Final = 60_000
"""Time for an operator to have all the other nodes forget it too."""

MAX_NODES: Final = SLOT_COUNT
"""More nodes than slots never make sense, and peers can make nodes up."""

_LEARNED_FLAGS: Final = NodeFlag.PRIMARY | NodeFlag.REPLICA | NodeFlag.NOFAILOVER


def is_banned(turn: Turn, node_id: NodeId) -> bool:
    """Whether a node was forgotten a short time ago."""
    until = turn.state.banned_until.get(node_id)
    if until is None:
        return False
    if until <= turn.now:
        del turn.state.banned_until[node_id]
        return False
    return True


def forget_node(turn: Turn, node: Node, *, by: NodeId | None, ban_ms: int = BAN_MS) -> None:
    """Removes a node for good."""
    turn.state.banned_until[node.node_id] = turn.now + ban_ms
    remove_node(turn, node)
    turn.tell(NodeForgotten(node.node_id, by))
    turn.changed()


def remove_node(turn: Turn, node: Node) -> None:
    """Takes a node out of everything that we know."""
    state = turn.state
    if node.mask:
        turn.assign_slots(node.mask, None)
    for moves in (state.migrating_to, state.importing_from):
        for slot in [slot for slot, peer in moves.items() if peer == node.node_id]:
            del moves[slot]
            turn.tell_marks()
    for other in state.nodes.values():
        other.reports.pop(node.node_id, None)
    turn.close_link(node.link, LinkLoss.REMOVED)
    turn.close_link(node.inbound, LinkLoss.REMOVED)
    state.leave(node)
    primary = state.primary_of(node)
    if primary is not None and not state.replicas_of(primary):
        primary.flags &= ~NodeFlag.MIGRATE_TO


def note_replicas(turn: Turn, node: Node) -> None:
    """The replicas of a new member may be known already."""
    if node.is_primary and turn.state.replicas_of(node):
        node.flags |= NodeFlag.MIGRATE_TO


def learn_node(turn: Turn, entry: GossipEntry, by: Node) -> None:
    """Adds a node on the word of a member, under the id that the member gives."""
    if entry.flags & (NodeFlag.NOADDR | NodeFlag.HANDSHAKE) or not entry.ip:
        return
    if is_banned(turn, entry.node_id) or len(turn.state.nodes) >= MAX_NODES:
        return
    flags = entry.flags & _LEARNED_FLAGS
    if not flags & NodeFlag.REPLICA:
        flags |= NodeFlag.PRIMARY
    elif flags & NodeFlag.PRIMARY:
        flags &= ~NodeFlag.REPLICA
    node = Node(
        entry.node_id,
        flags,
        turn.now,
        ip=entry.ip,
        port=entry.port,
        pport=entry.pport,
        cport=entry.cport,
        shard_id=new_node_id(turn.rng),
    )
    turn.state.enter(node, turn.rng)
    note_replicas(turn, node)
    turn.tell(NodeLearned(node.node_id, by.node_id))
    turn.save()
