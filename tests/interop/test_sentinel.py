"""A real `redis-server --sentinel` trio watches Clustrio, and replaces a primary that died."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.sentinel import MasterNotFoundError
from redis.sentinel import Sentinel as _Sentinel

from clustrio.tools.bench.processes import ServerProcess, reserve_port

from ..support.servers import start_clustrio

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

#: redis-py gives its methods no types.
Sentinel: Any = _Sentinel

NAME = "shop"
OPTIONS = ("--repl-diskless-sync-delay", "0", "--protected-mode", "no")
NOT_NOW = (RedisConnectionError, RedisTimeoutError, MasterNotFoundError, ReadOnlyError)


def wait_for(what: str, is_so: Callable[[], bool], seconds: float = 40.0) -> None:
    ends = time.monotonic() + seconds
    while True:
        try:
            if is_so():
                return
        except NOT_NOW:
            pass
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def watching(primary: ServerProcess, directory: Path) -> Iterator[Any]:
    """Three sentinels that watch a primary, and a client of theirs."""
    addresses = []
    with ExitStack() as stack:
        for number in range(3):
            held = reserve_port()
            stack.callback(held.release)
            folder = directory / f"sentinel{number}"
            folder.mkdir()
            (folder / "sentinel.conf").write_text(
                f"port {held.port}\nbind 127.0.0.1\nprotected-mode no\ndir {folder}\n"
                f"sentinel monitor {NAME} 127.0.0.1 {primary.port} 2\n"
                f"sentinel down-after-milliseconds {NAME} 1500\n"
                f"sentinel failover-timeout {NAME} 10000\n"
            )
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    ["redis-server", str(folder / "sentinel.conf"), "--sentinel"],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            stack.callback(process.wait)
            stack.callback(process.kill)
            addresses.append(("127.0.0.1", held.port))
        sentinel = Sentinel(addresses, socket_timeout=2.0)
        yield sentinel
        for each in sentinel.sentinels:
            each.close()


def facts(sentinel: Any) -> dict[str, object]:
    answers: list[dict[str, object]] = []
    for each in sentinel.sentinels:
        answers.append(each.sentinel_masters()[NAME])
    return min(answers, key=lambda answer: (answer["num-slaves"], answer["num-other-sentinels"]))


def test_sentinels_watch_and_replace_a_primary(tmp_path: Path) -> None:
    with ExitStack() as stack:
        primary, *replicas = (stack.enter_context(start_clustrio(*OPTIONS)) for _ in range(3))
        for replica in replicas:
            with replica.connect() as plain:
                plain.sendall(b"REPLICAOF 127.0.0.1 %d\r\n" % primary.port)
                assert plain.recv(64) == b"+OK\r\n"
        sentinel = stack.enter_context(watching(primary, tmp_path))
        wait_for(
            "three sentinels that know two replicas",
            lambda: (
                (facts(sentinel)["num-slaves"], facts(sentinel)["num-other-sentinels"]) == (2, 2)
            ),
        )
        assert sentinel.discover_master(NAME) == ("127.0.0.1", primary.port)
        client = sentinel.master_for(NAME, socket_timeout=2.0)
        reader = sentinel.slave_for(NAME, socket_timeout=2.0)
        assert client.set("before", "1")
        assert client.wait(2, 5000) == 2
        assert reader.get("before") == b"1"
        ports = {replica.port for replica in replicas}

        _kill(primary)
        wait_for("the client writes again", lambda: bool(client.set("after", "2")))
        heir = sentinel.discover_master(NAME)[1]
        assert heir in ports
        assert client.get("before") == b"1"
        wait_for("the other one follows", lambda: client.wait(1, 1000) == 1)

        # Orders of an operator, and a return of the first.
        other = (ports - {heir}).pop()
        wait_for("all agree", lambda: _agree(sentinel, heir))
        wait_for("the sentinels see a good replica", lambda: bool(sentinel.discover_slaves(NAME)))
        client.set("last", "3")
        assert client.wait(1, 5000) == 1
        wait_for("an order is taken", lambda: _order(sentinel))
        wait_for(
            "the other one is in its place",
            lambda: sentinel.discover_master(NAME) == ("127.0.0.1", other),
        )
        wait_for("the client writes again", lambda: bool(client.set("more", "4")))
        assert client.mget("before", "after", "last", "more") == [b"1", b"2", b"3", b"4"]
        client.close()
        reader.close()


def _kill(server: ServerProcess) -> None:
    """As a crash does; its port stays held."""
    process = server._process
    assert process is not None
    process.kill()
    process.wait()


def _agree(sentinel: Any, port: int) -> bool:
    return all(each.sentinel_masters()[NAME]["port"] == port for each in sentinel.sentinels)


def _order(sentinel: Any) -> bool:
    try:
        return bool(sentinel.sentinels[0].execute_command("SENTINEL", "FAILOVER", NAME))
    except Exception as failure:
        if "INPROG" in str(failure) or "NOGOODSLAVE" in str(failure):
            return False
        raise
