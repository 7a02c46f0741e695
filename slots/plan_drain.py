"""Moves that empty one node: its slots are dealt out to the others.

Owns who gets what. Rules: whoever has the fewest slots gets the next ones, and each gets a run of
neighbours; nothing is moved between the others. Made again after half of it was carried out, the
plan is the rest.
"""

from collections.abc import Sequence

from .plan_moves import Move, PlanError, Primary, by_node_id


def plan_drain(primaries: Sequence[Primary], source_id: str) -> list[Move]:
    """Deal out all slots of the source."""
    known = by_node_id(primaries)
    if source_id not in known:
        raise PlanError(f"{source_id} is not known or not a master")
    slots = list(known[source_id].slots)
    takers = [primary.node_id for primary in primaries if primary.node_id != source_id]
    if not slots:
        return []
    if not takers:
        raise PlanError("there is no other master that could take the slots")
    counts = {node_id: len(known[node_id].slots) for node_id in takers}
    shares = dict.fromkeys(takers, 0)
    for _ in slots:
        poorest = min(takers, key=lambda node_id: counts[node_id] + shares[node_id])
        shares[poorest] += 1
    targets = [node_id for node_id in takers for _ in range(shares[node_id])]
    return [
        Move(slot, source_id, target_id) for slot, target_id in zip(slots, targets, strict=True)
    ]
