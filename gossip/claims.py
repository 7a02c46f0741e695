"""Who owns which slot after somebody has claimed it.

Owns the rules of the slot table:

1. A slot that nobody owns (or whose owner stopped claiming it) goes to whoever claims it.
2. A slot with an owner goes to a claim with a greater config epoch, else the claimer is told of the
   owner by an UPDATE. So all nodes end with one table: the greatest config epoch wins.
3. That we import a slot is for an operator to end: whoever owns it meanwhile, the mark stays, and
   names the successor of its source. One that we are handing over goes to its target with an equal
   epoch already.
4. A claim that stops is remembered, not obeyed: the slot keeps its owner, but no UPDATE names it.
5. A primary that loses its last slot, and its replicas, follow the taker. One that loses some but
   not all deletes the keys it still has in them: the new owner is the truth now.

The epoch of a claim and its slots come from one packet and are believed together or not at all.
"""

from . import open_slots
from .epochs import MAX_SANE_EPOCH, raise_current
from .events import (
    ClaimOutdated,
    MessageDropped,
    SlotsTaken,
)
from .messages import Update
from .outputs import DeleteKeys
from .reasons import (
    DropReason,
    RoleReason,
)
from .roles import become_replica, learn_role, leave_sub_replication
from .state import Link, Node, bitmap_of, mask_of, slots_in
from .turn import Turn

MAX_UPDATES = 16
"""UPDATE packets for one stale heartbeat; the rest follow with the next ones."""


def on_claim(turn: Turn, claimer: Node, config_epoch: int, slots: bytes) -> None:
    """A primary claims slots with its config epoch, by itself or in an UPDATE about it."""
    state, myself = turn.state, turn.state.myself
    claimed = mask_of(slots)
    state.not_claimed &= ~(claimed & claimer.mask)
    state.not_claimed |= claimer.mask & ~claimed
    ours = state.shard_primary(myself)
    taken = _winnable(turn, claimer, config_epoch, claimed)
    taken_from_ours = 0 if ours is None else taken & ours.mask
    taken_from_me = taken & myself.mask
    dirty = _with_keys(turn, taken_from_me)
    if taken:
        for former_id in turn.assign_slots(taken, claimer):
            former = state.nodes[former_id]
            if not former.mask and former.shard_id == claimer.shard_id:
                open_slots.follow(turn, former, claimer)
        # Should we forget it, our claim is the older one, unless we let it go to an older one.
        turn.save(sync=taken_from_me != 0 and config_epoch <= myself.config_epoch)
        turn.tell(SlotsTaken(claimer.node_id, bitmap_of(taken), config_epoch))
        # It may have been an election that ours was waiting for.
        turn.must_elect = turn.must_elect or state.election is not None
    # Without migration we follow only a pure successor: all it has is what we had.
    may_follow = turn.config.allow_replica_migration or taken_from_ours == claimed
    if ours is not None and taken_from_ours and not ours.mask and may_follow:
        reason = RoleReason.LOST_LAST_SLOT
        if ours is not myself:
            reason = RoleReason.PRIMARY_LOST_LAST_SLOT
        become_replica(turn, claimer, reason)
        return
    leave_sub_replication(turn)
    if dirty and myself.is_primary:
        turn.change(DeleteKeys(bitmap_of(dirty)))


def _winnable(turn: Turn, claimer: Node, config_epoch: int, claimed: int) -> int:
    """The claimed slots that go to the claimer."""
    state = turn.state
    wanted = claimed & ~claimer.mask
    if not wanted:
        return 0
    won = wanted & (state.not_claimed | ~state.assigned)
    for owner in state.owners.values():
        if owner.config_epoch < config_epoch:
            won |= owner.mask & wanted
            _inherit_imports(turn, owner, claimer, wanted)
    handed_over = wanted & _handed_over(turn, claimer)
    if config_epoch != state.myself.config_epoch:
        handed_over &= turn.withheld_mask
    won |= handed_over
    return won


def _handed_over(turn: Turn, claimer: Node) -> int:
    """Our slots that are on their way to this node, by an operator's order.

    An epoch that we took just as it took the slot (CLUSTER BUMPEPOCH asks nobody) equals its own,
    and the collision to come would make ours the greater: nobody may win the slot back by that. A
    slot that we withhold is its own even if ours is the greater already.
    """
    moves = turn.state.migrating_to.items()
    return sum(1 << slot for slot, target in moves if target == claimer.node_id)


def _inherit_imports(turn: Turn, owner: Node, claimer: Node, wanted: int) -> None:
    """What we import from a node whose successor claims it, we import from that one now."""
    state = turn.state
    if owner.shard_id != claimer.shard_id:
        return
    found = [
        slot
        for slot, source_id in state.importing_from.items()
        if source_id == owner.node_id and owner.mask & wanted & 1 << slot
    ]
    for slot in found:
        state.importing_from[slot] = claimer.node_id
    if found:
        turn.tell_marks()


def _with_keys(turn: Turn, mask: int) -> int:
    return sum(1 << slot for slot in slots_in(mask) if turn.local.keys_in_slot(slot))


def on_update(turn: Turn, sender: Node, message: Update) -> None:
    """A member tells us what another one owns."""
    state = turn.state
    node = state.maybe_member(message.node_id)
    reason = None
    if message.config_epoch > MAX_SANE_EPOCH:
        reason = DropReason.ABSURD_EPOCH
    elif node is None:
        reason = DropReason.UNKNOWN_SUBJECT
    elif node is state.myself:
        reason = DropReason.ABOUT_MYSELF
        # It may be about what we were before: whatever we claim next must be newer.
        raise_current(turn, message.config_epoch)
    elif node.config_epoch >= message.config_epoch:
        reason = DropReason.OLD_NEWS
    if reason is not None or node is None:
        turn.tell(MessageDropped(sender.node_id, reason or DropReason.UNKNOWN_SUBJECT))
        return
    learn_role(turn, node, None)
    node.config_epoch = message.config_epoch
    raise_current(turn, message.config_epoch)
    turn.save(sync=True)
    on_claim(turn, node, message.config_epoch, message.slots)


def tell_newer_owners(
    turn: Turn, node: Node, config_epoch: int, slots: bytes, link: Link | None = None
) -> bool:
    """Sends a node what it does not know of the slots that it claims; whether there was any."""
    state = turn.state
    claimed = mask_of(slots) & ~state.not_claimed
    count = 0
    for owner in list(state.owners.values()):
        if owner is node or owner.config_epoch <= config_epoch or not owner.mask & claimed:
            continue
        if count >= MAX_UPDATES:
            break
        count += 1
        turn.tell(ClaimOutdated(node.node_id, owner.node_id))
        send_update(turn, node, owner, link)
    return count > 0


def send_update(turn: Turn, node: Node, owner: Node, link: Link | None) -> None:
    """Tells a node what another one owns; old perhaps, but never false."""
    mask = owner.mask
    if not turn.config.bugs.update_with_unclaimed_slots:
        mask &= ~turn.state.not_claimed
    if owner is turn.state.myself:
        mask &= ~turn.withheld_mask
    update = Update(turn.header(), owner.config_epoch, owner.node_id, bitmap_of(mask))
    if link is not None:
        turn.send_on(link, update)
    else:
        turn.send_to(node, update)
