"""redis-py's cluster client on asyncio: locks, scripts, functions, transactions, shard channels.

`CLUSTRIO_SUBJECT=redis-server` runs the same on real nodes, to try the tests themselves.
"""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, form, running

from ..support.servers import SUBJECT_VARIABLE

pytestmark = pytest.mark.slow

#: Each program is one of its own: its loop is not ours. It ends with `await check(client)`.
_FRAME = """
import asyncio, sys
import redis.asyncio
from redis.exceptions import LockError, LockNotOwnedError, ResponseError, WatchError

{check}

async def main():
    port, protocol = int(sys.argv[1]), int(sys.argv[2])
    async with redis.asyncio.RedisCluster(host="127.0.0.1", port=port, protocol=protocol) as client:
        await client.flushall()
        await check(client)
    print("done")

asyncio.run(main())
"""
_LOCKS = """
async def work(client):
    for _ in range(5):
        async with client.lock("narrow", timeout=60, sleep=0.005):
            value = int(await client.get("count") or 0)
            await client.set("count", value + 1)

async def check(client):
    lock = client.lock("lock", timeout=60)
    assert await lock.acquire()
    assert not await client.lock("lock").acquire(blocking=False)
    assert await lock.owned()
    assert await lock.extend(60)
    assert await client.pttl("lock") > 60_000
    assert await lock.reacquire()
    assert await client.pttl("lock") <= 60_000
    await lock.release()
    assert not await client.exists("lock")
    assert await lock.acquire()
    await client.set("lock", "stolen")
    try:
        await lock.release()
    except LockNotOwnedError:
        print("stolen")
    await asyncio.gather(*(work(client) for _ in range(4)))
    assert await client.get("count") == b"20"
"""
_SCRIPTS = """
LIBRARY = '''#!lua name=late
redis.register_function('late_add', function(keys, args)
    return redis.call('INCRBY', keys[1], args[1])
end)
redis.register_function{function_name = 'late_get', flags = {'no-writes'},
    callback = function(keys) return redis.call('GET', keys[1]) end}
'''

async def check(client):
    add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
    assert [await add(keys=["n"], args=[5]), await add(keys=["n"], args=[2])] == [5, 7]
    await client.script_flush()
    assert await add(keys=["n"], args=[1]) == 8
    assert await client.eval("return {KEYS[1], ARGV[1]}", 1, "n", "x") == [b"n", b"x"]
    await client.function_load(LIBRARY, replace=True)
    assert await client.fcall("late_add", 1, "n", 1) == 9
    assert await client.fcall_ro("late_get", 1, "n") == b"9"
    try:
        await client.fcall_ro("late_add", 1, "n", 1)
    except ResponseError as error:
        print("write flag" in str(error))
    await client.function_delete("late")
    try:
        await client.fcall("late_add", 1, "n", 1)
    except ResponseError as error:
        print("Function not found" in str(error))
"""
_TRANSACTIONS = """
async def check(client):
    async with client.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", 1).incr("{t}a").lpush("{t}list", "x").get("{t}missing")
        assert (await pipe.execute())[1:] == [2, 1, None]
    async with client.pipeline(transaction=True) as pipe:
        await pipe.watch("{t}a")
        await client.set("{t}a", 7)
        pipe.multi()
        pipe.incr("{t}a")
        try:
            await pipe.execute()
        except WatchError:
            print("watched")
    assert await client.get("{t}a") == b"7"
    async with client.pipeline(transaction=True) as pipe:
        pipe.set("{t}a", "text").incr("{t}a")
        try:
            await pipe.execute()
        except ResponseError as error:
            print("not an integer" in str(error))
    assert await client.get("{t}a") == b"text"
"""
#: So many that every node has some of them.
_CHANNELS = [f"channel:{number}" for number in range(12)]
_SHARD_CHANNELS = (
    f"NAMES = {_CHANNELS}"
    + """

async def check(client):
    listener = client.pubsub()
    for name in NAMES:
        await listener.ssubscribe(name)
    for name in NAMES:
        assert await client.spublish(name, name.upper()) == 1
    heard = set()
    async with asyncio.timeout(60):
        while len(heard) < len(NAMES):
            message = await listener.get_sharded_message(timeout=0.1)
            if message is not None and message["type"] == "smessage":
                heard.add(message["data"].decode())
    assert heard == {name.upper() for name in NAMES}
    await listener.sunsubscribe(NAMES[0])
    async with asyncio.timeout(60):
        while await client.spublish(NAMES[0], "x"):
            await asyncio.sleep(0.05)
    await listener.aclose()
"""
)


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    is_real = bool(os.environ.get(SUBJECT_VARIABLE))
    with running(clustrio=0 if is_real else 3, redis=3 if is_real else 0) as started:
        form(started)
        yield started


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    ("check", "told"),
    [
        (_LOCKS, "stolen\n"),
        (_SCRIPTS, "True\nTrue\n"),
        (_TRANSACTIONS, "watched\nTrue\n"),
        (_SHARD_CHANNELS, ""),
    ],
    ids=["locks", "scripts and functions", "transactions", "shard channels"],
)
def test_the_cluster_client_on_asyncio(
    nodes: list[ClusterNode], check: str, told: str, protocol: int
) -> None:
    program = _FRAME.format(check=check)
    arguments = [sys.executable, "-W", "error", "-c", program, str(nodes[0].port), str(protocol)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == f"{told}done\n", done.stderr


def test_every_node_has_some_of_the_channels(nodes: list[ClusterNode]) -> None:
    slots = {key_slot(name.encode()) for name in _CHANNELS}
    assert all(any(node.serves(slot) for slot in slots) for node in nodes)
