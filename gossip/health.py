"""Whether the cluster serves queries, as this node sees it.

Owns the state ok / fail. Rules: it is ok if all slots are owned by nodes that have not failed (with
cluster-require-full-coverage), and a majority of the voters is reached. A primary waits before it
says ok: 2 s after a start, and clamp(timeout, 0.5 s, 5 s) after a time in a minority, so that it
can hear whether somebody else owns its slots by now; or until a majority has promised that this is
not so, and will not be (see `promises`). A voter that was stopped for longer than the timeout, or
has only just started, may have been replaced: it is as in a minority until a majority has answered
it since. (To suspect who is silent takes a timeout, and it would serve meanwhile.) What came over
its links while it was stopped is no such answer.
"""

from typing import Final

from . import links, promises
from .events import (
    HealthChanged,
)
from .outputs import ClusterStateChanged
from .reasons import (
    LinkLoss,
    UnhealthyReason,
)
from .state import ALL_SLOTS, ClusterState
from .turn import Turn

WRITABLE_DELAY_MS: Final = 2_000


def judge(turn: Turn) -> None:
    """Looks at the cluster anew."""
    state, now = turn.state, turn.now
    if state.first_judged_at is None:
        state.first_judged_at = now
        if state.is_voter(state.myself):
            state.returned_at = now
    reason = _maybe_reason(turn)
    was_in_minority = state.is_in_minority
    # Where nobody owns a slot, there is no majority to be cut off from.
    is_minority = reason is UnhealthyReason.MINORITY and bool(state.owners)
    state.is_in_minority = is_minority and not _is_starting(turn)
    if was_in_minority or state.is_in_minority:
        # It has lasted until now, even if it is over: we look at ticks and at news only.
        state.minority_at = now
    if state.is_in_minority:
        promises.on_minority(state)
    is_ok = reason is None
    if is_ok == state.is_ok or (is_ok and _has_just_started(turn)):
        return
    if is_ok and _must_rejoin_later(turn):
        promises.ask(turn)
        return
    if is_ok:
        promises.on_opened(state)
    state.is_ok = is_ok
    turn.tell(HealthChanged(is_ok, reason))
    turn.change(ClusterStateChanged(is_ok))


def serve_at_once(state: ClusterState, now: int) -> None:
    """The cluster is new: nobody can have taken our slots, so there is nothing to wait for."""
    state.first_judged_at = now - WRITABLE_DELAY_MS
    state.returned_at = state.minority_at = None
    state.is_in_minority = False


def on_return(turn: Turn, away_ms: int) -> None:
    """We were stopped for a while: first we have to know what others did meanwhile.

    The answers that lie in our links were given before they did it, perhaps: we ask over new ones.
    """
    state = turn.state
    if away_ms <= turn.config.node_timeout_ms or not state.is_voter(state.myself):
        return
    state.returned_at = turn.now
    promises.on_minority(state)
    turn.must_judge = True
    for owner in list(state.owners.values()):
        if owner.is_linked:
            turn.close_link(owner.link, LinkLoss.STALE)
            state.await_answer(owner, turn.now)
            links.maybe_connect(turn, owner)


def _is_unheard(turn: Turn) -> bool:
    """Whether a majority has still to answer since we are back."""
    state = turn.state
    if not state.is_voter(state.myself):
        state.returned_at = None
    since = state.returned_at
    if since is None:
        return False
    heard = sum(
        owner is state.myself or (owner.pong_received_at or 0) > since
        for owner in state.owners.values()
    )
    if heard >= state.quorum:
        state.returned_at = None
    return heard < state.quorum


def _is_starting(turn: Turn) -> bool:
    """Whether nobody has answered since nobody can have: it is no minority to wait after."""
    state = turn.state
    since = state.returned_at
    if since is None or since != state.first_judged_at:
        return False
    return state.has_majority and turn.now - since < WRITABLE_DELAY_MS


def _maybe_reason(turn: Turn) -> UnhealthyReason | None:
    state = turn.state
    if not state.has_majority or _is_unheard(turn):
        return UnhealthyReason.MINORITY
    if turn.config.require_full_coverage:
        if state.assigned != ALL_SLOTS:
            return UnhealthyReason.UNASSIGNED_SLOTS
        if any(owner.is_failed for owner in state.owners.values()):
            return UnhealthyReason.FAILED_SLOTS
    return None


def _has_just_started(turn: Turn) -> bool:
    state, now = turn.state, turn.now
    started = now if state.first_judged_at is None else state.first_judged_at
    return state.myself.is_primary and now - started < WRITABLE_DELAY_MS


def _must_rejoin_later(turn: Turn) -> bool:
    state = turn.state
    if not state.myself.is_primary or state.minority_at is None or turn.config.bugs.rejoin_at_once:
        return False
    if turn.now - state.minority_at >= promises.rejoin_delay_ms(turn.config):
        return False
    return not promises.are_enough(turn)
