"""P55 and P56: marks of slots on the move outlive the node that set them."""

import pytest

from clustrio.gossip.commands import (
    BumpEpoch,
    Failover,
    NoteOpenSlots,
    Reset,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
    SetSlotStable,
)
from clustrio.gossip.outputs import SlotsMarked

from .harness import Sim, World, id_of

SLOT = 5


def world_of() -> tuple[World, Sim, Sim, Sim, Sim]:
    """A owns the slot, which is on its way to B; D follows A, E follows B."""
    world = World().cluster(3, 1)
    source, target, after_source, after_target = (world.sims[name] for name in "ABDE")
    assert after_source.myself.replica_of == id_of("A")
    assert after_target.myself.replica_of == id_of("B")
    target.must(SetSlotImporting(SLOT, id_of("A")))
    source.must(SetSlotMigrating(SLOT, id_of("B")))
    after_source.must(NoteOpenSlots(((SLOT, id_of("B")),), ()))
    after_target.must(NoteOpenSlots((), ((SLOT, id_of("A")),)))
    return world, source, target, after_source, after_target


def take_over(world: World, sim: Sim) -> None:
    sim.must(Failover(takeover=True))
    world.run(3_000)
    assert sim.myself.is_primary


def test_a_replica_knows_what_its_primary_sends_on_and_moves_nothing_itself() -> None:
    world, _, _, after_source, _ = world_of()
    _, outputs = after_source.core.command(
        NoteOpenSlots(((SLOT, id_of("B")), (7, id_of("C"))), ()), world.now
    )
    told = [change for change in outputs.changes if isinstance(change, SlotsMarked)]
    assert told[-1] == SlotsMarked(((SLOT, id_of("B")), (7, id_of("C"))), ())
    assert not after_source.core.state.migrating_to


def test_the_successor_of_the_source_goes_on() -> None:
    world, _, target, after_source, _ = world_of()
    take_over(world, after_source)
    assert after_source.core.state.migrating_to == {SLOT: id_of("B")}
    assert target.core.state.importing_from == {SLOT: id_of("D")}


@pytest.mark.parametrize("is_killed", [False, True])
def test_the_successor_of_the_target_goes_on(is_killed: bool) -> None:
    world, source, _, _, after_target = world_of()
    if is_killed:
        world.kill("B")
    take_over(world, after_target)
    assert after_target.core.state.importing_from == {SLOT: id_of("A")}
    assert source.core.state.migrating_to == {SLOT: id_of("E")}


def test_both_ends_may_fail_over_one_after_the_other() -> None:
    world, _, _, after_source, after_target = world_of()
    take_over(world, after_source)
    take_over(world, after_target)
    assert after_source.core.state.migrating_to == {SLOT: id_of("E")}
    assert after_target.core.state.importing_from == {SLOT: id_of("D")}


def test_a_slot_that_the_primary_was_about_to_take_is_taken_by_its_successor() -> None:
    world, _, _, _, after_target = world_of()
    after_target.must(NoteOpenSlots((), (), (SLOT,)))
    take_over(world, after_target)
    assert world.owner(SLOT) == {"E"}
    assert not after_target.core.state.importing_from


def test_marks_of_what_it_has_not_got_are_not_inherited() -> None:
    world, _, _, after_source, _ = world_of()
    foreign = next(s for s in range(16_384) if world.sims["C"].myself.mask >> s & 1)
    marks = ((SLOT, "9" * 40), (foreign, id_of("B")))
    after_source.must(NoteOpenSlots(marks, ((SLOT + 1, id_of("B")),)))
    take_over(world, after_source)
    assert not after_source.core.state.migrating_to
    assert not after_source.core.state.importing_from


def test_a_reset_replica_forgets_them() -> None:
    world, _, _, after_source, _ = world_of()
    after_source.must(Reset(hard=False))
    world.run(100)
    assert not after_source.core.state.primary_migrating_to


def claims_of(world: World, slot: int) -> list[str]:
    """Who believes to own it himself."""
    return [
        world.name_of(sim.myself.node_id) for sim in world.live() if sim.myself.mask >> slot & 1
    ]


@pytest.mark.parametrize("is_told_at_once", [True, False])
@pytest.mark.parametrize("is_bumped", [True, False])
def test_two_moves_at_once_where_one_node_is_an_end_of_both(
    is_told_at_once: bool, is_bumped: bool
) -> None:
    """A slot leaves A for B, another comes to A from C: both are taken in the same moment."""
    world = World().cluster(3)
    middle, target, source = (world.sims[name] for name in "ABC")
    coming = next(slot for slot in range(16_384) if source.myself.mask >> slot & 1)
    if is_bumped:
        source.must(BumpEpoch())
        world.run(3_000)
    target.must(SetSlotImporting(SLOT, id_of("A")))
    middle.must(SetSlotMigrating(SLOT, id_of("B")))
    middle.must(SetSlotImporting(coming, id_of("C")))
    source.must(SetSlotMigrating(coming, id_of("A")))
    world.run(1_000)
    target.keys = {SLOT: 3}
    target.must(SetSlotNode(SLOT, id_of("B")))
    # Unaware of that, A takes an epoch behind all others that it knows.
    middle.must(SetSlotNode(coming, id_of("A")))
    if not is_told_at_once:
        world.run(3_000)
    middle.must(SetSlotNode(SLOT, id_of("B")))
    source.must(SetSlotNode(coming, id_of("A")))
    world.run(10_000)
    assert (world.owner(SLOT), claims_of(world, SLOT)) == ({"B"}, ["B"])
    assert (world.owner(coming), claims_of(world, coming)) == ({"A"}, ["A"])
    assert target.keys == {SLOT: 3}


def test_the_successor_of_the_source_does_not_win_back_what_the_target_has_just_taken() -> None:
    world, _, target, after_source, _ = world_of()
    target.keys = {SLOT: 3}
    target.must(SetSlotNode(SLOT, id_of("B")))
    world.kill("A")
    take_over(world, after_source)
    assert (world.owner(SLOT), claims_of(world, SLOT)) == ({"B"}, ["B"])
    assert target.keys == {SLOT: 3}


def test_a_slot_that_was_not_taken_is_claimed_again_when_the_target_has_shown_so() -> None:
    world, source, target, _, _ = world_of()
    source.must(BumpEpoch())
    epoch = source.myself.config_epoch
    assert source.core.state.withheld == {SLOT}
    world.run(3_000)
    assert not source.core.state.withheld
    assert world.owner(SLOT) == {"A"}
    # And now the target takes it, with a greater one.
    target.must(SetSlotNode(SLOT, id_of("B")))
    assert target.myself.config_epoch > epoch
    world.run(3_000)
    assert world.owner(SLOT) == {"B"}


def test_while_the_target_is_not_to_be_heard_the_slot_stays_withheld_and_served() -> None:
    world, source, _, _, _ = world_of()
    world.kill("B")
    source.must(BumpEpoch())
    world.run(500)
    assert source.core.state.withheld == {SLOT}
    assert source.core.state.owner_of(SLOT) is source.myself
    third = world.sims["C"]
    assert third.core.state.not_claimed == 1 << SLOT
    assert world.owner(SLOT) == {"A"}
    source.must(SetSlotStable(SLOT))
    world.run(3_000)
    assert not third.core.state.not_claimed
