"""Nodes in memory that are in a cluster, without anybody else to hear them."""

from collections.abc import Iterable

from clustrio.gossip.nodes_conf import StoredCluster
from clustrio.gossip.outputs import LinkOrder, Send
from clustrio.node.cluster import Cluster

from .harness import MemoryNode


class SilentBus:
    """A bus on which nothing is ever heard; it keeps what was to be saved, and whether at once."""

    over_limit_count = 0

    def __init__(self) -> None:
        self.saved: list[tuple[StoredCluster, bool]] = []

    def save(self, stored: StoredCluster, must_sync: bool) -> None:
        self.saved.append((stored, must_sync))

    def send(self, order: Send) -> None:
        """Nobody hears it."""

    def link(self, order: LinkOrder) -> None:
        """There is nobody to link to."""

    def flush(self) -> None:
        """Nothing waits."""

    def buffered(self) -> dict[int, int]:
        return {}


def node_serving(slots: Iterable[int]) -> MemoryNode:
    """A node of a healthy cluster that serves these slots, and nobody the others."""
    node = MemoryNode(cluster_enabled="yes", cluster_require_full_coverage="no")
    machine = node.machine
    machine.cluster = Cluster(machine, SilentBus(), None)
    assert node.call("CLUSTER", "ADDSLOTS", *slots) == "OK"
    for _ in range(100):
        machine.clock.now_ms += 100
        machine.clock.monotonic_ms += 100
        machine.cluster.tick()
    return node
