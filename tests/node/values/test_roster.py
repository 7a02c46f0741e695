"""Random picks: every member equally likely, however it came and whatever else went."""

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.roster import Roster
from clustrio.node.values.scancursor import WALK_LIMIT
from clustrio.node.values.setvalue import SetValue


@given(
    st.lists(
        st.tuples(st.sampled_from(["add", "remove", "take", "pick"]), st.integers(0, 30)),
        max_size=120,
    ),
    st.integers(0, 2**32),
)
def test_a_roster_knows_just_the_members(steps: list[tuple[str, int]], seed: int) -> None:
    rng = Random(seed)
    model = {b"%d" % number for number in range(20)}
    roster = Roster(model)
    for action, number in steps:
        member = b"%d" % number
        if action == "add" and member not in model:
            roster.add(member)
            model.add(member)
        elif action == "remove" and member in model:
            roster.remove(member)
            model.remove(member)
        elif action == "take":
            taken = roster.take(min(number % 4, len(model)), rng)
            assert len(set(taken)) == len(taken) == min(number % 4, len(model))
            assert model.issuperset(taken)
            model.difference_update(taken)
        elif action == "pick" and model:
            assert roster.pick(rng) in model
        assert sorted(roster) == sorted(model)
        assert len(roster._row) <= 2 * len(model) + 1


def large_set() -> SetValue:
    """With members that were there, that came, that went, and that came back."""
    value = SetValue.from_members(b"%d" % number for number in range(600))
    value.random_member(Random(1))
    for number in range(0, 200, 2):
        value.take(b"%d" % number)
    for number in range(600, 640):
        value.insert(b"%d" % number)
    for number in range(0, 50, 2):
        value.insert(b"%d" % number)
    assert value._beside is not None
    assert value._beside.roster is not None
    assert len(value) == 565 > WALK_LIMIT
    return value


def test_random_picks_are_fair(seed: int) -> None:
    rng = Random(f"{seed} fair")
    value = large_set()
    counts = Counter(value.random_member(rng) for _ in range(len(value) * 30))
    assert counts.keys() == set(value)
    assert min(counts.values()) > 5
    assert max(counts.values()) < 70


@pytest.mark.parametrize("count", [1, 16])
def test_pops_are_fair(seed: int, count: int) -> None:
    rng = Random(f"{seed} pops {count}")
    value = large_set()
    counts: Counter[bytes] = Counter()
    for _ in range(len(value) * 30 // count):
        popped = value.pop_random(count, rng)
        counts.update(popped)
        for member in popped:
            value.insert(member)
    assert counts.keys() == set(value)
    assert min(counts.values()) > 5
    assert max(counts.values()) < 70


def test_a_roster_goes_when_nobody_picks_any_more() -> None:
    value = large_set()
    for number in range(1000):
        value.insert(b"new%d" % number)
    assert value._beside is None


def test_scans_and_pops_of_one_set_agree(seed: int) -> None:
    rng = Random(f"{seed} both")
    value = SetValue.from_members(b"%d" % number for number in range(3000))
    everything = set(value)
    seen: set[bytes] = set()
    gone: set[bytes] = set()
    cursor = 0
    while True:
        cursor, found = value.scan(cursor, 40)
        assert value.issuperset(found)
        seen.update(found)
        if not cursor:
            break
        gone.update(value.pop_random(rng.randrange(1, 20), rng))
        value.insert(b"came%d" % cursor)
    assert everything <= seen | gone


def test_fields_are_picked_like_members(seed: int) -> None:
    rng = Random(f"{seed} fields")
    value = HashValue()
    for number in range(700):
        value.put(b"%d" % number, b"")
    assert value.random_member(rng) in value
    for number in range(100):
        value.take(b"%d" % number)
    picked = value.random_members(150, rng)
    assert len(set(picked)) == 150
    assert value.keys() >= set(picked)
