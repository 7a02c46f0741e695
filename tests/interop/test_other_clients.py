"""Clients with a loop of their own on Clustrio nodes: redis-py's for asyncio, ioredis, node-redis
and valkey-glide, each in a process of its own.

All but the first are installed into a temporary directory, once a run; without network they are
skipped, unless CLUSTRIO_REQUIRE_CLIENTS=1.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import (
    ClusterNode,
    begin_move,
    end_move,
    form,
    running,
    wait_until,
)

pytestmark = pytest.mark.slow

REQUIRE_VARIABLE: Final = "CLUSTRIO_REQUIRE_CLIENTS"
INSTALL_TIMEOUT_S: Final = 40
CLIENT_TIMEOUT_S: Final = 10

#: All do the same: many keys, a counter, a slot that has moved, an open slot.
IOREDIS: Final = """
const Redis = require('ioredis');
const port = Number(process.argv[2]);
const client = new Redis.Cluster([{host: '127.0.0.1', port}]);
const call = (...words) => client.call(...words);
const close = () => client.quit();
const counters = async (keys) => {
  const byNode = await Promise.all(keys.map((key) => client.incr(key)));
  return byNode.reduce((a, b) => a + b, 0);
};
main({
  set: (key, value) => client.set(key, value), get: (key) => client.get(key), counters,
  hash: async () => { await client.hset('h', {a: '1', b: '2'}); return client.hgetall('h'); },
  several: () => client.mget('a', 'b'), close,
});
"""
NODE_REDIS: Final = """
const {createCluster} = require('redis');
const port = Number(process.argv[2]);
const client = createCluster({rootNodes: [{url: `redis://127.0.0.1:${port}`}]});
client.on('error', (failure) => console.error(failure));
client.connect().then(() => main({
  set: (key, value) => client.set(key, value), get: (key) => client.get(key),
  counters: async (keys) => (await Promise.all(keys.map((key) => client.incr(key))))
    .reduce((a, b) => a + b, 0),
  hash: async () => { await client.hSet('h', {a: '1', b: '2'}); return client.hGetAll('h'); },
  several: () => client.sInter(['a', 'b']), close: () => client.close(),
}));
"""
NODE_STEPS: Final = """
const assert = require('assert');
const readline = require('readline').createInterface({input: process.stdin});
const lines = readline[Symbol.asyncIterator]();
const ready = async (word) => { console.log(word); await lines.next(); };
async function main(client) {
  const keys = Array.from({length: 100}, (_, number) => `key:${number}`);
  await Promise.all(keys.map((key) => client.set(key, key)));
  assert.deepStrictEqual(await Promise.all(keys.map((key) => client.get(key))), keys);
  assert.strictEqual(await client.counters(keys.map((key) => `n:${key}`)), 100);
  assert.deepStrictEqual({...await client.hash()}, {a: '1', b: '2'});
  await assert.rejects(async () => client.several(), /CROSSSLOT|same slot/);
  await client.set('{moved}1', 'before');
  await ready('MOVE');
  await client.set('{moved}2', 'after');
  assert.strictEqual(await client.get('{moved}2'), 'after');
  await ready('OPEN');
  await client.set('{open}1', 'asked');
  assert.strictEqual(await client.get('{open}1'), 'asked');
  await ready('DONE');
  await client.close();
  process.exit(0);
}
"""
GLIDE: Final = """
import asyncio, sys
from glide import GlideClusterClient, GlideClusterClientConfiguration, NodeAddress
from glide import RequestError

def ready(word):
    print(word, flush=True)
    sys.stdin.readline()

async def main():
    address = NodeAddress('127.0.0.1', int(sys.argv[1]))
    client = await GlideClusterClient.create(GlideClusterClientConfiguration([address]))
    keys = [f'key:{number}' for number in range(100)]
    await asyncio.gather(*(client.set(key, key) for key in keys))
    assert await client.mget(keys) == [key.encode() for key in keys]
    assert sum(await asyncio.gather(*(client.incr('n:' + key) for key in keys))) == 100
    await client.hset('h', {'a': '1', 'b': '2'})
    assert await client.hgetall('h') == {b'a': b'1', b'b': b'2'}
    try:
        await client.sinter(['a', 'b'])
        raise AssertionError('no CROSSSLOT')
    except RequestError as refused:
        assert 'slot' in str(refused).lower(), refused
    await client.set('{moved}1', 'before')
    ready('MOVE')
    await client.set('{moved}2', 'after')
    assert await client.get('{moved}2') == b'after'
    ready('OPEN')
    await client.set('{open}1', 'asked')
    assert await client.get('{open}1') == b'asked'
    ready('DONE')
    await client.close()

asyncio.run(main())
"""
#: The keys one by one: over which of several connections this client sends ASKING, and over which
#: the command, is left to chance.
REDIS_PY: Final = """
import asyncio, sys
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.exceptions import RedisClusterException

def ready(word):
    print(word, flush=True)
    sys.stdin.readline()

async def main(protocol, port):
    starts = [ClusterNode('127.0.0.1', port)]
    async with RedisCluster(startup_nodes=starts, protocol=protocol) as client:
        for number in range(100):
            assert await client.set(f'key:{number}', number) is True
        assert await client.dbsize(target_nodes=client.PRIMARIES) == 100
        try:
            await client.mget('a', 'b')
            raise AssertionError('no CROSSSLOT')
        except RedisClusterException as refused:
            assert 'slot' in str(refused).lower(), refused
        await client.set('{moved}1', 'before')
        ready('MOVE')
        await client.set('{moved}2', 'after')
        assert await client.get('{moved}2') == b'after'
        ready('OPEN')
        await client.set('{open}1', 'asked')
        assert await client.get('{open}1') == b'asked'
        ready('DONE')
        replies = await asyncio.gather(*(client.incr(f'n:{number}') for number in range(100)))
        assert replies == [1] * 100
        pipe = client.pipeline()
        for number in range(100):
            pipe.incr(f'n:{number}')
        assert await pipe.execute() == [2] * 100

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


def give_up(reason: str) -> None:
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def install(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        give_up(f"{command[0]} took longer than {INSTALL_TIMEOUT_S} s")
        return
    if done.returncode:
        give_up(f"{' '.join(command)}: {(done.stdout + done.stderr)[-500:]}")


@pytest.fixture(scope="module")
def node_modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            give_up(f"no {program} on PATH")
    folder = tmp_path_factory.mktemp("npm")
    quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")
    install(("npm", "install", *quiet, "--prefix", str(folder), "ioredis@6", "redis@6"), folder)
    return folder


@pytest.fixture(scope="module")
def glide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("glide")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    install((*pip, "--target", str(folder), "valkey-glide>=2.5,<3"), folder)
    return folder


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=3) as started:
        form(started)
        yield started


@pytest.fixture
def emptied(nodes: list[ClusterNode]) -> list[ClusterNode]:
    for node in nodes:
        node.call("FLUSHALL")
    return nodes


class Script:
    """A client's process, which stops at each step until it is told to go on."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._said = folder / "said"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=said,
                text=True,
                env=os.environ | {"PYTHONPATH": str(folder)},
            )

    def expect(self, word: str) -> None:
        """Wait until the client has said this, alone in a line."""

        def missing() -> str:
            said = self._said.read_text()
            assert self._process.poll() is None, f"ended without {word}: {said}"
            return "" if word in said.splitlines() else f"said only {said!r}"

        wait_until(f"the client says {word}", missing, deadline_s=CLIENT_TIMEOUT_S)

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self) -> int:
        """Wait for the end; its exit code."""
        return self._process.wait(CLIENT_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def walk_through(nodes: list[ClusterNode], command: Sequence[str], folder: Path) -> None:
    """Lead a client through its steps: the keys, a moved slot, an open slot."""
    with Script((*command, str(nodes[0].port)), folder) as script:
        script.expect("MOVE")
        moved = key_slot(b"{moved}1")
        source, target = begin_move(nodes, moved)
        source.call("DEL", "{moved}1")
        end_move(nodes, moved, target)
        script.go_on()
        script.expect("OPEN")
        assert target.call("GET", "{moved}2") == b"after"
        opened = key_slot(b"{open}1")
        source, target = begin_move(nodes, opened)
        script.go_on()
        script.expect("DONE")
        assert source.call("CLUSTER", "COUNTKEYSINSLOT", opened) == 0
        assert target.call("CLUSTER", "COUNTKEYSINSLOT", opened) == 1
        end_move(nodes, opened, target)
        script.go_on()
        assert script.end() == 0


@pytest.mark.parametrize(("name", "text"), [("ioredis", IOREDIS), ("node-redis", NODE_REDIS)])
def test_node_clients(emptied: list[ClusterNode], node_modules: Path, name: str, text: str) -> None:
    path = node_modules / f"{name}.js"
    path.write_text(NODE_STEPS + text)
    walk_through(emptied, ("node", str(path)), node_modules)


def test_valkey_glide(emptied: list[ClusterNode], glide_folder: Path) -> None:
    path = glide_folder / "steps.py"
    path.write_text(GLIDE)
    walk_through(emptied, (sys.executable, str(path)), glide_folder)


@pytest.mark.parametrize("protocol", ["2", "3"])
def test_redis_py_on_asyncio(emptied: list[ClusterNode], tmp_path: Path, protocol: str) -> None:
    path = tmp_path / "steps.py"
    path.write_text(REDIS_PY)
    walk_through(emptied, (sys.executable, str(path), protocol), tmp_path)
