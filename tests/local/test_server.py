"""A node of a local cluster, before anybody runs it."""

from pathlib import Path

import pytest

from clustrio.node.runtime.clock import set_clock
from clustrio.tools.local.ports import HeldPorts
from clustrio.tools.local.server import LocalServer

MINE, OTHER = "a" * 40, "b" * 40


@pytest.mark.parametrize("is_fresh", [True, False])
def test_a_primary_of_a_new_cluster_serves_at_once(tmp_path: Path, is_fresh: bool) -> None:
    """Any other asks first whether somebody has its slots by now."""
    held = HeldPorts(1, None, relayed=False)
    port, bus_port = held.nodes[0].port, held.nodes[0].bus_port
    known = tmp_path / "nodes.conf"
    known.write_text(
        f"{MINE} 127.0.0.1:{port}@{bus_port} myself,master - 0 0 1 connected 0-8191\n"
        f"{OTHER} 127.0.0.1:1@2 master - 0 0 2 connected 8192-16383\n"
        "vars currentEpoch 2 lastVoteEpoch 0\n"
    )
    options = (
        *(("port", str(port)), ("cluster-port", str(bus_port))),
        *(("cluster-enabled", "yes"), ("cluster-config-file", str(known))),
        *(("bind", "127.0.0.1"), ("dir", str(tmp_path))),
    )
    server = LocalServer(options, "seed", own_process=False)
    try:
        server.prepare(is_fresh=is_fresh)
        cluster = server.machine.cluster
        assert cluster is not None
        set_clock(server.machine.clock)
        cluster.tick()
        assert cluster.core.state.is_ok is is_fresh
    finally:
        server.crash()
        held.close()
