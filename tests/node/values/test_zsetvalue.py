"""Sorted sets against a naive model, with chunks so small that every edge is met."""

from collections.abc import Iterator
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values import ordering, zsetvalue
from clustrio.node.values.limits import CollectionLimits
from clustrio.node.values.zsetvalue import LexBound, ScoreBound, ZSetValue

MEMBERS = [b"", *(b"%c%d" % (97 + number % 5, number) for number in range(60))]
SCORES = [-inf, -1.5, -0.0, 0.0, 1.0, 2.0, 2.5, inf]
MINUS, PLUS = LexBound(None), LexBound(None, is_maximum=True)


@pytest.fixture(scope="module", autouse=True)
def tiny_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ordering, "_LOAD", 8)
        patch.setattr(ordering, "_JOINED", 8)
        patch.setattr(ordering, "_BLOCK_BITS", 1)
        patch.setattr(ordering, "_BLOCK", 2)
        patch.setattr(zsetvalue, "_LAZY_UP_TO", 30)
        yield


def naive(model: dict[bytes, float]) -> list[tuple[bytes, float]]:
    return sorted(model.items(), key=lambda pair: (pair[1], pair[0]))


def check(value: ZSetValue, model: dict[bytes, float], rng: Random) -> None:
    assert value == model
    expected = naive(model)
    size = len(expected)
    assert value.pairs(0, size) == expected
    for rank, (member, _) in enumerate(expected):
        assert value.rank(member) == rank
    for _ in range(3):
        start, stop = sorted((rng.randrange(size + 1), rng.randrange(size + 1)))
        assert value.members(start, stop) == [member for member, _ in expected[start:stop]]
        assert value.members(start, stop, True) == [
            member for member, _ in reversed(expected[start:stop])
        ]
    lower = ScoreBound(rng.choice(SCORES), rng.random() < 0.5)
    upper = ScoreBound(rng.choice(SCORES), rng.random() < 0.5)
    start, stop = value.score_ranks(lower, upper)
    assert value.pairs(start, stop) == [
        (member, score)
        for member, score in expected
        if (score > lower.score if lower.is_exclusive else score >= lower.score)
        and (score < upper.score if upper.is_exclusive else score <= upper.score)
    ]
    order = value.order()
    assert all(order._score_chunks) or not size
    assert list(order._last_scores) == [chunk[-1] for chunk in order._score_chunks]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "put", "put", "take", "ranks", "low", "high"]),
            st.sampled_from(MEMBERS),
            st.sampled_from(SCORES),
        ),
        max_size=120,
    ),
    st.integers(0, 2**32),
)
def test_members_and_ranks_are_those_of_a_naive_model(
    steps: list[tuple[str, bytes, float]], seed: int
) -> None:
    rng = Random(seed)
    value = ZSetValue()
    model: dict[bytes, float] = {}
    for action, member, score in steps:
        expected = naive(model)
        size = len(model)
        if action == "put":
            value.put(member, score)
            model[member] = score
        elif action == "take":
            assert value.take(member) == model.pop(member, None)
        elif action == "ranks":
            start, stop = sorted((rng.randrange(size + 1), rng.randrange(size + 1)))
            assert value.take_ranks(start, stop) == expected[start:stop]
            for gone, _ in expected[start:stop]:
                del model[gone]
        else:
            count = rng.randrange(4)
            if action == "low":
                gone_pairs = value.pop_lowest(count)
                assert gone_pairs == expected[:count]
            else:
                gone_pairs = value.pop_highest(count)
                assert gone_pairs == expected[::-1][:count]
            for gone, _ in gone_pairs:
                del model[gone]
        if rng.random() < 0.3:
            check(value, model, rng)
    check(value, model, rng)
    other = value.copy()
    other.put(b"only here", 7.0)
    assert b"only here" not in value
    check(value, model, rng)


@pytest.mark.parametrize("is_compact", [True, False])
@given(
    st.sets(st.sampled_from(MEMBERS)), st.sampled_from(MEMBERS), st.sampled_from(MEMBERS), st.data()
)
def test_ranges_of_members_with_one_score(
    is_compact: bool, members: set[bytes], low: bytes, high: bytes, data: st.DataObject
) -> None:
    value = ZSetValue.from_scores(dict.fromkeys(members, 1.0))
    value.is_compact = is_compact
    lower = data.draw(st.sampled_from([LexBound(low), LexBound(low, True), MINUS, PLUS]))
    upper = data.draw(st.sampled_from([LexBound(high), LexBound(high, True), MINUS, PLUS]))
    expected = [
        member
        for member in sorted(members)
        if lower.is_reached_by(member) and upper.is_kept_by(member)
    ]
    for is_reversed in (False, True):
        start, stop = value.lex_ranks(lower, upper, is_reversed)
        assert value.members(start, stop) == expected


def test_bounds_of_members() -> None:
    assert LexBound(b"b").is_reached_by(b"b")
    assert not LexBound(b"b", True).is_reached_by(b"b")
    assert LexBound(b"b").is_kept_by(b"b")
    assert not LexBound(b"b", True).is_kept_by(b"b")
    assert MINUS.is_reached_by(b"")
    assert not MINUS.is_kept_by(b"")
    assert PLUS.is_kept_by(b"\xff")
    assert not PLUS.is_reached_by(b"\xff")


def test_a_listpack_of_several_scores_is_walked_from_where_the_range_begins() -> None:
    value = ZSetValue()
    for member, score in ((b"c", 1.0), (b"a", 2.0), (b"d", 3.0), (b"b", 4.0)):
        value.put(member, score)
    start, stop = value.lex_ranks(LexBound(b"b"), LexBound(b"c"))
    assert value.members(start, stop) == [b"c", b"a"]
    start, stop = value.lex_ranks(LexBound(b"b"), LexBound(b"c"), True)
    assert value.members(start, stop) == [b"d", b"b"]


def test_many_random_changes(seed: int) -> None:
    rng = Random(f"{seed} zset")
    value = ZSetValue()
    model: dict[bytes, float] = {}
    for turn in range(3000):
        member = b"%d" % rng.randrange(400)
        if rng.random() < (0.7 if turn % 1000 < 600 else 0.2):
            score = float(rng.randrange(100))
            value.put(member, score)
            model[member] = score
        else:
            assert value.take(member) == model.pop(member, None)
        if turn % 100 == 0:
            check(value, model, rng)
    check(value, model, rng)


def test_the_encoding_is_lost_for_good() -> None:
    limits = CollectionLimits(zset_max_listpack_entries=2, zset_max_listpack_value=3)
    value = ZSetValue(limits)
    value.put(b"a", 1.0)
    value.put(b"b", 1.0)
    value.put(b"b", 2.0)
    assert value.encoding == b"listpack"
    value.put(b"c", 1.0)
    assert value.encoding == b"skiplist"
    value.take(b"c")
    assert value.encoding == value.copy().encoding == b"skiplist"
    value = ZSetValue(limits)
    value.put(b"abcd", 1.0)
    assert value.encoding == b"skiplist"
    value = ZSetValue(limits)
    value.expect(3, 1)
    assert value.encoding == b"skiplist"
    assert ZSetValue.from_scores({b"a": 1.0}, limits).encoding == b"listpack"
    assert ZSetValue.from_scores({b"abcd": 1.0}, limits).encoding == b"skiplist"


def test_a_change_of_score_keeps_one_object_for_the_member() -> None:
    value = ZSetValue()
    first = b"member %d" % 1
    value.put(first, 1.0)
    value.order()
    value.put(b"member %d" % 1, 2.0)
    assert value.members(0, 1)[0] is first
    assert next(iter(value)) is first


def test_zero_and_minus_zero_are_one_score() -> None:
    value = ZSetValue()
    value.put(b"b", 0.0)
    value.put(b"a", -0.0)
    value.put(b"c", -0.0)
    assert value.members(0, 3) == [b"a", b"b", b"c"]


def test_the_estimate_counts_the_order() -> None:
    value = ZSetValue.from_scores({b"%d" % number: 1.0 for number in range(100)})
    before = value.estimate_bytes(5)
    value.order()
    assert value.estimate_bytes(5) > before
