"""Heartbeats while clients keep the nodes busy: nobody is suspected who only works hard."""

import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)
from clustrio.tools.wire import Caller

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

LOAD_S: Final = 8.0
TIMEOUT_MS: Final = 1000


@contextmanager
def pipelined_load(node: ClusterNode, tag: str) -> Iterator[None]:
    """redis-benchmark without end on keys of this node."""
    command = (
        *("redis-benchmark", "-p", str(node.port), "-q", "-n", "100000000", "-c", "20", "-P", "50"),
        *("-d", "100", "SET", f"{{{tag}}}key", "value"),
    )
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield
            assert process.poll() is None, "the load generator gave up"
        finally:
            process.kill()


class BigReplies:
    """Readers that fetch megabytes at a time from each node."""

    def __init__(self, nodes: Sequence[ClusterNode], tags: Sequence[str]) -> None:
        self.fetched_bytes = 0
        self._is_over = threading.Event()
        self._failures: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._read, args=(node.port, tag))
            for node, tag in zip(nodes, tags, strict=True)
        ]
        for node, tag in zip(nodes, tags, strict=True):
            node.call("RPUSH", f"{{{tag}}}long", *["x" * 50] * 20_000)
            node.call("SET", f"{{{tag}}}big", "y" * 4_000_000)

    def _read(self, port: int, tag: str) -> None:
        caller = Caller(port)
        try:
            while not self._is_over.is_set():
                for words in (("LRANGE", f"{{{tag}}}long", 0, -1), ("GET", f"{{{tag}}}big")):
                    reply = caller.call(*words)
                    assert isinstance(reply, list | bytes)
                    self.fetched_bytes += len(reply)
        except Exception as failure:
            self._failures.append(failure)
        finally:
            caller.close()

    def __enter__(self) -> "BigReplies":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()
        assert not self._failures


def tags_of(nodes: Sequence[ClusterNode]) -> list[str]:
    """A hash tag for each node whose slot it serves."""
    found: dict[int, str] = {}
    for number in range(1000):
        for index, node in enumerate(nodes):
            slot = node.number("CLUSTER", "KEYSLOT", f"{{t{number}}}")
            if index not in found and node.serves(slot):
                found[index] = f"t{number}"
        if len(found) == len(nodes):
            return [found[index] for index in range(len(nodes))]
    raise AssertionError("a node without slots")


def test_nobody_is_suspected_while_clients_saturate_the_nodes() -> None:
    with running(clustrio=3, timeout_ms=TIMEOUT_MS) as nodes:
        form(nodes)
        tags = tags_of(nodes)
        suspicions: list[str] = []
        looks = 0
        with (
            pipelined_load(nodes[0], tags[0]),
            pipelined_load(nodes[1], tags[1]),
            BigReplies(nodes, tags) as readers,
        ):
            ends_s = time.monotonic() + LOAD_S
            while time.monotonic() < ends_s:
                for node in nodes:
                    looks += 1
                    suspicions += [
                        f"{node.port} says {line.address} {line.health}"
                        for line in node.lines().values()
                        if line.health
                    ]
        assert not suspicions
        # That there was a load at all, and that the nodes could still be looked at.
        assert readers.fetched_bytes > 10_000_000
        assert looks > 20
        done = [int(node.info()["cluster_stats_messages_pong_received"]) for node in nodes]
        assert min(done) > 2 * LOAD_S
        wait_until("still ok", lambda: not_ok(nodes), nodes)
        wait_until("one view", lambda: disagreement(nodes, 3), nodes)
        assert all("fail" not in node.log().partition("state changed: ok")[2] for node in nodes)
