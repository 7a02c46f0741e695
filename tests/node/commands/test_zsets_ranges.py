"""Ranges and algebra of sorted sets: bounds, limits, directions, weights, aggregates."""

import pytest

from ..harness import Failure, MemoryNode, Plain

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
NOT_A_SCORE = Failure("ERR min or max is not a float")
NOT_A_BOUND = Failure("ERR min or max not valid string range item")
LIMIT_BY_RANK = Failure(
    "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
SYNTAX = Failure("ERR syntax error")
MAXIMUM = 2**63 - 1


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("ZADD", "z", 1, "a", 2, "b", 3, "c", 4, "d")
    node.call("ZADD", "lex", *(word for member in "abcde" for word in (0, member)))
    node.call("ZADD", "y", 10, "b", 20, "c", 30, "x")
    node.call("ZADD", "inf", "inf", "b", "-inf", "c")
    node.call("SADD", "set", "b", "x")
    node.call("SET", "s", "text")
    node.take_batches()
    return node


def members(text: str) -> list[bytes]:
    return text.encode().split()


RANGES: list[tuple[str, Plain]] = [
    ("ZRANGE z 0 -1", members("a b c d")),
    ("ZRANGE z 1 2", members("b c")),
    ("ZRANGE z -2 -1", members("c d")),
    ("ZRANGE z -9 1", members("a b")),
    ("ZRANGE z 3 9", members("d")),
    ("ZRANGE z 4 9", []),
    ("ZRANGE z 2 1", []),
    ("ZRANGE z 0 -9", []),
    (f"ZRANGE z {-MAXIMUM - 1} {MAXIMUM}", members("a b c d")),
    ("ZRANGE no 0 -1", []),
    ("ZRANGE z a b", NOT_AN_INTEGER),
    ("ZRANGE s 0 1", WRONG_TYPE),
    ("ZRANGE z 0 1 WITHSCORES", members("a 1 b 2")),
    ("ZRANGE z 0 1 REV WITHSCORES", members("d 4 c 3")),
    ("ZREVRANGE z 0 1", members("d c")),
    ("ZREVRANGE z -2 -1 WITHSCORES", members("b 2 a 1")),
    ("ZREVRANGE z 0 1 REV", SYNTAX),
    ("ZREVRANGE z 0 1 BYSCORE", SYNTAX),
    ("ZREVRANGE z 0 1 LIMIT 0 1", LIMIT_BY_RANK),
    ("ZRANGE z 0 1 LIMIT 0 1", LIMIT_BY_RANK),
    ("ZRANGE z 0 1 LIMIT 0 -1", members("a b")),
    ("ZRANGE z 0 1 LIMIT 0", SYNTAX),
    ("ZRANGE z 0 1 LIMIT x 1", NOT_AN_INTEGER),
    ("ZRANGE z 0 1 nonsense", SYNTAX),
    ("ZRANGEBYSCORE z 2 3", members("b c")),
    ("ZRANGEBYSCORE z (2 3", members("c")),
    ("ZRANGEBYSCORE z (2 (3", []),
    ("ZRANGEBYSCORE z 3 2", []),
    ("ZRANGEBYSCORE z -inf +inf", members("a b c d")),
    ("ZRANGEBYSCORE z ( 2", members("a b")),
    ("ZRANGEBYSCORE z ((1 2", NOT_A_SCORE),
    ("ZRANGEBYSCORE z nan 2", NOT_A_SCORE),
    ("ZRANGEBYSCORE z 1 x", NOT_A_SCORE),
    ("ZRANGEBYSCORE z -inf inf LIMIT 1 2", members("b c")),
    ("ZRANGEBYSCORE z -inf inf LIMIT 1 -5", members("b c d")),
    ("ZRANGEBYSCORE z -inf inf LIMIT -1 2", []),
    ("ZRANGEBYSCORE z -inf inf LIMIT 9 2", []),
    ("ZRANGEBYSCORE z -inf inf LIMIT 0 0", []),
    ("ZRANGEBYSCORE z -inf inf LIMIT 2 9 WITHSCORES", members("c 3 d 4")),
    ("ZREVRANGEBYSCORE z 3 (1", members("c b")),
    ("ZREVRANGEBYSCORE z inf -inf LIMIT 1 2", members("c b")),
    ("ZREVRANGEBYSCORE z 1 3", []),
    ("ZRANGE z 3 (1 BYSCORE REV LIMIT 0 1 WITHSCORES", members("c 3")),
    ("ZRANGEBYLEX lex [b (d", members("b c")),
    ("ZRANGEBYLEX lex - +", members("a b c d e")),
    ("ZRANGEBYLEX lex + -", []),
    ("ZRANGEBYLEX lex (b [b", []),
    ("ZRANGEBYLEX lex [b [b", members("b")),
    ("ZRANGEBYLEX lex - + LIMIT 3 5", members("d e")),
    ("ZREVRANGEBYLEX lex + (c", members("e d")),
    ("ZREVRANGEBYLEX lex (e - LIMIT 1 2", members("c b")),
    ("ZRANGE lex [c - BYLEX REV", members("c b a")),
    ("ZRANGE lex [c - BYLEX WITHSCORES", Failure(
        "ERR syntax error, WITHSCORES not supported in combination with BYLEX")),
    ("ZRANGEBYLEX lex b +", NOT_A_BOUND),
    ("ZRANGEBYLEX lex -a +", NOT_A_BOUND),
    ("ZRANGEBYLEX no b +", NOT_A_BOUND),
    ("ZCOUNT z 2 (4", 2),
    ("ZCOUNT z 4 2", 0),
    ("ZCOUNT no 4 2", 0),
    ("ZCOUNT z x 2", NOT_A_SCORE),
    ("ZLEXCOUNT lex - (c", 2),
    ("ZLEXCOUNT lex x -", NOT_A_BOUND),
    ("ZREMRANGEBYRANK z 1 -2", 2),
    ("ZREMRANGEBYRANK z x 2", NOT_AN_INTEGER),
    ("ZREMRANGEBYSCORE z (1 3", 2),
    ("ZREMRANGEBYLEX lex [b +", 4),
    ("ZREMRANGEBYLEX s [b +", WRONG_TYPE),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reply"), RANGES)
def test_ranges(node: MemoryNode, line: str, reply: Plain) -> None:
    assert node.call(*line.split()) == reply


@pytest.mark.parametrize("count", [10, 100, 3000])
def test_every_range_of_ranks(node: MemoryNode, count: int) -> None:
    expected = [b"%05d" % number for number in range(count)]
    node.call("ZADD", "r", *(word for text in expected for word in (1, text)))
    for start in (0, 1, count // 2, count - 1, -1, -3, -count, count):
        for stop in (0, 1, count // 2, count - 1, -1, -3, -count, count):
            first = max(start + count, 0) if start < 0 else start
            last = stop + count if stop < 0 else stop
            assert node.call("ZRANGE", "r", start, stop) == expected[first : last + 1]
            backwards = expected[::-1][first : last + 1]
            assert node.call("ZRANGE", "r", start, stop, "REV") == backwards
    text = b"%05d" % (count // 2)
    assert node.call("ZRANGEBYLEX", "r", b"(" + text, "+") == expected[count // 2 + 1 :]


STORES: list[tuple[str, Plain, str]] = [
    ("ZRANGESTORE d z 1 2", 2, "b 2 c 3"),
    ("ZRANGESTORE d z 0 0 REV", 1, "d 4"),
    ("ZRANGESTORE d z (1 inf BYSCORE LIMIT 1 1", 1, "c 3"),
    ("ZRANGESTORE d lex [d + BYLEX", 2, "d 0 e 0"),
    ("ZRANGESTORE z z 0 0", 1, ""),
    ("ZRANGESTORE d no 0 1", 0, ""),
    ("ZRANGESTORE d z 0 1 WITHSCORES", SYNTAX, ""),
    ("ZRANGESTORE d s 0 1", WRONG_TYPE, ""),
    ("ZRANGESTORE s z 0 0", 1, ""),
    ("ZUNIONSTORE d 2 z y", 5, "a 1 d 4 b 12 c 23 x 30"),
    ("ZUNIONSTORE d 2 z y WEIGHTS 2 -1", 5, "x -30 c -14 b -6 a 2 d 8"),
    ("ZUNIONSTORE d 2 z y AGGREGATE MAX", 5, "a 1 d 4 b 10 c 20 x 30"),
    ("ZUNIONSTORE d 2 z y AGGREGATE min WEIGHTS 1 1", 5, "a 1 b 2 c 3 d 4 x 30"),
    ("ZUNIONSTORE d 2 z set", 5, "a 1 x 1 b 3 c 3 d 4"),
    ("ZUNIONSTORE d 2 inf inf WEIGHTS 1 -1", 2, "b 0 c 0"),
    ("ZUNIONSTORE d 1 inf WEIGHTS 0", 2, "b 0 c 0"),
    ("ZUNIONSTORE d 1 no", 0, ""),
    ("ZUNIONSTORE d 0 z", Failure(
        "ERR at least 1 input key is needed for 'zunionstore' command"), ""),
    ("ZUNIONSTORE d x z", NOT_AN_INTEGER, ""),
    ("ZUNIONSTORE d 2 z", SYNTAX, ""),
    ("ZUNIONSTORE d 1 z WITHSCORES", SYNTAX, ""),
    ("ZUNIONSTORE d 1 z WEIGHTS", SYNTAX, ""),
    ("ZUNIONSTORE d 1 z WEIGHTS x", Failure("ERR weight value is not a float"), ""),
    ("ZUNIONSTORE d 1 z AGGREGATE avg", SYNTAX, ""),
    ("ZUNIONSTORE d 2 z s", WRONG_TYPE, ""),
    ("ZUNIONSTORE d 2 s z nonsense", WRONG_TYPE, ""),
    ("ZINTERSTORE d 2 z y", 2, "b 12 c 23"),
    ("ZINTERSTORE d 2 z set AGGREGATE MIN", 1, "b 1"),
    ("ZINTERSTORE d 3 z y no", 0, ""),
    ("ZINTERSTORE d 2 inf z", 2, "c -inf b inf"),
    ("ZDIFFSTORE d 2 z y", 2, "a 1 d 4"),
    ("ZDIFFSTORE d 2 set z", 1, "x 1"),
    ("ZDIFFSTORE d 1 z WEIGHTS 1", SYNTAX, ""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reply", "stored"), STORES)
def test_stores(node: MemoryNode, line: str, reply: Plain, stored: str) -> None:
    node.call("SET", "d", "old", "EX", 100)
    assert node.call(*line.split()) == reply
    if stored:
        assert node.call("ZRANGE", "d", 0, -1, "WITHSCORES") == members(stored)
        assert node.call("TTL", "d") == -1
    elif reply == 0:
        assert node.call("EXISTS", "d") == 0


RESULTS: list[tuple[str, Plain]] = [
    ("ZUNION 2 z y", members("a d b c x")),
    ("ZUNION 2 z y WITHSCORES", members("a 1 d 4 b 12 c 23 x 30")),
    ("ZUNION 1 no WITHSCORES", []),
    ("ZINTER 2 z y WITHSCORES WEIGHTS 1 0.5", members("b 7 c 13")),
    ("ZINTER 1 set", members("b x")),
    ("ZDIFF 2 z y", members("a d")),
    ("ZDIFF 3 z y no WITHSCORES", members("a 1 d 4")),
    ("ZDIFF 2 z z", []),
    ("ZDIFF 1 z AGGREGATE SUM", SYNTAX),
    ("ZINTERCARD 2 z y", 2),
    ("ZINTERCARD 2 z y LIMIT 1", 1),
    ("ZINTERCARD 2 z y LIMIT 0", 2),
    ("ZINTERCARD 2 z y LIMIT -1", Failure("ERR LIMIT can't be negative")),
    ("ZINTERCARD 2 z y WITHSCORES", SYNTAX),
    ("ZINTERCARD 2 z no", 0),
    ("ZINTERCARD 0 z", Failure("ERR at least 1 input key is needed for 'zintercard' command")),
]


@pytest.mark.parametrize(("line", "reply"), RESULTS)
def test_results(node: MemoryNode, line: str, reply: Plain) -> None:
    assert node.call(*line.split()) == reply
    assert node.take_effects() == ([], [])
