"""Clusters are evened out by number, by weight and by load, or left alone."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.plan_moves import PlanError, Primary, after_moves
from clustrio.slots.plan_rebalance import Transfer, plan_rebalance, plan_rebalance_by_load
from clustrio.slots.slotset import SlotSet


def _primaries(**owned: str) -> list[Primary]:
    return [Primary(node_id, SlotSet.of_text(text)) for node_id, text in owned.items()]


def _sizes(primaries: list[Primary], **wishes: object) -> dict[str, int]:
    plan = plan_rebalance(primaries, **wishes)  # type: ignore[arg-type]
    return {node_id: len(slots) for node_id, slots in after_moves(primaries, plan.moves).items()}


EVEN = _primaries(a="0-5460", b="5461-10922", c="10923-16383")
GROWN = [*EVEN, Primary("d", SlotSet())]


def test_a_balanced_cluster_is_left_alone() -> None:
    plan = plan_rebalance(EVEN)
    assert plan.moves == ()
    assert plan.transfers == ()
    assert plan.excess == {"a": 0, "b": 1, "c": 0}


def test_a_node_without_slots_takes_part_only_on_request() -> None:
    assert plan_rebalance(GROWN).moves == ()
    plan = plan_rebalance(GROWN, use_empty_primaries=True)
    # redis-cli moves 1366, 1365, 1365 in this order: the one with most gives first.
    assert plan.transfers == (
        Transfer("b", "d", 1366),
        Transfer("c", "d", 1365),
        Transfer("a", "d", 1365),
    )
    assert _sizes(GROWN, use_empty_primaries=True) == dict.fromkeys("abcd", 4096)


def test_the_slot_that_rounding_leaves_over_goes_to_a_taker() -> None:
    primaries = _primaries(a="0-16383", b="", c="")
    assert _sizes(primaries, use_empty_primaries=True) == {"a": 5461, "b": 5462, "c": 5461}


def test_weights_are_obeyed_and_weight_0_empties_a_node() -> None:
    assert _sizes(EVEN, weights={"a": 2}) == {"a": 8192, "b": 4096, "c": 4096}
    assert _sizes(EVEN, weights={"c": 0}) == {"a": 8192, "b": 8192, "c": 0}


@pytest.mark.parametrize(("threshold", "is_needed"), [(0, True), (1, True), (2, True), (3, False)])
def test_the_threshold(threshold: float, is_needed: bool) -> None:
    # 5600 slots where 5461 are due: 2.5 percent of 5600.
    primaries = _primaries(a="0-5599", b="5600-10991", c="10992-16383")
    assert bool(plan_rebalance(primaries, threshold_percent=threshold).moves) is is_needed


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"x": 1.0}, "no such master node: x"),
        ({"a": -1.0}, "negative"),
        (dict.fromkeys("abc", 0.0), "no node with a weight"),
    ],
)
def test_improper_weights(weights: dict[str, float], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_rebalance(EVEN, weights=weights)


cuts = st.lists(st.integers(0, SLOT_COUNT), min_size=1, max_size=5)


def _cut(places: list[int]) -> list[Primary]:
    edges = [0, *sorted(places), SLOT_COUNT]
    return [
        Primary(f"n{index}", SlotSet.of_ranges([(first, end - 1)]) if first < end else SlotSet())
        for index, (first, end) in enumerate(pairwise(edges))
    ]


@pytest.mark.slow
@settings(max_examples=30, deadline=None)
@given(cuts, st.lists(st.integers(1, 9), min_size=6, max_size=6))
def test_any_cluster_ends_near_its_weights(places: list[int], numbers: list[int]) -> None:
    primaries = _cut(places)
    weights = {p.node_id: float(n) for p, n in zip(primaries, numbers, strict=False)}
    sizes = _sizes(primaries, weights=weights, threshold_percent=0, use_empty_primaries=True)
    assert sum(sizes.values()) == SLOT_COUNT
    for node_id, size in sizes.items():
        expected = SLOT_COUNT * weights[node_id] / sum(weights.values())
        assert abs(size - expected) <= len(primaries)


# --- by load


def _loads(primaries: list[Primary], load: dict[int, float], **wishes: object) -> dict[str, float]:
    plan = plan_rebalance_by_load(primaries, load, **wishes)  # type: ignore[arg-type]
    after = after_moves(primaries, plan.moves)
    return {node_id: sum(load.get(slot, 0) for slot in slots) for node_id, slots in after.items()}


def test_few_heavy_slots_are_moved_instead_of_many_light_ones() -> None:
    primaries = _primaries(a="0-99", b="100-199")
    load = dict.fromkeys(range(100), 1.0) | {7: 50.0}
    plan = plan_rebalance_by_load(primaries, load)
    assert 7 in {move.slot for move in plan.moves}
    assert len(plan.moves) <= 30
    loads = _loads(primaries, load)
    assert abs(loads["a"] - loads["b"]) <= 149 * 0.04


def test_load_that_cannot_be_divided_stays() -> None:
    primaries = _primaries(a="0", b="1")
    assert plan_rebalance_by_load(primaries, {0: 100.0}).moves == ()
    assert plan_rebalance_by_load(primaries, {}).moves == ()


def test_load_follows_weights_and_empties_nodes_of_weight_0() -> None:
    primaries = _primaries(a="0-99", b="100-199")
    load = dict.fromkeys(range(200), 1.0)
    assert _loads(primaries, load, weights={"a": 3}) == pytest.approx({"a": 150, "b": 50}, abs=3)
    assert _loads(primaries, load, weights={"a": 0})["a"] == 0


def test_a_negative_load_is_refused() -> None:
    with pytest.raises(PlanError, match="negative"):
        plan_rebalance_by_load(EVEN, {0: -1.0})


@given(
    st.dictionaries(st.integers(0, 39), st.floats(0, 1000), max_size=40),
    st.floats(0, 20),
)
def test_load_never_gets_less_even(load: dict[int, float], threshold: float) -> None:
    primaries = _primaries(a="0-29", b="30-38", c="39")
    before = {p.node_id: sum(load.get(slot, 0) for slot in p.slots) for p in primaries}
    after = _loads(primaries, load, threshold_percent=threshold)
    assert sum(after.values()) == pytest.approx(sum(before.values()))
    squares = [sum(value * value for value in loads.values()) for loads in (before, after)]
    assert squares[1] <= squares[0] * (1 + 1e-9)
