"""Each known bug can be put back, does harm then, and is off otherwise."""

from collections.abc import Callable

import attrs
import pytest

from clustrio.gossip import claims, failure
from clustrio.gossip.commands import Failover, Replicate, SetSlotImporting, SetSlotNode
from clustrio.gossip.config import Bugs, Config
from clustrio.gossip.events import (
    ElectionScheduled,
    ManualFailoverRefused,
    VoteGranted,
    VoteNotCounted,
    VotesAsked,
)
from clustrio.gossip.inputs import MessageReceived
from clustrio.gossip.messages import (
    Fail,
    FailoverAuthAck,
    FailoverAuthRequest,
    GossipEntry,
    Message,
    MessageFlag,
    NodeFlag,
    Ping,
    Pong,
    Publish,
    Update,
)
from clustrio.gossip.state import bitmap_of, mask_of

from .harness import Sim, World, header, id_of

T = 1_000


def formed(bug: str | None, primaries: int = 3, replicas: int = 1) -> World:
    bugs = Bugs(**({} if bug is None else {bug: True}))
    return World().cluster(primaries, replicas, node_timeout_ms=T, bugs=bugs)


def give(sim: Sim, sender: str, message: Message) -> None:
    link = sim.sees(sender).link
    assert link is not None
    sim.give(MessageReceived(link.link_id, message))


def own_header(sim: Sim, **fields: object) -> Ping:
    header = sim.core._turn(sim.world.now).header()
    return Ping(attrs.evolve(header, **fields))  # type: ignore[arg-type]


# Each function says whether the harm was done, with the bug or (None) without it.


def raise_epoch_without_slots(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["C"]
    head = header("B", config_epoch=60, current_epoch=60)
    give(sim, "B", Publish(head, b"c", b"m"))
    return sim.sees("B").config_epoch == 60


def update_with_unclaimed_slots(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["C"]
    sim.core.state.not_claimed |= 1
    turn = sim.core._turn(world.now)
    claims.send_update(turn, sim.sees("B"), sim.sees("A"), None)
    (send,) = turn.sends
    assert isinstance(send.message, Update)
    return bool(mask_of(send.message.slots) & 1)


def keep_unclaimed_mark(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["C"]
    # A stopped to claim a slot for a moment; then it is moved from A to us.
    sim.core.state.not_claimed |= 1
    sim.must(SetSlotImporting(0, id_of("A")))
    sim.must(SetSlotNode(0, id_of("C")))
    fields = {"config_epoch": 1, "current_epoch": sim.core.state.current_epoch}
    # What A said before it heard of that.
    give(sim, "A", Ping(header("A", **fields, slots=bitmap_of(sim.sees("A").mask | 1))))
    return not sim.myself.mask & 1


def collide_by_id_only(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["A"]
    peer = sim.sees("B")
    peer.shard_id, peer.config_epoch = sim.myself.shard_id, sim.myself.config_epoch
    epoch = sim.core.state.current_epoch
    fields = {"config_epoch": peer.config_epoch, "current_epoch": epoch, "slots": peer.slots}
    give(sim, "B", Ping(header("B", **fields, offset=10_000)))
    # The emptier one takes the newer epoch, and with it whatever both claim.
    return sim.core.state.current_epoch > epoch


def rank_without_id(bug: str | None) -> bool:
    world = formed(bug, 3, 2)
    world.kill("A")
    world.run(T + 200)
    ranks = [e.rank for e in world.events(ElectionScheduled) if isinstance(e, ElectionScheduled)]
    return ranks == [0, 0]


def elect_without_data(bug: str | None) -> bool:
    world = formed(bug, 3, 2)
    world.kill("A")
    world.sims["D"].own_offset = 0
    # G has data, but its requests are lost for now.
    world.drop = lambda sender, receiver, message: (
        sender == "G" and isinstance(message, FailoverAuthRequest)
    )
    world.run(T + 1_000)
    return world.sims["D"].myself.is_primary


def ignore_rival_win(bug: str | None) -> bool:
    world = formed(bug, 3, 2)

    def hold_votes(sender: str, receiver: str, message: Message) -> bool:
        return receiver == "D" and isinstance(message, FailoverAuthAck)

    world.drop = hold_votes
    world.kill("A")
    world.run_until(lambda: bool(world.events(VotesAsked, "D")))
    epoch = world.sims["D"].core.state.current_epoch
    world.sims["G"].must(Failover(force=True, takeover=True))
    world.run(10)
    for name in "BC":
        give(world.sims["D"], name, FailoverAuthAck(header(name, current_epoch=epoch)))
    return world.sims["D"].myself.is_primary


def keep_retry_timer(bug: str | None) -> bool:
    world = formed(bug, 3, 2)
    world.kill("A")
    world.run_until(lambda: world.owner(0) == {"D"})
    world.run(500)
    world.kill("D")
    return world.run_until(lambda: world.owner(0) == {"G"}, 20_000) > 2 * T


def no_update_on_refusal(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["B"]
    fields = {"current_epoch": 90, "config_epoch": 0, "replica_of": id_of("A")}
    flags = {"message_flags": MessageFlag.FORCEACK, "slots": sim.sees("A").slots}
    sim.sent.clear()
    give(sim, "D", FailoverAuthRequest(header("D", **fields, **flags)))
    return not [m for _, _, m in sim.sent if isinstance(m, Update)]


def keep_sub_replicas(bug: str | None) -> bool:
    world = formed(bug, 2, 2)
    world.sims["A"].core.state.assign(world.sims["A"].myself.mask, None)
    give(world.sims["C"], "A", Ping(header("A", replica_of=id_of("B"), current_epoch=99)))
    return world.sims["C"].myself.replica_of == id_of("A")


def trust_late_packets(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["C"]
    state = sim.core.state
    fields = {"current_epoch": state.current_epoch, "config_epoch": sim.sees("A").config_epoch}
    late = Ping(header("A", **fields, slots=sim.sees("A").slots))
    world.sims["D"].must(Failover())
    world.run(T)
    give(sim, "A", late)
    return sim.sees("A").is_primary


def trust_stale_links(bug: str | None) -> bool:
    """B called A failing long ago; C hears it only now, when A lives."""
    world = formed(bug)
    sim = world.sims["C"]
    link = sim.sees("B").inbound
    assert link is not None
    old_view = GossipEntry(id_of("A"), 0, 0, "10.0.0.1", 6379, 16_379, NodeFlag.PFAIL)
    world.cut_pair("B", "C")
    world.run(2 * T)
    sim.give(MessageReceived(link.link_id, Ping(own_header(world.sims["B"]).header, (old_view,))))
    return id_of("B") in sim.sees("A").reports


def two_manual_failovers(bug: str | None) -> bool:
    world = formed(bug, 3, 2)
    world.sims["D"].must(Failover())
    world.sims["G"].must(Failover())
    world.run(2)
    return not world.events(ManualFailoverRefused)


def wait_for_gossip_quorum(bug: str | None) -> bool:
    """Counts the pings at the very moment of a suspicion."""
    world = formed(bug)
    sim = world.sims["A"]
    sim.core.state.note_answer(sim.sees("E"), world.now)
    sim.core.state.await_answer(sim.sees("E"), world.now - 2 * T)
    sim.sees("E").data_received_at = None
    turn = sim.core._turn(world.now)
    failure.on_tick(turn)
    return not turn.sends


def no_backoff(bug: str | None) -> bool:
    world = formed(bug)
    world.kill("B")
    before = world.sims["A"].core.state.next_link_id
    world.run(10 * T)
    return world.sims["A"].core.state.next_link_id - before > 60


def never_arm_ping(bug: str | None) -> bool:
    world = formed(bug)
    world.run_until(lambda: world.sims["A"].sees("F").ping_sent_at is None)
    world.kill("F")
    world.run(3 * T)
    return not world.sims["A"].sees("F").is_failing


def trust_wrong_identity(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["A"]
    give(sim, "B", Pong(header("Z", current_epoch=77)))
    return sim.core.state.current_epoch == 77


def vote_before_sync(bug: str | None) -> bool:
    world = formed(bug)
    world.kill("A")
    while not world.events(VoteGranted, "B"):
        world.run(1)
    voter = world.sims["B"]
    return voter.disk.last_vote_epoch < voter.core.state.last_vote_epoch


def vote_twice(bug: str | None) -> bool:
    world = formed(bug, 3, 2)
    sim = world.sims["B"]
    for name in "DG":
        fields = {"current_epoch": 90, "replica_of": id_of("A"), "slots": bitmap_of(0)}
        flags = {"message_flags": MessageFlag.FORCEACK, "config_epoch": 80}
        give(sim, name, FailoverAuthRequest(header(name, **fields, **flags)))
    return len(world.events(VoteGranted, "B")) == 2


def vote_after_candidacy(bug: str | None) -> bool:
    world = formed(bug)
    winner = world.sims["D"]
    winner.must(Failover(force=True))
    world.run_until(lambda: winner.myself.is_primary)
    world.record_of.clear()
    fields = {"current_epoch": winner.myself.config_epoch, "replica_of": id_of("B")}
    flags = {"message_flags": MessageFlag.FORCEACK, "config_epoch": 80}
    give(winner, "E", FailoverAuthRequest(header("E", **fields, **flags)))
    return bool(world.events(VoteGranted, "D"))


def count_old_votes(bug: str | None) -> bool:
    world = formed(bug)
    world.drop = lambda sender, receiver, message: isinstance(message, FailoverAuthRequest)
    world.kill("A")
    world.run_until(lambda: bool(world.events(VotesAsked)))
    give(world.sims["D"], "B", FailoverAuthAck(header("B", current_epoch=1)))
    return not world.events(VoteNotCounted)


def count_replica_reports(bug: str | None) -> bool:
    world = formed(bug)
    sim = world.sims["A"]
    sim.core.state.await_answer(sim.sees("C"), world.now)
    sim.sees("C").flags |= NodeFlag.PFAIL
    turn = sim.core._turn(world.now)
    for name in "DE":
        failure.on_report(turn, sim.sees("C"), sim.sees(name), is_failing=True)
    return sim.sees("C").is_failed


def cut_off(bug: str | None) -> tuple[World, Sim]:
    """A primary that was in a minority and reaches a majority again, with nobody in its place."""
    world = formed(bug)
    world.cut("A")
    sim = world.sims["A"]
    # Its replica does not stand, so that it stays a primary.
    world.sims["D"].configure(replica_no_failover=True)
    world.run(4 * T)
    return world, sim


def rejoin_at_once(bug: str | None) -> bool:
    world, sim = cut_off(bug)
    world.drop = lambda sender, receiver, message: (
        isinstance(message, Pong) and message.header.promises != 0
    )
    world.heal()
    world.run_until(lambda: sim.core.state.has_majority)
    return world.run_until(lambda: sim.core.state.is_ok) < T - 200


def trust_old_promises(bug: str | None) -> bool:
    world, sim = cut_off(bug)
    world.heal()
    world.run_until(lambda: sim.core.state.is_ok)
    world.cut("A")
    world.run(4 * T)
    world.drop = lambda sender, receiver, message: (
        isinstance(message, Pong) and message.header.promises != 0
    )
    world.heal()
    world.run_until(lambda: sim.core.state.has_majority)
    return world.run_until(lambda: sim.core.state.is_ok) < T - 200


def break_promises(bug: str | None) -> bool:
    world, sim = cut_off(bug)
    world.heal()
    world.run_until(lambda: sim.core.state.is_ok)
    replica = world.sims["D"]
    replica.configure(replica_no_failover=False)
    # What was said of A before comes only now; the candidate passes it on.
    give(replica, "B", Fail(own_header(world.sims["B"]).header, id_of("A")))
    world.run(T - 200)
    return replica.myself.is_primary


HARMS: list[Callable[[str | None], bool]] = [
    raise_epoch_without_slots,
    update_with_unclaimed_slots,
    keep_unclaimed_mark,
    collide_by_id_only,
    rank_without_id,
    elect_without_data,
    ignore_rival_win,
    keep_retry_timer,
    no_update_on_refusal,
    keep_sub_replicas,
    trust_late_packets,
    trust_stale_links,
    two_manual_failovers,
    wait_for_gossip_quorum,
    no_backoff,
    never_arm_ping,
    trust_wrong_identity,
    vote_before_sync,
    vote_twice,
    vote_after_candidacy,
    count_old_votes,
    count_replica_reports,
    rejoin_at_once,
    trust_old_promises,
    break_promises,
]


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_the_bug_does_harm(harm: Callable[[str | None], bool]) -> None:
    assert harm(harm.__name__)


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
def test_without_the_bug_there_is_none(harm: Callable[[str | None], bool]) -> None:
    assert not harm(None)


def test_every_bug_is_tried() -> None:
    assert {harm.__name__ for harm in HARMS} == {field.name for field in attrs.fields(Bugs)}


def test_all_are_off_by_default() -> None:
    assert not any(attrs.astuple(Config(port=1, cport=2).bugs))


def test_a_replica_may_change_its_primary() -> None:
    """A counterpart of `keep_sub_replicas`: to replicate another primary is no chain."""
    world = formed(None, 2, 2)
    world.sims["C"].must(Replicate(id_of("B")))
    world.run(T)
    assert world.sims["C"].myself.replica_of == id_of("B")
