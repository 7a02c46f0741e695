"""Promises of the voters spare a primary the wait after a minority, and are kept."""

from collections.abc import Callable

import attrs
import pytest

from clustrio.gossip import promises
from clustrio.gossip.commands import Failover
from clustrio.gossip.events import (
    BecamePrimary,
    Event,
    PromiseGiven,
    VoteGranted,
    VoteRefused,
    VotesAsked,
)
from clustrio.gossip.inputs import MessageReceived
from clustrio.gossip.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    Message,
    NodeFlag,
    Ping,
    Pong,
)
from clustrio.gossip.promises import rejoin_delay_ms
from clustrio.gossip.reasons import VoteRefusal

from .harness import Sim, World, id_of

T = 2_000


def own_header(sim: Sim, **fields: object) -> Ping:
    header = sim.core._turn(sim.world.now).header()
    return Ping(attrs.evolve(header, **fields))  # type: ignore[arg-type]


def give(sim: Sim, sender: str, message: Message) -> None:
    link = sim.sees(sender).link
    assert link is not None
    sim.give(MessageReceived(link.link_id, message))


def in_minority(primaries: int = 3, *, stands: bool = False) -> tuple[World, Sim]:
    """A is cut off for longer than a FAIL lasts; its replica D takes over if it `stands`."""
    world = World().cluster(primaries, 1)
    replica = world.sims[chr(ord("A") + primaries)]
    replica.configure(replica_no_failover=not stands)
    world.cut("A")
    world.run(4 * T)
    assert not world.sims["A"].core.state.is_ok
    return world, world.sims["A"]


def opened_after(world: World, sim: Sim) -> int:
    """How long after it reached a majority again it serves."""
    world.run_until(lambda: sim.core.state.has_majority)
    return world.run_until(lambda: sim.core.state.is_ok)


def old_fail(world: World, at: str) -> None:
    """A node hears only now that A had failed."""
    give(world.sims[at], "B", Fail(own_header(world.sims["B"]).header, id_of("A")))


@pytest.mark.parametrize("primaries", [3, 4, 5])
def test_a_majority_of_promises_spares_the_wait(primaries: int) -> None:
    world, sim = in_minority(primaries)
    world.heal()
    assert opened_after(world, sim) <= 400
    quorum = primaries // 2 + 1
    assert len(world.events(PromiseGiven)) >= quorum - 1


def test_fewer_do_not() -> None:
    world, sim = in_minority(5)
    world.drop = lambda sender, receiver, message: (
        isinstance(message, Pong) and message.header.promises != 0 and sender in "CDE"
    )
    world.heal()
    assert opened_after(world, sim) >= T - 200
    assert sim.sees("B").has_promised


def test_also_for_who_was_stopped() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    world.freeze("A")
    world.run(T + 100)
    world.thaw("A")
    assert not sim.core.state.is_ok
    assert world.run_until(lambda: sim.core.state.is_ok) <= 500


def late_answer(number: int) -> Callable[[Message], Message]:
    """All promises come as answers to another question."""

    def through(message: Message) -> Message:
        if isinstance(message, Pong) and message.header.promises:
            return attrs.evolve(message, header=attrs.evolve(message.header, promises=number))
        return message

    return through


def test_an_answer_to_another_question_counts_nothing() -> None:
    world, sim = in_minority()
    world.through = late_answer(200)
    world.heal()
    assert opened_after(world, sim) >= T - 200


def test_each_minority_has_a_question_of_its_own() -> None:
    world, sim = in_minority()
    asked = []
    for _ in range(3):
        world.heal()
        world.run_until(lambda: sim.core.state.question != 0)
        asked.append(sim.core.state.question)
        # Whoever has promised before has to do so again.
        assert all(sim.sees(name).has_promised != asked[-1] for name in "BC")
        world.run_until(lambda: sim.core.state.is_ok)
        assert sim.core.state.question == 0
        world.cut("A")
        world.run(4 * T)
    assert asked == [1, 2, 3]


def test_the_numbers_of_the_questions_fit_into_a_byte() -> None:
    world, sim = in_minority()
    sim.core.state.question_count = 255
    # Given more than 200 minorities ago.
    sim.sees("B").has_promised = 1
    world.heal()
    world.run_until(lambda: sim.core.state.question != 0)
    assert sim.core.state.question == 1
    assert not sim.sees("B").has_promised


def test_who_was_replaced_is_not_promised_anything() -> None:
    world, sim = in_minority(stands=True)
    world.heal()
    world.run_until(lambda: sim.myself.is_replica)
    assert not world.events(PromiseGiven)
    assert not world.events(BecamePrimary, "A")


def test_who_has_voted_does_not_promise() -> None:
    """The candidate may stand still with the votes in its socket, and win whenever it goes on."""
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    world.drop = lambda sender, receiver, message: isinstance(message, FailoverAuthAck)
    world.cut("A")
    world.run_until(lambda: len(world.events(VoteGranted)) == 2)
    world.freeze("D")
    world.run(4 * T)
    world.heal()
    assert opened_after(world, sim) >= T - 200
    assert not world.events(PromiseGiven)


def test_who_may_have_voted_before_a_restart_does_not_promise() -> None:
    world, sim = in_minority()
    for name in "BC":
        stored = world.sims[name].disk
        world.kill(name)
        world.sims[name].disk = attrs.evolve(stored, current_epoch=60, last_vote_epoch=60)
        world.start(name)
    # What is newer than the minority would be a reason of its own.
    sim.core.state.current_epoch = 60
    sim.core.state.epoch_before = 60
    world.run(2 * T)
    world.heal()
    assert opened_after(world, sim) >= T - 200
    assert not world.events(PromiseGiven)


def test_with_an_epoch_that_is_newer_than_the_minority_it_waits() -> None:
    world, sim = in_minority()
    world.sims["B"].core.state.current_epoch += 1
    world.heal()
    assert opened_after(world, sim) >= T - 200


def test_a_voter_that_finds_it_failing_does_not_promise() -> None:
    world, sim = in_minority()
    for name in "BC":
        world.sims[name].sees("A").failed_at = world.now
    world.heal()
    assert opened_after(world, sim) >= T - 400


def votes(world: World, voter: str) -> list[Event]:
    return [e for e in world.events(None, voter) if isinstance(e, VoteGranted | VoteRefused)]


def test_a_promise_is_kept_as_long_as_the_primary_lives() -> None:
    """Its replica believes an old FAIL, and goes on to, as it does not reach the primary."""
    world, sim = in_minority()
    world.heal()
    opened_after(world, sim)
    world.cut_pair("A", "D")
    world.sims["D"].configure(replica_no_failover=False)
    old_fail(world, "D")
    world.run(11 * T)
    refused = VoteRefused(id_of("D"), VoteRefusal.PROMISED)
    assert refused in votes(world, "B") + votes(world, "C")
    assert len(world.events(VotesAsked, "D")) > 1
    assert not any(world.sims[name].core.state.deferred for name in "BC")
    assert sim.core.state.is_ok
    assert world.owner(0) == {"A"}


def test_a_promise_hinders_no_failover_for_a_silence_that_is_new() -> None:
    world, sim = in_minority()
    world.heal()
    opened_after(world, sim)
    world.sims["D"].configure(replica_no_failover=False)
    world.kill("A")
    took = world.run_until(lambda: world.sims["D"].myself.is_primary)
    assert took <= T + T // 2


def test_a_candidate_that_meets_a_promise_is_not_forgotten() -> None:
    world, sim = in_minority()
    world.heal()
    opened_after(world, sim)
    world.sims["D"].configure(replica_no_failover=False)
    world.cut("A")
    world.run(500)
    # Somebody has found out sooner than those who have promised.
    old_fail(world, "D")
    world.run(T - 700)
    assert not world.sims["D"].myself.is_primary
    world.run_until(lambda: world.sims["D"].myself.is_primary, T)
    assert len(world.events(VotesAsked, "D")) == 1


def test_what_an_operator_forces_is_not_held_up() -> None:
    world, sim = in_minority()
    world.heal()
    opened_after(world, sim)
    world.sims["D"].must(Failover(force=True))
    world.run(200)
    assert world.sims["D"].myself.is_primary
    assert sim.myself.is_replica


@pytest.mark.parametrize("is_new", [False, True])
def test_a_new_voter_is_bound_to_all(is_new: bool) -> None:
    """It, or whoever had its slots before, may have promised."""
    world = World().cluster(3, 1)
    sim = world.sims["B"]
    if is_new:
        world.kill("B")
        world.run(10)
        world.start("B")
    world.run(300)
    world.cut("A")
    sim.sees("A").flags |= NodeFlag.FAIL
    sim.sees("A").failed_at = world.now
    give(sim, "D", FailoverAuthRequest(own_header(world.sims["D"], current_epoch=60).header))
    granted = any(isinstance(event, VoteGranted) for event in votes(world, "B"))
    assert granted != is_new
    world.run(rejoin_delay_ms(sim.config))
    assert any(isinstance(event, VoteGranted) for event in votes(world, "B"))


def test_in_a_big_cluster_the_routine_pings_carry_the_question(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(promises, "MAX_ASKED", 2)
    world, sim = in_minority()
    world.heal()
    assert opened_after(world, sim) <= T // 4 + 200
