"""The two clocks of the cluster: current epoch and config epochs.

Owns every increase. Rules: the current epoch never falls, and is on disk before a packet shows
it; a config epoch is taken by winning an election, or without asking anybody (`bump`, after a
slot was imported or by an operator's order); two primaries that took the same one part again
(`on_collision`).
"""

from typing import Final

from . import open_slots
from .events import (
    ConfigEpochTaken,
    EpochCollision,
    EpochRaised,
)
from .state import Node
from .turn import Turn

MAX_SANE_EPOCH: Final = 1 << 62
"""No cluster gets here by elections; one forged packet could, and would end them for good."""


def raise_current(turn: Turn, epoch: int) -> None:
    """Takes over a greater current epoch."""
    if epoch > turn.state.current_epoch:
        turn.state.current_epoch = epoch
        turn.tell(EpochRaised(epoch))
        turn.save(sync=True)


def greatest(turn: Turn) -> int:
    """The greatest epoch known."""
    return max(turn.state.current_epoch, *(n.config_epoch for n in turn.state.nodes.values()))


def bump(turn: Turn) -> bool:
    """Takes a new config epoch without asking anybody, unless ours is the greatest already."""
    myself = turn.state.myself
    if myself.config_epoch != 0 and myself.config_epoch == greatest(turn):
        return False
    if _is_held(turn):
        return False
    take_next(turn)
    return True


def take_next(turn: Turn) -> None:
    """Takes the epoch behind all others."""
    state = turn.state
    state.current_epoch = greatest(turn) + 1
    state.myself.config_epoch = state.current_epoch
    spend_vote(turn)
    open_slots.withhold(turn)
    turn.tell(ConfigEpochTaken(state.current_epoch))
    turn.save(sync=True)


def spend_vote(turn: Turn) -> None:
    """Whoever wants an epoch for itself has no vote left in it.

    Else a replica that has just won could, now a voter, help another one win the same epoch: with
    the old primary's vote for it, there were two majorities.
    """
    if not turn.config.bugs.vote_after_candidacy:
        turn.state.last_vote_epoch = turn.state.current_epoch


def on_collision(turn: Turn, peer: Node) -> None:
    """Another primary claims its slots with our config epoch.

    BACKGROUND: elections give each epoch to one winner, but `bump` and CLUSTER SET-CONFIG-EPOCH ask
    nobody, and a new cluster starts with zeros.

    BEHAVIOR: one of the two moves to a new epoch, by that the newest, and so wins all slots that
    both claim. It is the one with the smaller id, unless they are of one shard (then both may
    claim the same slots): there the one with more data moves, whatever the ids.
    """
    myself = turn.state.myself
    if peer.config_epoch != myself.config_epoch or not (peer.is_primary and myself.is_primary):
        return
    moves = myself.node_id < peer.node_id
    if peer.shard_id == myself.shard_id and not turn.config.bugs.collide_by_id_only:
        mine, theirs = turn.local.offset(), peer.offset
        if mine != theirs:
            moves = mine > theirs
    if moves and _is_held(turn):
        # The peer's next heartbeat asks again.
        return
    turn.tell(EpochCollision(peer.node_id, myself.config_epoch, moves))
    if moves:
        take_next(turn)


def _is_held(turn: Turn) -> bool:
    """Whether slots of ours are being handed over: a new epoch now would claim them back."""
    until = turn.state.epoch_held_until
    return until is not None and turn.now < until
