"""Full disks: each kind of node refuses or ends as it must, and is well when there is room."""

from itertools import count

import pytest

from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.local.errors import NodeDownError, NodeStartError
from clustrio.tools.local.node import Node
from clustrio.tools.wire import CallError

pytestmark = pytest.mark.slow


def key_at(node: Node, cluster: LocalCluster) -> str:
    return next(key for key in map(str, count()) if cluster.master_of(key) is node)


def persistence_is(node: Node, **wanted: str) -> bool:
    fields = node.info("persistence")
    return all(fields[name] == value for name, value in wanted.items())


def refusal(node: Node, key: str) -> str:
    """What is said to a write; empty if it is taken."""
    try:
        node.call("SET", key, "value")
    except CallError as failure:
        return str(failure)
    return ""


def test_a_snapshot_finds_no_room_and_writes_are_refused_until_there_is(
    cluster: LocalCluster,
) -> None:
    node = cluster.nodes[0]
    key = key_at(node, cluster)
    node.call("CONFIG", "SET", "save", "3600 1")
    cluster.fill_disk(node)
    assert refusal(node, key) == ""
    node.call("BGSAVE")
    cluster.wait_for(lambda: persistence_is(node, rdb_last_bgsave_status="err"))
    assert refusal(node, key).startswith("MISCONF")
    assert node.call("GET", key) == b"value"
    assert not refusal(cluster.nodes[1], key_at(cluster.nodes[1], cluster)), "its disk is its own"
    cluster.free_disk(node)
    node.call("BGSAVE")
    cluster.wait_for(lambda: persistence_is(node, rdb_last_bgsave_status="ok"))
    assert refusal(node, key) == ""


def test_an_append_only_file_finds_no_room_and_heals(cluster: LocalCluster) -> None:
    node = cluster.nodes[0]
    key = key_at(node, cluster)
    node.call("CONFIG", "SET", "appendonly", "yes")
    idle = {"aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"}
    cluster.wait_for(lambda: persistence_is(node, aof_enabled="1", **idle))
    cluster.fill_disk(node)
    cluster.wait_for(lambda: refusal(node, key).startswith("MISCONF Errors writing to the AOF"))
    assert persistence_is(node, aof_last_write_status="err")
    cluster.free_disk()
    cluster.wait_for(lambda: not refusal(node, key))
    assert persistence_is(node, aof_last_write_status="ok")


def test_a_node_that_cannot_save_what_it_agreed_to_ends(cluster: LocalCluster) -> None:
    node = cluster.fill_disk(0)
    with pytest.raises((CallError, OSError)):
        node.call("CLUSTER", "BUMPEPOCH")
    cluster.wait_for(lambda: not node.is_running, "node 0 ends")
    assert [each.index for each in cluster.nodes if each.is_running] == [1, 2, 3, 4, 5]


def test_a_node_that_promised_to_sync_always_ends_rather_than_lie(cluster: LocalCluster) -> None:
    node = cluster.nodes[0]
    key = key_at(node, cluster)
    node.call("CONFIG", "SET", "appendfsync", "always")
    node.call("CONFIG", "SET", "appendonly", "yes")
    idle = {"aof_rewrite_in_progress": "0", "aof_rewrite_scheduled": "0"}
    cluster.wait_for(lambda: persistence_is(node, aof_enabled="1", **idle))
    cluster.fill_disk(node)
    with pytest.raises(OSError, match=r"closed|reset"):
        node.call("SET", key, "value")
    cluster.wait_for(lambda: not node.is_running, "node 0 ends")


def test_a_full_disk_stays_so_over_a_restart(cluster: LocalCluster) -> None:
    node = cluster.kill(5)
    cluster.fill_disk(node)
    # Ours writes its nodes.conf at the start, and gives up; the other comes up for a while.
    with pytest.raises((NodeStartError, CallError, NodeDownError, OSError)):
        cluster.restart(node).call("CLUSTER", "SAVECONFIG")
    cluster.free_disk()
    cluster.restart(node)
    cluster.wait_for_ok()
