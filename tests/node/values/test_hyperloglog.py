"""HyperLogLog values: known bytes, estimates, and the real server after the same commands."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from clustrio.node.values.hyperloglog import (
    DENSE_SIZE,
    HEADER_SIZE,
    REGISTER_COUNT,
    CorruptedHyperLogLogError,
    NotHyperLogLogError,
    add_elements,
    check_untrusted,
    count,
    count_union,
    describe_runs,
    encoding_name,
    estimate_cardinality,
    hash_element,
    merge,
    murmur_hash,
    read_registers,
    self_test,
    to_dense,
)

from .conftest import Oracle

SPARSE_MAX_BYTES = 3000
WRONG_TYPE = "WRONGTYPE Key is not a valid HyperLogLog string value."
CORRUPTED = "INVALIDOBJ Corrupted HLL object detected"
SPARSE_HEADER = b"HYLL\x01\0\0\0" + bytes(7) + b"\x80"


def build(elements: int, sparse_max_bytes: int = SPARSE_MAX_BYTES) -> bytes:
    value = add_elements(None, [b"element:%d" % n for n in range(elements)], sparse_max_bytes)
    assert value is not None
    return value


def test_a_new_value_is_two_bytes_of_zeros_and_stale() -> None:
    value = add_elements(None, [], SPARSE_MAX_BYTES)
    assert value == SPARSE_HEADER + b"\x7f\xff"
    assert count(value) == (0, b"HYLL\x01\0\0\0" + bytes(8) + b"\x7f\xff")


def test_the_hash() -> None:
    assert murmur_hash(b"", 0) == 0
    for size in range(20):
        index, length = hash_element(bytes(range(size)))
        assert 0 <= index < REGISTER_COUNT
        assert 1 <= length <= 51


def test_adding_again_changes_nothing() -> None:
    value = build(100)
    assert add_elements(value, [b"element:5"], SPARSE_MAX_BYTES) is None
    dense = to_dense(value)
    assert dense is not None
    assert add_elements(dense, [b"element:5"], SPARSE_MAX_BYTES) is None
    assert to_dense(dense) is None


def test_the_cached_estimate_is_kept_until_a_change() -> None:
    estimate, cached = count(build(100))
    assert cached is not None
    assert count(cached) == (estimate, None)
    changed = add_elements(cached, [b"another"], SPARSE_MAX_BYTES)
    assert changed is not None
    assert changed[15] & 0x80
    assert changed[8:15] == cached[8:15]


@pytest.mark.parametrize("size", [1, 10, 100, 1000, 20_000])
def test_estimates_are_close(size: int) -> None:
    value = build(size)
    estimate, _ = count(value)
    assert abs(estimate - size) <= max(1, size * 0.03)
    dense = to_dense(value) or value
    assert read_registers(dense) == read_registers(value)
    assert count_union([value, dense]) == estimate


def test_promotion_depends_on_the_limit() -> None:
    assert encoding_name(build(20, sparse_max_bytes=3000)) == b"sparse"
    assert encoding_name(build(20, sparse_max_bytes=20)) == b"dense"
    assert len(build(20, sparse_max_bytes=0)) == DENSE_SIZE


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"HYLL",
        b"hyll\x01" + bytes(11) + b"\x7f\xff",
        b"HYLL\x02" + bytes(11) + b"\x7f\xff",
        b"HYLL\x00" + bytes(DENSE_SIZE - 6),
        b"HYLL\x00" + bytes(DENSE_SIZE - 4),
    ],
)
def test_other_strings_are_refused(value: bytes) -> None:
    with pytest.raises(NotHyperLogLogError):
        check_untrusted(value)


CORRUPT_RUNS = [
    b"",
    b"\x7f",
    b"\x7f\xfe",
    b"\x7f\xff\x00",
    b"\x7f\xff\x80",
    b"\x7f\xff" * 200_000,
    b"\x3f" * 300,
    b"\x83" * 4097,
    b"\x7f\xff\x7f",
]


@pytest.mark.parametrize("runs", CORRUPT_RUNS)
def test_corrupt_runs_are_found(runs: bytes) -> None:
    value = SPARSE_HEADER + runs
    for operation in (count, read_registers, to_dense, lambda v: count_union([v])):
        with pytest.raises(CorruptedHyperLogLogError):
            operation(value)
    with pytest.raises(CorruptedHyperLogLogError):
        merge(None, [value], SPARSE_MAX_BYTES)


def test_a_bomb_of_runs_takes_no_memory() -> None:
    bomb = SPARSE_HEADER + b"\x3f" * 200_000 + b"\x7f\xff" * 200_000
    tracemalloc.start()
    try:
        with pytest.raises(CorruptedHyperLogLogError):
            count(bomb)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_an_element_beyond_the_runs_is_found() -> None:
    with pytest.raises(CorruptedHyperLogLogError):
        add_elements(SPARSE_HEADER + b"\x00", [b"a", b"b", b"c"], SPARSE_MAX_BYTES)


def test_describing_runs() -> None:
    runs = SPARSE_HEADER + b"\x00\x84\x40\x3f\x3f\x83"
    assert describe_runs(runs) == b"z:1 v:2,1 Z:64 z:64 v:1,4"
    assert describe_runs(SPARSE_HEADER) == b""
    assert describe_runs(build(20, sparse_max_bytes=0)) is None


def test_forged_registers_have_the_smallest_integer_as_estimate() -> None:
    assert estimate_cardinality(b"\x3f" * REGISTER_COUNT) == -(2**63)
    assert estimate_cardinality(b"\x33" * REGISTER_COUNT) == -(2**63)


@pytest.mark.slow
def test_the_self_test_passes() -> None:
    assert self_test() is None


def test_merging_is_a_maximum_of_registers() -> None:
    generator = random.Random(41)
    values = []
    for _ in range(3):
        registers = bytes(generator.randrange(64) for _ in range(REGISTER_COUNT))
        bits = sum(value << 6 * index for index, value in enumerate(registers))
        value = b"HYLL" + bytes(12) + bits.to_bytes(DENSE_SIZE - HEADER_SIZE, "little")
        assert read_registers(value) == registers
        values.append(value)
    merged = merge(values[0], values[1:], SPARSE_MAX_BYTES)
    assert read_registers(merged) == bytes(map(max, *map(read_registers, values)))


def mutate(generator: random.Random, value: bytes) -> bytes:
    data = bytearray(value)
    for _ in range(generator.randrange(1, 4)):
        data[generator.randrange(len(data))] = generator.randrange(256)
    return bytes(data[: len(data) - generator.randrange(3)])


@pytest.mark.slow
def test_random_damage_never_escapes_the_two_errors() -> None:
    generator = random.Random(42)
    values = [build(size) for size in (0, 5, 300)]
    for _ in range(1500):
        value = mutate(generator, generator.choice(values))
        for operation in (
            lambda v: add_elements(v, [b"%d" % n for n in range(5)], SPARSE_MAX_BYTES),
            count,
            lambda v: merge(v, [v], SPARSE_MAX_BYTES),
            describe_runs,
        ):
            try:
                operation(value)
            except (NotHyperLogLogError, CorruptedHyperLogLogError):
                continue


@pytest.mark.redis_server
@pytest.mark.slow
@pytest.mark.parametrize(("seed", "limit"), [(51, 3000), (52, 200), (53, 1000), (54, 60)])
def test_bytes_of_the_real_server(oracle: Oracle, seed: int, limit: int) -> None:
    generator = random.Random(seed)
    oracle("FLUSHALL")
    oracle("CONFIG", "SET", "hll-sparse-max-bytes", limit)
    model: dict[bytes, bytes] = {}
    names = [b"a", b"b", b"c", b"d"]
    for step in range(500):
        kind = generator.random()
        name = generator.choice(names)
        if kind < 0.6:
            size = generator.choice([0, 1, 1, 2, 5, 40])
            elements = [generator.randbytes(generator.randrange(20)) for _ in range(size)]
            changed = add_elements(model.get(name), elements, limit)
            assert oracle("PFADD", name, *elements) == (changed is not None)
            model[name] = changed or model[name]
        elif kind < 0.75:
            picked = generator.sample(names, generator.randrange(1, 4))
            present = [model[key] for key in picked if key in model]
            if len(picked) > 1:
                expected = count_union(present)
            elif present:
                expected, cached = count(present[0])
                model[picked[0]] = cached or present[0]
            else:
                expected = 0
            assert oracle("PFCOUNT", *picked) == expected
        elif kind < 0.85:
            picked = generator.sample(names, generator.randrange(3))
            sources = [model[key] for key in picked if key in model]
            model[name] = merge(model.get(name), sources, limit)
            assert oracle("PFMERGE", name, *picked) == b"OK"
        elif kind < 0.9 and name in model:
            oracle("DEL", name)
            del model[name]
        elif kind < 0.93 and name in model:
            assert oracle("PFDEBUG", "ENCODING", name) == encoding_name(model[name])
            if encoding_name(model[name]) == b"sparse":
                assert oracle("PFDEBUG", "DECODE", name) == describe_runs(model[name])
        elif kind < 0.94 and name in model:
            dense = to_dense(model[name])
            assert oracle("PFDEBUG", "TODENSE", name) == (dense is not None)
            model[name] = dense or model[name]
        for key in names if step % 10 == 0 else [name]:
            assert oracle("GET", key) == model.get(key), (step, key)


@pytest.mark.redis_server
@pytest.mark.slow
def test_one_element_at_a_time_through_the_promotion(oracle: Oracle) -> None:
    oracle("FLUSHALL")
    oracle("CONFIG", "SET", "hll-sparse-max-bytes", SPARSE_MAX_BYTES)
    elements = [b"e%d" % n for n in range(3000)]
    commands: list[tuple[bytes | str | int, ...]] = []
    for element in elements:
        commands += [("PFADD", "k", element), ("GET", "k")]
    replies = oracle.pipeline(commands)
    value: bytes | None = None
    for index, element in enumerate(elements):
        value = add_elements(value, [element], SPARSE_MAX_BYTES) or value
        assert replies[2 * index + 1] == value, index
    assert value is not None
    assert encoding_name(value) == b"dense"
    assert oracle("PFDEBUG", "GETREG", "k") == list(read_registers(value))


@pytest.mark.redis_server
def test_foreign_values_on_the_real_server(oracle: Oracle) -> None:
    oracle("FLUSHALL")
    values = [b"", b"HYLL", b"HYLL\x02" + bytes(13), b"HYLL\x00" + bytes(50), SPARSE_HEADER]
    values += [SPARSE_HEADER + runs for runs in (b"\x7f\xfe", b"\x3f" * 300, b"\x83" * 4000)]
    values += [b"HYLL" + bytes(11) + b"\x80" + b"\xff" * (DENSE_SIZE - HEADER_SIZE)]
    for value in values:
        oracle("SET", "k", value)
        expected: object
        try:
            expected, cached = count(value)
        except NotHyperLogLogError:
            expected, cached = WRONG_TYPE, None
        except CorruptedHyperLogLogError:
            expected, cached = CORRUPTED, None
        assert oracle("PFCOUNT", "k") == expected, value[:20]
        assert oracle("GET", "k") == (cached or value), value[:20]


@pytest.mark.redis_server
@pytest.mark.slow
def test_estimates_of_forged_registers_on_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(55)
    for _ in range(40):
        high = generator.choice([3, 40, 51, 52, 63])
        low = generator.choice([0, 0, high // 2, high])
        bits = sum(generator.randint(low, high) << 6 * index for index in range(REGISTER_COUNT))
        registers = bits.to_bytes(DENSE_SIZE - HEADER_SIZE, "little")
        value = b"HYLL" + bytes(11) + b"\x80" + registers
        oracle("SET", "k", value)
        estimate, cached = count(value)
        assert oracle("PFCOUNT", "k") == estimate
        assert oracle("GET", "k") == cached
        assert oracle("PFCOUNT", "k", "missing") == estimate
