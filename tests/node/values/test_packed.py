"""Packed collections come back as they were, to all that clients can see."""

from collections.abc import Iterable
from math import copysign, inf
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.limits import DEFAULT_LIMITS, CollectionLimits
from clustrio.node.values.listvalue import ListValue
from clustrio.node.values.packed import PACKED_KINDS, Packed, maybe_packed, unpacked
from clustrio.node.values.setvalue import SetValue
from clustrio.node.values.zsetvalue import ZSetValue

TEXTS = st.one_of(
    st.binary(max_size=20),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: b"%d" % number),
    st.sampled_from([b"", b"\x00", b"007", b"-0", b"name"]),
)


def list_of(*elements: bytes) -> ListValue:
    return ListValue(elements)


def hash_of(*texts: bytes) -> HashValue:
    value = HashValue()
    for text in texts:
        value.put(text, text[::-1])
    return value


def set_of(*members: bytes) -> SetValue:
    value = SetValue()
    for member in members:
        value.insert(member)
    return value


def zset_of(*members: bytes) -> ZSetValue:
    value = ZSetValue()
    for score, member in enumerate(members):
        value.put(member, score / 3)
    return value


def there_and_back(value: Any) -> Any:
    packed = maybe_packed(value)
    assert isinstance(packed, Packed)
    assert type(packed) in PACKED_KINDS
    again = unpacked(packed, value.limits)
    assert type(again) is type(value)
    assert again.limits is value.limits
    assert again.encoding == value.encoding
    return again


@given(st.lists(TEXTS, min_size=1, max_size=40))
def test_lists(elements: list[bytes]) -> None:
    again = there_and_back(list_of(*elements))
    assert list(again) == elements
    again.expect([b"x"])
    again.push_right(b"x")
    assert again.range(0, len(again)) == [*elements, b"x"]


@given(st.lists(TEXTS, min_size=1, max_size=40))
def test_hashes(names: list[bytes]) -> None:
    value = hash_of(*names)
    assert list(there_and_back(value).items()) == list(value.items())


@given(st.sets(TEXTS, min_size=1, max_size=40))
def test_sets(members: set[bytes]) -> None:
    assert set(there_and_back(set_of(*members))) == members


@pytest.mark.parametrize("number", [0, 1, -1, *(s * 2**n for n in (15, 31, 62) for s in (1, -1))])
def test_sets_of_integers(number: int) -> None:
    members = [b"%d" % (number + step) for step in (-1, 0, 1)]
    value = set_of(*members)
    assert value.encoding == b"intset"
    assert there_and_back(value).members() == members


def test_the_largest_integers() -> None:
    members = [b"-9223372036854775808", b"9223372036854775807"]
    assert there_and_back(set_of(*members)).members() == members


@given(st.sets(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40))
def test_any_integers(numbers: set[int]) -> None:
    members = [b"%d" % number for number in sorted(numbers)]
    assert there_and_back(set_of(*members)).members() == members


@pytest.mark.parametrize(
    ("numbers", "size"),
    [
        # The lowest, and a byte for each.
        (range(5, 13), 1 + 1 + 8),
        (range(1_000_000, 1_000_008), 1 + 3 + 8),
        (range(-4, 252), 1 + 1 + 256),
        (range(0, 800_000, 100_000), 1 + 1 + 8 * 3),
        ((-(2**63), 2**63 - 1), 1 + 9 + 2 * 8),
    ],
)
def test_integers_take_as_few_bytes_as_will_do(numbers: Iterable[int], size: int) -> None:
    packed = maybe_packed(set_of(*(b"%d" % number for number in numbers)))
    assert packed is not None
    assert len(packed) == size


@given(st.dictionaries(TEXTS, st.floats(allow_nan=False), min_size=1, max_size=40))
def test_sorted_sets(scores: dict[bytes, float]) -> None:
    value = ZSetValue.from_scores(scores)
    again = there_and_back(value)
    assert again == scores
    size = len(scores)
    assert again.pairs(0, size) == value.pairs(0, size)


def test_scores_keep_their_sign_and_their_infinity() -> None:
    value = ZSetValue.from_scores({b"a": -0.0, b"b": -inf, b"c": 1e-310})
    again = there_and_back(value)
    assert copysign(1, again[b"a"]) == -1
    assert again[b"b"] == -inf
    assert again[b"c"] == 1e-310


def hash_with_a_lifetime() -> HashValue:
    value = hash_of(b"a", b"b")
    value.expire_at(b"a", 1000)
    return value


def shrunk_hash() -> HashValue:
    value = hash_of(*(b"%d" % number for number in range(200)))
    for number in range(190):
        value.take(b"%d" % number)
    return value


@pytest.mark.parametrize(
    "value",
    [
        hash_with_a_lifetime(),
        shrunk_hash(),
        hash_of(b"x" * 65),
        set_of(b"x" * 65),
        list_of(*[b"x" * 100] * 50),
        list_of(*[b"%d" % number for number in range(300)]),
        zset_of(b"x" * 65),
        list_of(bytes(range(256))),
        list_of(),
        b"text",
        bytearray(b"text"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_packed(value: Any) -> None:
    assert maybe_packed(value) is None
    assert unpacked(value, DEFAULT_LIMITS) is value


def test_a_list_of_another_encoding_than_the_natural_one_is_not_packed() -> None:
    limits = CollectionLimits(list_max_listpack_size=4)
    value = ListValue([b"1", b"2", b"3", b"4"], limits)
    value.expect([b"5"])
    value.push_right(b"5")
    assert value.encoding == b"quicklist"
    assert maybe_packed(value) is None
    value.trim(0, 2)
    assert value.encoding == b"listpack"
    assert maybe_packed(value) is not None


def test_a_value_that_was_packed_grows_out_of_its_encoding_as_before() -> None:
    limits = CollectionLimits(list_max_listpack_size=-1)
    rng = Random(1)
    plain, packed = ListValue(limits=limits), ListValue(limits=limits)
    for _ in range(600):
        text = b"x" * rng.randrange(20)
        packed = unpacked(maybe_packed(packed) or packed, limits)
        for value in (plain, packed):
            value.expect([text])
            value.push_right(text)
        assert packed.encoding == plain.encoding
    assert plain.encoding == b"quicklist"
