"""Strings, counters and ranges: replies, limits, pipelines."""

import pytest

from clustrio.node.session import ClientKind

from ..harness import Failure, MemoryNode, Plain, Word

SYNTAX = Failure("ERR syntax error")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
NOT_A_FLOAT = Failure("ERR value is not a valid float")
TOO_LONG = Failure("ERR string exceeds maximum allowed size (proto-max-bulk-len)")
OVERFLOW = Failure("ERR increment or decrement would overflow")
MAXIMUM = 2**63 - 1
MINIMUM = -(2**63)

Calls = list[tuple[str, Plain]]


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.fixture
def with_collection(node: MemoryNode) -> MemoryNode:
    """A node with something under `other` that is no string."""
    node.session.db.set(b"other", [b"not a string"])
    return node


def invalid_expire(name: str) -> Failure:
    return Failure(f"ERR invalid expire time in '{name}' command")


CONVERSATIONS: dict[str, Calls] = {
    "get and set": [
        ("GET k", None),
        ("SET k v", "OK"),
        ("GET k", b"v"),
        ("set k w", "OK"),
        ("get k", b"w"),
    ],
    "set nx and xx": [
        ("SET k v XX", None),
        ("SET k v NX", "OK"),
        ("SET k w nx", None),
        ("SET k w xx XX", "OK"),
        ("GET k", b"w"),
        ("SET k w NX XX", SYNTAX),
        ("SET k w XX NX", SYNTAX),
    ],
    "set get": [
        ("SET k v GET", None),
        ("SET k w GET", b"v"),
        ("SET k x NX GET", b"w"),
        ("GET k", b"w"),
        ("SET none x XX GET", None),
        ("GET none", None),
        ("SET k x GET GET XX XX", b"w"),
    ],
    "set ifeq": [
        ("SET k v IFEQ v", None),
        ("GET k", None),
        ("SET k v", "OK"),
        ("SET k w IFEQ x", None),
        ("SET k w IFEQ x GET", b"v"),
        ("SET k w IFEQ v GET", b"v"),
        ("SET k GET ifeq w", "OK"),
        ("SET k x IFEQ GET GET", b"GET"),
        ("SET k v IFEQ", SYNTAX),
        ("SET k v IFEQ x NX", SYNTAX),
        ("SET k v XX IFEQ x", SYNTAX),
        ("GET k", b"x"),
    ],
    "set with lifetimes that clash": [
        ("SET k v EX 10 PX 10", SYNTAX),
        ("SET k v EX 10 KEEPTTL", SYNTAX),
        ("SET k v KEEPTTL PXAT 10", SYNTAX),
        ("SET k v EXAT 10 EX 10", SYNTAX),
        ("SET k v EX", SYNTAX),
        ("SET k v PERSIST", SYNTAX),
        ("SET k v 10", SYNTAX),
        ("GET k", None),
        ("SET k v EX 10 EX 20", "OK"),
    ],
    "mget and mset": [
        ("MSET a 1 b 2 a 3", "OK"),
        ("MGET a none b", [b"3", None, b"2"]),
        ("MGET a b", [b"3", b"2"]),
        ("MSET a 1 b", Failure("ERR wrong number of arguments for 'mset' command")),
        ("MSETNX a 1 b", Failure("ERR wrong number of arguments for 'msetnx' command")),
        ("MSETNX c 1 a 2", 0),
        ("MGET a c", [b"3", None]),
        ("MSETNX c 1 c 2", 1),
        ("GET c", b"2"),
    ],
    "getset, getdel, setnx": [
        ("GETSET k v", None),
        ("GETSET k w", b"v"),
        ("SETNX k x", 0),
        ("GETDEL k", b"w"),
        ("GETDEL k", None),
        ("SETNX k x", 1),
        ("GET k", b"x"),
    ],
    "delifeq": [
        ("DELIFEQ k v", 0),
        ("SET k v", "OK"),
        ("DELIFEQ k w", 0),
        ("GET k", b"v"),
        ("DELIFEQ k v", 1),
        ("GET k", None),
    ],
    "getex": [
        ("GETEX k EX nonsense", None),
        ("GETEX k NONSENSE", SYNTAX),
        ("SET k v", "OK"),
        ("GETEX k", b"v"),
        ("GETEX k EX nonsense", NOT_AN_INTEGER),
        ("GETEX k EX 0", invalid_expire("getex")),
        ("GETEX k EX 10 PERSIST", SYNTAX),
        ("GETEX k PERSIST EX 10", SYNTAX),
        ("GETEX k KEEPTTL", SYNTAX),
        ("GETEX k PX", SYNTAX),
        ("GETEX k PERSIST PERSIST", b"v"),
    ],
    "counters": [
        ("INCR n", 1),
        ("INCRBY n 41", 42),
        ("DECR n", 41),
        ("DECRBY n 42", -1),
        ("GET n", b"-1"),
        ("INCRBY n x", NOT_AN_INTEGER),
        ("DECRBY n 1.0", NOT_AN_INTEGER),
        ("DECRBY n 9223372036854775808", NOT_AN_INTEGER),
        (f"DECRBY n {MINIMUM}", Failure("ERR decrement would overflow")),
        (f"SET n {MAXIMUM}", "OK"),
        ("INCR n", OVERFLOW),
        ("INCRBY n 1", OVERFLOW),
        ("DECRBY n -1", OVERFLOW),
        ("DECR n", MAXIMUM - 1),
        (f"SET n {MINIMUM}", "OK"),
        ("DECR n", OVERFLOW),
        ("INCR n", MINIMUM + 1),
        ("SET n 007", "OK"),
        ("INCR n", NOT_AN_INTEGER),
        ("DECR n", NOT_AN_INTEGER),
    ],
    "incrbyfloat": [
        ("INCRBYFLOAT n 0.1", b"0.1"),
        ("INCRBYFLOAT n 0.2", b"0.3"),
        ("INCRBYFLOAT n 1e2", b"100.3"),
        ("INCRBYFLOAT n -0.3", b"100"),
        ("INCR n", 101),
        ("INCRBYFLOAT n x", NOT_A_FLOAT),
        ("INCRBYFLOAT n nan", NOT_A_FLOAT),
        ("INCRBYFLOAT n inf", Failure("ERR increment would produce NaN or Infinity")),
        ("SET n x", "OK"),
        ("INCRBYFLOAT n 1", NOT_A_FLOAT),
    ],
    "append and strlen": [
        ("STRLEN k", 0),
        ("APPEND k ab", 2),
        ("APPEND k cd", 4),
        ("APPEND k ef", 6),
        ("GET k", b"abcdef"),
        ("STRLEN k", 6),
        ("GETSET k 7", b"abcdef"),
        ("APPEND k 1", 2),
        ("INCR k", 72),
        ("APPEND k 1", 3),
        ("INCRBYFLOAT k 0.5", b"721.5"),
    ],
    "setrange": [
        ("SETRANGE k 2 ab", 4),
        ("SETRANGE k 0 x", 4),
        ("GET k", b"x\0ab"),
        ("SETRANGE k 3 yz", 5),
        ("GET k", b"x\0ayz"),
        ("SETRANGE k -1 x", Failure("ERR offset is out of range")),
        ("SETRANGE k x x", NOT_AN_INTEGER),
        ("SETRANGE k 536870912 x", TOO_LONG),
        (f"SETRANGE k {MAXIMUM} x", TOO_LONG),
        ("SET s abc", "OK"),
        ("SETRANGE s 1 x", 3),
        ("GET s", b"axc"),
    ],
    "getrange": [
        ("GETRANGE k 0 -1", b""),
        ("SET k abcdef", "OK"),
        ("GETRANGE k 0 -1", b"abcdef"),
        ("GETRANGE k 1 2", b"bc"),
        ("GETRANGE k -2 -1", b"ef"),
        ("GETRANGE k -1 -2", b""),
        ("GETRANGE k -100 1", b"ab"),
        ("GETRANGE k -7 1", b"ab"),
        ("GETRANGE k 0 -100", b"a"),
        ("GETRANGE k 3 2", b""),
        ("GETRANGE k 6 9", b""),
        (f"GETRANGE k {MINIMUM} {MAXIMUM}", b"abcdef"),
        ("GETRANGE k x 1", NOT_AN_INTEGER),
        ("GETRANGE k 1 x", NOT_AN_INTEGER),
        ("SUBSTR k 1 1", b"b"),
    ],
    "lcs": [
        ("MSET a ohmytext b mynewtext", "OK"),
        ("LCS a b", b"mytext"),
        ("LCS a b len", 6),
        ("LCS a none", b""),
        ("LCS none none LEN", 0),
        (
            "LCS a b IDX",
            [b"matches", [[[4, 7], [5, 8]], [[2, 3], [0, 1]]], b"len", 6],
        ),
        (
            "LCS a b IDX MINMATCHLEN 3 WITHMATCHLEN",
            [b"matches", [[[4, 7], [5, 8], 4]], b"len", 6],
        ),
        ("LCS a b MINMATCHLEN x", NOT_AN_INTEGER),
        ("LCS a b MINMATCHLEN", SYNTAX),
        ("LCS a b NONSENSE", SYNTAX),
        (
            "LCS a b LEN IDX",
            Failure("ERR If you want both the length and indexes, please just use IDX."),
        ),
    ],
}


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies(node: MemoryNode, name: str) -> None:
    for line, expected in CONVERSATIONS[name]:
        assert node.call(*line.split()) == expected, line


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies_are_the_same_while_nobody_watches(node: MemoryNode, name: str) -> None:
    node.observe(False)
    for line, expected in CONVERSATIONS[name]:
        assert node.call(*line.split()) == expected, line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("GET other", WRONG_TYPE),
        ("SET other v GET", WRONG_TYPE),
        ("SET other v IFEQ v", WRONG_TYPE),
        ("SET other v", "OK"),
        ("SET other v NX", None),
        ("SETNX other v", 0),
        ("GETSET other v", WRONG_TYPE),
        ("GETDEL other", WRONG_TYPE),
        ("GETEX other EX nonsense", WRONG_TYPE),
        ("DELIFEQ other v", WRONG_TYPE),
        ("MGET other", [None]),
        ("INCR other", WRONG_TYPE),
        ("INCRBY other x", NOT_AN_INTEGER),
        ("DECRBY other 1", WRONG_TYPE),
        ("INCRBYFLOAT other x", WRONG_TYPE),
        ("APPEND other x", WRONG_TYPE),
        ("STRLEN other", WRONG_TYPE),
        ("SETRANGE other x x", NOT_AN_INTEGER),
        ("SETRANGE other 536870912 x", WRONG_TYPE),
        ("GETRANGE other x 1", NOT_AN_INTEGER),
        ("GETRANGE other 0 1", WRONG_TYPE),
        ("LCS k other NONSENSE", Failure("ERR The specified keys must contain string values")),
    ],
)
def test_what_is_no_string(with_collection: MemoryNode, line: str, expected: Plain) -> None:
    assert with_collection.call(*line.split()) == expected


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("APPEND", "long", b"x" * 1_000_000), 1_048_576),
        (("APPEND", "long", b"x" * 1_000_001), TOO_LONG),
        (("SETRANGE", "none", 1_048_575, "x"), 1_048_576),
        (("SETRANGE", "none", 1_048_576, "x"), TOO_LONG),
        (("SETRANGE", "long", 1_048_575, "xx"), TOO_LONG),
        (
            ("LCS", "long", "long"),
            Failure("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"),
        ),
    ],
)
def test_strings_have_a_longest_length(words: tuple[Word, ...], expected: Plain) -> None:
    node = MemoryNode(proto_max_bulk_len="1mb")
    node.call("SET", "long", b"y" * 48_576)
    node.take_batches()
    assert node.call(*words) == expected
    assert bool(node.take_batches()) == (not isinstance(expected, Failure))


def test_a_primary_may_send_longer_strings() -> None:
    node = MemoryNode(proto_max_bulk_len="1mb")
    node.session.kind = ClientKind.MASTER
    assert node.call("SETRANGE", "k", 1_048_576, "x") == 1_048_577


def test_strings_are_bytes_until_edited(node: MemoryNode) -> None:
    db = node.session.db
    for line, kind in (
        ("SET k v", bytes),
        ("APPEND k w", bytearray),
        ("APPEND k x", bytearray),
        ("SET k 1", bytes),
        ("SETRANGE k 0 2", bytearray),
        ("INCR k", bytes),
        ("APPEND new v", bytes),
    ):
        node.call(*line.split())
        assert type(db.peek(line.split()[1].encode())) is kind, line


def test_resp3_speaks_of_maps_and_nulls(node: MemoryNode) -> None:
    node.session.use_protocol(3)
    assert node.receive(("GET", "k")) == b"_\r\n"
    assert node.receive(("MGET", "k")) == b"*1\r\n_\r\n"
    node.call("SET", "k", "ab")
    assert node.call("LCS", "k", "k", "IDX") == {b"matches": [[[0, 1], [0, 1]]], b"len": 2}


def test_long_values_are_sent_whole(node: MemoryNode) -> None:
    for length in (0, 1023, 1024, 100_000):
        node.call("SET", "k", b"\r\n" * (length // 2))
        expected = b"\r\n" * (length // 2)
        assert node.call("GET", "k") == expected
        assert node.call("MGET", "k", "k") == [expected, expected]


# --- pipelines of one command --------------------------------------------------------------------


def test_a_pipeline_of_gets(node: MemoryNode) -> None:
    node.observe(False)
    db = node.session.db
    node.call("SET", "short", "v")
    node.call("SET", "long", "v" * 2000)
    node.call("APPEND", "edited", "a")
    node.call("APPEND", "edited", "b")
    db.set(b"other", [b"not a string"])
    keys = ["short", "none", "long", "edited", "other", "short", "none"]
    hits, misses = db.hits, db.misses
    replies = node.send(*[("GET", key) for key in keys])
    assert replies == [b"v", None, b"v" * 2000, b"ab", WRONG_TYPE, b"v", None]
    assert (db.hits - hits, db.misses - misses) == (5, 2)
    assert node.machine.gate.error_counts["WRONGTYPE"] == 1


def test_a_pipeline_of_sets(node: MemoryNode) -> None:
    node.observe(False)
    node.call("SET", "k0", "old", "EX", 10)
    effects = node.machine.keyspace.effects
    dirty_before = effects.dirty
    assert node.send(*[("SET", f"k{number % 7}", number) for number in range(10)]) == ["OK"] * 10
    assert node.call("MGET", *[f"k{number}" for number in range(7)]) == [
        b"%d" % number for number in (7, 8, 9, 3, 4, 5, 6)
    ]
    assert node.session.db.expiry(b"k0") is None
    assert effects.dirty - dirty_before == 10


@pytest.mark.parametrize("name", ["GET", "SET"])
def test_a_pipeline_with_something_out_of_the_ordinary(node: MemoryNode, name: str) -> None:
    node.observe(False)
    usual = (name, "k", "v")[: 2 if name == "GET" else 3]
    odd = {"GET": ("GET",), "SET": ("SET", "k", "w", "GET")}[name]
    replies = node.send(*[usual] * 7, odd, *[usual] * 7)
    assert len(replies) == 15
    assert (
        replies[7]
        == {
            "GET": Failure("ERR wrong number of arguments for 'get' command"),
            "SET": b"v",
        }[name]
    )
    assert replies[:7] == replies[8:]


def test_a_pipeline_that_is_observed_has_effects_one_by_one(node: MemoryNode) -> None:
    node.send(*[("SET", "k", number) for number in range(8)])
    assert node.take_propagated() == [[b"SET", b"k", b"%d" % number] for number in range(8)]


def test_integers_where_strings_must_be_end_the_connection(node: MemoryNode) -> None:
    node.observe(False)
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    odd = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n:1\r\n"
    replies = node.machine.receive(node.session, request * 7 + odd)
    assert replies == b"+OK\r\n" * 7 + b"-ERR Protocol error: expected '$', got ':'\r\n"
    assert node.session.close_after_reply
