"""Sets: the encodings' one-way street, random members, operators."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.limits import CollectionLimits
from clustrio.node.values.setvalue import SetValue, intersection

LIMITS = CollectionLimits(
    set_max_intset_entries=4, set_max_listpack_entries=3, set_max_listpack_value=5
)
OLD_LIMITS = CollectionLimits(set_max_intset_entries=4, has_listpack_sets=False)


@pytest.mark.parametrize(
    ("limits", "members", "encoding"),
    [
        (LIMITS, b"1 2 3 4", b"intset"),
        (LIMITS, b"1 2 3 4 5", b"hashtable"),
        (LIMITS, b"1 -9223372036854775808", b"intset"),
        (LIMITS, b"1 9223372036854775808", b"hashtable"),
        (LIMITS, b"1 2 a", b"listpack"),
        (LIMITS, b"1 2 3 a", b"hashtable"),
        (LIMITS, b"a b c", b"listpack"),
        (LIMITS, b"a b c d", b"hashtable"),
        (LIMITS, b"a abcdef", b"hashtable"),
        (LIMITS, b"123456 a", b"hashtable"),
        (LIMITS, b"01", b"listpack"),
        (OLD_LIMITS, b"1 2", b"intset"),
        (OLD_LIMITS, b"1 a", b"hashtable"),
        (OLD_LIMITS, b"a", b"hashtable"),
    ],
)
def test_each_member_may_change_the_encoding(
    limits: CollectionLimits, members: bytes, encoding: bytes
) -> None:
    value = SetValue(limits)
    for member in members.split():
        value.insert(member)
    assert value.encoding == encoding
    for member in members.split()[1:]:
        value.take(member)
    assert value.encoding == encoding
    assert value.copy().encoding == encoding
    assert value.is_compact == (encoding != b"hashtable")


@pytest.mark.parametrize(
    ("old", "count", "first", "encoding"),
    [
        (b"", 4, b"1", b"intset"),
        (b"", 5, b"1", b"hashtable"),
        (b"", 3, b"a", b"listpack"),
        (b"", 4, b"a", b"hashtable"),
        (b"a", 4, b"b", b"hashtable"),
        (b"a", 3, b"b", b"listpack"),
        (b"1", 5, b"1", b"hashtable"),
        (b"1", 4, b"1", b"intset"),
    ],
)
def test_what_is_expected_decides_too(
    old: bytes, count: int, first: bytes, encoding: bytes
) -> None:
    value = SetValue(LIMITS)
    for member in old.split():
        value.insert(member)
    value.expect(count, first)
    assert value.encoding == encoding


@given(
    st.lists(st.sampled_from([b"1", b"2", b"3", b"4", b"5", b"a", b"b", b"c", b"abcdef"])),
    st.integers(0, 9),
)
def test_many_at_once_are_like_one_by_one(members: list[bytes], first: int) -> None:
    together, apart = SetValue(LIMITS), SetValue(LIMITS)
    found = [*together.insert_each(members[:first]), *together.insert_each(members[first:])]
    for member, is_new in zip(members, found, strict=True):
        apart.expect(1, member)
        assert apart.insert(member) == is_new
    assert together == apart
    assert together.encoding == apart.encoding


@pytest.mark.parametrize(
    ("members", "encoding"),
    [(b"1 2", b"intset"), (b"1 a", b"listpack"), (b"a b c d", b"hashtable")],
)
def test_results_get_the_most_compact_encoding(members: bytes, encoding: bytes) -> None:
    assert SetValue.from_members(members.split(), LIMITS).encoding == encoding


@given(
    st.lists(
        st.tuples(st.sampled_from(["insert", "take", "pop", "pick"]), st.integers(0, 40)),
        max_size=80,
    ),
    st.integers(0, 2**32),
    st.sampled_from([(), ("index",), ("roster",), ("index", "roster")]),
)
def test_members_are_those_of_a_naive_model(
    steps: list[tuple[str, int]], seed: int, beside: tuple[str, ...]
) -> None:
    rng = Random(seed)
    value = SetValue()
    model: set[bytes] = set()
    for action, number in steps:
        member = b"%d" % number
        if "index" in beside:
            value._indexed().changes = 0
        if "roster" in beside:
            value._roster().changes = 0
        if action == "insert":
            assert value.insert(member) == (member not in model)
            model.add(member)
        elif action == "take":
            assert value.take(member) == (member in model)
            model.discard(member)
        elif action == "pop":
            popped = value.pop_random(number % 5, rng)
            assert len(set(popped)) == len(popped) == min(number % 5, len(model))
            assert model.issuperset(popped)
            model.difference_update(popped)
        elif model:
            assert value.random_member(rng) in model
        assert value == model
        kept = value._beside
        for each in (kept.index, kept.roster) if kept is not None else ():
            assert each is None or sorted(each) == sorted(model)


def test_an_intset_lists_its_members_as_numbers() -> None:
    value = SetValue.from_members([b"10", b"-3", b"9"])
    assert value.members() == [b"-3", b"9", b"10"]


def test_operators_give_plain_sets() -> None:
    one = SetValue.from_members([b"a", b"b", b"c"])
    other = SetValue.from_members([b"b", b"c", b"d"])
    third = SetValue.from_members([b"c"])
    assert one & other == {b"b", b"c"}
    assert type(one | other) is set
    assert intersection([one, other, third]) == {b"c"}
    assert intersection([one]) == one


def test_popping_most_of_a_large_set(seed: int) -> None:
    rng = Random(f"{seed} pop")
    value = SetValue.from_members(b"%d" % number for number in range(2000))
    everything = set(value)
    gone = value.pop_random(3, rng) + value.pop_random(1500, rng)
    assert set(gone) | value == everything
    assert len(value) == 497
    value.pop_random(10_000, rng)
    assert not value


def test_the_estimate_grows_with_what_is_stored() -> None:
    small = SetValue.from_members(b"%d" % number for number in range(1000))
    large = SetValue.from_members(b"%0100d" % number for number in range(1000))
    assert small.estimate_bytes(5) + 80_000 < large.estimate_bytes(5)
    assert SetValue().estimate_bytes(5) > 0
