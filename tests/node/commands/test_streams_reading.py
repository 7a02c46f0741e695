"""XREAD and XREADGROUP: what they return, and how they wait."""

import pytest

from ..harness import START_MS, Failure, MemoryClient, MemoryNode, Plain
from .test_streams import deliver, fill

NOW = b"%d" % START_MS
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def entry(number: int) -> Plain:
    return [b"%d-0" % number, [b"f", b"%d" % number]]


def start(client: MemoryClient, *words: str | int) -> None:
    """Send a command that must block."""
    assert client.send(words) == []
    assert client.take_pushed() == []


# --- without waiting -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (["STREAMS", "s", "1"], [[b"s", [entry(2), entry(3)]]]),
        (["COUNT", "1", "STREAMS", "s", "0"], [[b"s", [entry(1)]]]),
        (["COUNT", "-1", "STREAMS", "s", "2-0"], [[b"s", [entry(3)]]]),
        (["STREAMS", "s", "3"], None),
        (["STREAMS", "s", "$"], None),
        (["STREAMS", "s", "+"], [[b"s", [entry(3)]]]),
        (["STREAMS", "missing", "+"], None),
        (["STREAMS", "s", "missing", "t", "2", "0", "0"], [[b"s", [entry(3)]], [b"t", [entry(1)]]]),
        (["STREAMS", "s", f"{2**64 - 1}-{2**64 - 1}"], None),
    ],
)
def test_xread(node: MemoryNode, words: list[str], reply: Plain) -> None:
    fill(node, 3)
    fill(node, 1, "t")
    assert node.call("XREAD", *words) == reply
    node.call("HELLO", 3)
    assert node.call("XREAD", *words) == (None if reply is None else dict(reply))
    assert node.take_effects() == ([], [])


def test_the_last_entry_that_is_left(node: MemoryNode) -> None:
    fill(node, 3)
    node.call("XDEL", "s", "3-0")
    assert node.call("XREAD", "STREAMS", "s", "+") == [[b"s", [entry(2)]]]
    node.call("XTRIM", "s", "MAXLEN", "0")
    assert node.call("XREAD", "STREAMS", "s", "+") is None


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["XREAD", "COUNT", "1", "BLOCK", "0"], "ERR syntax error"),
        (
            ["XREAD", "COUNT", "x", "STREAMS", "s", "0"],
            "ERR value is not an integer or out of range",
        ),
        (
            ["XREAD", "BLOCK", "x", "STREAMS", "s", "0"],
            "ERR timeout is not an integer or out of range",
        ),
        (
            ["XREAD", "BLOCK", "1.5", "STREAMS", "s", "0"],
            "ERR timeout is not an integer or out of range",
        ),
        (["XREAD", "BLOCK", "-1", "STREAMS", "s", "0"], "ERR timeout is negative"),
        (["XREAD", "BLOCK", str(2**63 - 1), "STREAMS", "s", "0"], "ERR timeout is out of range"),
        (
            ["XREAD", "STREAMS", "s", "t", "0"],
            "ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be "
            "specified.",
        ),
        (
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "t", ">"],
            "ERR Unbalanced 'xreadgroup' list of streams: for each stream key an ID or '>' must be "
            "specified.",
        ),
        (
            ["XREAD", "STREAMS", "s", ">"],
            "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> "
            "<consumer> option.",
        ),
        (
            ["XREAD", "NOACK", "STREAMS", "s", "0"],
            "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            ["XREAD", "GROUP", "g", "c", "STREAMS", "s", "0"],
            "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
        ),
        (
            ["XREADGROUP", "COUNT", "1", "NOACK", "STREAMS", "s", ">"],
            "ERR Missing GROUP option for XREADGROUP",
        ),
        (
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "missing", ">"],
            "NOGROUP No such key 'missing' or consumer group 'g' in XREADGROUP with GROUP option",
        ),
        (
            ["XREADGROUP", "GROUP", "no", "c", "STREAMS", "s", ">"],
            "NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option",
        ),
        (
            ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "$"],
            "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the "
            "history of this consumer by specifying a proper ID, or use the > ID to get new "
            "messages. The $ ID would just return an empty result set.",
        ),
    ],
)
def test_errors(node: MemoryNode, words: list[str], error: str) -> None:
    fill(node, 1)
    deliver(node, "g", 1)
    assert node.call(*words) == Failure(error)


def test_new_entries_go_to_one_consumer_each(node: MemoryNode) -> None:
    fill(node, 3)
    node.call("XGROUP", "CREATE", "s", "g", "0")
    node.take_effects()
    read = ("XREADGROUP", "GROUP", "g")
    assert node.call(*read, "a", "COUNT", 2, "STREAMS", "s", ">") == [[b"s", [entry(1), entry(2)]]]
    claims = [
        [
            *(b"XCLAIM", b"s", b"g", b"a", b"0", b"%d-0" % number, b"TIME", NOW),
            *(b"RETRYCOUNT", b"1", b"FORCE", b"JUSTID", b"LASTID", b"2-0"),
        ]
        for number in (1, 2)
    ]
    propagated, events = node.take_effects()
    claims[0][-1] = b"1-0"
    set_id = [b"XGROUP", b"SETID", b"s", b"g", b"2-0", b"ENTRIESREAD", b"2"]
    assert propagated == [*claims, set_id]
    assert events == [("t", b"xgroup-createconsumer", b"s")]
    assert node.call(*read, "b", "NOACK", "STREAMS", "s", ">") == [[b"s", [entry(3)]]]
    assert sorted(node.take_propagated()) == [
        [b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"b"],
        [b"XGROUP", b"SETID", b"s", b"g", b"3-0", b"ENTRIESREAD", b"3"],
    ]
    assert node.call(*read, "c", "STREAMS", "s", ">") is None
    assert node.take_propagated() == [[b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"c"]]
    assert node.call("XPENDING", "s", "g") == [2, b"1-0", b"2-0", [[b"a", b"2"]]]


def test_history(node: MemoryNode) -> None:
    fill(node, 3)
    deliver(node, "g", 3)
    node.call("XDEL", "s", "2-0")
    node.take_effects()
    node.advance(50)
    reply = node.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", "0")
    assert reply == [[b"s", [entry(1), [b"2-0", None], entry(3)]]]
    assert node.take_effects() == ([], [])
    assert node.call("XPENDING", "s", "g", "-", "+", "9") == [
        [b"1-0", b"c", 0, 2],
        [b"2-0", b"c", 50, 1],
        [b"3-0", b"c", 0, 2],
    ]
    reply = node.call("XREADGROUP", "GROUP", "g", "c", "COUNT", "1", "STREAMS", "s", "1-0")
    assert reply == [[b"s", [[b"2-0", None]]]]
    assert node.call("XREADGROUP", "GROUP", "g", "new", "STREAMS", "s", "0") == [[b"s", []]]


# --- waiting ---------------------------------------------------------------------------------


def test_waiting_for_an_entry(node: MemoryNode) -> None:
    fill(node, 1)
    reader = node.connect()
    start(reader, "XREAD", "BLOCK", 0, "STREAMS", "s", "t", "$", "$")
    node.call("SET", "t", "no stream, which is none of the reader's business")
    assert reader.take_pushed() == []
    node.call("DEL", "t", "s")
    fill(node, 1)  # behind $, which is 1-0, there is nothing yet
    assert reader.take_pushed() == []
    node.call("XADD", "s", "2-0", "f", "2")
    assert reader.take_pushed() == [[[b"s", [entry(2)]]]]
    node.call("XADD", "s", "3-0", "f", "3")
    assert reader.take_pushed() == []


def test_a_transaction_wakes_once_with_all(node: MemoryNode) -> None:
    readers = [node.connect() for _ in range(2)]
    for reader in readers:
        start(reader, "XREAD", "BLOCK", 0, "STREAMS", "t", "s", 0, 0)
    node.call("MULTI")
    node.call("XADD", "s", "1-0", "f", "1")
    node.call("XADD", "t", "1-0", "f", "1")
    node.call("XADD", "s", "2-0", "f", "2")
    node.call("EXEC")
    for reader in readers:
        assert reader.take_pushed() == [[[b"t", [entry(1)]], [b"s", [entry(1), entry(2)]]]]


def test_time_is_up(node: MemoryNode) -> None:
    reader = node.connect()
    start(reader, "XREAD", "BLOCK", 100, "STREAMS", "s", "$")
    node.advance(99)
    node.tick()
    assert reader.take_pushed() == []
    node.advance(1)
    node.tick()
    assert reader.take_pushed() == [None]


def test_nothing_waits_in_a_transaction(node: MemoryNode) -> None:
    node.call("MULTI")
    node.call("XREAD", "BLOCK", 0, "STREAMS", "s", "$")
    assert node.call("EXEC") == [None]


def test_only_streams_wake_readers(node: MemoryNode) -> None:
    reader = node.connect()
    start(reader, "XREAD", "BLOCK", 0, "STREAMS", "s", "t", "0", "0")
    node.call("LPUSH", "t", "x")
    assert reader.take_pushed() == []
    # But who is woken looks at all its keys.
    node.call("XADD", "s", "1-0", "f", "1")
    assert reader.take_pushed() == [WRONG_TYPE]


def test_consumers_take_turns(node: MemoryNode) -> None:
    node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    consumers = [node.connect() for _ in range(3)]
    for number, consumer in enumerate(consumers):
        start(consumer, "XREADGROUP", "GROUP", "g", f"c{number}", "BLOCK", 0, "STREAMS", "s", ">")
    node.take_effects()
    node.call("XADD", "s", "1-0", "f", "1")
    assert [consumer.take_pushed() for consumer in consumers] == [[[[b"s", [entry(1)]]]], [], []]
    claim = [
        *(b"XCLAIM", b"s", b"g", b"c0", b"0", b"1-0", b"TIME", NOW),
        *(b"RETRYCOUNT", b"1", b"FORCE", b"JUSTID", b"LASTID", b"1-0"),
    ]
    assert node.take_propagated() == [
        [b"XADD", b"s", b"1-0", b"f", b"1"],
        claim,
        [b"XGROUP", b"SETID", b"s", b"g", b"1-0", b"ENTRIESREAD", b"1"],
    ]
    node.call("XADD", "s", "2-0", "f", "2")
    assert consumers[1].take_pushed() == [[[b"s", [entry(2)]]]]
    # Those who tried in vain must not have swallowed what others are to be told.
    node.take_effects()
    node.call("SET", "k", "v")
    assert node.take_propagated() == [[b"SET", b"k", b"v"]]


NO_GROUP = Failure("NOGROUP No such key 's' or consumer group 'g' in XREADGROUP with GROUP option")


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (["XGROUP", "DESTROY", "s", "g"], NO_GROUP),
        (["DEL", "s"], NO_GROUP),
        (["UNLINK", "s"], NO_GROUP),
        (["FLUSHALL"], NO_GROUP),
        (["FLUSHDB"], NO_GROUP),
        (["RENAME", "s", "elsewhere"], NO_GROUP),
        (["SWAPDB", "0", "1"], NO_GROUP),
        (["SET", "s", "v"], WRONG_TYPE),
        (["COPY", "full", "s", "REPLACE"], [[b"s", [entry(1)]]]),
    ],
)
def test_the_group_goes_while_somebody_waits(
    node: MemoryNode, words: list[str], reply: Plain
) -> None:
    fill(node, 1, "full")
    node.call("XGROUP", "CREATE", "full", "g", "0")
    node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    consumer = node.connect()
    start(consumer, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    node.call(*words)
    assert consumer.take_pushed() == [reply]


def test_a_lapsed_key_wakes_its_consumers(node: MemoryNode) -> None:
    node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    node.call("PEXPIRE", "s", 100)
    consumer = node.connect()
    start(consumer, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    node.advance(101)
    node.call("EXISTS", "s")
    assert consumer.take_pushed() == [NO_GROUP]


def test_other_changes_do_not_wake_consumers(node: MemoryNode) -> None:
    fill(node, 2)
    node.call("XGROUP", "CREATE", "s", "g", "$")
    consumer = node.connect()
    start(consumer, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    for words in (["XDEL", "s", "1-0"], ["XTRIM", "s", "MAXLEN", "0"], ["EXPIRE", "s", "100"]):
        node.call(*words)
    assert consumer.take_pushed() == []


def test_a_consumer_deleted_while_it_waits_is_made_again(node: MemoryNode) -> None:
    node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    consumer = node.connect()
    start(consumer, "XREADGROUP", "GROUP", "g", "c", "BLOCK", 0, "STREAMS", "s", ">")
    node.call("XGROUP", "DELCONSUMER", "s", "g", "c")
    node.call("XADD", "s", "1-0", "f", "1")
    assert consumer.take_pushed() == [[[b"s", [entry(1)]]]]
    assert node.call("XPENDING", "s", "g")[3] == [[b"c", b"1"]]
