"""New clusters: the ranges of redis-cli, and replicas away from their primaries."""

from collections.abc import Sequence
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.plan_create import (
    Address,
    CreatePlan,
    PlannedReplica,
    anti_affinity_score,
    plan_create,
    slot_ranges,
)
from clustrio.slots.plan_moves import PlanError

#: What redis-cli --cluster create prints for so many masters.
RANGES = {
    1: [(0, 16383)],
    2: [(0, 8191), (8192, 16383)],
    3: [(0, 5460), (5461, 10922), (10923, 16383)],
    5: [(0, 3276), (3277, 6553), (6554, 9829), (9830, 13106), (13107, 16383)],
    6: [(0, 2730), (2731, 5460), (5461, 8191), (8192, 10922), (10923, 13652), (13653, 16383)],
}


@pytest.mark.parametrize("primary_count", RANGES)
def test_the_ranges_of_redis_cli(primary_count: int) -> None:
    assert slot_ranges(primary_count) == RANGES[primary_count]


@pytest.mark.parametrize("primary_count", [1, 2, 7, 100, 999, 1000, 5000, SLOT_COUNT])
def test_every_slot_has_one_primary(primary_count: int) -> None:
    ranges = slot_ranges(primary_count)
    assert [slot for first, last in ranges for slot in range(first, last + 1)] == list(
        range(SLOT_COUNT)
    )
    sizes = [last - first + 1 for first, last in ranges]
    assert max(sizes) - min(sizes) <= 1
    assert len(ranges) == primary_count


@pytest.mark.parametrize("primary_count", [0, -1, SLOT_COUNT + 1])
def test_slots_cannot_be_divided_among_so_many(primary_count: int) -> None:
    with pytest.raises(PlanError, match="divided among"):
        slot_ranges(primary_count)


def _addresses(text: str) -> list[Address]:
    """`a1 b2` are the nodes on host a, port 1 and on host b, port 2."""
    return [Address(word[0], int(word[1:])) for word in text.split()]


def _text(plan: CreatePlan) -> str:
    primaries = " ".join(f"{p.address.host}{p.address.port}" for p in plan.primaries)
    replicas = " ".join(
        f"{r.address.host}{r.address.port}>{r.primary.host}{r.primary.port}" for r in plan.replicas
    )
    return f"{primaries} | {replicas}".strip()


@pytest.mark.parametrize(
    ("nodes", "replicas", "expected", "score"),
    [
        ("a1", 0, "a1 |", 0),
        ("a1 a2 a3", 0, "a1 a2 a3 |", 0),
        ("a1 a2 b1 b2 c1 c2", 1, "a1 b1 c1 | b2>a1 c2>b1 a2>c1", 0),
        ("a1 a2 a3 a4 a5 a6", 1, "a1 a2 a3 | a5>a1 a6>a2 a4>a3", 30_000),
        ("a1 a2 b1 b2", 1, "a1 b1 | b2>a1 a2>b1", 0),
        # Nodes left over become further replicas.
        ("a1 b1 c1 d1 e1 f1 g1", 1, "a1 b1 c1 | e1>a1 d1>a1 f1>b1 g1>c1", 0),
        ("a1 b1 c1 d1 e1", 3, "a1 | c1>a1 d1>a1 e1>a1 b1>a1", 0),
        ("a1 a2 b1", 2, "a1 | b1>a1 a2>a1", 10_000),
    ],
)
def test_a_layout(nodes: str, replicas: int, expected: str, score: int) -> None:
    plan = plan_create(_addresses(nodes), replicas)
    assert _text(plan) == expected
    assert plan.score == score == anti_affinity_score(plan.replicas)


@pytest.mark.parametrize(
    ("nodes", "replicas", "message"),
    [
        ("", 0, "not enough"),
        ("a1 a2", 2, "not enough"),
        ("a1 a1", 0, "given twice"),
        ("a1", -1, "cannot be negative"),
    ],
)
def test_an_impossible_wish(nodes: str, replicas: int, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan_create(_addresses(nodes), replicas)


def test_the_score_counts_replicas_on_their_primary_s_host_and_together() -> None:
    home = Address("a", 1)
    at = {
        name: PlannedReplica(Address(name[0], int(name[1:])), home) for name in ("a2", "b1", "b2")
    }
    assert anti_affinity_score([at["b1"]]) == 0
    assert anti_affinity_score([at["b1"], at["b2"]]) == 2
    assert anti_affinity_score([at["a2"], at["b1"]]) == 10_000
    assert anti_affinity_score(at.values()) == 10_002


hosts = st.lists(st.sampled_from("abcd"), min_size=2, max_size=10)


@given(hosts, st.integers(0, 3))
def test_every_node_has_one_place(names: list[str], replicas: int) -> None:
    addresses = [Address(host, port) for port, host in enumerate(names)]
    if len(addresses) < replicas + 1:
        return
    plan = plan_create(addresses, replicas)
    placed = [p.address for p in plan.primaries] + [r.address for r in plan.replicas]
    assert sorted(placed) == sorted(addresses)
    counts = [sum(r.primary == p.address for r in plan.replicas) for p in plan.primaries]
    assert min(counts) >= replicas
    assert max(counts) - min(counts) <= 1


def _best_score(plan: CreatePlan) -> int:
    """The best score that any giving of these replicas to these primaries has."""
    homes = [replica.primary for replica in plan.replicas]

    def score(order: Sequence[PlannedReplica]) -> int:
        return anti_affinity_score(
            PlannedReplica(replica.address, home)
            for replica, home in zip(order, homes, strict=True)
        )

    return min(map(score, permutations(plan.replicas)))


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=8))
def test_small_clusters_get_the_best_layout(names: list[str]) -> None:
    addresses = [Address(host, port) for port, host in enumerate(names)]
    plan = plan_create(addresses, 1)
    if len(plan.replicas) <= 5:
        assert plan.score == _best_score(plan)
