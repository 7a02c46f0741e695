"""redis-py's pub/sub on Clustrio nodes, sync and asyncio, one node and a cluster; slow listeners.

`CLUSTRIO_SUBJECT=redis-server` runs the same on real nodes, to try the tests themselves.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, begin_move, end_move, form, running

from ..support.raw import RawClient, array, bulk, integer
from ..support.servers import (
    SUBJECT_VARIABLE,
    ServerProcess,
    client_of,
    require_redis,
    start_clustrio,
)

pytestmark = pytest.mark.slow

PATIENCE_S = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_clustrio() as started:
        yield started


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    """Two nodes of ours and a real one, which must understand each other's messages."""
    require_redis()
    own_count = 0 if os.environ.get(SUBJECT_VARIABLE) else 2
    with running(clustrio=own_count, redis=3 - own_count) as started:
        form(started)
        yield started


def next_message(listener: Any) -> dict[str, Any]:
    """The next message that is no confirmation."""
    ends_at_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at_s:
        message = listener.get_message(ignore_subscribe_messages=True, timeout=0.2)
        if message is not None:
            return dict(message)
    raise AssertionError("no message came")


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_hears_channels_and_patterns(server: ServerProcess, protocol: int) -> None:
    with redis.Redis(port=server.port, protocol=protocol) as client, client.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("n*")
        listener.ssubscribe("shard")
        for _ in range(3):
            assert listener.get_message(timeout=PATIENCE_S) is not None
        assert client.publish("news", "hi") == 2
        assert client.spublish("shard", "there") == 1
        heard = [next_message(listener) for _ in range(2)]
        assert [message["type"] for message in heard] == ["message", "pmessage"]
        shard = listener.get_sharded_message if hasattr(listener, "get_sharded_message") else None
        message = next_message(listener) if shard is None else shard(timeout=PATIENCE_S)
        assert message["data"] == b"there"
        listener.unsubscribe()
        listener.punsubscribe()
        listener.sunsubscribe()


#: A program of its own: its loop is not ours.
_ASYNCIO = """
import asyncio, sys
import redis.asyncio

async def main():
    async with redis.asyncio.Redis(port=int(sys.argv[1]), protocol=int(sys.argv[2])) as client:
        listener = client.pubsub()
        await listener.subscribe("news")
        await listener.get_message(timeout=30)
        for number in range(10):
            await client.publish("news", str(number))
        for number in range(10):
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=30)
            assert message["data"] == b"%d" % number, message
        await listener.psubscribe("n?ws")
        await listener.ssubscribe("shard")
        for _ in range(2):
            await listener.get_message(timeout=30)
        assert await client.publish("news", "both") == 2
        assert await client.spublish("shard", "apart") == 1
        heard = [await listener.get_message(timeout=30) for _ in range(3)]
        assert [(message["type"], message["data"]) for message in heard] == [
            ("message", b"both"), ("pmessage", b"both"), ("smessage", b"apart")
        ]
        await listener.aclose()
    print("heard")

asyncio.run(main())
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_redis_py_asyncio_hears(server: ServerProcess, protocol: int) -> None:
    arguments = [sys.executable, "-W", "error", "-c", _ASYNCIO, str(server.port), str(protocol)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "heard\n", done.stderr


def test_publish_reaches_every_node(nodes: list[ClusterNode]) -> None:
    listeners = [RawClient("127.0.0.1", node.port) for node in nodes]
    for listener in listeners:
        assert listener.call("SUBSCRIBE", "all").items[2] == integer(1)
    for speaker in nodes:
        assert speaker.number("PUBLISH", "all", str(speaker.port)) == 1
        expected = array(bulk("message"), bulk("all"), bulk(str(speaker.port)))
        for listener in listeners:
            assert listener.read() == expected
    for listener in listeners:
        listener.close()


def test_shard_channels_in_the_cluster_client(nodes: list[ClusterNode]) -> None:
    names = [f"channel:{number}" for number in range(12)]
    with RedisCluster(host="127.0.0.1", port=nodes[0].port) as client:
        listener = client.pubsub()
        for name in names:
            listener.ssubscribe(name)
        owners = {
            next(n.port for n in nodes if n.serves(key_slot(name.encode()))) for name in names
        }
        assert len(owners) == len(nodes), "the names are to be spread over all nodes"
        for name in names:
            client.spublish(name, name.upper())
        heard: set[bytes] = set()
        ends_at_s = time.monotonic() + PATIENCE_S
        while len(heard) < len(names) and time.monotonic() < ends_at_s:
            message = listener.get_sharded_message(timeout=0.1)
            if message is not None and message["type"] == "smessage":
                heard.add(message["data"])
        assert heard == {name.upper().encode() for name in names}
        listener.close()


def test_listeners_go_with_their_slot(nodes: list[ClusterNode]) -> None:
    slot = key_slot(b"wanderer")
    owner = next(node for node in nodes if node.serves(slot))
    with RawClient("127.0.0.1", owner.port) as listener:
        other = next(node for node in nodes if node is not owner)
        with RawClient("127.0.0.1", other.port) as stranger:
            assert stranger.call("SSUBSCRIBE", "wanderer").text.startswith(b"MOVED %d" % slot)
            assert stranger.call("SSUBSCRIBE", "a", "b").text.startswith(b"CROSSSLOT")
        assert listener.call("SSUBSCRIBE", "wanderer").items[2] == integer(1)
        _, target = begin_move(nodes, slot)
        end_move(nodes, slot, target)
        assert listener.read() == array(bulk("sunsubscribe"), bulk("wanderer"), integer(0))


def test_a_slow_listener_is_cut_off_alone(server: ServerProcess) -> None:
    with client_of(server) as speaker, client_of(server) as quick:
        speaker.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 1mb 0 0")
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(("127.0.0.1", server.port))
        slow.sendall(b"SUBSCRIBE flood\r\n")
        slow.recv(100)
        quick.call("SUBSCRIBE", "flood")
        message = b"x" * 100_000
        counts = []
        for _ in range(200):
            counts.append(speaker.call("PUBLISH", "flood", message).number)
            assert quick.read().items[2].text == message
            if counts[-1] == 1:
                break
        assert counts[0] == 2
        assert counts[-1] == 1, "the slow one was never cut off"
        assert speaker.call("PING").value == b"PONG"
        speaker.call("CONFIG", "SET", "client-output-buffer-limit", "pubsub 32mb 8mb 60")
        slow.close()
