"""SORT and SORT_RO."""

import pytest

from clustrio.slots.hashing import key_slot

from ..harness import Failure, MemoryNode, Plain, Word

NOT_A_WEIGHT = Failure("ERR One or more scores can't be converted into double")


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("RPUSH", "list", 3, 10, 1, 2, 10)
    node.call("RPUSH", "words", "b", "C", "a", "ab")
    node.call("SADD", "set", 5, 4, 30)
    node.call("ZADD", "zset", 1, "z", 2, "y", 3, "x")
    for name, weight in (("1", "30"), ("2", "20"), ("3", "10")):
        node.call("SET", f"w_{name}", weight)
        node.call("HSET", f"h_{name}", "f", weight, "g", f"text{name}")
    node.take_effects()
    return node


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        (["list"], [b"1", b"2", b"3", b"10", b"10"]),
        (["list", "DESC"], [b"10", b"10", b"3", b"2", b"1"]),
        (["list", "DESC", "ASC"], [b"1", b"2", b"3", b"10", b"10"]),
        (["list", "ALPHA"], [b"1", b"10", b"10", b"2", b"3"]),
        (["list", "LIMIT", "1", "2"], [b"2", b"3"]),
        (["list", "LIMIT", "-5", "2"], [b"1", b"2"]),
        (["list", "LIMIT", "3", "-1"], [b"10", b"10"]),
        (["list", "LIMIT", "3", str(2**63 - 1)], [b"10", b"10"]),
        (["list", "LIMIT", "5", "1"], []),
        (["list", "LIMIT", "0", "0"], []),
        (["list", "BY", "nosort"], [b"3", b"10", b"1", b"2", b"10"]),
        (["list", "BY", "nosort", "DESC", "LIMIT", "1", "2"], [b"2", b"1"]),
        (["list", "BY", "nosort", "BY", "w_*"], [b"3", b"10", b"1", b"2", b"10"]),
        (["list", "BY", "w_*"], [b"10", b"10", b"3", b"2", b"1"]),
        (["list", "BY", "h_*->f", "DESC"], [b"1", b"2", b"3", b"10", b"10"]),
        (["list", "BY", "h_*->g", "ALPHA"], [b"10", b"10", b"1", b"2", b"3"]),
        (["list", "BY", "h_*->"], [b"1", b"10", b"10", b"2", b"3"]),
        (["words"], NOT_A_WEIGHT),
        (["words", "ALPHA"], [b"C", b"a", b"ab", b"b"]),
        (["words", "BY", "nosort"], [b"b", b"C", b"a", b"ab"]),
        (["set", "DESC"], [b"30", b"5", b"4"]),
        (["zset", "ALPHA"], [b"x", b"y", b"z"]),
        (["zset", "BY", "nosort"], [b"z", b"y", b"x"]),
        (["zset", "BY", "nosort", "DESC", "LIMIT", "0", "2"], [b"x", b"y"]),
        (["zset"], NOT_A_WEIGHT),
        (["missing"], []),
        (["missing", "LIMIT", "x", "1"], Failure("ERR value is not an integer or out of range")),
        (["list", "LIMIT", "1"], Failure("ERR syntax error")),
        (["list", "GET"], Failure("ERR syntax error")),
        (["list", "MORE"], Failure("ERR syntax error")),
        (["w_1"], Failure("WRONGTYPE Operation against a key holding the wrong kind of value")),
        (["list", "BY", "h_*->g"], NOT_A_WEIGHT),
        (["list", "BY", "w_*", "LIMIT", "0", "1", "GET", "#", "GET", "w_*"], [b"10", None]),
        (
            ["list", "LIMIT", "0", "2", "GET", "h_*->g", "GET", "h_*->x"],
            [b"text1", None, b"text2", None],
        ),
        (
            ["list", "LIMIT", "0", "1", "GET", "h_*", "GET", "w_*->f", "GET", "none"],
            [None, None, None],
        ),
    ],
)
def test_sorted(node: MemoryNode, words: list[Word], reply: Plain) -> None:
    assert node.call("SORT", *words) == reply
    assert node.call("SORT_RO", *words) == reply
    assert node.take_effects() == ([], [])


def test_equal_weights_are_sorted_by_the_elements_themselves(node: MemoryNode) -> None:
    node.call("RPUSH", "equal", "2.0", "2", "02", "1")
    assert node.call("SORT", "equal") == [b"1", b"02", b"2", b"2.0"]
    assert node.call("SORT", "equal", "DESC") == [b"2.0", b"2", b"02", b"1"]


def test_equal_texts_keep_their_order(node: MemoryNode) -> None:
    node.call("RPUSH", "few", "c", "1", "a", "b")
    assert node.call("SORT", "few", "BY", "w_*", "ALPHA") == [b"c", b"a", b"b", b"1"]
    assert node.call("SORT", "few", "BY", "w_*", "ALPHA", "DESC") == [b"1", b"c", b"a", b"b"]


def test_storing(node: MemoryNode) -> None:
    node.call("SET", "to", "v", "EX", 100)
    node.take_effects()
    assert node.call("SORT", "list", "GET", "#", "GET", "w_*", "LIMIT", 2, 2, "STORE", "to") == 4
    assert node.take_effects() == (
        [[b"SORT", b"list", *b"GET # GET w_* LIMIT 2 2 STORE to".split()]],
        [("l", b"sortstore", b"to")],
    )
    assert node.call("LRANGE", "to", 0, -1) == [b"3", b"10", b"10", b""]
    assert node.call("TTL", "to") == -1
    assert node.call("SORT", "missing", "STORE", "to") == 0
    assert node.take_effects() == ([[b"SORT", b"missing", b"STORE", b"to"]], [("g", b"del", b"to")])
    assert node.call("SORT", "missing", "STORE", "to") == 0
    assert node.take_effects() == ([], [])


def test_storing_over_the_source(node: MemoryNode) -> None:
    assert node.call("SORT", "list", "STORE", "list") == 5
    assert node.call("LRANGE", "list", 0, -1) == [b"1", b"2", b"3", b"10", b"10"]
    assert node.call("OBJECT", "ENCODING", "list") == b"listpack"


def test_a_failure_stores_nothing(node: MemoryNode) -> None:
    assert node.call("SORT", "words", "STORE", "to") == NOT_A_WEIGHT
    assert node.call("EXISTS", "to") == 0
    assert node.take_effects() == ([], [])


def test_what_is_stored_of_a_set_has_an_order(node: MemoryNode) -> None:
    assert node.call("SORT", "set", "BY", "nosort", "STORE", "to") == 3
    assert node.call("LRANGE", "to", 0, -1) == [b"30", b"4", b"5"]
    # Small sets of numbers have one, too.
    assert node.call("SORT", "set", "BY", "nosort", "LIMIT", 1, 2) == [b"5", b"30"]


def test_stored_ties_do_not_depend_on_the_history_of_a_set() -> None:
    orders = []
    for members in ("abcdefgh", "hgfedcba"):
        node = MemoryNode()
        node.call("SADD", "set", *members)
        node.call("SORT", "set", "BY", "none_*", "ALPHA", "STORE", "to")
        orders.append(node.call("LRANGE", "to", 0, -1))
    assert orders[0] == orders[1]


def test_only_sort_stores(node: MemoryNode) -> None:
    assert node.call("SORT_RO", "list", "STORE", "to") == Failure("ERR syntax error")


def test_lapsed_keys_and_fields_weigh_nothing(node: MemoryNode) -> None:
    node.call("PEXPIRE", "w_1", 10)
    node.call("HPEXPIRE", "h_1", 10, "FIELDS", 1, "f")
    node.advance(11)
    node.call("RPUSH", "one", "1")
    assert node.call("SORT", "one", "GET", "w_*", "GET", "h_*->f") == [None, None]


def test_numbers_out_of_range_and_odd_numbers(node: MemoryNode) -> None:
    node.call("RPUSH", "odd", "inf", "-inf", "0x10", " 5", "")
    assert node.call("SORT", "odd") == [b"-inf", b"", b" 5", b"0x10", b"inf"]
    for bad in ("1e400", "nan", "5 ", "1e-400"):
        node.call("DEL", "odd")
        node.call("RPUSH", "odd", bad)
        assert node.call("SORT", "odd") == NOT_A_WEIGHT


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (["SORT", "k"], [b"k"]),
        (["SORT", "k", "BY", "STORE", "STORE", "to"], [b"k", b"to"]),
        (["SORT", "k", "GET", "STORE", "LIMIT", "STORE", "STORE"], [b"k"]),
        (["SORT", "k", "STORE", "a", "STORE", "b"], [b"k", b"b"]),
        (["SORT_RO", "k", "STORE", "a"], [b"k"]),
    ],
)
def test_keys(node: MemoryNode, words: list[str], keys: list[bytes]) -> None:
    assert node.call("COMMAND", "GETKEYS", *words) == keys


def test_patterns_in_a_cluster() -> None:
    node = MemoryNode(cluster_enabled="yes")
    node.call("RPUSH", "{t}list", 2, 1)
    node.call("MSET", "{t}w_1", "a", "{t}w_2", "b")
    assert key_slot(b"{t}list") != key_slot(b"w")
    where = "denied in Cluster mode when keys formed by the pattern may be in different slots."
    for pattern in ("w_*", "*{t}", "{u}w_*", "{*t}"):
        by, get = (node.call("SORT", "{t}list", word, pattern) for word in ("BY", "GET"))
        assert by == Failure(f"ERR BY option of SORT {where}")
        assert get == Failure(f"ERR GET option of SORT {where}")
    assert node.call("SORT", "{t}list", "BY", "{t}w_*", "ALPHA", "GET", "#", "GET", "{t}w_*") == [
        *(b"1", b"a", b"2", b"b"),
    ]
    assert node.call("SORT", "{t}list", "BY", "nosort") == [b"2", b"1"]
