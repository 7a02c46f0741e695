"""The heartbeats we send: whom they tell about, and what they mark.

Owns the choice of the gossip section. Rules: max(3, N/10) members, each in its turn, and all that
we suspect, so that reports spread at once, but none whose failure our file alone knows; the
heartbeats of one tick tell the same, unless there is news in between, since to choose anew for each
would be most of the work of a tick; extensions go only to peers that have shown that they know
them; the mark PAUSED goes only to the replica for which we hold our clients; each ping carries the
question that we may have (see `promises`).
"""

from typing import Final

from .messages import GossipEntry, Meet, MessageFlag, NodeFlag, Ping, Pong
from .state import Link, Node
from .turn import Turn

MIN_ENTRIES: Final = 3
ENTRIES_SHARE: Final = 10
"""One in so many of the members."""


def gossip_for(turn: Turn, *first: Node) -> tuple[GossipEntry, ...]:
    """The gossip section of a packet, beginning with `first`."""
    state = turn.state
    page = state.gossip_page
    if page is None:
        page = state.gossip_page = _new_page(turn)
    if not first:
        return page
    ids = {node.node_id for node in first}
    return (*map(turn.entry, first), *(entry for entry in page if entry.node_id not in ids))


def _new_page(turn: Turn) -> tuple[GossipEntry, ...]:
    """The next nodes in turn, and all that we suspect."""
    state = turn.state
    deck, at = state.deck, state.deck_at
    wanted = min(max(MIN_ENTRIES, len(deck) // ENTRIES_SHARE), len(deck))
    page = []
    for _ in range(len(deck)):
        at = at + 1 if at + 1 < len(deck) else 0
        node = deck[at]
        if _is_worth_telling(node) and not node.is_suspected:
            page.append(turn.entry(node))
            if len(page) == wanted:
                break
    state.deck_at = at
    page += [turn.entry(node) for node in state.waiting if node.is_suspected]
    return tuple(page)


def _is_worth_telling(node: Node) -> bool:
    if node.in_handshake or not node.has_address or (node.is_failed and not node.is_found_failed):
        return False
    return node.is_linked or node.mask != 0


def flags_for(turn: Turn, receiver: Node | None) -> int:
    """The marks of a heartbeat."""
    flags = MessageFlag.EXT_DATA
    manual = turn.state.manual
    if manual is not None and manual.replica_id is not None and receiver is not None:
        is_asker = receiver.node_id == manual.replica_id and _has_shown_itself(receiver)
        if is_asker or turn.config.bugs.two_manual_failovers:
            flags |= MessageFlag.PAUSED
    return flags


def _has_shown_itself(node: Node) -> bool:
    """Whether it is the node itself that we speak to: another one may live at its address now."""
    return not node.is_linked or (node.link is not None and node.link.data_at is not None)


def send_ping(turn: Turn, node: Node) -> None:
    """Pings a node over our link to it (MEET if it is to take us in)."""
    link = node.link
    if link is None or not link.is_up:
        return
    kind = Meet if node.flags & NodeFlag.MEET else Ping
    turn.send_on(link, _heartbeat(turn, kind, node))
    turn.state.await_answer(node, turn.now)


def answer(turn: Turn, link: Link, node: Node | None, *, promises: int = 0) -> None:
    """Answers a ping on the link that it came over."""
    turn.send_on(link, _heartbeat(turn, Pong, node, promises=promises))


def send_pong(turn: Turn, node: Node, *first: Node) -> None:
    """Tells one member how we are now, and about `first`."""
    turn.send_to(node, _heartbeat(turn, Pong, node, *first))


def broadcast_pong(turn: Turn) -> None:
    """Tells all members at once how we are now, instead of waiting for the next pings."""
    gossip = gossip_for(turn)
    header = turn.header(MessageFlag.EXT_DATA)
    plain = Pong(header, gossip)
    extended = Pong(header, gossip, turn.extensions())
    for node in turn.state.members():
        turn.send_to(node, extended if node.flags & NodeFlag.EXTENSIONS_SUPPORTED else plain)


def _heartbeat(
    turn: Turn,
    kind: type[Ping] | type[Pong] | type[Meet],
    node: Node | None,
    *first: Node,
    promises: int = 0,
) -> Ping | Pong | Meet:
    extended = node is not None and node.flags & NodeFlag.EXTENSIONS_SUPPORTED
    asks = turn.state.question if kind is Ping else 0
    return kind(
        turn.header(flags_for(turn, node), asks=asks, promises=promises),
        gossip_for(turn, *first),
        turn.extensions() if extended else (),
    )
