"""What tests of local clusters share."""

from typing import Final

import pytest

from clustrio.tools.local.cluster import LocalCluster

#: Short, since nothing but this machine is between the nodes.
NODE_TIMEOUT_MS: Final = 800


def require_replication(cluster: LocalCluster) -> None:
    """Skip while Clustrio's replicas hold no data."""
    for node in cluster.nodes[cluster.masters :]:
        if node.info("replication").get("master_link_status") != "up":
            pytest.skip("replicas hold no data yet")


def new_cluster(mode: str = "threads", masters: int = 3, replicas: int = 1) -> LocalCluster:
    """A cluster as most tests want it, not started."""
    if mode == "redis":
        return LocalCluster(
            masters, replicas, server="redis-server", node_timeout_ms=NODE_TIMEOUT_MS, seed=1
        )
    return LocalCluster(masters, replicas, mode=mode, node_timeout_ms=NODE_TIMEOUT_MS, seed=1)
