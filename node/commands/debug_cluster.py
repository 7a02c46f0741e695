"""DEBUG's levers for the cluster bus: packets that are dropped and links that are cut."""

from typing import Final

from ...gossip.commands import CloseOnDrop, DropPacketTypes, KillLinks
from ...gossip.messages import MessageType
from ..errors import CommandError
from ..resp.encoder import OK
from ..session import Session
from ..values.numbers import parse_integer
from .arguments import required_integer
from .cluster_brain import carry_out, node_id_from

_ALL_TYPES: Final = -2
_DIRECTIONS: Final = (b"TO", b"FROM", b"ALL")


def drop_packets(session: Session, args: list[bytes]) -> bytes:
    """DEBUG DROP-CLUSTER-PACKET-FILTER: -1 drops nothing, -2 everything (Valkey)."""
    number = required_integer(args[2])
    types = set(MessageType) if number == _ALL_TYPES else {number}
    if session.machine.cluster is None:
        return OK
    return carry_out(session, DropPacketTypes(frozenset(int(kind) for kind in types)))


def close_on_drop(session: Session, args: list[bytes]) -> bytes:
    """DEBUG CLOSE-CLUSTER-LINK-ON-PACKET-DROP."""
    if session.machine.cluster is None:
        return OK
    return carry_out(session, CloseOnDrop(bool(parse_integer(args[2]))))


def kill_links(session: Session, args: list[bytes]) -> bytes:
    """DEBUG CLUSTERLINK KILL."""
    cluster = session.machine.cluster
    if cluster is None:
        raise CommandError(b"ERR Debug option only available for cluster mode enabled setup!")
    node_id = node_id_from(args[4])
    if node_id not in cluster.core.state.nodes:
        raise CommandError(b"ERR Unknown node %b" % args[4])
    direction = args[3].upper()
    if args[2].upper() != b"KILL" or direction not in _DIRECTIONS:
        raise CommandError(b"ERR Unknown direction %b" % args[3])
    request = KillLinks(node_id, to_node=direction != b"FROM", from_node=direction != b"TO")
    return carry_out(session, request)
