"""Slots are chosen in proportion, and moves can be carried out in thought."""

import pytest

from clustrio.slots.plan_moves import (
    Move,
    PlanError,
    Primary,
    after_moves,
    by_node_id,
    pick_slots,
)
from clustrio.slots.slotset import SlotSet


def _primary(node_id: str, text: str) -> Primary:
    return Primary(node_id, SlotSet.of_text(text))


A, B, C = _primary("a", "0-5460"), _primary("b", "5461-10922"), _primary("c", "10923-16383")


def _picked(sources: list[Primary], count: int) -> dict[str, str]:
    found: dict[str, list[int]] = {}
    for slot, node_id in pick_slots(sources, count):
        found.setdefault(node_id, []).append(slot)
    return {node_id: SlotSet.of(slots).text() for node_id, slots in found.items()}


@pytest.mark.parametrize(
    ("sources", "count", "expected"),
    [
        ([A], 10, {"a": "0-9"}),
        # The largest gives most: 1000/3 rounded up, the others down.
        ([A, B, C], 1000, {"b": "5461-5794", "a": "0-332", "c": "10923-11255"}),
        ([A, B, C], 4, {"b": "5461-5462", "a": "0", "c": "10923"}),
        # redis-cli moves two slots here, as the shares of a and c are rounded down to none.
        ([A, B, C], 3, {"b": "5461-5462", "a": "0"}),
        ([A, B, C], 1, {"b": "5461"}),
        ([_primary("x", "0-2"), _primary("y", "3-5")], 6, {"x": "0-2", "y": "3-5"}),
    ],
)
def test_sources_give_in_proportion(
    sources: list[Primary], count: int, expected: dict[str, str]
) -> None:
    assert _picked(sources, count) == expected


@pytest.mark.parametrize(
    ("count", "message"), [(0, "1 to 16384"), (-1, "1 to"), (16385, "1 to"), (5462, "only 5461")]
)
def test_more_than_there_is_cannot_be_picked(count: int, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        pick_slots([A], count)


def test_two_owners_of_a_slot_must_be_repaired_first() -> None:
    with pytest.raises(PlanError, match="the slots 5: repair"):
        by_node_id([_primary("x", "0-5"), _primary("y", "5-9")])
    with pytest.raises(PlanError, match="given twice"):
        by_node_id([A, A])


def test_moves_carried_out_in_thought() -> None:
    after = after_moves([A, B], [Move(0, "a", "b"), Move(5461, "b", "a")])
    assert {node_id: slots.text() for node_id, slots in after.items()} == {
        "a": "1-5461",
        "b": "0 5462-10922",
    }
