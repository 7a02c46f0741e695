"""OBJECT and its sub-commands."""

import pytest

from ..harness import Failure, MemoryNode, Plain

NO_IDLE_TIME = Failure(
    "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when "
    "switching between policies at runtime LRU and LFU data will take some time to adjust."
)
NO_FREQUENCY = Failure(
    "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that "
    "when switching between policies at runtime LRU and LFU data will take some time to adjust."
)


@pytest.mark.parametrize(
    ("value", "encoding"),
    [
        ("1", b"int"),
        ("-9223372036854775808", b"int"),
        ("9223372036854775807", b"int"),
        ("9223372036854775808", b"embstr"),
        ("01", b"embstr"),
        ("+1", b"embstr"),
        ("-0", b"embstr"),
        ("", b"embstr"),
        ("1.5", b"embstr"),
        ("x" * 44, b"embstr"),
        ("x" * 45, b"raw"),
        ("1" * 45, b"raw"),
    ],
)
def test_encoding_of_strings(value: str, encoding: bytes) -> None:
    node = MemoryNode()
    node.call("SET", "k", value)
    assert node.call("OBJECT", "ENCODING", "k") == encoding
    # A string that was edited in place stays raw, whatever its text is.
    node.session.db.set(b"k", bytearray(value.encode()))
    assert node.call("object", "encoding", "k") == b"raw"


@pytest.mark.parametrize("name", ["ENCODING", "FREQ", "IDLETIME", "REFCOUNT"])
@pytest.mark.parametrize("policy", ["noeviction", "allkeys-lru", "volatile-lfu"])
def test_a_missing_key_has_nothing_whatever_the_policy(name: str, policy: str) -> None:
    node = MemoryNode(maxmemory_policy=policy)
    assert node.call("OBJECT", name, "nothing") is None


@pytest.mark.parametrize(
    ("policy", "idle_time", "frequency"),
    [
        ("noeviction", 0, NO_FREQUENCY),
        ("allkeys-random", 0, NO_FREQUENCY),
        ("volatile-ttl", 0, NO_FREQUENCY),
        ("allkeys-lru", 7, NO_FREQUENCY),
        ("volatile-lru", 7, NO_FREQUENCY),
        ("allkeys-lfu", NO_IDLE_TIME, 5),
        ("volatile-lfu", NO_IDLE_TIME, 5),
    ],
)
def test_what_is_known_of_a_keys_use_depends_on_the_policy(
    policy: str, idle_time: Plain, frequency: Plain
) -> None:
    node = MemoryNode(maxmemory_policy=policy)
    node.call("SET", "k", "v")
    node.advance(7900)
    # To ask is not to use.
    for _ in range(2):
        assert node.call("OBJECT", "IDLETIME", "k") == idle_time
        assert node.call("OBJECT", "FREQ", "k") == frequency
    for words in (("EXISTS", "k"), ("TYPE", "k"), ("TTL", "k"), ("OBJECT", "ENCODING", "k")):
        node.call(*words)
    assert node.call("OBJECT", "IDLETIME", "k") == idle_time


def test_touch_makes_a_key_young_again() -> None:
    node = MemoryNode(maxmemory_policy="allkeys-lru")
    node.call("SET", "k", "v")
    node.advance(9000)
    assert node.call("OBJECT", "IDLETIME", "k") == 9
    node.call("TOUCH", "k")
    assert node.call("OBJECT", "IDLETIME", "k") == 0


@pytest.mark.parametrize(
    ("value", "count"), [("0", 2**31 - 1), ("9999", 2**31 - 1), ("10000", 1), ("-1", 1), ("x", 1)]
)
def test_reference_count(value: str, count: int) -> None:
    node = MemoryNode()
    node.call("SET", "k", value)
    assert node.call("OBJECT", "REFCOUNT", "k") == count


def test_help_and_unknown_subcommands() -> None:
    node = MemoryNode()
    lines = node.call("OBJECT", "HELP")
    assert lines[0] == "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    assert {line.split(" ")[0] for line in lines[1::2]} == {
        *("ENCODING", "FREQ", "HELP", "IDLETIME", "REFCOUNT")
    }
    assert node.call("OBJECT", "FOO", "k") == Failure(
        "ERR unknown subcommand 'FOO'. Try OBJECT HELP."
    )
    assert node.call("OBJECT", "ENCODING") == Failure(
        "ERR wrong number of arguments for 'object|encoding' command"
    )
