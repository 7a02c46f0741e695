"""P20-P27: who is down, and for how long. The P numbers are the promises of a Redis Cluster."""

import attrs
import pytest

from clustrio.gossip import failure
from clustrio.gossip.events import (
    LinkDropped,
    NodeFailed,
    NodeRecovered,
    NodeSuspected,
    VotesAsked,
)
from clustrio.gossip.inputs import DataSeen, MessageReceived, WallClockChanged
from clustrio.gossip.messages import Fail, Message, MessageFlag, NodeFlag, Ping, Pong
from clustrio.gossip.packets import send_ping
from clustrio.gossip.reasons import (
    LinkLoss,
)

from .harness import Sim, World, header, id_of

T = 2_000


def report(world: World, reporter: str, at: str, about: str) -> None:
    """`reporter` calls `about` failing, as a gossip entry."""
    sim = world.sims[at]
    node, by = sim.sees(about), sim.sees(reporter)
    turn = sim.core._turn(world.now)
    failure.on_report(turn, node, by, is_failing=True)
    sim.carry_out(sim.core._finish(turn))


def suspect(sim: Sim, name: str) -> None:
    sim.core.state.await_answer(sim.sees(name), sim.world.now)
    sim.sees(name).flags |= NodeFlag.PFAIL


@pytest.mark.parametrize(
    ("reporters", "later_ms", "fails"),
    [
        ("B", 0, False),
        # A itself is the third of three that are needed of five.
        ("BC", 0, True),
        ("BC", 2 * T, True),
        ("BC", 2 * T + 1, False),
    ],
)
def test_p23_fail_needs_a_majority_of_recent_reports(
    reporters: str, later_ms: int, fails: bool
) -> None:
    world = World().cluster(5)
    sim = world.sims["A"]
    for name in reporters:
        sim.sees("E").reports[id_of(name)] = world.now - later_ms
    suspect(sim, "E")
    turn = sim.core._turn(world.now)
    failure.fail_if_quorum(turn, sim.sees("E"))
    assert sim.sees("E").is_failed == fails


def test_p23_fail_needs_our_own_suspicion() -> None:
    world = World().cluster(5)
    for name in "BCD":
        report(world, name, "A", "E")
    assert not world.sims["A"].sees("E").is_failed


def test_p24_reports_of_replicas_and_slotless_primaries_do_not_count() -> None:
    world = World().cluster(3, 1)
    suspect(world.sims["A"], "C")
    for name in "DEF":
        report(world, name, "A", "C")
    assert not world.sims["A"].sees("C").is_failed
    report(world, "B", "A", "C")
    assert world.sims["A"].sees("C").is_failed


def test_p25_a_fail_message_forces_fail_on_those_who_suspected_nothing() -> None:
    world = World().cluster(3, 1)
    world.kill("C")
    world.run_until(lambda: all(sim.sees("C").is_failed for sim in world.live()))
    failed = world.events(NodeFailed)
    assert {event.via.name for event in failed if isinstance(event, NodeFailed)} == {
        "QUORUM",
        "MESSAGE",
    }


@pytest.mark.parametrize(("fault", "latest"), [("kill", T + 300), ("freeze", T * 5 // 4 + 300)])
def test_p20_suspicion_comes_in_time(fault: str, latest: int) -> None:
    world = World().cluster(3, 1)
    getattr(world, fault)("B")
    took = world.run_until(lambda: world.sims["A"].sees("B").is_failing)
    assert T <= took <= latest


def test_p21_a_dead_link_is_remade_before_anybody_is_suspected() -> None:
    world = World().cluster(3)
    first = world.sims["A"].sees("B").link
    assert first is not None
    lost = world.sims["A"].wires[first.link_id]
    # Only this connection swallows everything.
    lost.is_open = False
    world.run(3 * T)
    assert not world.events(NodeSuspected)
    assert LinkDropped(id_of("B"), LinkLoss.SILENT) in world.events(LinkDropped, "A")
    assert world.sims["A"].sees("B").is_linked


def test_p22_any_data_counts_as_life() -> None:
    world = World().cluster(3)

    def without_pongs(sender: str, receiver: str, message: Message) -> bool:
        return sender == "B" and receiver == "A" and isinstance(message, Ping | Pong)

    world.drop = without_pongs
    sim = world.sims["A"]
    for _ in range(3 * T // 100):
        world.run(100)
        link = sim.sees("B").link
        if link is not None:
            sim.give(DataSeen(link.link_id))
    assert not world.events(NodeSuspected, "A")
    world.run(T + 200)
    assert world.events(NodeSuspected, "A")


@pytest.mark.parametrize("finds_the_cluster_ok", [True, False])
def test_who_speaks_but_hears_nobody_is_suspected(finds_the_cluster_ok: bool) -> None:
    """Its own pings are life, until they say that it is cut off."""
    world = World().cluster(3, node_timeout_ms=T)
    sim, deaf = world.sims["C"], world.sims["A"]
    head = attrs.evolve(
        deaf.core._turn(world.now).header(MessageFlag.EXT_DATA), cluster_ok=finds_the_cluster_ok
    )
    world.freeze("A")
    for _ in range(30):
        link = sim.sees("A").inbound
        assert link is not None
        sim.give(MessageReceived(link.link_id, Ping(head)))
        world.run(T // 10)
    assert sim.sees("A").is_failing is not finds_the_cluster_ok


def test_p26_fail_of_a_voter_lasts_twice_the_timeout() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    suspect(sim, "C")
    report(world, "B", "A", "C")
    assert sim.sees("C").is_failed
    took = world.run_until(lambda: not sim.sees("C").is_failed)
    assert 2 * T < took <= 2 * T + 700


def test_p26_fail_of_a_replica_ends_with_its_first_answer() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    suspect(sim, "E")
    report(world, "B", "A", "E")
    assert sim.sees("E").is_failed
    turn = sim.core._turn(world.now)
    send_ping(turn, sim.sees("E"))
    sim.carry_out(turn.outputs())
    assert world.run_until(lambda: not sim.sees("E").is_failed) <= 20
    assert NodeRecovered(id_of("E")) in world.events(NodeRecovered, "A")


def test_p27_all_views_agree_after_the_faults() -> None:
    world = World().cluster(3, 1)
    world.cut("A", "E")
    world.run(3 * T)
    world.heal()
    world.run(4 * T)
    views = {
        tuple(
            (node_id, node.flags & ~NodeFlag.MYSELF & 0x20F, node.replica_of)
            for node_id, node in sorted(sim.core.state.nodes.items())
        )
        for sim in world.sims.values()
    }
    assert len(views) == 1


def test_26_a_peer_that_accepts_and_resets_is_suspected_and_not_hammered() -> None:
    world = World().cluster(3)
    world.cut("C")
    world.kill("C")
    sim = world.sims["A"]
    world.run(T + 500)
    assert sim.sees("C").is_failing
    # Refused at once: about two attempts a timeout, after the first quick ones.
    before = sim.core.state.next_link_id
    world.heal()
    world.run(10 * T)
    assert sim.core.state.next_link_id - before <= 30


def test_25_a_jump_of_the_wall_clock_changes_nothing() -> None:
    world = World().cluster(3, 1)
    for hours in (-1, 1, 0):
        for sim in world.sims.values():
            sim.give(WallClockChanged(1_700_000_000_000 + hours * 3_600_000))
        world.run(3 * T)
    assert not world.events(NodeSuspected)


def test_what_was_found_of_a_replica_elects_nobody_when_it_is_primary() -> None:
    """A busy machine: the others thought it gone, yet it won. It is there, and nobody's loss."""
    world = World().cluster(3, 2)
    winner = world.sims["D"]
    winner.own_offset += 100
    world.latency_ms = 20
    world.kill("A")
    world.run_until(lambda: bool(world.events(VotesAsked, "D")))
    for name in "BEG":
        sim = world.sims[name]
        link = sim.sees("C").link
        assert link is not None
        sim.give(MessageReceived(link.link_id, Fail(header("C"), id_of("D"))))
        assert sim.sees("D").is_failed
    world.run_until(lambda: world.owner(0) == {"D"})
    assert world.run_until(lambda: all(not s.sees("D").is_failing for s in world.live())) <= 60
    world.record_of.clear()
    world.run(4 * T)
    assert not world.events(VotesAsked)
    assert winner.myself.is_primary


def test_a_new_primary_that_is_gone_is_found_out_anew() -> None:
    world = World().cluster(3, 2)
    world.kill("A")
    world.run_until(lambda: world.owner(0) in ({"D"}, {"G"}))
    [winner] = world.owner(0)
    world.kill(winner)
    world.run_until(lambda: world.owner(0) == ({"D", "G"} - {winner}))
