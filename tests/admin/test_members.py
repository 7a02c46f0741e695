"""Nodes that come, go, follow and take over; and keys that come from outside."""

from collections.abc import Iterator

import pytest

from clustrio.tools.bench.clusters import ClusterNode
from clustrio.tools.bench.processes import REDIS, ServerProcess
from clustrio.tools.local.cluster import LocalCluster

from .shell import (
    KINDS,
    address,
    admin,
    ask,
    assert_kept,
    bare_nodes,
    empty,
    fill,
    new_cluster,
)

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


#: Nobody is suspected meanwhile, however busy the machine is.
_CALM_MS = 8000


@pytest.fixture(scope="module", params=KINDS)
def shared(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """For tests that change nothing but keys."""
    with new_cluster(request.param, node_timeout_ms=_CALM_MS) as cluster:
        yield cluster


@pytest.fixture
def settled(shared: LocalCluster) -> LocalCluster:
    return empty(shared)


@pytest.fixture(params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """For one test: who fails half-way leaves strange members behind."""
    with new_cluster(request.param, node_timeout_ms=_CALM_MS) as cluster:
        yield cluster


@pytest.fixture(params=KINDS)
def newcomer(request: pytest.FixtureRequest) -> Iterator[ClusterNode]:
    with bare_nodes(request.param, 1) as (node,):
        yield node


def test_a_node_joins_gets_slots_is_drained_and_leaves(
    cluster: LocalCluster, newcomer: ClusterNode
) -> None:
    written = fill(cluster, 300)
    place, new = cluster.nodes[0].address, address(newcomer)
    dry = admin("add-node", new, place, "--dry-run", "--json").must().document
    assert dry["role"] == "master"
    joined = admin("add-node", new, place, "--json").must().document
    assert joined["id"] == newcomer.node_id
    assert "is a member already" in admin("add-node", new, place).must().err
    plan = admin("rebalance", place, "--use-empty-masters", "--dry-run", "--json").must().document
    assert sum(move["count"] for move in plan["moves"] if move["target"] == new) == 4096
    admin("reshard", place, "--to", new, "--slots", 300, "--yes").must()
    assert newcomer.number("DBSIZE") > 0
    unasked = admin("del-node", place, new).must(1)
    assert "owns 300 slots: move them to the other masters?" in unasked.err
    left = admin("del-node", place, newcomer.node_id, "--yes", "--json").must().document
    assert left["slots_moved"] == 300
    assert newcomer.info()["cluster_known_nodes"] == "1"
    checked = admin("check", place, "--search-multiple-owners").must()
    assert "3 masters and 0 replicas" in checked.out
    assert_kept(cluster, written)


def test_a_replica_joins_changes_its_master_and_leaves(
    cluster: LocalCluster, newcomer: ClusterNode
) -> None:
    fill(cluster, 50)
    place, new = cluster.nodes[0].address, address(newcomer)
    words = ("--cluster-slave", "--cluster-master-id", cluster.nodes[1].node_id)
    joined = admin("add-node", new, place, *words, "--json").must().document
    assert joined["master"] == cluster.nodes[1].address
    assert newcomer.number("DBSIZE") == cluster.nodes[1].call("DBSIZE")
    moved = admin("replicate", new, cluster.nodes[2].address, "--json").must().document
    assert moved["master_id"] == cluster.nodes[2].node_id
    busy = admin("replicate", cluster.nodes[0].address, cluster.nodes[1].address).must(1)
    assert "owns 5,46" in busy.err
    admin("del-node", place, new, "--yes").must()
    assert "0 replicas" in admin("check", place).must().out


def test_a_stranger_with_keys_is_not_taken_in(settled: LocalCluster) -> None:
    with new_cluster("redis", 1) as other:
        other.nodes[0].call("SET", "key", "value")
        refused = admin("add-node", other.nodes[0].address, settled.nodes[0].address).must(1)
    assert "owns 16384 slots" in refused.err
    assert len(settled.nodes[0].lines()) == 3


def test_a_lost_node_is_forgotten(cluster: LocalCluster, newcomer: ClusterNode) -> None:
    place = cluster.nodes[0].address
    met = admin("meet", address(newcomer), place, "--json").must().document
    newcomer.kill()
    owner = admin("forget", place, cluster.nodes[1].node_id).must(1)
    assert "del-node" in owner.err
    told = admin("forget", place, met["id"], "--json").must().document["told"]
    assert told == [node.address for node in sorted(cluster.nodes, key=lambda n: n.address)] or (
        sorted(told) == sorted(node.address for node in cluster.nodes)
    )
    assert all(len(node.lines()) == 3 for node in cluster.nodes)


@pytest.mark.parametrize("kind", [*KINDS, "mixed"])
def test_every_master_is_relieved_in_turn(kind: str) -> None:
    with new_cluster(kind, 3, 1, node_timeout_ms=_CALM_MS) as cluster:
        written = fill(cluster, 50)
        place = cluster.nodes[0].address
        dry = admin("failover", place, "--all-masters", "--dry-run", "--json").must().document
        assert len(dry["failovers"]) == 3
        admin("failover", place, "--all-masters", "--yes").must()
        roles = [node.info("replication")["role"] for node in cluster.nodes]
        assert roles == ["slave"] * 3 + ["master"] * 3
        # A replica's own address means that replica; a master's its best one.
        admin("failover", place, "--yes").must()
        assert cluster.nodes[0].info("replication")["role"] == "master"
        admin("failover", place, "--node", cluster.nodes[4].node_id, "--yes").must()
        assert cluster.nodes[1].info("replication")["role"] == "master"
        assert_kept(cluster, written)


def test_without_replicas_nobody_takes_over(settled: LocalCluster) -> None:
    refused = admin("failover", settled.nodes[0].address, "--yes").must(1)
    assert "has no replica" in refused.err
    assert "add-node --replica" in refused.err


def test_the_timeout_is_set_everywhere(cluster: LocalCluster) -> None:
    place = cluster.nodes[0].address
    admin("set-timeout", place, 2345).must()
    for node in cluster.nodes:
        reply = node.call("CONFIG", "GET", "cluster-node-timeout")
        assert reply == [b"cluster-node-timeout", b"2345"]
    assert "milliseconds" in admin("set-timeout", place).must(2).err
    assert "below" in admin("set-timeout", place, 5).must(2).err


def test_keys_of_a_standalone_server_come_in(settled: LocalCluster) -> None:
    with ServerProcess(REDIS) as server:
        written = {f"key:{number}": f"value {number}" for number in range(500)}
        for key, value in written.items():
            ask(server.port, "SET", key, value)
        ask(server.port, "PEXPIRE", "key:1", 3_600_000)
        busy = settled.master_of("key:2")
        busy.call("SET", "key:2", "another value")
        words = ("import", settled.nodes[0].address, "--from", f"127.0.0.1:{server.port}")
        dry = admin(*words, "--dry-run", "--json").must().document
        assert (dry["source_keys"], dry["keys"]) == (500, 0)
        copied = admin(*words, "--copy", "--yes", "--json").must(1).document
        assert copied["left_out"] == ["key:2"]
        assert copied["keys"] == 499
        assert busy.call("GET", "key:2") == b"another value"
        again = admin(*words, "--cluster-copy", "--cluster-replace", "--yes").must()
        assert "500 keys copied" in again.out
        assert ask(server.port, "DBSIZE") == 500
        admin(*words, "--replace", "--yes").must()
        assert ask(server.port, "DBSIZE") == 0
        life_ms = settled.master_of("key:1").call("PTTL", "key:1")
        assert isinstance(life_ms, int)
        assert 0 < life_ms <= 3_600_000
        assert_kept(settled, written)
        assert (
            "cluster mode itself"
            in admin(
                "import", settled.nodes[0].address, "--from", settled.nodes[1].address, "--yes"
            )
            .must(1)
            .err
        )
