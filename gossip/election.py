"""How a replica takes over from a failing primary: the candidate's side.

Owns `state.election`. Rules:

* We stand when our primary has failed and still owns slots, or an operator asked (manual failover).
* Rank is the number of siblings with more data (equal data: with a smaller id); each rank waits
  longer. Candidates of several shards queue up too, by shard id, since an epoch elects one only.
* With no sibling ahead, and all of them calling the primary failing, we need not wait at all: the
  request follows a FAIL message on the same links, so no voter can think the primary up.
* Votes are awaited max(2T, 2 s); the next attempt comes max(4T, 4 s) after the last. If another
  shard's election has overtaken our epoch, its voters cannot vote for us any more, and we try again
  at once, in a new epoch; so we do if its candidate asked in our own epoch and split the votes.
  A sibling that asks first is given time for that.
* Nobody stands, or takes what he has won, while his data makes room for his primary's: he would
  be the primary of whatever half of it has come.
* The new epoch is on disk before the request leaves, and the win before it is told.

    idle --primary FAIL--> scheduled --delay--> asking --majority--> primary
     ^                         |                  |
     +---- primary back, rival won, role changed, no votes ----------+
"""

from typing import Final

from . import open_slots
from .attempts import end_election, timeout_ms
from .epochs import greatest, spend_vote
from .events import (
    ElectionDelayed,
    ElectionEnded,
    ElectionHastened,
    ElectionScheduled,
    ElectionWon,
    FailoverNotStarted,
    VoteNotCounted,
    VoteReceived,
    VotesAsked,
)
from .messages import Fail, FailoverAuthAck, FailoverAuthRequest, MessageFlag, NodeFlag
from .packets import broadcast_pong, send_pong
from .reasons import (
    ElectionEnd,
    NotStarted,
    RoleReason,
    VoteIgnored,
)
from .roles import become_primary
from .state import Node
from .turn import Turn
from .undertakings import Election

MIN_STEP_MS: Final = 50
MAX_STEP_MS: Final = 500
SHARD_STEP_MS: Final = 100
"""For each shard ahead of ours; less as soon as that one has its new primary."""
SIBLING_STEPS: Final = 5
"""For a sibling that asks before us: a second attempt, if it was overtaken, begins after 2 to 4."""
NO_DATA_DELAY_MS: Final = 500
MAX_EARLY_RETRIES: Final = 20


def on_tick(turn: Turn) -> None:
    """Goes one step forward, if there is anything to do."""
    state = turn.state
    manual = state.manual is not None and state.manual.can_start
    primary = state.primary_of(state.myself)
    if primary is None or not _is_wanted(turn, primary, manual=manual):
        state.not_started_reason = None
        return
    has_asked = state.election is not None and state.election.epoch is not None
    reason = None
    if not turn.local.is_whole():
        # Votes that are there already will do, when the data is.
        reason = NotStarted.HALF_DATA
    elif not (manual or has_asked):
        reason = _maybe_not_started(turn, primary)
    if reason is not None:
        if reason is not state.not_started_reason:
            turn.tell(FailoverNotStarted(reason))
        state.not_started_reason = reason
        return
    state.not_started_reason = None
    if state.election is None:
        _schedule(turn, primary, manual=manual)
    election = state.election
    if election is None:
        return
    if election.epoch is None:
        _update_ranks(turn, election, primary)
        if turn.now >= election.starts_at:
            _ask_for_votes(turn, election, primary)
    elif len(election.votes) >= state.quorum:
        _win(turn, election)
    else:
        _consider_giving_up(turn, election)


def _is_wanted(turn: Turn, primary: Node, *, manual: bool) -> bool:
    """Whether there is a reason for an election; ends one that has lost its reason."""
    bugs = turn.config.bugs
    if turn.state.election is not None and bugs.ignore_rival_win:
        return turn.state.myself.is_replica
    if not primary.mask:
        end_election(turn, ElectionEnd.RIVAL_WON)
        return False
    if not primary.is_found_failed and not manual:
        end_election(turn, ElectionEnd.PRIMARY_RETURNED)
        return False
    return True


def _maybe_not_started(turn: Turn, primary: Node) -> NotStarted | None:
    config, state = turn.config, turn.state
    if config.replica_no_failover:
        return NotStarted.NO_FAILOVER
    silence_ms = turn.local.primary_silence_ms()
    if config.replica_validity_factor:
        limit_ms = config.replica_ping_period_s * 1000
        limit_ms += config.node_timeout_ms * (config.replica_validity_factor + 1)
        if silence_ms is None or silence_ms > limit_ms:
            return NotStarted.DATA_TOO_OLD
    is_empty = turn.local.offset() == 0 and not config.bugs.elect_without_data
    if is_empty and any(sibling.offset > 0 for sibling in live_siblings(turn, primary)):
        return NotStarted.NO_DATA
    if not state.has_majority:
        return NotStarted.NO_MAJORITY
    if state.election is None and state.retry_at is not None and turn.now < state.retry_at:
        return NotStarted.RETRY_LATER
    return None


def live_siblings(turn: Turn, primary: Node) -> list[Node]:
    """The other replicas of our primary that could stand for election."""
    return [
        node
        for node in turn.state.replicas_of(primary)
        if node is not turn.state.myself
        and not node.is_failing
        and not node.flags & NodeFlag.NOFAILOVER
    ]


# ---- when to start -------------------------------------------------------------------------------


def step_ms(turn: Turn) -> int:
    """The unit of all delays: long enough for an election before the next one."""
    return min(max(turn.config.node_timeout_ms // 10, MIN_STEP_MS), MAX_STEP_MS)


def rank_of(turn: Turn, primary: Node) -> int:
    """How many siblings are better than we are."""
    mine, my_id = turn.local.offset(), turn.state.myself.node_id
    rank = 0
    for sibling in live_siblings(turn, primary):
        if sibling.offset > mine:
            rank += 1
        elif sibling.offset == mine and sibling.node_id < my_id:
            rank += not turn.config.bugs.rank_without_id
    return rank


def failed_rank_of(turn: Turn, primary: Node) -> int:
    """How many other shards need an election too, and come before ours."""
    with_replicas = {node.replica_of for node in turn.state.nodes.values()}
    return sum(
        owner.is_failing and owner.shard_id < primary.shard_id and owner.node_id in with_replicas
        for owner in turn.state.owners.values()
        if owner is not primary
    )


def _schedule(turn: Turn, primary: Node, *, manual: bool) -> None:
    state, now = turn.state, turn.now
    if manual:
        state.election = Election(now, 0, 0, is_manual=True)
        turn.tell(ElectionScheduled(0, 0, 0))
        return
    step = step_ms(turn)
    rank, failed_rank = rank_of(turn, primary), failed_rank_of(turn, primary)
    if live_siblings(turn, primary):
        delay_ms = step + turn.rng.randrange(step) + 2 * step * rank
    else:
        delay_ms = 0
    delay_ms += SHARD_STEP_MS * failed_rank
    if turn.local.offset() == 0 and (primary.offset > 0 or primary.data_received_at is None):
        # Somebody may come back who has what we lack. (A primary without data leaves nothing.)
        delay_ms += NO_DATA_DELAY_MS
    state.election = Election(now + delay_ms, rank, failed_rank, is_manual=False)
    turn.tell(ElectionScheduled(delay_ms, rank, failed_rank))
    # The siblings learn how much data we have, and that we call the primary failing.
    for sibling in live_siblings(turn, primary):
        send_pong(turn, sibling, primary)


def _update_ranks(turn: Turn, election: Election, primary: Node) -> None:
    """Waits longer if others turn out to be ahead, and no longer if nobody can be."""
    if election.is_manual:
        return
    step = step_ms(turn)
    rank, failed_rank = rank_of(turn, primary), failed_rank_of(turn, primary)
    added_ms = 2 * step * max(0, rank - election.rank)
    added_ms += SHARD_STEP_MS * max(0, failed_rank - election.failed_rank)
    election.rank = max(rank, election.rank)
    election.failed_rank = max(failed_rank, election.failed_rank)
    if added_ms:
        election.starts_at += added_ms
        turn.tell(ElectionDelayed(added_ms, election.rank, election.failed_rank))
    if turn.now >= election.starts_at or rank or failed_rank:
        return
    siblings = live_siblings(turn, primary)
    # Whoever reports our primary has shown its offset with the same packet.
    if turn.local.offset() > 0 and all(s.node_id in primary.reports for s in siblings):
        election.starts_at = turn.now
        turn.tell(ElectionHastened())


# ---- asking and counting -------------------------------------------------------------------------


def _ask_for_votes(turn: Turn, election: Election, primary: Node) -> None:
    state = turn.state
    state.current_epoch = greatest(turn) + 1
    election.epoch, election.asked_at = state.current_epoch, turn.now
    election.has_rival = election.is_overtaken = False
    election.votes.clear()
    spend_vote(turn)
    turn.save(sync=True)
    flags = MessageFlag.FORCEACK if state.manual is not None else MessageFlag.NONE
    if primary.is_found_failed:
        turn.broadcast(Fail(turn.header(), primary.node_id))
    turn.broadcast(FailoverAuthRequest(turn.header(flags)))
    turn.tell(VotesAsked(election.epoch))


def on_rival(turn: Turn, candidate: Node, message: FailoverAuthRequest) -> None:
    """Another candidate asks for votes, which cannot be ours in the same epoch."""
    election, asked = turn.state.election, message.header.current_epoch
    if election is None:
        return
    if candidate.replica_of != turn.state.myself.replica_of:
        if election.epoch is not None:
            election.has_rival |= election.epoch == asked
            election.is_overtaken |= election.epoch < asked
    elif election.epoch is not None:
        election.is_overtaken &= election.epoch > asked
    elif not election.is_manual:
        # Whoever votes for it has no vote for us for a while: two would get half of them each.
        election.starts_at = max(election.starts_at, turn.now + SIBLING_STEPS * step_ms(turn))


def on_vote(turn: Turn, voter: Node, message: FailoverAuthAck) -> None:
    """Somebody voted for us."""
    state, election = turn.state, turn.state.election
    reason = None
    if election is None or election.epoch is None:
        reason = VoteIgnored.NO_ELECTION
    elif not state.is_voter(voter):
        reason = VoteIgnored.NOT_A_VOTER
    elif message.header.current_epoch != election.epoch and not turn.config.bugs.count_old_votes:
        reason = VoteIgnored.OTHER_EPOCH
    if reason is not None or election is None:
        turn.tell(VoteNotCounted(voter.node_id, reason or VoteIgnored.NO_ELECTION))
        return
    election.votes.add(voter.node_id)
    turn.tell(VoteReceived(voter.node_id, len(election.votes), state.quorum))
    on_tick(turn)


def _consider_giving_up(turn: Turn, election: Election) -> None:
    """Without a majority in time there will be none."""
    state, now = turn.state, turn.now
    waited_ms = now - election.asked_at
    epoch = election.epoch or 0
    # Another shard's replica may have won in this very epoch: its votes are not to be had again.
    is_lost = any(owner.config_epoch >= epoch for owner in state.owners.values())
    is_overtaken = election.is_overtaken
    is_overtaken |= (state.current_epoch > epoch or is_lost) and not _may_be_sibling(turn)
    may_retry = election.early_retries < MAX_EARLY_RETRIES and waited_ms >= 2 * step_ms(turn)
    if may_retry and (is_overtaken or election.has_rival):
        is_split = election.has_rival and not is_overtaken
        turn.tell(ElectionEnded(ElectionEnd.SPLIT if is_split else ElectionEnd.OVERTAKEN))
        election.epoch = None
        election.early_retries += 1
        election.starts_at = now + turn.rng.randrange(2 * step_ms(turn))
        # Both may find out at the same time: the later one in the queue leaves the other the lead.
        election.starts_at += SHARD_STEP_MS * election.failed_rank if is_split else 0
        return
    if waited_ms > 2 * timeout_ms(turn):
        # "Retry after max(4T, 4 s)", counted from when this attempt was to start.
        state.retry_at = election.starts_at + 4 * timeout_ms(turn)
        end_election(turn, ElectionEnd.NO_VOTES)


def _may_be_sibling(turn: Turn) -> bool:
    """Whether it may be a sibling that has overtaken us: then its voters will not have us."""
    primary = turn.state.primary_of(turn.state.myself)
    if primary is None or not live_siblings(turn, primary):
        return False
    return not any(o.is_failing for o in turn.state.owners.values() if o is not primary)


def _win(turn: Turn, election: Election) -> None:
    state = turn.state
    epoch = election.epoch or state.current_epoch
    state.myself.config_epoch = max(state.myself.config_epoch, epoch)
    turn.tell(ElectionWon(epoch))
    take_over(turn, RoleReason.ELECTED)


def take_over(turn: Turn, reason: RoleReason) -> None:
    """Becomes primary of all that our primary owned, and tells everybody."""
    state = turn.state
    former = state.primary_of(state.myself)
    mask = 0 if former is None else former.mask
    become_primary(turn, reason)
    if mask:
        turn.assign_slots(mask, state.myself)
    open_slots.inherit(turn)
    turn.save(sync=True)
    broadcast_pong(turn)
