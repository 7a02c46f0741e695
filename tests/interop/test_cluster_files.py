"""A member of a cluster starts with a file that holds keys of slots which are not its own."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from clustrio.node.database import Clock
from clustrio.node.keyspace import Keyspace
from clustrio.node.persistence.rdb import SnapshotFacts, write_snapshot
from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import ClusterNode, start_clustrio_node, start_redis_node

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

MINE, OTHER = "a" * 40, "b" * 40
FREE, OWN, FOREIGN = b"free", b"own", b"foreign"


def prepare(folder: Path) -> None:
    """What both kinds of server find: a place in a cluster of two, and a snapshot."""
    (folder / "nodes.conf").write_text(
        f"{MINE} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected {key_slot(OWN)}\n"
        f"{OTHER} 127.0.0.1:1@2 master - 0 0 2 connected {key_slot(FOREIGN)}\n"
        "vars currentEpoch 2 lastVoteEpoch 0\n"
    )
    keyspace = Keyspace(1, False, Clock(0), Random(1))
    for key in (FREE, OWN, FOREIGN):
        keyspace.database(0).set(key, b"value")
    (folder / "dump.rdb").write_bytes(b"".join(write_snapshot(keyspace, SnapshotFacts(1))))


def seen(start: Callable[..., ClusterNode], folder: Path) -> list[object]:
    """What the node has, and what it says of its slots, once it has loaded."""
    folder.mkdir()
    prepare(folder)
    with start("--dir", str(folder)) as node:
        line = node.lines()[MINE]
        return [
            sorted(line.slots),
            node.number("DBSIZE"),
            *(node.number("CLUSTER", "COUNTKEYSINSLOT", key_slot(key)) for key in (FREE, FOREIGN)),
        ]


def test_such_keys_stay_and_their_slots_are_marked(tmp_path: Path) -> None:
    theirs = seen(start_redis_node, tmp_path / "redis")
    assert theirs == seen(start_clustrio_node, tmp_path / "clustrio")
    assert theirs[1:] == [3, 1, 1]
    assert f"[{key_slot(FOREIGN)}-<-{OTHER}]" in str(theirs[0])
