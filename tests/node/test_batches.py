"""A pipeline of one command comes to the same in one go as request by request."""

from random import Random

import pytest

from clustrio.node.batches import Replies
from clustrio.node.resp.alike import Requests
from clustrio.node.resp.stream import LONG_PIPELINE
from clustrio.node.session import Session

from .harness import MemoryNode

_KEYS = [
    *(b"a", b"b", b"{a}c", b"list", b"hash", b"set", b"zset", b"stream", b"text", b"many"),
    b"dying",
]
_WORDS = [b"0", b"1", b"7", b"-1", b"007", b"x", b"", b"nan", b"inf", b"9223372036854775807"]
#: Words after the name, the key included.
_COMMANDS = {
    "GET": 1,
    "SET": 2,
    "INCR": 1,
    "LPUSH": 2,
    "RPUSH": 2,
    "LPOP": 1,
    "RPOP": 1,
    "SADD": 2,
    "HSET": 3,
    "HGET": 2,
    "ZADD": 3,
    "SPOP": 1,
    "ZPOPMIN": 1,
    "ZPOPMAX": 1,
    "ZRANK": 2,
    "XADD": 4,
}
_COLLECTION = {
    "LPUSH": b"list",
    "RPUSH": b"list",
    "LPOP": b"list",
    "RPOP": b"list",
    "SADD": b"set",
    "HSET": b"hash",
    "HGET": b"hash",
    "ZADD": b"zset",
    "SPOP": b"set",
    "ZPOPMIN": b"zset",
    "ZPOPMAX": b"zset",
    "ZRANK": b"zset",
    "XADD": b"stream",
}


def _node(settings: dict[str, int], *, mortal: bool) -> MemoryNode:
    node = MemoryNode(**settings)
    node.observe(False)
    node.call("SET", "text", "words")
    node.call("SET", "a", 1023)
    node.call("SET", "b", "9223372036854775806")
    node.call("SET", "many", "99")
    node.call("APPEND", "many", "9")  # in place: no longer bytes
    node.call("RPUSH", "list", 1, 2, "x", "y" * 2000)
    node.call("SADD", "set", 1, 2)
    node.call("HSET", "hash", "x", "y" * 2000, "7", "z")
    node.call("ZADD", "zset", 1, "x", 2, "7")
    node.call("XADD", "stream", "1-1", "x", "y")
    if mortal:
        node.call("SET", "dying", 5, "PX", 10)
        node.advance(20)
    return node


def _pipeline(random: Random, name: str) -> list[list[bytes]]:
    keys = [_COLLECTION[name]] * 12 + _KEYS if name in _COLLECTION else _KEYS
    pipeline = []
    for _ in range(random.randint(LONG_PIPELINE, 30)):
        words = [random.choice(_WORDS) for _ in range(_COMMANDS[name] - 1)]
        if name == "XADD" and random.randrange(20):
            words[0] = b"*"
        pipeline.append([name.encode(), random.choice(keys), *words])
    if not random.randrange(8):
        random.choice(pipeline).append(b"1")
    return pipeline


def _state(node: MemoryNode, name: str) -> list[object]:
    machine = node.machine
    db = machine.keyspace.database(0)
    statistics = machine.gate.commands[name.encode()].statistics
    asked = [("SORT", key, "BY", "nosort", "GET", "#") for key in (b"list", b"set", b"zset")]
    kinds = [node.call("OBJECT", "ENCODING", key) for key in _KEYS]
    return [
        machine.keyspace.effects.dirty,
        statistics.calls,
        statistics.failed,
        sum(statistics.histogram),
        dict(machine.gate.error_counts),
        db.hits,
        db.misses,
        kinds,
        [node.call("TYPE", key) for key in _KEYS],
        [node.call("DEBUG", "DIGEST-VALUE", key) for key in _KEYS],
        [node.call(*words) for words in asked],
    ]


@pytest.mark.parametrize("name", _COMMANDS)
@pytest.mark.parametrize(
    "settings",
    [{}, {"set_max_intset_entries": 2, "list_max_listpack_size": 2}, {"maxmemory": 10**9}],
)
@pytest.mark.parametrize("mortal", [False, True])
def test_batch_and_single_agree(
    name: str, settings: dict[str, int], mortal: bool, seed: int
) -> None:
    random = Random(f"{seed} {name} {settings} {mortal}")
    for _ in range(8):
        together = _node(settings, mortal=mortal)
        apart = _node(settings, mortal=mortal)
        for _ in range(3):
            pipeline = _pipeline(random, name)
            replies = b"".join(apart.receive(words) for words in pipeline)
            assert together.receive(*pipeline) == replies, pipeline
            assert _state(together, name) == _state(apart, name), pipeline


@pytest.mark.parametrize("name", _COMMANDS)
def test_an_ordinary_pipeline_is_run_as_one(name: str) -> None:
    node = _node({}, mortal=False)
    command = node.machine.gate.commands[name.encode()]
    words = [b"*" if name == "XADD" else b"1", b"1", b"1"][: _COMMANDS[name] - 1]
    asked = [[name.encode(), b"new", *words]] * LONG_PIPELINE
    assert command.batch is not None
    assert command.batch(node.session, asked) is not None


def test_a_bug_in_a_batch_costs_its_client_the_connection() -> None:
    node = _node({}, mortal=False)
    failures: list[str] = []
    node.log.exception = lambda text, failure: failures.append(text)  # type: ignore[method-assign]
    session, other = node.session, node.connect()

    def broken(session: Session, requests: Requests) -> Replies[bytes] | None:
        raise ZeroDivisionError

    command = node.machine.gate.commands[b"GET"]
    command.batch = broken
    assert node.receive(*[("GET", "a")] * 8).startswith(b"-ERR ")
    assert session.close_after_reply
    assert failures
    assert other.call("GET", "a") == b"1023"


def test_only_bare_pings_are_run_as_one() -> None:
    node = _node({}, mortal=False)
    command = node.machine.gate.commands[b"PING"]
    assert command.batch is not None
    pings = [[b"PING"]] * LONG_PIPELINE
    pongs = command.batch(node.session, pings)
    assert pongs is not None
    assert pongs.whole() == b"+PONG\r\n" * LONG_PIPELINE
    assert pongs.parts([1, 3]) == [b"+PONG\r\n", b"+PONG\r\n" * 2]
    assert command.batch(node.session, [*pings, [b"PING", b"x"]]) is None
    assert command.batch(node.session, [[b"PING", b"x"], *pings]) is None
    assert node.receive(*pings, [b"PING", b"x"]).endswith(b"+PONG\r\n$1\r\nx\r\n")
    assert command.statistics.calls == LONG_PIPELINE + 1
