"""`LocalCluster` as its users see it: in threads, in processes, and over a real server."""

import glob
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

import clustrio
from clustrio.slots.hashing import key_slot
from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.local.errors import (
    LocalClusterError,
    NodeDownError,
    NodeStartError,
    NotSupportedError,
    WaitTimeoutError,
)
from clustrio.tools.wire import CallError

from .clusters import NODE_TIMEOUT_MS, new_cluster, require_replication

if TYPE_CHECKING:
    from redis.cluster import RedisCluster

pytestmark = pytest.mark.slow


def is_real(cluster: LocalCluster) -> bool:
    return "redis-server" in cluster.nodes[0].info("server").get("executable", "")


# ---- what a cluster is ---------------------------------------------------------------------------


def test_it_serves_and_all_see_the_same(cluster: LocalCluster, client: "RedisCluster") -> None:
    for number in range(20):
        assert client.set(f"key{number}", number)
    assert client.get("key7") == b"7"
    snapshot = cluster.snapshot()
    assert snapshot.is_agreed
    assert len(snapshot.views) == 6
    assert str(snapshot).count("state ok") == 6
    assert {cluster.master_of(f"key{number}").index for number in range(20)} == {0, 1, 2}


def test_a_reset_takes_the_data_and_leaves_the_connections(
    cluster: LocalCluster, client: "RedisCluster"
) -> None:
    client.set("key", "value")
    pids = [node.pid for node in cluster.nodes]
    cluster.reset()
    assert client.get("key") is None
    assert [node.pid for node in cluster.nodes] == pids


def test_replicas_are_told_by_their_master(cluster: LocalCluster) -> None:
    assert cluster.replicas_of(1) == [cluster.nodes[4]]


# ---- lives ---------------------------------------------------------------------------------------


def test_a_killed_node_is_down_and_comes_back_at_its_port(
    cluster: LocalCluster, client: "RedisCluster"
) -> None:
    replica = cluster.kill(5)
    assert not replica.is_running
    with pytest.raises(NodeDownError):
        replica.call("PING")
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", replica.port)) != 0
    cluster.restart(replica)
    assert replica.call("PING") == b"PONG"
    cluster.wait_for_ok()
    assert client.set("key", "value")


def test_a_paused_node_is_found_dead_and_comes_back(cluster: LocalCluster) -> None:
    node = cluster.pause(3)
    with socket.create_connection(("127.0.0.1", node.port), 30) as connection:
        # Somebody takes the call, and nobody answers.
        connection.sendall(b"PING\r\n")
        cluster.wait_for(lambda: "fail" in health(cluster, 0, 3), "node 3 is failed")
        cluster.resume(node)
        assert connection.recv(100).startswith(b"+PONG")
    cluster.wait_for(lambda: health(cluster, 0, 3) == "", "node 3 is well")


def health(cluster: LocalCluster, viewer: int, seen: int) -> str:
    lines = cluster.nodes[viewer].lines().values()
    address = cluster.nodes[seen].address
    return next(line.health for line in lines if line.address.startswith(address))


def test_a_node_stopped_in_good_order_leaves_its_files(cluster: LocalCluster) -> None:
    node = cluster.stop(4)
    assert "bye bye" in node.log()
    cluster.restart(node)
    cluster.wait_for_ok()


def test_a_reset_brings_back_nodes_roles_and_slots(cluster: LocalCluster) -> None:
    cluster.kill(0)
    cluster.pause(1)
    cluster.partition(2, [3, 4, 5])
    cluster.reset()
    assert cluster.snapshot().is_agreed
    assert [cluster.master_of_slot(slot).index for slot in (0, 6000, 16_383)] == [0, 1, 2]


# ---- failover ------------------------------------------------------------------------------------


def test_the_key_of_a_killed_master_is_read_after_failover(
    cluster: LocalCluster, client: "RedisCluster"
) -> None:
    require_replication(cluster)
    client.set("key", "value")
    cluster.master_of("key").call("WAIT", 1, 5000)
    lost = cluster.kill(cluster.master_of("key"))
    cluster.wait_for_failover(lost)
    assert client.get("key") == b"value"
    cluster.restart(lost)
    cluster.wait_for_ok()
    assert cluster.master_of("key") is not lost


def test_a_master_cut_off_from_all_others_is_replaced_and_gives_way(
    cluster: LocalCluster, client: "RedisCluster"
) -> None:
    require_replication(cluster)
    lost = cluster.master_of("key")
    cluster.isolate(lost)
    cluster.wait_for_failover(lost)
    # It serves nobody, once it knows that it is alone.
    cluster.wait_for(lambda: lost.cluster_info()["cluster_state"] == "fail")
    client.set("key", "value")
    cluster.heal()
    cluster.wait_for_ok()
    assert cluster.master_of("key") is not lost
    assert client.get("key") == b"value"


def test_a_manual_failover_makes_the_replica_the_master(cluster: LocalCluster) -> None:
    require_replication(cluster)
    replica = cluster.replicas_of(cluster.master_of("key"))[0]
    cluster.failover(replica)
    cluster.wait_for_ok()
    assert cluster.master_of("key") is replica


# ---- links ---------------------------------------------------------------------------------------


def test_a_one_way_cut_is_felt_by_who_hears_nothing_and_heals(cluster: LocalCluster) -> None:
    cluster.partition(0, 1, one_way=True)
    cluster.wait_for(lambda: "fail" in health(cluster, 1, 0), "1 suspects 0")
    assert health(cluster, 2, 0) != "fail"
    cluster.heal(0, 1)
    cluster.wait_for_ok()


def test_clients_can_be_cut_off_and_slowed(cluster: LocalCluster) -> None:
    node = cluster.nodes[0]
    with socket.create_connection(("127.0.0.1", node.port), 10) as connection:
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"+PONG")
        cluster.slow(node, latency_ms=60, towards="clients")
        started_s = time.monotonic()
        connection.sendall(b"PING\r\n")
        assert connection.recv(100).startswith(b"+PONG")
        assert time.monotonic() - started_s >= 0.12
        cluster.heal()
        cluster.partition(node, "clients")
        connection.sendall(b"PING\r\n")
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(100)
        cluster.heal()
        connection.settimeout(10)
        # Nothing was lost meanwhile.
        assert connection.recv(100).startswith(b"+PONG")


# ---- slots and replies ---------------------------------------------------------------------------


def test_an_empty_slot_moves(cluster: LocalCluster, client: "RedisCluster") -> None:
    slot = key_slot(b"key")
    target = next(node for node in cluster.nodes[:3] if node is not cluster.master_of("key"))
    assert cluster.migrate(slot, target) == 0
    assert cluster.master_of("key") is target
    assert client.set("key", "value")


def test_a_slot_moves_with_its_keys(cluster: LocalCluster, client: "RedisCluster") -> None:
    if cluster.nodes[0].call("COMMAND", "INFO", "MIGRATE") == [None]:
        pytest.skip("MIGRATE is not there yet")
    for number in range(250):
        client.set(f"{{key}}{number}", number)
    target = next(node for node in cluster.nodes[:3] if node is not cluster.master_of("key"))
    assert cluster.migrate(key_slot(b"key"), target) == 250
    assert client.get("{key}249") == b"249"


def test_replies_written_beforehand_are_given_once(cluster: LocalCluster) -> None:
    owner = cluster.master_of("key")
    if is_real(cluster):
        with pytest.raises(NotSupportedError):
            cluster.script("TRYAGAIN", key="key")
        return
    other = next(node for node in cluster.nodes[:3] if node is not owner)
    cluster.script("ASK", command="GET", key="key", target=other)
    assert owner.call("SET", "key", "value") == b"OK"
    with pytest.raises(CallError, match=rf"ASK {key_slot(b'key')} {other.address}"):
        owner.call("GET", "key")
    assert owner.call("GET", "key") == b"value"
    for kind in ("TRYAGAIN", "CLUSTERDOWN", "LOADING", "WRONG words of my own"):
        cluster.script(kind, key="key", times=2)
        for _ in range(2):
            with pytest.raises(CallError, match=kind):
                owner.call("GET", "key")
        assert owner.call("GET", "key") == b"value"
    cluster.script("LOADING", key="key")
    cluster.clear_scripts()
    assert owner.call("GET", "key") == b"value"


def test_redis_py_hides_what_a_script_says(cluster: LocalCluster, client: "RedisCluster") -> None:
    if is_real(cluster):
        pytest.skip("a real server says what it wants")
    client.set("key", "value")
    other = next(node for node in cluster.nodes[:3] if node is not cluster.master_of("key"))
    cluster.open_slot(key_slot(b"key"), other)
    cluster.script("TRYAGAIN", command="get", key="key")
    assert client.get("key") == b"value"


# ---- saying no -----------------------------------------------------------------------------------


def test_who_waits_in_vain_hears_what_everybody_saw(cluster: LocalCluster) -> None:
    with pytest.raises(WaitTimeoutError, match=r"pigs fly.*not yet\n(node \d: .*\n?){6}"):
        cluster.wait_for(lambda: False, "pigs fly", timeout_s=0.05)
    with pytest.raises(WaitTimeoutError, match="still sees slots at"):
        cluster.wait_for_failover(0, timeout_s=0.05)


def test_what_cannot_be_is_refused_in_words() -> None:
    with pytest.raises(LocalClusterError, match="mode"):
        LocalCluster(mode="containers")
    with pytest.raises(LocalClusterError, match="thread"):
        LocalCluster(mode="threads", server="redis-server")
    idle = LocalCluster()
    with pytest.raises(LocalClusterError, match="does not run"):
        idle.engine.close()
    with pytest.raises(NodeStartError, match="no-such-directive"):
        LocalCluster(options={"no-such-directive": "1"}).start()
    with pytest.raises(NodeStartError, match="no-such-directive"):
        LocalCluster(mode="processes", options={"no-such-directive": "1"}).start()


# ---- nothing is left -----------------------------------------------------------------------------

_CRASH = """
import os, sys, time
from clustrio import LocalCluster
cluster = LocalCluster(mode=sys.argv[1]).start()
print(cluster.folder.path, *(n.port for n in cluster.nodes), *(n.pid for n in cluster.nodes))
sys.stdout.flush()
time.sleep(60)
"""


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_a_killed_caller_leaves_no_process_port_or_file(mode: str) -> None:
    caller = subprocess.Popen(
        [sys.executable, "-c", _CRASH, mode], stdout=subprocess.PIPE, text=True
    )
    assert caller.stdout is not None
    try:
        folder, *numbers = caller.stdout.readline().split()
        ports, pids = map(int, numbers[:6]), map(int, numbers[6:])
        assert os.path.isdir(folder)
    finally:
        caller.kill()
        caller.wait()
        caller.stdout.close()
    until(lambda: not os.path.exists(folder))
    for pid in pids:
        until(lambda pid=pid: not os.path.exists(f"/proc/{pid}"))
    for port in ports:
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0


def until(condition: object) -> None:
    assert callable(condition)
    deadline_s = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_an_end_in_good_order_leaves_nothing(mode: str) -> None:
    with new_cluster(mode, masters=1, replicas=0) as cluster:
        folder, pid = cluster.folder.path, cluster.nodes[0].pid
        cluster.client().set("key", "value")
        cluster.pause(0)
    assert not folder.exists()
    assert mode == "threads" or not os.path.exists(f"/proc/{pid}")
    with pytest.raises(LocalClusterError):
        cluster.engine.pid(0)


def test_a_folder_of_the_callers_is_kept() -> None:
    with tempfile.TemporaryDirectory() as folder:
        with LocalCluster(1, 0, folder=folder, node_timeout_ms=NODE_TIMEOUT_MS):
            pass
        assert glob.glob(f"{folder}/node-0/nodes.conf")


def test_a_node_that_dies_by_itself_is_noticed() -> None:
    with new_cluster("processes", masters=3, replicas=0) as cluster:
        os.kill(cluster.nodes[1].pid, signal.SIGKILL)
        cluster.wait_for(lambda: not cluster.nodes[1].is_running)
        cluster.restart(1)
        cluster.wait_for_ok()


# ---- other callers -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["threads", "processes"])
async def test_a_trio_caller(mode: str) -> None:
    new = partial(clustrio.LocalCluster, mode=mode, node_timeout_ms=NODE_TIMEOUT_MS)
    async with new(3, 0) as cluster, cluster.trio_client() as client:
        await client.set("key", "value")
        assert await client.get("key") == b"value"
        other = next(n for n in cluster.nodes if n is not cluster.master_of("key"))
        await trio.to_thread.run_sync(cluster.migrate, key_slot(b"other"), other)
        await client.set("other", "value")
        cluster.script("TRYAGAIN", key="key")
        assert await client.get("key") == b"value"
        with pytest.raises(CallError, match="WRONGTYPE"):
            await client.call("LPUSH", "key", "value")


_ASYNCIO = """
import asyncio, sys
from clustrio import LocalCluster

async def main():
    async with LocalCluster(3, 0, mode=sys.argv[1]) as cluster:
        async with cluster.asyncio_client() as client:
            await client.set("key", "value")
            assert await client.get("key") == b"value"
    print("well")

asyncio.run(main())
"""


@pytest.mark.parametrize("mode", ["threads", "processes"])
def test_an_asyncio_caller(mode: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _ASYNCIO, mode],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "well\n", done.stderr
