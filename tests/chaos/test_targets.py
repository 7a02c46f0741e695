"""Whom the words of a plan mean."""

import random

import pytest

from clustrio.tools.chaos.plan import Plan, PlanError
from clustrio.tools.chaos.targets import CLIENTS, resolve, ring_cuts


class FakeRoles:
    """Shard 0 has failed over from node 0 to node 3."""

    def primary_of_shard(self, shard: int) -> int:
        return {0: 3}.get(shard, shard)

    def replicas_of_shard(self, shard: int) -> list[int]:
        return [0] if shard == 0 else [shard + 3]


def nodes_of(*words: str, without: tuple[int, ...] = ()) -> list[int]:
    return resolve(words, Plan("x"), FakeRoles(), random.Random(1), without)


@pytest.mark.parametrize(
    ("words", "nodes"),
    [
        (["node:4"], [4]),
        (["primary:0"], [3]),
        (["replica:0"], [0]),
        (["replica:2"], [5]),
        (["all"], [0, 1, 2, 3, 4, 5]),
        (["primaries"], [3, 1, 2]),
        (["replicas"], [0, 4, 5]),
        (["clients"], [CLIENTS]),
        (["primary:1", "node:1", "node:2"], [1, 2]),
    ],
)
def test_plain_words(words: list[str], nodes: list[int]) -> None:
    assert nodes_of(*words) == nodes


def test_others_are_all_but_those_that_were_named() -> None:
    assert nodes_of("others", without=(1, 3)) == [0, 2, 4, 5]


@pytest.mark.parametrize(
    ("word", "count"),
    [("some-primary", 1), ("some-replica", 1), ("majority", 2), ("minority", 1)],
)
def test_drawn_words(word: str, count: int) -> None:
    pool = {0, 4, 5} if word == "some-replica" else {1, 2, 3}
    seen = set()
    for seed in range(30):
        found = resolve([word], Plan("x"), FakeRoles(), random.Random(seed))
        assert len(set(found)) == count
        seen |= set(found)
    assert seen == pool


def test_unknown_words_are_refused() -> None:
    with pytest.raises(PlanError):
        nodes_of("somebody")


@pytest.mark.parametrize("count", [5, 6, 7, 8, 9, 12])
def test_in_a_ring_each_sees_a_majority_and_no_two_the_same(count: int) -> None:
    cuts = {frozenset(cut) for cut in ring_cuts(range(count))}
    sights = [
        frozenset(other for other in range(count) if frozenset((node, other)) not in cuts)
        for node in range(count)
    ]
    assert all(count // 2 < len(sight) < count for sight in sights)
    if count > 6 or count == 5:
        assert len(set(sights)) == count
