"""Hashes: replies, errors, encodings, random picks, scans, effects."""

import pytest

from ..harness import Failure, MemoryNode, Plain

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
OVERFLOW = Failure("ERR increment or decrement would overflow")
SYNTAX = Failure("ERR syntax error")
MAXIMUM = 2**63 - 1

Calls = list[tuple[str, Plain]]


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


CONVERSATIONS: dict[str, Calls] = {
    "set and get": [
        ("HSET h a 1 b 2", 2),
        ("HSET h a 3 c 4 c 5", 1),
        ("HGET h a", b"3"),
        ("HGET h z", None),
        ("HGET none z", None),
        ("HMGET h a z c", [b"3", None, b"5"]),
        ("HMGET none a b", [None, None]),
        ("HLEN h", 3),
        ("HLEN none", 0),
        ("HSTRLEN h a", 1),
        ("HSTRLEN h z", 0),
        ("HEXISTS h a", 1),
        ("HEXISTS h z", 0),
        ("HKEYS h", [b"a", b"b", b"c"]),
        ("HVALS h", [b"3", b"2", b"5"]),
        ("HGETALL h", [b"a", b"3", b"b", b"2", b"c", b"5"]),
        ("HGETALL none", []),
        ("HKEYS none", []),
        ("HSET h a", Failure("ERR wrong number of arguments for 'hset' command")),
        ("HSET h a 1 b", Failure("ERR wrong number of arguments for 'hset' command")),
        ("HMSET h a 1 b", Failure("ERR wrong number of arguments for 'hmset' command")),
        ("HMSET h a 1 b 2", "OK"),
    ],
    "set if absent": [
        ("HSETNX h a 1", 1),
        ("HSETNX h a 2", 0),
        ("HGET h a", b"1"),
    ],
    "delete": [
        ("HSET h a 1 b 2", 2),
        ("HDEL h a a z", 1),
        ("HDEL h b", 1),
        ("EXISTS h", 0),
        ("HDEL h b", 0),
    ],
    "integers": [
        ("HINCRBY h n 5", 5),
        ("HINCRBY h n -7", -2),
        (f"HINCRBY h n {MAXIMUM}", MAXIMUM - 2),
        ("HINCRBY h n 3", OVERFLOW),
        ("HINCRBY h n x", NOT_AN_INTEGER),
        ("HSET h t text", 1),
        ("HINCRBY h t 1", Failure("ERR hash value is not an integer")),
    ],
    "floats": [
        ("HINCRBYFLOAT h n 0.1", b"0.1"),
        ("HINCRBYFLOAT h n 0.2", b"0.3"),
        ("HINCRBYFLOAT h n 5.0e3", b"5000.29999999999999982"),
        ("HINCRBYFLOAT h n x", Failure("ERR value is not a valid float")),
        ("HINCRBYFLOAT h n inf", Failure("ERR value is NaN or Infinity")),
        ("HSET h t text i inf", 2),
        ("HINCRBYFLOAT h t 1", Failure("ERR hash value is not a float")),
        ("HINCRBYFLOAT h i 1", Failure("ERR increment would produce NaN or Infinity")),
    ],
    "wrong type": [
        ("SET s text", "OK"),
        ("HSET s a 1", WRONG_TYPE),
        ("HGET s a", WRONG_TYPE),
        ("HGETALL s", WRONG_TYPE),
        ("HINCRBY s a x", NOT_AN_INTEGER),
        ("HINCRBY s a 1", WRONG_TYPE),
        ("HDEL s a", WRONG_TYPE),
        ("HSCAN s x", Failure("ERR invalid cursor")),
        ("HSCAN s 0", WRONG_TYPE),
        ("HRANDFIELD s", WRONG_TYPE),
    ],
    "scan": [
        ("HSET h a 1 b 2", 2),
        ("HSCAN h 0", [b"0", [b"a", b"1", b"b", b"2"]]),
        ("HSCAN h 7 MATCH b COUNT 1", [b"0", [b"b", b"2"]]),
        ("HSCAN h 0 NOVALUES", [b"0", [b"a", b"b"]]),
        ("HSCAN h 0 COUNT 0", SYNTAX),
        ("HSCAN none 0 COUNT 0", [b"0", []]),
    ],
    "random fields": [
        ("HRANDFIELD none", None),
        ("HRANDFIELD none 3", []),
        ("HSET h a 1", 1),
        ("HRANDFIELD h", b"a"),
        ("HRANDFIELD h 3", [b"a"]),
        ("HRANDFIELD h 0", []),
        ("HRANDFIELD h -3", [b"a"] * 3),
        ("HRANDFIELD h -2 withvalues", [b"a", b"1"] * 2),
        ("HRANDFIELD h 1 WITHVALUE", SYNTAX),
        ("HRANDFIELD h 1 WITHVALUES x", SYNTAX),
        ("HRANDFIELD h x", NOT_AN_INTEGER),
        (f"HRANDFIELD h -{MAXIMUM} WITHVALUES", Failure("ERR value is out of range")),
        (f"HRANDFIELD h -{MAXIMUM}", Failure("ERR value is out of range")),
        (f"HRANDFIELD none -{MAXIMUM}", []),
        (
            f"HRANDFIELD h -{MAXIMUM + 1}",
            Failure(f"ERR value is out of range, value must between -{MAXIMUM} and {MAXIMUM}"),
        ),
    ],
}


@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("observed", [True, False])
def test_conversations(node: MemoryNode, calls: Calls, observed: bool) -> None:
    if not observed:
        node.observe(False)
    for line, reply in calls:
        assert node.call(*line.split()) == reply, line


def test_shapes_in_resp3(node: MemoryNode) -> None:
    node.call("HELLO", 3)
    assert node.receive(["HGETALL", "h"]) == b"%0\r\n"
    node.call("HSET", "h", "a", "1")
    assert node.receive(["HGETALL", "h"]) == b"%1\r\n$1\r\na\r\n$1\r\n1\r\n"
    assert node.receive(["HKEYS", "h"]) == b"*1\r\n$1\r\na\r\n"
    assert node.receive(["HRANDFIELD", "h", "1", "WITHVALUES"]) == (
        b"*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n"
    )
    assert node.receive(["HGET", "h", "z"]) == b"_\r\n"


@pytest.mark.parametrize("length", [1, 100, 1023, 1024, 5000])
@pytest.mark.parametrize("protocol", [2, 3])
def test_long_hashes(node: MemoryNode, protocol: int, length: int) -> None:
    node.call("HELLO", protocol)
    fields = {b"field:%d" % number: b"%d" % number * length for number in range(100)}
    node.call("HSET", "h", *(word for pair in fields.items() for word in pair))
    flat = node.call("HGETALL", "h")
    assert (flat if protocol == 3 else dict(zip(flat[::2], flat[1::2], strict=True))) == fields
    assert node.call("HKEYS", "h") == list(fields)
    assert node.call("HVALS", "h") == list(fields.values())


def test_encodings_follow_the_directives(node: MemoryNode) -> None:
    node.call("CONFIG", "SET", "hash-max-listpack-entries", 2, "hash-max-listpack-value", 4)
    node.call("HSET", "h", "a", "1234", "b", "2")
    assert node.call("OBJECT", "ENCODING", "h") == b"listpack"
    node.call("HSET", "h", "c", "3")
    assert node.call("OBJECT", "ENCODING", "h") == b"hashtable"
    node.call("HSET", "i", "a", "12345")
    assert node.call("OBJECT", "ENCODING", "i") == b"hashtable"


def test_a_whole_scan_and_random_fields_of_a_large_hash(node: MemoryNode) -> None:
    fields = {b"f%d" % number for number in range(1000)}
    node.call("HSET", "h", *(word for field in fields for word in (field, b"v" + field)))
    seen: list[bytes] = []
    cursor = b"0"
    while True:
        cursor, page = node.call("HSCAN", "h", cursor, "COUNT", 50)
        assert all(
            value == b"v" + field for field, value in zip(page[::2], page[1::2], strict=True)
        )
        seen += page[::2]
        if cursor == b"0":
            break
    assert sorted(seen) == sorted(fields)
    picked = node.call("HRANDFIELD", "h", 300)
    assert len(set(picked)) == 300
    assert set(picked) <= fields
    assert len(node.call("HRANDFIELD", "h", -1500)) == 1500
    assert len(node.call("HRANDFIELD", "h", -3)) == 3


@pytest.mark.parametrize(
    ("line", "sent", "events"),
    [
        ("HSET h b 2 c 3", None, [b"hset"]),
        ("HMSET h b 2", None, [b"hset"]),
        ("HSETNX h b 2", None, [b"hset"]),
        ("HSETNX h a 2", "", []),
        ("HINCRBY h a 2", None, [b"hincrby"]),
        ("HINCRBYFLOAT h a 0.5", "HSET h a 1.5", [b"hincrbyfloat"]),
        ("HDEL h z", "", []),
        ("HDEL h a z", None, [b"hdel", b"del"]),
        ("HGETALL h", "", []),
    ],
)
def test_effects(node: MemoryNode, line: str, sent: str | None, events: list[bytes]) -> None:
    node.call("HSET", "h", "a", "1")
    node.take_batches()
    node.call(*line.split())
    propagated, told = node.take_effects()
    expected = line if sent is None else sent
    assert propagated == ([expected.encode().split()] if expected else [])
    assert [name for _, name, _ in told] == events
    assert all(kind == ("g" if name == b"del" else "h") for kind, name, _ in told)
