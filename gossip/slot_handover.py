"""Whole sets of slots change hands between two nodes that have agreed on it.

The source holds the requests for the slots, and the target has all their keys. Then the source asks
the target for an epoch behind all others (`ProposeEpoch`), promises to take none itself for a while
(`HoldEpoch`), and tells the target to take the slots with that epoch, exactly (`TakeSlots`). When
the target says that it has them, the source lets them go (`GiveSlots`), whatever else has happened
to its own epoch. When it can never find out, it takes the next epoch behind the agreed one
(`ReclaimSlots`): if the target did take the slots, and comes back one day, its claim is older.

BACKGROUND: in other designs a new epoch of the source, by a collision or an operator's order in
that very moment, gives it the slots back whose keys it is about to delete.
"""

from collections.abc import Iterable

from . import epochs, open_slots
from .commands import (
    Answer,
    Done,
    GiveSlots,
    HoldEpoch,
    ProposeEpoch,
    ReclaimSlots,
    Refused,
    TakeSlots,
)
from .events import ConfigEpochTaken
from .limits import SLOTS_BITMAP_BYTES
from .outputs import DeleteKeys
from .packets import broadcast_pong
from .reasons import RoleReason
from .roles import become_replica
from .state import bitmap_of, mask_of, slots_in
from .turn import Turn

HANDING_OVER = Refused("Slots are being handed over at this moment, try again")


def _mask(slots: Iterable[int]) -> int:
    """The set of these slots; not bit by bit, since numbers of 2 kB are slow to add up."""
    bits = bytearray(SLOTS_BITMAP_BYTES)
    for slot in slots:
        bits[slot >> 3] |= 1 << (slot & 7)
    return mask_of(bytes(bits))


def is_epoch_held(turn: Turn) -> bool:
    """Whether we promised not to take a new epoch now."""
    until = turn.state.epoch_held_until
    return until is not None and turn.now < until


def propose_epoch(turn: Turn, request: ProposeEpoch) -> Answer:
    """Answers an epoch that nobody has."""
    if is_epoch_held(turn):
        return HANDING_OVER
    return Done(epochs.greatest(turn) + 1)


def hold_epoch(turn: Turn, request: HoldEpoch) -> Answer:
    """Promises not to take an epoch until then; None ends that."""
    turn.state.epoch_held_until = request.until
    return Done()


def take_slots(turn: Turn, request: TakeSlots) -> Answer:
    """Takes slots from their owner, which has agreed to it."""
    state, myself = turn.state, turn.state.myself
    source = state.maybe_member(request.source_id)
    mask = _mask(request.slots)
    if myself.is_replica:
        return Refused("The target node is no primary")
    if source is None or source.mask & mask != mask:
        return Refused("Target node does not agree about current slot ownership")
    if is_epoch_held(turn):
        return HANDING_OVER
    if epochs.greatest(turn) >= request.epoch:
        return Refused("The epoch is taken, try again")
    for slot in state.importing_from.keys() & set(request.slots):
        del state.importing_from[slot]
    turn.assign_slots(mask, myself)
    state.current_epoch = myself.config_epoch = request.epoch
    epochs.spend_vote(turn)
    open_slots.withhold(turn)
    turn.tell(ConfigEpochTaken(request.epoch))
    turn.tell_marks()
    turn.changed(sync=True)
    broadcast_pong(turn)
    return Done(request.epoch)


def give_slots(turn: Turn, request: GiveSlots) -> Answer:
    """Lets slots go, after their new owner has said that it has them."""
    state, myself = turn.state, turn.state.myself
    node = state.maybe_member(request.target_id)
    mask = _mask(request.slots) & myself.mask
    if node is None or not mask:
        # The news has reached us by the bus already.
        return Done()
    dirty = _mask(slot for slot in slots_in(mask) if turn.local.keys_in_slot(slot))
    # Clients wait, and the disk need not be waited for: should we forget this, the others know it.
    # The new epoch comes with the target's own heartbeat, which is on its way.
    turn.assign_slots(mask, node)
    if not myself.mask and turn.config.allow_replica_migration:
        become_replica(turn, node, RoleReason.LOST_LAST_SLOT)
        return Done()
    if dirty:
        turn.change(DeleteKeys(bitmap_of(dirty)))
    broadcast_pong(turn)
    return Done()


def reclaim_slots(turn: Turn, request: ReclaimSlots) -> Answer:
    """Makes sure that slots which we own stay ours, whoever took them with that epoch."""
    state = turn.state
    mask = _mask(request.slots)
    if state.myself.mask & mask != mask:
        return Refused("The slots have another owner")
    epochs.raise_current(turn, request.epoch)
    epochs.take_next(turn)
    broadcast_pong(turn)
    return Done(state.myself.config_epoch)
