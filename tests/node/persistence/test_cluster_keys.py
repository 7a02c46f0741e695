"""Keys that a node of a cluster finds in its file: whose they are, and what becomes of them."""

import pytest

from clustrio.gossip.nodes_conf import decode_nodes_conf
from clustrio.node.cluster import Cluster
from clustrio.slots.hashing import key_slot

from ..clustered import SilentBus
from ..harness import MemoryNode

MINE, OTHER = "a" * 40, "b" * 40
FREE, OWN, FOREIGN = b"free", b"own", b"foreign"


def member() -> tuple[MemoryNode, Cluster]:
    """A node that comes back with keys of a slot of its own, one of another's, and a free one."""
    text = (
        f"{MINE} 127.0.0.1:7000@17000 myself,master - 0 0 1 connected {key_slot(OWN)}\n"
        f"{OTHER} 127.0.0.1:7001@17001 master - 0 0 2 connected {key_slot(FOREIGN)}\n"
        "vars currentEpoch 2 lastVoteEpoch 0\n"
    )
    node = MemoryNode(cluster_enabled="yes")
    machine = node.machine
    machine.cluster = Cluster(machine, SilentBus(), decode_nodes_conf(text.encode()))
    for key in (FREE, OWN, FOREIGN):
        machine.keyspace.database(0).set(key, b"value")
    return node, machine.cluster


@pytest.mark.parametrize(
    ("facts", "is_kept"),
    [
        ({}, True),
        ({b"clustrio-node-id": OTHER.encode()}, True),
        ({b"clustrio-node-id": MINE.encode()}, False),
    ],
)
def test_nothing_is_lost_of_a_file_that_others_wrote(
    facts: dict[bytes, bytes], is_kept: bool
) -> None:
    node, cluster = member()
    machine = node.machine
    machine.persistence.on_snapshot_read(3, 0, facts)
    cluster.settle_loaded_keys()
    table = cluster.view.table
    assert table.owner(key_slot(FREE)) == MINE
    assert table.importing == ({key_slot(FOREIGN): OTHER} if is_kept else {})
    assert table.owner(key_slot(FOREIGN)) == OTHER
    # All is well for long.
    cluster.view.is_healthy = True
    machine.clock.monotonic_ms += 10_000
    machine.slot_migration.drop_foreign_keys()
    machine.slot_migration.trimmer.flush({key_slot(FOREIGN)})
    assert machine.keyspace.database(0).exists(FOREIGN) == is_kept
    assert machine.keyspace.database(0).exists(OWN)
    assert machine.keyspace.database(0).exists(FREE)


def test_a_file_says_which_node_wrote_it() -> None:
    from clustrio.node.runtime.snapshots import snapshot_facts

    node, _ = member()
    assert (b"clustrio-node-id", MINE.encode()) in snapshot_facts(node.machine).fields()
    alone = MemoryNode()
    assert all(name != b"clustrio-node-id" for name, _ in snapshot_facts(alone.machine).fields())
