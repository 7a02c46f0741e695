"""redis-py's locks, transactions, scripts and functions on a Clustrio node, sync and asyncio.

`CLUSTRIO_SUBJECT=redis-server` runs the same on a real node, to try the tests themselves.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from redis.cluster import RedisCluster
from redis.exceptions import LockError, LockNotOwnedError, WatchError

from clustrio.tools.bench.clusters import ClusterNode, form, running

from ..support.servers import ServerProcess, start_clustrio

pytestmark = pytest.mark.slow

_ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"
_LIBRARY = """#!lua name={name}
redis.register_function('{name}_add', function(keys, args)
    return redis.call('INCRBY', keys[1], args[1])
end)
redis.register_function{{function_name = '{name}_get', flags = {{'no-writes'}},
    callback = function(keys) return redis.call('GET', keys[1]) end}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_clustrio() as started:
        yield started


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=3) as started:
        form(started)
        yield started


@pytest.fixture(params=["node 2", "node 3", "cluster"])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    where, _, protocol = request.param.partition(" ")
    if where == "cluster":
        nodes: list[ClusterNode] = request.getfixturevalue("nodes")
        connected: Any = RedisCluster(host="127.0.0.1", port=nodes[0].port)
    else:
        server: ServerProcess = request.getfixturevalue("server")
        connected = redis.Redis(port=server.port, protocol=int(protocol))
    with connected:
        connected.flushall()
        yield connected


def test_locks(client: Any) -> None:
    lock = client.lock("lock", timeout=60)
    assert lock.acquire()
    assert not client.lock("lock").acquire(blocking=False)
    assert lock.owned()
    assert lock.extend(60)
    assert client.pttl("lock") > 60_000
    assert lock.reacquire()
    assert client.pttl("lock") <= 60_000
    lock.release()
    assert not client.exists("lock")
    assert lock.acquire()
    client.set("lock", "stolen")
    with pytest.raises(LockNotOwnedError):
        lock.release()
    with pytest.raises(LockError):
        client.lock("free").release()


def test_a_lock_keeps_threads_apart(client: Any) -> None:
    inside: list[int] = []
    worst: list[int] = []

    def work(number: int) -> None:
        for _ in range(5):
            with client.lock("narrow", timeout=60, sleep=0.005):
                inside.append(number)
                worst.append(len(inside))
                client.incr("count")
                inside.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(worst) == 1
    assert client.get("count") == b"20"


def test_scripts(client: Any) -> None:
    add = client.register_script(_ADD)
    assert [add(keys=["n"], args=[5]), add(keys=["n"], args=[2])] == [5, 7]
    client.script_flush()
    # What the node has forgotten is sent again.
    assert add(keys=["n"], args=[1]) == 8
    assert client.eval(_ADD, 1, "n", 1) == 9
    assert client.script_exists(add.sha) == [True]
    assert client.eval("return {1, 'a', false, {2}}", 1, "n") == [1, b"a", None, [2]]
    with pytest.raises(redis.ResponseError, match="oops"):
        client.eval("return redis.error_reply('ERR oops')", 1, "n")


def test_functions(client: Any) -> None:
    code = _LIBRARY.format(name="sums")
    client.function_load(code, replace=True)
    assert client.fcall("sums_add", 1, "n", 5) == 5
    assert client.fcall_ro("sums_get", 1, "n") == b"5"
    with pytest.raises(redis.ResponseError, match="write flag"):
        client.fcall_ro("sums_add", 1, "n", 5)
    if not isinstance(client, RedisCluster):
        kept = client.function_dump()
        client.function_flush()
        assert client.function_list() == []
        client.function_restore(kept)
        assert client.fcall("sums_add", 1, "n", 1) == 6
    client.function_delete("sums")
    with pytest.raises(redis.ResponseError, match="Function not found"):
        client.fcall("sums_add", 1, "n", 5)


def test_transactions(client: Any) -> None:
    pipe = client.pipeline(transaction=True)
    pipe.set("{t}a", 1).incr("{t}a").lpush("{t}list", "x").get("{t}missing")
    # The cluster client hands on the status line of SET as it came.
    done, *others = pipe.execute()
    assert (bool(done), others) == (True, [2, 1, None])

    def double(pipe: Any) -> None:
        number = int(pipe.get("{t}a"))
        if number == 2:
            client.set("{t}a", 10)
        pipe.multi()
        pipe.set("{t}a", number * 2)

    # The first try loses against the other writer.
    client.transaction(double, "{t}a")
    assert client.get("{t}a") == b"20"
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("{t}a")
        client.set("{t}a", 1)
        pipe.multi()
        pipe.incr("{t}a")
        with pytest.raises(WatchError):
            pipe.execute()
    pipe = client.pipeline(transaction=True)
    pipe.set("{t}a", "text").incr("{t}a")
    with pytest.raises(redis.ResponseError, match="not an integer"):
        pipe.execute()
    assert client.get("{t}a") == b"text"


#: A program of its own: its loop is not ours.
_ASYNCIO = """
import asyncio, sys
import redis.asyncio
from redis.exceptions import WatchError

LIBRARY = '''{library}'''

async def work(client):
    for _ in range(5):
        async with client.lock("lock", timeout=60, sleep=0.005):
            value = int(await client.get("{{t}}n") or 0)
            await client.set("{{t}}n", value + 1)

async def main():
    async with redis.asyncio.Redis(port=int(sys.argv[1]), protocol=int(sys.argv[2])) as client:
        await client.flushall()
        await asyncio.gather(*(work(client) for _ in range(4)))
        assert await client.get("{{t}}n") == b"20"
        add = client.register_script("return redis.call('INCRBY', KEYS[1], ARGV[1])")
        assert await add(keys=["{{t}}n"], args=[2]) == 22
        await client.script_flush()
        assert await add(keys=["{{t}}n"], args=[2]) == 24
        await client.function_load(LIBRARY, replace=True)
        assert await client.fcall("late_add", 1, "{{t}}n", 1) == 25
        assert await client.fcall_ro("late_get", 1, "{{t}}n") == b"25"
        async with client.pipeline(transaction=True) as pipe:
            assert await pipe.set("a", 1).incr("a").execute() == [True, 2]
            await pipe.watch("a")
            await client.set("a", 7)
            pipe.multi()
            pipe.incr("a")
            try:
                await pipe.execute()
            except WatchError:
                print("watched")
    print("done")

asyncio.run(main())
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_asyncio(server: ServerProcess, protocol: int) -> None:
    program = _ASYNCIO.format(library=_LIBRARY.format(name="late"))
    arguments = [sys.executable, "-W", "error", "-c", program, str(server.port), str(protocol)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "watched\ndone\n", done.stderr
