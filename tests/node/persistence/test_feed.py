"""What reaches the log when commands are put straight into it, without any record of effects."""

from clustrio.node.persistence.feed import LogFeed
from clustrio.node.persistence.log_reader import LogReader

from ..harness import START_MS, MemoryNode


def plain_node() -> tuple[MemoryNode, LogFeed]:
    """A node with a log and nobody else who follows what commands do."""
    node = MemoryNode()
    node.observe(False)
    feed = LogFeed(node.machine.clock, node.machine.keyspace.effects)
    node.machine.add_consumer(feed)
    return node, feed


def logged(feed: LogFeed) -> list[bytes]:
    return [b" ".join(each) for each in LogReader().feed(feed.take())]


def test_each_change_of_database_is_told() -> None:
    node, feed = plain_node()
    other = node.connect()
    other.call("SELECT", 3)
    for number in range(3):
        node.call("SET", "a", number)
        node.call("SET", "b", number)
        other.call("SET", "c", number)
    assert logged(feed) == [
        word
        for number in range(3)
        for word in (
            b"SELECT 0",
            b"SET a %d" % number,
            b"SET b %d" % number,
            b"SELECT 3",
            b"SET c %d" % number,
        )
    ]


def test_the_order_is_that_of_the_commands() -> None:
    node, feed = plain_node()
    node.call("SET", "a", 1)
    node.call("SET", "a", 2)
    node.send(("MULTI",), ("INCR", "a"), ("INCR", "a"), ("EXEC",))
    node.call("SET", "b", 1, "PX", 1000)
    node.call("SET", "c", 1)
    node.send(*[("SET", f"many:{number}", 1) for number in range(8)])
    node.call("SET", "d", 1)
    node.advance(1001)
    node.call("GET", "b")
    node.call("SET", "e", 1)
    assert logged(feed) == [
        *(b"SELECT 0", b"SET a 1", b"SET a 2", b"MULTI", b"INCR a", b"INCR a", b"EXEC"),
        *(b"SET b 1 PXAT %d" % (START_MS + 1000), b"SET c 1"),
        *(b"SET many:%d 1" % number for number in range(8)),
        *(b"SET d 1", b"DEL b", b"SET e 1"),
    ]


def test_a_new_file_begins_with_its_database() -> None:
    node, feed = plain_node()
    node.call("SET", "a", 1)
    node.call("SET", "a", 2)
    feed.take()
    feed.start_file()
    node.call("SET", "a", 3)
    assert logged(feed) == [b"SELECT 0", b"SET a 3"]


def test_times_are_stamped_from_the_moment_they_are_wanted() -> None:
    node, feed = plain_node()
    node.call("SET", "a", 1)
    node.call("SET", "a", 2)
    feed.take()
    feed.has_timestamps = True
    node.call("SET", "a", 3)
    assert feed.take().startswith(b"#TS:%d\r\n" % (START_MS // 1000))


def test_a_second_follower_gets_everything_from_when_it_came() -> None:
    node, feed = plain_node()
    node.call("SET", "a", 1)
    node.call("SET", "a", 2)
    second = LogFeed(node.machine.clock, node.machine.keyspace.effects)
    node.machine.add_consumer(second)
    node.call("SET", "a", 3)
    node.call("SET", "a", 4)
    assert logged(second) == [b"SELECT 0", b"SET a 3", b"SET a 4"]
    node.machine.remove_consumer(feed)
    node.call("SET", "a", 5)
    node.call("SET", "a", 6)
    assert logged(second) == [b"SET a 5", b"SET a 6"]
    assert logged(feed)[-1] == b"SET a 4"


def test_positions_count_what_was_taken_and_what_waits() -> None:
    node, feed = plain_node()
    node.call("SET", "a", 1)
    node.call("SET", "a", 2)
    taken = len(feed.take())
    assert feed.position == feed.taken_bytes == taken
    node.call("SET", "a", 3)
    assert feed.position == taken + feed.size_bytes
    assert not feed.is_empty
