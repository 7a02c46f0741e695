"""What CLUSTER NODES, SLOTS, SHARDS, LINKS and INFO show, as plain values.

Owns the texts and the fields of Redis 7.2; encoding them is the node's business. Rules: a view
never changes anything; a mapping keeps the order of its fields; what depends on who asks (does
the client use TLS, which name of a node does it prefer) is an argument.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from attrs import frozen

from .core import GossipCore
from .messages import NodeId, slot_ranges, slots_text
from .nodes_conf import flags_text
from .outputs import Endpoint
from .state import FAILING, ClusterState, Link, Node, bitmap_of

View: TypeAlias = "int | str | list[View] | dict[str, View] | None"

MESSAGE_NAMES: Final = (
    "ping",
    "pong",
    "meet",
    "fail",
    "publish",
    "auth-req",
    "auth-ack",
    "update",
    "mfstart",
    "module",
    "publishshard",
)
"""By type number."""


@frozen
class Viewer:
    """Who asks."""

    tls: bool = False
    """Whether the client came over TLS, and so wants ports of that kind."""
    endpoint: Endpoint = Endpoint.IP


PLAIN_VIEWER: Final = Viewer()


def client_port(core: GossipCore, node: Node, viewer: Viewer) -> int:
    """The port that the viewer should connect to."""
    same_kind = viewer.tls == core.config.tls_cluster
    # A node without a port of the kind asked for is shown with the one that it has.
    return (node.port if same_kind else node.pport) or node.port


def endpoint_of(node: Node, viewer: Viewer) -> str | None:
    """The name of a node in redirects and CLUSTER SLOTS; None is "where you are now"."""
    match viewer.endpoint:
        case Endpoint.IP:
            return node.ip
        case Endpoint.HOSTNAME:
            return node.hostname or "?"
        case Endpoint.UNKNOWN:
            return None


# ---- CLUSTER NODES -------------------------------------------------------------------------------


def nodes_text(core: GossipCore, viewer: Viewer = PLAIN_VIEWER) -> str:
    """CLUSTER NODES."""
    return "".join(node_line(core, node, viewer) + "\n" for node in core.state.nodes.values())


def replica_lines(core: GossipCore, node_id: NodeId, viewer: Viewer = PLAIN_VIEWER) -> list[str]:
    """CLUSTER REPLICAS of a known primary."""
    replicas = core.state.replicas_of(core.state.nodes[node_id])
    return [node_line(core, node, viewer) for node in replicas]


def node_line(core: GossipCore, node: Node, viewer: Viewer = PLAIN_VIEWER) -> str:
    """One line of CLUSTER NODES, without its end."""
    state = core.state
    address = f"{node.ip}:{client_port(core, node, viewer)}@{node.cport}"
    if node.hostname:
        address += f",{node.hostname}"
    primary = state.primary_of(node)
    is_connected = node is state.myself or node.link is not None
    fields = [
        node.node_id,
        address,
        flags_text(node.flags),
        "-" if primary is None else primary.node_id,
        str(state.wall_ms(node.ping_sent_at)),
        str(state.wall_ms(node.pong_received_at)),
        str((primary or node).config_epoch),
        "connected" if is_connected else "disconnected",
    ]
    if node.mask:
        fields.append(slots_text(node.slots))
    if node is state.myself:
        moves = [(slot, f"[{slot}->-{peer}]") for slot, peer in state.migrating_to.items()]
        moves += [(slot, f"[{slot}-<-{peer}]") for slot, peer in state.importing_from.items()]
        fields += [text for _, text in sorted(moves)]
    return " ".join(fields)


# ---- CLUSTER SLOTS and SHARDS --------------------------------------------------------------------


def slots_view(core: GossipCore, viewer: Viewer = PLAIN_VIEWER) -> list[View]:
    """CLUSTER SLOTS: (first, last, primary, replicas that may be read) of each range, in order."""
    found: list[View] = []
    for first, last, owner in sorted(_ranges(core.state), key=lambda entry: entry[0]):
        members = [owner, *(r for r in core.state.replicas_of(owner) if _is_readable(core, r))]
        found.append([first, last, *(_slots_member(core, node, viewer) for node in members)])
    return found


def _ranges(state: ClusterState) -> Iterator[tuple[int, int, Node]]:
    for owner in state.owners.values():
        for first, last in slot_ranges(owner.slots):
            yield first, last, owner


def _is_readable(core: GossipCore, node: Node) -> bool:
    return not node.is_failed and _offset(core, node) != 0


def _offset(core: GossipCore, node: Node) -> int:
    return core.own_offset() if node is core.state.myself else node.offset


def _slots_member(core: GossipCore, node: Node, viewer: Viewer) -> View:
    more: dict[str, View] = {}
    if viewer.endpoint is not Endpoint.IP:
        more["ip"] = node.ip
    if viewer.endpoint is not Endpoint.HOSTNAME and node.hostname:
        more["hostname"] = node.hostname
    return [endpoint_of(node, viewer), client_port(core, node, viewer), node.node_id, more]


def shards_view(core: GossipCore, viewer: Viewer = PLAIN_VIEWER) -> list[View]:
    """CLUSTER SHARDS."""
    shards: dict[NodeId, list[Node]] = {}
    for node in core.state.nodes.values():
        if not node.in_handshake:
            shards.setdefault(node.shard_id, []).append(node)
    return [_shard(core, nodes, viewer) for nodes in shards.values()]


def _shard(core: GossipCore, nodes: list[Node], viewer: Viewer) -> View:
    slots = 0
    for node in nodes:
        slots |= node.mask
    bounds: list[View] = [slot for pair in slot_ranges(bitmap_of(slots)) for slot in pair]
    members: list[View] = [_shard_member(core, node, viewer) for node in nodes]
    return {"slots": bounds, "nodes": members}


def _shard_member(core: GossipCore, node: Node, viewer: Viewer) -> View:
    tcp, tls = node.port, node.pport
    if core.config.tls_cluster:
        tcp, tls = tls, tcp
    offset = _offset(core, node)
    health = "online"
    if node.is_failed:
        health = "fail"
    elif node.is_replica and offset == 0:
        health = "loading"
    shown: dict[str, View] = {"id": node.node_id}
    if tcp:
        shown["port"] = tcp
    if tls:
        shown["tls-port"] = tls
    shown["ip"] = node.ip
    shown["endpoint"] = endpoint_of(node, viewer) or ""
    if node.hostname:
        shown["hostname"] = node.hostname
    shown["role"] = "replica" if node.is_replica else "master"
    shown["replication-offset"] = offset
    shown["health"] = health
    return shown


# ---- CLUSTER LINKS and INFO ----------------------------------------------------------------------


def links_view(core: GossipCore, buffered: dict[int, int]) -> list[View]:
    """CLUSTER LINKS; `buffered` holds the bytes that wait on each link that has any."""
    found: list[View] = []
    for node in core.state.others():
        for link in (node.link, node.inbound):
            if link is not None:
                found.append(_link(core, node, link, buffered.get(link.link_id, 0)))
    return found


def _link(core: GossipCore, node: Node, link: Link, buffered_bytes: int) -> View:
    events = ("r" if link.is_up else "") + ("w" if buffered_bytes or not link.is_up else "")
    return {
        "direction": "from" if link.is_inbound else "to",
        "node": node.node_id,
        "create-time": core.state.wall_ms(link.created_at),
        "events": events,
        "send-buffer-allocated": buffered_bytes,
        "send-buffer-used": buffered_bytes,
    }


def info_text(core: GossipCore, *, buffer_limit_exceeded_count: int = 0) -> str:
    """CLUSTER INFO."""
    state = core.state
    counts = {"ok": 0, "pfail": 0, "fail": 0}
    for owner in state.owners.values():
        kind = "ok" if not owner.flags & FAILING else "fail" if owner.is_failed else "pfail"
        counts[kind] += owner.mask.bit_count()
    shown = state.shard_primary(state.myself) or state.myself
    fields: dict[str, int | str] = {
        "cluster_state": "ok" if state.is_ok else "fail",
        "cluster_slots_assigned": state.assigned.bit_count(),
        "cluster_slots_ok": counts["ok"],
        "cluster_slots_pfail": counts["pfail"],
        "cluster_slots_fail": counts["fail"],
        "cluster_known_nodes": len(state.nodes),
        "cluster_size": len(state.owners),
        "cluster_current_epoch": state.current_epoch,
        "cluster_my_epoch": shown.config_epoch,
    }
    for direction, by_type in (("sent", state.sent_counts), ("received", state.received_counts)):
        for type_number in sorted(by_type):
            if type_number < len(MESSAGE_NAMES):
                name = MESSAGE_NAMES[type_number]
                fields[f"cluster_stats_messages_{name}_{direction}"] = by_type[type_number]
        fields[f"cluster_stats_messages_{direction}"] = sum(by_type.values())
    fields["total_cluster_links_buffer_limit_exceeded"] = buffer_limit_exceeded_count
    return "".join(f"{name}:{value}\r\n" for name, value in fields.items())


# ---- redirects -----------------------------------------------------------------------------------


def redirect_address(core: GossipCore, node_id: NodeId, viewer: Viewer = PLAIN_VIEWER) -> str:
    """`host:port` as MOVED and ASK name a node; an empty host means "where you are now"."""
    node = core.state.nodes[node_id]
    return f"{endpoint_of(node, viewer) or ''}:{client_port(core, node, viewer)}"
