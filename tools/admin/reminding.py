"""Telling again who owns the slots that were moved, where nodes do not find out by themselves.

Owns what is told by hand after the moves. Rules: the bus is given time first; only nodes that do
not claim a slot are told of its owner; a target takes a slot again only if nobody claims it.

BACKGROUND: the bus brings the news to all nodes at once, and an order that is ahead of it does
harm. A redis-server before 7.2.2 that is told by hand of an owner whose older heartbeat is still to
come notes that the slot is not claimed, and keeps the note when the slot is moved to itself later.
Then it believes the former owner's last heartbeat, and gives the slot back to a node that has let
it go: from then on nobody claims it.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from ...slots.plan_moves import Move
from ...slots.slotset import SlotSet
from .failures import AdminError
from .screen import Screen, count
from .topology import Cluster, Node

#: The bus takes milliseconds, and half the node timeout if a link has just broken.
_PATIENCE_S: Final = 3.0


def reminder(cluster: Cluster, moves: Sequence[Move], screen: Screen) -> Callable[[], None]:
    """What to call while the nodes do not agree; from time to time it tells them again."""
    targets = {move.target_id for move in moves}
    slots = {each: SlotSet.of(m.slot for m in moves if m.target_id == each) for each in targets}
    due_s = time.monotonic() + _PATIENCE_S

    def remind() -> None:
        nonlocal due_s
        if time.monotonic() < due_s:
            return
        for target_id, moved in slots.items():
            _tell_again(cluster, target_id, moved, screen)
        due_s = time.monotonic() + _PATIENCE_S

    return remind


def _tell_again(cluster: Cluster, target_id: str, moved: SlotSet, screen: Screen) -> None:
    primaries = [node for node in cluster.primaries if node.is_reachable]
    target = next((node for node in primaries if node.node_id == target_id), None)
    if target is None or len(primaries) < len(cluster.primaries):
        # Whoever is away may claim some of them; replicas of the lost take over by themselves.
        return
    claimed = SlotSet()
    for node in primaries:
        claimed |= node.line.slots
    lost = moved - claimed
    _tell(target, lost, target_id, screen)
    its = moved & (target.line.slots | lost)
    for node in primaries:
        if node is not target:
            seen = node.owners().get(target_id, SlotSet())
            _tell(node, its - seen - node.line.slots, target_id, screen)


def _tell(node: Node, slots: SlotSet, owner_id: str, screen: Screen) -> None:
    if not slots:
        return
    screen.note(f"  telling {node.name} again who owns {count(len(slots), 'slot')}")
    for slot in slots:
        try:
            node.connection.call("CLUSTER", "SETSLOT", slot, "NODE", owner_id)
        except AdminError as failure:
            screen.note(f"  {failure.text}")
            return
