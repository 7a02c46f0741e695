"""What commands answer to scripts: short and long arrays, read by Lua or by the node, are alike."""

import pytest

from ..harness import MemoryNode

_TYPES = (
    "local out = {} for i, x in ipairs(redis.call(unpack(ARGV))) do "
    "out[i] = type(x) .. ':' .. tostring(x) end return out"
)


@pytest.mark.parametrize("count", [0, 1, 3, 10, 200, 999, 1000, 1001, 1500])
def test_arrays_of_any_length(count: int) -> None:
    node = MemoryNode()
    values = [f"value {number}" for number in range(count)]
    if values:
        node.call("RPUSH", "list", *values)
    script = "return redis.call('LRANGE', 'list', 0, -1)"
    assert node.call("EVAL", script, 0) == [value.encode() for value in values]
    assert node.call("EVAL", "redis.setresp(3) " + script, 0) == [v.encode() for v in values]
    assert node.call("EVAL", "return #redis.call('LRANGE', 'list', 0, -1)", 0) == count


@pytest.mark.parametrize(
    "value", ["x", "x" * 100, "", "a\n+b", "a\r\n+OK\r\n" * 20, "\0\r\n$5\r\n"]
)
def test_texts_and_nulls(value: str) -> None:
    node = MemoryNode()
    node.call("SET", "key", value)
    reply = node.call("EVAL", _TYPES, 0, "MGET", "key", "missing", "key", "missing")
    text = f"string:{value}".encode()
    assert reply == [text, b"boolean:false", text, b"boolean:false"]


def test_numbers_stay_numbers() -> None:
    node = MemoryNode()
    node.call("SADD", "set", *range(30))
    members = [*range(30), "missing"] * 2
    reply = node.call("EVAL", _TYPES, 0, "SMISMEMBER", "set", *members)
    assert reply == [*[b"number:1"] * 30, b"number:0"] * 2


def test_nested_arrays_and_status_lines() -> None:
    node = MemoryNode()
    for number in range(20):
        node.call("XADD", "stream", f"{number + 1}-1", "field", "value")
    script = "local r = redis.call('XRANGE', 'stream', '-', '+') return {#r, r[20][2][2], r[1][1]}"
    assert node.call("EVAL", script, 0) == [20, b"value", b"1-1"]
    script = "return type(redis.call('COMMAND', 'INFO', 'get')[1][3][1].ok)"
    assert node.call("EVAL", script, 0) == b"string"
    assert node.call("EVAL", _TYPES, 0, "COMMAND", "GETKEYS", "MGET", *"abcdefghijklmnop") == [
        f"string:{name}".encode() for name in "abcdefghijklmnop"
    ]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("0", b"0"),
        ("-0", b"-0"),
        ("1e15", b"1000000000000000"),
        ("2^53 - 1", b"9007199254740991"),
        ("2^53", b"9007199254740992"),
        ("1e17", b"1e+17"),
        ("-2^63", b"-9.2233720368547758e+18"),
        ("99.5", b"99.5"),
        ("0.1", b"0.10000000000000001"),
        ("1/0", b"inf"),
    ],
)
def test_numbers_as_arguments(word: str, expected: bytes) -> None:
    node = MemoryNode()
    # The sign of a zero is seen wherever it stands.
    for before in range(8):
        words = "'x', " * before
        script = f"redis.call('RPUSH', 'list', {words}{word}) return redis.call('LPOP', 'list', 9)"
        assert node.call("EVAL", script, 0) == [*[b"x"] * before, expected]


def test_time_goes_on_in_a_script() -> None:
    node = MemoryNode()
    moments = iter(range(1_000_000, 9_000_000, 7))
    node.machine.unix_time_us = lambda: next(moments)
    script = "return {redis.call('TIME')[2], redis.call('TIME')[2]}"
    assert node.call("EVAL", script, 0) == [b"0", b"7"]


def test_lists_with_named_fields_are_no_lists() -> None:
    node = MemoryNode()
    for script, expected in (
        ("local t = {} t.ok = 'fine' t[1] = 1 t[2] = 2 return t", "fine"),
        ("local t = {1, 2} t.other = 1 return t", [1, 2]),
        ("return setmetatable({1}, {__index = {ok = 'x'}})", [1]),
        ("return {1, 'a', {2, {'b'}}, nil, 5}", [1, b"a", [2, [b"b"]]]),
    ):
        assert node.call("EVAL", script, 0) == expected
