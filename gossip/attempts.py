"""How elections and manual failovers end.

Owns the two endings, apart from `election` and `manual_failover`, since a change of role ends both
whoever causes it. Rule: a primary that paused its clients lets them go on at every ending.
"""

from .events import (
    ElectionEnded,
    ManualFailoverEnded,
)
from .outputs import UnpauseWrites
from .reasons import (
    ElectionEnd,
    ManualEnd,
)
from .turn import Turn


def end_election(turn: Turn, reason: ElectionEnd) -> None:
    """Stops being a candidate; the next failure of a primary starts afresh."""
    state, bugs = turn.state, turn.config.bugs
    if bugs.ignore_rival_win and reason in (ElectionEnd.RIVAL_WON, ElectionEnd.ROLE_CHANGED):
        return
    if state.election is not None:
        turn.tell(ElectionEnded(reason))
        if bugs.keep_retry_timer:
            state.retry_at = state.election.starts_at + 4 * timeout_ms(turn)
    if reason is not ElectionEnd.NO_VOTES and not bugs.keep_retry_timer:
        state.retry_at = None
    state.election = None


def timeout_ms(turn: Turn) -> int:
    """The timeout that elections are measured by: at least a second."""
    return max(turn.config.node_timeout_ms, 1_000)


def end_manual_failover(turn: Turn, reason: ManualEnd) -> None:
    """Ends a manual failover, at the replica or at the primary."""
    manual = turn.state.manual
    if manual is None:
        return
    turn.state.manual = None
    if manual.replica_id is not None:
        turn.change(UnpauseWrites())
    turn.tell(ManualFailoverEnded(reason))
