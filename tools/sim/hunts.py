"""How each planted bug is found: by which checker, among how many seeds, and with what fixed.

Owns the table that the README shows and the canary test relies on. Most bugs are found by the plain
swarm; some need a cluster or faults of a certain kind, as a rare bug is rare.
"""

from collections.abc import Mapping
from typing import Final

from attrs import Factory, frozen


@frozen
class Hunt:
    """One bug."""

    checker: str
    within: int
    """Among so many seeds, from 0 on, one finds it."""
    fixed: Mapping[str, object] = Factory(dict)
    """What is not left to the seed."""


MANY_AT_ONCE: Final[Mapping[str, object]] = {
    "primary_count": 5,
    "node_count": 10,
    "node_timeout_ms": 500,
    "latency_ms": 20,
    "jitter_ms": 60,
    "loss_percent": 5,
    "faults": ("kill", "slow"),
    "fault_interval_ms": 250,
    "safety_ms": 6_000,
    "kill_share": 0.49,
    "stays_calm": False,
}
"""Elections of several shards at the same time, over a slow network."""

RESHARDING: Final[Mapping[str, object]] = {
    "node_timeout_ms": 500,
    "latency_ms": 20,
    "jitter_ms": 60,
    "loss_percent": 5,
    "faults": ("reshard",),
    "fault_interval_ms": 150,
    "safety_ms": 20_000,
    "kill_share": 0.0,
    "stays_calm": False,
}
"""Nothing but slots that move, one after the other, over a slow network."""

CUT_AGAIN: Final[Mapping[str, object]] = {
    "node_timeout_ms": 1_000,
    "faults": ("partition", "isolate", "pair", "oneway", "pause"),
    "fault_interval_ms": 1_000,
    "fault_length_ms": 1_000,
    "safety_ms": 60_000,
    "kill_share": 0.0,
    "stays_calm": False,
}
"""A long time of nothing but nodes that are out of reach for a while."""

HUNTS: Final[Mapping[str, Hunt]] = {
    "raise_epoch_without_slots": Hunt("truth", 60),
    "update_with_unclaimed_slots": Hunt(
        "truth",
        60,
        {"faults": ("isolate", "reshard", "kill"), "fault_interval_ms": 500},
    ),
    "keep_unclaimed_mark": Hunt("slot-owner", 20, RESHARDING),
    "collide_by_id_only": Hunt(
        "collisions", 10, {"faults": ("bump",), "fault_interval_ms": 300, "kill_share": 0.0}
    ),
    "rank_without_id": Hunt("elections", 10),
    "elect_without_data": Hunt(
        "elections",
        120,
        {
            "faults": ("kill", "wipe", "replicate"),
            "primary_count": 3,
            "node_count": 10,
            "full_sync_ms": 3_000,
            "replica_validity_factor": 0,
        },
    ),
    "ignore_rival_win": Hunt("elections", 10),
    "keep_retry_timer": Hunt("elections", 40),
    "no_update_on_refusal": Hunt("refusals", 200),
    "keep_sub_replicas": Hunt("chains", 120),
    "trust_late_packets": Hunt("late", 20),
    "trust_stale_links": Hunt("failure", 700),
    "two_manual_failovers": Hunt("manual", 20),
    "wait_for_gossip_quorum": Hunt("failure", 40),
    "no_backoff": Hunt("reconnects", 20),
    "never_arm_ping": Hunt("failure", 10),
    "trust_wrong_identity": Hunt("identity", 20),
    "vote_before_sync": Hunt("durability", 10),
    "vote_twice": Hunt("votes", 10),
    "vote_after_candidacy": Hunt("votes", 120, MANY_AT_ONCE),
    "count_old_votes": Hunt("votes", 40, MANY_AT_ONCE),
    "count_replica_reports": Hunt("failure", 10),
    "rejoin_at_once": Hunt("minority", 40),
    "trust_old_promises": Hunt("minority", 20, CUT_AGAIN),
    "break_promises": Hunt("minority", 40, CUT_AGAIN),
}
