"""Hashes: the dict, the encoding that never comes back, lifetimes of fields."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.fieldexpiry import FieldExpiry
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.limits import CollectionLimits

FIELDS = st.sampled_from([b"f%d" % number for number in range(12)])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "keep", "take", "expire", "persist", "dead"]),
        FIELDS,
        st.integers(0, 50),
    ),
    max_size=60,
)


@given(STEPS)
def test_fields_and_their_lifetimes_are_those_of_a_naive_model(
    steps: list[tuple[str, bytes, int]],
) -> None:
    value = HashValue()
    model: dict[bytes, bytes] = {}
    lifetimes: dict[bytes, int] = {}
    for action, field, number in steps:
        if action == "put":
            assert value.put(field, b"%d" % number) == (field not in model)
            model[field] = b"%d" % number
            lifetimes.pop(field, None)
        elif action == "keep":
            assert value.put_keeping_expiry(field, b"%d" % number) == (field not in model)
            model[field] = b"%d" % number
        elif action == "take":
            assert value.take(field) == model.pop(field, None)
            lifetimes.pop(field, None)
        elif action == "expire" and field in model:
            value.expire_at(field, number)
            lifetimes[field] = number
        elif action == "persist":
            assert value.persist(field) == (lifetimes.pop(field, None) is not None)
        elif action == "dead":
            dead = {known for known, at_ms in lifetimes.items() if at_ms <= number}
            assert set(value.take_dead(number)) == dead
            for known in dead:
                del lifetimes[known], model[known]
        assert value == model
        assert value.maybe_next_expiry_ms() == min(lifetimes.values(), default=None)
        assert value.has_expiry == bool(lifetimes)
        assert value.maybe_expiry_ms(field) == lifetimes.get(field)
        assert value.encoding == (b"listpackex" if lifetimes else b"listpack")
    other = value.copy()
    assert other == value
    assert other.maybe_next_expiry_ms() == value.maybe_next_expiry_ms()
    other.put(b"only here", b"")
    assert b"only here" not in value


def test_too_many_fields_make_a_hashtable_for_good() -> None:
    limits = CollectionLimits(hash_max_listpack_entries=3)
    value = HashValue(limits)
    for number in range(3):
        value.put(b"%d" % number, b"")
    assert value.encoding == b"listpack"
    value.put(b"2", b"again")
    assert value.encoding == b"listpack"
    value.put(b"3", b"")
    assert value.encoding == b"hashtable"
    value.take(b"3")
    assert value.encoding == b"hashtable"
    assert value.copy().encoding == b"hashtable"


def test_a_long_field_or_value_makes_a_hashtable() -> None:
    for field, text in ((b"f" * 65, b""), (b"", b"v" * 65)):
        value = HashValue()
        value.put(field[:64], text[:64])
        assert value.encoding == b"listpack"
        value.put(field, text)
        assert value.encoding == b"hashtable"


def test_what_is_expected_counts_before_it_is_set() -> None:
    value = HashValue()
    value.expect([b"short", b"x" * 64])
    assert value.encoding == b"listpack"
    value.expect([b"short", b"x" * 65])
    assert value.encoding == b"hashtable"


def test_small_hashes_share_their_field_names() -> None:
    first, second = HashValue(), HashValue()
    first.put(bytes(b"name of a field".split(b"!")[0]), b"1")
    second.put(bytes(bytearray(b"name of a field")), b"2")
    assert next(iter(first)) is next(iter(second))


def test_random_fields_come_with_their_values(seed: int) -> None:
    rng = Random(f"{seed} hash")
    value = HashValue()
    for number in range(1000):
        value.put(b"f%d" % number, b"v%d" % number)
    for count in (1, 10, 400, 1000, 2000):
        pairs = value.random_items(count, rng)
        assert len(dict(pairs)) == len(pairs) == min(count, 1000)
        assert all(field[1:] == text[1:] for field, text in pairs)


def test_only_so_many_fields_die_at_once() -> None:
    value = HashValue()
    for number in range(10):
        value.put(b"%d" % number, b"")
        value.expire_at(b"%d" % number, number)
    assert value.take_dead(5, 2) == [b"0", b"1"]
    assert len(value) == 8
    assert value.take_dead(5) == [b"2", b"3", b"4", b"5"]


def test_changing_one_lifetime_often_keeps_the_heap_small() -> None:
    expiry = FieldExpiry()
    for at_ms in range(1000):
        expiry.expire_at(b"f", at_ms)
    assert len(expiry._heap) < 20
    assert expiry.maybe_next_ms() == 999


def test_the_estimate_grows_with_what_is_stored() -> None:
    small, large = HashValue(), HashValue()
    for number in range(100):
        small.put(b"%d" % number, b"v")
        large.put(b"%d" % number, b"v" * 100)
    assert (
        small.estimate_bytes(5) + 9000 < large.estimate_bytes(5) < small.estimate_bytes(0) + 12000
    )
