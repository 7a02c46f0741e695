"""The links to and from the other nodes: making, keeping and losing them.

Owns the reactions to what the runtime says about connections. Rules: one outbound link a member,
over which we ping it; whoever answers there must have the member's id; a link that is closed owes
an answer from that moment, so a node that cannot be reached is suspected on time whatever the
reason; attempts back off to about two a timeout, and begin at once when the peer shows life; what a
suspected node says over a link that was silent for the whole timeout is not listened to.
"""

from typing import Final

from .inputs import DataSeen, LinkAccepted, LinkClosed, LinkEstablished, LinkFailed
from .messages import NodeFlag
from .packets import send_ping
from .reasons import (
    LinkLoss,
)
from .state import Link, Node
from .turn import Turn

FIRST_BACKOFF_MS: Final = 100
MIN_CONNECT_TIMEOUT_MS: Final = 500


def on_accepted(turn: Turn, event: LinkAccepted) -> None:
    """A peer connected to us."""
    turn.state.links[event.link_id] = Link(
        event.link_id,
        turn.now,
        is_inbound=True,
        peer_ip=event.peer_ip,
        local_ip=event.local_ip,
        is_up=True,
    )


def on_established(turn: Turn, event: LinkEstablished) -> None:
    """Our connection stands: ping at once, or a young link could be mistaken for a dead one."""
    link = turn.state.links.get(event.link_id)
    if link is None or link.node is None:
        return
    link.is_up, link.local_ip, link.created_at = True, event.local_ip, turn.now
    turn.state.attach(link)
    send_ping(turn, link.node)
    link.node.flags &= ~NodeFlag.MEET


def on_failed(turn: Turn, event: LinkFailed) -> None:
    """Our connection could not be made."""
    link = turn.state.links.pop(event.link_id, None)
    if link is not None and link.node is not None:
        node = link.node
        turn.state.detach(link)
        _note_failure(turn, node)


def on_closed(turn: Turn, event: LinkClosed) -> None:
    """A link that stood is gone."""
    link = turn.state.links.pop(event.link_id, None)
    if link is None or link.node is None:
        return
    node = link.node
    turn.state.detach(link)
    if link.is_inbound:
        return
    if link.data_at is not None:
        node.connect_failures = 0
        _arm(turn, node)
    else:
        # Accepted and reset: no better than refused.
        _note_failure(turn, node)


def on_data(turn: Turn, event: DataSeen) -> None:
    """Any byte is a sign of life."""
    link = turn.state.links.get(event.link_id)
    if link is not None and not is_stale(turn, link):
        link.data_at = turn.now
        if link.node is not None:
            note_life(turn, link.node, link)


def is_stale(turn: Turn, link: Link) -> bool:
    """Whether a node that we suspect is heard on a link that was silent for the whole timeout.

    The link was cut, then: what comes now has waited in it, and would teach old views as news,
    reports of failures above all, of which a few make a quorum. The link is closed, and its peer
    connects anew and says how things are. (That a link is silent means nothing by itself: in a big
    cluster gossip spares most direct pings.)
    """
    node = link.node
    if not link.is_inbound or node is None or not node.is_failing:
        return False
    heard_at = link.created_at if link.data_at is None else link.data_at
    is_fresh = turn.now - heard_at <= turn.config.node_timeout_ms
    if is_fresh or turn.config.bugs.trust_stale_links:
        return False
    turn.close_link(link, LinkLoss.STALE)
    return True


def note_life(turn: Turn, node: Node, link: Link) -> None:
    """A node lives: it is worth connecting to.

    It may not hear us, though, if all that comes is what it says by itself: a node that hears
    nobody finds the cluster down, and its own pings do not stand for the answers that it owes then.
    """
    if node.says_ok or not link.is_inbound:
        node.data_received_at = turn.now
    if node.link is None and node.connect_at is not None:
        node.connect_at = None


def note_inbound(turn: Turn, node: Node, link: Link) -> None:
    """The peer of an inbound link turned out to be a member."""
    if node.inbound is link:
        return
    turn.close_link(node.inbound, LinkLoss.REPLACED)
    turn.state.detach(link)
    link.node = node
    node.inbound = link


def maybe_connect(turn: Turn, node: Node) -> None:
    """Connects to a node that has no link, unless it is too early to try again."""
    if not node.has_address:
        _arm(turn, node)
        return
    link = node.link
    if link is not None:
        timeout_ms = max(turn.config.node_timeout_ms // 2, MIN_CONNECT_TIMEOUT_MS)
        if not link.is_up and turn.now - link.created_at > timeout_ms:
            turn.close_link(link, LinkLoss.CONNECT_TIMEOUT)
            _note_failure(turn, node)
        return
    if node.connect_at is not None and turn.now < node.connect_at:
        return
    turn.open_link(node)


def _note_failure(turn: Turn, node: Node) -> None:
    if turn.config.bugs.no_backoff:
        _arm(turn, node)
        return
    longest_ms = max(turn.config.node_timeout_ms // 2, FIRST_BACKOFF_MS)
    # The shift is bounded, as a node may stay dead for years.
    delay_ms = min(FIRST_BACKOFF_MS << min(node.connect_failures, 16), longest_ms)
    node.connect_failures += 1
    node.connect_at = turn.now + delay_ms
    _arm(turn, node)


def _arm(turn: Turn, node: Node) -> None:
    """Without a link no ping can leave, yet the wait for an answer has begun."""
    if node.in_handshake or turn.config.bugs.never_arm_ping:
        return
    turn.state.await_answer(node, turn.now)
