"""The installed command as a shell runs it, and clusters to run it on."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, running
from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.wire import Caller

#: The console script where there is one.
_SCRIPT: Final = Path(sys.executable).parent / "clustrio"
CLUSTRIO: Final = (str(_SCRIPT),) if _SCRIPT.exists() else (sys.executable, "-m", "clustrio.tools")
KINDS: Final = ("redis", "clustrio")


@frozen
class Result:
    """How it ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    def must(self, code: int = 0) -> "Result":
        """Fail unless it ended like this."""
        assert self.code == code, f"exit code {self.code}\n{self.out}\n{self.err}"
        return self


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours, without what would change the output."""
    names = ("NO_COLOR", "FORCE_COLOR", "REDISCLI_AUTH", "REDIS_URL")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    return {**kept, "XDG_STATE_HOME": "/nonexistent", **(extra or {})}


def start(*words: object) -> "subprocess.Popen[str]":
    """Begin a command that the test will break off."""
    return subprocess.Popen(
        [*CLUSTRIO, "cluster", *map(str, words)],
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def admin(*words: object, extra: Mapping[str, str] | None = None, stdin: str = "") -> Result:
    """Run `clustrio cluster ...` to its end."""
    done = subprocess.run(
        [*CLUSTRIO, "cluster", *map(str, words)],
        env=environment(extra),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def address(node: ClusterNode) -> str:
    """`host:port`."""
    return f"127.0.0.1:{node.port}"


@contextmanager
def bare_nodes(kind: str, count: int) -> Iterator[list[ClusterNode]]:
    """Nodes that know nobody."""
    clustrio = count if kind == "clustrio" else 0
    with running(clustrio=clustrio, redis=count - clustrio) as nodes:
        yield nodes


def new_cluster(
    kind: str,
    masters: int = 3,
    replicas: int = 0,
    *,
    is_durable: bool = False,
    node_timeout_ms: int = 1500,
) -> LocalCluster:
    """A cluster of some kind, not started: `mixed` is Clustrio's nodes and another server's."""
    others = {"redis": "redis-server", "mixed": "redis-server"}
    others |= {"valkey": "valkey-server", "mixed-valkey": "valkey-server"}
    return LocalCluster(
        masters,
        replicas,
        mode="processes",
        server=others.get(kind),
        mix=kind.startswith("mixed"),
        node_timeout_ms=node_timeout_ms,
        seed=1,
        relayed=False,
        options={"appendonly": "yes", "appendfsync": "always"} if is_durable else None,
    )


def empty(cluster: LocalCluster) -> LocalCluster:
    """Delete all keys; what is repaired or undone otherwise may be used again."""
    for node in cluster.nodes:
        if node.info("replication")["role"] == "master":
            node.call("FLUSHALL")
    return cluster


def fill(cluster: LocalCluster, count: int, *, prefix: str = "key") -> dict[str, str]:
    """Write keys; what was written."""
    written = {f"{prefix}:{number}": f"value {number}" for number in range(count)}
    with cluster.client() as client:
        for key, value in written.items():
            client.set(key, value)
    return written


def assert_kept(cluster: LocalCluster, written: Mapping[str, str]) -> None:
    """Every key is there, with its value, on exactly one master."""
    with cluster.client() as client:
        assert {key: client.get(key) for key in written} == {
            key: value.encode() for key, value in written.items()
        }
    masters = [node for node in cluster.nodes if node.info("replication")["role"] == "master"]
    sizes = [node.call("DBSIZE") for node in masters]
    assert sum(size for size in sizes if isinstance(size, int)) == len(written), sizes


def slot_of(key: str) -> int:
    """The slot of a text key."""
    return key_slot(key.encode())


def ask(port: int, *words: str | int) -> object:
    """One command over a connection of its own."""
    caller = Caller(port)
    try:
        return caller.call(*words)
    finally:
        caller.close()
