"""How a voter answers a replica that asks for its vote.

Owns `last_vote_epoch`. Rules, each an early return with its reason: only voters vote; once an
epoch; for a replica whose primary has failed (or which an operator sent: FORCEACK); not for
another replica of the same primary within twice the timeout, so that two cannot win one after the
other; only if none of the claimed slots has an owner with a greater epoch, or one whom we have
promised not to (see `promises`): such a candidate is looked at again when the promise has ended.
The vote is on disk before it leaves.

Beyond Redis: a candidate with a stale view is told what it missed; one without data does not get a
vote while a sibling has some; a voter in a minority keeps its vote.
"""

from . import promises
from .attempts import timeout_ms
from .claims import tell_newer_owners
from .events import (
    VoteGranted,
    VoteRefused,
)
from .messages import FailoverAuthAck, FailoverAuthRequest, MessageFlag, NodeFlag
from .reasons import (
    VoteRefusal,
)
from .state import Link, Node, mask_of
from .turn import Turn


def on_request(turn: Turn, link: Link, candidate: Node, message: FailoverAuthRequest) -> None:
    """A replica asks for our vote."""
    state, bugs = turn.state, turn.config.bugs
    refusal = _maybe_refusal(turn, candidate, message)
    if refusal is not None:
        turn.tell(VoteRefused(candidate.node_id, refusal))
        if refusal is VoteRefusal.PROMISED:
            state.deferred[candidate.node_id] = (turn.now, message)
        if refusal is VoteRefusal.STALE_SLOTS and not bugs.no_update_on_refusal:
            header = message.header
            tell_newer_owners(turn, candidate, header.config_epoch, header.slots, link)
        return
    primary = state.primary_of(candidate)
    state.last_vote_epoch = state.current_epoch
    if primary is not None:
        primary.voted_at, primary.voted_for = turn.now, candidate.node_id
    promises.note_vote(turn, mask_of(message.header.slots))
    turn.save(sync=True)
    turn.is_unsaved = bugs.vote_before_sync
    turn.tell(VoteGranted(candidate.node_id, state.current_epoch))
    turn.send_on(link, FailoverAuthAck(turn.header()))


def on_tick(turn: Turn) -> None:
    """Comes back to the candidates against whom only a promise stood."""
    state = turn.state
    if not state.is_voter(state.myself):
        state.voter_since = None
    elif state.voter_since is None:
        state.voter_since = turn.now
    for candidate_id, (asked_at, message) in list(state.deferred.items()):
        is_over = turn.now - asked_at > 2 * timeout_ms(turn)
        if not is_over and promises.is_bound(turn, mask_of(message.header.slots)):
            continue
        del state.deferred[candidate_id]
        if is_over:
            # It does not count votes any more.
            continue
        candidate = state.maybe_member(candidate_id)
        link = None if candidate is None else candidate.inbound or candidate.link
        if candidate is not None and link is not None and link.is_up:
            on_request(turn, link, candidate, message)


def _maybe_refusal(turn: Turn, candidate: Node, message: FailoverAuthRequest) -> VoteRefusal | None:
    state, header, bugs = turn.state, message.header, turn.config.bugs
    if not state.is_voter(state.myself):
        return VoteRefusal.NOT_A_VOTER
    # A greater epoch cannot be: ours was raised when the request came in.
    if header.current_epoch < state.current_epoch:
        return VoteRefusal.OLD_EPOCH
    if state.last_vote_epoch >= state.current_epoch and not bugs.vote_twice:
        return VoteRefusal.ALREADY_VOTED
    if not candidate.is_replica:
        return VoteRefusal.NOT_A_REPLICA
    primary = state.primary_of(candidate)
    if primary is None:
        return VoteRefusal.UNKNOWN_PRIMARY
    is_manual = bool(header.message_flags & MessageFlag.FORCEACK)
    if not primary.is_found_failed and not is_manual:
        return VoteRefusal.PRIMARY_UP
    if not is_manual and _voted_for_rival(turn, primary, candidate) and not bugs.vote_twice:
        return VoteRefusal.VOTED_RECENTLY
    if _is_stale(turn, header.slots, header.config_epoch):
        return VoteRefusal.STALE_SLOTS
    if not state.has_majority:
        return VoteRefusal.NO_MAJORITY
    is_empty = header.offset == 0 and not is_manual and not bugs.elect_without_data
    if is_empty and any(_is_better(node, candidate) for node in state.replicas_of(primary)):
        return VoteRefusal.NO_DATA
    if not is_manual and promises.is_bound(turn, mask_of(header.slots)):
        return VoteRefusal.PROMISED
    return None


def _voted_for_rival(turn: Turn, primary: Node, candidate: Node) -> bool:
    if primary.voted_at is None or primary.voted_for == candidate.node_id:
        return False
    return turn.now - primary.voted_at < 2 * turn.config.node_timeout_ms


def _is_stale(turn: Turn, slots: bytes, config_epoch: int) -> bool:
    """Whether a claimed slot has an owner with a greater epoch, who still claims it."""
    claimed = mask_of(slots) & ~turn.state.not_claimed
    return any(
        owner.mask & claimed and owner.config_epoch > config_epoch
        for owner in turn.state.owners.values()
    )


def _is_better(sibling: Node, candidate: Node) -> bool:
    if sibling is candidate or sibling.is_failing or sibling.flags & NodeFlag.NOFAILOVER:
        return False
    return sibling.offset > 0
