"""How a primary that comes out of a minority serves at once: a majority promises to elect nobody.

Owns the question (`state.question`) and the promises (`voted_epoch`, `promised_at`, `has_promised`
of each node). A primary waits after a minority for W, `rejoin_delay_ms`, since somebody may have
won its slots, or may be about to. It need not if a majority of the voters, itself counted, says
that there is no such thing: its pings carry a question (`Header.asks`, a number that is new after
each minority), and the answers on the same link a promise (`Header.promises`, the same number).
Redis and Valkey leave both at 0: of them comes no promise, and the wait is what it was.

PROMISE. Whoever gives it has not voted, in any epoch beyond theirs, for another one to have the
asker's slots (a vote from before a restart may have been for anybody). It will not before W has
passed, nor after that before it has itself found the asker silent for a timeout. Whoever has been
a voter for less than W, perhaps since a start, is bound to all: it, or whose slots it has now, may
have promised. What an operator forces is not held up.

PROOF that nobody is elected in place of who serves, but for a silence that is new. Let m be when
the primary was in the minority last. It asks after m, with a new number; so each promise that bears
this number was given at some t > m, however late it comes. Whoever is elected has votes of a
majority of the voters, and any two majorities share a voter, who is not the asker, as nobody votes
against himself. That voter has voted
- before t: then, as it has promised, in no epoch that could take the slots from the asker; or
- after t + W, when the wait would have been over as well, having found the asker silent by then.
So nothing depends on who holds whom for failed, on what lies in cut links or in the sockets of
processes that stand still, or on when the answers come. It does depend on one node timeout and one
set of voters in all views, as elections do; slots that change hands without a vote take an epoch,
so with an epoch heard of that is newer than the minority we wait. After a restart only the first
half of the promise, W, is kept.
"""

from typing import Final

from .config import Config
from .events import (
    PromiseGiven,
)
from .failure import is_silent
from .messages import Header
from .packets import send_ping
from .state import ClusterState, Node
from .turn import Turn

MIN_REJOIN_DELAY_MS: Final = 500
MAX_REJOIN_DELAY_MS: Final = 5_000
MAX_QUESTION: Final = 255
ASK_AGAIN_MS: Final = 100
MAX_ASKED: Final = 24
"""With more voters than that the routine pings have to do, or there would be too many."""


def rejoin_delay_ms(config: Config) -> int:
    """How long a primary waits after a minority, and how long a promise lasts."""
    return min(max(config.node_timeout_ms, MIN_REJOIN_DELAY_MS), MAX_REJOIN_DELAY_MS)


# ---- the primary that asks -----------------------------------------------------------------------


def ask(turn: Turn) -> None:
    """Asks the voters that have not promised yet, again and again."""
    state, now = turn.state, turn.now
    if not state.is_voter(state.myself):
        return
    if not state.question:
        if state.question_count == MAX_QUESTION:
            state.question_count = 0
            for node in state.nodes.values():
                node.has_promised = 0
        state.question_count += 1
        state.question = state.question_count
    elif now - state.asked_at < ASK_AGAIN_MS:
        return
    state.asked_at = now
    if len(state.owners) > MAX_ASKED:
        return
    for owner in list(state.owners.values()):
        if owner is not state.myself and owner.has_promised != state.question:
            send_ping(turn, owner)


def on_minority(state: ClusterState) -> None:
    """We are (still) in a minority: promises from before, or on their way, are void."""
    state.question = 0
    if state.epoch_before is None:
        state.epoch_before = state.current_epoch


def on_opened(state: ClusterState) -> None:
    """We serve: there is nothing to ask any more."""
    state.question = 0
    state.epoch_before = None


def on_answer(turn: Turn, voter: Node, header: Header) -> None:
    """A voter may have promised."""
    question = turn.state.question
    if question and header.promises == question:
        voter.has_promised = question
        turn.must_judge = True


def are_enough(turn: Turn) -> bool:
    """Whether a majority has promised since we are back, and no election is known of."""
    state, trusts_old = turn.state, turn.config.bugs.trust_old_promises
    if not state.question or (state.current_epoch != state.epoch_before and not trusts_old):
        return False
    promised = sum(
        owner is state.myself
        or owner.has_promised == state.question
        or (trusts_old and owner.has_promised != 0)
        for owner in state.owners.values()
    )
    return promised >= state.quorum


# ---- the voter -----------------------------------------------------------------------------------


def on_question(turn: Turn, asker: Node, header: Header) -> int:
    """What to answer to a ping: the number of its question if we can promise, else 0."""
    if not header.asks or not _may_promise(turn, asker, header):
        return 0
    if asker.promised_at is None or turn.now - asker.promised_at >= rejoin_delay_ms(turn.config):
        turn.tell(PromiseGiven(asker.node_id))
    asker.promised_at = turn.now
    return header.asks


def _may_promise(turn: Turn, asker: Node, header: Header) -> bool:
    state = turn.state
    if not state.is_voter(state.myself) or asker.is_failing:
        return False
    if not state.is_voter(asker) or asker.slots != header.slots:
        return False
    return asker.voted_epoch <= asker.config_epoch or turn.config.bugs.break_promises


def note_vote(turn: Turn, claimed: int) -> None:
    """We vote for somebody to have these slots."""
    for owner in turn.state.owners.values():
        if owner.mask & claimed:
            owner.voted_epoch = turn.state.current_epoch


def is_bound(turn: Turn, claimed: int) -> bool:
    """Whether we have promised not to vote for somebody else to have these slots."""
    state = turn.state
    if turn.config.bugs.break_promises:
        return False
    if _is_recent(turn, state.voter_since):
        return True
    return any(
        owner.promised_at is not None
        and owner.mask & claimed
        and (_is_recent(turn, owner.promised_at) or not is_silent(turn, owner))
        for owner in state.owners.values()
    )


def _is_recent(turn: Turn, at: int | None) -> bool:
    return at is None or turn.now - at < rejoin_delay_ms(turn.config)
