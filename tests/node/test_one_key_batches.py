"""Pipelines of one command on one large collection come to the same as request by request."""

from collections.abc import Callable
from random import Random

import pytest

from clustrio.node.resp.stream import LONG_PIPELINE

from .harness import MemoryNode
from .test_batches import _state

_SIZE = 700


def _node() -> MemoryNode:
    node = MemoryNode()
    node.observe(False)
    numbers = range(_SIZE)
    node.call("RPUSH", "list", *numbers)
    node.call("SADD", "set", *(f"m{number}" for number in numbers))
    node.call("HSET", "hash", *(word for number in numbers for word in (f"m{number}", number)))
    node.call("ZADD", "zset", *(word for number in numbers for word in (number % 50, f"m{number}")))
    node.call("ZADD", "zset", "0.1", "m" * 1500, "-inf", "low", "1e300", "high")
    node.call("XADD", "stream", "1-1", "f", "v")
    return node


def _member(random: Random) -> bytes:
    return b"m%d" % random.randrange(_SIZE + 50)


_REQUESTS: dict[str, Callable[[Random], list[bytes]]] = {
    "SADD": lambda random: [b"set", _member(random)],
    "HSET": lambda random: [b"hash", _member(random), b"x" * random.randrange(90)],
    "HGET": lambda random: [b"hash", _member(random)],
    "LPUSH": lambda random: [b"list", b"x" * random.randrange(90)],
    "LPOP": lambda random: [b"list"],
    "RPOP": lambda random: [b"list"],
    "ZADD": lambda random: [
        b"zset",
        random.choice([b"%d" % random.randrange(60), b"-0", b"1.5", b"inf", b"0x10", b"1e1"]),
        _member(random),
    ],
    "ZRANK": lambda random: [b"zset", _member(random)],
    "ZPOPMIN": lambda random: [b"zset"],
    "ZPOPMAX": lambda random: [b"zset"],
    "XADD": lambda random: [
        b"stream",
        b"*",
        random.choice([b"f", b"f", b"g", b""]),
        b"%d" % random.getrandbits(40) + b"x" * random.choice([0, 1, 200]),
    ],
}


@pytest.mark.parametrize("name", _REQUESTS)
@pytest.mark.parametrize("protocol", [2, 3])
def test_all_of_one_collection(name: str, protocol: int, seed: int) -> None:
    random = Random(f"{seed} {name} {protocol}")
    together, apart = _node(), _node()
    for node in (together, apart):
        node.call("HELLO", protocol)
    for turn in range(30):
        count = random.randint(LONG_PIPELINE, 60)
        pipeline = [[name.encode(), *_REQUESTS[name](random)] for _ in range(count)]
        if name == "ZADD" and not turn % 5:
            pipeline[random.randrange(count)][2] = b"word"
        replies = b"".join(apart.receive(words) for words in pipeline)
        assert together.receive(*pipeline) == replies
        assert _state(together, name) == _state(apart, name)
        for asked in (
            ("ZRANGE", "zset", 0, -1, "WITHSCORES"),
            ("SCARD", "set"),
            ("HGETALL", "hash"),
            ("LRANGE", "list", 0, -1),
            ("XRANGE", "stream", "-", "+"),
            ("XINFO", "STREAM", "stream"),
        ):
            assert together.call(*asked) == apart.call(*asked)


@pytest.mark.parametrize("count", [1, LONG_PIPELINE, 50])
def test_pops_of_one_set(count: int) -> None:
    node = _node()
    changes = node.machine.keyspace.effects.dirty
    popped: list[bytes] = []
    while len(popped) < _SIZE + 3:
        # What a reply is, and not where it stands, tells a member from null.
        lines = node.receive(*[["SPOP", "set"]] * count).split(b"\r\n")
        popped += [line for line in lines if line.startswith(b"m") or line == b"$-1"]
    members = popped[:_SIZE]
    assert sorted(members) == sorted(b"m%d" % number for number in range(_SIZE))
    assert set(popped[_SIZE:]) == {b"$-1"}
    assert members != sorted(members)
    assert node.machine.keyspace.effects.dirty == changes + _SIZE
    assert node.call("EXISTS", "set") == 0
