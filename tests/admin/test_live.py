"""`nodes`, `slots`, `top`, `watch`, `bigkeys`, `hotkeys`, `backup` and `restore` on clusters."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustrio.tools.local.cluster import LocalCluster

from .shell import KINDS, admin, assert_kept, fill, new_cluster, start

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


@pytest.fixture(params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param, 3, 1) as cluster:
        yield cluster


def test_nodes_slots_and_top_tell_the_same_nodes(cluster: LocalCluster) -> None:
    fill(cluster, 100)
    place = cluster.nodes[0].address
    rows = admin("nodes", place, "--json").must().document["nodes"]
    assert [row["role"] for row in rows] == ["master", "replica"] * 3
    assert [row["address"] for row in rows[::2]] == [node.address for node in cluster.nodes[:3]]
    assert {row["health"] for row in rows} == {"ok"}
    assert {row["link"] for row in rows[1::2]} == {"up"}
    assert all(isinstance(row["lag_bytes"], int) for row in rows[1::2])
    assert admin("nodes", place).must().out.count("replica") == 3
    drawn = admin("slots", place).must().out
    assert drawn.splitlines()[0].startswith("    0 AAAAAAA")
    assert drawn.count("slots  ") == 3
    sets = admin("slots", place, "--json").must().document
    assert sets["masters"][0]["slot_ranges"] == "0-5460"
    lines = admin("top", place, "--json", "--count", 2, "--interval", 0.2).must().out.splitlines()
    first, second, end = map(json.loads, lines)
    assert end["looks"] == 2
    for look in (first, second):
        assert sum(row["keys"] for row in look["nodes"] if row["role"] == "master") == 100
        assert all(row["memory_bytes"] > 0 for row in look["nodes"])
    assert "ops/s" in admin("top", place).must().out


def test_an_open_slot_and_a_lost_node_are_seen(cluster: LocalCluster) -> None:
    first, second, third = cluster.nodes[:3]
    first.call("CLUSTER", "SETSLOT", 0, "MIGRATING", second.node_id)
    drawn = admin("slots", third.address).must().out
    assert drawn.startswith("    0 !A")
    assert "! open: 0" in drawn
    cluster.kill(cluster.nodes[4])
    rows = admin("nodes", third.address, "--json").must(1).document["nodes"]
    assert [row["health"] for row in rows if row["address"] == cluster.nodes[4].address] == ["down"]


def test_a_failover_is_told_as_it_happens(cluster: LocalCluster) -> None:
    process = start("watch", cluster.nodes[1].address, "--json", "--seconds", 30)
    assert process.stderr is not None
    assert "watching 6 nodes" in process.stderr.readline()
    lost = cluster.kill(0)
    cluster.wait_for_failover(lost)
    cluster.restart(lost)
    kinds: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        event = json.loads(line)
        kinds.append(event.get("event", ""))
        if event.get("event") == "follows" and event["node"] == lost.address:
            break
    process.kill()
    process.communicate(timeout=90)
    assert {"unreachable", "fail", "vote", "promoted", "moved", "reachable"} <= set(kinds)
    assert kinds.index("unreachable") < kinds.index("promoted")


def test_big_and_hot_keys_are_found_wherever_they_are(cluster: LocalCluster) -> None:
    with cluster.client() as client:
        for number in range(30):
            client.set(f"small:{number}", "x")
            client.rpush(f"list:{number}", *range(number + 1))
        client.set("big", "x" * 5000)
        place = cluster.nodes[0].address
        found = admin("bigkeys", place, "--top", 2, "--json").must().document
        assert found["keys"] == 61
        strings, lists = found["types"]["string"], found["types"]["list"]
        assert strings["biggest"][0]["key"] == "big"
        assert strings["biggest"][0]["size"] == 5000
        assert strings["biggest"][0]["node"] == cluster.master_of("big").address
        assert [row["size"] for row in lists["biggest"]] == [30, 29]
        assert lists["total"] == sum(range(1, 31))
        by_memory = admin("bigkeys", place, "--memory", "--json").must().document
        assert by_memory["types"]["string"]["biggest"][0]["key"] == "big"
        assert "61 keys seen" in admin("bigkeys", place).must().out
        refused = admin("hotkeys", place).must(1)
        assert "maxmemory-policy" in refused.err
        for node in cluster.nodes:
            node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lfu")
        for _ in range(300):
            client.get("big")
        hot = admin("hotkeys", place, "--top", 3, "--json").must().document
        assert hot["hottest"][0]["key"] == "big"
        assert len(hot["hottest"]) == 3


def test_a_backup_is_restored_into_a_cluster_of_another_shape(tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    with new_cluster("redis", 3, 1) as cluster:
        written = fill(cluster, 400)
        place = cluster.nodes[0].address
        with cluster.client() as client:
            client.set("short", "value", ex=1000)
            client.hset("hash", mapping={"field": "value"})
        document = admin("backup", place, folder, "--json").must().document
        assert len(document["files"]) == 3
        admin("backup", place, tmp_path / "second", "--from-replicas").must()
        assert len(list((tmp_path / "second").glob("*.rdb"))) == 3
        exists = admin("restore", place, folder, "--yes").must(1)
        assert "--skip-existing" in exists.err
        kept = admin("restore", place, folder, "--yes", "--skip-existing", "--json").must()
        assert kept.document["skipped"] == 402
    with new_cluster("clustrio", 2) as other:
        place = other.nodes[0].address
        dry = admin("restore", place, folder, "--dry-run", "--json").must().document
        assert dry["keys"] == 402
        assert other.nodes[0].call("DBSIZE") == 0
        assert admin("restore", place, folder, "--yes", "--json").must().document["keys"] == 402
        with other.client() as client:
            assert 0 < client.ttl("short") <= 1000
            assert client.hgetall("hash") == {b"field": b"value"}
            client.delete("short")
            client.delete("hash")
        assert_kept(other, written)
        back = tmp_path / "back"
        assert admin("backup", place, back).must().out.count("redis-node-") == 2
        damaged = next(back.glob("*.rdb"))
        damaged.write_bytes(damaged.read_bytes()[:-30])
        refused = admin("restore", place, back, "--replace", "--yes").must(1)
        assert "is damaged" in refused.err
    assert "no backup" in admin("restore", place, tmp_path, "--yes").must(1).err


def test_a_pipe_that_closes_early_is_no_error(cluster: LocalCluster) -> None:
    process = start("top", cluster.nodes[0].address, "--json", "--interval", 0.1)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        raise
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
