"""What a node does after it was stopped for a while, and how it shows in between that it lives."""

import pytest

from clustrio.gossip.events import HealthChanged, LinkDropped, NodeFailed, NodeSuspected
from clustrio.gossip.outputs import ClusterStateChanged
from clustrio.gossip.reasons import LinkLoss, UnhealthyReason

from .harness import World, id_of

T = 2_000


def test_a_primary_that_was_stopped_serves_nobody_before_a_majority_has_answered() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    world.freeze("A")
    world.run(3 * T)
    assert world.owner(0) == {"D"}
    # Before anything else is known: a client may ask at once.
    sim.changes.clear()
    sim.carry_out(sim.core.tick(world.now))
    assert not sim.core.state.is_ok
    assert sim.changes == [ClusterStateChanged(False)]
    told = [event for event in world.events(HealthChanged, "A") if isinstance(event, HealthChanged)]
    assert told[-1].reason is UnhealthyReason.MINORITY
    world.thaw("A")
    world.run(T)
    assert sim.myself.replica_of == world.sims["D"].core.node_id


def test_a_primary_that_nobody_replaced_opens_again() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    world.freeze("A")
    world.run(T + 300)
    world.thaw("A")
    sim.carry_out(sim.core.tick(world.now))
    assert not sim.core.state.is_ok
    took = world.run_until(lambda: sim.core.state.is_ok)
    assert took <= 3 * T


def test_as_long_as_no_majority_answers_it_stays_closed() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    world.freeze("A")
    world.run(T + 300)
    world.cut("A")
    world.thaw("A")
    world.run(10 * T)
    assert not sim.core.state.is_ok
    world.heal()
    world.run_until(lambda: sim.core.state.is_ok)


@pytest.mark.parametrize("stopped_ms", [300, 1_000, 1_900])
def test_a_short_stop_closes_nothing_and_makes_nobody_a_suspect(stopped_ms: int) -> None:
    world = World().cluster(3, 1)
    world.freeze("A")
    world.run(stopped_ms)
    world.thaw("A")
    world.run(2 * T)
    assert not world.events(HealthChanged, "A")
    assert not world.events(NodeSuspected, "A")


def test_after_a_stop_the_others_get_as_much_more_time_to_answer() -> None:
    world = World().cluster(3)
    world.cut_pair("A", "B")
    world.run(T // 2)
    world.freeze("A")
    world.run(T - 200)
    world.thaw("A")
    world.heal()
    world.run(2 * T)
    assert not world.events(NodeSuspected, "A")


def test_signs_of_life_during_something_long_keep_suspicions_away() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    world.freeze("A")
    for _ in range(12):
        world.run(T // 4)
        sim.carry_out(sim.core.keep_alive(world.now))
    world.thaw("A")
    world.run(2 * T)
    assert not world.events(NodeSuspected)
    assert not world.events(HealthChanged)


def test_without_signs_of_life_it_is_found_failing() -> None:
    world = World().cluster(3, 1)
    world.freeze("A")
    world.run(3 * T)
    assert world.events(NodeFailed)


def test_a_stop_hides_a_dead_node_for_a_moment_only() -> None:
    world = World().cluster(3)
    began = world.now
    world.kill("B")
    world.run(T // 4)
    # Half a second before it would find out; it has to, as the third vote of three is dead.
    world.freeze("A")
    world.run(T)
    world.thaw("A")
    world.run_until(lambda: world.sims["A"].sees("B").is_failed)
    assert world.now - began <= T // 4 + T + 500 + 200


def test_what_waited_in_a_link_is_read_before_the_link_is_given_up() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    world.latency_ms = 50
    world.run_until(lambda: sim.sees("B").ping_sent_at is not None)
    world.freeze("A")
    world.run(T - 100)
    stalled, sim.stalled = sim.stalled, []
    sim.is_frozen = False
    # The timer comes first.
    sim.carry_out(sim.core.tick(world.now))
    for action in stalled:
        action()
    world.run(T)
    dropped = world.events(LinkDropped, "A")
    assert LinkDropped(id_of("B"), LinkLoss.SILENT) not in dropped


def test_what_waited_while_we_were_stopped_is_no_answer() -> None:
    """It was said before, perhaps, by somebody who has elected another one since."""
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    world.latency_ms = 20
    world.run_until(lambda: all(sim.sees(name).ping_sent_at is not None for name in "BC"))
    world.freeze("A")
    world.run(100)
    world.cut("A")
    world.run(3 * T)
    assert world.owner(0) == {"D"}
    sim.changes.clear()
    # The timer comes first, and what waited a little later.
    stalled, sim.stalled = sim.stalled, []
    sim.is_frozen = False
    sim.carry_out(sim.core.tick(world.now))
    world.run(1)
    for action in stalled:
        action()
    world.run(10 * T)
    assert sim.changes == [ClusterStateChanged(False)]
