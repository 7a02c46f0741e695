"""Replicas of a cluster: they have the data, take over when their primary dies, and come back."""

from collections.abc import Iterator
from functools import partial

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow

KEYS = [f"key{number}" for number in range(300)]


def replication(node: ClusterNode) -> dict[str, str]:
    lines = node.text("INFO", "replication").split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def out_of_step(replica: ClusterNode, primary: ClusterNode) -> str:
    mine, theirs = replication(replica), replication(primary)
    if mine.get("master_link_status") != "up":
        return f"the link is {mine.get('master_link_status')}"
    if mine["slave_repl_offset"] != theirs["master_repl_offset"]:
        return f"{mine['slave_repl_offset']} of {theirs['master_repl_offset']}"
    return ""


@pytest.fixture
def nodes() -> Iterator[list[ClusterNode]]:
    """Three primaries, and for each a replica that has its data."""
    with running(clustrio=6, timeout_ms=1500) as nodes:
        for node in nodes:
            node.call("CONFIG", "SET", "repl-diskless-sync-delay", 0)
        form(nodes[:3], [*zip(nodes[3:], nodes[:3], strict=True)])
        for primary, replica in zip(nodes[:3], nodes[3:], strict=True):
            wait_until("in step", partial(out_of_step, replica, primary), nodes)
        yield nodes


def write(nodes: list[ClusterNode]) -> dict[ClusterNode, list[str]]:
    owned: dict[ClusterNode, list[str]] = {node: [] for node in nodes}
    for key in KEYS:
        owner = next(node for node in nodes if node.serves(key_slot(key.encode())))
        owner.call("SET", key, f"value of {key}")
        owned[owner].append(key)
    return owned


def test_a_killed_primary_is_replaced_and_comes_back_as_a_replica(
    nodes: list[ClusterNode],
) -> None:
    owned = write(nodes[:3])
    victim, heir = nodes[0], nodes[3]
    assert victim.number("WAIT", 1, 5000) == 1
    heir.call("READONLY")
    assert heir.call("GET", owned[victim][0]) == f"value of {owned[victim][0]}".encode()
    victim.kill()
    survivors = nodes[1:]
    wait_until(
        "taken over", lambda: "" if replication(heir)["role"] == "master" else "no", survivors
    )
    wait_until("ok again", lambda: not_ok(survivors), survivors)
    for key in owned[victim]:
        assert heir.call("GET", key) == f"value of {key}".encode()
    heir.call("SET", owned[victim][0], "new")
    victim.start_again()
    wait_until("back as a replica", lambda: out_of_step(victim, heir), nodes)
    wait_until("one view", lambda: disagreement(nodes, 6), nodes)
    victim.call("READONLY")
    assert victim.call("GET", owned[victim][0]) == b"new"
    assert replication(victim)["role"] == "slave"


def test_a_manual_failover_loses_nothing_and_copies_nothing(nodes: list[ClusterNode]) -> None:
    owned = write(nodes[:3])
    old, new = nodes[1], nodes[4]
    new.call("CLUSTER", "FAILOVER")
    wait_until("taken over", lambda: out_of_step(old, new), nodes)
    wait_until("ok", lambda: not_ok(nodes), nodes)
    for key in owned[old]:
        assert new.call("GET", key) == f"value of {key}".encode()
    stats = new.text("INFO", "stats")
    assert "sync_full:0\r\n" in stats
    assert "sync_partial_ok:1\r\n" in stats


def test_a_primary_that_lost_its_data_does_not_wipe_its_replica(nodes: list[ClusterNode]) -> None:
    owned = write(nodes[:3])
    victim, keeper = nodes[2], nodes[5]
    assert victim.number("WAIT", 1, 5000) == 1
    keeper.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
    victim.kill()
    victim.start_again()

    def not_refused() -> str:
        asked = "sync_full:0" not in victim.text("INFO", "stats")
        is_down = replication(keeper)["master_link_status"] == "down"
        return "" if asked and is_down else "not yet"

    wait_until("refused", not_refused, nodes)
    assert keeper.number("DBSIZE") == len(owned[victim])
    keeper.call("CONFIG", "SET", "cluster-replica-no-failover", "no")
    wait_until("taken over", lambda: out_of_step(victim, keeper), nodes)
    assert victim.number("DBSIZE") == keeper.number("DBSIZE") == len(owned[victim])
