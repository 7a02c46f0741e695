"""How strangers become members, and who is who afterwards.

Owns MEET, stand-in ids, and addresses. Rules:

* A handshake is a node with a stand-in id and the flag HANDSHAKE. It ends by an answer (the node
  gets its real id), by finding out that the peer is a member already or ourselves, or by a timeout.
* We take part for two reasons: an operator's CLUSTER MEET, and a MEET from a stranger. The latter
  is for this stranger alone, whoever answers at its address.
* A member that is answered for by somebody else loses its address, not its id (`AddressLost`).
* An announced address always wins. Where none is announced, that of the member's own connection to
  us counts, but it replaces a known one only while our link to that is not standing, so a node
  behind a translator of addresses does not flap.

    stranger --MEET--> HANDSHAKE --PONG--> member --other id answers--> member, NOADDR
                           |                  ^                               |
                           +--timeout--> gone +---- its own PING, gossip -----+
"""

import ipaddress
from typing import Final

from .events import (
    AddressLost,
    HandshakeEnded,
    HandshakeRefused,
    HandshakeStarted,
    NodeJoined,
    OwnAddressLearned,
)
from .limits import MAX_PORT
from .members import note_replicas, remove_node
from .messages import Header, Heartbeat, Meet, NodeFlag, NodeId
from .reasons import (
    HandshakeEnd,
    HandshakeRefusal,
    LinkLoss,
)
from .state import Link, Node
from .storage import new_node_id
from .turn import Turn

MIN_HANDSHAKE_TIMEOUT_MS: Final = 1_000
MAX_HANDSHAKES: Final = 256
"""Strangers can start handshakes, so there has to be an end."""


def maybe_handshake(
    turn: Turn, ip: str, ports: tuple[int, int, int], expected_id: NodeId | None = None
) -> HandshakeRefusal | None:
    """Starts a handshake with an address; `ports` are (port, pport, cport). None: it began.

    Without an id it is an operator's order, and whoever lives there is sent a MEET.
    """
    refusal = None
    address = maybe_address(ip)
    cport = ports[2]
    if address is None or not 0 < ports[0] <= MAX_PORT or not 0 < cport <= MAX_PORT:
        refusal = HandshakeRefusal.BAD_ADDRESS
    else:
        handshakes = [node for node in turn.state.others() if node.in_handshake]
        if any((node.ip, node.cport) == (address, cport) for node in handshakes):
            refusal = HandshakeRefusal.IN_PROGRESS
        elif len(handshakes) >= MAX_HANDSHAKES:
            refusal = HandshakeRefusal.TOO_MANY
    if refusal is not None or address is None:
        turn.tell(HandshakeRefused(ip, cport, refusal or HandshakeRefusal.BAD_ADDRESS))
        return refusal
    flags = NodeFlag.HANDSHAKE | (NodeFlag.MEET if expected_id is None else NodeFlag.NONE)
    node = Node(new_node_id(turn.rng), flags, turn.now, ip=address, expected_id=expected_id)
    node.port, node.pport, node.cport = ports
    node.shard_id = new_node_id(turn.rng)
    turn.state.enter(node, turn.rng)
    turn.tell(HandshakeStarted(address, cport))
    turn.open_link(node)
    return None


def maybe_address(text: str) -> str | None:
    """An IP address in its usual spelling; None if the text is none (a host name, say)."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None


def expire_handshake(turn: Turn, node: Node) -> bool:
    """Ends a handshake that takes too long; whether it did."""
    timeout_ms = max(turn.config.node_timeout_ms, MIN_HANDSHAKE_TIMEOUT_MS)
    if not node.in_handshake or turn.now - node.created_at <= timeout_ms:
        return False
    _end(turn, node, HandshakeEnd.TIMEOUT)
    return True


def _end(turn: Turn, node: Node, reason: HandshakeEnd) -> None:
    turn.tell(HandshakeEnded(node.ip, node.cport, reason))
    remove_node(turn, node)


def on_meet_of_stranger(turn: Turn, link: Link, message: Meet) -> None:
    """A stranger wants us to take it in: find out about it over a connection of our own."""
    header = message.header
    ports = (header.port, header.pport, header.cport)
    maybe_handshake(turn, header.ip or link.peer_ip, ports, header.sender)


def on_handshake_answer(turn: Turn, node: Node, link: Link, message: Heartbeat) -> Node | None:
    """The peer of a handshake has shown its id; the new member, or None if it is not new."""
    header, state = message.header, turn.state
    if header.sender == state.myself.node_id:
        _end(turn, node, HandshakeEnd.MYSELF)
        return None
    if node.expected_id not in (None, header.sender):
        # Who wanted to join has died, and a node of another cluster has its address by now: to
        # take that one in, and tell our cluster of it, would make one of both.
        _end(turn, node, HandshakeEnd.OTHER_NODE)
        return None
    known = state.maybe_member(header.sender)
    if known is not None:
        # CLUSTER MEET with a member's new address is how an operator tells us of it.
        ports = (header.port, header.pport, header.cport)
        ip = header.ip or node.ip
        _end(turn, node, HandshakeEnd.KNOWN_NODE)
        if (known.ip, known.port, known.pport, known.cport) != (ip, *ports):
            turn.move_node(known, ip, ports)
        return None
    state.rename(node, header.sender)
    node.expected_id = None
    role = NodeFlag.REPLICA if header.replica_of else NodeFlag.PRIMARY
    node.flags = node.flags & ~(NodeFlag.HANDSHAKE | NodeFlag.MEET) | role
    node.replica_of = header.replica_of
    node.port, node.pport, node.cport = header.port, header.pport, header.cport
    if header.ip:
        node.ip = header.ip
    state.attach(link)
    note_replicas(turn, node)
    state.banned_until.pop(node.node_id, None)
    turn.tell(NodeJoined(node.node_id))
    turn.changed()
    return node


def on_wrong_identity(turn: Turn, node: Node, found: str) -> None:
    """Somebody else lives at a member's address: the member has none until it says so itself."""
    turn.tell(AddressLost(node.node_id, found))
    turn.close_link(node.link, LinkLoss.WRONG_IDENTITY)
    node.flags |= NodeFlag.NOADDR
    node.ip, node.port, node.pport, node.cport = "", 0, 0, 0
    turn.state.await_answer(node, turn.now)
    turn.save()


def update_address(turn: Turn, node: Node, link: Link, header: Header) -> None:
    """Takes over the address of a member that pings us over a connection of its own."""
    if not link.is_inbound:
        return
    ports = (header.port, header.pport, header.cport)
    ip = header.ip or (node.ip if node.is_linked else link.peer_ip) or node.ip
    if ip and (node.ip, node.port, node.pport, node.cport) != (ip, *ports):
        turn.move_node(node, ip, ports)


def learn_own_address(turn: Turn, link: Link, *, is_meet: bool) -> None:
    """The address at which a peer reached us is ours; a MEET's counts even if we have one."""
    myself = turn.state.myself
    if turn.config.announce_ip or not link.local_ip or link.local_ip == myself.ip:
        return
    if is_meet or not myself.ip:
        myself.ip = link.local_ip
        turn.tell(OwnAddressLearned(myself.ip))
        turn.save()
