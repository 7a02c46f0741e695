"""The brain of a node on the cluster bus: `step`, `tick` and `command` in, `Outputs` out.

Owns the dispatch of inputs and the order of the timers. Rules: no clock, no I/O, no randomness of
its own; whatever happens, the invariants hold after every step (`check_all` for all of them; the
cheap ones always). Who acts on the `Outputs` must keep their order, see `outputs`.
"""

from collections.abc import Callable
from typing import Final, TypeAlias, cast

from . import (
    claims,
    election,
    epochs,
    failure,
    handshake,
    health,
    heartbeat,
    links,
    manual_failover,
    replica_migration,
    roles,
    voting,
)
from .command_handlers import run_command
from .commands import Answer, Request
from .config import Config
from .events import (
    MessageDropped,
)
from .inputs import (
    ConfigChanged,
    DataSeen,
    Input,
    LinkAccepted,
    LinkClosed,
    LinkEstablished,
    LinkFailed,
    LocalData,
    MessageReceived,
    ReplicationProgressed,
    Rng,
    WallClockChanged,
)
from .messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Header,
    Heartbeat,
    Ignored,
    Meet,
    Message,
    MfStart,
    Ping,
    Pong,
    Publish,
    Update,
    message_type,
)
from .nodes_conf import StoredCluster
from .outputs import DeliverPublish, Outputs, SlotsMoved
from .packets import answer, broadcast_pong
from .reasons import (
    DropReason,
    LinkLoss,
)
from .state import BrokenInvariant, Link, Node
from .storage import loaded_state, new_state, stored_cluster, take_config
from .turn import Turn

TICK_MS: Final = 100
"""How often `tick` is to be called."""
AWAY_MS: Final = 5 * TICK_MS
"""Without a step for so long (and half the timeout) we were stopped, or busy, and heard nobody."""


class GossipCore:
    """One node's view of the cluster, and all its decisions."""

    def __init__(
        self,
        config: Config,
        rng: Rng,
        local: LocalData,
        now: int,
        *,
        stored: StoredCluster | None = None,
        wall_offset_ms: int = 0,
        check_all: bool = False,
    ) -> None:
        self.config = config
        self.check_all = check_all
        """Whether all invariants are checked after each step, or the cheap ones only."""
        self._rng = rng
        self._local = local
        self._last_now = now
        if stored is None:
            self.state = new_state(config, rng, now, wall_offset_ms)
        else:
            self.state = loaded_state(stored, config, rng, now, wall_offset_ms)

    @property
    def node_id(self) -> str:
        """Our id."""
        return self.state.myself.node_id

    def own_offset(self) -> int:
        """Our replication offset at this moment."""
        return self._local.offset()

    def stored(self) -> StoredCluster:
        """What should be on disk now; a new node writes it before it starts."""
        return stored_cluster(self.state)

    def start(self, now: int) -> Outputs:
        """To be called once, before all else: tells the node what it was before it stopped."""
        turn = self._turn(now)
        for owner in self.state.owners.values():
            turn.change(SlotsMoved(owner.slots, owner.node_id))
        turn.tell_marks()
        _follow_primary(turn)
        turn.save(sync=True)
        return self._finish(turn)

    def step(self, event: Input, now: int) -> Outputs:
        """Takes in what happened."""
        turn = self._turn(now)
        _ON_INPUT[type(event)](turn, event)
        self.config = turn.config
        return self._finish(turn, may_save_later=True)

    def tick(self, now: int) -> Outputs:
        """Takes in that time has passed; to be called every 100 ms."""
        turn = self._turn(now)
        turn.state.ticks += 1
        if turn.state.save_is_due:
            turn.save(sync=turn.state.sync_is_due)
        for timer in TIMERS:
            timer(turn)
        return self._finish(turn)

    def keep_alive(self, now: int) -> Outputs:
        """In the middle of something long: shows all that we live, and decides nothing.

        Nothing was heard meanwhile, which is held against nobody, as nothing was listened to.
        """
        turn = Turn(self.state, self.config, self._rng, self._local, now)
        failure.excuse_silence(turn, now - self._last_now)
        self._last_now = now
        broadcast_pong(turn)
        return self._finish(turn)

    def command(self, request: Request, now: int) -> tuple[Answer, Outputs]:
        """Carries out what an operator asks for."""
        turn = self._turn(now)
        result = run_command(turn, request)
        return result, self._finish(turn)

    def _turn(self, now: int) -> Turn:
        if now < self._last_now:
            raise BrokenInvariant("the monotonic clock went back")
        away_ms, self._last_now = now - self._last_now, now
        turn = Turn(self.state, self.config, self._rng, self._local, now)
        if away_ms > max(AWAY_MS, self.config.node_timeout_ms // 2):
            failure.on_return(turn, away_ms)
            health.on_return(turn, away_ms)
        return turn

    def _finish(self, turn: Turn, *, may_save_later: bool = False) -> Outputs:
        if turn.must_elect:
            election.on_tick(turn)
        if turn.must_announce:
            broadcast_pong(turn)
        if turn.must_judge:
            health.judge(turn)
        if self.check_all:
            self.state.invariants()
        else:
            self.state.invariants_cheap()
        state = self.state
        if state.sync_is_due and turn.sends:
            turn.save(sync=True)
        elif may_save_later and turn.must_save and _may_wait(turn):
            state.save_is_due = True
            state.sync_is_due = state.sync_is_due or turn.must_sync
            turn.must_save = False
        return turn.outputs()


def _may_wait(turn: Turn) -> bool:
    """Whether nodes.conf need not be written yet, as nothing that is new is revealed.

    In a big cluster news come in by the hundred, and each file is of all nodes.
    """
    return not turn.must_sync or not (turn.sends or turn.changes)


# ---- timers --------------------------------------------------------------------------------------


def _judge_if_down(turn: Turn) -> None:
    turn.must_judge = turn.must_judge or not turn.state.is_ok


def _follow_primary(turn: Turn) -> None:
    state = turn.state
    if not state.myself.is_replica:
        return
    roles.leave_sub_replication(turn)
    primary = state.primary_of(state.myself)
    # After a start, and whenever the address was not known at first.
    if primary is not None and state.replicating_from != primary.node_id:
        turn.replicate_from(primary)


TIMERS: Final[tuple[Callable[[Turn], None], ...]] = (
    heartbeat.on_tick,
    failure.on_tick,
    _follow_primary,
    manual_failover.on_tick,
    election.on_tick,
    voting.on_tick,
    replica_migration.on_tick,
    _judge_if_down,
)
"""What is done every 100 ms, in this order."""


# ---- inputs --------------------------------------------------------------------------------------


def _on_message(turn: Turn, event: MessageReceived) -> None:
    message = event.message
    link = turn.state.links.get(event.link_id)
    header = message.header
    claimed = None if header is None else header.sender
    if link is None:
        turn.tell(MessageDropped(claimed, DropReason.UNKNOWN_LINK))
        return
    if links.is_stale(turn, link):
        turn.tell(MessageDropped(claimed, DropReason.STALE_LINK))
        return
    turn.state.count(turn.state.received_counts, message_type(message))
    if message_type(message) in turn.state.dropped_types:
        turn.tell(MessageDropped(claimed, DropReason.FILTERED))
        if turn.state.closes_on_drop:
            turn.close_link(link, LinkLoss.KILLED)
        return
    link.data_at = turn.now
    sender = _maybe_sender(turn, link, message, header)
    if sender is not None:
        links.note_life(turn, sender, link)
        if header is not None:
            _note_header(turn, sender, header)
        _ON_MESSAGE[type(message)](turn, link, sender, message)


def _maybe_sender(turn: Turn, link: Link, message: Message, header: Header | None) -> Node | None:
    """The member that a message comes from; strangers are dealt with here."""
    state, node = turn.state, link.node
    if header is None:
        if node is None or node.in_handshake:
            turn.tell(MessageDropped(None, DropReason.UNKNOWN_SENDER))
            return None
        return node
    if max(header.current_epoch, header.config_epoch) > epochs.MAX_SANE_EPOCH:
        turn.tell(MessageDropped(header.sender, DropReason.ABSURD_EPOCH))
        return None
    if node is not None and node.in_handshake:
        if isinstance(message, Heartbeat):
            return handshake.on_handshake_answer(turn, node, link, message)
        turn.tell(MessageDropped(header.sender, DropReason.UNKNOWN_SENDER))
        return None
    if header.sender == state.myself.node_id:
        turn.tell(MessageDropped(header.sender, DropReason.OWN_MESSAGE))
        if isinstance(message, Ping | Meet):
            # Somebody had us meet our own address: the other end has to find out.
            answer(turn, link, None)
        if not link.is_inbound and node is not None:
            # We live where that member used to: it is not to be had at this address.
            handshake.on_wrong_identity(turn, node, header.sender)
        return None
    if not link.is_inbound and node is not None:
        if header.sender == node.node_id or turn.config.bugs.trust_wrong_identity:
            return node
        turn.tell(MessageDropped(header.sender, DropReason.WRONG_IDENTITY))
        handshake.on_wrong_identity(turn, node, header.sender)
        return None
    sender = state.maybe_member(header.sender)
    if sender is not None:
        links.note_inbound(turn, sender, link)
        return sender
    _on_stranger(turn, link, message, header)
    return None


def _on_stranger(turn: Turn, link: Link, message: Message, header: Header) -> None:
    if isinstance(message, Meet):
        handshake.on_meet_of_stranger(turn, link, message)
    if isinstance(message, Ping | Meet):
        heartbeat.on_stranger_ping(turn, link, message)
    else:
        turn.tell(MessageDropped(header.sender, DropReason.UNKNOWN_SENDER))


def _note_header(turn: Turn, sender: Node, header: Header) -> None:
    """What every header of a member tells: its epoch, and how far it is with the data."""
    epochs.raise_current(turn, header.current_epoch)
    if turn.config.bugs.raise_epoch_without_slots and header.config_epoch > sender.config_epoch:
        sender.config_epoch = header.config_epoch
    sender.says_ok = header.cluster_ok
    if header.replica_of == sender.replica_of:
        sender.offset = header.offset
    manual_failover.note_paused(turn, sender, header)


def _on_ping(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    heartbeat.on_ping(turn, link, sender, cast("Ping | Meet", message))


def _on_pong(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    heartbeat.on_pong(turn, link, sender, cast("Pong", message))


def _on_fail(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    failure.on_fail(turn, sender, cast("Fail", message))


def _on_publish(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    publish = cast("Publish", message)
    turn.change(DeliverPublish(publish.channel, publish.message, publish.sharded))


def _on_auth_request(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    request = cast("FailoverAuthRequest", message)
    election.on_rival(turn, sender, request)
    voting.on_request(turn, link, sender, request)


def _on_auth_ack(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    election.on_vote(turn, sender, cast("FailoverAuthAck", message))


def _on_mfstart(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    manual_failover.on_request(turn, sender)


def _on_update(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    claims.on_update(turn, sender, cast("Update", message))


def _on_ignored(turn: Turn, link: Link, sender: Node, message: Message) -> None:
    turn.tell(MessageDropped(sender.node_id, DropReason.UNKNOWN_TYPE))


_Handler: TypeAlias = Callable[[Turn, Link, Node, Message], None]

_ON_MESSAGE: Final[dict[type, _Handler]] = {
    Ping: _on_ping,
    Meet: _on_ping,
    Pong: _on_pong,
    Fail: _on_fail,
    Publish: _on_publish,
    FailoverAuthRequest: _on_auth_request,
    FailoverAuthAck: _on_auth_ack,
    MfStart: _on_mfstart,
    Update: _on_update,
    Ignored: _on_ignored,
}


def _on_progress(turn: Turn, event: ReplicationProgressed) -> None:
    manual_failover.on_progress(turn)


def _on_config(turn: Turn, event: ConfigChanged) -> None:
    turn.config = event.config
    take_config(turn.state, event.config)
    heartbeat.look_at_all(turn)
    turn.changed()


def _on_wall_clock(turn: Turn, event: WallClockChanged) -> None:
    turn.state.wall_offset_ms = event.offset_ms


_ON_INPUT: Final[dict[type, Callable[..., None]]] = {
    LinkAccepted: links.on_accepted,
    LinkEstablished: links.on_established,
    LinkFailed: links.on_failed,
    LinkClosed: links.on_closed,
    DataSeen: links.on_data,
    MessageReceived: _on_message,
    ReplicationProgressed: _on_progress,
    ConfigChanged: _on_config,
    WallClockChanged: _on_wall_clock,
}
