"""Sorted sets: single members, picks, scans, pops, waiting; replies, errors, effects."""

import pytest

from ..harness import Failure, MemoryNode, Plain

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
NOT_A_FLOAT = Failure("ERR value is not a valid float")
NOT_A_NUMBER = Failure("ERR resulting score is not a number (NaN)")
INCOMPARABLE = Failure("ERR GT, LT, and/or NX options at the same time are not compatible")
MUST_BE_POSITIVE = Failure("ERR value is out of range, must be positive")
SYNTAX = Failure("ERR syntax error")
MAXIMUM = 2**63 - 1

Calls = list[tuple[str, Plain]]


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


CONVERSATIONS: dict[str, Calls] = {
    "add": [
        ("ZADD z 1 a 2 b", 2),
        ("ZADD z 3 a", 0),
        ("ZADD z 1 c 3 a 5 b", 1),
        ("ZADD z CH 1 c 4 a 5 d", 2),
        ("ZSCORE z a", b"4"),
        ("ZCARD z", 4),
        ("ZADD z 1", Failure("ERR wrong number of arguments for 'zadd' command")),
        ("ZADD z 1 a 2", SYNTAX),
        ("ZADD z NX CH", SYNTAX),
        ("ZADD z x a", NOT_A_FLOAT),
        ("ZADD z 1 a nan b", NOT_A_FLOAT),
        ("ZADD z 1e400 a", NOT_A_FLOAT),
    ],
    "add under conditions": [
        ("ZADD z XX 1 a", 0),
        ("ZADD z NX 1 a", 1),
        ("ZADD z nx 2 a", 0),
        ("ZADD z XX 2 a 3 b", 0),
        ("ZADD z GT CH 1 a", 0),
        ("ZADD z GT CH 5 a 1 new", 2),
        ("ZADD z LT CH 6 a", 0),
        ("ZADD z LT XX CH 4 a 1 other", 1),
        ("ZADD z XX NX 1 a", Failure("ERR XX and NX options at the same time are not compatible")),
        ("ZADD z GT LT 1 a", INCOMPARABLE),
        ("ZADD z GT NX 1 a", INCOMPARABLE),
        ("ZADD z LT NX 1 a", INCOMPARABLE),
    ],
    "increments": [
        ("ZADD z INCR 2.5 a", b"2.5"),
        ("ZINCRBY z 1 a", b"3.5"),
        ("ZADD z NX INCR 1 a", None),
        ("ZADD z XX INCR 1 b", None),
        ("ZADD no XX INCR 1 b", None),
        ("ZADD z GT INCR -1 a", None),
        ("ZADD z LT INCR -1 a", b"2.5"),
        ("ZADD z INCR 1 a 2 b", Failure(
            "ERR INCR option supports a single increment-element pair")),
        ("ZINCRBY z inf a", b"inf"),
        ("ZINCRBY z -inf a", NOT_A_NUMBER),
        ("ZSCORE z a", b"inf"),
        ("ZINCRBY z x a", NOT_A_FLOAT),
    ],
    "scores": [
        ("ZADD z 0.1 a 1e17 b 3.0 c -inf d 1e20 e -0 f", 6),
        ("ZMSCORE z a b c d e f g", [
            b"0.1", b"100000000000000000", b"3", b"-inf", b"1e+20", b"0", None]),
        ("ZMSCORE no a b", [None, None]),
        ("ZSCORE z g", None),
        ("ZSCORE no g", None),
    ],
    "remove": [
        ("ZADD z 1 a 2 b", 2),
        ("ZREM z a a x", 1),
        ("ZREM z b", 1),
        ("EXISTS z", 0),
        ("ZREM z b", 0),
        ("ZCARD z", 0),
    ],
    "ranks": [
        ("ZADD z 1 a 2 b 2 c 3 d", 4),
        ("ZRANK z c", 2),
        ("ZREVRANK z c", 1),
        ("ZRANK z x", None),
        ("ZRANK no x", None),
        ("ZRANK z c WITHSCORE", [2, b"2"]),
        ("ZREVRANK z a withscore", [3, b"1"]),
        ("ZRANK z x WITHSCORE", None),
        ("ZRANK z c WITHSCORES", SYNTAX),
        ("ZRANK z c WITHSCORE x", Failure("ERR wrong number of arguments for 'zrank' command")),
    ],
    "pops": [
        ("ZADD z 1 a 2 b 3 c 4 d 5 e", 5),
        ("ZPOPMIN z", [b"a", b"1"]),
        ("ZPOPMAX z 2", [b"e", b"5", b"d", b"4"]),
        ("ZPOPMIN z 0", []),
        ("ZPOPMIN z -1", MUST_BE_POSITIVE),
        ("ZPOPMIN z x", MUST_BE_POSITIVE),
        ("ZPOPMIN z 1 2", SYNTAX),
        (f"ZPOPMAX z {MAXIMUM}", [b"c", b"3", b"b", b"2"]),
        ("ZPOPMIN z", []),
        ("EXISTS z", 0),
    ],
    "pops from several": [
        ("ZADD z 1 a 2 b 3 c", 3),
        ("ZMPOP 2 no z MIN", [b"z", [[b"a", b"1"]]]),
        ("ZMPOP 1 z MAX COUNT 9", [b"z", [[b"c", b"3"], [b"b", b"2"]]]),
        ("ZMPOP 1 z MAX", None),
        ("ZMPOP 0 z MAX", Failure("ERR numkeys should be greater than 0")),
        ("ZMPOP x z MAX", Failure("ERR numkeys should be greater than 0")),
        ("ZMPOP 9 z MAX", SYNTAX),
        ("ZMPOP 1 z MED", SYNTAX),
        ("ZMPOP 1 z MAX COUNT", SYNTAX),
        ("ZMPOP 1 z MAX COUNT 0", Failure("ERR count should be greater than 0")),
        ("ZMPOP 1 z MAX COUNT 1 COUNT 1", SYNTAX),
        ("BZMPOP x 1 z MAX", Failure("ERR timeout is not a float or out of range")),
        ("BZMPOP -1 1 z MAX", Failure("ERR timeout is negative")),
        ("BZPOPMIN z x", Failure("ERR timeout is not a float or out of range")),
    ],
    "wrong type": [
        ("SET s text", "OK"),
        ("ZADD s 1 a", WRONG_TYPE),
        ("ZADD s x a", NOT_A_FLOAT),
        ("ZSCORE s a", WRONG_TYPE),
        ("ZRANGE s 0 1", WRONG_TYPE),
        ("ZPOPMIN s", WRONG_TYPE),
        ("ZMPOP 2 no s MIN", WRONG_TYPE),
        ("BZPOPMIN no s 0", WRONG_TYPE),
        ("ZRANK s a", WRONG_TYPE),
        ("ZSCAN s 0", WRONG_TYPE),
    ],
    "scan": [
        ("ZADD z 2 a 1.5 b", 2),
        ("ZSCAN z 0", [b"0", [b"b", b"1.5", b"a", b"2"]]),
        ("ZSCAN z 5 MATCH a COUNT 1", [b"0", [b"a", b"2"]]),
        ("ZSCAN z 0 NOVALUES", SYNTAX),
        ("ZSCAN no 0", [b"0", []]),
    ],
    "random members": [
        ("ZRANDMEMBER no", None),
        ("ZRANDMEMBER no 3", []),
        ("ZADD z 1.5 a", 1),
        ("ZRANDMEMBER z", b"a"),
        ("ZRANDMEMBER z 3", [b"a"]),
        ("ZRANDMEMBER z -2 WITHSCORES", [b"a", b"1.5"] * 2),
        ("ZRANDMEMBER z 1 WITHVALUES", SYNTAX),
        (f"ZRANDMEMBER z {MAXIMUM} WITHSCORES", Failure("ERR value is out of range")),
        (f"ZRANDMEMBER z -{MAXIMUM}", Failure("ERR value is out of range")),
        (f"ZRANDMEMBER z {MAXIMUM}", [b"a"]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("observed", [True, False])
def test_conversations(node: MemoryNode, calls: Calls, observed: bool) -> None:
    if not observed:
        node.observe(False)
    for line, reply in calls:
        assert node.call(*line.split()) == reply, line


SHAPES: list[tuple[str, bytes]] = [
    ("ZSCORE z a", b",1.5\r\n"),
    ("ZSCORE z x", b"_\r\n"),
    ("ZMSCORE z a x", b"*2\r\n,1.5\r\n_\r\n"),
    ("ZINCRBY z 1 a", b",2.5\r\n"),
    ("ZADD z XX INCR 1 x", b"_\r\n"),
    ("ZRANK z a WITHSCORE", b"*2\r\n:0\r\n,1.5\r\n"),
    ("ZRANGE z 0 -1", b"*2\r\n$1\r\na\r\n$1\r\nb\r\n"),
    ("ZRANGE z 0 0 WITHSCORES", b"*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n"),
    ("ZRANDMEMBER z 9 WITHSCORES", b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,inf\r\n"),
    ("ZUNION 1 z WITHSCORES", b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,inf\r\n"),
    ("ZPOPMIN z", b"*2\r\n$1\r\na\r\n,1.5\r\n"),
    ("ZPOPMIN z 1", b"*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n"),
    ("BZPOPMIN z 0", b"*3\r\n$1\r\nz\r\n$1\r\na\r\n,1.5\r\n"),
    ("ZMPOP 1 z MIN", b"*2\r\n$1\r\nz\r\n*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n"),
    ("ZMPOP 1 no MIN", b"_\r\n"),
    ("ZSCAN z 0 MATCH a", b"*2\r\n$1\r\n0\r\n*2\r\n$1\r\na\r\n$3\r\n1.5\r\n"),
]


@pytest.mark.parametrize(("line", "reply"), SHAPES)
def test_shapes_in_resp3(node: MemoryNode, line: str, reply: bytes) -> None:
    node.call("ZADD", "z", "1.5", "a", "inf", "b")
    node.call("HELLO", 3)
    assert node.receive(line.split()) == reply


def test_nulls_in_resp2(node: MemoryNode) -> None:
    assert node.receive(["ZMPOP", "1", "no", "MIN"]) == b"*-1\r\n"
    assert node.receive(["ZRANK", "no", "a", "WITHSCORE"]) == b"*-1\r\n"
    assert node.receive(["ZRANK", "no", "a"]) == b"$-1\r\n"


def test_negative_zero_lives_where_redis_keeps_doubles(node: MemoryNode) -> None:
    node.call("ZADD", "compact", "-0", "a")
    node.call("ZADD", "large", "-0", "a" * 65)
    assert node.call("ZSCORE", "compact", "a") == b"0"
    assert node.call("ZSCORE", "large", "a" * 65) == b"-0"
    assert node.call("ZUNION", 1, "compact", "WEIGHTS", -1, "WITHSCORES") == [b"a", b"-0"]
    node.call("ZUNIONSTORE", "d", 1, "compact", "WEIGHTS", -1)
    assert node.call("ZSCORE", "d", "a") == b"0"


def test_encodings_follow_the_directives(node: MemoryNode) -> None:
    node.call("CONFIG", "SET", "zset-max-listpack-entries", 2, "zset-max-listpack-value", 4)
    node.call("ZADD", "z", 1, "a", 2, "b")
    assert node.call("OBJECT", "ENCODING", "z") == b"listpack"
    node.call("ZADD", "z", 3, "c")
    assert node.call("OBJECT", "ENCODING", "z") == b"skiplist"
    node.call("ZADD", "y", 3, "long!")
    assert node.call("OBJECT", "ENCODING", "y") == b"skiplist"
    node.call("ZRANGESTORE", "s", "z", 0, 0)
    assert node.call("OBJECT", "ENCODING", "s") == b"listpack"
    node.call("ZUNIONSTORE", "u", 2, "z", "y")
    assert node.call("OBJECT", "ENCODING", "u") == b"skiplist"


def test_a_large_set(node: MemoryNode) -> None:
    for number in range(3000):
        node.call("ZADD", "z", number / 4, f"m{number}")
    assert node.call("ZRANK", "z", "m2500") == 2500
    assert node.call("ZRANGE", "z", 2998, -1, "WITHSCORES") == [
        *(b"m2998", b"749.5", b"m2999", b"749.75")
    ]
    assert len(set(node.call("ZRANDMEMBER", "z", 500))) == 500
    assert len(node.call("ZRANDMEMBER", "z", -500, "WITHSCORES")) == 1000
    seen: dict[bytes, bytes] = {}
    cursor = b"0"
    while True:
        cursor, page = node.call("ZSCAN", "z", cursor, "COUNT", 100)
        seen.update(zip(page[::2], page[1::2], strict=True))
        if cursor == b"0":
            break
    assert seen == {b"m%d" % number: b"%.17g" % (number / 4) for number in range(3000)}


@pytest.mark.parametrize(
    ("line", "sent", "events"),
    [
        ("ZADD z 1 a", [], ""),
        ("ZADD z 5 a", ["ZADD z 5 a"], "zadd"),
        ("ZADD z 5 a 6 new", ["ZADD z 5 a 6 new"], "zadd"),
        ("ZADD z NX 5 a", [], ""),
        ("ZADD z INCR 5 a", ["ZADD z INCR 5 a"], "zincr"),
        ("ZINCRBY z 0 a", [], ""),
        ("ZINCRBY z 1 a", ["ZINCRBY z 1 a"], "zincr"),
        ("ZREM z a", ["ZREM z a"], "zrem"),
        ("ZREM z a b c", ["ZREM z a b c"], "zrem del"),
        ("ZPOPMIN z", ["ZPOPMIN z"], "zpopmin"),
        ("ZPOPMAX z 5", ["ZPOPMAX z 5"], "zpopmax del"),
        ("ZMPOP 2 no z MIN", ["ZPOPMIN z 1"], "zpopmin"),
        ("ZMPOP 2 no z MAX COUNT 7", ["ZPOPMAX z 3"], "zpopmax del"),
        ("BZPOPMIN no z 1", ["ZPOPMIN z"], "zpopmin"),
        ("BZPOPMAX z 1", ["ZPOPMAX z"], "zpopmax"),
        ("BZMPOP 1 2 no z MAX COUNT 2", ["ZPOPMAX z 2"], "zpopmax"),
        ("ZREMRANGEBYRANK z 0 0", ["ZREMRANGEBYRANK z 0 0"], "zremrangebyrank"),
        ("ZREMRANGEBYSCORE z -inf inf", ["ZREMRANGEBYSCORE z -inf inf"], "zremrangebyscore del"),
        ("ZREMRANGEBYLEX z [a [a", ["ZREMRANGEBYLEX z [a [a"], "zremrangebylex"),
        ("ZREMRANGEBYRANK z 5 9", [], ""),
        ("ZRANGESTORE d z 0 1", ["ZRANGESTORE d z 0 1"], "zrangestore"),
        ("ZRANGESTORE z z 5 9", ["ZRANGESTORE z z 5 9"], "del"),
        ("ZRANGESTORE d z 5 9", [], ""),
        ("ZUNIONSTORE d 1 z", ["ZUNIONSTORE d 1 z"], "zunionstore"),
        ("ZINTERSTORE d 1 z", ["ZINTERSTORE d 1 z"], "zinterstore"),
        ("ZINTERSTORE z 2 z no", ["ZINTERSTORE z 2 z no"], "del"),
        ("ZDIFFSTORE d 2 z no", ["ZDIFFSTORE d 2 z no"], "zdiffstore"),
        ("ZDIFFSTORE d 2 z z", [], ""),
    ],
)
def test_effects(node: MemoryNode, line: str, sent: list[str], events: str) -> None:
    node.call("ZADD", "z", 1, "a", 2, "b", 3, "c")
    node.take_batches()
    node.call(*line.split())
    propagated, told = node.take_effects()
    assert propagated == [words.encode().split() for words in sent]
    assert [name for _, name, _ in told] == events.encode().split()


# --- waiting -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "reply", "sent"),
    [
        ("BZPOPMIN w z 0", [b"z", b"a", b"1"], "ZPOPMIN z"),
        ("BZPOPMAX w z 0", [b"z", b"b", b"2"], "ZPOPMAX z"),
        ("BZMPOP 0 2 w z MIN", [b"z", [[b"a", b"1"]]], "ZPOPMIN z 1"),
        ("BZMPOP 0 2 w z MAX COUNT 5", [b"z", [[b"b", b"2"], [b"a", b"1"]]], "ZPOPMAX z 2"),
    ],
)
def test_who_waits_is_served(node: MemoryNode, line: str, reply: Plain, sent: str) -> None:
    waiting = node.connect()
    assert waiting.send(line.split()) == []
    node.take_batches()
    node.call("SADD", "z", "no sorted set")
    node.call("DEL", "z")
    assert waiting.take_pushed() == []
    node.take_batches()
    assert node.call("ZADD", "z", 1, "a", 2, "b") == 2
    assert waiting.take_pushed() == [reply]
    assert node.take_propagated() == [b"ZADD z 1 a 2 b".split(), sent.encode().split()]
    assert node.call("PING") == "PONG"


def test_waiting_ends_with_the_time(node: MemoryNode) -> None:
    waiting = node.connect()
    assert waiting.send(["BZPOPMIN", "z", "0.5"]) == []
    node.advance(499)
    node.tick()
    assert waiting.take_pushed() == []
    node.advance(1)
    node.tick()
    assert waiting.session.outbox == [b"*-1\r\n"]


def test_the_first_to_wait_is_the_first_to_get(node: MemoryNode) -> None:
    first, second = node.connect(), node.connect()
    first.send(["BZPOPMIN", "z", "0"])
    second.send(["BZPOPMAX", "z", "0"])
    node.call("ZADD", "z", 1, "a")
    assert first.take_pushed() == [[b"z", b"a", b"1"]]
    assert second.take_pushed() == []
    node.call("ZADD", "z", 2, "b")
    assert second.take_pushed() == [[b"z", b"b", b"2"]]


def test_nobody_waits_in_a_transaction(node: MemoryNode) -> None:
    node.call("MULTI")
    node.call("BZPOPMIN", "z", 0)
    node.call("BZMPOP", 0, 1, "z", "MIN")
    assert node.call("EXEC") == [None, None]
