"""Random keys of many small dicts."""

from collections import Counter
from random import Random

import pytest

from clustrio.node.sampling import fair_slot, key_at, near_key


def test_without_keys_there_is_none() -> None:
    homes: list[dict[bytes, int]] = [{} for _ in range(100)]
    assert fair_slot(homes, Random(1)) is None
    assert near_key(homes, Random(1)) is None


@pytest.mark.parametrize("place", [0, 57, 99])
def test_the_only_key_is_found_wherever_it_is(place: int) -> None:
    homes: list[dict[bytes, int]] = [{} for _ in range(100)]
    homes[place] = {b"k": 1}
    for seed in range(50):
        assert fair_slot(homes, Random(seed)) == place
        assert near_key(homes, Random(seed)) == b"k"


def test_a_slot_is_drawn_in_proportion_to_its_keys() -> None:
    homes = [{b"%d" % number: 1 for number in range(count)} for count in (0, 1, 3)]
    rng = Random(1)
    drawn = Counter(fair_slot(homes, rng) for _ in range(4000))
    assert set(drawn) == {1, 2}
    assert 2.5 < drawn[2] / drawn[1] < 3.5


def test_every_key_of_a_slot_can_be_drawn() -> None:
    homes = [{b"a": 1, b"b": 2, b"c": 3}]
    rng = Random(1)
    assert {near_key(homes, rng) for _ in range(100)} == {b"a", b"b", b"c"}
    assert [key_at(homes[0], position) for position in range(3)] == [b"a", b"b", b"c"]
