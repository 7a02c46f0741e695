"""How an operator has a replica take over while the primary lives, without losing a write.

Owns `state.manual` on both sides. Rules: the replica asks (MFSTART); the primary holds its
clients, then shows its offset in packets marked PAUSED, to this replica only; the replica waits
until it has got as far, then elects itself with FORCEACK. One replica at a time. All of it ends
after 5 s at the replica, a little later at the primary, which lets its clients go on as soon as
it hears of the new owner. FORCE skips the asking, TAKEOVER the election too.

    replica:  idle --FAILOVER--> waiting --PAUSED--> catching up --reached--> electing --> idle
    primary:  idle --MFSTART--> paused --new owner, or time--> idle
"""

from typing import Final

from .attempts import end_election, end_manual_failover
from .election import on_tick as elect
from .election import take_over
from .epochs import take_next
from .events import (
    ManualFailoverRefused,
    ManualFailoverStarted,
    MessageDropped,
    OffsetReached,
    PausedOffsetReceived,
)
from .messages import Header, MessageFlag, MfStart
from .outputs import PauseWrites
from .packets import send_ping, send_pong
from .reasons import (
    DropReason,
    ElectionEnd,
    ManualEnd,
    RoleReason,
)
from .state import Node
from .turn import Turn
from .undertakings import ManualFailover

TIMEOUT_MS: Final = 5_000
PRIMARY_MARGIN_MS: Final = 500
"""The primary waits longer, as a win in the last moment needs time to be heard."""


def start(turn: Turn, *, force: bool) -> None:
    """At a replica: an operator wants it to take over."""
    state = turn.state
    end_manual_failover(turn, ManualEnd.REPLACED)
    # An automatic attempt before must not delay this one.
    end_election(turn, ElectionEnd.SUPERSEDED)
    state.retry_at = None
    state.manual = ManualFailover(turn.now + TIMEOUT_MS, can_start=force)
    turn.tell(ManualFailoverStarted(state.myself.node_id))
    primary = state.primary_of(state.myself)
    if force:
        elect(turn)
    elif primary is not None:
        turn.send_to(primary, MfStart(turn.header()))


def take_over_now(turn: Turn) -> None:
    """At a replica: an operator takes the responsibility that a vote would have."""
    end_election(turn, ElectionEnd.SUPERSEDED)
    take_next(turn)
    take_over(turn, RoleReason.TAKEOVER)


def on_request(turn: Turn, replica: Node) -> None:
    """At a primary: one of its replicas asks it to hold its clients."""
    state = turn.state
    if replica.replica_of != state.myself.node_id:
        turn.tell(MessageDropped(replica.node_id, DropReason.NOT_MY_REPLICA))
        return
    has_rival = state.manual is not None and state.manual.replica_id != replica.node_id
    if has_rival and not turn.config.bugs.two_manual_failovers:
        turn.tell(ManualFailoverRefused(replica.node_id))
        return
    ends_at = turn.now + TIMEOUT_MS + PRIMARY_MARGIN_MS
    state.manual = ManualFailover(ends_at, replica_id=replica.node_id)
    turn.tell(ManualFailoverStarted(replica.node_id))
    turn.change(PauseWrites(ends_at))
    _show_offset(turn, replica)


def note_paused(turn: Turn, sender: Node, header: Header) -> None:
    """At a replica: the primary shows where it stands still."""
    state, manual = turn.state, turn.state.manual
    if manual is None or not header.message_flags & MessageFlag.PAUSED:
        return
    if manual.primary_offset is None and sender.node_id == state.myself.replica_of:
        manual.primary_offset = header.offset
        turn.tell(PausedOffsetReceived(header.offset))
        on_progress(turn)


def on_progress(turn: Turn) -> None:
    """At a replica: begins the election as soon as we have all that the primary wrote."""
    manual = turn.state.manual
    if manual is None or manual.can_start or manual.primary_offset is None:
        return
    if turn.local.offset() >= manual.primary_offset:
        manual.can_start = True
        turn.tell(OffsetReached(manual.primary_offset))
        elect(turn)


def on_tick(turn: Turn) -> None:
    """Ends what takes too long; the primary keeps showing its offset."""
    state, manual = turn.state, turn.state.manual
    if manual is None:
        return
    if turn.now > manual.ends_at:
        end_manual_failover(turn, ManualEnd.TIMEOUT)
        return
    if manual.replica_id is None:
        on_progress(turn)
    else:
        replica = state.nodes.get(manual.replica_id)
        if replica is not None:
            _show_offset(turn, replica)


def _show_offset(turn: Turn, replica: Node) -> None:
    if replica.is_linked:
        send_ping(turn, replica)
    else:
        send_pong(turn, replica)
