"""Lists against a naive model, with chunks so small that every edge is met."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values import listvalue
from clustrio.node.values.limits import CollectionLimits
from clustrio.node.values.listpack import entry_size, integer_entry_size
from clustrio.node.values.listvalue import ListValue
from clustrio.node.values.packing import maybe_pack, unpack

VALUES = [b"", b"a", b"b", b"\x00", b"\x00\x01", b"x" * 70, b"y" * 200, bytes(range(256)), b"12"]


@pytest.fixture(scope="module", autouse=True)
def tiny_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listvalue, "_CHUNK", 3)
        patch.setattr(listvalue, "_FLAT", 6)
        patch.setattr(listvalue, "_UNPACKED_EDGE", 1)
        yield


def check(value: ListValue, model: list[bytes]) -> None:
    assert len(value) == len(model)
    assert list(value) == model
    assert list(reversed(value)) == model[::-1]
    assert type(value._chunks[0]) is list
    assert type(value._chunks[-1]) is list
    starts = value._starts
    assert (starts is None) == (len(value._chunks) == 1)
    if starts is not None:
        lengths = [len(value._elements(number)) for number in range(len(starts))]
        assert all(lengths)
        assert [later - earlier for earlier, later in pairwise(starts)] == (lengths[:-1])


def change(value: ListValue, model: list[bytes], rng: Random) -> None:
    """One random change of both."""
    size = len(model)
    element = rng.choice(VALUES)
    action = rng.randrange(12)
    if action in (0, 1):
        value.push_left(element)
        model.insert(0, element)
    elif action in (2, 3):
        value.push_right(element)
        model.append(element)
    elif action == 4 and size:
        assert value.pop_left() == model.pop(0)
    elif action == 5 and size:
        assert value.pop_right() == model.pop()
    elif action == 6 and size:
        index = rng.randrange(size)
        value.set(index, element)
        model[index] = element
    elif action in (7, 8):
        index = rng.randrange(size + 1)
        value.insert(index, element)
        model.insert(index, element)
    elif action == 9:
        remove(value, model, element, rng)
    elif action == 10 and rng.random() < 0.3:
        start, stop = rng.randrange(-1, 4), size - rng.randrange(-1, 4)
        value.trim(start, stop)
        model[:] = model[max(start, 0) : max(stop, 0)]
    elif action == 11:
        count = rng.randrange(4)
        assert value.pop_many_left(count) == model[:count]
        del model[:count]
        assert value.pop_many_right(count) == model[::-1][:count]
        del model[max(len(model) - count, 0) :]


def remove(value: ListValue, model: list[bytes], element: bytes, rng: Random) -> None:
    limit = rng.choice([1, 2, 1000])
    is_reversed = rng.random() < 0.5
    places = [place for place, known in enumerate(model) if known == element]
    places = places[-limit:] if is_reversed else places[:limit]
    assert value.remove(element, limit, is_reversed) == len(places)
    for place in reversed(places):
        del model[place]


@given(st.integers(0, 2**32), st.integers(0, 60), st.booleans())
def test_elements_are_those_of_a_naive_model(seed: int, size: int, has_listpacks: bool) -> None:
    rng = Random(seed)
    limits = CollectionLimits(list_max_listpack_size=8, has_listpack_lists=has_listpacks)
    model = [rng.choice(VALUES) for _ in range(size)]
    value = ListValue(model, limits)
    for _ in range(40):
        change(value, model, rng)
        check(value, model)
        if value._listpack_bytes >= 0:
            assert value._listpack_bytes == value._measure()
        if model:
            index = rng.randrange(len(model))
            assert value.get(index) == model[index]
    start, stop = sorted((rng.randrange(len(model) + 1), rng.randrange(len(model) + 1)))
    assert value.range(start, stop) == model[start:stop]
    element = rng.choice(VALUES)
    places = [place for place, known in enumerate(model) if known == element]
    assert list(value.positions(element)) == places
    assert list(value.positions(element, is_reversed=True)) == places[::-1]
    look = rng.randrange(len(model) + 2)
    assert list(value.positions(element, False, look)) == [at for at in places if at < look]
    assert list(value.positions(element, True, look)) == [
        at for at in places[::-1] if at >= len(model) - look
    ]
    other = value.copy()
    change(other, model[:], rng)
    check(value, model)


def test_a_range_belongs_to_the_caller() -> None:
    value = ListValue([b"%d" % number for number in range(100)])
    for start, stop in ((0, 100), (0, 3), (50, 60), (99, 100)):
        value.range(start, stop).clear()
    check(value, [b"%d" % number for number in range(100)])


def test_the_middle_of_a_long_list_is_packed() -> None:
    value = ListValue()
    for number in range(100):
        value.push_left(b"%d" % number)
        value.push_right(b"%d" % number)
    packed = [isinstance(chunk, bytes) for chunk in value._chunks]
    assert packed.count(True) > len(packed) // 2


def test_removing_almost_everything_lays_the_rest_out_anew() -> None:
    model = [b"keep" if number % 10 == 0 else b"drop" for number in range(1000)]
    value = ListValue(model)
    assert value.remove(b"drop") == 900
    check(value, [b"keep"] * 100)
    assert len(value._chunks) < 50


@given(st.lists(st.binary(max_size=6), min_size=1, max_size=80))
def test_what_is_packed_is_unpacked(parts: list[bytes]) -> None:
    packed = maybe_pack(parts)
    assert packed is not None
    assert unpack(packed) == parts


def test_what_has_every_byte_cannot_be_packed() -> None:
    assert maybe_pack([bytes([number]) for number in range(256)]) is None
    assert maybe_pack([b"x" * 65]) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (b"0", 2),
        (b"127", 2),
        (b"128", 3),
        (b"-1", 3),
        (b"4095", 3),
        (b"4096", 4),
        (b"-4096", 3),
        (b"-4097", 4),
        (b"32768", 5),
        (b"8388608", 6),
        (b"2147483648", 10),
        (b"9223372036854775807", 10),
        (b"-9223372036854775808", 10),
        (b"9223372036854775808", 21),
        (b"00", 4),
        (b"", 2),
        (b"-0", 4),
        (b"x" * 63, 65),
        (b"x" * 64, 67),
        (b"x" * 125, 128),
        (b"x" * 126, 130),
        (b"x" * 4095, 4099),
        (b"x" * 4096, 4103),
        (b"x" * 16400, 16408),
    ],
)
def test_the_size_of_an_element_in_a_listpack(text: bytes, size: int) -> None:
    assert entry_size(text) == size
    if text.isdigit() and text != b"00" and size < 21:
        assert integer_entry_size(int(text)) == size


def push(value: ListValue, *elements: bytes) -> None:
    value.expect(list(elements))
    for element in elements:
        value.push_right(element)


def test_a_listpack_grows_into_a_quicklist_and_shrinks_back_at_half() -> None:
    value = ListValue(limits=CollectionLimits(list_max_listpack_size=4))
    push(value, b"1", b"2", b"3", b"4")
    assert value.encoding == b"listpack"
    push(value, b"5")
    assert value.encoding == b"quicklist"
    value.pop_left()
    value.pop_left()
    assert value.encoding == b"quicklist"
    value.remove(b"3")
    assert value.encoding == b"listpack"


def test_bytes_count_against_a_size_limit() -> None:
    value = ListValue(limits=CollectionLimits(list_max_listpack_size=-1))
    push(value, b"x" * 2000)
    push(value, b"x" * 2000)
    assert value.encoding == b"listpack"
    assert value._listpack_bytes == 7 + 2 * 2004
    push(value, b"x" * 82)
    assert value.encoding == b"quicklist"
    value.trim(1, 3)
    assert value.encoding == b"quicklist"
    value.pop_right()
    assert value.encoding == b"listpack"


def test_a_set_of_a_long_element_counts_as_growth_and_of_a_short_one_as_shrinkage() -> None:
    value = ListValue([b"x" * 3000], CollectionLimits(list_max_listpack_size=-1))
    value.expect([b"y" * 5000])
    value.set(0, b"y" * 5000)
    assert value.encoding == b"quicklist"
    value.set(0, b"z")
    assert value.encoding == b"listpack"


def test_redis_7_0_knows_quicklists_only() -> None:
    value = ListValue([b"a"], CollectionLimits(has_listpack_lists=False))
    assert value.encoding == b"quicklist"
    value.push_left(b"b")
    value.pop_left()
    assert value.encoding == value.copy().encoding == b"quicklist"


def test_the_estimate_knows_packed_chunks() -> None:
    value = ListValue([b"element:%08d" % number for number in range(3000)])
    loose = ListValue([b"x" * 100 + b"%d" % number for number in range(3000)])
    assert value.estimate_bytes(5) < loose.estimate_bytes(5)
    assert ListValue().estimate_bytes(5) > 0
    assert ListValue([b"abc"]).estimate_bytes(0) > ListValue().estimate_bytes(0)
