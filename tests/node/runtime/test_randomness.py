"""The node's own chance: even, within its bounds, and never the same twice."""

from collections import Counter

import pytest

from clustrio.node.runtime.randomness import PooledRandom


def test_numbers_stay_within_their_bounds_and_reach_them() -> None:
    rng = PooledRandom()
    assert {rng.randrange(3) for _ in range(200)} == {0, 1, 2}
    assert {rng.randrange(-1, 2) for _ in range(200)} == {-1, 0, 1}
    assert {rng.randrange(0, 10, 5) for _ in range(100)} == {0, 5}
    assert {rng.getrandbits(2) for _ in range(200)} == {0, 1, 2, 3}
    assert all(0 <= rng.random() < 1 for _ in range(2000))
    assert {rng.choice("ab") for _ in range(100)} == {"a", "b"}
    assert 1 << 80 < max(rng.randrange(1 << 100) for _ in range(100)) < 1 << 100
    assert 1 << 150 < max(rng.getrandbits(160) for _ in range(100)) < 1 << 160


def test_numbers_come_up_about_equally_often() -> None:
    rng = PooledRandom()
    counts = Counter(rng.randrange(10) for _ in range(20_000))
    assert len(counts) == 10
    # Six standard deviations: fails once in a hundred million runs.
    assert all(1740 < count < 2260 for count in counts.values())


@pytest.mark.parametrize("arguments", [(0,), (5, 5), (-3,)])
def test_an_empty_range_is_refused(arguments: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="empty range"):
        PooledRandom().randrange(*arguments)


def test_no_word_is_used_twice() -> None:
    rng, other = PooledRandom(), PooledRandom()
    drawn = [rng.getrandbits(64) for _ in range(3000)] + [other.getrandbits(64) for _ in range(99)]
    assert len(set(drawn)) == len(drawn)
