"""DUMP and RESTORE: options, refusals, lifetimes, and what replicas are sent."""

import pytest

from clustrio.node.persistence.rdb import decode_value_untrusted

from ..harness import START_MS, Failure, MemoryNode

BUSY = Failure("BUSYKEY Target key name already exists.")
BAD_SEAL = Failure("ERR DUMP payload version or checksum are wrong")
BAD_FORMAT = Failure("ERR Bad data format")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.fixture
def payload(node: MemoryNode) -> bytes:
    node.call("SET", "source", "value")
    dumped = node.call("DUMP", "source")
    assert isinstance(dumped, bytes)
    return dumped


def test_a_key_that_is_not_there_has_no_dump(node: MemoryNode) -> None:
    assert node.call("DUMP", "missing") is None


@pytest.mark.parametrize(
    ("fill", "look"),
    [
        (("SET", "k", "text"), ("GET", "k")),
        (("RPUSH", "k", "a", "b", "a"), ("LRANGE", "k", 0, -1)),
        (("SADD", "k", "1", "2"), ("SMEMBERS", "k")),
        (("ZADD", "k", "1.5", "a", "inf", "b"), ("ZRANGE", "k", 0, -1, "WITHSCORES")),
        (("HSET", "k", "a", "1", "b", "2"), ("HGETALL", "k")),
        (("XADD", "k", "5-1", "a", "1"), ("XRANGE", "k", "-", "+")),
        (("PFADD", "k", "a", "b"), ("PFCOUNT", "k")),
    ],
    ids=lambda words: words[0],
)
def test_every_type_goes_there_and_back(
    node: MemoryNode, fill: tuple[str, ...], look: tuple[str, ...]
) -> None:
    node.call(*fill)
    expected = node.call(*look)
    encoding = node.call("OBJECT", "ENCODING", "k")
    dumped = node.call("DUMP", "k")
    node.call("DEL", "k")
    assert node.call("RESTORE", "k", 0, dumped) == "OK"
    assert node.call(*look) == expected
    assert node.call("TTL", "k") == -1
    if fill[0] != "PFADD":
        assert node.call("OBJECT", "ENCODING", "k") == encoding


def test_an_existing_key_must_be_replaced_expressly(node: MemoryNode, payload: bytes) -> None:
    node.call("SET", "k", "old", "EX", 100)
    assert node.call("RESTORE", "k", 0, payload) == BUSY
    # A key that is taken is told of before anything that is wrong with the rest.
    assert node.call("RESTORE", "k", "x", b"") == BUSY
    assert node.call("RESTORE", "k", 0, payload, "REPLACE") == "OK"
    assert node.call("GET", "k") == b"value"
    assert node.call("TTL", "k") == -1


def test_lifetimes_are_relative_or_absolute(node: MemoryNode, payload: bytes) -> None:
    assert node.call("RESTORE", "k", 5000, payload) == "OK"
    assert node.call("PEXPIRETIME", "k") == START_MS + 5000
    assert node.call("RESTORE", "k", START_MS + 7, payload, "ABSTTL", "REPLACE") == "OK"
    assert node.call("PEXPIRETIME", "k") == START_MS + 7


def test_a_lifetime_beyond_all_numbers_is_over(node: MemoryNode, payload: bytes) -> None:
    assert node.call("RESTORE", "k", 2**63 - 1, payload) == "OK"
    assert node.call("EXISTS", "k") == 0
    assert node.call("RESTORE", "k", 2**63 - 1, payload, "ABSTTL") == "OK"
    assert node.call("PEXPIRETIME", "k") == 2**63 - 1


def test_a_lifetime_that_is_over_leaves_no_key(node: MemoryNode, payload: bytes) -> None:
    node.take_propagated()
    assert node.call("RESTORE", "k", 1, payload, "ABSTTL") == "OK"
    assert node.call("EXISTS", "k") == 0
    assert node.take_propagated() == []
    node.call("SET", "k", "old")
    node.take_effects()
    assert node.call("RESTORE", "k", 1, payload, "ABSTTL", "REPLACE") == "OK"
    assert node.call("EXISTS", "k") == 0
    commands, events = node.take_effects()
    assert commands == [[b"DEL", b"k"]]
    assert ("g", b"del", b"k") in events


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("-1",), Failure("ERR Invalid TTL value, must be >= 0")),
        (("x",), NOT_AN_INTEGER),
        (("0", "IDLETIME", "-1"), Failure("ERR Invalid IDLETIME value, must be >= 0")),
        (("0", "IDLETIME", "x"), NOT_AN_INTEGER),
        (("0", "IDLETIME"), Failure("ERR syntax error")),
        (("0", "FREQ", "256"), Failure("ERR Invalid FREQ value, must be >= 0 and <= 255")),
        (("0", "FREQ", "-1"), Failure("ERR Invalid FREQ value, must be >= 0 and <= 255")),
        (("0", "FREQ", "x"), NOT_AN_INTEGER),
        (("0", "FREQ", "1", "IDLETIME", "1"), Failure("ERR syntax error")),
        (("0", "IDLETIME", "1", "FREQ", "1"), Failure("ERR syntax error")),
        (("0", "nonsense"), Failure("ERR syntax error")),
    ],
)
def test_wrong_words_are_refused(
    node: MemoryNode, payload: bytes, words: tuple[str, ...], expected: Failure
) -> None:
    assert node.call("RESTORE", "k", words[0], payload, *words[1:]) == expected
    assert node.call("EXISTS", "k") == 0


def test_wrong_payloads_are_refused(node: MemoryNode, payload: bytes) -> None:
    broken = b"\x01" + payload[1:]
    assert node.call("RESTORE", "k", 0, b"") == BAD_SEAL
    assert node.call("RESTORE", "k", 0, broken) == BAD_SEAL
    node.machine.debug_switches.skip_checksums = True
    assert node.call("RESTORE", "k", 0, broken) == BAD_FORMAT
    assert node.call("RESTORE", "k", 0, payload[:-10] + b"\xff\xff" + bytes(8)) == BAD_SEAL
    # A damaged payload takes nothing away.
    node.call("SET", "k", "old")
    assert node.call("RESTORE", "k", 0, broken, "REPLACE") == BAD_FORMAT
    assert node.call("GET", "k") == b"old"


def test_use_is_taken_over_as_the_policy_asks_for_it(node: MemoryNode, payload: bytes) -> None:
    assert node.call("RESTORE", "k", 0, payload, "IDLETIME", 100) == "OK"
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert node.call("RESTORE", "k", 0, payload, "IDLETIME", 100, "REPLACE") == "OK"
    assert node.call("OBJECT", "IDLETIME", "k") == 100
    assert node.call("RESTORE", "k", 0, payload, "FREQ", 100, "REPLACE") == "OK"
    assert node.call("OBJECT", "IDLETIME", "k") == 0
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
    assert node.call("RESTORE", "k", 0, payload, "FREQ", 100, "REPLACE") == "OK"
    assert node.call("OBJECT", "FREQ", "k") == 100


def test_replicas_are_sent_absolute_times(node: MemoryNode, payload: bytes) -> None:
    node.take_propagated()
    node.call("RESTORE", "a", 0, payload)
    node.call("RESTORE", "b", 5000, payload, "REPLACE")
    node.call("RESTORE", "c", START_MS + 5, payload, "ABSTTL")
    assert node.take_propagated() == [
        [b"RESTORE", b"a", b"0", payload],
        [b"RESTORE", b"b", b"%d" % (START_MS + 5000), payload, b"REPLACE", b"ABSTTL"],
        [b"RESTORE", b"c", b"%d" % (START_MS + 5), payload, b"ABSTTL"],
    ]


def test_one_change_is_announced(node: MemoryNode, payload: bytes) -> None:
    node.call("SET", "k", "old")
    node.take_events()
    node.call("RESTORE", "k", 0, payload, "REPLACE")
    assert [event for event in node.take_events() if event[0] == "g"] == [("g", b"restore", b"k")]


def test_lifetimes_of_fields_survive(node: MemoryNode) -> None:
    node.call("HSET", "h", "a", "1", "b", "2")
    node.call("HPEXPIRE", "h", 5000, "FIELDS", 1, "a")
    dumped = node.call("DUMP", "h")
    node.call("DEL", "h")
    assert node.call("RESTORE", "h", 0, dumped) == "OK"
    assert node.call("HPTTL", "h", "FIELDS", 2, "a", "b") == [5000, -1]
    node.advance(6000)
    assert node.call("HGETALL", "h") == [b"b", b"2"]


def test_compression_follows_the_configuration(node: MemoryNode) -> None:
    node.call("SET", "k", "x" * 10_000)
    assert len(node.call("DUMP", "k")) < 1000
    node.call("CONFIG", "SET", "rdbcompression", "no")
    plain = node.call("DUMP", "k")
    assert len(plain) > 10_000
    assert decode_value_untrusted(plain) == b"x" * 10_000


def test_restore_asking_does_the_same(node: MemoryNode, payload: bytes) -> None:
    assert node.call("RESTORE-ASKING", "k", 0, payload) == "OK"
    assert node.call("GET", "k") == b"value"
