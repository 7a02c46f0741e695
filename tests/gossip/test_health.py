"""P02-P04, P10: when a node serves queries."""

import pytest

from clustrio.gossip.commands import DelSlots
from clustrio.gossip.events import (
    HealthChanged,
)
from clustrio.gossip.health import WRITABLE_DELAY_MS
from clustrio.gossip.outputs import ClusterStateChanged
from clustrio.gossip.reasons import (
    UnhealthyReason,
)

from .harness import World


@pytest.mark.parametrize("timeout_ms", [500, 1_000, 4_000])
def test_p02_a_minority_stops_writing_in_time(timeout_ms: int) -> None:
    world = World().cluster(3, 1, node_timeout_ms=timeout_ms)
    world.cut("A")
    took = world.run_until(lambda: not world.sims["A"].core.state.is_ok)
    assert took <= timeout_ms + timeout_ms // 2 + 100


@pytest.mark.parametrize(("timeout_ms", "delay_ms"), [(300, 500), (2_000, 2_000), (8_000, 5_000)])
def test_p03_a_primary_stays_closed_for_a_while_after_the_heal(
    timeout_ms: int, delay_ms: int
) -> None:
    world = World().cluster(3, node_timeout_ms=timeout_ms)
    world.cut("A")
    sim = world.sims["A"]
    world.run_until(lambda: not sim.core.state.is_ok)
    world.run(2 * timeout_ms)
    world.heal()
    world.run_until(lambda: sim.core.state.has_majority)
    took = world.run_until(lambda: sim.core.state.is_ok)
    assert delay_ms - 200 <= took <= delay_ms + 2 * timeout_ms + 300


def test_p03_a_replica_need_not_wait() -> None:
    world = World().cluster(3, 1)
    world.cut("D")
    world.run_until(lambda: not world.sims["D"].core.state.is_ok)
    world.run(8_000)
    world.heal()
    world.run_until(lambda: world.sims["D"].core.state.has_majority)
    assert world.run_until(lambda: world.sims["D"].core.state.is_ok) <= 100


def test_p04_a_rebooted_primary_waits_two_seconds() -> None:
    world = World().cluster(3, 1)
    world.kill("A")
    world.start("A")
    assert not world.sims["A"].core.state.is_ok
    took = world.run_until(lambda: world.sims["A"].core.state.is_ok)
    assert WRITABLE_DELAY_MS <= took <= WRITABLE_DELAY_MS + 300


@pytest.mark.parametrize(("full", "is_ok"), [(True, False), (False, True)])
def test_p10_full_coverage(full: bool, is_ok: bool) -> None:
    world = World().cluster(3, 1, require_full_coverage=full)
    world.sims["A"].must(DelSlots((0,)))
    world.run(100)
    assert world.sims["A"].core.state.is_ok == is_ok


def test_the_reason_is_told_and_the_node_hears_of_it() -> None:
    world = World().cluster(3)
    world.sims["A"].must(DelSlots((0,)))
    expected = HealthChanged(is_ok=False, reason=UnhealthyReason.UNASSIGNED_SLOTS)
    assert world.events(HealthChanged, "A") == [expected]
    changes = [c for c in world.sims["A"].changes if isinstance(c, ClusterStateChanged)]
    assert [c.is_ok for c in changes] == [True, False]
