"""What one seed draws: the cluster, its network, its disks and clocks, and what goes wrong.

Owns `Options` and the drawing. Rules: every option comes from the seed alone, so that a seed is a
whole run; whatever the caller fixes is fixed after the drawing, so that it changes nothing else;
each run has some kinds of faults only (a swarm), since faults of all kinds hide one another.
"""

import random
from collections.abc import Mapping
from typing import Any, Final, cast

from attrs import evolve, field, fields, frozen

from ...gossip.config import Bugs

FAULTS: Final[Mapping[str, str]] = {
    "kill": "a process dies and comes back; unsynced writes of its nodes.conf may be lost",
    "power": "a machine is off for a while: packets to it vanish, nobody is told",
    "pause": "a process stands still (SIGSTOP), its connections do not",
    "isolate": "one node is cut off from all others",
    "partition": "the nodes fall into two groups",
    "oneway": "packets from one node, or to it, vanish",
    "pair": "two nodes do not reach each other",
    "slow": "all packets of one node take much longer",
    "reset": "connections break",
    "deaf": "a node accepts connections and resets them at once",
    "wall": "a wall clock jumps by up to an hour, either way",
    "move": "a node comes back under another address, perhaps one that was another node's",
    "wipe": "a replica comes back without its data",
    "failover": "an operator orders a failover: plain, FORCE or TAKEOVER, perhaps at two replicas",
    "bump": "an operator bumps epochs, of two nodes at a time",
    "reshard": "an operator moves a slot, step by step, and may give up on the way",
    "replicate": "an operator has a replica follow another primary",
    "publish": "messages are passed on over the bus",
    "double": "a primary dies soon after it was elected",
}

T_MIN_MS: Final = 1_000
"""Elections count with at least a second, whatever the timeout."""


@frozen
class Options:
    """Everything that a run is made of."""

    seed: int
    node_count: int
    primary_count: int
    node_timeout_ms: int
    ping_interval_ms: int
    replica_validity_factor: int
    migration_barrier: int
    allow_replica_migration: bool
    require_full_coverage: bool
    announces_address: bool
    latency_ms: int
    jitter_ms: int
    loss_percent: int
    """Share of packets that TCP has to send again, which makes them late."""
    refuses_at_once: bool
    """Whether a machine that is off is found missing at once, or only by silence."""
    clock_skew_ppm: int
    flush_ms: int
    """How long a file that was not synced may be lost in a crash."""
    through_wire: bool
    """Whether messages go through the bytes of the bus protocol."""
    write_interval_ms: int
    replication_lag_ms: int
    full_sync_ms: int
    safety_ms: int
    fault_interval_ms: int
    fault_length_ms: int
    faults: tuple[str, ...]
    kill_share: float
    """Share of the primaries that is killed at once at the end; 0 leaves the last phase out."""
    stays_calm: bool = False
    """Whether there is no safety phase: the kill comes to a cluster that was never disturbed."""
    bugs: Bugs = field(factory=Bugs)

    @property
    def patience_ms(self) -> int:
        """The timeout that elections count with."""
        return max(self.node_timeout_ms, T_MIN_MS)

    @property
    def slot_bounds(self) -> tuple[int, ...]:
        """The first slot of each primary, and the end."""
        return tuple(16_384 * i // self.primary_count for i in range(self.primary_count + 1))

    def lines(self) -> list[str]:
        """All options, for people."""
        found = []
        for option in fields(type(self)):
            value = getattr(self, option.name)
            if isinstance(value, Bugs):
                value = ", ".join(bug_names(value)) or "none"
            elif isinstance(value, tuple):
                value = ", ".join(value) or "none"
            found.append(f"{option.name} = {value}")
        return found


def bug_names(bugs: Bugs | None = None) -> list[str]:
    """The bugs that are switched on; of None, all there are."""
    return [f.name for f in fields(Bugs) if bugs is None or getattr(bugs, f.name)]


def with_bug(name: str) -> Bugs:
    """Bugs with one switched on."""
    return evolve(Bugs(), **{name: True})


def draw(seed: int, fixed: Mapping[str, object] | None = None) -> Options:
    """The options of a seed, and on top of them what the caller wants fixed."""
    rng = random.Random(f"swarm {seed}")
    primary_count = rng.choice((3, 3, 3, 3, 4, 5))
    replica_count = rng.randrange(primary_count, primary_count + 3)
    timeout_ms = rng.choice((500, 500, 1_000, 1_000, 2_000))
    kinds = list(FAULTS)
    faults = rng.sample(kinds, rng.randrange(2, 7))
    options = Options(
        seed=seed,
        node_count=primary_count + replica_count,
        primary_count=primary_count,
        node_timeout_ms=timeout_ms,
        ping_interval_ms=rng.choice((0, timeout_ms // 2, timeout_ms // 2, timeout_ms // 2)),
        replica_validity_factor=rng.choice((0, 10, 10)),
        migration_barrier=rng.choice((0, 1, 1)),
        allow_replica_migration=rng.random() < 0.8,
        require_full_coverage=rng.random() < 0.7,
        announces_address=rng.random() < 0.5,
        latency_ms=rng.choice((1, 1, 5, 20)),
        jitter_ms=rng.choice((0, 2, 10, 60)),
        loss_percent=rng.choice((0, 0, 1, 5)),
        refuses_at_once=rng.random() < 0.5,
        clock_skew_ppm=rng.choice((0, 100, 10_000)),
        flush_ms=rng.choice((0, 100, 1_000, 10_000)),
        through_wire=rng.random() < 0.1,
        write_interval_ms=rng.choice((25, 50, 100)),
        replication_lag_ms=rng.choice((0, 10, 200)),
        full_sync_ms=rng.choice((100, 500, 3_000)),
        safety_ms=rng.choice((8, 12, 20)) * timeout_ms,
        fault_interval_ms=rng.choice((1, 2, 4)) * timeout_ms,
        fault_length_ms=rng.choice((1, 2, 3)) * timeout_ms,
        faults=tuple(kind for kind in kinds if kind in faults),
        kill_share=rng.choice((0.0, 0.0, 0.2, 0.4, 0.49)),
        stays_calm=rng.random() < 0.05,
    )
    return with_fixed(options, fixed or {})


def with_fixed(options: Options, fixed: Mapping[str, object]) -> Options:
    """Options with some of them set, by name: a wrong name is a TypeError."""
    # The names come from outside, so the types cannot be checked here.
    return evolve(options, **cast("dict[str, Any]", dict(fixed)))
