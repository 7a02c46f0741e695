"""Carrying out the repairs that `slots.plan_fix` has planned.

Owns the commands of each action. Rules: a claim is dropped before another node is made the owner,
because a node that loses a slot to a newer claim deletes the keys it has there; a repair that was
broken off is planned anew from what the nodes say then.
"""

from collections.abc import Sequence

import hiredis
from attrs import define

from ...slots.plan_fix import (
    Action,
    CloseSlot,
    FinishMove,
    FixPlan,
    MoveKeys,
    OpenForLeaving,
    Refusal,
    SlotRepair,
    TakeSlot,
    TellOwner,
    plan_fix,
)
from ..wire import Argument
from .diagnosis import damaged_slots, open_slots, shortened, views_of
from .failures import AdminError
from .moving import Mover
from .screen import Screen, count
from .topology import Cluster, Node


def repair_plan(
    cluster: Cluster, *, with_unreachable: bool = False, searches: bool = True
) -> FixPlan:
    """What is to be repaired; AdminError if that must not be tried."""
    plan = plan_fix(
        views_of(cluster, with_strays=searches),
        with_unreachable_primaries=with_unreachable,
        search_several_owners=searches,
    )
    if plan.refusal is Refusal.UNREACHABLE_PRIMARIES:
        lost = [node.name for node in cluster.primaries if not node.is_reachable]
        raise AdminError(
            f"there is something to repair, but {plan.refusal.value}: {', '.join(lost)}",
            "start them again, or promote a replica ('clustrio cluster failover --takeover'); if "
            "they are gone for good: 'clustrio cluster fix --fix-with-unreachable-masters'",
        )
    if plan.refusal is not None:
        raise AdminError(plan.refusal.value, "start a master, or promote a replica with --takeover")
    return plan


def describe(action: Action, cluster: Cluster) -> str:
    """An action for people."""

    def name(node_id: str) -> str:
        return next((node.name for node in cluster.nodes if node.node_id == node_id), node_id[:8])

    match action:
        case TakeSlot():
            return f"{name(action.node_id)} takes slot {action.slot}"
        case TellOwner():
            return f"tell {name(action.node_id)} that {name(action.owner_id)} owns {action.slot}"
        case OpenForLeaving():
            return f"open slot {action.slot} on {name(action.node_id)} for its keys to leave"
        case MoveKeys():
            keys = count(action.key_count, "key")
            return (
                f"move {keys} of slot {action.slot} from {name(action.source_id)} "
                f"to {name(action.target_id)}"
            )
        case FinishMove():
            return (
                f"finish moving slot {action.slot} from {name(action.source_id)} "
                f"to {name(action.target_id)}"
            )
        case CloseSlot():
            return f"close slot {action.slot} on {name(action.node_id)}"


@define
class Repairer:
    """Repairs one cluster."""

    cluster: Cluster
    mover: Mover
    screen: Screen

    def carry_out(self, repairs: Sequence[SlotRepair]) -> None:
        """All of them."""
        with self.screen.progress("repairing", len(repairs)) as advance:
            for repair in repairs:
                self._drop_claims(repair)
                for action in repair.actions:
                    self._act(action)
                advance(1, f"slot {repair.slot}")

    def _drop_claims(self, repair: SlotRepair) -> None:
        if any(isinstance(action, TakeSlot) for action in repair.actions):
            for action in repair.actions:
                if isinstance(action, TellOwner) and action.drops_claim:
                    self._node(action.node_id).connection.call("CLUSTER", "DELSLOTS", action.slot)

    def _node(self, node_id: str) -> Node:
        return self.cluster.by_id(node_id)

    def _act(self, action: Action) -> None:
        match action:
            case TakeSlot():
                self._take(self._node(action.node_id), action.slot)
            case TellOwner():
                connection = self._node(action.node_id).connection
                words = ("CLUSTER", "SETSLOT", action.slot, "NODE", action.owner_id)
                if action.drops_claim:
                    # Refused if the claim is gone, which is as good.
                    connection.replies([("CLUSTER", "DELSLOTS", action.slot)])
                connection.call(*words)
            case OpenForLeaving():
                words = ("CLUSTER", "SETSLOT", action.slot, "IMPORTING", action.owner_id)
                self._node(action.node_id).connection.call(*words)
            case MoveKeys():
                source, target = self._node(action.source_id), self._node(action.target_id)
                self.mover.moved.keys += self.mover.move_keys(action.slot, source, target)
            case FinishMove():
                source, target = self._node(action.source_id), self._node(action.target_id)
                self.mover.move_slot(action.slot, source, target)
            case CloseSlot():
                node = self._node(action.node_id)
                node.connection.call("CLUSTER", "SETSLOT", action.slot, "STABLE")

    def _take(self, node: Node, slot: int) -> None:
        # One transaction: at no moment does the node serve a slot that it has not claimed.
        commands: list[tuple[Argument, ...]] = [
            ("MULTI",),
            ("CLUSTER", "DELSLOTS", slot),
            ("CLUSTER", "ADDSLOTS", slot),
            ("CLUSTER", "SETSLOT", slot, "STABLE"),
            ("CLUSTER", "BUMPEPOCH"),
            ("EXEC",),
        ]
        results = node.connection.replies(commands)[-1]
        if isinstance(results, hiredis.ReplyError):
            raise node.connection.refusal(commands[2], results)
        added = results[1] if isinstance(results, list) else None
        if isinstance(added, hiredis.ReplyError):
            raise node.connection.refusal(commands[2], added)


def finish_interrupted(
    cluster: Cluster, mover: Mover, screen: Screen, *, is_dry: bool
) -> Sequence[SlotRepair]:
    """Bring moves to an end that somebody has broken off; what was or would be done.

    Slots that nobody owns, or more than one, are no matter of a move: they are refused.
    """
    damaged = damaged_slots(cluster)
    if damaged:
        raise AdminError(
            f"the slots {shortened(damaged)} have no owner, or more than one",
            "repair them first: 'clustrio cluster fix'",
        )
    if not open_slots(cluster):
        return ()
    repairs = repair_plan(cluster, searches=False).repairs
    if repairs:
        screen.say(f"{count(len(repairs), 'slot')} left half-moved, to be finished first:")
        for action in (action for repair in repairs for action in repair.actions):
            screen.say(f"  {describe(action, cluster)}")
        if not is_dry:
            Repairer(cluster, mover, screen).carry_out(repairs)
    return repairs
