"""P74: a spare replica moves to a primary that has none."""

import pytest

from clustrio.gossip.commands import MeetNode, Replicate
from clustrio.gossip.events import (
    BecameReplica,
)
from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.reasons import (
    RoleReason,
)

from .harness import World, id_of


@pytest.mark.parametrize(
    ("options", "moves"),
    [
        ({}, True),
        ({"migration_barrier": 2}, False),
        ({"allow_replica_migration": False}, False),
    ],
)
def test_p74_migration(options: dict[str, object], moves: bool) -> None:
    world = World().cluster(2, 2, node_timeout_ms=1_000, **options)
    for name in "DF":
        world.kill(name)
    world.run(12_000)
    migrated = [
        (name, event.primary)
        for _, name, event in world.record_of
        if isinstance(event, BecameReplica) and event.reason is RoleReason.MIGRATION
    ]
    # C has the smaller id of the two replicas of A.
    assert migrated == ([("C", id_of("B"))] if moves else [])


def test_p74_not_before_five_seconds() -> None:
    world = World().cluster(2, 2, node_timeout_ms=1_000)
    for name in "DF":
        world.kill(name)
    took = world.run_until(lambda: bool(world.events(BecameReplica)), 20_000)
    assert 6_000 <= took <= 7_500


def test_p74_a_primary_that_never_had_replicas_attracts_none() -> None:
    world = World().cluster(2, 0)
    for name in "CD":
        world.add_one(name).must(MeetNode("10.0.0.1", 6379, 16_379))
    world.run(3_000)
    for sim in world.sims.values():
        sim.sees("B").flags &= ~NodeFlag.MIGRATE_TO
    for name in "CD":
        world.sims[name].must(Replicate(id_of("A")))
    world.run(15_000)
    assert all(world.sims[name].myself.replica_of == id_of("A") for name in "CD")


def test_p74_only_while_the_cluster_is_ok() -> None:
    world = World().cluster(3, 2, node_timeout_ms=1_000)
    for name in "CEHFI":
        world.kill(name)
    world.run(15_000)
    assert not [
        event
        for event in world.events(BecameReplica)
        if isinstance(event, BecameReplica) and event.reason is RoleReason.MIGRATION
    ]
