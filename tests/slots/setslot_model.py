"""A model of CLUSTER SETSLOT: what a node does and refuses, for tests of plans that move slots.

Owns the transition table, the texts of the refusals (Redis' own, without the `ERR` before them) and
their order. The node carries a transition out with `carry_out`, and the flags of `Transition` say
what else is due.

    FOREIGN    another node owns the slot, or nobody does
    IMPORTING  the same, and we take its keys over from a node
    OWNED      the slot is ours
    MIGRATING  the same, and we hand its keys over to a node

The usual way of a slot: the target goes FOREIGN -> IMPORTING -> OWNED, the source goes OWNED ->
MIGRATING -> FOREIGN. The target must learn of the end first; in the other order the slot has no
owner if the target dies in between.
"""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Final

from attrs import frozen

from clustrio.slots.table import SlotTable


class SlotState(Enum):
    """One slot, seen from one node; the legend stands above."""

    FOREIGN = auto()
    IMPORTING = auto()
    OWNED = auto()
    MIGRATING = auto()


class Form(Enum):
    """The forms of CLUSTER SETSLOT, by their keyword."""

    MIGRATING = "MIGRATING"
    IMPORTING = "IMPORTING"
    STABLE = "STABLE"
    NODE = "NODE"


class Target(Enum):
    """What we know of the node that SETSLOT names."""

    NONE = auto()
    UNKNOWN = auto()
    REPLICA = auto()
    MYSELF = auto()
    OTHER_PRIMARY = auto()


class Reason(Enum):
    """Why SETSLOT was refused; the value is the error's text."""

    ONLY_WITH_MASTERS = "Please use SETSLOT only with masters."
    NOT_THE_OWNER = "I'm not the owner of hash slot {slot}"
    ALREADY_THE_OWNER = "I'm already the owner of hash slot {slot}"
    UNKNOWN_PEER = "I don't know about node {node_id}"
    UNKNOWN_OWNER = "Unknown node {node_id}"
    TARGET_NOT_A_MASTER = "Target node is not a master"
    STILL_HOLDS_KEYS = (
        "Can't assign hashslot {slot} to a different node "
        "while I still hold keys for this hash slot."
    )


@frozen
class Refusal:
    """SETSLOT changes nothing."""

    reason: Reason
    text: str


class _Event(Enum):
    """A form of SETSLOT together with what decides about its outcome."""

    MIGRATE = auto()
    IMPORT = auto()
    STABLE = auto()
    NODE_ME_EMPTY = auto()
    NODE_ME_WITH_KEYS = auto()
    NODE_OTHER_EMPTY = auto()
    NODE_OTHER_WITH_KEYS = auto()


@frozen
class Transition:
    """What SETSLOT changes."""

    state: SlotState
    #: An import ends: take a new config epoch without asking anybody, and tell all nodes at once.
    bumps_epoch: bool = False
    #: We gave the slot away; whoever loses the last slot may turn into a replica of the new owner.
    gave_away: bool = False


_F, _I, _O, _M = SlotState.FOREIGN, SlotState.IMPORTING, SlotState.OWNED, SlotState.MIGRATING

#: The state now and what happens -> what becomes of it, or why it is refused.
TRANSITIONS: Final[Mapping[tuple[SlotState, _Event], Transition | Reason]] = {
    (_F, _Event.MIGRATE): Reason.NOT_THE_OWNER,
    (_F, _Event.IMPORT): Transition(_I),
    (_F, _Event.STABLE): Transition(_F),
    (_F, _Event.NODE_ME_EMPTY): Transition(_O),
    (_F, _Event.NODE_ME_WITH_KEYS): Transition(_O),
    (_F, _Event.NODE_OTHER_EMPTY): Transition(_F),
    (_F, _Event.NODE_OTHER_WITH_KEYS): Transition(_F),
    (_I, _Event.MIGRATE): Reason.NOT_THE_OWNER,
    (_I, _Event.IMPORT): Transition(_I),
    (_I, _Event.STABLE): Transition(_F),
    (_I, _Event.NODE_ME_EMPTY): Transition(_O, bumps_epoch=True),
    (_I, _Event.NODE_ME_WITH_KEYS): Transition(_O, bumps_epoch=True),
    # Another node became the owner; we stay ready to take the slot from whom we were told to.
    (_I, _Event.NODE_OTHER_EMPTY): Transition(_I),
    (_I, _Event.NODE_OTHER_WITH_KEYS): Transition(_I),
    (_O, _Event.MIGRATE): Transition(_M),
    (_O, _Event.IMPORT): Reason.ALREADY_THE_OWNER,
    (_O, _Event.STABLE): Transition(_O),
    (_O, _Event.NODE_ME_EMPTY): Transition(_O),
    (_O, _Event.NODE_ME_WITH_KEYS): Transition(_O),
    (_O, _Event.NODE_OTHER_EMPTY): Transition(_F, gave_away=True),
    (_O, _Event.NODE_OTHER_WITH_KEYS): Reason.STILL_HOLDS_KEYS,
    (_M, _Event.MIGRATE): Transition(_M),
    (_M, _Event.IMPORT): Reason.ALREADY_THE_OWNER,
    (_M, _Event.STABLE): Transition(_O),
    # Only an empty slot stops migrating when it is confirmed as ours: this is how Redis behaves.
    (_M, _Event.NODE_ME_EMPTY): Transition(_O),
    (_M, _Event.NODE_ME_WITH_KEYS): Transition(_M),
    (_M, _Event.NODE_OTHER_EMPTY): Transition(_F, gave_away=True),
    (_M, _Event.NODE_OTHER_WITH_KEYS): Reason.STILL_HOLDS_KEYS,
}


@frozen
class Setslot:
    """One CLUSTER SETSLOT; `node_id` is empty for STABLE."""

    slot: int
    form: Form
    node_id: str = ""
    target: Target = Target.NONE


def slot_state(table: SlotTable, my_id: str, slot: int) -> SlotState:
    """The state of a slot; a mark that does not fit the ownership is a leftover."""
    if table.owner(slot) == my_id:
        return _M if slot in table.migrating else _O
    return _I if slot in table.importing else _F


def decide_setslot(
    setslot: Setslot, state: SlotState, *, key_count: int, i_am_replica: bool
) -> Transition | Refusal:
    """What CLUSTER SETSLOT does, given the slot's state and how many of its keys we hold."""
    reason = _maybe_refuse(setslot, state, i_am_replica)
    if reason is None:
        found = TRANSITIONS[state, _event(setslot, key_count)]
        if isinstance(found, Transition):
            return found
        reason = found
    return Refusal(reason, reason.value.format(slot=setslot.slot, node_id=setslot.node_id))


def _maybe_refuse(setslot: Setslot, state: SlotState, i_am_replica: bool) -> Reason | None:
    """The refusals that do not follow from the table, where Redis' order has them first."""
    if i_am_replica:
        return Reason.ONLY_WITH_MASTERS
    form = setslot.form
    if form is not Form.NODE:
        refused = TRANSITIONS[state, _event(setslot, 0)]
        if isinstance(refused, Reason):
            return refused
    if setslot.target is Target.UNKNOWN:
        return Reason.UNKNOWN_OWNER if form is Form.NODE else Reason.UNKNOWN_PEER
    if setslot.target is Target.REPLICA:
        return Reason.TARGET_NOT_A_MASTER
    return None


def _event(setslot: Setslot, key_count: int) -> _Event:
    match setslot.form:
        case Form.MIGRATING:
            return _Event.MIGRATE
        case Form.IMPORTING:
            return _Event.IMPORT
        case Form.STABLE:
            return _Event.STABLE
        case Form.NODE if setslot.target is Target.MYSELF:
            return _Event.NODE_ME_WITH_KEYS if key_count else _Event.NODE_ME_EMPTY
        case Form.NODE:
            return _Event.NODE_OTHER_WITH_KEYS if key_count else _Event.NODE_OTHER_EMPTY


def carry_out(table: SlotTable, setslot: Setslot, transition: Transition) -> None:
    """Change owner and marks as decided."""
    slot = setslot.slot
    importing_from = table.importing.get(slot)
    migrating_to = table.migrating.get(slot)
    table.close(slot)
    if transition.state is SlotState.MIGRATING:
        named = setslot.node_id if setslot.form is Form.MIGRATING else migrating_to
        assert named is not None, "a slot stays migrating only where a mark said so"
        table.migrating[slot] = named
    if transition.state is SlotState.IMPORTING:
        named = setslot.node_id if setslot.form is Form.IMPORTING else importing_from
        assert named is not None, "a slot stays importing only where a mark said so"
        table.importing[slot] = named
    if setslot.form is Form.NODE:
        table.assign(slot, setslot.node_id)
