"""`clustrio cluster ...` on Valkey, alone and together with Clustrio nodes.

Skipped without a `valkey-server` on PATH. With one, it can take redis-server's place in all other
tests of this folder too: put it first on PATH under that name.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustrio.tools.bench.clusters import ClusterNode
from clustrio.tools.local.cluster import LocalCluster

from ..support.servers import ServerProcess
from .shell import admin, ask, assert_kept, fill, new_cluster, slot_of

_VALKEY = ("valkey-server",)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which(*_VALKEY) is None, reason="no valkey-server on PATH"),
]


@pytest.fixture(params=["valkey", "mixed-valkey"])
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param, 3, 1, node_timeout_ms=8000) as cluster:
        yield cluster


def test_looking(cluster: LocalCluster) -> None:
    fill(cluster, 200)
    place = cluster.nodes[0].address
    assert "3 masters and 3 replicas" in admin("check", place).must().out
    info = admin("info", place, "--json").must().document
    assert sum(row["keys"] for row in info["masters"]) == 200
    rows = admin("nodes", place, "--json").must().document["nodes"]
    assert {row["health"] for row in rows} == {"ok"}
    assert admin("slots", place).must().out.count("slots  ") == 3
    assert "ops/s" in admin("top", place).must().out
    assert "200 keys seen" in admin("bigkeys", place).must().out
    admin("call", place, "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu").must()
    hot = admin("hotkeys", place, "--top", 3, "--json").must().document
    assert len(hot["hottest"]) == 3
    admin("set-timeout", place, 9000).must()


def test_slots_move_and_are_repaired(cluster: LocalCluster) -> None:
    written = fill(cluster, 300)
    first, second, third = cluster.nodes[:3]
    moved = admin("reshard", first.address, "--to", third.address, "--slots", 200, "--yes").must()
    assert moved.code == 0
    admin("rebalance", second.address, "--threshold", 0, "--yes").must()
    assert_kept(cluster, written)
    slot = slot_of("key:1")
    owner = cluster.master_of("key:1")
    other = next(node for node in (first, second, third) if node is not owner)
    other.call("CLUSTER", "SETSLOT", slot, "IMPORTING", owner.node_id)
    owner.call("CLUSTER", "SETSLOT", slot, "MIGRATING", other.node_id)
    owner.call("MIGRATE", "127.0.0.1", other.port, "key:1", 0, 5000)
    assert "open" in admin("check", first.address).must(1).out
    admin("fix", first.address, "--yes").must()
    admin("check", first.address, "--search-multiple-owners").must()
    assert_kept(cluster, written)


def test_members_come_and_go_and_take_over(cluster: LocalCluster) -> None:
    written = fill(cluster, 200)
    place = cluster.nodes[0].address
    with ClusterNode(_VALKEY, timeout_ms=8000) as newcomer:
        new = f"127.0.0.1:{newcomer.port}"
        admin("add-node", new, place).must()
        admin("reshard", place, "--to", new, "--slots", 300, "--yes").must()
        assert newcomer.number("DBSIZE") > 0
        admin("del-node", place, newcomer.node_id, "--yes").must()
    admin("failover", place, "--all-masters", "--yes").must()
    roles = [node.info("replication")["role"] for node in cluster.nodes]
    assert roles == ["slave"] * 3 + ["master"] * 3
    admin("check", place).must()
    assert_kept(cluster, written)


def test_keys_come_from_files_and_from_a_standalone(cluster: LocalCluster, tmp_path: Path) -> None:
    written = fill(cluster, 200)
    place = cluster.nodes[0].address
    admin("backup", place, tmp_path / "backup").must()
    for node in cluster.nodes[:3]:
        node.call("FLUSHALL")
    restored = admin("restore", place, tmp_path / "backup", "--yes", "--json").must().document
    assert restored["keys"] == 200
    assert_kept(cluster, written)
    with ServerProcess(_VALKEY, ()) as standalone:
        for number in range(50):
            ask(standalone.port, "SET", f"foreign:{number}", "x")
            written[f"foreign:{number}"] = "x"
        source = f"127.0.0.1:{standalone.port}"
        admin("import", place, "--from", source, "--yes").must()
    assert_kept(cluster, written)
