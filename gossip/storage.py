"""The state as nodes.conf keeps it, both ways.

Owns the conversion between `ClusterState` and `StoredCluster`. Rules: stored times are Unix
milliseconds, as they were when anything else about their node last changed; after a start, a node
that was owed an answer is owed it from now on, as the time that this node was away says nothing
about the others. PFAIL does not outlive a restart. FAIL does, so that we serve nobody too early,
but as an old story: it is not told on, elects nobody and grants no vote until it is found anew, and
the first answer ends it.

BACKGROUND: the file may be far behind (recoveries are not synced), and two nodes that come back at
the same time and tell what theirs say are enough to have a third one's suspicion be a majority.
"""

from .config import Config
from .inputs import Rng
from .messages import NodeFlag, NodeId
from .nodes_conf import StoredCluster, StoredNode
from .state import FAILING, ClusterState, Node, bitmap_of, mask_of

_KEPT_FLAGS = (
    NodeFlag.PRIMARY
    | NodeFlag.REPLICA
    | NodeFlag.PFAIL
    | NodeFlag.FAIL
    | NodeFlag.MYSELF
    | NodeFlag.NOADDR
    | NodeFlag.NOFAILOVER
)


def new_node_id(rng: Rng) -> NodeId:
    """A random id."""
    return f"{rng.getrandbits(160):040x}"


def new_state(config: Config, rng: Rng, now: int, wall_offset_ms: int) -> ClusterState:
    """The state of a node that starts for the first time."""
    myself = Node(
        new_node_id(rng), NodeFlag.MYSELF | NodeFlag.PRIMARY, now, shard_id=new_node_id(rng)
    )
    state = ClusterState(myself, wall_offset_ms)
    take_config(state, config)
    return state


def take_config(state: ClusterState, config: Config) -> None:
    """Takes over what the options say about this node itself."""
    myself = state.myself
    myself.ip = config.announce_ip or myself.ip
    myself.port, myself.pport, myself.cport = config.port, config.pport, config.cport
    myself.hostname, myself.human_nodename = config.hostname, config.human_nodename
    if config.replica_no_failover:
        myself.flags |= NodeFlag.NOFAILOVER
    else:
        myself.flags &= ~NodeFlag.NOFAILOVER


def stored_cluster(state: ClusterState) -> StoredCluster:
    """What has to be on disk."""
    return StoredCluster(
        nodes=tuple(_stored_node(state, n) for n in state.nodes.values() if not n.in_handshake),
        current_epoch=state.current_epoch,
        last_vote_epoch=state.last_vote_epoch,
        migrating_to=tuple(sorted(state.migrating_to.items())),
        importing_from=tuple(sorted(state.importing_from.items())),
    )


def _stored_node(state: ClusterState, node: Node) -> StoredNode:
    kept, primary = node.stored, state.primary_of(node)
    flags = node.flags & _KEPT_FLAGS
    epoch = node.config_epoch if primary is None else primary.config_epoch
    slots = node.slots
    if state.not_claimed and node is not state.myself:
        # What its owner has stopped claiming must not be defended in its name after a restart.
        slots = bitmap_of(node.mask & ~state.not_claimed)
    is_connected = node is state.myself or node.is_linked
    is_awaited, has_answered = node.ping_sent_at is not None, node.pong_received_at is not None
    if (
        kept is not None
        and (flags, epoch, is_connected) == (kept.flags, kept.config_epoch, kept.is_connected)
        and is_awaited == (kept.ping_sent_ms != 0)
        and has_answered == (kept.pong_received_ms != 0)
        and (kept.slots is slots or kept.slots == slots)
        and kept.replica_of == node.replica_of
        and kept.ip == node.ip
        and (node.port, node.pport, node.cport) == (kept.port, kept.pport, kept.cport)
        and (node.node_id, node.shard_id or None) == (kept.node_id, kept.shard_id)
        and (node.hostname, node.human_nodename) == (kept.hostname, kept.human_nodename)
    ):
        return kept
    node.stored = kept = StoredNode(
        node_id=node.node_id,
        ip=node.ip,
        port=node.port,
        cport=node.cport,
        flags=flags,
        replica_of=node.replica_of,
        ping_sent_ms=state.wall_ms(node.ping_sent_at),
        pong_received_ms=state.wall_ms(node.pong_received_at),
        config_epoch=epoch,
        is_connected=is_connected,
        slots=slots,
        hostname=node.hostname,
        human_nodename=node.human_nodename,
        shard_id=node.shard_id or None,
        pport=node.pport,
        other_aux=node.other_aux,
    )
    return kept


def loaded_state(
    stored: StoredCluster, config: Config, rng: Rng, now: int, wall_offset_ms: int
) -> ClusterState:
    """The state of a node that starts again."""
    shard_ids = _shard_ids(stored, rng)
    nodes = [_loaded_node(node, shard_ids[node.node_id], now) for node in stored.nodes]
    state = ClusterState(next(n for n in nodes if n.flags & NodeFlag.MYSELF), wall_offset_ms)
    for node in nodes:
        if node is not state.myself:
            state.enter(node, rng)
    state.current_epoch = max([stored.current_epoch, *(n.config_epoch for n in nodes)])
    state.last_vote_epoch = min(stored.last_vote_epoch, state.current_epoch)
    for node, stored_node in zip(nodes, stored.nodes, strict=True):
        mask = mask_of(stored_node.slots)
        if mask and node.is_primary:
            state.assign(mask, node)
        # Nobody remembers for whom that vote was.
        node.voted_epoch = state.last_vote_epoch
        primary = state.primary_of(node)
        if primary is not None and primary.is_primary:
            primary.flags |= NodeFlag.MIGRATE_TO
    myself = state.myself
    if myself.is_primary:
        state.migrating_to = {s: n for s, n in stored.migrating_to if myself.mask >> s & 1}
        state.importing_from = {s: n for s, n in stored.importing_from if not myself.mask >> s & 1}
        # Their targets may have taken them while we were away.
        state.withheld = set(state.migrating_to)
    take_config(state, config)
    return state


def _loaded_node(stored: StoredNode, shard_id: NodeId, now: int) -> Node:
    flags = stored.flags & _KEPT_FLAGS
    if not flags & (NodeFlag.PRIMARY | NodeFlag.REPLICA):
        flags |= NodeFlag.REPLICA if stored.replica_of else NodeFlag.PRIMARY
    # A suspicion is worth nothing after a restart, and must not be told on as a fresh one.
    flags &= ~NodeFlag.PFAIL
    if flags & NodeFlag.MYSELF:
        flags &= ~FAILING
    is_replica = bool(flags & NodeFlag.REPLICA)
    is_awaited = stored.ping_sent_ms or flags & NodeFlag.FAIL
    return Node(
        node_id=stored.node_id,
        flags=flags,
        created_at=now,
        ip=stored.ip,
        port=stored.port,
        pport=stored.pport,
        cport=stored.cport,
        hostname=stored.hostname,
        human_nodename=stored.human_nodename,
        shard_id=shard_id,
        other_aux=stored.other_aux,
        # A replica's line shows its primary's epoch, which is no claim of its own.
        config_epoch=0 if is_replica and stored.replica_of else stored.config_epoch,
        replica_of=stored.replica_of if is_replica else None,
        ping_sent_at=now if is_awaited else None,
        pong_received_at=now if stored.pong_received_ms else None,
    )


def _shard_ids(stored: StoredCluster, rng: Rng) -> dict[NodeId, NodeId]:
    """The shard of each node: as stored, else its primary's, else a new one."""
    by_id = {node.node_id: node for node in stored.nodes}
    found: dict[NodeId, NodeId] = {}
    for node in sorted(stored.nodes, key=lambda node: node.replica_of is not None):
        primary = None if node.replica_of is None else by_id.get(node.replica_of)
        if primary is not None:
            found[node.node_id] = node.shard_id or found.get(primary.node_id) or new_node_id(rng)
        else:
            found[node.node_id] = node.shard_id or new_node_id(rng)
    return found
