"""Numbers as text: tables, round trips, and the real server's own answers."""

from __future__ import annotations

import math
import random

import pytest

from clustrio.node.values.numbers import (
    LONG_DOUBLE_ZERO,
    add_long_doubles,
    format_bytes_for_humans,
    format_double_17g,
    format_double_shortest,
    format_double_stored,
    format_integer,
    format_long_double,
    long_double_from_double,
    long_double_from_integer,
    parse_float,
    parse_float_loosely,
    parse_integer,
    parse_long_double,
    parse_unsigned,
)

from .conftest import Oracle, random_double, random_long_text, random_number_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", 0),
        (b"7", 7),
        (b"-7", -7),
        (b"123456789012345678", 123456789012345678),
        (b"1234567890123456789", 1234567890123456789),
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
    ]
    + [
        (text, None)
        for text in [
            b"",
            b" 1",
            b"1 ",
            b"1\n",
            b"1\x00",
            "\u0661".encode(),
            b"0" * 20,
            b"1" * 21,
            b"1" * 100_000,
            *(
                b"9223372036854775808 -9223372036854775809 99999999999999999999 -0 00 01 "
                b"-01 +1 - --1 1_0 1000000000000000_00 1.0 1e3"
            ).split(),
        ]
    ],
)
def test_integers(text: bytes, expected: int | None) -> None:
    assert parse_integer(text) == expected
    if expected is not None:
        assert format_integer(expected) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", 0),
        (b"007", 7),
        (b"+7", 7),
        (b" \t7", 7),
        (b"-07", 2**64 - 7),
        (b"7\x00junk", 7),
        (b"18446744073709551615", 2**64 - 1),
        (b"0" * 100 + b"1", 1),
    ]
    + [(text, None) for text in [b"7 ", b"", *b"-7 18446744073709551616 0x10".split()]],
)
def test_unsigned(text: bytes, expected: int | None) -> None:
    assert parse_unsigned(text) == expected


FLOATS: list[tuple[bytes, float | None]] = [
    (b"1", 1.0),
    (b"-1.5", -1.5),
    (b"+1.5", 1.5),
    (b".5", 0.5),
    (b"5.", 5.0),
    (b"1e3", 1000.0),
    (b"1E+3", 1000.0),
    (b"0x10", 16.0),
    (b"0X1.8p3", 12.0),
    (b"-0x.8P-1", -0.25),
    (b"0x1.", 1.0),
    (b"inf", math.inf),
    (b"+INF", math.inf),
    (b"-iNfinity", -math.inf),
    (b"1e308", 1e308),
    (b"4.9e-324", 5e-324),
    (b"0e999999999999999999999", 0.0),
    (b"00012", 12.0),
]
FLOATS += [
    (text, None)
    for text in [
        b"1 ",
        *b". + e5 1e 1e+ 0x 0x.p1 0x1p 1_0 1.0_0 nan -NaN nan(123) infin 1f --1".split(),
    ]
]

STRICT_FLOATS: list[tuple[bytes, float | None]] = [
    (b"0x0p-1080", 0.0),
    (b"0.000e-400", 0.0),
]
STRICT_FLOATS += [
    (text, None)
    for text in [
        b"",
        b" 1",
        b"\t1",
        b"1\n",
        b"1\x00",
        *b"1e309 -1e309 1e-400 0x1p1024 0x1p-1080 2e-324".split(),
    ]
]

LOOSE_FLOATS: list[tuple[bytes, float | None]] = [
    (b"", 0.0),
    (b"\x00junk", 0.0),
    (b" \t1", 1.0),
    (b"1\x00junk", 1.0),
    (b"1e309", math.inf),
    (b"-1e309", -math.inf),
    (b"1e-400", 0.0),
    (b"0x1p1024", math.inf),
    (b"-0x1p1024", -math.inf),
    (b"0x1p-1080", 0.0),
]
LOOSE_FLOATS += [(text, None) for text in (b" ", b"1\n")]


@pytest.mark.parametrize(("text", "expected"), FLOATS + STRICT_FLOATS)
def test_strict_floats(text: bytes, expected: float | None) -> None:
    assert parse_float(text) == expected


@pytest.mark.parametrize(("text", "expected"), FLOATS + LOOSE_FLOATS)
def test_loose_floats(text: bytes, expected: float | None) -> None:
    assert parse_float_loosely(text) == expected


@pytest.mark.parametrize("text", [b"1e309", b"-1e309", b"1e-400", b"0x1p1024", b"0x1p-1080"])
def test_loose_floats_may_refuse_range_errors(text: bytes) -> None:
    assert parse_float_loosely(text, refuse_range_errors=True) is None


def test_long_runs_of_digits_with_a_bad_end_take_linear_time() -> None:
    assert parse_float(b"1" * 1_000_000 + b"x") is None
    assert parse_float_loosely(b"1" * 1_000_000 + b"x") is None
    assert parse_unsigned(b" " * 1_000_000 + b"x") is None


@pytest.mark.parametrize(
    ("value", "seventeen", "stored", "shortest"),
    [
        (0.0, b"0", b"0", b"0"),
        (-0.0, b"-0", b"-0", b"-0"),
        (3.0, b"3", b"3", b"3"),
        (-3.0, b"-3", b"-3", b"-3"),
        (3.1, b"3.1000000000000001", b"3.1000000000000001", b"3.1"),
        (1e16, b"10000000000000000", b"10000000000000000", b"10000000000000000"),
        (1e17, b"1e+17", b"100000000000000000", b"100000000000000000"),
        (2.0**62, b"4.6116860184273879e+18", b"4611686018427387904", b"4611686018427387904"),
        (2.0**63, b"9.2233720368547758e+18", b"9.2233720368547758e+18", b"9223372036854776000"),
        (1e19, b"1e+19", b"1e+19", b"1e+19"),
        (1.5e20, b"1.5e+20", b"1.5e+20", b"1.5e+20"),
        (1e-6, b"9.9999999999999995e-07", b"9.9999999999999995e-07", b"0.000001"),
        (1e-7, b"9.9999999999999995e-08", b"9.9999999999999995e-08", b"1e-7"),
        (123.4567891, b"%.17g" % 123.4567891, b"%.17g" % 123.4567891, b"123.4567891"),
        (0.5, b"0.5", b"0.5", b"0.5"),
        (1e-100, b"1e-100", b"1e-100", b"1e-100"),
        (math.inf, b"inf", b"inf", b"inf"),
        (-math.inf, b"-inf", b"-inf", b"-inf"),
        (math.nan, b"nan", b"nan", b"nan"),
        (1.7976931348623157e308,) + (b"1.7976931348623157e+308",) * 3,
    ],
)
def test_printing_doubles(value: float, seventeen: bytes, stored: bytes, shortest: bytes) -> None:
    assert format_double_17g(value) == seventeen
    assert format_double_stored(value) == stored
    assert format_double_shortest(value) == shortest


def test_every_form_reads_back_as_the_same_double() -> None:
    generator = random.Random(21)
    for _ in range(3000):
        value = random_double(generator)
        for formatter in (format_double_17g, format_double_stored, format_double_shortest):
            assert parse_float(formatter(value)) == value


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (0, b"0B"),
        (1023, b"1023B"),
        (1024, b"1.00K"),
        (1536, b"1.50K"),
        (1024**2 - 1, b"1024.00K"),
        (1024**2, b"1.00M"),
        (5 * 1024**3 // 2, b"2.50G"),
        (1024**4, b"1.00T"),
        (1024**5, b"1.00P"),
        (1024**6, b"1152921504606846976B"),
    ],
)
def test_sizes_for_humans(size_bytes: int, expected: bytes) -> None:
    assert format_bytes_for_humans(size_bytes) == expected


@pytest.mark.redis_server
@pytest.mark.slow
def test_scores_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(22)
    oracle("FLUSHALL")
    texts = [random_number_text(generator) for _ in range(4000)]
    texts = [text for text in texts if not text.startswith(b"xx")]  # An option of ZADD.
    commands: list[tuple[bytes | str | int, ...]] = []
    for text in texts:
        commands += [("ZINCRBY", "z", text, "m"), ("ZSCORE", "z", "m"), ("DEL", "z")]
    replies = oracle.pipeline(commands)
    accepted = 0
    for index, text in enumerate(texts):
        added, score, _ = replies[3 * index : 3 * index + 3]
        value = parse_float(text)
        if value is None:
            assert added == "ERR value is not a valid float", text
        else:
            accepted += 1
            assert added == format_double_17g(value), text
            # A listpack keeps no sign of a zero.
            assert score == format_double_17g(value or 0.0), text
    assert 1000 < accepted < 3900


@pytest.mark.redis_server
@pytest.mark.slow
def test_score_bounds_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(23)
    oracle("FLUSHALL")
    scores = [-math.inf, -1e300, -1e20, -100.0, -1.0, -1e-320, 0.0, 1e-320, 1e-5, 0.25, 1.0, 5.0]
    scores += [9.0, 11.0, 12.0, 16.0, 99.0, 1000.0, 1e9, 1e20, 1e100, 1e300, math.inf]
    for score in scores:
        oracle("ZADD", "z", format_double_17g(score), format_double_17g(score))
    texts = [random_number_text(generator) for _ in range(3000)]
    replies = oracle.pipeline([("ZCOUNT", "z", text, "inf") for text in texts])
    for text, reply in zip(texts, replies, strict=True):
        value = parse_float_loosely(text)
        if value is None:
            assert reply == "ERR min or max is not a float", text
        else:
            assert reply == sum(score >= value for score in scores), text


@pytest.mark.redis_server
@pytest.mark.slow
def test_sort_weights_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(24)
    oracle("FLUSHALL")
    texts = [random_number_text(generator) for _ in range(1500)]
    commands: list[tuple[bytes | str | int, ...]] = []
    for text in texts:
        # SORT does not clear errno, so that an earlier range error would be held against it;
        # INCRBYFLOAT clears it.
        clear: tuple[bytes | str | int, ...] = ("INCRBYFLOAT", "f", "1")
        commands += [("RPUSH", "l", text), clear, ("SORT", "l"), ("DEL", "l")]
    replies = oracle.pipeline(commands)
    for index, text in enumerate(texts):
        value = parse_float_loosely(text, refuse_range_errors=True)
        expected: object = [text]
        if value is None:
            expected = "ERR One or more scores can't be converted into double"
        assert replies[4 * index + 2] == expected, text


@pytest.mark.redis_server
@pytest.mark.slow
def test_integers_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(25)
    oracle("FLUSHALL")
    texts = [random_number_text(generator) for _ in range(2000)]
    texts += [b"%d" % (sign * (2**63) + near) for sign in (1, -1) for near in range(-3, 3)]
    commands: list[tuple[bytes | str | int, ...]] = []
    for text in texts:
        commands += [("INCRBY", "n", text), ("DEL", "n")]
    replies = oracle.pipeline(commands)
    for text, reply in zip(texts, replies[::2], strict=True):
        value = parse_integer(text)
        expected = "ERR value is not an integer or out of range" if value is None else value
        assert reply == expected, text


@pytest.mark.redis_server
@pytest.mark.slow
def test_stream_ids_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(26)
    oracle("FLUSHALL")
    extra = [b"007", b"+7", b" 7", b"7 ", b"18446744073709551615", b"18446744073709551616"]
    texts = [random_number_text(generator) for _ in range(1500)] + extra * 3
    texts = [text for text in texts if b"-" not in text and text not in (b"", b"+", b"0", b"*")]
    commands: list[tuple[bytes | str | int, ...]] = []
    for text in texts:
        commands += [("XADD", "s", text, "f", "v"), ("DEL", "s")]
    replies = oracle.pipeline(commands)
    for text, reply in zip(texts, replies[::2], strict=True):
        value = parse_unsigned(text) if len(text) < 128 else None
        if value is None:
            assert reply == "ERR Invalid stream ID specified as stream command argument", text
        elif value == 0:
            assert reply == "ERR The ID specified in XADD must be greater than 0-0", text
        else:
            assert reply == b"%d-0" % value, text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"0", b"0"),
        (b"-0", b"0"),
        (b"-1e-30", b"-0"),
        (b"3.1", b"3.1"),
        (b"0.1", b"0.1"),
        (b"1e17", b"100000000000000000"),
        (b"18446744073709551615", b"18446744073709551615"),
        (b"18446744073709551617", b"18446744073709551616"),
        (b"36893488147419103233", b"36893488147419103232"),
        (b"0x1.8p1", b"3"),
        (b"0x1p-16445", b"0"),
        (b"0x1.8p-16446", b"0"),
        (b"1e-4950", b"0"),
        (b"0e-5000", b"0"),
        (b"inf", b"inf"),
        (b"-Infinity", b"-inf"),
        (b"0" * 5118 + b"7", b"7"),
    ]
    + [
        (text, None)
        for text in [
            b" 1",
            b"1 ",
            b"1\x00",
            b"",
            b"0" * 5119 + b"7",
            b"0." + b"0" * 5000 + b"1",
            *b"0x1p-16446 1e-5000 1e4933 1e999999999999999999999 nan".split(),
        ]
    ],
)
def test_long_doubles(text: bytes, expected: bytes | None) -> None:
    value = parse_long_double(text)
    if expected == b"-0":
        expected = b"0"
    assert (None if value is None else format_long_double(value)) == expected


def increment(left: bytes, right: bytes) -> bytes | None:
    first, second = parse_long_double(left), parse_long_double(right)
    assert first is not None
    assert second is not None
    total = add_long_doubles(first, second)
    return None if total is None else format_long_double(total)


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        (b"10.50", b"0.1", b"10.6"),
        (b"10.6", b"-5", b"5.6"),
        (b"5.0e3", b"2.0e2", b"5200"),
        (b"0.1", b"0.2", b"0.3"),
        (b"1", b"-1", b"0"),
        (b"1e-4940", b"-1e-4940", b"0"),
        (b"1e4932", b"1e4932", None),
        (b"inf", b"1", None),
        (b"inf", b"-inf", None),
        (b"18446744073709551616", b"1", b"18446744073709551616"),
        (b"18446744073709551616", b"3", b"18446744073709551620"),
    ],
)
def test_adding(left: bytes, right: bytes, expected: bytes | None) -> None:
    assert increment(left, right) == expected


def test_the_largest_number_is_printed_in_full() -> None:
    largest = parse_long_double(b"0xf.fffffffffffffffp16380")
    assert largest is not None
    text = format_long_double(largest)
    assert len(text) == 4933
    assert text.startswith(
        b"1189731495357231765021263853030970205169063322294624200440323733891737"
    )
    assert parse_long_double(text) == largest
    assert parse_long_double(b"0xf.fffffffffffffff8p16380") is None


def test_integers_convert_exactly() -> None:
    for value in (0, 1, -1, 2**63 - 1, -(2**63)):
        assert format_long_double(long_double_from_integer(value)) == b"%d" % value
        assert parse_long_double(b"%d" % value) is not None
    assert format_long_double(LONG_DOUBLE_ZERO) == b"0"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, b"0"),
        (-0.5, b"-0.5"),
        (13.36138933897018433, b"13.36138933897018433"),
        (1e22, b"10000000000000000000000"),
        (1e-20, b"0"),
    ],
)
def test_doubles_convert_exactly(value: float, expected: bytes) -> None:
    assert format_long_double(long_double_from_double(value)) == expected


@pytest.mark.redis_server
@pytest.mark.slow
@pytest.mark.parametrize("seed", [31, 32])
def test_increments_of_the_real_server(oracle: Oracle, seed: int) -> None:
    generator = random.Random(seed)
    oracle("FLUSHALL")
    pairs = [(random_long_text(generator), random_long_text(generator)) for _ in range(2500)]
    commands: list[tuple[bytes | str | int, ...]] = []
    for left, right in pairs:
        commands += [("SET", "n", left), ("INCRBYFLOAT", "n", right), ("GET", "n")]
    replies = oracle.pipeline(commands)
    succeeded = 0
    for index, (left, right) in enumerate(pairs):
        first, second = parse_long_double(left), parse_long_double(right)
        expected: object
        if first is None or second is None:
            expected = "ERR value is not a valid float"
        elif (total := add_long_doubles(first, second)) is None:
            expected = "ERR increment would produce NaN or Infinity"
        else:
            expected = format_long_double(total)
            succeeded += 1
        assert replies[3 * index + 1] == expected, (left, right)
    assert succeeded > 500


@pytest.mark.redis_server
def test_hash_increments_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(33)
    oracle("FLUSHALL")
    expected = LONG_DOUBLE_ZERO
    for _ in range(300):
        text = b"%.*f" % (generator.randrange(8), generator.uniform(-1e6, 1e6))
        amount = parse_long_double(text)
        assert amount is not None
        total = add_long_doubles(expected, amount)
        assert total is not None
        printed = format_long_double(total)
        assert oracle("HINCRBYFLOAT", "h", "f", text) == printed
        reread = parse_long_double(printed)
        assert reread is not None
        expected = reread
