"""Adding, trimming, deleting and reading entries of streams; what replicas hear of it."""

import pytest

from ..harness import START_MS, Failure, MemoryNode, Plain, Word

TOO_SMALL = "ERR The ID specified in XADD is equal or smaller than the target stream top item"
INVALID_ID = "ERR Invalid stream ID specified as stream command argument"
LARGEST = 2**64 - 1


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def fill(node: MemoryNode, count: int, key: str = "s") -> None:
    """Entries 1-0, 2-0 ... with one field."""
    for number in range(1, count + 1):
        node.call("XADD", key, f"{number}-0", "f", number)
    node.take_effects()


def ids(reply: Plain) -> list[str]:
    return [entry[0].decode() for entry in reply]


def all_ids(node: MemoryNode, key: str = "s") -> list[str]:
    return ids(node.call("XRANGE", key, "-", "+"))


# --- IDs of new entries ----------------------------------------------------------------------


def test_the_clock_makes_ids(node: MemoryNode) -> None:
    assert node.call("XADD", "s", "*", "f", "v") == b"%d-0" % START_MS
    assert node.call("XADD", "s", "*", "f", "v") == b"%d-1" % START_MS
    node.advance(-5000)
    assert node.call("XADD", "s", "*", "f", "v") == b"%d-2" % START_MS
    node.advance(6000)
    assert node.call("XADD", "s", "*", "f", "v") == b"%d-0" % (START_MS + 1000)


@pytest.mark.parametrize(
    ("last", "wanted", "reply"),
    [
        ("1-5", "1-*", b"1-6"),
        ("1-5", "2-*", b"2-0"),
        ("1-5", "0-*", Failure(TOO_SMALL)),
        ("1-5", "1-5", Failure(TOO_SMALL)),
        ("1-5", "1", Failure(TOO_SMALL)),
        ("1-5", "2", b"2-0"),
        ("1-5", "0-0", Failure("ERR The ID specified in XADD must be greater than 0-0")),
        (f"1-{LARGEST}", "1-*", Failure(TOO_SMALL)),
        (f"1-{LARGEST}", "2-*", b"2-0"),
        ("1-5", "x", Failure(INVALID_ID)),
        ("1-5", "1-**", Failure(INVALID_ID)),
        ("1-5", "*-1", Failure(INVALID_ID)),
        ("1-5", "+", Failure(INVALID_ID)),
        ("1-5", f"{LARGEST + 1}-0", Failure(INVALID_ID)),
        (
            f"{LARGEST}-{LARGEST}",
            "*",
            Failure("ERR The stream has exhausted the last possible ID, unable to add more items"),
        ),
    ],
)
def test_ids_of_clients(node: MemoryNode, last: str, wanted: str, reply: Plain) -> None:
    node.call("XADD", "s", last, "f", "v")
    assert node.call("XADD", "s", wanted, "f", "v") == reply


def test_first_automatic_sequence(node: MemoryNode) -> None:
    assert node.call("XADD", "s", "0-*", "f", "v") == b"0-1"


def test_an_automatic_id_that_leaves_the_clock_behind(node: MemoryNode) -> None:
    node.call("XADD", "s", f"9999999999999-{LARGEST}", "f", "v")
    assert node.call("XADD", "s", "*", "f", "v") == b"10000000000000-0"


def test_a_stream_is_only_made_if_wanted_and_valid(node: MemoryNode) -> None:
    assert node.call("XADD", "s", "NOMKSTREAM", "*", "f", "v") is None
    arity = Failure("ERR wrong number of arguments for 'xadd' command")
    assert node.call("XADD", "s", "*", "f", "v", "g") == arity
    assert node.call("XADD", "s", "MAXLEN", "5", "1-1", "f") == arity
    assert node.call("EXISTS", "s") == 0
    assert node.take_effects() == ([], [])


# --- trimming --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["MAXLEN", "-1"], "ERR The MAXLEN argument must be >= 0."),
        (["MAXLEN", "x"], "ERR value is not an integer or out of range"),
        (["MAXLEN", "~", "x"], "ERR value is not an integer or out of range"),
        (["MINID", "x"], INVALID_ID),
        (
            ["MAXLEN", "1", "MINID", "1"],
            "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        (
            ["MAXLEN", "1", "LIMIT", "5"],
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ),
        (["MAXLEN", "~", "1", "LIMIT", "-5"], "ERR The LIMIT argument must be >= 0."),
        (
            ["LIMIT", "5"],
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ),
        (["LIMIT", "0"], "ERR syntax error, XTRIM must be called with a trimming strategy"),
        (["MAXLEN", "1", "KEEPREF", "ACKED"], "ERR syntax error"),
        (["MAXLEN", "1", "NOMKSTREAM"], "ERR syntax error"),
    ],
)
def test_errors_of_trimming(node: MemoryNode, options: list[str], error: str) -> None:
    assert node.call("XTRIM", "s", *options) == Failure(error)


def test_trimming_exactly(node: MemoryNode) -> None:
    fill(node, 5)
    assert node.call("XTRIM", "s", "MAXLEN", "=", 3) == 2
    assert node.take_effects() == (
        [[b"XTRIM", b"s", b"MAXLEN", b"=", b"3"]],
        [("t", b"xtrim", b"s")],
    )
    assert node.call("XTRIM", "s", "MINID", "5") == 2
    assert all_ids(node) == ["5-0"]
    node.take_effects()
    assert node.call("XTRIM", "s", "MAXLEN", 3) == 0
    assert node.take_effects() == ([], [])


def test_replicas_hear_how_approximate_trimming_ended() -> None:
    node = MemoryNode(stream_node_max_entries=3)
    fill(node, 10)
    assert node.call("XTRIM", "s", "MAXLEN", "~", 2) == 6
    assert node.take_propagated() == [[b"XTRIM", b"s", b"MAXLEN", b"=", b"4"]]
    node.call("XADD", "s", "MINID", "~", "10", "LIMIT", "3", "*", "f", "v")
    new_id = b"%d-0" % START_MS
    assert node.take_effects() == (
        [[b"XADD", b"s", b"MINID", b"=", b"10-0", new_id, b"f", b"v"]],
        [("t", b"xadd", b"s"), ("t", b"xtrim", b"s")],
    )
    assert node.call("XTRIM", "s", "MINID", "~", "9999999999999") == 2
    assert node.take_propagated() == [
        [b"XTRIM", b"s", b"MINID", b"=", b"%d-%d" % (LARGEST, LARGEST)]
    ]
    assert node.call("XLEN", "s") == 0
    assert node.call("EXISTS", "s") == 1


def test_a_limit_keeps_trimming_short() -> None:
    node = MemoryNode(stream_node_max_entries=3)
    fill(node, 10)
    assert node.call("XTRIM", "s", "MAXLEN", "~", 0, "LIMIT", 5) == 3
    assert node.call("XTRIM", "s", "MAXLEN", "~", 0, "LIMIT", 0) == 7


def test_replicas_hear_the_id(node: MemoryNode) -> None:
    node.call("XADD", "s", "NOMKSTREAM", "MAXLEN", "5", "*", "f", "v")
    node.call("XADD", "s", "MAXLEN", "5", "*", "f", "v")
    node.call("XADD", "s", "9999999999999-*", "f", "v")
    node.call("XADD", "s", "9999999999999-8", "f", "v")
    assert node.take_propagated() == [
        [b"XADD", b"s", b"MAXLEN", b"5", b"%d-0" % START_MS, b"f", b"v"],
        [b"XADD", b"s", b"9999999999999-0", b"f", b"v"],
        [b"XADD", b"s", b"9999999999999-8", b"f", b"v"],
    ]


# --- with regard to consumer groups ----------------------------------------------------------


def deliver(node: MemoryNode, group: str, count: int, key: str = "s") -> None:
    """Make a group and let one consumer read so many entries."""
    node.call("XGROUP", "CREATE", key, group, 0)
    node.call("XREADGROUP", "GROUP", group, "c", "COUNT", count, "STREAMS", key, ">")
    node.take_effects()


def pending_ids(node: MemoryNode, group: str, key: str = "s") -> list[str]:
    return ids(node.call("XPENDING", key, group, "-", "+", 100))


def test_trimming_what_everybody_is_done_with(node: MemoryNode) -> None:
    fill(node, 6)
    deliver(node, "g", 4)
    node.call("XACK", "s", "g", "1-0", "3-0", "4-0")
    node.take_effects()
    assert node.call("XTRIM", "s", "MAXLEN", 4, "ACKED") == 2
    assert node.take_effects() == ([[b"XDEL", b"s", b"1-0", b"3-0"]], [("t", b"xtrim", b"s")])
    node.call("XADD", "s", "MAXLEN", "1", "ACKED", "7-0", "f", "v")
    assert node.take_propagated() == [
        [b"XADD", b"s", b"7-0", b"f", b"v"],
        [b"XDEL", b"s", b"4-0"],
    ]
    assert all_ids(node) == ["2-0", "5-0", "6-0", "7-0"]
    assert node.call("XTRIM", "s", "MINID", "~", "7", "LIMIT", "1", "ACKED") == 0


def test_trimming_with_all_references(node: MemoryNode) -> None:
    fill(node, 6)
    deliver(node, "g", 4)
    deliver(node, "h", 2)
    assert node.call("XTRIM", "s", "MAXLEN", "3", "DELREF") == 3
    assert (pending_ids(node, "g"), pending_ids(node, "h")) == (["4-0"], [])
    assert node.call("XTRIM", "s", "MAXLEN", "0", "DELREF") == 3
    assert pending_ids(node, "g") == []
    assert node.take_propagated()[0] == [b"XTRIM", b"s", b"MAXLEN", b"3", b"DELREF"]


def test_plain_trimming_keeps_references(node: MemoryNode) -> None:
    fill(node, 3)
    deliver(node, "g", 3)
    assert node.call("XTRIM", "s", "MAXLEN", "0", "KEEPREF") == 3
    assert pending_ids(node, "g") == ["1-0", "2-0", "3-0"]


def test_xdelex(node: MemoryNode) -> None:
    fill(node, 5)
    deliver(node, "g", 3)
    deliver(node, "h", 5)
    node.call("XACK", "s", "h", "1-0", "2-0", "4-0")
    node.call("XACK", "s", "g", "1-0")
    node.take_effects()
    # 1-0: all are done with it; 2-0 is pending in g; 4-0 is yet to be read by g.
    reply = node.call("XDELEX", "s", "ACKED", "IDS", 4, "1-0", "2-0", "4-0", "9-0")
    assert reply == [1, 2, 2, -1]
    assert node.take_effects() == ([[b"XDEL", b"s", b"1-0"]], [("t", b"xdel", b"s")])
    assert node.call("XDELEX", "s", "IDS", 1, "3-0", "KEEPREF") == [1]
    assert pending_ids(node, "h") == ["3-0", "5-0"]
    node.take_effects()
    # What is gone already still loses its references.
    assert node.call("XDELEX", "s", "DELREF", "IDS", 2, "3-0", "5-0") == [-1, 1]
    assert node.take_effects() == (
        [
            [b"XACK", b"s", b"g", b"3-0"],
            [b"XACK", b"s", b"h", b"3-0", b"5-0"],
            [b"XDEL", b"s", b"5-0"],
        ],
        [("t", b"xdel", b"s")],
    )
    assert node.call("XDELEX", "s", "IDS", 2, "9-0", "9-1") == [-1, -1]
    assert node.take_effects() == ([], [])
    assert node.call("XDELEX", "missing", "IDS", 2, "9-0", "9-1") == [-1, -1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["IDS", "0", "1-1"], "ERR Number of IDs must be a positive integer"),
        (["IDS", "x", "1-1"], "ERR Number of IDs must be a positive integer"),
        (["IDS", "3", "1-1"], "ERR The `numids` parameter must match the number of arguments"),
        (["IDS", "1", "1-1", "2-1"], "ERR syntax error"),
        (["KEEPREF", "ACKED", "IDS", "1", "1-1"], "ERR syntax error"),
        (["WHATEVER", "IDS", "1", "1-1"], "ERR syntax error"),
        (["IDS", "1", "what"], INVALID_ID),
        (
            ["IDS", "9223372036854775807", "1-1"],
            "ERR The `numids` parameter must match the number of arguments",
        ),
    ],
)
def test_errors_of_xdelex_and_xackdel(node: MemoryNode, words: list[str], error: str) -> None:
    fill(node, 1)
    deliver(node, "g", 1)
    assert node.call("XDELEX", "s", *words) == Failure(error)
    assert node.call("XACKDEL", "s", "g", *words) == Failure(error)


# --- deleting and reading --------------------------------------------------------------------


def test_xdel(node: MemoryNode) -> None:
    fill(node, 3)
    assert node.call("XDEL", "s", "2-0", "2-0", "9-0") == 1
    assert node.take_effects() == (
        [[b"XDEL", b"s", b"2-0", b"2-0", b"9-0"]],
        [("t", b"xdel", b"s")],
    )
    assert node.call("XDEL", "s", "1-0", "x") == Failure(INVALID_ID)
    assert node.call("XDEL", "s", "1-0", "3-0") == 2
    assert node.call("XLEN", "s") == 0
    assert node.call("TYPE", "s") == "stream"


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("-", "+", ["1-0", "1-1", "2-0"]),
        ("1", "1", ["1-0", "1-1"]),
        ("(1-0", "(2-0", ["1-1"]),
        ("(1", "2", ["1-1", "2-0"]),
        ("1-1", "1-1", ["1-1"]),
        ("2", "1", []),
        (f"({LARGEST}-{LARGEST}", "+", Failure("ERR invalid start ID for the interval")),
        ("-", "(0-0", Failure("ERR invalid end ID for the interval")),
        ("(-", "+", Failure(INVALID_ID)),
        ("(", "+", Failure(INVALID_ID)),
    ],
)
def test_ranges(node: MemoryNode, start: str, end: str, found: Plain) -> None:
    for entry_id in ("1-0", "1-1", "2-0"):
        node.call("XADD", "s", entry_id, "f", "v")
    forwards = node.call("XRANGE", "s", start, end)
    backwards = node.call("XREVRANGE", "s", end, start)
    if isinstance(found, Failure):
        assert (forwards, backwards) == (found, found)
    else:
        assert (ids(forwards), ids(backwards)) == (found, found[::-1])


@pytest.mark.parametrize(
    ("count", "reply"), [("0", None), ("-3", None), ("1", [[b"1-0", [b"f", b"1"]]])]
)
def test_count_of_a_range(node: MemoryNode, count: str, reply: Plain) -> None:
    fill(node, 3)
    assert node.call("XRANGE", "s", "-", "+", "COUNT", count) == reply
    assert node.call("XRANGE", "missing", "-", "+", "COUNT", count) == []


def test_wrong_types(node: MemoryNode) -> None:
    node.call("SET", "k", "v")
    wrong = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
    commands: list[list[Word]] = [
        ["XADD", "k", "*", "f", "v"],
        ["XTRIM", "k", "MAXLEN", "1"],
        ["XDEL", "k", "1-1"],
        ["XDELEX", "k", "IDS", "1", "1-1"],
        ["XACKDEL", "k", "g", "IDS", "1", "1-1"],
        ["XLEN", "k"],
        ["XRANGE", "k", "-", "+"],
        ["XSETID", "k", "1-1"],
        ["XREAD", "STREAMS", "k", "0"],
        ["XREADGROUP", "GROUP", "g", "c", "STREAMS", "k", ">"],
        ["XGROUP", "CREATE", "k", "g", "0", "MKSTREAM"],
        ["XACK", "k", "g", "1-1"],
        ["XCLAIM", "k", "g", "c", "0", "1-1"],
        ["XAUTOCLAIM", "k", "g", "c", "0", "0"],
        ["XPENDING", "k", "g"],
        ["XINFO", "STREAM", "k"],
    ]
    for words in commands:
        assert node.call(*words) == wrong, words


# --- counters --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (["9-0"], "OK"),
        (["9-0", "ENTRIESADDED", "7", "MAXDELETEDID", "5-0"], "OK"),
        (["3-0"], "OK"),
        (
            ["2-9"],
            Failure("ERR The ID specified in XSETID is smaller than the target stream top item"),
        ),
        (
            ["9-0", "ENTRIESADDED", "1"],
            Failure(
                "ERR The entries_added specified in XSETID is smaller than the target stream length"
            ),
        ),
        (["9-0", "ENTRIESADDED", "-1"], Failure("ERR entries_added must be positive")),
        (
            ["9-0", "MAXDELETEDID", "10-0"],
            Failure(
                "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
            ),
        ),
        (["9-0", "MORE", "1"], Failure("ERR syntax error")),
        (["9-0", "ENTRIESADDED"], Failure("ERR syntax error")),
    ],
)
def test_xsetid(node: MemoryNode, words: list[str], reply: Plain) -> None:
    fill(node, 3)
    assert node.call("XSETID", "s", *words) == reply
    if reply == "OK":
        assert node.take_effects() == (
            [[b"XSETID", b"s", *(word.encode() for word in words)]],
            [("t", b"xsetid", b"s")],
        )


def test_xsetid_stays_above_deleted_entries(node: MemoryNode) -> None:
    fill(node, 3)
    node.call("XDEL", "s", "3-0")
    assert node.call("XSETID", "s", "2-5") == Failure(
        "ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
    )
    assert node.call("XSETID", "missing", "2-5") == Failure("ERR no such key")
