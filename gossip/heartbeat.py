"""When to ping whom, and what the heartbeats of others teach us.

Owns the timers of pings and the order in which a heartbeat is taken in. Rules:

* Each second the one of five random members that answered longest ago is pinged; whoever has not
  answered for the ping interval is pinged anyway. The interval is at most half the timeout; with
  few peers it is shorter, so that a frozen node is found sooner (see `ping_interval_ms`).
* A link without an answer and without data for half the timeout is made anew, as it may be the link
  that is dead, not the node; after the whole timeout, if the node shows life on its own link to us.
* From a heartbeat we take, in this order: our own address, the sender's address and role, its
  slots, the news about others, the extensions. What its sender said before it said something
  newer is late, and teaches nothing about roles and slots.
"""

import heapq
from typing import Final

from . import epochs, failure, open_slots, promises
from .claims import on_claim, tell_newer_owners
from .events import (
    LateHeartbeat,
)
from .handshake import expire_handshake, learn_own_address, update_address
from .links import maybe_connect
from .members import forget_node, is_banned, learn_node
from .messages import (
    ForgottenNode,
    GossipEntry,
    Header,
    Heartbeat,
    Hostname,
    HumanNodename,
    Meet,
    MessageFlag,
    NodeFlag,
    Ping,
    Pong,
    ShardId,
)
from .packets import answer, send_ping
from .reasons import (
    LinkLoss,
)
from .roles import learn_role, leave_sub_replication, set_shard
from .state import Link, Node
from .turn import Turn

RANDOM_PING_TICKS: Final = 10
RANDOM_PING_DRAWS: Final = 5
MAX_FORCED_PINGS_PER_SECOND: Final = 25
FASTEST_INTERVAL_MS: Final = 1_000
CLOCK_TOLERANCE_MS: Final = 500

_UNUSUAL: Final = (
    NodeFlag.PFAIL | NodeFlag.FAIL | NodeFlag.HANDSHAKE | NodeFlag.NOADDR | NodeFlag.MYSELF
)
"""Flags of which at least one makes an entry worth a second look; most of them tell no news."""


def ping_interval_ms(turn: Turn) -> int:
    """The longest time without a ping to a peer.

    min(1 s, T/4) finds a frozen node within 1.25 T; with many peers that would be too much traffic,
    so it grows with their number, up to the T/2 of Redis.
    """
    if turn.config.ping_interval_ms:
        return turn.config.ping_interval_ms
    timeout_ms = turn.config.node_timeout_ms
    affordable_ms = len(turn.state.nodes) * 1000 // MAX_FORCED_PINGS_PER_SECOND
    return min(timeout_ms // 2, max(min(FASTEST_INTERVAL_MS, timeout_ms // 4), affordable_ms))


def on_tick(turn: Turn) -> None:
    """Keeps the links and the pings going."""
    state, now = turn.state, turn.now
    state.gossip_page = None
    for node in list(state.unlinked):
        if not expire_handshake(turn, node):
            maybe_connect(turn, node)
    if state.ticks % RANDOM_PING_TICKS == 0 and state.deck:
        _ping_a_random_node(turn)
    for node in list(state.waiting):
        if not node.in_handshake:
            _remake_if_silent(turn, node)
    times = state.ping_times
    if times and times[0][0] <= now:
        interval_ms = ping_interval_ms(turn)
        while times and times[0][0] <= now:
            node = heapq.heappop(times)[2]
            if state.nodes.get(node.node_id) is node:
                state.look_at(node, max(now + 1, _ping_if_overdue(turn, node, interval_ms)))


def _ping_if_overdue(turn: Turn, node: Node, interval_ms: int) -> int:
    """Pings a node that has not answered for the interval; when to look at it again.

    Whatever happens in between, its next answer comes later than what the time is counted from.
    """
    if node.in_handshake or not node.is_linked:
        # As soon as its link stands it is pinged.
        return turn.now + interval_ms
    since = node.pong_received_at
    if node.ping_sent_at is not None:
        since = node.ping_sent_at
    elif since is None or since <= turn.now - interval_ms:
        send_ping(turn, node)
        since = turn.now
    return since + interval_ms


def look_at_all(turn: Turn) -> None:
    """The interval may have become shorter."""
    state = turn.state
    state.ping_times.clear()
    for node in state.deck:
        state.look_at(node, turn.now)


def _ping_a_random_node(turn: Turn) -> None:
    nodes = turn.state.deck
    oldest: Node | None = None
    for _ in range(RANDOM_PING_DRAWS):
        node = nodes[turn.rng.randrange(len(nodes))]
        if node.in_handshake or not node.is_linked or node.ping_sent_at is not None:
            continue
        if oldest is None or (node.pong_received_at or 0) < (oldest.pong_received_at or 0):
            oldest = node
    if oldest is not None:
        send_ping(turn, oldest)


def _remake_if_silent(turn: Turn, node: Node) -> None:
    link, now, timeout_ms = node.link, turn.now, turn.config.node_timeout_ms
    if link is None or not link.is_up or node.ping_sent_at is None:
        return
    silent_ms = now - max(node.ping_sent_at, link.data_at or 0, link.created_at)
    is_silent_at_all = now - (node.data_received_at or 0) > timeout_ms // 2
    # With much traffic on its own link to us, the answers on ours may just be late.
    if silent_ms > (timeout_ms // 2 if is_silent_at_all else timeout_ms):
        turn.close_link(link, LinkLoss.SILENT)
        turn.open_link(node)


# ---- what a heartbeat teaches --------------------------------------------------------------------


def on_ping(turn: Turn, link: Link, sender: Node, message: Heartbeat) -> None:
    """A member pings us (or has us meet it again)."""
    learn_own_address(turn, link, is_meet=isinstance(message, Meet))
    update_address(turn, sender, link, message.header)
    _learn(turn, sender, message)
    answer(turn, link, sender, promises=promises.on_question(turn, sender, message.header))


def on_pong(turn: Turn, link: Link, sender: Node, message: Pong) -> None:
    """A member answers, or tells us something unasked."""
    if not link.is_inbound and link is sender.link:
        failure.on_pong(turn, sender)
    _learn(turn, sender, message)
    promises.on_answer(turn, sender, message.header)


def on_stranger_ping(turn: Turn, link: Link, message: Ping | Meet) -> None:
    """A stranger gets an answer, so that it can find out who we are, and no more."""
    learn_own_address(turn, link, is_meet=isinstance(message, Meet))
    answer(turn, link, None)


def _learn(turn: Turn, sender: Node, message: Heartbeat) -> None:
    header = message.header
    nofailover = header.flags & NodeFlag.NOFAILOVER
    sender.flags = sender.flags & ~NodeFlag.NOFAILOVER | nofailover
    if header.message_flags & MessageFlag.EXT_DATA:
        sender.flags |= NodeFlag.EXTENSIONS_SUPPORTED
    else:
        sender.flags &= ~NodeFlag.EXTENSIONS_SUPPORTED
    _learn_topology(turn, sender, header)
    if turn.state.withheld:
        open_slots.settle(turn, sender, header)
    nodes, wall_offset_ms = turn.state.nodes, turn.state.wall_offset_ms
    for entry in message.gossip:
        node = nodes.get(entry.node_id)
        if node is None or node.reports or (node.flags | entry.flags) & _UNUSUAL:
            _learn_entry(turn, sender, entry)
        elif node.ping_sent_at is None:
            # In a big cluster heartbeats hold many entries, of which few are news.
            known_at = node.pong_received_at
            if known_at is None or entry.pong_received_s * 1000 - wall_offset_ms > known_at:
                _learn_pong(turn, node, entry)
    _learn_extensions(turn, sender, message)
    # It may have become known by now who our primary's primary is.
    leave_sub_replication(turn)


def _learn_topology(turn: Turn, sender: Node, header: Header) -> None:
    late = header.current_epoch < sender.seen_current_epoch
    sender.seen_current_epoch = max(header.current_epoch, sender.seen_current_epoch)
    if late and not turn.config.bugs.trust_late_packets:
        turn.tell(LateHeartbeat(sender.node_id, header.current_epoch))
        return
    state = turn.state
    had_slots = bool(sender.mask)
    learn_role(turn, sender, header.replica_of)
    primary = state.shard_primary(sender)
    # A primary that steps down shows what its new primary owns: take it as an UPDATE about that
    # one, or its slots would be without an owner until the new one's next ping.
    steps_down = sender.is_replica and had_slots and primary is not state.myself
    if steps_down and primary is not None and primary.is_primary:
        if header.config_epoch >= primary.config_epoch:
            _claim(turn, primary, header)
        return
    # While claims have stopped, one that comes again must be noted, though it changes no owner.
    has_marks = state.not_claimed and not turn.config.bugs.keep_unclaimed_mark
    is_known = primary is None or (header.slots == primary.slots and not has_marks)
    if is_known:
        if sender.is_primary:
            _raise_config_epoch(turn, sender, header)
    else:
        if sender.is_primary:
            was_voter = state.is_voter(sender)
            _claim(turn, sender, header)
            if not was_voter and state.is_voter(sender):
                failure.on_new_voter(turn, sender)
        tell_newer_owners(turn, sender, header.config_epoch, header.slots)
    if sender.is_primary and header.config_epoch == state.myself.config_epoch:
        epochs.on_collision(turn, sender)


def _claim(turn: Turn, claimer: Node, header: Header) -> None:
    _raise_config_epoch(turn, claimer, header)
    on_claim(turn, claimer, header.config_epoch, header.slots)


def _raise_config_epoch(turn: Turn, node: Node, header: Header) -> None:
    if header.config_epoch > node.config_epoch:
        node.config_epoch = header.config_epoch
        epochs.raise_current(turn, header.config_epoch)
        turn.save(sync=True)


def _learn_entry(turn: Turn, sender: Node, entry: GossipEntry) -> None:
    state = turn.state
    node = state.maybe_member(entry.node_id)
    if node is None:
        if entry.node_id not in state.nodes:
            learn_node(turn, entry, sender)
        return
    if node is state.myself:
        return
    is_failing = bool(entry.flags & (NodeFlag.PFAIL | NodeFlag.FAIL))
    failure.on_report(turn, node, sender, is_failing=is_failing)
    if is_failing:
        return
    if node.ping_sent_at is None and not failure.is_reported(turn, node):
        _learn_pong(turn, node, entry)
    _learn_address(turn, node, entry)


def _learn_pong(turn: Turn, node: Node, entry: GossipEntry) -> None:
    """Who has answered somebody else lately need not be pinged by us now."""
    if entry.pong_received_s:
        pong_at = entry.pong_received_s * 1000 - turn.state.wall_offset_ms
        if (node.pong_received_at or 0) < pong_at <= turn.now + CLOCK_TOLERANCE_MS:
            node.pong_received_at = min(pong_at, turn.now)


def _learn_address(turn: Turn, node: Node, entry: GossipEntry) -> None:
    """A member that we cannot reach, but others can, has moved."""
    if entry.flags & NodeFlag.NOADDR or not entry.ip:
        return
    if not node.is_failing and not node.flags & NodeFlag.NOADDR:
        return
    if (node.ip, node.port, node.pport, node.cport) != (
        entry.ip,
        entry.port,
        entry.pport,
        entry.cport,
    ):
        # Hearsay may be as old as what we know: if it goes to and fro, we go on with patience.
        failures = node.connect_failures
        turn.move_node(node, entry.ip, (entry.port, entry.pport, entry.cport))
        node.connect_failures = failures


def _learn_extensions(turn: Turn, sender: Node, message: Heartbeat) -> None:
    if not message.extensions and message.header.message_flags & MessageFlag.EXT_DATA:
        # It does not know yet that we understand them.
        return
    names = {Hostname: "", HumanNodename: ""}
    shard_id = ""
    for extension in message.extensions:
        if isinstance(extension, Hostname | HumanNodename):
            names[type(extension)] = extension.name
        elif isinstance(extension, ShardId):
            shard_id = extension.shard_id
        elif isinstance(extension, ForgottenNode):
            _learn_forgotten(turn, sender, extension)
    if (sender.hostname, sender.human_nodename) != (names[Hostname], names[HumanNodename]):
        sender.hostname, sender.human_nodename = names[Hostname], names[HumanNodename]
        turn.save()
    primary = turn.state.shard_primary(sender)
    if not shard_id and primary is not None:
        shard_id = primary.shard_id
    set_shard(turn, sender, shard_id)


def _learn_forgotten(turn: Turn, sender: Node, extension: ForgottenNode) -> None:
    state = turn.state
    node = state.maybe_member(extension.node_id)
    if node is None or node is state.myself or node is sender or extension.ttl_s == 0:
        return
    if node.node_id == state.myself.replica_of or is_banned(turn, node.node_id):
        return
    # No longer than an operator's own order, whatever the peer says.
    forget_node(turn, node, by=sender.node_id, ban_ms=min(extension.ttl_s * 1000, 60_000))
