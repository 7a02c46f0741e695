"""Sets of slots that change hands at once, and what may go wrong in that very moment."""

from functools import partial

import pytest

from clustrio.gossip.commands import (
    BumpEpoch,
    Done,
    GiveSlots,
    HoldEpoch,
    ProposeEpoch,
    ReclaimSlots,
    Refused,
    SaveConfig,
    SetSlotImporting,
    SetSlotNode,
    TakeSlots,
)
from clustrio.gossip.outputs import DeleteKeys

from .harness import Sim, World, id_of

SLOTS = tuple(range(100))
MASK = (1 << 100) - 1
T = 1000


def world_of(primaries: int = 3, replicas: int = 0) -> tuple[World, Sim, Sim]:
    """A world in which A owns the slots, which have keys, and B is to get them."""
    world = World().cluster(primaries, replicas, node_timeout_ms=T)
    source, target = world.sims["A"], world.sims["B"]
    source.keys = {5: 3, 7: 1}
    return world, source, target


def propose(source: Sim, target: Sim) -> int:
    answer = target.do(ProposeEpoch())
    assert isinstance(answer, Done)
    assert isinstance(answer.value, int)
    source.must(HoldEpoch(source.world.now + 5000))
    return answer.value


def take(target: Sim, epoch: int) -> None:
    target.must(TakeSlots(SLOTS, id_of("A"), epoch))


def owners(world: World) -> set[str]:
    return world.owner(5) | world.owner(99)


def test_the_slots_change_hands_in_all_views() -> None:
    world, source, target = world_of()
    epoch = propose(source, target)
    take(target, epoch)
    assert target.myself.config_epoch == epoch
    assert target.myself.mask & MASK == MASK
    source.must(GiveSlots(SLOTS, id_of("B")))
    assert not source.myself.mask & MASK
    assert any(isinstance(change, DeleteKeys) for change in source.changes)
    world.run(10)
    assert owners(world) == {"B"}


def test_it_is_on_disk_before_anybody_hears_of_it() -> None:
    world, source, target = world_of()
    request = TakeSlots(SLOTS, id_of("A"), propose(source, target))
    _, outputs = target.core.command(request, world.now)
    assert outputs.must_sync
    assert outputs.save is not None
    assert outputs.save.current_epoch == request.epoch
    assert outputs.send


def test_the_bus_alone_tells_the_source_too() -> None:
    world, source, target = world_of()
    take(target, propose(source, target))
    world.run(10)
    assert owners(world) == {"B"}
    assert not source.myself.mask & MASK
    # The news came by the bus before the target's own word.
    source.must(GiveSlots(SLOTS, id_of("B")))


@pytest.mark.parametrize("wrong", ["epoch", "owner", "stranger", "replica", "held"])
def test_what_cannot_be_taken(wrong: str) -> None:
    world, source, target = world_of(replicas=1)
    epoch = propose(source, target)
    source_id, slots = id_of("A"), SLOTS
    if wrong == "epoch":
        epoch -= 1
    elif wrong == "owner":
        slots = (*SLOTS, 16_000)
    elif wrong == "stranger":
        source_id = id_of("X")
    elif wrong == "replica":
        target = next(sim for sim in world.sims.values() if sim.myself.is_replica)
    else:
        target.must(HoldEpoch(world.now + 1000))
    before = target.core.stored()
    assert isinstance(target.do(TakeSlots(slots, source_id, epoch)), Refused)
    assert target.core.stored() == before


def test_no_epoch_comes_between_while_it_is_held() -> None:
    """An epoch of the source's own would claim the slots back whose keys it is about to delete."""
    world, source, target = world_of()
    epoch = propose(source, target)
    before = source.myself.config_epoch
    source.do(BumpEpoch())
    assert source.myself.config_epoch == before
    # A collision does not move it either.
    other = world.sims["C"]
    other.myself.config_epoch = before
    other.must(SaveConfig())
    world.run(2 * T)
    assert source.myself.config_epoch == before
    source.must(SetSlotImporting(16_000, id_of("C")))
    assert isinstance(source.do(SetSlotNode(16_000, id_of("A"))), Refused)
    take(target, epoch)
    source.must(GiveSlots(SLOTS, id_of("B")))
    world.run(10)
    assert owners(world) == {"B"}


def test_an_epoch_taken_after_it_does_not_bring_the_slots_back() -> None:
    world, source, target = world_of()
    take(target, propose(source, target))
    source.must(GiveSlots(SLOTS, id_of("B")))
    source.must(HoldEpoch(None))
    source.must(BumpEpoch())
    assert source.myself.config_epoch >= target.myself.config_epoch
    world.run(3 * T)
    assert owners(world) == {"B"}


def test_the_hold_ends_by_itself() -> None:
    world, source, target = world_of()
    propose(source, target)
    world.run(5001)
    before = source.myself.config_epoch
    target.must(BumpEpoch())
    world.run(10)
    source.must(BumpEpoch())
    assert source.myself.config_epoch > before


def test_slots_that_nobody_knows_to_be_taken_are_kept_for_good() -> None:
    """The target took them and died before anybody heard: its claim is too old when it is back."""
    world, source, target = world_of()
    epoch = propose(source, target)
    world.cut("B")
    take(target, epoch)
    world.kill("B")
    source.must(ReclaimSlots(SLOTS, epoch))
    world.heal()
    world.start("B")
    world.run_until(lambda: owners(world) == {"A"}, 5 * T)
    world.run(3 * T)
    assert owners(world) == {"A"}
    assert source.keys == {5: 3, 7: 1}
    assert not target.myself.mask & MASK


def test_the_epoch_proposed_was_taken_for_something_else_meanwhile() -> None:
    world, source, target = world_of()
    epoch = propose(source, target)
    world.sims["C"].must(BumpEpoch())
    world.run(2 * T)
    assert isinstance(target.do(TakeSlots(SLOTS, id_of("A"), epoch)), Refused)
    assert owners(world) == {"A"}
    take(target, propose(source, target))
    world.run(10)
    assert owners(world) == {"B"}


@pytest.mark.parametrize("victim", ["A", "B"])
@pytest.mark.parametrize("delay_ms", [0, 1, 2, 5, 50])
def test_a_failover_in_the_window_loses_no_slot(victim: str, delay_ms: int) -> None:
    """Whoever of the two dies right after the hand-over: one owner, and it has the keys."""
    world, source, target = world_of(primaries=3, replicas=1)
    take(target, propose(source, target))
    world.run(delay_ms)
    world.kill(victim)
    world.run_until(partial(_has_live_owner, world), 30 * T)
    world.run(3 * T)
    shard = {"A": source.myself.shard_id, "B": target.myself.shard_id}
    (owner,) = owners(world)
    if delay_ms:
        assert world.sims[owner].myself.shard_id == shard["B"]


def _has_live_owner(world: World) -> bool:
    found = owners(world)
    return len(found) == 1 and found <= {sim.name for sim in world.live()}


def test_a_last_slot_given_away_makes_a_replica() -> None:
    world = World().cluster(2, node_timeout_ms=T)
    source, target = world.sims["A"], world.sims["B"]
    everything = tuple(slot for slot in range(16_384) if source.myself.mask >> slot & 1)
    epoch = propose(source, target)
    target.must(TakeSlots(everything, id_of("A"), epoch))
    source.must(GiveSlots(everything, id_of("B")))
    assert source.myself.replica_of == id_of("B")
