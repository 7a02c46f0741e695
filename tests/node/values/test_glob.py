"""Glob patterns: a hand-made table, bounded time, and the real server's own answers."""

from __future__ import annotations

import random
import time
from typing import cast

import pytest

from clustrio.node.values.glob import (
    _match_segments,
    _parse,
    compile_glob,
    glob_match,
    matches_everything,
)

from .conftest import Oracle

CASES = [
    (b"", b"", True),
    (b"", b"a", False),
    (b"*", b"", False),
    (b"**", b"", False),
    (b"*", b"a", True),
    (b"***", b"abc", True),
    (b"a", b"a", True),
    (b"a", b"ab", False),
    (b"ab", b"a", False),
    (b"a*", b"a", True),
    (b"a**", b"a", True),
    (b"a*b", b"ab", True),
    (b"a*b", b"aba", False),
    (b"ab*ba", b"aba", False),
    (b"ab*ba", b"abba", True),
    (b"*a", b"ba", True),
    (b"*a*", b"bab", True),
    (b"*a*", b"b", False),
    (b"?", b"", False),
    (b"?", b"\xff", True),
    (b"??*", b"a", False),
    (b"h?llo", b"hallo", True),
    (b"h[ae]llo", b"hello", True),
    (b"h[ae]llo", b"hillo", False),
    (b"h[^e]llo", b"hello", False),
    (b"h[^e]llo", b"hallo", True),
    (b"[a-c]", b"b", True),
    (b"[c-a]", b"b", True),
    (b"[a-c]", b"d", False),
    (b"[\\a-c]", b"b", False),
    (b"[\\a-c]", b"-", True),
    (b"[a-]", b"_", True),  # A range from "a" to "]", and the class goes on.
    (b"[a-", b"-", True),
    (b"[abc", b"c", True),
    (b"[abc", b"d", False),
    (b"[", b"[", False),
    (b"[^", b"[", True),
    (b"[]", b"]", False),
    (b"[^]", b"]", True),
    (b"[]a]", b"a", False),
    (b"[\\]]", b"]", True),
    (b"[\\", b"\\", True),
    (b"[\\\\]", b"\\", True),
    (b"\\", b"\\", True),
    (b"\\*", b"*", True),
    (b"\\*", b"a", False),
    (b"a\\", b"a\\", True),
    (b"[a-\xff]", b"b", False),  # Signed bytes: 0xff is -1, so this is -1 to 97.
    (b"[a-\xff]", b"\x00", True),
    (b"[\x80-\xff]", b"\xc3", True),
    (b"a\x00*", b"a\x00b", True),
    (b"a.c", b"abc", False),
    (b"a\n*c", b"a\nb\nc", True),
    (b"a?c", b"a\nc", True),
    (b"*[bc]*[bc]?", b"xbxbc", True),
    (b"*[bc]*[bc]?", b"xbxxc", False),
]


@pytest.mark.parametrize(("pattern", "text", "expected"), CASES)
def test_table(pattern: bytes, text: bytes, expected: bool) -> None:
    assert glob_match(pattern, text) is expected
    assert compile_glob(pattern)(text) is expected
    assert _match_segments(_parse(pattern, False), text) is expected


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (b"FOO*", b"foobar", True),
        (b"foo*", b"FOOBAR", True),
        (b"[A-C]x", b"bX", True),
        (b"[a-c]x", b"BX", True),
        (b"[Z-a]", b"z", False),  # Lowered after the swap: "z" to "a".
        (b"[^q]", b"Q", False),
        (b"[\\q]", b"Q", False),  # An escaped byte in a class keeps its case.
        (b"\\Q", b"q", True),
        (b"_", b"\x7f", False),
    ],
)
def test_ignoring_case(pattern: bytes, text: bytes, expected: bool) -> None:
    assert glob_match(pattern, text, ignore_case=True) is expected


def test_only_the_lone_star_is_no_filter() -> None:
    assert matches_everything(b"*")
    assert not matches_everything(b"**")


def test_bytearrays_are_compared_too() -> None:
    # The declared types know strings as bytes alone.
    assert not glob_match(b"a", cast("bytes", bytearray(b"b")))
    assert glob_match(b"a", cast("bytes", bytearray(b"a")))


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (b"a*" * 500 + b"b", b"a" * 20_000),
        (b"a*" * 5_000 + b"b", b"a" * 2_000),
        (b"*a" * 500 + b"?b*", b"a" * 20_000),
        (b"*[ab]" * 500 + b"c*", b"ab" * 5_000),
        (b"*" * 100_000 + b"b", b"a" * 100_000),
    ],
)
def test_hostile_patterns_take_bounded_time(pattern: bytes, text: bytes) -> None:
    started = time.perf_counter()
    assert glob_match(pattern, text) is False
    assert time.perf_counter() - started < 2.0


def test_more_than_a_thousand_stars_still_match() -> None:
    assert glob_match(b"a*" * 3_000, b"a" * 3_000) is True


def random_pattern(generator: random.Random) -> bytes:
    pieces = [b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"a", b"b", b"c", b"B", b"\xff", b"\x80"]
    whole = [b"[a-c]", b"[^b]", b"[c-a]", b"**", b"\\*", b"[]", b"[^]", b"[\\]a]"]
    return b"".join(generator.choice(pieces + whole) for _ in range(generator.randrange(8)))


def random_texts(generator: random.Random, count: int) -> list[bytes]:
    alphabet = b"aabbccABC-]^[\\*?\xff\x80\x00_"
    return sorted(
        {
            bytes(generator.choice(alphabet) for _ in range(generator.randrange(7)))
            for _ in range(count)
        }
    )


@pytest.mark.parametrize("ignore_case", [False, True])
def test_prepared_and_plain_matching_agree(ignore_case: bool) -> None:
    generator = random.Random(11)
    texts = random_texts(generator, 60)
    for _ in range(400):
        pattern = random_pattern(generator)
        segments = _parse(pattern, ignore_case)
        matcher = compile_glob(pattern, ignore_case)
        for text in texts:
            assert matcher(text) is _match_segments(segments, text), (pattern, text)


@pytest.mark.redis_server
@pytest.mark.slow
def test_keys_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(12)
    texts = random_texts(generator, 150)
    oracle("FLUSHALL")
    oracle("MSET", *(word for text in texts for word in (text, b"1")))
    patterns = [case[0] for case in CASES] + [random_pattern(generator) for _ in range(3000)]
    replies = oracle.pipeline([("KEYS", pattern) for pattern in patterns])
    for pattern, reply in zip(patterns, replies, strict=True):
        assert isinstance(reply, list)
        matcher = compile_glob(pattern)
        expected = [text for text in texts if matches_everything(pattern) or matcher(text)]
        assert sorted(reply) == expected, pattern


@pytest.mark.redis_server
def test_command_list_of_the_real_server_ignores_case(oracle: Oracle) -> None:
    generator = random.Random(13)
    names = oracle("COMMAND", "LIST")
    assert isinstance(names, list)
    pieces = [b"*", b"?", b"s", b"E", b"T", b"[A-g]", b"[g-Z]", b"[^E]", b"[x-D]", b"[\\S]", b"G"]
    for _ in range(300):
        pattern = b"".join(generator.choice(pieces) for _ in range(1 + generator.randrange(5)))
        reply = oracle("COMMAND", "LIST", "FILTERBY", "PATTERN", pattern)
        assert isinstance(reply, list)
        expected = [name for name in names if glob_match(pattern, name, ignore_case=True)]
        assert sorted(reply) == sorted(expected), pattern
