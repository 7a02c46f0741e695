"""Consumer groups: their life, acknowledging, claiming, and what XINFO and XPENDING tell."""

import pytest

from ..harness import START_MS, Failure, MemoryNode, Plain
from .test_streams import deliver, fill, ids, pending_ids

NOW = b"%d" % START_MS


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def claim(
    entry_id: bytes, owner: bytes, *, count: bytes, last_id: bytes, when: bytes = NOW
) -> list[bytes]:
    """What replicas hear of one pending entry."""
    return [
        *(b"XCLAIM", b"s", b"g", owner, b"0", entry_id, b"TIME", when),
        *(b"RETRYCOUNT", count, b"FORCE", b"JUSTID", b"LASTID", last_id),
    ]


# --- XGROUP ----------------------------------------------------------------------------------


def test_the_life_of_a_group(node: MemoryNode) -> None:
    assert node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM") == "OK"
    assert node.call("XGROUP", "CREATE", "s", "g", "$") == Failure(
        "BUSYGROUP Consumer Group name already exists"
    )
    assert node.call("XGROUP", "CREATECONSUMER", "s", "g", "c") == 1
    assert node.call("XGROUP", "CREATECONSUMER", "s", "g", "c") == 0
    assert node.call("XGROUP", "SETID", "s", "g", "5", "ENTRIESREAD", "3") == "OK"
    assert node.call("XGROUP", "DELCONSUMER", "s", "g", "c") == 0
    assert node.call("XGROUP", "DELCONSUMER", "s", "g", "c") == 0
    assert node.call("XGROUP", "DESTROY", "s", "g") == 1
    assert node.call("XGROUP", "DESTROY", "s", "g") == 0
    events = [name.decode() for _, name, _ in node.take_events()]
    assert events == [
        *("xgroup-create", "xgroup-createconsumer", "xgroup-setid"),
        *("xgroup-delconsumer", "xgroup-destroy"),
    ]


KEY_MISSING = (
    "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use "
    "the MKSTREAM option to create an empty stream automatically."
)
NO_GROUP = "NOGROUP No such consumer group 'no' for key name 's'"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["CREATE", "missing", "g", "$"], KEY_MISSING),
        (["SETID", "missing", "g", "$"], KEY_MISSING),
        (["DESTROY", "missing", "g"], KEY_MISSING),
        (["SETID", "s", "no", "$"], NO_GROUP),
        (["CREATECONSUMER", "s", "no", "c"], NO_GROUP),
        (["DELCONSUMER", "s", "no", "c"], NO_GROUP),
        (["CREATE", "s", "g", "+"], "ERR Invalid stream ID specified as stream command argument"),
        (
            ["CREATE", "s", "g", "0", "ENTRIESREAD", "-2"],
            "ERR value for ENTRIESREAD must be positive or -1",
        ),
        (
            ["CREATE", "s", "g", "0", "MORE"],
            "ERR unknown subcommand or wrong number of arguments for 'CREATE'. Try XGROUP HELP.",
        ),
    ],
)
def test_errors_of_xgroup(node: MemoryNode, words: list[str], error: str) -> None:
    fill(node, 1)
    assert node.call("XGROUP", *words) == Failure(error)


def test_names_end_at_a_nul_in_errors(node: MemoryNode) -> None:
    assert node.call("XPENDING", b"key\0more", b"group\r\n") == Failure(
        "NOGROUP No such key 'key' or consumer group 'group  '"
    )


def test_watched_streams_do_not_mind_their_groups(node: MemoryNode) -> None:
    fill(node, 2)
    other = node.connect()
    node.call("WATCH", "s")
    other.call("XGROUP", "CREATE", "s", "g", "0")
    other.call("XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">")
    other.call("XACK", "s", "g", "1-0")
    node.call("MULTI")
    node.call("XLEN", "s")
    assert node.call("EXEC") == [2]


# --- acknowledging ---------------------------------------------------------------------------


def test_xack(node: MemoryNode) -> None:
    fill(node, 3)
    deliver(node, "g", 3)
    assert node.call("XACK", "s", "g", "1-0", "1-0", "9-0") == 1
    assert node.take_effects() == ([[b"XACK", b"s", b"g", b"1-0", b"1-0", b"9-0"]], [])
    assert node.call("XACK", "s", "g", "2-0", "x") == Failure(
        "ERR Invalid stream ID specified as stream command argument"
    )
    assert pending_ids(node, "g") == ["2-0", "3-0"]
    assert node.call("XACK", "s", "no", "x") == 0


def test_xackdel(node: MemoryNode) -> None:
    fill(node, 4)
    deliver(node, "g", 4)
    deliver(node, "h", 4)
    assert node.call("XACKDEL", "s", "g", "ACKED", "IDS", 1, "1-0") == [2]
    assert node.take_effects() == ([[b"XACK", b"s", b"g", b"1-0"]], [])
    assert node.call("XACKDEL", "s", "h", "ACKED", "IDS", 2, "1-0", "9-0") == [1, -1]
    assert node.take_effects() == (
        [[b"XACK", b"s", b"h", b"1-0"], [b"XDEL", b"s", b"1-0"]],
        [("t", b"xdel", b"s")],
    )
    assert node.call("XACKDEL", "s", "g", "IDS", 1, "2-0") == [1]
    assert pending_ids(node, "h") == ["2-0", "3-0", "4-0"]
    # The entry itself is gone, yet it was pending.
    assert node.call("XACKDEL", "s", "h", "IDS", 1, "2-0") == [1]
    assert node.call("XACKDEL", "s", "g", "DELREF", "IDS", 2, "3-0", "4-0") == [1, 1]
    assert (pending_ids(node, "g"), pending_ids(node, "h")) == ([], [])
    assert node.call("XLEN", "s") == 0
    assert node.call("XACKDEL", "s", "no", "IDS", 2, "1-1", "2-2") == [-1, -1]


def test_xackdel_of_very_many_ids(node: MemoryNode) -> None:
    node.call("XGROUP", "CREATE", "s", "g", "$", "MKSTREAM")
    many = [f"{number}-1" for number in range(100_000)]
    assert node.call("XACKDEL", "s", "g", "IDS", len(many), *many) == [-1] * len(many)
    assert node.call("PING") == "PONG"


# --- claiming --------------------------------------------------------------------------------


def test_xclaim(node: MemoryNode) -> None:
    fill(node, 2)
    deliver(node, "g", 2)
    node.advance(500)
    assert node.call("XCLAIM", "s", "g", "other", 501, "1-0") == []
    assert node.take_effects() == (
        [[b"XGROUP", b"CREATECONSUMER", b"s", b"g", b"other"]],
        [("t", b"xgroup-createconsumer", b"s")],
    )
    assert node.call("XCLAIM", "s", "g", "other", 500, "1-0", "9-0") == [[b"1-0", [b"f", b"1"]]]
    when = b"%d" % (START_MS + 500)
    assert node.take_effects() == (
        [claim(b"1-0", b"other", count=b"2", last_id=b"2-0", when=when)],
        [],
    )
    assert node.call("XCLAIM", "s", "g", "c", 0, "1-0", "JUSTID", "IDLE", 400, "LASTID", "1") == [
        b"1-0"
    ]
    assert node.call("XPENDING", "s", "g", "-", "+", 9) == [
        [b"1-0", b"c", 400, 2],
        [b"2-0", b"c", 500, 1],
    ]


def test_a_new_consumer_that_claims_needs_no_further_words(node: MemoryNode) -> None:
    fill(node, 1)
    deliver(node, "g", 1)
    node.call("XCLAIM", "s", "g", "new", 0, "1-0", "RETRYCOUNT", "7")
    assert node.take_propagated() == [claim(b"1-0", b"new", count=b"7", last_id=b"1-0")]


def test_xclaim_of_what_nobody_has(node: MemoryNode) -> None:
    fill(node, 2)
    node.call("XGROUP", "CREATE", "s", "g", "0")
    assert node.call("XCLAIM", "s", "g", "c", 0, "1-0") == []
    assert ids(node.call("XCLAIM", "s", "g", "c", 0, "1-0", "FORCE")) == ["1-0"]
    assert node.call("XCLAIM", "s", "g", "c", 0, "7-0", "FORCE") == []
    assert node.call("XPENDING", "s", "g", "-", "+", 9) == [[b"1-0", b"c", 0, 2]]
    node.take_effects()
    assert node.call("XCLAIM", "s", "g", "c", 0, "9-0", "LASTID", "2-0") == []
    assert node.take_propagated() == [
        [b"XGROUP", b"SETID", b"s", b"g", b"2-0", b"ENTRIESREAD", b"-1"]
    ]


def test_claiming_deleted_entries_clears_them(node: MemoryNode) -> None:
    fill(node, 4)
    deliver(node, "g", 4)
    node.call("XDEL", "s", "1-0", "3-0")
    node.take_effects()
    assert node.call("XCLAIM", "s", "g", "c", 0, "1-0") == []
    assert node.take_propagated() == [claim(b"1-0", b"c", count=b"1", last_id=b"4-0")]
    assert node.call("XAUTOCLAIM", "s", "g", "other", 0, "0", "COUNT", 2) == [
        b"4-0",
        [[b"2-0", [b"f", b"2"]]],
        [b"3-0"],
    ]
    assert node.take_propagated() == [
        claim(b"2-0", b"other", count=b"2", last_id=b"4-0"),
        claim(b"3-0", b"c", count=b"1", last_id=b"4-0"),
    ]
    assert node.call("XAUTOCLAIM", "s", "g", "other", 0, "(2-0", "JUSTID") == [b"0-0", [b"4-0"], []]
    assert node.call("XPENDING", "s", "g") == [2, b"2-0", b"4-0", [[b"other", b"2"]]]


def test_replicas_end_up_with_the_same_pending_entries(node: MemoryNode) -> None:
    replica = MemoryNode()
    fill(node, 5)
    fill(replica, 5)
    for words in (
        ("XGROUP", "CREATE", "s", "g", "0"),
        ("XREADGROUP", "GROUP", "g", "a", "COUNT", "3", "STREAMS", "s", ">"),
        ("XREADGROUP", "GROUP", "g", "b", "NOACK", "COUNT", "1", "STREAMS", "s", ">"),
        ("XDEL", "s", "2-0"),
        ("XAUTOCLAIM", "s", "g", "d", "0", "0"),
        ("XREADGROUP", "GROUP", "g", "e", "COUNT", "3", "STREAMS", "s", ">"),
        ("XREADGROUP", "GROUP", "g", "nothing", "STREAMS", "s", ">"),
        ("XACKDEL", "s", "g", "IDS", "1", "1-0"),
    ):
        node.call(*words)
        for command in node.take_propagated():
            replica.call(*command)
    assert replica.call("XINFO", "STREAM", "s", "FULL")[-1] is not None
    assert _without_times(replica) == _without_times(node)


def _without_times(node: MemoryNode) -> Plain:
    node.call("HELLO", 3)
    told = node.call("XINFO", "STREAM", "s", "FULL")
    for group in told[b"groups"]:
        for consumer in group[b"consumers"]:
            del consumer[b"seen-time"], consumer[b"active-time"]
    return told


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["XCLAIM", "s", "no", "c", "0", "1-0"], "NOGROUP No such key 's' or consumer group 'no'"),
        (["XCLAIM", "s", "g", "c", "x", "1-0"], "ERR Invalid min-idle-time argument for XCLAIM"),
        (["XCLAIM", "s", "g", "c", "0", "1-0", "-"], "ERR Unrecognized XCLAIM option '-'"),
        (
            ["XCLAIM", "s", "g", "c", "0", "1-0", "TIME", "x"],
            "ERR Invalid TIME option argument for XCLAIM",
        ),
        (
            ["XAUTOCLAIM", "s", "g", "c", "x", "0"],
            "ERR Invalid min-idle-time argument for XAUTOCLAIM",
        ),
        (["XAUTOCLAIM", "s", "g", "c", "0", "0", "COUNT", "0"], "ERR COUNT must be > 0"),
        (["XAUTOCLAIM", "s", "g", "c", "0", "0", "COUNT", str(2**63 - 1)], "ERR COUNT must be > 0"),
        (["XPENDING", "s", "g", "-", "+"], "ERR syntax error"),
        (["XPENDING", "s", "g", "IDLE", "5", "-", "+"], "ERR syntax error"),
    ],
)
def test_errors_of_claiming(node: MemoryNode, words: list[str], error: str) -> None:
    fill(node, 1)
    deliver(node, "g", 1)
    assert node.call(*words) == Failure(error)


def test_each_entry_has_one_owner(node: MemoryNode) -> None:
    fill(node, 3)
    deliver(node, "g", 3)
    node.call("XCLAIM", "s", "g", "d", 0, "1-0", "2-0")
    # The group starts anew: everything is delivered again, to somebody else.
    node.call("XGROUP", "SETID", "s", "g", "0")
    node.call("XREADGROUP", "GROUP", "g", "e", "COUNT", 2, "STREAMS", "s", ">")
    assert node.call("XPENDING", "s", "g")[3] == [[b"c", b"1"], [b"e", b"2"]]
    assert node.call("XGROUP", "DELCONSUMER", "s", "g", "c") == 1
    assert node.call("XGROUP", "DELCONSUMER", "s", "g", "d") == 0
    assert pending_ids(node, "g") == ["1-0", "2-0"]


# --- XPENDING and XINFO ----------------------------------------------------------------------


def test_xpending(node: MemoryNode) -> None:
    fill(node, 3)
    node.call("XGROUP", "CREATE", "s", "g", "0")
    assert node.call("XPENDING", "s", "g") == [0, None, None, None]
    node.call("XREADGROUP", "GROUP", "g", "c", "COUNT", "2", "STREAMS", "s", ">")
    node.advance(100)
    node.call("XREADGROUP", "GROUP", "g", "d", "STREAMS", "s", ">")
    assert node.call("XPENDING", "s", "g", "IDLE", "100", "-", "+", "9") == [
        [b"1-0", b"c", 100, 1],
        [b"2-0", b"c", 100, 1],
    ]
    assert ids(node.call("XPENDING", "s", "g", "(1-0", "3", "9")) == ["2-0", "3-0"]
    assert ids(node.call("XPENDING", "s", "g", "-", "(3-0", "9")) == ["1-0", "2-0"]
    assert ids(node.call("XPENDING", "s", "g", "-", "+", "9", "d")) == ["3-0"]
    assert node.call("XPENDING", "s", "g", "-", "+", "9", "nobody") == []
    assert node.call("XPENDING", "s", "g", "-", "+", "-1") == []


def test_xinfo(node: MemoryNode) -> None:
    fill(node, 3)
    deliver(node, "g", 2)
    node.call("XGROUP", "CREATE", "s", "unread", "1-5")
    node.call("XREADGROUP", "GROUP", "g", "idle", "STREAMS", "s", "0")
    node.advance(70)
    node.call("HELLO", 3)
    assert node.call("XINFO", "STREAM", "s") == {
        b"length": 3,
        b"radix-tree-keys": 1,
        b"radix-tree-nodes": 2,
        b"last-generated-id": b"3-0",
        b"max-deleted-entry-id": b"0-0",
        b"entries-added": 3,
        b"recorded-first-entry-id": b"1-0",
        b"groups": 2,
        b"first-entry": [b"1-0", [b"f", b"1"]],
        b"last-entry": [b"3-0", [b"f", b"3"]],
    }
    first, second = node.call("XINFO", "GROUPS", "s")
    assert first == {
        b"name": b"g",
        b"consumers": 2,
        b"pending": 2,
        b"last-delivered-id": b"2-0",
        b"entries-read": 2,
        b"lag": 1,
    }
    assert (second[b"entries-read"], second[b"lag"]) == (None, None)
    assert node.call("XINFO", "CONSUMERS", "s", "g") == [
        {b"name": b"c", b"pending": 2, b"idle": 70, b"inactive": 70},
        {b"name": b"idle", b"pending": 0, b"idle": 70, b"inactive": -1},
    ]
    full = node.call("XINFO", "STREAM", "s", "FULL", "COUNT", "1")
    assert full[b"entries"] == [[b"1-0", [b"f", b"1"]]]
    group = full[b"groups"][0]
    assert group[b"pending"] == [[b"1-0", b"c", START_MS, 1]]
    assert group[b"pel-count"] == 2
    assert group[b"consumers"][0] == {
        b"name": b"c",
        b"seen-time": START_MS,
        b"active-time": START_MS,
        b"pel-count": 2,
        b"pending": [[b"1-0", START_MS, 1]],
    }


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["STREAM", "missing"], "ERR no such key"),
        (["GROUPS", "missing"], "ERR no such key"),
        (["CONSUMERS", "s", "no"], NO_GROUP),
        (
            ["STREAM", "s", "FULL", "COUNT"],
            "ERR unknown subcommand or wrong number of arguments for 'STREAM'. Try XINFO HELP.",
        ),
        (["STREAM", "s", "FULL", "COUNT", "x"], "ERR value is not an integer or out of range"),
    ],
)
def test_errors_of_xinfo(node: MemoryNode, words: list[str], error: str) -> None:
    fill(node, 1)
    assert node.call("XINFO", *words) == Failure(error)


@pytest.mark.parametrize("name", ["XGROUP", "XINFO"])
def test_help(node: MemoryNode, name: str) -> None:
    lines = node.call(name, "HELP")
    assert lines[0].startswith(f"{name} <subcommand>")
    assert any(line.startswith("HELP") for line in lines)
