"""P02-P04, P10: when a node serves queries."""

import attrs
import pytest

from clustrio.gossip.commands import AddSlots, DelSlots
from clustrio.gossip.events import (
    HealthChanged,
)
from clustrio.gossip.health import WRITABLE_DELAY_MS
from clustrio.gossip.messages import Message
from clustrio.gossip.outputs import ClusterStateChanged
from clustrio.gossip.reasons import (
    UnhealthyReason,
)
from clustrio.slots.hashing import SLOT_COUNT

from .harness import World


@pytest.mark.parametrize("timeout_ms", [500, 1_000, 4_000])
def test_p02_a_minority_stops_writing_in_time(timeout_ms: int) -> None:
    world = World().cluster(3, 1, node_timeout_ms=timeout_ms)
    world.cut("A")
    took = world.run_until(lambda: not world.sims["A"].core.state.is_ok)
    assert took <= timeout_ms + timeout_ms // 2 + 100


def without_promises(message: Message) -> Message:
    """What a node of Redis or Valkey would have sent."""
    if message.header is None:
        return message
    return attrs.evolve(message, header=attrs.evolve(message.header, asks=0, promises=0))


@pytest.mark.parametrize(("timeout_ms", "delay_ms"), [(300, 500), (2_000, 2_000), (8_000, 5_000)])
def test_p03_a_primary_stays_closed_for_a_while_after_the_heal(
    timeout_ms: int, delay_ms: int
) -> None:
    world = World(through=without_promises).cluster(3, node_timeout_ms=timeout_ms)
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


@pytest.mark.parametrize("timeout_ms", [2_000, 5_000, 15_000])
def test_who_starts_cut_off_serves_nobody_before_a_majority_has_answered(timeout_ms: int) -> None:
    """It takes a timeout to suspect the others, but none to see that they have said nothing yet."""
    world = World().cluster(3, 1, node_timeout_ms=timeout_ms)
    world.cut("A")
    world.kill("A")
    world.start("A")
    sim = world.sims["A"]
    world.record_of.clear()
    world.run(2 * timeout_ms)
    assert not world.events(HealthChanged, "A")
    world.heal()
    world.run_until(lambda: sim.core.state.is_ok)
    assert sim.myself.is_replica


def test_who_starts_alone_with_all_slots_serves_in_time() -> None:
    world = World().cluster(1)
    world.kill("A")
    world.start("A")
    assert world.run_until(lambda: world.sims["A"].core.state.is_ok) <= WRITABLE_DELAY_MS + 300


@pytest.mark.parametrize("later_ms", [100, 5_000])
def test_a_new_node_that_is_given_all_slots_serves_in_time(later_ms: int) -> None:
    """Nobody owned a slot before: that was no minority to wait after."""
    world = World()
    (sim,) = world.add("A")
    world.run(later_ms)
    assert not sim.core.state.is_ok
    sim.must(AddSlots(tuple(range(SLOT_COUNT))))
    took = world.run_until(lambda: sim.core.state.is_ok)
    assert took <= max(WRITABLE_DELAY_MS - later_ms, 0) + 300


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


@pytest.mark.parametrize("later_ms", [0, 30, 60, 99])
def test_p03_the_time_in_a_minority_ends_when_the_majority_is_back(later_ms: int) -> None:
    """Not with the last look at it before that, which may be a whole tick older."""
    world = World(through=without_promises).cluster(3)
    world.cut("A")
    sim = world.sims["A"]
    world.run_until(lambda: not sim.core.state.is_ok)
    world.run(4_000 + later_ms)
    world.heal()
    world.run_until(lambda: sim.core.state.has_majority)
    assert world.run_until(lambda: sim.core.state.is_ok) >= 2_000
