"""The marks of slots on the move, and how they outlive the node that set them.

Owns what a replica knows of the open slots of its primary. Rules: a primary tells its replicas of
its marks over the replication link, before it obeys the order that sets them; a replica that takes
over goes on with them; and who moves slots from or to a primary that was replaced goes on with its
successor. A replica moves nothing itself.

Two moves at a time: a slot of ours on its way may have been taken by its target already, unheard of
yet. With an epoch that we take at that moment (for another slot that comes to us, or by a failover)
our claim would win it back, and its target would delete the keys. So what is on its way is withheld
from our claims from then on, until its target has shown what it owns, knowing our epoch: if it
takes the slot later than that, its epoch is greater than ours.
"""

from .commands import Answer, Done, NoteOpenSlots
from .messages import Header, NodeId
from .state import Node, mask_of
from .turn import Turn


def withhold(turn: Turn) -> None:
    """We have a new epoch: claim nothing with it that may be another's by now."""
    turn.state.withheld.update(turn.state.migrating_to)


def settle(turn: Turn, sender: Node, header: Header) -> None:
    """The target of slots that we withhold has shown what it owns."""
    state = turn.state
    if not sender.is_primary or header.current_epoch < state.myself.config_epoch:
        return
    claimed = mask_of(header.slots)
    # Those that it claims are its own by now, and not marked any more.
    for slot in [slot for slot in state.withheld if not claimed >> slot & 1]:
        if state.migrating_to.get(slot, sender.node_id) == sender.node_id:
            state.withheld.discard(slot)


def forget(turn: Turn) -> None:
    """All moves of ours are over, or no business of ours any more."""
    state = turn.state
    ours = (state.migrating_to, state.importing_from)
    inherited = (state.primary_migrating_to, state.primary_importing_from)
    if any(ours) or any(inherited):
        for moves in (*ours, *inherited):
            moves.clear()
        turn.tell_marks()


def note(turn: Turn, request: NoteOpenSlots) -> Answer:
    """At a replica: what its primary has on the move from now on."""
    state = turn.state
    if state.myself.is_primary:
        # What was under way when we took over; we know it already.
        return Done()
    state.primary_migrating_to = dict(request.migrating_to)
    state.primary_importing_from = dict(request.importing_from)
    primary = state.primary_of(state.myself)
    mask = sum(1 << slot for slot in set(request.taken))
    if primary is not None and primary.is_primary and mask & ~primary.mask:
        turn.assign_slots(mask, primary)
    turn.tell_marks()
    return Done()


def inherit(turn: Turn) -> None:
    """At a replica that has taken over: the moves of its primary are ours."""
    state = turn.state
    myself = state.myself

    def is_peer(node_id: NodeId) -> bool:
        node = state.maybe_member(node_id)
        return node is not None and node.is_primary and node is not myself

    for slot, node_id in state.primary_migrating_to.items():
        if myself.mask >> slot & 1 and is_peer(node_id):
            state.migrating_to[slot] = node_id
    for slot, node_id in state.primary_importing_from.items():
        if not myself.mask >> slot & 1 and is_peer(node_id):
            state.importing_from[slot] = node_id
    state.primary_migrating_to.clear()
    state.primary_importing_from.clear()
    withhold(turn)
    turn.tell_marks()
    turn.save()


def follow(turn: Turn, former: Node, primary: Node) -> None:
    """Slots on the move to or from a primary that failed over go on with its successor."""
    state = turn.state
    if primary is state.myself or not primary.is_primary:
        return
    touched = False
    for moves in (
        state.migrating_to,
        state.importing_from,
        state.primary_migrating_to,
        state.primary_importing_from,
    ):
        for slot, peer_id in moves.items():
            if peer_id == former.node_id:
                moves[slot] = primary.node_id
                touched = True
    if touched:
        turn.tell_marks()
