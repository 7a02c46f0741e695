"""The heartbeats we send: whom they tell about, and what they mark.

Owns the choice of the gossip section. Rules: max(3, N/10) members at random, and all that we
suspect, so that reports spread at once; extensions go only to peers that have shown that they
know them; the mark PAUSED goes only to the replica for which we hold our clients.
"""

from .messages import GossipEntry, Meet, MessageFlag, NodeFlag, Ping, Pong
from .state import Link, Node
from .turn import Turn


def gossip_for(turn: Turn, receiver: Node | None, *first: Node) -> tuple[GossipEntry, ...]:
    """The gossip section of a packet to `receiver` (None: to all), beginning with `first`."""
    state = turn.state
    chosen: dict[str, Node] = {node.node_id: node for node in first}
    nodes = list(state.nodes.values())
    wanted = len(chosen) + min(max(3, len(nodes) // 10), max(0, len(nodes) - 2))
    # As in Redis, a bounded number of draws: a member left out now is drawn another time.
    for _ in range(3 * wanted):
        if len(chosen) >= wanted:
            break
        node = nodes[turn.rng.randrange(len(nodes))]
        if node is not receiver and _is_worth_telling(turn, node):
            chosen.setdefault(node.node_id, node)
    for node in nodes:
        if node.is_suspected:
            chosen.setdefault(node.node_id, node)
    return tuple(turn.entry(node) for node in chosen.values())


def _is_worth_telling(turn: Turn, node: Node) -> bool:
    if node is turn.state.myself or node.in_handshake or not node.has_address:
        return False
    return node.is_linked or node.mask != 0


def flags_for(turn: Turn, receiver: Node | None) -> int:
    """The marks of a heartbeat."""
    flags = MessageFlag.EXT_DATA
    manual = turn.state.manual
    if manual is not None and manual.replica_id is not None and receiver is not None:
        is_asker = receiver.node_id == manual.replica_id
        if is_asker or turn.config.bugs.two_manual_failovers:
            flags |= MessageFlag.PAUSED
    return flags


def send_ping(turn: Turn, node: Node) -> None:
    """Pings a node over our link to it (MEET if it is to take us in)."""
    link = node.link
    if link is None or not link.is_up:
        return
    kind = Meet if node.flags & NodeFlag.MEET else Ping
    turn.send_on(link, _heartbeat(turn, kind, node))
    # An older ping that was not answered still counts from when it left.
    if node.ping_sent_at is None:
        node.ping_sent_at = turn.now


def answer(turn: Turn, link: Link, node: Node | None) -> None:
    """Answers a ping on the link that it came over."""
    turn.send_on(link, _heartbeat(turn, Pong, node))


def send_pong(turn: Turn, node: Node, *first: Node) -> None:
    """Tells one member how we are now, and about `first`."""
    turn.send_to(node, _heartbeat(turn, Pong, node, *first))


def broadcast_pong(turn: Turn) -> None:
    """Tells all members at once how we are now, instead of waiting for the next pings."""
    gossip = gossip_for(turn, None)
    header = turn.header(MessageFlag.EXT_DATA)
    plain = Pong(header, gossip)
    extended = Pong(header, gossip, turn.extensions())
    for node in turn.state.members():
        turn.send_to(node, extended if node.flags & NodeFlag.EXTENSIONS_SUPPORTED else plain)


def _heartbeat(
    turn: Turn, kind: type[Ping] | type[Pong] | type[Meet], node: Node | None, *first: Node
) -> Ping | Pong | Meet:
    extended = node is not None and node.flags & NodeFlag.EXTENSIONS_SUPPORTED
    return kind(
        turn.header(flags_for(turn, node)),
        gossip_for(turn, node, *first),
        turn.extensions() if extended else (),
    )
