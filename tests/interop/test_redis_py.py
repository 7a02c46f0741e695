"""redis-py's cluster client on Clustrio nodes: redirects, pipelines, modes, both protocols.

`CLUSTRIO_SUBJECT=redis-server` runs the same on real nodes, to try the tests themselves.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest
from redis.cluster import LoadBalancingStrategy, RedisCluster
from redis.exceptions import (
    ClusterCrossSlotError,
    ClusterError,
    MovedError,
    RedisClusterException,
    ResponseError,
    TryAgainError,
)

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, begin_move, end_move, form, running

from ..support.servers import SUBJECT_VARIABLE

pytestmark = pytest.mark.slow


def three_nodes() -> AbstractContextManager[list[ClusterNode]]:
    if os.environ.get(SUBJECT_VARIABLE) == "redis-server":
        return running(redis=3)
    return running(clustrio=3)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    with three_nodes() as started:
        form(started)
        yield started


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def client(nodes: list[ClusterNode], request: pytest.FixtureRequest) -> Iterator[Any]:
    with RedisCluster(host="127.0.0.1", port=nodes[0].port, protocol=request.param) as connected:
        connected.flushall()
        yield connected


def owner_of(nodes: list[ClusterNode], slot: int) -> ClusterNode:
    return next(node for node in nodes if node.serves(slot))


def abort_move(source: ClusterNode, target: ClusterNode, slot: int) -> None:
    for node in (source, target):
        node.call("CLUSTER", "SETSLOT", slot, "STABLE")


def test_keys_go_to_their_owners(nodes: list[ClusterNode], client: Any) -> None:
    for number in range(100):
        assert client.set(f"key:{number}", number) is True
    assert client.get("key:7") == b"7"
    assert client.dbsize(target_nodes=client.PRIMARIES) == 100
    counts = [node.number("DBSIZE") for node in nodes]
    assert sum(counts) == 100
    assert all(counts)
    for node in nodes:
        for key in node.items("KEYS", "*"):
            assert isinstance(key, bytes)
            assert node.serves(key_slot(key))


def test_a_moved_slot_is_followed(nodes: list[ClusterNode], client: Any) -> None:
    slot = key_slot(b"wanderer")
    client.get("wanderer")
    source, target = begin_move(nodes, slot)
    end_move(nodes, slot, target)
    # The client still believes in the old owner, which answers MOVED.
    with pytest.raises(Exception, match=rf"MOVED {slot} 127.0.0.1:{target.port}"):
        source.call("GET", "wanderer")
    assert client.set("wanderer", "here") is True
    assert target.call("GET", "wanderer") == b"here"
    assert client.get("wanderer") == b"here"


def test_an_open_slot_is_followed_with_ask(nodes: list[ClusterNode], client: Any) -> None:
    slot = key_slot(b"{open}here")
    client.set("{open}here", "old")
    source, target = begin_move(nodes, slot)
    assert client.get("{open}here") == b"old"
    assert client.set("{open}there", "new") is True
    assert client.get("{open}there") == b"new"
    assert (source.call("DBSIZE"), target.call("DBSIZE")) == (1, 1)
    with pytest.raises(Exception, match="MOVED"):
        target.call("GET", "{open}there")
    target.call("ASKING")
    assert target.call("GET", "{open}there") == b"new"
    with pytest.raises(Exception, match="MOVED"):
        target.call("GET", "{open}there")
    with pytest.raises(Exception, match="TRYAGAIN"):
        source.call("MGET", "{open}here", "{open}there")
    with pytest.raises((TryAgainError, ClusterError)):
        client.mget("{open}here", "{open}there")
    source.call("DEL", "{open}here")
    end_move(nodes, slot, target)
    assert client.mget("{open}here", "{open}there") == [None, b"new"]


def test_a_move_that_was_given_up_leaves_all_as_it_was(
    nodes: list[ClusterNode], client: Any
) -> None:
    slot = key_slot(b"stay")
    client.set("stay", "1")
    source, target = begin_move(nodes, slot)
    abort_move(source, target, slot)
    assert client.get("stay") == b"1"
    assert client.set("{stay}too", "2") is True
    assert target.call("DBSIZE") == 0


def test_pipelines_are_split_over_the_nodes(client: Any) -> None:
    with client.pipeline() as pipe:
        for number in range(200):
            pipe.set(f"piped:{number}", number)
            pipe.incr(f"piped:{number}")
        replies = pipe.execute()
    assert replies == [reply for number in range(200) for reply in (True, number + 1)]


def test_pipelines_follow_a_moved_slot(nodes: list[ClusterNode], client: Any) -> None:
    slot = key_slot(b"{drift}0")
    client.set("{drift}0", "x")
    client.delete("{drift}0")
    _, target = begin_move(nodes, slot)
    end_move(nodes, slot, target)
    with client.pipeline() as pipe:
        for number in range(20):
            pipe.set(f"{{drift}}{number}", number)
        assert pipe.execute() == [True] * 20
    assert target.call("EXISTS", "{drift}19") == 1


def test_keys_of_several_slots_are_refused(nodes: list[ClusterNode], client: Any) -> None:
    with pytest.raises(RedisClusterException):
        client.mget("a", "b")
    refused = r"CROSSSLOT Keys in request don't hash to the same slot"
    for request in (("MGET", "a", "b"), ("DEL", "a", "b"), ("RENAME", "a", "b")):
        with pytest.raises(Exception, match=refused):
            owner_of(nodes, key_slot(b"a")).call(*request)
    with pytest.raises((ClusterCrossSlotError, ResponseError, RedisClusterException)):
        client.execute_command(
            "MSET", "a", "1", "b", "2", target_nodes=client.get_node_from_key("a")
        )
    assert client.mset_nonatomic({"a": "1", "b": "2"}) == [True, True]
    assert client.mget_nonatomic("a", "b") == [b"1", b"2"]


def test_transactions_in_one_slot(client: Any) -> None:
    with client.pipeline(transaction=True) as pipe:
        pipe.set("{tx}a", "1").incr("{tx}a").get("{tx}a")
        assert pipe.execute()[1:] == [2, b"2"]


def test_read_from_replicas_is_accepted_by_primaries(nodes: list[ClusterNode]) -> None:
    with RedisCluster(
        host="127.0.0.1",
        port=nodes[1].port,
        load_balancing_strategy=LoadBalancingStrategy.ROUND_ROBIN_REPLICAS,
        protocol=3,
    ) as client:
        client.set("read", "me")
        assert client.get("read") == b"me"
        assert client.readonly() is True
        assert client.readwrite() is True


def test_a_replica_serves_readers_who_say_so_and_sends_the_others_away() -> None:
    with three_nodes() as nodes:
        first, second, replica = nodes
        form([first, second], [(replica, first)])
        slot = key_slot(b"bar")
        assert owner_of([first, second], slot) is first
        with pytest.raises(Exception, match=f"MOVED {slot} 127.0.0.1:{first.port}"):
            replica.call("GET", "bar")
        replica.call("READONLY")
        assert replica.call("GET", "bar") is None
        with pytest.raises(Exception, match=f"MOVED {slot} 127.0.0.1:{first.port}"):
            replica.call("SET", "bar", "1")
        with pytest.raises(Exception, match=f"MOVED 12182 127.0.0.1:{second.port}"):
            replica.call("GET", "foo")
        replica.call("READWRITE")
        with pytest.raises(Exception, match="MOVED"):
            replica.call("GET", "bar")


def test_the_topology_is_what_clients_expect(nodes: list[ClusterNode], client: Any) -> None:
    ports = sorted(node.port for node in nodes)
    assert sorted(node.port for node in client.get_primaries()) == ports
    assert client.get_replicas() == []
    shards = client.cluster_shards()
    assert len(shards) == 3
    assert client.cluster_info(target_nodes=client.get_random_node())["cluster_state"] == "ok"
    assert len(client.cluster_nodes()) == 3
    assert len(client.cluster_links(client.get_primaries()[0])) == 4
    assert client.cluster_keyslot("foo") == 12182
    assert client.cluster_countkeysinslot(12182) == 0


def test_moved_names_the_node_even_for_a_seed_by_host_name(nodes: list[ClusterNode]) -> None:
    with RedisCluster(host="localhost", port=nodes[1].port, protocol=2) as client:
        connected: Any = client
        assert connected.ping(target_nodes="all") is True
        owner = connected.get_node_from_key("foo")
        other = next(node for node in connected.get_nodes() if node != owner)
        with pytest.raises(MovedError):
            other.redis_connection.execute_command("GET", "foo")
