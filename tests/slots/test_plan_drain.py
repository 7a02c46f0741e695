"""Emptying a node: who gets what, and what a second plan adds to half of the first."""

import pytest

from clustrio.slots.plan_drain import plan_drain
from clustrio.slots.plan_moves import PlanError, Primary, after_moves
from clustrio.slots.slotset import SlotSet


def primaries(**slots: str) -> list[Primary]:
    return [Primary(name, SlotSet.of_text(text)) for name, text in slots.items()]


def outcome(nodes: list[Primary], source: str) -> dict[str, str]:
    moves = plan_drain(nodes, source)
    return {name: slots.text() for name, slots in after_moves(nodes, moves).items()}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"a": "0-5", "b": "6-9", "c": "10-13"}, {"a": "", "b": "0-2 6-9", "c": "3-5 10-13"}),
        # The poorest first, and nothing moves between the others.
        ({"a": "0-3", "b": "4-9", "c": ""}, {"a": "", "b": "4-9", "c": "0-3"}),
        ({"a": "0-3", "b": "4-5", "c": ""}, {"a": "", "b": "0 4-5", "c": "1-3"}),
        ({"a": "", "b": "0-9"}, {"a": "", "b": "0-9"}),
        ({"a": ""}, {"a": ""}),
    ],
)
def test_who_gets_what(before: dict[str, str], after: dict[str, str]) -> None:
    assert outcome(primaries(**before), "a") == after


def test_half_a_plan_carried_out_leaves_the_other_half() -> None:
    nodes = primaries(a="0-99", b="100-120", c="121-150", d="")
    moves = plan_drain(nodes, "a")
    halfway = after_moves(nodes, moves[:37])
    rest = plan_drain([Primary(name, slots) for name, slots in halfway.items()], "a")
    assert len(rest) == len(moves) - 37
    counts = [len(slots) for slots in after_moves(nodes, moves).values()]
    assert counts[0] == 0
    assert max(counts[1:]) - min(counts[1:]) <= 1


@pytest.mark.parametrize(
    ("nodes", "source", "reason"),
    [
        (primaries(a="0-5"), "a", "no other master"),
        (primaries(a="0-5", b=""), "x", "not known"),
        (primaries(a="0-5", b="5-6"), "a", "more than one node"),
    ],
)
def test_what_cannot_be_planned(nodes: list[Primary], source: str, reason: str) -> None:
    with pytest.raises(PlanError, match=reason):
        plan_drain(nodes, source)
