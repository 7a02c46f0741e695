"""Bits of strings: tables, a naive model, and the real server's answers."""

from __future__ import annotations

import random

import pytest

from clustrio.node.values.bitstrings import (
    FieldAction,
    FieldOperation,
    FieldType,
    Overflow,
    combine,
    count_bits,
    find_bit,
    get_bit,
    get_field,
    grow_to_bit,
    parse_bit_offset,
    parse_field_type,
    run_field_operations,
    set_bit,
    set_field,
)

from .conftest import Oracle

BULK = 512 * 1024 * 1024


@pytest.mark.parametrize(
    ("text", "field_bits", "expected"),
    [
        (b"0", 0, 0),
        (b"4294967295", 0, 4294967295),
        (b"4294967296", 0, None),
        (b"-1", 0, None),
        (b"01", 0, None),
        (b"", 0, None),
        (b"#1", 0, None),
        (b"#2", 8, 16),
        (b"#", 8, None),
        (b"#-1", 8, None),
        (b"#536870911", 8, 4294967288),
        (b"#536870912", 8, None),
        (b"#9223372036854775807", 8, None),
    ],
)
def test_offsets(text: bytes, field_bits: int, expected: int | None) -> None:
    assert parse_bit_offset(text, BULK, field_bits) == expected


def test_setting_bits_grows_the_string() -> None:
    value = bytearray()
    assert set_bit(value, 7, 1) == 0
    assert value == b"\x01"
    assert set_bit(value, 7, 0) == 1
    assert set_bit(value, 17, 0) == 0
    assert value == b"\x00\x00\x00"
    assert get_bit(b"\x80", 0) == 1
    assert get_bit(b"\x80", 1) == get_bit(b"\x80", 800) == 0
    assert not grow_to_bit(value, 23)
    assert grow_to_bit(value, 24)


@pytest.mark.parametrize(
    ("value", "arguments", "expected"),
    [
        (b"foobar", (), 26),
        (b"foobar", (0, 0), 4),
        (b"foobar", (1, 1), 6),
        (b"foobar", (0, -5), 10),
        (b"foobar", (5, 30, True), 17),
        (b"foobar", (-100, 100), 26),
        (b"foobar", (-1, -2), 0),
        (b"", (0, -1), 0),
        (b"\xff", (3, 3, True), 1),
        (b"\xff\xff", (7, 8, True), 2),
        (b"\xff\xff", (16, 20, True), 0),
    ],
)
def test_counting(value: bytes, arguments: tuple[int, int, bool], expected: int) -> None:
    assert count_bits(value, *arguments) == expected


@pytest.mark.parametrize(
    ("value", "bit", "arguments", "expected"),
    [
        (b"\xff\xf0\x00", 0, (), 12),
        (b"\x00\xff\xf0", 1, (0,), 8),
        (b"\x00\xff\xf0", 1, (2,), 16),
        (b"\x00\x00\x00", 1, (), -1),
        (b"\xff\xff", 0, (), 16),
        (b"\xff\xff", 0, (0,), 16),
        (b"\xff\xff", 0, (0, -1), -1),
        (b"\xff\xff", 0, (2,), -1),
        (b"", 0, (), -1),
        (b"", 1, (), -1),
        (b"\x00\xff\xf0", 1, (7, 15, True), 8),
        (b"\x00\xff\xf0", 1, (7, -3, True), 8),
        (b"\xff\x00", 0, (0, 7, True), -1),
        (b"\x0f", 1, (0, 3, True), -1),
        (b"\x0f", 0, (4, 7, True), -1),
        (b"\x0f", 1, (6, 6, True), 6),
    ],
)
def test_finding(value: bytes, bit: int, arguments: tuple[int, int, bool], expected: int) -> None:
    assert find_bit(value, bit, *arguments) == expected


@pytest.mark.parametrize(
    ("operation", "values", "expected"),
    [
        (b"AND", [b"\xff\xff", b"\x0f"], b"\x0f\x00"),
        (b"OR", [b"\xf0", b"\x0f\x01", b""], b"\xff\x01"),
        (b"XOR", [b"\xff", b"\x0f", b"\x01"], b"\xf1"),
        (b"NOT", [b"\x00\xf0"], b"\xff\x0f"),
        (b"AND", [b"", b""], b""),
        (b"NOT", [b""], b""),
        (b"OR", [b"\x00\x00"], b"\x00\x00"),
    ],
)
def test_combining(operation: bytes, values: list[bytes], expected: bytes) -> None:
    assert combine(operation, values) == expected
    assert combine(operation, [bytearray(value) for value in values]) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"i1", FieldType(1, True)),
        (b"i64", FieldType(64, True)),
        (b"u63", FieldType(63, False)),
        (b"u64", None),
        (b"i65", None),
        (b"u0", None),
        (b"u-1", None),
        (b"u08", None),
        (b"U8", None),
        (b"u", None),
        (b"", None),
        (b"8", None),
        (b"u8\x00x", FieldType(8, False)),
    ],
)
def test_field_types(text: bytes, expected: FieldType | None) -> None:
    assert parse_field_type(text) == expected


def test_fields_read_back_at_every_offset_and_width() -> None:
    generator = random.Random(71)
    for _ in range(300):
        is_signed = generator.random() < 0.5
        field = FieldType(generator.randint(1, 64 if is_signed else 63), is_signed)
        offset = generator.randrange(40)
        original = bytearray(generator.randbytes(14))
        value = bytearray(original)
        number = generator.randint(field.minimum, field.maximum)
        set_field(value, offset, field, number)
        assert get_field(value, offset, field) == number
        for bit in range(112):
            if not offset <= bit < offset + field.bits:
                assert get_bit(value, bit) == get_bit(original, bit)


U8, I8, U2 = FieldType(8, False), FieldType(8, True), FieldType(2, False)


@pytest.mark.parametrize(
    ("field", "start", "action", "amount", "overflow", "reply", "after"),
    [
        (U8, 250, FieldAction.INCREMENT, 10, Overflow.WRAP, 4, 4),
        (U8, 250, FieldAction.INCREMENT, 10, Overflow.SATURATE, 255, 255),
        (U8, 250, FieldAction.INCREMENT, 10, Overflow.FAIL, None, 250),
        (U8, 5, FieldAction.INCREMENT, -10, Overflow.WRAP, 251, 251),
        (U8, 5, FieldAction.INCREMENT, -10, Overflow.SATURATE, 0, 0),
        (I8, 120, FieldAction.INCREMENT, 10, Overflow.WRAP, -126, -126),
        (I8, 120, FieldAction.INCREMENT, 10, Overflow.SATURATE, 127, 127),
        (I8, -120, FieldAction.INCREMENT, -10, Overflow.SATURATE, -128, -128),
        (U8, 7, FieldAction.SET, 300, Overflow.WRAP, 7, 44),
        (U8, 7, FieldAction.SET, -1, Overflow.SATURATE, 7, 255),
        (U8, 7, FieldAction.SET, -1, Overflow.FAIL, None, 7),
        (I8, 7, FieldAction.SET, 200, Overflow.WRAP, 7, -56),
        (U2, 3, FieldAction.GET, 0, Overflow.FAIL, 3, 3),
    ],
)
def test_field_operations(
    field: FieldType,
    start: int,
    action: FieldAction,
    amount: int,
    overflow: Overflow,
    reply: int | None,
    after: int,
) -> None:
    value = bytearray(4)
    set_field(value, 3, field, start)
    operation = FieldOperation(action, field, 3, amount, overflow)
    replies, changes = run_field_operations(value, [operation])
    assert replies == [reply]
    assert changes == (start != after)
    assert get_field(value, 3, field) == after


def test_growing_counts_as_a_change_of_each_write() -> None:
    value = bytearray()
    operations = [FieldOperation(FieldAction.SET, U8, offset) for offset in (0, 8)]
    assert run_field_operations(value, operations) == ([0, 0], 2)
    assert run_field_operations(value, operations) == ([0, 0], 0)
    assert value == b"\0\0"


def test_megabytes_are_fast_enough() -> None:
    value = bytes(4 * 1024 * 1024)
    assert count_bits(value) == 0
    assert find_bit(value, 1) == -1
    assert len(combine(b"XOR", [value, value, value])) == len(value)


Command = tuple[bytes | str | int, ...]


@pytest.mark.redis_server
@pytest.mark.slow
def test_reading_on_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(72)
    oracle("FLUSHALL")
    samples = [b"\x00" * 5, b"\xff" * 5, b"\x00\x00\x01\xff\xff", b"\xff\xff\xfe\x00\x00", b"\x10"]
    samples += [generator.randbytes(generator.randrange(1, 20)) for _ in range(15)] + [b""]
    commands: list[Command] = []
    expected: list[object] = []
    for value in samples:
        commands.append(("SET", "k", value))
        expected.append(b"OK")
        for _ in range(120):
            low, high = generator.randint(-200, 200), generator.randint(-200, 200)
            if generator.random() < 0.5:
                low, high = low // 10, high // 10
            bit, in_bits = generator.randrange(2), generator.random() < 0.5
            unit = "BIT" if in_bits else "BYTE"
            commands.append(("BITCOUNT", "k", low, high, unit))
            expected.append(count_bits(value, low, high, in_bits))
            commands.append(("BITPOS", "k", bit, low, high, unit))
            expected.append(find_bit(value, bit, low, high, in_bits))
            commands.append(("BITPOS", "k", bit, low))
            expected.append(find_bit(value, bit, low))
            commands.append(("GETBIT", "k", abs(low)))
            expected.append(get_bit(value, abs(low)))
        commands += [("BITCOUNT", "k"), ("BITPOS", "k", 0), ("BITPOS", "k", 1)]
        expected += [count_bits(value), find_bit(value, 0), find_bit(value, 1)]
    for command, reply, want in zip(commands, oracle.pipeline(commands), expected, strict=True):
        assert reply == want, command


@pytest.mark.redis_server
@pytest.mark.slow
def test_writing_on_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(73)
    oracle("FLUSHALL")
    value = bytearray()
    for step in range(1500):
        if generator.random() < 0.3:
            offset, bit = generator.randrange(300), generator.randrange(2)
            assert oracle("SETBIT", "k", offset, bit) == set_bit(value, offset, bit)
            continue
        words, operations = random_field_operations(generator)
        replies, _ = run_field_operations(value, operations)
        assert oracle("BITFIELD", "k", *words) == replies, (step, words)
        assert oracle("GET", "k") == (bytes(value) if value else None), (step, words)
        if generator.random() < 0.03:
            oracle("DEL", "k")
            value = bytearray()


def random_field_operations(
    generator: random.Random,
) -> tuple[list[bytes | str | int], list[FieldOperation]]:
    words: list[bytes | str | int] = []
    operations = []
    overflow = Overflow.WRAP
    for _ in range(generator.randint(1, 4)):
        if generator.random() < 0.4:
            overflow = generator.choice(list(Overflow))
            words += ["OVERFLOW", overflow.value]
        action = generator.choice(list(FieldAction))
        is_signed = generator.random() < 0.5
        widest = 64 if is_signed else 63
        bits = generator.choice([1, 2, 3, 7, 8, 16, 31, 32, 33, 63, widest])
        field = FieldType(bits, is_signed)
        text = b"%s%d" % (generator.choice([b"", b"#"]), generator.randrange(20))
        offset = parse_bit_offset(text, BULK, bits)
        assert offset is not None
        size = generator.choice([2, 8, 40, bits, 63])
        amount = generator.randint(-(1 << size), 1 << size)
        amount = max(-(2**63), min(2**63 - 1, amount))
        words += [action.value, b"%s%d" % (b"i" if is_signed else b"u", bits), text]
        if action is FieldAction.GET:
            amount = 0
        else:
            words.append(amount)
        operations.append(FieldOperation(action, field, offset, amount, overflow))
    return words, operations


@pytest.mark.redis_server
def test_combining_on_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(74)
    oracle("FLUSHALL")
    for _ in range(200):
        operation = generator.choice([b"AND", b"OR", b"XOR", b"NOT"])
        count = 1 if operation == b"NOT" else generator.randint(1, 5)
        values = [generator.randbytes(generator.choice([0, 1, 7, 40, 90])) for _ in range(count)]
        oracle("MSET", *(word for n, value in enumerate(values) for word in (b"s%d" % n, value)))
        result = combine(operation, values)
        reply = oracle("BITOP", operation, "d", *(b"s%d" % n for n in range(count)))
        assert reply == len(result)
        assert oracle("GET", "d") == (result or None)
