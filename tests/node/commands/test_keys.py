"""Replies of the commands on keys of any type and on whole databases, as a real server has them."""

from random import Random

import pytest

from clustrio.node.errors import CommandError

from ..harness import START_MS, Failure, MemoryNode, Plain, Word

INT_RANGE = "ERR value is out of range, value must between -2147483648 and 2147483647"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"
NO_SUCH_DB = "ERR DB index is out of range"
SAME = "ERR source and destination objects are the same"
SYNTAX = "ERR syntax error"
NO_SUCH_KEY = "ERR no such key"

Line = tuple[tuple[Word, ...], Plain]


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("MSET", "a", "1", "b", "2", "c", "3")
    return node


def run(node: MemoryNode, lines: list[Line]) -> None:
    for words, expected in lines:
        assert node.call(*words) == expected, words


def failing(text: str) -> Failure:
    return Failure(text)


@pytest.mark.parametrize("name", ["DEL", "UNLINK"])
def test_deleting_counts_the_keys_that_were_there(node: MemoryNode, name: str) -> None:
    run(
        node,
        [
            ((name, "a"), 1),
            ((name, "a"), 0),
            ((name, "a", "b", "b", "c"), 2),
            (("DBSIZE",), 0),
            ((name,), failing(f"ERR wrong number of arguments for '{name.lower()}' command")),
        ],
    )


def test_looking_at_keys(node: MemoryNode) -> None:
    run(
        node,
        [
            (("EXISTS", "a"), 1),
            (("EXISTS", "a", "a", "nothing", "b"), 3),
            (("TOUCH", "a", "a", "nothing"), 2),
            (("TYPE", "a"), "string"),
            (("TYPE", "nothing"), "none"),
        ],
    )


def test_hits_and_misses_are_counted_as_by_redis(node: MemoryNode) -> None:
    db = node.session.db
    db.hits = db.misses = 0
    for words in (("EXISTS", "a", "x"), ("TYPE", "a"), ("TTL", "x"), ("TOUCH", "a"), ("PTTL", "a")):
        node.call(*words)
    node.call("OBJECT", "ENCODING", "a")
    node.call("OBJECT", "FREQ", "x")
    assert (db.hits, db.misses) == (5, 3)
    # Commands that write are no readers; of COPY only the source is read.
    node.call("EXPIRE", "a", 10)
    node.call("RENAME", "a", "z")
    node.call("DEL", "z")
    node.call("COPY", "b", "d")
    assert (db.hits, db.misses) == (6, 3)


def test_a_key_that_died_is_gone_for_every_command(node: MemoryNode) -> None:
    for words, expected in (
        (("DEL", "k"), 0),
        (("EXISTS", "k"), 0),
        (("TYPE", "k"), "none"),
        (("TOUCH", "k"), 0),
        (("RENAME", "k", "l"), Failure(NO_SUCH_KEY)),
        (("COPY", "k", "l"), 0),
        (("MOVE", "k", 1), 0),
        (("TTL", "k"), -2),
        (("PERSIST", "k"), 0),
        (("EXPIRE", "k", 10), 0),
        (("OBJECT", "ENCODING", "k"), None),
        (("KEYS", "k"), []),
        (("SCAN", 0, "MATCH", "k"), [b"0", []]),
        (("RENAMENX", "a", "k"), 1),
        (("COPY", "b", "k"), 1),
    ):
        node.call("SET", "k", "v")
        node.call("PEXPIRE", "k", 5)
        node.advance(6)
        assert node.call(*words) == expected, words
        node.call("MSET", "a", "1")


def test_rename_takes_value_and_lifetime_along(node: MemoryNode) -> None:
    run(
        node,
        [
            (("PEXPIREAT", "a", START_MS + 500), 1),
            (("PEXPIREAT", "b", START_MS + 900), 1),
            (("RENAME", "a", "b"), "OK"),
            (("GET", "b"), b"1"),
            (("PEXPIRETIME", "b"), START_MS + 500),
            (("EXISTS", "a"), 0),
            (("RENAME", "c", "b"), "OK"),
            (("TTL", "b"), -1),
            (("RENAME", "b", "b"), "OK"),
            (("RENAME", "no", "no"), failing(NO_SUCH_KEY)),
            (("RENAME", "no", "b"), failing(NO_SUCH_KEY)),
            (("DBSIZE",), 1),
        ],
    )


def test_renamenx_replaces_nothing(node: MemoryNode) -> None:
    run(
        node,
        [
            (("RENAMENX", "a", "b"), 0),
            (("RENAMENX", "a", "a"), 0),
            (("RENAMENX", "no", "no"), failing(NO_SUCH_KEY)),
            (("RENAMENX", "a", "d"), 1),
            (("GET", "d"), b"1"),
            (("EXISTS", "a"), 0),
        ],
    )


def test_copy_copies_value_and_lifetime(node: MemoryNode) -> None:
    run(
        node,
        [
            (("PEXPIREAT", "a", START_MS + 500), 1),
            (("COPY", "a", "d"), 1),
            (("GET", "d"), b"1"),
            (("PEXPIRETIME", "d"), START_MS + 500),
            (("COPY", "b", "d"), 0),
            (("COPY", "b", "d", "replace"), 1),
            (("GET", "d"), b"2"),
            (("TTL", "d"), -1),
            (("COPY", "a", "a", "DB", 1), 1),
            (("COPY", "b", "a", "DB", 1), 0),
            (("COPY", "b", "a", "REPLACE", "db", "1"), 1),
            (("SELECT", 1), "OK"),
            (("GET", "a"), b"2"),
        ],
    )


def test_a_copy_of_an_edited_string_is_independent(node: MemoryNode) -> None:
    node.session.db.set(b"e", bytearray(b"abc"))
    assert node.call("COPY", "e", "f") == 1
    edited = node.session.db.string_for_write(b"e")
    assert isinstance(edited, bytearray)
    edited += b"def"
    assert node.call("GET", "f") == b"abc"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("COPY", "a", "a"), SAME),
        (("COPY", "no", "no"), SAME),
        (("COPY", "a", "a", "DB", 0), SAME),
        (("COPY", "a", "b", "DB", 16), NO_SUCH_DB),
        (("COPY", "a", "b", "DB", -1), NO_SUCH_DB),
        (("COPY", "a", "b", "DB", "x"), NOT_AN_INTEGER),
        (("COPY", "a", "b", "DB", 2**31), INT_RANGE),
        (("COPY", "a", "b", "DB"), SYNTAX),
        (("COPY", "a", "b", "REPLACE", "again"), SYNTAX),
        (("MOVE", "a", 0), SAME),
        (("MOVE", "no", 0), SAME),
        (("MOVE", "a", 16), NO_SUCH_DB),
        (("MOVE", "a", -1), NO_SUCH_DB),
        (("MOVE", "a", "01"), NOT_AN_INTEGER),
        (("MOVE", "a", -(2**31) - 1), INT_RANGE),
        (("MOVE", "a", 2**63), NOT_AN_INTEGER),
        (("SWAPDB", "x", "y"), "ERR invalid first DB index"),
        (("SWAPDB", 2**31, 0), "ERR invalid first DB index"),
        (("SWAPDB", 99, "y"), "ERR invalid second DB index"),
        (("SWAPDB", 0, 16), NO_SUCH_DB),
        (("SWAPDB", -1, 0), NO_SUCH_DB),
        (("FLUSHDB", "soon"), SYNTAX),
        (("FLUSHDB", "ASYNC", "SYNC"), SYNTAX),
        (("FLUSHALL", "SYNC", "ASYNC"), SYNTAX),
    ],
)
def test_what_is_refused_changes_nothing(
    node: MemoryNode, words: tuple[Word, ...], text: str
) -> None:
    node.take_batches()
    assert node.call(*words) == Failure(text)
    assert node.call("MGET", "a", "b", "c") == [b"1", b"2", b"3"]
    assert node.take_batches() == []


def test_move_takes_value_and_lifetime_along(node: MemoryNode) -> None:
    run(
        node,
        [
            (("PEXPIREAT", "a", START_MS + 500), 1),
            (("MOVE", "a", 3), 1),
            (("MOVE", "a", 3), 0),
            (("EXISTS", "a"), 0),
            (("SELECT", 3), "OK"),
            (("GET", "a"), b"1"),
            (("PEXPIRETIME", "a"), START_MS + 500),
            (("SET", "b", "other"), "OK"),
            (("SELECT", 0), "OK"),
            (("MOVE", "b", 3), 0),
            (("GET", "b"), b"2"),
        ],
    )


def test_swapdb_exchanges_contents_under_the_feet_of_clients(node: MemoryNode) -> None:
    other = node.connect()
    assert other.call("SELECT", 1) == "OK"
    run(node, [(("PEXPIRE", "a", 500), 1), (("SWAPDB", 0, 1), "OK"), (("DBSIZE",), 0)])
    assert other.call("GET", "a") == b"1"
    assert other.call("PTTL", "a") == 500
    assert node.call("SWAPDB", 1, 1) == "OK"
    assert other.call("DBSIZE") == 3


@pytest.mark.parametrize("mode", [(), ("ASYNC",), ("sync",)])
def test_flushing(node: MemoryNode, mode: tuple[str, ...]) -> None:
    run(
        node,
        [
            (("EXPIRE", "a", 100), 1),
            (("SELECT", 1), "OK"),
            (("SET", "x", "y"), "OK"),
            (("FLUSHDB", *mode), "OK"),
            (("DBSIZE",), 0),
            (("SET", "x", "y"), "OK"),
            (("SELECT", 0), "OK"),
            (("DBSIZE",), 3),
            (("FLUSHALL", *mode), "OK"),
            (("DBSIZE",), 0),
            (("SET", "a", "1"), "OK"),
            (("TTL", "a"), -1),
            (("SELECT", 1), "OK"),
            (("DBSIZE",), 0),
        ],
    )
    assert node.session.db.volatile_count == 0


def test_memory_is_accounted_for_moved_and_copied_keys() -> None:
    node = MemoryNode(maxmemory=10**9, maxmemory_policy="allkeys-lru")
    random = Random(3)
    names = ("a", "b", "c", "d")
    for _ in range(400):
        name, other = random.choice(names), random.choice(names)
        node.call("SET", name, "v" * random.randrange(200))
        node.call(*random.choice((("RENAME", name, other), ("COPY", name, other, "REPLACE"))))
        node.call("COPY", name, other, "DB", 1)
        node.call("MOVE", other, 2)
        node.call(*random.choice((("DEL", name, other), ("SWAPDB", 0, 1), ("PERSIST", name))))
    keyspace = node.machine.keyspace
    measured = keyspace.metered_bytes()
    keyspace.keep_meters(False)
    keyspace.keep_meters(True)
    assert measured == keyspace.metered_bytes() > 0
    node.call("FLUSHALL")
    assert keyspace.metered_bytes() == 0


def test_time_is_the_nodes_clock(node: MemoryNode) -> None:
    node.advance(1234)
    assert node.call("TIME") == [b"%d" % (START_MS // 1000 + 1), b"234000"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("MOVE", "a", 1), "ERR MOVE is not allowed in cluster mode"),
        (("SWAPDB", 0, 1), "ERR SWAPDB is not allowed in cluster mode"),
        (("COPY", "{a}", "{a}2", "DB", 1), NO_SUCH_DB),
    ],
)
def test_a_cluster_node_has_one_database(words: tuple[Word, ...], text: str) -> None:
    node = MemoryNode(cluster_enabled="yes")
    node.session.db.set(b"{a}", b"1")
    assert _bare_call(node, words) == text.encode()


def _bare_call(node: MemoryNode, words: tuple[Word, ...]) -> bytes:
    """Run a command past the gate, which in a cluster first asks who serves the slot."""
    args = [str(word).encode() for word in words]
    with pytest.raises(CommandError) as caught:
        node.machine.gate.commands[args[0]].function(node.session, args)
    return caught.value.text
