"""Each checker fails on a history made by hand that breaks its promise, and on no other."""

import pytest
from attrs import evolve

from clustrio.gossip.events import (
    ElectionEnded,
    ElectionScheduled,
    ElectionWon,
    EpochCollision,
    Event,
    FailoverNotStarted,
    HealthChanged,
    ManualFailoverEnded,
    ManualFailoverStarted,
    NodeFailed,
    NodeSuspected,
    VoteGranted,
    VoteReceived,
    VoteRefused,
    VotesAsked,
)
from clustrio.gossip.messages import FailoverAuthAck, Header, Ping, Update
from clustrio.gossip.outputs import Connect, Outputs, Send
from clustrio.gossip.reasons import (
    ElectionEnd,
    ManualEnd,
    NotStarted,
    Via,
    VoteRefusal,
)
from clustrio.gossip.state import Link, bitmap_of
from clustrio.gossip.turn import Turn
from clustrio.gossip.undertakings import Election, ManualFailover
from clustrio.tools.sim.checkers import Checker
from clustrio.tools.sim.process import Process
from clustrio.tools.sim.swarm import draw
from clustrio.tools.sim.verdict import Violation
from clustrio.tools.sim.world import World
from clustrio.tools.sim.writes import Write

CALM = {
    "faults": (),
    "stays_calm": True,
    "primary_count": 3,
    "node_count": 9,
    "node_timeout_ms": 1_000,
    "clock_skew_ppm": 0,
    "latency_ms": 1,
    "jitter_ms": 0,
    "loss_percent": 0,
    "through_wire": False,
    "ping_interval_ms": 500,
}


@pytest.fixture
def world() -> World:
    """Three primaries n0 to n2 with two replicas or so each, at rest."""
    world = World(draw(1, CALM))
    world.run(4_000)
    return world


def checker_of(world: World, name: str) -> Checker:
    return next(checker for checker in world.checkers if checker.name == name)


def tell(world: World, name: str, process: Process, event: Event) -> None:
    """A checker hears of an event."""
    checker_of(world, name).on_event(process, event, Outputs(events=(event,)))


def replica_of(world: World, primary: Process) -> Process:
    return next(p for p in world.processes if p.myself.replica_of == primary.node_id)


def ping_of(process: Process, **changes: object) -> Ping:
    return Ping(evolve(_header(process), **changes))  # type: ignore[arg-type]


def _header(process: Process) -> Header:
    core = process.core
    now = process.clock.monotonic(process.world.queue.now)
    return Turn(core.state, core.config, process.world.rng, process, now).header()


def test_a_world_at_rest_breaks_nothing(world: World) -> None:
    assert [checker.maybe_unsettled() for checker in world.checkers] == [None] * len(world.checkers)
    for checker in world.checkers:
        checker.on_end()


def test_votes_twice_in_an_epoch_even_over_a_restart(world: World) -> None:
    voter, candidate, other = world.processes[:3]
    tell(world, "votes", voter, VoteGranted(candidate.node_id, 9))
    tell(world, "votes", voter, VoteGranted(candidate.node_id, 10))
    world.kill(voter)
    world.revive(voter)
    with pytest.raises(Violation, match="voted twice in epoch 9"):
        tell(world, "votes", voter, VoteGranted(other.node_id, 9))


def test_votes_that_were_not_given(world: World) -> None:
    with pytest.raises(Violation, match="won epoch 9 with 0 of 2 votes"):
        tell(world, "votes", world.processes[3], ElectionWon(9))


def test_votes_in_an_epoch_that_the_voter_won(world: World) -> None:
    winner, first, second = world.processes[0], world.processes[1], world.processes[2]
    tell(world, "votes", first, VoteGranted(winner.node_id, 9))
    tell(world, "votes", second, VoteGranted(winner.node_id, 9))
    tell(world, "votes", winner, ElectionWon(9))
    with pytest.raises(Violation, match="which it had won itself"):
        tell(world, "votes", winner, VoteGranted(first.node_id, 9))


def test_votes_of_nodes_without_slots(world: World) -> None:
    replica = replica_of(world, world.processes[0])
    with pytest.raises(Violation, match="has no slots"):
        tell(world, "votes", replica, VoteGranted(world.processes[1].node_id, 9))


def test_votes_counted_for_another_epoch(world: World) -> None:
    replica, voter = replica_of(world, world.processes[0]), world.processes[1]
    replica.core.state.election = Election(0, 0, 0, is_manual=False, epoch=9)
    tell(world, "votes", voter, VoteGranted(replica.node_id, 8))
    with pytest.raises(Violation, match="not given in epoch 9"):
        tell(world, "votes", replica, VoteReceived(voter.node_id, 1, 2))


def test_winners_of_one_epoch(world: World) -> None:
    tell(world, "winners", world.processes[3], ElectionWon(9))
    with pytest.raises(Violation, match="won epoch 9"):
        tell(world, "winners", world.processes[4], ElectionWon(9))


def test_winners_end_with_epochs_of_their_own(world: World) -> None:
    first, second = world.processes[:2]
    first.myself.config_epoch = second.myself.config_epoch
    assert "share config epoch" in (checker_of(world, "winners").maybe_unsettled() or "")


def test_epochs_that_fall(world: World) -> None:
    process = world.processes[0]
    process.core.state.current_epoch -= 1
    with pytest.raises(Violation, match="back to"):
        checker_of(world, "epochs").on_tick(process)


def test_epochs_that_fall_over_a_restart(world: World) -> None:
    process = world.processes[0]
    process.boot += 1
    process.core.state.current_epoch -= 1
    with pytest.raises(Violation, match="has shown epoch 3, and is at 2"):
        checker_of(world, "epochs").on_outputs(process, Outputs())


@pytest.mark.parametrize("is_vote", [False, True])
def test_durability_of_what_a_packet_shows(world: World, is_vote: bool) -> None:
    process = world.processes[0]
    header = evolve(_header(process), current_epoch=3 if is_vote else 4)
    message = FailoverAuthAck(header) if is_vote else Ping(header)
    with pytest.raises(Violation, match="on disk"):
        checker_of(world, "durability").on_outputs(process, Outputs(send=(Send(1, message),)))


def test_truth_of_updates(world: World) -> None:
    process, owner = world.processes[:2]
    update = Update(_header(process), 9, owner.node_id, bitmap_of(owner.myself.mask))
    with pytest.raises(Violation, match="which it never did"):
        checker_of(world, "truth").on_outputs(process, Outputs(send=(Send(1, update),)))


def test_truth_of_views(world: World) -> None:
    process, owner = world.processes[:2]
    process.core.state.owners[owner.node_id].config_epoch = 9
    with pytest.raises(Violation, match="believes that n1 owns"):
        checker_of(world, "truth").after_message(process, 1, ping_of(owner))


def test_late_packets_that_change_a_role(world: World) -> None:
    checker, process, sender = checker_of(world, "late"), *world.processes[:2]
    link_id = next(iter(process.core.state.links))
    checker.before_message(process, link_id, ping_of(sender, current_epoch=9))
    checker.after_message(process, link_id, ping_of(sender, current_epoch=9))
    checker.before_message(process, link_id, ping_of(sender, current_epoch=8))
    process.core.state.nodes[sender.node_id].replica_of = process.node_id
    with pytest.raises(Violation, match="after one of"):
        checker.after_message(process, link_id, ping_of(sender, current_epoch=8))


def test_elections_with_a_wrong_rank(world: World) -> None:
    replica = replica_of(world, world.processes[0])
    sibling = next(p for p in world.processes if p.myself.is_replica and p is not replica)
    node = replica.core.state.nodes[sibling.node_id]
    node.replica_of, node.offset = replica.myself.replica_of, replica.offset() + 1
    tell(world, "elections", replica, ElectionScheduled(0, 1, 0))
    with pytest.raises(Violation, match="siblings are before it"):
        tell(world, "elections", replica, ElectionScheduled(0, 0, 0))


def test_elections_against_a_primary_that_lives(world: World) -> None:
    with pytest.raises(Violation, match="does not fail or has no slots"):
        tell(world, "elections", replica_of(world, world.processes[0]), VotesAsked(9))


def test_elections_that_wait_without_a_reason(world: World) -> None:
    process = replica_of(world, world.processes[0])
    tell(world, "elections", process, ElectionEnded(ElectionEnd.NO_VOTES))
    tell(world, "elections", process, FailoverNotStarted(NotStarted.RETRY_LATER))
    tell(world, "elections", process, ElectionWon(9))
    with pytest.raises(Violation, match="waits for a retry"):
        tell(world, "elections", process, FailoverNotStarted(NotStarted.RETRY_LATER))


def test_failure_without_a_quorum(world: World) -> None:
    observer, subject = world.processes[:2]
    tell(world, "failure", observer, NodeSuspected(subject.node_id))
    with pytest.raises(Violation, match="1 of 2 voters agree"):
        tell(world, "failure", observer, NodeFailed(subject.node_id, Via.QUORUM))


def test_failure_found_too_late(world: World) -> None:
    first, second, dead = world.processes[:3]
    world.run(5_000)
    world.kill(dead)
    for observer in (first, second):
        tell(world, "failure", observer, NodeSuspected(dead.node_id))
    world.queue.now += 1_000
    with pytest.raises(Violation, match="for 1000 ms before FAIL"):
        tell(world, "failure", first, NodeFailed(dead.node_id, Via.QUORUM))


def test_failure_not_noticed(world: World) -> None:
    observer, dead = world.processes[:2]
    world.kill(dead)
    world.queue.now += 10_000
    observer.core.state.ticks = 0
    with pytest.raises(Violation, match="thinks that n1 lives"):
        checker_of(world, "failure").on_tick(observer)


def test_manual_failovers_of_two_replicas(world: World) -> None:
    primary, first, second = world.processes[0], world.processes[3], world.processes[4]
    tell(world, "manual", primary, ManualFailoverStarted(first.node_id))
    tell(world, "manual", primary, ManualFailoverEnded(ManualEnd.TIMEOUT))
    tell(world, "manual", primary, ManualFailoverStarted(first.node_id))
    with pytest.raises(Violation, match="at once"):
        tell(world, "manual", primary, ManualFailoverStarted(second.node_id))


def test_collisions_won_by_less_data(world: World) -> None:
    poor, rich = world.processes[:2]
    node = poor.core.state.nodes[rich.node_id]
    tell(world, "collisions", poor, EpochCollision(rich.node_id, 9, moves=True))
    node.shard_id, node.offset = poor.myself.shard_id, 1_000_000
    tell(world, "collisions", poor, EpochCollision(rich.node_id, 9, moves=False))
    with pytest.raises(Violation, match="of its shard"):
        tell(world, "collisions", poor, EpochCollision(rich.node_id, 9, moves=True))


def test_refusals_without_a_correction(world: World) -> None:
    voter, candidate = world.processes[0], world.processes[4]
    tell(world, "refusals", voter, VoteRefused(candidate.node_id, VoteRefusal.OLD_EPOCH))
    with pytest.raises(Violation, match="does not correct it"):
        tell(world, "refusals", voter, VoteRefused(candidate.node_id, VoteRefusal.STALE_SLOTS))


def test_reconnects_without_end(world: World) -> None:
    checker, process, other = checker_of(world, "reconnects"), *world.processes[:2]
    order = Outputs(links=(Connect(99, other.node_id, other.ip, 16_379),))
    for _ in range(10):
        checker.on_outputs(process, order)
    checker.after_message(process, 1, ping_of(other))
    for _ in range(16):
        checker.on_outputs(process, order)
    with pytest.raises(Violation, match="17 times"):
        checker.on_outputs(process, order)


def test_identity_of_another(world: World) -> None:
    process, believed, other = world.processes[:3]
    node = process.core.state.nodes[believed.node_id]
    process.core.state.links[77] = Link(77, 0, is_inbound=False, node=node)
    checker_of(world, "identity").after_message(process, 77, ping_of(believed))
    with pytest.raises(Violation, match="takes n2 for n1"):
        checker_of(world, "identity").after_message(process, 77, ping_of(other))


@pytest.mark.parametrize("comes_first", [True, False])
@pytest.mark.parametrize("is_forced", [True, False])
@pytest.mark.parametrize("later_ms", [500, 1_000])
def test_minority_that_rushes_back(
    world: World, comes_first: bool, is_forced: bool, later_ms: int
) -> None:
    process, state = world.processes[0], world.processes[0].core.state
    winner = replica_of(world, process)
    for node in state.owners.values():
        if node is not state.myself:
            node.flags |= 4
    state.is_ok = False
    checker_of(world, "minority").on_tick(process)
    state.is_ok = True
    world.queue.now += later_ms
    winner.myself.mask = process.myself.mask
    winner.core.state.manual = ManualFailover(0) if is_forced else None
    events: list[tuple[Process, Event]] = [
        (process, HealthChanged(is_ok=True)),
        (winner, VotesAsked(99)),
        (winner, ElectionWon(99)),
    ]
    if comes_first:
        events.append(events.pop(0))
    for who, event in events[:-1]:
        tell(world, "minority", who, event)
    if is_forced or later_ms == 1_000:
        tell(world, "minority", *events[-1])
        return
    with pytest.raises(Violation, match="n0 serves 480 ms too early: epoch 99 was won"):
        tell(world, "minority", *events[-1])


def test_minority_that_serves(world: World) -> None:
    process = world.processes[0]
    for other in world.processes[1:]:
        world.network.cut(process.index, other.index)
        world.network.cut(other.index, process.index)
    checker_of(world, "minority").on_tick(process)
    world.queue.now += 1_000
    world.on_write(Write(0, 0, world.queue.now, process.index))
    world.queue.now += 3_000
    with pytest.raises(Violation, match="after it was cut off"):
        world.on_write(Write(1, 0, world.queue.now, process.index))


def test_slot_owner_twice_and_never(world: World) -> None:
    checker, first, second = checker_of(world, "slot-owner"), *world.processes[:2]
    mask = first.myself.mask
    first.myself.mask = 0
    assert "5461 slots have no owner" in (checker.maybe_unsettled() or "")
    first.myself.mask = mask
    second.myself.mask |= 1
    assert "that another node claims" in (checker.maybe_unsettled() or "")


def test_slot_owner_seen_wrongly(world: World) -> None:
    world.processes[5].core.state.owners[world.processes[0].node_id].mask &= ~1
    assert "is wrong about" in (checker_of(world, "slot-owner").maybe_unsettled() or "")


def test_views_that_differ(world: World) -> None:
    checker, process, other = checker_of(world, "views"), *world.processes[:2]
    process.core.state.nodes[other.node_id].config_epoch += 1
    assert "n0 sees n1 with epoch" in (checker.maybe_unsettled() or "")
    process.core.state.current_epoch += 1
    assert "the current epochs are" in (checker.maybe_unsettled() or "")


def test_chains_of_replicas(world: World) -> None:
    checker, replica = checker_of(world, "chains"), replica_of(world, world.processes[0])
    replica.myself.replica_of = replica_of(world, world.processes[1]).node_id
    assert "a replica" in (checker.maybe_unsettled() or "")


def test_service_that_is_down(world: World) -> None:
    world.processes[4].core.state.is_ok = False
    assert "is down" in (checker_of(world, "service").maybe_unsettled() or "")


def test_lost_writes(world: World) -> None:
    world.on_write(Write(0, 5, world.queue.now, 0))
    with pytest.raises(Violation, match="write 0 to slot 5"):
        checker_of(world, "lost-writes").on_end()
    world.writes[0].excuse = "it may"
    checker_of(world, "lost-writes").on_end()
