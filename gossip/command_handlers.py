"""What the CLUSTER subcommands do.

Owns the checks, with the refusals in Redis' words, and the changes. Rule: all checks come before
any change, so a refused request has changed nothing.
"""

from collections.abc import Callable
from typing import Final

from . import epochs, manual_failover, open_slots, slot_handover
from .attempts import end_election, end_manual_failover
from .commands import (
    AddSlots,
    Answer,
    BumpEpoch,
    ClaimKeySlots,
    CloseOnDrop,
    CountFailureReports,
    DelSlots,
    Done,
    DropPacketTypes,
    Failover,
    FlushSlots,
    ForgetNode,
    GiveSlots,
    HoldEpoch,
    KillLinks,
    MeetNode,
    NoteOpenSlots,
    ProposeEpoch,
    PublishToNodes,
    ReclaimSlots,
    Refused,
    Replicate,
    Request,
    Reset,
    SaveConfig,
    SetConfigEpoch,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
    TakeSlots,
)
from .failure import count_reports
from .handshake import maybe_handshake
from .members import forget_node, is_banned, remove_node
from .messages import NodeId, Publish
from .outputs import FlushData, Renamed
from .packets import broadcast_pong
from .reasons import (
    ElectionEnd,
    HandshakeRefusal,
    LinkLoss,
    ManualEnd,
    RoleReason,
)
from .roles import become_primary, become_replica
from .state import Node, slots_in
from .storage import new_node_id
from .turn import Turn

OK: Final = Done()
NOT_A_PRIMARY: Final = Refused("Target node is not a master")


def run_command(turn: Turn, request: Request) -> Answer:
    """Carries out a request."""
    return _RUN[type(request)](turn, request)


# ---- members -------------------------------------------------------------------------------------


def _meet(turn: Turn, request: MeetNode) -> Answer:
    ports = (request.port, 0, request.cport)
    refusal = maybe_handshake(turn, request.ip, ports)
    if refusal is HandshakeRefusal.BAD_ADDRESS:
        return Refused(f"Invalid node address specified: {request.ip}:{request.port}")
    if refusal is HandshakeRefusal.TOO_MANY:
        return Refused("Too many handshakes in progress")
    return OK


def _forget(turn: Turn, request: ForgetNode) -> Answer:
    state = turn.state
    node = state.nodes.get(request.node_id)
    if node is None:
        # Somebody else may have told us already, so we say that it is done.
        return OK if is_banned(turn, request.node_id) else _unknown(request.node_id)
    if node is state.myself:
        return Refused("I tried hard but I can't forget myself...")
    if state.myself.replica_of == node.node_id:
        return Refused("Can't forget my master!")
    forget_node(turn, node, by=None)
    return OK


def _replicate(turn: Turn, request: Replicate) -> Answer:
    state, myself = turn.state, turn.state.myself
    node = state.maybe_member(request.node_id)
    if node is None:
        return _unknown(request.node_id)
    if node is myself:
        return Refused("Can't replicate myself")
    if node.is_replica:
        return Refused("I can only replicate a master, not a replica.")
    if myself.is_primary and (myself.mask or turn.local.keys_in_all()):
        return Refused("To set a master the node must be empty and without assigned slots.")
    become_replica(turn, node, RoleReason.COMMAND)
    return OK


def _reset(turn: Turn, request: Reset) -> Answer:
    state, myself = turn.state, turn.state.myself
    if myself.is_primary and turn.local.keys_in_all():
        return Refused("CLUSTER RESET can't be called with master nodes containing keys")
    end_manual_failover(turn, ManualEnd.RESET)
    end_election(turn, ElectionEnd.ROLE_CHANGED)
    if myself.is_replica:
        become_primary(turn, RoleReason.COMMAND)
        turn.change(FlushData())
    open_slots.forget(turn)
    if state.assigned:
        turn.assign_slots(state.assigned, None)
    for node in list(state.others()):
        remove_node(turn, node)
    state.banned_until.clear()
    if request.hard:
        state.current_epoch = state.last_vote_epoch = myself.config_epoch = 0
        state.rename(myself, new_node_id(turn.rng))
        myself.shard_id = new_node_id(turn.rng)
        turn.change(Renamed(myself.node_id))
    turn.changed(sync=True)
    return OK


def _unknown(node_id: NodeId) -> Refused:
    return Refused(f"Unknown node {node_id}")


# ---- slots ---------------------------------------------------------------------------------------


def _add_slots(turn: Turn, request: AddSlots) -> Answer:
    return _set_owner(turn, request.slots, turn.state.myself)


def _del_slots(turn: Turn, request: DelSlots) -> Answer:
    return _set_owner(turn, request.slots, None)


def _set_owner(turn: Turn, slots: tuple[int, ...], owner: Node | None) -> Answer:
    state = turn.state
    mask = 0
    for slot in slots:
        bit = 1 << slot
        is_assigned = bool(state.assigned & bit)
        if owner is None and not is_assigned:
            return Refused(f"Slot {slot} is already unassigned")
        if owner is not None and is_assigned:
            return Refused(f"Slot {slot} is already busy")
        if mask & bit:
            return Refused(f"Slot {slot} specified multiple times")
        mask |= bit
    if owner is not None and not owner.is_primary:
        # Redis gives a replica slots here, which no other node would ever believe.
        return Refused("Please use ADDSLOTS only with masters.")
    had_imports = bool(state.importing_from)
    for slot in set(slots) & state.importing_from.keys():
        del state.importing_from[slot]
    turn.assign_slots(mask, owner)
    if had_imports:
        turn.tell_marks()
    return OK


def _flush_slots(turn: Turn, request: FlushSlots) -> Answer:
    if turn.local.keys_in_all():
        return Refused("DB must be empty to perform CLUSTER FLUSHSLOTS.")
    if turn.state.myself.mask:
        turn.assign_slots(turn.state.myself.mask, None)
    turn.changed()
    return OK


def _setslot_migrating(turn: Turn, request: SetSlotMigrating) -> Answer:
    state, slot = turn.state, request.slot
    is_owner = state.owner_of(slot) is state.myself
    misplaced = None if is_owner else f"I'm not the owner of hash slot {slot}"
    refusal = _maybe_mark_refusal(turn, request.node_id, misplaced)
    if refusal is not None:
        return refusal
    if slot not in state.migrating_to:
        state.withheld.discard(slot)
    state.migrating_to[slot] = request.node_id
    return _marked(turn)


def _setslot_importing(turn: Turn, request: SetSlotImporting) -> Answer:
    state, slot = turn.state, request.slot
    is_owner = state.owner_of(slot) is state.myself
    misplaced = f"I'm already the owner of hash slot {slot}" if is_owner else None
    refusal = _maybe_mark_refusal(turn, request.node_id, misplaced)
    if refusal is not None:
        return refusal
    state.importing_from[slot] = request.node_id
    return _marked(turn)


def _maybe_mark_refusal(turn: Turn, node_id: NodeId, misplaced: str | None) -> Refused | None:
    """Why a slot cannot be marked as on its way to or from that node, in the order of Redis."""
    refusal = _maybe_setslot_refusal(turn)
    if refusal is not None:
        return refusal
    if misplaced is not None:
        return Refused(misplaced)
    node = turn.state.maybe_member(node_id)
    if node is None:
        return Refused(f"I don't know about node {node_id}")
    return NOT_A_PRIMARY if node.is_replica else None


def _setslot_stable(turn: Turn, request: SetSlotStable) -> Answer:
    refusal = _maybe_setslot_refusal(turn)
    if refusal is not None:
        return refusal
    turn.state.migrating_to.pop(request.slot, None)
    turn.state.importing_from.pop(request.slot, None)
    return _marked(turn)


def _setslot_node(turn: Turn, request: SetSlotNode) -> Answer:
    state, myself, slot = turn.state, turn.state.myself, request.slot
    refusal = _maybe_setslot_refusal(turn)
    if refusal is not None:
        return refusal
    node = state.maybe_member(request.node_id)
    if node is None:
        return _unknown(request.node_id)
    if node.is_replica:
        return NOT_A_PRIMARY
    was_mine = state.owner_of(slot) is myself
    if was_mine and node is not myself and turn.local.keys_in_slot(slot):
        return Refused(
            f"Can't assign hashslot {slot} to a different node "
            "while I still hold keys for this hash slot."
        )
    if not turn.local.keys_in_slot(slot):
        state.migrating_to.pop(slot, None)
    was_importing = slot in state.importing_from
    if node is myself and was_importing and slot_handover.is_epoch_held(turn):
        return slot_handover.HANDING_OVER
    if node is myself:
        state.importing_from.pop(slot, None)
    marked = state.not_claimed & 1 << slot
    turn.assign_slots(1 << slot, node)
    if turn.config.bugs.keep_unclaimed_mark:
        state.not_claimed |= marked
    if was_mine and node.config_epoch <= myself.config_epoch:
        # As far as we know our claim is not the older one: we must not come back with it.
        turn.save(sync=True)
    if was_mine and not myself.mask and turn.config.allow_replica_migration:
        become_replica(turn, node, RoleReason.LOST_LAST_SLOT)
    if node is myself and was_importing:
        # A greater epoch makes the others believe that the slot has moved.
        epochs.bump(turn)
        turn.tell_marks()
        broadcast_pong(turn)
    return _marked(turn)


def _maybe_setslot_refusal(turn: Turn) -> Refused | None:
    if turn.state.myself.is_replica:
        return Refused("Please use SETSLOT only with masters.")
    return None


def _marked(turn: Turn) -> Answer:
    turn.tell_marks()
    turn.changed()
    return OK


def _claim_key_slots(turn: Turn, request: ClaimKeySlots) -> Answer:
    state, myself = turn.state, turn.state.myself
    if myself.is_replica:
        return OK
    mine = 0
    for slot in slots_in(((1 << 16_384) - 1) & ~myself.mask):
        if slot in state.importing_from or not turn.local.keys_in_slot(slot):
            continue
        owner = state.owner_of(slot)
        if owner is None:
            mine |= 1 << slot
        else:
            state.importing_from[slot] = owner.node_id
    if mine:
        turn.assign_slots(mine, myself)
    return _marked(turn)


# ---- epochs and failovers ------------------------------------------------------------------------


def _bump_epoch(turn: Turn, request: BumpEpoch) -> Answer:
    word = "BUMPED" if epochs.bump(turn) else "STILL"
    return Done(f"{word} {turn.state.myself.config_epoch}")


def _set_config_epoch(turn: Turn, request: SetConfigEpoch) -> Answer:
    state, myself = turn.state, turn.state.myself
    if not 0 <= request.epoch <= epochs.MAX_SANE_EPOCH:
        return Refused(f"Invalid config epoch specified: {request.epoch}")
    if len(state.nodes) > 1:
        return Refused(
            "The user can assign a config epoch only when the node does not know any other node."
        )
    if myself.config_epoch != 0:
        return Refused("Node config epoch is already non-zero")
    myself.config_epoch = request.epoch
    epochs.raise_current(turn, request.epoch)
    turn.changed(sync=True)
    return OK


def _failover(turn: Turn, request: Failover) -> Answer:
    state = turn.state
    if state.myself.is_primary:
        return Refused("You should send CLUSTER FAILOVER to a replica")
    primary = state.primary_of(state.myself)
    if primary is None:
        return Refused("I'm a replica but my master is unknown to me")
    if request.takeover:
        manual_failover.take_over_now(turn)
        return OK
    if not request.force and (primary.is_failed or not primary.is_linked):
        return Refused("Master is down or failed, please use CLUSTER FAILOVER FORCE")
    manual_failover.start(turn, force=request.force)
    return OK


# ---- the rest ------------------------------------------------------------------------------------


def _save_config(turn: Turn, request: SaveConfig) -> Answer:
    turn.save(sync=True)
    return OK


def _count_failure_reports(turn: Turn, request: CountFailureReports) -> Answer:
    node = turn.state.nodes.get(request.node_id)
    return _unknown(request.node_id) if node is None else Done(count_reports(turn, node))


def _publish(turn: Turn, request: PublishToNodes) -> Answer:
    message = Publish(turn.header(), request.channel, request.message, request.sharded)
    shard_id = turn.state.myself.shard_id
    for node in turn.state.members():
        if not request.sharded or node.shard_id == shard_id:
            turn.send_to(node, message)
    return OK


def _drop_packet_types(turn: Turn, request: DropPacketTypes) -> Answer:
    turn.state.dropped_types = request.types
    return OK


def _close_on_drop(turn: Turn, request: CloseOnDrop) -> Answer:
    turn.state.closes_on_drop = request.closes
    return OK


def _kill_links(turn: Turn, request: KillLinks) -> Answer:
    node = turn.state.nodes.get(request.node_id)
    if node is None:
        return _unknown(request.node_id)
    if request.to_node:
        turn.close_link(node.link, LinkLoss.KILLED)
    if request.from_node:
        turn.close_link(node.inbound, LinkLoss.KILLED)
    return OK


_RUN: Final[dict[type, Callable[..., Answer]]] = {
    MeetNode: _meet,
    ForgetNode: _forget,
    Replicate: _replicate,
    AddSlots: _add_slots,
    DelSlots: _del_slots,
    FlushSlots: _flush_slots,
    SetSlotMigrating: _setslot_migrating,
    SetSlotImporting: _setslot_importing,
    SetSlotStable: _setslot_stable,
    SetSlotNode: _setslot_node,
    BumpEpoch: _bump_epoch,
    SetConfigEpoch: _set_config_epoch,
    Failover: _failover,
    Reset: _reset,
    SaveConfig: _save_config,
    CountFailureReports: _count_failure_reports,
    PublishToNodes: _publish,
    DropPacketTypes: _drop_packet_types,
    CloseOnDrop: _close_on_drop,
    KillLinks: _kill_links,
    ClaimKeySlots: _claim_key_slots,
    ProposeEpoch: slot_handover.propose_epoch,
    HoldEpoch: slot_handover.hold_epoch,
    TakeSlots: slot_handover.take_slots,
    GiveSlots: slot_handover.give_slots,
    ReclaimSlots: slot_handover.reclaim_slots,
    NoteOpenSlots: open_slots.note,
}
