"""`redis-cli --cluster` makes a cluster of Clustrio nodes, finds it clean, and moves slots."""

import subprocess

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    not_ok,
    parse_nodes,
    running,
    wait_until,
)

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


def redis_cli(*arguments: str) -> str:
    """What it prints; fails unless it ends with 0."""
    done = subprocess.run(
        ["redis-cli", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def address(node: ClusterNode) -> str:
    return f"127.0.0.1:{node.port}"


def create(nodes: list[ClusterNode], replicas: int) -> str:
    addresses = [address(node) for node in nodes]
    options = ("--cluster-replicas", str(replicas), "--cluster-yes")
    return redis_cli("--cluster", "create", *addresses, *options)


def assert_clean(nodes: list[ClusterNode]) -> None:
    """All nodes serve and agree, and the tool thinks so too, whichever node it asks."""
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
    for node in (nodes[0], nodes[-1]):
        checked = redis_cli("--cluster", "check", address(node))
        assert "[OK] All nodes agree about slots configuration" in checked
        assert "[OK] All 16384 slots covered" in checked
        assert "[WARNING]" not in checked
        assert "[ERR]" not in checked


def test_six_primaries_are_created_checked_and_resharded() -> None:
    with running(clustrio=6) as nodes:
        assert "All 16384 slots covered" in create(nodes, replicas=0)
        assert_clean(nodes)
        assert redis_cli("--cluster", "info", address(nodes[3])).count("slots | 0 slaves") == 6
        source, target = nodes[0].node_id, nodes[5].node_id
        moves = ("--cluster-from", source, "--cluster-to", target, "--cluster-slots", "20")
        redis_cli("--cluster", "reshard", address(nodes[1]), *moves, "--cluster-yes")
        assert_clean(nodes)
        assert nodes[2].lines()[target].slots[0] == "0-19"
        assert nodes[0].lines()[source].slots == ("20-2730",)


def test_three_shards_with_a_replica_each_are_created_and_checked() -> None:
    with running(clustrio=6) as nodes:
        # What it finds by itself at the end is what one node had heard by then.
        assert "additional replica(s)" in create(nodes, replicas=1)
        assert_clean(nodes)
        checked = redis_cli("--cluster", "check", address(nodes[0]))
        assert checked.count("additional replica(s)") == 3
        assert redis_cli("--cluster", "info", address(nodes[4])).count("slots | 1 slaves") == 3
        lines = nodes[0].lines()
        primaries = {key for key, line in lines.items() if line.role == "master"}
        followed = {line.primary_id for line in lines.values() if line.role == "slave"}
        assert followed == primaries
        for node in nodes:
            own = lines[node.node_id]
            if own.role == "master":
                (row,) = node.items("CLUSTER", "REPLICAS", own.node_id)
                assert isinstance(row, bytes)
                assert parse_nodes(row.decode()).popitem()[1].primary_id == own.node_id
