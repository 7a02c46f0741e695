"""Moves that bring slots to one node: so many of them, or the ones that are named.

Owns what counts as a proper wish. A plan made again after half of it was carried out does not
repeat what is done when slots are named; by number it would move further slots, so whoever resumes
keeps the plan.
"""

from collections.abc import Sequence

from .plan_moves import Move, PlanError, Primary, by_node_id, pick_slots
from .slotset import SlotSet


def plan_reshard(
    primaries: Sequence[Primary],
    target_id: str,
    slot_count: int,
    source_ids: Sequence[str] | None = None,
) -> list[Move]:
    """Bring `slot_count` slots to the target, from these sources or (None) from all other nodes."""
    known = by_node_id(primaries)
    _require(known.keys() >= {target_id}, f"{target_id} is not known or not a master")
    if source_ids is None:
        sources = [primary for primary in primaries if primary.node_id != target_id]
    else:
        for source_id in source_ids:
            _require(source_id in known, f"{source_id} is not known or not a master")
            _require(source_id != target_id, "the target cannot be a source as well")
        sources = [known[source_id] for source_id in dict.fromkeys(source_ids)]
    _require(bool(sources), "there is no source")
    return [Move(slot, source_id, target_id) for slot, source_id in pick_slots(sources, slot_count)]


def plan_reshard_slots(primaries: Sequence[Primary], target_id: str, slots: SlotSet) -> list[Move]:
    """Bring these very slots to the target; those it has already need no move."""
    known = by_node_id(primaries)
    _require(target_id in known, f"{target_id} is not known or not a master")
    owner_of = {slot: primary.node_id for primary in primaries for slot in primary.slots & slots}
    missing = slots - SlotSet.of(owner_of)
    _require(not missing, f"nobody owns the slots {missing.text()}: repair that first")
    return [Move(slot, owner_of[slot], target_id) for slot in slots if owner_of[slot] != target_id]


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise PlanError(otherwise)
