"""P50-P52 and the bugs about slots: who owns what in the end."""

import random

import pytest

from clustrio.gossip.claims import on_claim
from clustrio.gossip.commands import (
    AddSlots,
    BumpEpoch,
    ClaimKeySlots,
    DelSlots,
    Done,
    Failover,
    MeetNode,
    Request,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
)
from clustrio.gossip.inputs import MessageReceived
from clustrio.gossip.messages import MessageFlag, Ping, Publish, Update
from clustrio.gossip.outputs import DeleteKeys, SlotsMarked, SlotsMoved
from clustrio.gossip.state import bitmap_of, mask_of

from .harness import Sim, World, header, id_of


def give(sim: Sim, sender: str, message: Ping | Publish | Update) -> None:
    link = sim.sees(sender).link
    assert link is not None
    sim.give(MessageReceived(link.link_id, message))


def claim(sim: Sim, sender: str, mask: int, config_epoch: int, **more: object) -> None:
    """`sender` claims slots in a heartbeat."""
    epoch = max(config_epoch, sim.core.state.current_epoch, sim.sees(sender).seen_current_epoch)
    fields = {"current_epoch": epoch, "config_epoch": config_epoch, "slots": bitmap_of(mask)} | more
    give(sim, sender, Ping(header(sender, **fields)))


def owners(world: World) -> set[tuple[tuple[str, int], ...]]:
    """What each living node believes."""
    return {
        tuple(sorted((o.node_id, o.mask) for o in sim.core.state.owners.values()))
        for sim in world.live()
    }


@pytest.mark.parametrize(
    "request_to_own",
    [AddSlots((0,)), ClaimKeySlots(), SetSlotNode(1, id_of("C"))],
    ids=lambda request: type(request).__name__,
)
def test_p31_a_slot_that_becomes_ours_is_on_disk_before_we_claim_it(
    request_to_own: Request,
) -> None:
    """Else a primary that forgot an import's end keeps the slot from its own successor."""
    sim = World().cluster(3).sims["C"]
    sim.must(BumpEpoch())  # so that no epoch has to be taken, and written, for the slot
    sim.must(DelSlots((0,)))
    sim.keys = {0: 1}
    sim.must(SetSlotImporting(1, id_of("A")))
    before = sim.myself.mask, sim.myself.config_epoch
    answer, outputs = sim.core.command(request_to_own, sim.world.now)
    assert isinstance(answer, Done)
    assert (sim.myself.mask != before[0], sim.myself.config_epoch) == (True, before[1])
    assert outputs.must_sync
    assert outputs.save is not None
    assert mask_of(outputs.save.myself.slots) == sim.myself.mask


@pytest.mark.parametrize(("knows_epoch", "must_sync"), [(False, True), (True, False)])
def test_a_slot_that_we_give_away_is_forgotten_only_if_our_claim_is_the_older_one(
    knows_epoch: bool, must_sync: bool
) -> None:
    """The order to let it go may come before the epoch with which its new owner claims it."""
    world = World().cluster(3)
    source, target = world.sims["C"], world.sims["A"]
    slot = 16_383
    source.must(BumpEpoch())
    world.run(1_000)
    source.must(SetSlotMigrating(slot, id_of("A")))
    target.must(SetSlotImporting(slot, id_of("C")))
    if knows_epoch:
        target.must(BumpEpoch())
        world.run(1_000)
    assert (source.sees("A").config_epoch > source.myself.config_epoch) is knows_epoch
    answer, outputs = source.core.command(SetSlotNode(slot, id_of("A")), world.now)
    assert isinstance(answer, Done)
    assert outputs.must_sync is must_sync


@pytest.mark.parametrize(("added", "must_sync"), [(-1, True), (0, True), (1, False)])
def test_a_withheld_slot_that_its_target_claims_is_gone_on_disk_before_we_say_so(
    added: int, must_sync: bool
) -> None:
    """Unless that claim is the newer one: then it does not matter what we come back with."""
    world = World().cluster(3)
    sim = world.sims["A"]
    sim.must(SetSlotMigrating(0, id_of("B")))
    sim.must(BumpEpoch())
    assert sim.core.state.withheld == {0}
    turn = sim.core._turn(world.now)
    epoch = sim.myself.config_epoch + added
    mask = sim.sees("B").mask | 1
    on_claim(turn, sim.sees("B"), epoch, bitmap_of(mask))
    assert not sim.myself.mask & 1
    assert turn.must_sync is must_sync


def test_p50_an_unassigned_slot_goes_to_whoever_claims_it() -> None:
    world = World()
    world.add("A B")
    world.sims["A"].must(MeetNode("10.0.0.2", 6379, 16_379))
    world.run(2_000)
    claim(world.sims["A"], "B", 0b111, 0)
    assert world.sims["A"].sees("B").mask == 0b111


@pytest.mark.parametrize(("difference", "wins"), [(-1, False), (0, False), (1, True)])
def test_p50_only_a_greater_epoch_takes_an_owned_slot(difference: int, wins: bool) -> None:
    world = World().cluster(3)
    sim = world.sims["C"]
    epoch = sim.sees("A").config_epoch + difference
    sim.sees("B").config_epoch = 0
    claim(sim, "B", sim.sees("B").mask | 1, epoch)
    assert (sim.core.state.owner_of(0) is sim.sees("B")) == wins


def test_p50_a_stale_claimer_is_told() -> None:
    world = World().cluster(3)
    sim = world.sims["C"]
    sim.sent.clear()
    claim(sim, "B", sim.sees("B").mask | 1, 0)
    updates = [m for _, to, m in sim.sent if isinstance(m, Update) and to == "B"]
    assert [(u.node_id, u.slots) for u in updates] == [(id_of("A"), sim.sees("A").slots)]


def test_p51_views_converge_after_random_bumps_and_failovers() -> None:
    rng = random.Random(5)
    world = World(seed=5).cluster(3, 1)
    for _ in range(15):
        name = rng.choice("ABCDEF")
        sim = world.sims[name]
        if sim.myself.is_replica:
            sim.do(Failover(force=rng.random() < 0.5, takeover=rng.random() < 0.5))
        else:
            sim.do(BumpEpoch())
        world.run(rng.randrange(300))
    world.run(10_000)
    assert len(owners(world)) == 1


@pytest.mark.parametrize("may_follow", [True, False])
def test_p52_who_loses_the_last_slot_follows_the_taker(may_follow: bool) -> None:
    world = World().cluster(3, 1, allow_replica_migration=may_follow)
    primary, replica = world.sims["A"], world.sims["D"]
    for sim in (primary, replica):
        claim(sim, "B", sim.sees("B").mask | primary_mask(world), 50)
    expected = id_of("B") if may_follow else None
    assert primary.myself.replica_of == expected
    assert replica.myself.replica_of == (expected or id_of("A"))


def primary_mask(world: World) -> int:
    return sum(1 << slot for slot in range(16_384 // 3))


def test_p52_a_pure_successor_is_followed_anyway() -> None:
    world = World().cluster(3, 1, allow_replica_migration=False, node_timeout_ms=1_000)
    world.sims["D"].must(Failover())
    world.run(1_000)
    assert world.sims["A"].myself.replica_of == id_of("D")


def test_dirty_slots_are_emptied_by_who_stays_a_primary() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    sim.keys = {0: 2, 7: 1}
    claim(sim, "B", sim.sees("B").mask | 0b10000001, 50)
    assert sim.keys == {}
    assert [mask_of(c.slots) for c in sim.changes if isinstance(c, DeleteKeys)] == [0b10000001]
    moved = [c for c in sim.changes if isinstance(c, SlotsMoved)][-1]
    assert (moved.owner_id, mask_of(moved.slots)) == (id_of("B"), 0b10000001)


def test_03_no_epoch_is_raised_without_its_slots() -> None:
    """A publish with a greater epoch says nothing of slots, so it must not make old claims win."""
    world = World().cluster(3)
    sim = world.sims["C"]
    before = sim.sees("B").config_epoch
    fields = {"config_epoch": 60, "current_epoch": 60}
    give(sim, "B", Publish(header("B", **fields), b"c", b"m"))
    assert sim.sees("B").config_epoch == before
    assert sim.core.state.current_epoch == 60


def test_04_an_update_never_names_what_its_owner_gave_up() -> None:
    world = World().cluster(3)
    sim = world.sims["C"]
    epoch = sim.sees("A").config_epoch
    claim(sim, "A", sim.sees("A").mask & ~1, epoch)
    assert sim.core.state.owner_of(0) is sim.sees("A")
    sim.sent.clear()
    claim(sim, "B", sim.sees("B").mask | 0b11, 0)
    (update,) = [m for _, _, m in sim.sent if isinstance(m, Update)]
    assert mask_of(update.slots) & 0b11 == 0b10
    # Whoever claims it next gets it.
    assert sim.core.state.owner_of(0) is sim.sees("B")


def test_11_in_one_shard_the_one_with_more_data_keeps_the_slots() -> None:
    world = World().cluster(3)
    small, big = world.sims["A"], world.sims["B"]
    for sim in (small, big):
        for name in "AB":
            sim.core.state.nodes[id_of(name)].shard_id = id_of("5")
    small.own_offset, big.own_offset = 10, 5_000
    epoch = small.core.state.current_epoch
    small.myself.config_epoch = big.myself.config_epoch = epoch
    small.sees("B").config_epoch = big.sees("A").config_epoch = epoch
    small.sees("B").offset, big.sees("A").offset = 5_000, 10
    claim(small, "B", small.sees("B").mask, epoch, offset=5_000)
    assert small.myself.config_epoch == epoch
    claim(big, "A", big.sees("A").mask, epoch, offset=10)
    assert big.myself.config_epoch == epoch + 1


def test_21_a_heartbeat_from_before_the_failover_changes_nothing() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["C"]
    old = header(
        "A",
        current_epoch=sim.core.state.current_epoch,
        config_epoch=sim.sees("A").config_epoch,
        slots=sim.sees("A").slots,
        message_flags=MessageFlag.EXT_DATA,
    )
    world.sims["D"].must(Failover())
    world.run(1_000)
    assert sim.sees("A").is_replica
    give(sim, "A", Ping(old))
    assert sim.sees("A").is_replica
    assert world.owner(0) == {"D"}


@pytest.mark.parametrize(("target", "goes"), [("B", True), ("C", False)])
def test_a_slot_under_way_goes_to_its_target_with_an_equal_epoch(target: str, goes: bool) -> None:
    """Seed 480: an epoch taken beside the end of a move must not win the slot back."""
    sim = World().cluster(3).sims["A"]
    sim.must(SetSlotMigrating(5, id_of(target)))
    sim.must(BumpEpoch())
    claim(sim, "B", sim.sees("B").mask | 1 << 5, sim.myself.config_epoch)
    assert bool(sim.myself.mask & 1 << 5) is not goes
    assert bool(sim.sees("B").mask & 1 << 5) is goes


def test_p56_an_import_goes_on_from_the_successor_of_its_source() -> None:
    world = World().cluster(3, 1)
    world.sims["B"].must(SetSlotImporting(5, id_of("A")))
    world.sims["A"].must(SetSlotMigrating(5, id_of("B")))
    world.sims["D"].must(Failover())
    world.run(1_000)
    state = world.sims["B"].core.state
    assert state.importing_from == {5: id_of("D")}
    assert state.owner_of(5) is world.sims["B"].sees("D")
    assert world.sims["A"].core.state.migrating_to == {}
    marks = [c for c in world.sims["B"].changes if isinstance(c, SlotsMarked)]
    assert marks[-1].importing_from == ((5, id_of("D")),)


@pytest.mark.parametrize("is_released", [True, False])
def test_an_importer_sees_the_slot_go_to_somebody_else(is_released: bool) -> None:
    """The mark is the operator's to take away, but whose the slot is, is the cluster's business."""
    world = World().cluster(3)
    importer, third = world.sims["B"], world.sims["C"]
    importer.must(SetSlotImporting(0, id_of("A")))
    if is_released:
        world.sims["A"].must(SetSlotNode(0, id_of("C")))
        third.must(SetSlotNode(0, id_of("C")))
    else:
        third.must(SetSlotImporting(0, id_of("A")))
        third.must(SetSlotNode(0, id_of("C")))
    world.run(3_000)
    assert world.owner(0) == {"C"}
    assert importer.core.state.importing_from == {0: id_of("A")}
    importer.must(SetSlotNode(0, id_of("B")))
    world.run(3_000)
    assert world.owner(0) == {"B"}


def test_p56_a_migration_goes_on_to_the_successor_of_its_target() -> None:
    world = World().cluster(3, 1)
    world.sims["A"].must(SetSlotMigrating(5, id_of("B")))
    world.sims["E"].must(Failover())
    world.run(1_000)
    assert world.sims["A"].core.state.migrating_to == {5: id_of("E")}


@pytest.mark.slow
def test_05_a_slot_always_has_an_owner_when_the_target_dies_after_the_move() -> None:
    world = World().cluster(3, 1, node_timeout_ms=1_000)
    world.sims["B"].must(SetSlotImporting(0, id_of("A")))
    world.sims["B"].must(SetSlotNode(0, id_of("B")))
    world.run(2)
    world.kill("B")
    world.run(6_000)
    assert world.owner(0) == {"E"}
    assert len(owners(world)) == 1


def test_10_a_slot_that_was_imported_is_won_by_its_new_epoch() -> None:
    world = World().cluster(3)
    world.sims["A"].must(SetSlotMigrating(0, id_of("B")))
    world.sims["B"].must(SetSlotImporting(0, id_of("A")))
    world.sims["B"].must(SetSlotNode(0, id_of("B")))
    # The source is never told by the operator.
    world.run(3_000)
    assert world.owner(0) == {"B"}
    assert world.sims["A"].core.state.migrating_to == {}


def test_an_update_about_a_replica_makes_it_a_primary() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["C"]
    update = Update(header("B"), 70, id_of("D"), sim.sees("A").slots)
    give(sim, "B", update)
    assert sim.sees("D").is_primary
    assert world.sims["C"].core.state.owner_of(0) is sim.sees("D")
