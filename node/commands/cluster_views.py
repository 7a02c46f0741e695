"""CLUSTER: what the node shows of the cluster as it sees it."""

from ...gossip import commands as ask
from ...gossip import views
from ..errors import CommandError
from ..registry import command
from ..resp.encoder import bulk, bulk_array
from ..session import Session
from .cluster_brain import READ, VARYING, carry_out, cluster_of, encode_view, node_id_from


@command(
    "CLUSTER NODES",
    group="cluster",
    since="3.0.0",
    arity=2,
    flags=READ,
    complexity="O(N) in the number of nodes",
    tips=VARYING,
)
def nodes(session: Session, args: list[bytes]) -> bytes:
    """Describes every node in a line, as nodes.conf does."""
    cluster = cluster_of(session)
    text = views.nodes_text(cluster.core, cluster.viewer(session))
    return session.encoder.verbatim(text.encode())


@command(
    "CLUSTER SLOTS",
    group="cluster",
    since="3.0.0",
    arity=2,
    flags=READ,
    complexity="O(N) in the number of nodes",
    tips=VARYING,
    deprecated=("7.0.0", "`CLUSTER SHARDS`"),
)
def slots(session: Session, args: list[bytes]) -> bytes:
    """Lists the slot ranges, each with its primary and its replicas."""
    cluster = cluster_of(session)
    return encode_view(session.encoder, views.slots_view(cluster.core, cluster.viewer(session)))


@command(
    "CLUSTER SHARDS",
    group="cluster",
    since="7.0.0",
    arity=2,
    flags=READ,
    complexity="O(N) in the number of nodes",
    tips=VARYING,
)
def shards(session: Session, args: list[bytes]) -> bytes:
    """Lists the shards with their slots and nodes."""
    cluster = cluster_of(session)
    return encode_view(session.encoder, views.shards_view(cluster.core, cluster.viewer(session)))


@command(
    "CLUSTER LINKS",
    group="cluster",
    since="7.0.0",
    arity=2,
    flags=READ,
    complexity="O(N) in the number of nodes",
    tips=VARYING,
)
def links(session: Session, args: list[bytes]) -> bytes:
    """Lists the connections of the cluster bus."""
    cluster = cluster_of(session)
    return encode_view(session.encoder, views.links_view(cluster.core, cluster.buffered()))


@command("CLUSTER INFO", group="cluster", since="3.0.0", arity=2, flags=READ, tips=VARYING)
def info(session: Session, args: list[bytes]) -> bytes:
    """Tells how the cluster is: state, slots, nodes, epochs, messages."""
    cluster = cluster_of(session)
    text = views.info_text(cluster.core, buffer_limit_exceeded_count=cluster.over_limit_count())
    migration = session.machine.slot_migration.info_fields()
    text += "".join(f"{name}:{value}\r\n" for name, value in migration.items())
    return session.encoder.verbatim(text.encode())


@command("CLUSTER MYID", group="cluster", since="3.0.0", arity=2, flags=READ)
def my_id(session: Session, args: list[bytes]) -> bytes:
    """Tells this node's id."""
    return bulk(cluster_of(session).core.node_id.encode())


@command("CLUSTER MYSHARDID", group="cluster", since="7.2.0", arity=2, flags=READ, tips=VARYING)
def my_shard_id(session: Session, args: list[bytes]) -> bytes:
    """Tells the id that this node shares with its replicas or its primary."""
    return bulk(cluster_of(session).core.state.myself.shard_id.encode())


def _replica_lines(session: Session, args: list[bytes]) -> bytes:
    cluster = cluster_of(session)
    node_id = node_id_from(args[2])
    node = cluster.core.state.maybe_member(node_id)
    if node is None:
        raise CommandError(b"ERR Unknown node %b" % args[2])
    if node.is_replica:
        raise CommandError(b"ERR The specified node is not a master")
    lines = views.replica_lines(cluster.core, node_id, cluster.viewer(session))
    return bulk_array([line.encode() for line in lines])


@command(
    "CLUSTER REPLICAS",
    group="cluster",
    since="5.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of replicas",
    tips=VARYING,
)
def replicas(session: Session, args: list[bytes]) -> bytes:
    """Describes the replicas of a primary."""
    return _replica_lines(session, args)


@command(
    "CLUSTER SLAVES",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of replicas",
    tips=VARYING,
    deprecated=("5.0.0", "`CLUSTER REPLICAS`"),
)
def slaves(session: Session, args: list[bytes]) -> bytes:
    """The old name of CLUSTER REPLICAS."""
    return _replica_lines(session, args)


@command(
    "CLUSTER COUNT-FAILURE-REPORTS",
    group="cluster",
    since="3.0.0",
    arity=3,
    flags="admin stale",
    args="node-id",
    complexity="O(N) in the number of reports",
    tips=VARYING,
)
def count_failure_reports(session: Session, args: list[bytes]) -> bytes:
    """Counts the voters that lately called a node failing."""
    return carry_out(session, ask.CountFailureReports(node_id_from(args[2])))
