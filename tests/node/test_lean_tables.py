"""A request comes to the same behind few checks as behind the whole gate."""

from collections.abc import Iterable
from random import Random

import pytest

from clustrio.node.effects import EffectBatch
from clustrio.node.persistence.feed import LogFeed
from clustrio.node.resp.stream import LONG_PIPELINE
from clustrio.slots.hashing import SLOT_COUNT, key_slot

from .clustered import node_serving
from .harness import Failure, MemoryNode, Word

_KEYS = ["a", "b", "{a}1", "{a}2", "{b}3", "{", "list", "hash", "set", "zset", "text", "dying"]
_WORDS = ["0", "1", "-7", "x", "", "9223372036854775807"]
#: `k`: a key, `w`: a word, anything else stands for itself.
_REQUESTS = [
    *("GET k", "SET k w", "SET k w GET", "SET k w PX 20", "INCR k", "DECR k", "APPEND k w"),
    *("GETDEL k", "GETEX k PERSIST", "DEL k", "DEL k k", "UNLINK k", "EXISTS k k", "TTL k"),
    *("MGET k k k", "MSET k w k w", "MSETNX k w k w", "RENAME k k", "TYPE k", "STRLEN k"),
    *("EXPIRE k 100", "PEXPIRE k 20", "EXPIRE k -1", "PERSIST k", "COPY k k REPLACE"),
    *("LPUSH k w", "RPUSH k w w", "LPOP k", "RPOP k", "LRANGE k 0 -1", "LMOVE k k LEFT RIGHT"),
    *("HSET k w w", "HGET k w", "HDEL k w", "HINCRBYFLOAT k w 0.5", "HGETALL k"),
    *("SADD k w", "SREM k w", "SPOP k", "SISMEMBER k w", "SINTERSTORE k k k"),
    *("ZADD k 1 w", "ZINCRBY k 2 w", "ZPOPMIN k", "ZRANGE k 0 -1", "XADD k 1-1 w w", "XLEN k"),
    *("PFADD k w", "PFCOUNT k", "SETBIT k 3 1", "BITCOUNT k", "PING", "ECHO w", "DBSIZE", "Get k"),
    *("GET", "SET k", "INCR k w", "OBJECT ENCODING k", "OBJECT", "NOPE k", "SELECT 0", "ASKING"),
    *("MULTI", "EXEC", "DISCARD", "WATCH k", "SWAPDB 0 1", "FLUSHDB", "READONLY", "READWRITE"),
    *("BLPOP k 0.001", "TOUCH k", "CLUSTER KEYSLOT k", "SPUBLISH k w", "RANDOMKEY"),
]
#: Often sent as pipelines of one command.
_RUNS = ["GET k", "SET k w", "INCR k", "LPUSH k w", "LPOP k", "HSET k w w", "HGET k w", "SADD k w"]


class Recorder:
    """A consumer that wants to know everything but, perhaps, misses."""

    def __init__(self, *, wants_misses: bool) -> None:
        self.wants_misses = wants_misses
        self.seen: list[object] = []

    def on_effects(self, batch: EffectBatch) -> None:
        commands = [(command.database, list(command.args)) for command in batch.commands]
        events = [event for event in batch.events if self.wants_misses or event.kind not in "mn"]
        if commands or events or batch.touched or batch.flushed:
            self.seen.append((commands, events, batch.touched, batch.flushed))


def node_with(observers: str, slots: Iterable[int] | None) -> MemoryNode:
    """A node whose effects go to `observers`; `slots`: those that it serves in a cluster."""
    node = MemoryNode() if slots is None else node_serving(slots)
    node.observe(False)
    machine = node.machine
    if "feed" in observers:
        node.feed = LogFeed(machine.clock, machine.keyspace.effects)  # type: ignore[attr-defined]
        machine.add_consumer(node.feed)  # type: ignore[attr-defined]
    if "recorder" in observers:
        node.recorder = Recorder(wants_misses="misses" in observers)  # type: ignore[attr-defined]
        machine.add_consumer(node.recorder)  # type: ignore[attr-defined]
    return node


def books(node: MemoryNode) -> list[object]:
    """Everything that must not depend on the way that a request took."""
    machine = node.machine
    statistics = [
        (name, each.statistics.calls, each.statistics.failed, each.statistics.rejected)
        for name, each in machine.gate.commands.items()
    ]
    db = machine.keyspace.database(0)
    found: list[object] = [machine.keyspace.effects.dirty, db.hits, db.misses]
    feed: LogFeed | None = getattr(node, "feed", None)
    recorder: Recorder | None = getattr(node, "recorder", None)
    if feed is not None:
        found.append(feed.take())
    if recorder is not None:
        found.append(list(recorder.seen))
        recorder.seen.clear()
    return [
        *found,
        statistics,
        dict(machine.gate.error_counts),
        sorted(key for key, _ in db.living_items()),
    ]


def filled(random: Random, pattern: str) -> list[Word]:
    choices = {"k": _KEYS, "w": _WORDS}
    return [random.choice(choices.get(word, [word])) for word in pattern.split()]


def pipeline_of(random: Random) -> list[list[Word]]:
    if random.random() < 0.4:
        pattern = random.choice(_RUNS)
        # Half of the time of keys that are served together.
        keys = [key for key in _KEYS if key_slot(key.encode()) % 2 == 0]
        found = [filled(random, pattern) for _ in range(random.randint(LONG_PIPELINE, 16))]
        if random.random() < 0.5:
            for words in found:
                words[1] = random.choice(keys)
        return found
    return [filled(random, random.choice(_REQUESTS)) for _ in range(random.choice((1, 1, 1, 3)))]


_OBSERVERS = ["", "feed", "recorder", "recorder misses", "feed recorder"]
_EVEN = range(0, SLOT_COUNT, 2)


@pytest.mark.parametrize("observers", _OBSERVERS)
@pytest.mark.parametrize("slots", [None, _EVEN, range(SLOT_COUNT)], ids=["alone", "half", "all"])
def test_lean_and_gated_agree(observers: str, slots: Iterable[int] | None, seed: int) -> None:
    random = Random(f"{seed} {observers} {slots}")
    lean, gated = node_with(observers, slots), node_with(observers, slots)
    gated.machine.require_gate("test", True)
    assert not lean.session.gated
    assert gated.session.gated
    assert books(lean)[:3] == books(gated)[:3]
    for _ in range(500):
        pipeline = pipeline_of(random)
        expected = gated.receive(*pipeline)
        assert lean.receive(*pipeline) == expected, pipeline
        assert books(lean) == books(gated), pipeline
        if lean.session.queue is not None and random.random() < 0.3:
            assert lean.receive(["EXEC"]) == gated.receive(["EXEC"])
        if lean.session.wait is not None or not random.randrange(6):
            for node in (lean, gated):
                node.advance(15)
                node.tick()
            assert books(lean) == books(gated), pipeline


@pytest.mark.parametrize("slots", [None, _EVEN], ids=["alone", "half"])
@pytest.mark.parametrize("observers", ["", "feed"])
@pytest.mark.parametrize(
    "rules",
    [
        "~{a}* ~b ~*s* +@all",
        "%R~* %W~{* ~l* +@all -sadd",
        "%R~a %W~b +@all (%RW~t* ~hash +@read +set) resetchannels",
        "allkeys +@all -@string +object|encoding +get",
        "~* -@all +get +set +mget +multi +exec &x",
    ],
)
def test_restricted_clients_come_to_the_same(
    rules: str, observers: str, slots: Iterable[int] | None, seed: int
) -> None:
    random = Random(f"{seed} {rules} {observers} {slots}")
    lean, gated = node_with(observers, slots), node_with(observers, slots)
    for node in (lean, gated):
        node.call("ACL", "SETUSER", "someone", "on", "nopass", *rules.split())
        assert node.call("AUTH", "someone", "x") == "OK"
    gated.machine.require_gate("test", True)
    refused = 0
    for _ in range(400):
        pipeline = pipeline_of(random)
        expected = gated.receive(*pipeline)
        assert lean.receive(*pipeline) == expected, pipeline
        refused += expected.count(b"-NOPERM")
        assert books(lean) == books(gated), pipeline
        if lean.session.wait is not None:
            for node in (lean, gated):
                node.advance(15)
                node.tick()
    assert refused > 20
    logs = [node.machine.accounts.log for node in (lean, gated)]
    shown = [[(e.reason, e.subject, e.count) for e in log.newest(99)] for log in logs]
    assert shown[0] == shown[1]


@pytest.mark.parametrize("slots", [_EVEN, range(SLOT_COUNT)], ids=["half", "all"])
@pytest.mark.parametrize("observers", ["", "feed"])
@pytest.mark.parametrize("words", [("GET", 1), ("SET", 2), ("INCR", 1)])
def test_served_pipelines_are_run_as_one(
    slots: Iterable[int], observers: str, words: tuple[str, int]
) -> None:
    node = node_with(observers, slots)
    name, count = words
    key = next(str(number) for number in range(99) if key_slot(b"%d" % number) % 2 == 0)
    requests = [[name.encode(), key.encode(), b"1"][: count + 1] for _ in range(LONG_PIPELINE)]
    command = node.session.lookup(name.encode())
    assert command is not None
    assert command.batch is not None
    assert command.batch(node.session, requests) is not None
    strange = next(str(number) for number in range(99) if key_slot(b"%d" % number) % 2)
    requests[3][1] = strange.encode()
    assert (command.batch(node.session, requests) is None) == (slots is _EVEN)


def test_asking_is_for_the_next_request_alone() -> None:
    node = node_with("", _EVEN)
    key = next(str(number) for number in range(99) if key_slot(b"%d" % number) % 2 == 0)
    for request in (("GET", key), ("PING",), ("MGET", key), ("TYPE", key), ("LRANGE", key, 0, 0)):
        node.send(("ASKING",), request)
        assert not node.session.asking, request
    node.send(("ASKING",), *[("GET", key)] * LONG_PIPELINE)
    assert not node.session.asking
    node.call("ASKING")
    node.send(*[("GET", key)] * LONG_PIPELINE)
    assert not node.session.asking


def test_a_refused_request_is_rejected_and_not_called() -> None:
    node = node_with("", _EVEN)
    key = next(str(number) for number in range(99) if key_slot(b"%d" % number) % 2)
    refusal = Failure("CLUSTERDOWN Hash slot not served")
    assert node.call("GET", key) == refusal
    assert node.send(("GET", key), ("gEt", key), ("SET", key, 1)) == [refusal] * 3
    assert node.call("LRANGE", key, 0, 0) == refusal
    for name, rejected in ((b"GET", 3), (b"SET", 1), (b"LRANGE", 1)):
        statistics = node.machine.gate.commands[name].statistics
        assert (statistics.calls, statistics.failed, statistics.rejected) == (0, 0, rejected)
    assert node.machine.gate.error_counts == {"CLUSTERDOWN": 5}


def test_blocked_clients_are_served_at_once() -> None:
    node = node_with("feed", None)
    waiting = node.connect()
    assert waiting.send(("BLPOP", "list", 0)) == []
    assert node.call("RPUSH", "list", "x") == 1
    assert waiting.session.wait is None
    assert waiting.take_pushed() == [[b"list", b"x"]]
    assert node.feed.take().count(b"\r\nLPOP\r\n") == 1  # type: ignore[attr-defined]
