"""Longest common subsequences: the textbook table, and the real server's choices."""

from __future__ import annotations

import random

import pytest

from clustrio.node.values.lcs import Match, common_length, common_subsequence, fits_memory

from .conftest import Oracle


@pytest.mark.parametrize(
    ("left", "right", "text", "matches"),
    [
        (b"", b"", b"", ()),
        (b"abc", b"", b"", ()),
        (b"", b"abc", b"", ()),
        (b"abc", b"xyz", b"", ()),
        (b"abc", b"abc", b"abc", (Match(0, 2, 0, 2),)),
        (b"ohmytext", b"mynewtext", b"mytext", (Match(4, 7, 5, 8), Match(2, 3, 0, 1))),
        (b"ab", b"ba", b"b", (Match(1, 1, 0, 0),)),
        (b"\x00\xff", b"\xff\x00", b"\xff", (Match(1, 1, 0, 0),)),
    ],
)
def test_table(left: bytes, right: bytes, text: bytes, matches: tuple[Match, ...]) -> None:
    found = common_subsequence(left, right)
    assert found.text == text
    assert found.matches == matches
    assert common_length(left, right) == found.length == len(text)


def test_short_matches_can_be_left_out() -> None:
    found = common_subsequence(b"ohmytext", b"mynewtext")
    assert [match.length for match in found.matches_of_length(4)] == [4]
    assert len(found.matches_of_length(0)) == len(found.matches_of_length(-1)) == 2
    assert found.matches_of_length(5) == []


def plain_table_walk(left: bytes, right: bytes) -> bytes:
    """The textbook's way, with the ties broken as the specification of this module says."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            best = max(table[i][j + 1], table[i + 1][j])
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else best
    i, j, text = len(left), len(right), bytearray()
    while i and j:
        if left[i - 1] == right[j - 1]:
            text.append(left[i - 1])
            i, j = i - 1, j - 1
        elif table[i - 1][j] > table[i][j - 1]:
            i -= 1
        else:
            j -= 1
    return bytes(text[::-1])


def random_pair(generator: random.Random) -> tuple[bytes, bytes]:
    alphabet = generator.choice([b"a", b"ab", b"abcd", bytes(range(256))])
    left, right = (
        bytes(generator.choice(alphabet) for _ in range(generator.randrange(40))) for _ in range(2)
    )
    return left, right


def test_against_the_textbook() -> None:
    generator = random.Random(61)
    for _ in range(150):
        left, right = random_pair(generator)
        assert common_subsequence(left, right).text == plain_table_walk(left, right)


def test_long_strings_are_fast_enough() -> None:
    generator = random.Random(62)
    left, right = (bytes(generator.choices(b"abcd", k=3000)) for _ in range(2))
    found = common_subsequence(left, right)
    assert found.length == common_length(left, right) > 1800


@pytest.mark.parametrize(
    ("left_size", "right_size", "expected"), [(0, 0, True), (9, 9, True), (9, 10, False)]
)
def test_the_memory_limit_is_that_of_four_bytes_a_cell(
    left_size: int, right_size: int, expected: bool
) -> None:
    assert fits_memory(left_size, right_size, 400) is expected


@pytest.mark.redis_server
def test_choices_of_the_real_server(oracle: Oracle) -> None:
    generator = random.Random(63)
    oracle("FLUSHALL")
    for _ in range(500):
        left, right = random_pair(generator)
        minimum = generator.choice([-1, 0, 1, 2, 3, 5])
        oracle("MSET", "a", left, "b", right)
        found = common_subsequence(left, right)
        assert oracle("LCS", "a", "b") == found.text
        assert oracle("LCS", "a", "b", "LEN") == common_length(left, right)
        expected = [
            [[m.left_start, m.left_end], [m.right_start, m.right_end], m.length]
            for m in found.matches_of_length(minimum)
        ]
        reply = oracle("LCS", "a", "b", "IDX", "MINMATCHLEN", minimum, "WITHMATCHLEN")
        assert reply == [b"matches", expected, b"len", found.length]


@pytest.mark.redis_server
def test_the_memory_limit_of_the_real_server(oracle: Oracle) -> None:
    oracle("FLUSHALL")
    default = oracle("CONFIG", "GET", "proto-max-bulk-len")
    assert isinstance(default, list)
    limit = 1024 * 1024
    oracle("CONFIG", "SET", "proto-max-bulk-len", limit)
    try:
        for left_size, right_size in [(511, 511), (511, 512), (1023, 255), (1023, 256)]:
            oracle("MSET", "a", b"x" * left_size, "b", b"x" * right_size)
            accepted = oracle("LCS", "a", "b", "LEN") == min(left_size, right_size)
            assert accepted is fits_memory(left_size, right_size, limit)
    finally:
        oracle("CONFIG", "SET", "proto-max-bulk-len", default[1])
