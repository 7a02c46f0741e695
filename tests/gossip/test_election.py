"""P13, P30-P46: epochs, votes and who wins."""

import pytest

from clustrio.gossip.commands import BumpEpoch, Failover, KillLinks, MeetNode, Replicate
from clustrio.gossip.events import (
    BecamePrimary,
    ElectionScheduled,
    ElectionWon,
    FailoverNotStarted,
    VoteGranted,
    VotesAsked,
)
from clustrio.gossip.inputs import MessageReceived
from clustrio.gossip.messages import FailoverAuthAck, FailoverAuthRequest, Message, MessageFlag
from clustrio.gossip.outputs import Outputs, PauseWrites, UnpauseWrites
from clustrio.gossip.reasons import NotStarted

from .harness import Sim, World, id_of


@pytest.mark.parametrize("timeout_ms", [1_000, 2_000, 5_000])
def test_p08_the_majority_serves_again_soon_after_a_crash(timeout_ms: int) -> None:
    world = World().cluster(3, 1, node_timeout_ms=timeout_ms)
    world.kill("A")
    took = world.run_until(lambda: world.owner(0) == {"D"})
    assert took <= timeout_ms + 300


def test_p08_two_replicas_do_not_make_it_slower() -> None:
    world = World().cluster(3, 2, node_timeout_ms=1_000)
    world.kill("A")
    took = world.run_until(lambda: world.owner(0) in ({"D"}, {"G"}))
    assert took <= 1_300


def test_p30_the_current_epoch_survives_a_restart() -> None:
    world = World().cluster(3, 1)
    world.sims["B"].must(BumpEpoch())
    world.run(1_000)
    epoch = world.sims["A"].core.state.current_epoch
    world.kill("A")
    world.start("A")
    assert world.sims["A"].core.state.current_epoch == epoch


def test_p31_a_vote_and_an_epoch_are_on_disk_before_the_packet_leaves() -> None:
    """The order law: whatever a step sends, its `save` holds the epochs that the packets show."""
    world = World().cluster(3, 1)
    seen = {"votes": 0, "requests": 0}
    plain = Sim.carry_out

    def watched(sim: Sim, outputs: Outputs) -> None:
        for send in outputs.send:
            shown = getattr(send.message, "header", None)
            if shown is None:
                continue
            disk = sim.disk if outputs.save is None else outputs.save
            assert shown.current_epoch <= disk.current_epoch
            if isinstance(send.message, FailoverAuthAck | FailoverAuthRequest):
                assert outputs.must_sync
            if isinstance(send.message, FailoverAuthAck):
                seen["votes"] += 1
                assert disk.last_vote_epoch == shown.current_epoch
            seen["requests"] += isinstance(send.message, FailoverAuthRequest)
        plain(sim, outputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sim, "carry_out", watched)
        world.kill("A")
        world.run(4_000)
        world.sims["E"].must(Failover(takeover=True))
        world.sims["F"].must(Failover())
        world.run(2_000)
    assert seen["votes"] >= 4
    assert seen["requests"] >= 5


def test_p32_no_second_vote_in_an_epoch_even_after_a_restart() -> None:
    world = World().cluster(3, 1)
    world.kill("A")
    world.run_until(lambda: bool(world.events(VoteGranted, "B")))
    epoch = world.sims["B"].core.state.last_vote_epoch
    world.kill("B")
    world.start("B")
    assert world.sims["B"].core.state.last_vote_epoch == epoch


@pytest.mark.slow
def test_p32_nobody_wins_an_epoch_that_another_won() -> None:
    world = World(seed=3, latency_ms=40).cluster(5, 2, node_timeout_ms=1_000)
    for name in "AB":
        world.kill(name)
    world.run(20_000)
    won = [event.epoch for event in world.events(ElectionWon) if isinstance(event, ElectionWon)]
    assert len(won) == len(set(won)) == 2


@pytest.mark.slow
def test_p39_equal_replicas_do_not_start_together() -> None:
    world = World().cluster(3, 2, node_timeout_ms=1_000)
    world.kill("A")
    world.run(5_000)
    ranks = {
        name: event.rank
        for _, name, event in world.record_of
        if isinstance(event, ElectionScheduled)
    }
    assert ranks == {"D": 0, "G": 1}
    assert len(world.events(VotesAsked)) == 1


@pytest.mark.slow
def test_14_the_loser_follows_the_winner_and_does_not_win_later() -> None:
    world = World(latency_ms=30).cluster(3, 2, node_timeout_ms=1_000)
    world.kill("A")
    world.run(20_000)
    assert len(world.events(BecamePrimary)) == 1
    winner = world.owner(0)
    loser = ({"D", "G"} - winner).pop()
    assert world.sims[loser].myself.replica_of == id_of(winner.pop())


def test_18_a_winner_that_dies_soon_is_replaced_without_the_retry_time() -> None:
    world = World().cluster(3, 2, node_timeout_ms=1_000)
    world.kill("A")
    world.run_until(lambda: world.owner(0) == {"D"})
    world.run(500)
    world.kill("D")
    assert world.run_until(lambda: world.owner(0) == {"G"}) <= 1_600


def test_13_an_empty_replica_does_not_win_beside_one_with_data() -> None:
    world = World().cluster(3, 2, node_timeout_ms=1_000)
    world.kill("A")
    # The replica with the better rank by id is the empty one.
    world.sims["D"].own_offset = 0
    world.run_until(lambda: world.owner(0) == {"G"})


def test_12_an_offset_of_another_history_is_worth_nothing() -> None:
    world = World().cluster(2, 2, node_timeout_ms=1_000)
    world.sims["B"].own_offset = 1_000
    world.run(500)
    assert world.sims["D"].own_offset == 1_000
    world.cut_pair("A", "D")
    world.sims["D"].must(Replicate(id_of("A")))
    assert world.sims["D"].own_offset == 0
    assert world.sims["C"].sees("D").offset in (0, 1_000)
    world.run(1_500)
    assert world.sims["C"].sees("D").offset == 0


@pytest.mark.slow
def test_15_just_under_half_of_the_primaries_may_die() -> None:
    world = World().cluster(7, 1, node_timeout_ms=1_000)
    for name in "ABC":
        world.kill(name)
    world.run_until(lambda: not any(sim.core.state.is_ok for sim in world.live()))
    took = world.run_until(lambda: all(sim.core.state.is_ok for sim in world.live()))
    assert took <= 4 * 1_000 + 500 * 3


def test_p44_a_manual_failover_waits_for_the_last_write() -> None:
    world = World().cluster(3, 1)
    primary, replica = world.sims["A"], world.sims["D"]
    primary.own_offset = 500
    replica.must(Failover())
    world.run(3)
    assert primary.paused_until is not None
    # The replica has not got everything yet, so it must not stand.
    assert replica.own_offset == 1
    assert not world.events(VotesAsked)
    world.run(300)
    assert world.owner(0) == {"D"}
    assert replica.own_offset == 500
    assert [type(c) for c in primary.changes if isinstance(c, PauseWrites | UnpauseWrites)] == [
        PauseWrites,
        UnpauseWrites,
    ]


def test_p44_it_works_from_offset_zero() -> None:
    world = World().cluster(3, 1)
    world.sims["A"].own_offset = world.sims["D"].own_offset = 0
    world.sims["D"].must(Failover())
    world.run(300)
    assert world.owner(0) == {"D"}


def test_23_only_who_has_shown_that_it_is_the_asker_sees_the_pause() -> None:
    """Another replica may live at its former address, and have a manual failover of its own."""
    world = World().cluster(3, 2)
    primary, asker, other = (world.sims[name] for name in "ADG")
    world.run(1_000)
    asker.must(Failover())
    asker.own_offset = -1_000  # so that it takes a while
    world.run(5)
    assert primary.paused_until is not None
    asker.ip, other.ip = other.ip, asker.ip
    seen: list[str] = []

    def note(sender: str, receiver: str, message: Message) -> bool:
        if message.header is not None and message.header.message_flags & MessageFlag.PAUSED:
            seen.append(receiver)
        return False

    world.drop = note
    for name in "DG":
        primary.must(KillLinks(id_of(name), to_node=True, from_node=True))
    world.run(1_000)
    assert set(seen) <= {"D"}


@pytest.mark.slow
def test_23_of_two_manual_failovers_at_once_one_is_done() -> None:
    world = World().cluster(3, 2)
    world.sims["D"].must(Failover())
    world.sims["G"].must(Failover())
    world.run(10_000)
    assert len(world.events(ElectionWon)) == 1
    assert all(sim.paused_until is None for sim in world.sims.values())


def test_50_manual_failovers_in_a_row_each_succeed() -> None:
    world = World().cluster(3, 1)
    names = ["D", "A"]
    for turn in range(20):
        name = names[turn % 2]
        world.sims["A"].own_offset += 10
        world.sims[name].must(Failover())
        world.run_until(lambda name=name: world.owner(0) == {name}, 1_000)  # type: ignore[misc]
        world.run(200)


def test_p46_equal_epochs_part() -> None:
    world = World(seed=9)
    world.add("A B C D E F")
    for name in "BCDEF":
        world.sims[name].must(MeetNode("10.0.0.1", 6379, 16_379))
    world.run(10_000)
    epochs = [sim.myself.config_epoch for sim in world.sims.values()]
    assert len(set(epochs)) == len(epochs)


def test_19_a_refused_stale_candidate_is_told_and_wins_next_time() -> None:
    world = World().cluster(3, 1, node_timeout_ms=1_000)
    stale = world.sims["D"]
    # The replica missed that its primary has a new epoch.
    world.drop = lambda sender, receiver, message: sender == "A" and receiver == "D"
    for name in "ABC":
        world.sims[name].must(BumpEpoch())
    world.sims["A"].must(BumpEpoch())
    world.run(900)
    assert stale.sees("A").config_epoch < world.sims["B"].sees("A").config_epoch
    world.kill("A")
    world.run_until(lambda: world.owner(0) == {"D"}, 9_000)


def test_p33_a_vote_for_another_attempt_does_not_count() -> None:
    world = World().cluster(3, 1, node_timeout_ms=1_000)
    late: list[Message] = []

    def keep_votes(sender: str, receiver: str, message: Message) -> bool:
        if isinstance(message, FailoverAuthAck):
            late.append(message)
            return True
        return False

    world.drop = keep_votes
    world.kill("A")
    # The first attempt fails, as its votes are lost; they arrive in the second.
    world.run_until(lambda: len(world.events(VotesAsked)) == 2, 9_000)
    first = [m for m in late if isinstance(m, FailoverAuthAck)][:2]
    for message in first:
        name = next(n for n in "BC" if id_of(n) == message.header.sender)
        link = world.sims["D"].sees(name).link
        assert link is not None
        world.sims["D"].give(MessageReceived(link.link_id, message))
    assert not world.events(ElectionWon)


@pytest.mark.parametrize(("primary_offset", "delay_ms"), [(0, 0), (1_000, 500)])
def test_an_empty_replica_waits_only_for_data_that_there_may_be(
    primary_offset: int, delay_ms: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing was ever written, nobody has more than it has."""
    world = World().cluster(3, 1)
    monkeypatch.setattr(World, "replicate", lambda world, sim: None)
    world.sims["A"].own_offset, world.sims["D"].own_offset = primary_offset, 0
    world.run(2_000)
    world.kill("A")
    world.run_until(lambda: bool(world.events(ElectionScheduled, "D")))
    assert world.events(ElectionScheduled, "D") == [ElectionScheduled(delay_ms, 0, 0)]


@pytest.mark.parametrize("latency_ms", [1, 40, 90])
def test_two_shards_that_ask_in_the_same_epoch_do_not_wait_for_the_next_attempt(
    latency_ms: int,
) -> None:
    """Each has some of the votes, so neither can win: both ask anew at once, not after 4 T."""
    world = World().cluster(5, 1)
    epoch = max(sim.core.state.current_epoch for sim in world.sims.values()) + 1
    world.latency_ms = latency_ms

    def drop(sender: str, receiver: str, message: Message) -> bool:
        shown = message.header
        if shown is None or shown.current_epoch != epoch:
            return False
        is_early = receiver == "G" and not world.events(VotesAsked, "G")
        is_request = isinstance(message, FailoverAuthRequest)
        return is_early or (is_request and sender == "F" and receiver in "DE")

    world.drop = drop
    for name in "AB":
        world.kill(name)
    took = world.run_until(lambda: (world.owner(0), world.owner(4_000)) == ({"F"}, {"G"}))
    asked = [world.events(VotesAsked, name)[0] for name in "FG"]
    assert asked == [VotesAsked(epoch), VotesAsked(epoch)]
    assert took <= 2_000 + 1_500


def test_nobody_stands_while_his_data_makes_room_for_a_copy() -> None:
    world = World().cluster(3, 1)
    replica = world.sims["D"]
    replica.is_loading = True
    world.kill("A")
    world.run(5_000)
    assert not world.events(VotesAsked, "D")
    assert world.events(FailoverNotStarted, "D") == [FailoverNotStarted(NotStarted.HALF_DATA)]
    replica.is_loading = False
    assert world.run_until(lambda: world.owner(0) == {"D"}) <= 300


@pytest.mark.parametrize("loading_ms", [500, 10_000])
def test_who_has_the_votes_waits_for_his_data(loading_ms: int) -> None:
    """A copy that came late is loaded: a primary in the midst of that would have half of it."""
    world = World().cluster(3, 1)
    replica = world.sims["D"]

    def drop(sender: str, receiver: str, message: Message) -> bool:
        if isinstance(message, FailoverAuthRequest):
            replica.is_loading = True
        return False

    world.drop = drop
    world.kill("A")
    world.run_until(lambda: bool(world.events(VotesAsked, "D")))
    world.run(loading_ms)
    assert replica.myself.is_replica
    assert not world.events(ElectionWon, "D")
    replica.is_loading = False
    assert world.run_until(lambda: world.owner(0) == {"D"}) <= 300
    assert world.events(VotesAsked, "D") == world.events(VotesAsked, "D")[:1]


@pytest.mark.parametrize("best", ["F", "K"])
def test_who_was_overtaken_by_another_shard_asks_anew_though_it_has_a_sibling(best: str) -> None:
    """A vote that comes too late is missing; the sibling's request would split what is left."""
    world = World().cluster(5, 2)
    world.sims[best].own_offset = 1_000

    def drop(sender: str, receiver: str, message: Message) -> bool:
        is_request = isinstance(message, FailoverAuthRequest)
        return (
            is_request and (sender, receiver) == (best, "E") and not world.events(VotesAsked, best)
        )

    world.drop = drop
    for name in "AB":
        world.kill(name)
    took = world.run_until(lambda: world.owner(0) == {best} and world.owner(4_000) != {"B"})
    assert took <= 2_000 + 2_500
