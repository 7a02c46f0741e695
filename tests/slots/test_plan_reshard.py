"""Slots are brought to one node, by number or by name."""

import pytest

from clustrio.slots.plan_create import slot_ranges
from clustrio.slots.plan_moves import Move, PlanError, Primary, after_moves
from clustrio.slots.plan_reshard import plan_reshard, plan_reshard_slots
from clustrio.slots.slotset import SlotSet

THREE = [
    Primary(node_id, SlotSet.of_ranges([pair]))
    for node_id, pair in zip("abc", slot_ranges(3), strict=True)
]
FOUR = [*THREE, Primary("d", SlotSet())]


def test_a_new_node_gets_its_share_from_all() -> None:
    moves = plan_reshard(FOUR, "d", 4096)
    assert {move.target_id for move in moves} == {"d"}
    sizes = {node_id: len(slots) for node_id, slots in after_moves(FOUR, moves).items()}
    # redis-cli leaves the same: 1366 slots of the largest, 1365 of the others.
    assert sizes == {"a": 4096, "b": 4096, "c": 4096, "d": 4096}


def test_only_named_sources_give() -> None:
    moves = plan_reshard(FOUR, "d", 2, ["c", "c"])
    assert moves == [Move(10923, "c", "d"), Move(10924, "c", "d")]


@pytest.mark.parametrize(
    ("target", "count", "sources", "message"),
    [
        ("x", 1, None, "x is not known"),
        ("a", 1, ["x"], "x is not known"),
        ("a", 1, ["b", "a"], "cannot be a source"),
        ("a", 1, [], "no source"),
        ("a", 16384, None, "only 10923"),
    ],
)
def test_an_improper_wish(target: str, count: int, sources: list[str] | None, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_reshard(FOUR, target, count, sources)


def test_named_slots_come_from_their_owners_and_stay_where_they_belong() -> None:
    wanted = SlotSet.of_text("5459-5462")
    moves = plan_reshard_slots(FOUR, "b", wanted)
    assert moves == [Move(5459, "a", "b"), Move(5460, "a", "b")]
    after = [Primary(node_id, slots) for node_id, slots in after_moves(FOUR, moves).items()]
    assert plan_reshard_slots(after, "b", wanted) == []


def test_a_slot_without_an_owner_cannot_be_moved() -> None:
    with pytest.raises(PlanError, match="nobody owns the slots 5461-16383"):
        plan_reshard_slots(THREE[:1], "a", SlotSet.full())
    with pytest.raises(PlanError, match="z is not known"):
        plan_reshard_slots(THREE, "z", SlotSet.of([1]))
