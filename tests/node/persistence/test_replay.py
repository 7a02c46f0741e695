"""Commands that were decided elsewhere, loading, and the log's own bytes."""

import pytest

from clustrio.node.digest import data_digest
from clustrio.node.persistence.feed import LogFeed
from clustrio.node.persistence.log_reader import LogReader
from clustrio.node.persistence.rewriting import write_commands
from clustrio.node.replay import Replay, ReplayError

from ..harness import START_MS, Failure, MemoryNode


def replay(node: MemoryNode, *lines: str) -> Replay:
    runner = Replay(node.machine)
    for line in lines:
        runner.apply(line.encode().split())
    return runner


def test_commands_change_the_data_and_have_effects() -> None:
    node = MemoryNode()
    replay(node, "select 2", "SET key value", "SELECT 0", "RPUSH list a b")
    assert node.take_propagated() == [[b"SET", b"key", b"value"], [b"RPUSH", b"list", b"a", b"b"]]
    assert node.call("LRANGE", "list", 0, -1) == [b"a", b"b"]
    node.call("SELECT", 2)
    assert node.call("GET", "key") == b"value"


def test_a_transaction_happens_at_its_end_or_not_at_all() -> None:
    node = MemoryNode()
    runner = replay(node, "MULTI", "SET a 1", "INCR a")
    states = [runner.in_transaction]
    assert node.call("EXISTS", "a") == 0
    node.take_batches()
    runner.apply([b"EXEC"])
    states.append(runner.in_transaction)
    assert states == [True, False]
    assert len(node.take_batches()) == 1
    assert node.call("GET", "a") == b"2"
    runner.apply([b"MULTI"])
    runner.apply([b"DEL", b"a"])
    runner.forget_transaction()
    assert node.call("GET", "a") == b"2"


@pytest.mark.parametrize(
    "lines", [["NOSUCH a"], ["SET a"], ["EXEC"], ["MULTI", "MULTI"], ["CONFIG NOSUCH"]]
)
def test_there_is_no_going_on(lines: list[str]) -> None:
    with pytest.raises(ReplayError):
        replay(MemoryNode(), *lines)


def test_failures_are_told() -> None:
    node = MemoryNode()
    runner = replay(node, "SET a text", "INCR a", "SET b 1")
    assert runner.failed_count == 1
    assert any("INCR" in line for line in node.log.lines)
    assert node.call("GET", "b") == b"1"


def test_dead_keys_are_what_they_were() -> None:
    """APPEND to a key that has died since must not make a new one that lives for ever."""
    node = MemoryNode()
    replay(node, f"SET a 1 PXAT {START_MS + 1000}")
    node.advance(5000)
    replay(
        node, "APPEND a 2", f"SET b 1 PXAT {START_MS + 100}", "INCR b", f"PEXPIREAT b {START_MS}"
    )
    assert node.machine.keyspace.database(0).expiry(b"a") == START_MS + 1000
    assert node.call("EXISTS", "a", "b") == 0


def test_loading_refuses_what_needs_data() -> None:
    node = MemoryNode()
    node.machine.loading.begin(1000, "dump.rdb")
    node.machine.loading.progress(250)
    assert str(node.call("GET", "a")).startswith("LOADING")
    info = node.call("INFO", "persistence").decode()
    assert "loading:1\r\n" in info
    assert "loading_loaded_perc:25.00\r\n" in info
    node.machine.loading.end()
    assert node.call("GET", "a") is None
    assert "loading_loaded" not in node.call("INFO", "persistence").decode()


def test_what_the_log_gets() -> None:
    node = MemoryNode()
    feed = LogFeed(node.machine.clock, node.machine.keyspace.effects)
    node.machine.add_consumer(feed)
    node.call("SET", "a", "1")
    node.call("GET", "a")
    node.send(("MULTI",), ("INCR", "a"), ("INCR", "a"), ("EXEC",))
    data = feed.take()
    commands = LogReader().feed(data)
    assert [b" ".join(each) for each in commands] == [
        *(b"SELECT 0", b"SET a 1", b"MULTI", b"INCR a", b"INCR a", b"EXEC")
    ]
    assert not feed.size_bytes
    feed.start_file()
    feed.has_timestamps = True
    node.call("SET", "a", "2")
    node.call("SET", "a", "3")
    node.advance(1000)
    node.call("SET", "a", "4")
    lines = feed.take().split(b"\r\n")
    assert lines.count(b"#TS:%d" % (START_MS // 1000)) == 1
    assert lines.count(b"#TS:%d" % (START_MS // 1000 + 1)) == 1
    assert b"SELECT" in lines


def test_the_data_as_commands_gives_the_same_data() -> None:
    node = MemoryNode()
    node.call("SET", "text", "x" * 100)
    node.call("SET", "dying", "x", "PX", 5000)
    node.call("RPUSH", "list", *range(200))
    node.call("SADD", "set", *range(200))
    node.call("ZADD", "zset", 1.1, "a", "-inf", "b")
    node.call("HSET", "hash", "a", 1, "b", 2)
    node.call("HSET", "fields", "a", 1, "b", 2)
    node.call("HPEXPIRE", "fields", 60000, "FIELDS", 1, "a")
    node.call("XADD", "stream", "1-1", "a", "b")
    node.call("XGROUP", "CREATE", "stream", "group", 0)
    node.call("SELECT", 4)
    node.call("SET", "far", "away")
    other = MemoryNode()
    runner = Replay(other.machine)
    data = b"".join(write_commands(node.machine.keyspace, piece_bytes=100))
    for args in LogReader().feed(data):
        runner.apply(args)
    assert not runner.failed_count
    assert data_digest(other.machine.keyspace) == data_digest(node.machine.keyspace)
    assert other.call("HPTTL", "fields", "FIELDS", 1, "a") == [60000]
    assert other.call("XINFO", "GROUPS", "stream") != []
    assert not isinstance(other.call("PTTL", "dying"), Failure)
