"""Runs of large clusters: nothing drawn but the order of things.

Owns the options for `--nodes` from thirty on. Rules: half the nodes are primaries; the network is
that of one data centre; no faults unless they are asked for, and a share of the primaries dies.
"""

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from .swarm import Options, draw, with_fixed

TIMEOUT_MS: Final = 15_000
"""Redis' default."""


def large_options(seed: int, node_count: int, fixed: Mapping[str, object]) -> Options:
    """The options of a large cluster."""
    timeout_ms = fixed.get("node_timeout_ms", TIMEOUT_MS)
    assert isinstance(timeout_ms, int)
    options = evolve(
        draw(seed),
        node_count=node_count,
        primary_count=node_count // 2,
        node_timeout_ms=timeout_ms,
        ping_interval_ms=0,
        replica_validity_factor=10,
        latency_ms=1,
        jitter_ms=2,
        loss_percent=0,
        refuses_at_once=True,
        clock_skew_ppm=100,
        through_wire=False,
        write_interval_ms=50,
        replication_lag_ms=10,
        full_sync_ms=500,
        safety_ms=2 * timeout_ms,
        fault_interval_ms=timeout_ms,
        fault_length_ms=timeout_ms,
        faults=(),
        kill_share=0.1,
        stays_calm=True,
    )
    return with_fixed(options, fixed)
