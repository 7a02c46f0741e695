"""A failover in the middle of a move: the marks are kept, and the move ends as it would have."""

import os
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)
from clustrio.tools.wire import CallError

from .test_failover import out_of_step

pytestmark = pytest.mark.slow

KEYS = [f"{{b}}{number}" for number in range(40)]


@pytest.fixture
def nodes() -> Iterator[list[ClusterNode]]:
    """Three primaries; the first two have a replica each."""
    with running(clustrio=5, timeout_ms=1500) as nodes:
        form(nodes[:3], [(nodes[3], nodes[0]), (nodes[4], nodes[1])])
        for primary, replica in ((nodes[0], nodes[3]), (nodes[1], nodes[4])):
            wait_until("in step", partial(out_of_step, replica, primary), nodes)
        yield nodes


def begin(nodes: list[ClusterNode]) -> tuple[int, list[str]]:
    """Half of a slot's keys have gone from the first node to the second."""
    source, target = nodes[:2]
    slot = source.number("CLUSTER", "KEYSLOT", KEYS[0])
    assert source.serves(slot)
    for key in KEYS:
        source.call("SET", key, key)
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
    gone = KEYS[:20]
    source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 20_000, "KEYS", *gone)
    return slot, gone


def marks_of(node: ClusterNode, slot: int) -> set[str]:
    return {text for text in node.lines()[node.node_id].slots if text.startswith(f"[{slot}-")}


def lacks(node: ClusterNode, mark: str, slot: int) -> str:
    """Why the node is not a primary with that mark."""
    line = node.lines()[node.node_id]
    if line.role != "master":
        return "it is a replica"
    return "" if mark in marks_of(node, slot) else f"its slots are {line.slots}, not {mark}"


def finish(nodes: list[ClusterNode], slot: int, source: ClusterNode, target: ClusterNode) -> None:
    """Move the rest, and see that all is there."""
    source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 20_000, "KEYS", *KEYS[20:])
    for node in (target, *nodes):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
    wait_until("one view", lambda: disagreement(nodes), nodes)
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    assert [target.call("GET", key) for key in KEYS] == [key.encode() for key in KEYS]
    assert not marks_of(source, slot)
    assert not marks_of(target, slot)


def test_the_source_is_killed(nodes: list[ClusterNode]) -> None:
    source, target, third, after_source, _ = nodes
    slot, gone = begin(nodes)
    target_id = target.node_id
    wait_until("in step", partial(out_of_step, after_source, source), nodes)
    source.kill()
    living = [target, third, after_source]
    wait_until("a successor", lambda: lacks(after_source, f"[{slot}->-{target_id}]", slot), living)
    new_mark = f"[{slot}-<-{after_source.node_id}]"
    wait_until("the other end", lambda: lacks(target, new_mark, slot), living)
    wait_until("ok everywhere", lambda: not_ok(living), living)
    with pytest.raises(CallError, match=f"ASK {slot}"):
        after_source.call("GET", gone[0])
    finish(living, slot, after_source, target)


def test_the_target_is_killed(nodes: list[ClusterNode]) -> None:
    source, target, third, _, after_target = nodes
    slot, gone = begin(nodes)
    source_id = source.node_id
    wait_until("in step", partial(out_of_step, after_target, target), nodes)
    target.kill()
    living = [source, third, after_target]
    wait_until("a successor", lambda: lacks(after_target, f"[{slot}-<-{source_id}]", slot), living)
    new_mark = f"[{slot}->-{after_target.node_id}]"
    wait_until("the other end", lambda: lacks(source, new_mark, slot), living)
    wait_until("ok everywhere", lambda: not_ok(living), living)
    with pytest.raises(CallError, match=f"ASK {slot} 127.0.0.1:{after_target.port}"):
        source.call("GET", gone[0])
    finish(living, slot, source, after_target)


def test_a_replica_that_says_nothing_lets_no_slot_be_opened(nodes: list[ClusterNode]) -> None:
    source, target, _, replica, _ = nodes
    slot = next(slot for slot in range(16_384) if source.serves(slot))
    os.kill(replica.pid, signal.SIGSTOP)
    try:
        with pytest.raises(CallError, match="NOREPLICAS"):
            source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
        assert not marks_of(source, slot)
    finally:
        os.kill(replica.pid, signal.SIGCONT)
    wait_until("one view", lambda: disagreement(nodes, 5), nodes)


def test_a_replica_sends_readers_to_where_the_key_is(nodes: list[ClusterNode]) -> None:
    source, target, _, replica, _ = nodes
    slot, gone = begin(nodes)
    wait_until("in step", partial(out_of_step, replica, source), nodes)
    replica.call("READONLY")
    assert replica.call("GET", KEYS[-1]) == KEYS[-1].encode()
    with pytest.raises(CallError, match=f"ASK {slot} 127.0.0.1:{target.port}"):
        replica.call("GET", gone[0])
