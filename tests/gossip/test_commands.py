"""The CLUSTER subcommands: what they refuse, in Redis' words, and what they change."""

import pytest

from clustrio.gossip import command_handlers, commands
from clustrio.gossip.commands import (
    AddSlots,
    BumpEpoch,
    ClaimKeySlots,
    CountFailureReports,
    DelSlots,
    Done,
    Failover,
    FlushSlots,
    ForgetNode,
    MeetNode,
    PublishToNodes,
    Refused,
    Replicate,
    Request,
    SaveConfig,
    SetConfigEpoch,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
)
from clustrio.gossip.messages import Publish
from clustrio.gossip.outputs import DeliverPublish, SlotsMarked

from .harness import World, id_of

A, B, D, X = (id_of(name) for name in "ABDX")


@pytest.fixture(scope="module")
def world() -> World:
    """A cluster that refused commands leave as it is."""
    world = World().cluster(3, 1)
    world.sims["A"].keys[3] = 1
    world.sims["D"].keys[3] = 1
    return world


@pytest.mark.parametrize(
    ("name", "request_", "text"),
    [
        ("A", MeetNode("nowhere", 1, 2), "Invalid node address specified: nowhere:1"),
        ("A", MeetNode("10.0.0.9", 0, 2), "Invalid node address specified: 10.0.0.9:0"),
        ("A", MeetNode("10.0.0.9", 1, 65_536), "Invalid node address specified: 10.0.0.9:1"),
        ("A", ForgetNode(X), f"Unknown node {X}"),
        ("A", ForgetNode(A), "I tried hard but I can't forget myself..."),
        ("D", ForgetNode(A), "Can't forget my master!"),
        ("A", Replicate(X), f"Unknown node {X}"),
        ("A", Replicate(A), "Can't replicate myself"),
        ("A", Replicate(D), "I can only replicate a master, not a replica."),
        (
            "A",
            Replicate(B),
            "To set a master the node must be empty and without assigned slots.",
        ),
        ("A", AddSlots((1,)), "Slot 1 is already busy"),
        ("A", FlushSlots(), "DB must be empty to perform CLUSTER FLUSHSLOTS."),
        ("D", SetSlotStable(1), "Please use SETSLOT only with masters."),
        ("D", SetSlotNode(1, B), "Please use SETSLOT only with masters."),
        ("B", SetSlotMigrating(1, A), "I'm not the owner of hash slot 1"),
        ("A", SetSlotMigrating(1, X), f"I don't know about node {X}"),
        ("A", SetSlotMigrating(1, D), "Target node is not a master"),
        ("A", SetSlotImporting(1, B), "I'm already the owner of hash slot 1"),
        ("B", SetSlotImporting(1, X), f"I don't know about node {X}"),
        ("B", SetSlotImporting(1, D), "Target node is not a master"),
        ("A", SetSlotNode(1, X), f"Unknown node {X}"),
        ("A", SetSlotNode(1, D), "Target node is not a master"),
        (
            "A",
            SetSlotNode(3, B),
            "Can't assign hashslot 3 to a different node while I still hold keys for this hash "
            "slot.",
        ),
        ("A", SetConfigEpoch(-1), "Invalid config epoch specified: -1"),
        (
            "A",
            SetConfigEpoch(1),
            "The user can assign a config epoch only when the node does not know any other node.",
        ),
        ("A", Failover(), "You should send CLUSTER FAILOVER to a replica"),
        ("A", CountFailureReports(X), f"Unknown node {X}"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value[:12],
)
def test_refusal(world: World, name: str, request_: Request, text: str) -> None:
    sim = world.sims[name]
    before = sim.core.stored()
    assert sim.do(request_) == Refused(text)
    assert sim.core.stored() == before


def test_slots_are_added_and_deleted_all_or_none() -> None:
    world = World()
    (sim,) = world.add("A")
    assert sim.do(AddSlots((1, 2, 1))) == Refused("Slot 1 specified multiple times")
    assert sim.myself.mask == 0
    assert sim.do(AddSlots((1, 2))) == Done()
    assert sim.do(DelSlots((2, 3))) == Refused("Slot 3 is already unassigned")
    assert sim.do(DelSlots((2,))) == Done()
    assert sim.myself.mask == 0b10
    assert sim.do(FlushSlots()) == Done()
    assert sim.myself.mask == 0
    assert sim.disk.myself.slots == bytes(2_048)


def test_a_replica_gets_no_slots() -> None:
    world = World().cluster(1, 1)
    world.sims["A"].must(DelSlots((0,)))
    world.run(1_000)
    world.sims["B"].core.state.assign(1, None)
    assert isinstance(world.sims["B"].do(AddSlots((0,))), Refused)


def test_set_config_epoch_once_on_a_lonely_node() -> None:
    (sim,) = World().add("A")
    assert sim.do(SetConfigEpoch(7)) == Done()
    assert (sim.disk.current_epoch, sim.disk.myself.config_epoch) == (7, 7)
    assert sim.do(SetConfigEpoch(8)) == Refused("Node config epoch is already non-zero")


def test_bump_epoch() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    epoch = sim.core.state.current_epoch
    assert sim.do(BumpEpoch()) == Done(f"BUMPED {epoch + 1}")
    assert sim.do(BumpEpoch()) == Done(f"STILL {epoch + 1}")
    assert sim.disk.myself.config_epoch == epoch + 1


def test_failover_of_a_dead_primary_wants_force() -> None:
    world = World().cluster(3, 1, replica_no_failover=True)
    world.kill("A")
    world.run(3_000)
    replica = world.sims["D"]
    text = "Master is down or failed, please use CLUSTER FAILOVER FORCE"
    assert replica.do(Failover()) == Refused(text)
    replica.must(Failover(force=True))
    world.run(100)
    assert world.owner(0) == {"D"}


def test_failover_without_a_known_primary() -> None:
    world = World().cluster(1, 1)
    sim = world.sims["B"]
    sim.myself.replica_of = X
    text = "I'm a replica but my master is unknown to me"
    assert sim.do(Failover(force=True)) == Refused(text)


def test_takeover_needs_nobody() -> None:
    world = World().cluster(3, 1)
    world.kill("A")
    world.kill("B")
    world.run(5_000)
    sim = world.sims["D"]
    sim.must(Failover(force=True, takeover=True))
    assert sim.myself.is_primary
    assert sim.disk.myself.config_epoch == sim.disk.current_epoch
    world.run(100)
    assert world.owner(0) == {"D"}


def test_marks_reach_the_node() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    sim.must(SetSlotMigrating(4, B))
    sim.must(SetSlotImporting(9_000, B))
    marks = [c for c in sim.changes if isinstance(c, SlotsMarked)][-1]
    assert marks == SlotsMarked(((4, B),), ((9_000, B),))
    assert sim.disk.migrating_to == ((4, B),)
    assert sim.disk.importing_from == ((9_000, B),)
    sim.must(SetSlotStable(4))
    sim.must(SetSlotStable(9_000))
    marks = [c for c in sim.changes if isinstance(c, SlotsMarked)][-1]
    assert marks == SlotsMarked((), ())


@pytest.mark.parametrize(("sharded", "receivers"), [(False, "BCDEF"), (True, "D")])
def test_publish_goes_to_all_or_to_the_shard(sharded: bool, receivers: str) -> None:
    world = World().cluster(3, 1)
    sim = world.sims["A"]
    sim.sent.clear()
    sim.must(PublishToNodes(b"news", b"hello", sharded))
    reached = sorted(to for _, to, m in sim.sent if isinstance(m, Publish))
    assert "".join(reached) == receivers
    world.run(5)
    delivered = DeliverPublish(b"news", b"hello", sharded)
    assert delivered in world.sims["D"].changes
    assert (delivered in world.sims["B"].changes) == (not sharded)


def test_keys_without_an_owner_become_ours_and_others_are_marked_importing() -> None:
    world = World().cluster(2)
    sim = world.sims["A"]
    sim.must(DelSlots((5,)))
    sim.keys = {5: 1, 9_000: 2, 6: 1}
    sim.must(ClaimKeySlots())
    assert sim.myself.mask & 1 << 5
    assert sim.core.state.importing_from == {9_000: B}


def test_save_config_saves_and_syncs() -> None:
    world = World().cluster(1)
    _, outputs = world.sims["A"].core.command(SaveConfig(), world.now)
    assert outputs.must_sync
    assert outputs.save is not None


def test_every_request_is_handled() -> None:
    assert set(commands.Request.__args__) == set(command_handlers._RUN)
