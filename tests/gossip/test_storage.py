"""A restart: what comes back from nodes.conf, and what does not."""

import random

from attrs import evolve

from clustrio.gossip.commands import SetSlotImporting, SetSlotMigrating
from clustrio.gossip.core import GossipCore
from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.nodes_conf import StoredCluster, decode_nodes_conf, encode_nodes_conf
from clustrio.gossip.outputs import BecomeReplica, SlotsMarked, SlotsMoved
from clustrio.gossip.storage import loaded_state

from .harness import World, id_of


def without_times(stored: StoredCluster) -> StoredCluster:
    """The same, less what changes all the time."""
    nodes = tuple(
        evolve(node, ping_sent_ms=0, pong_received_ms=0, is_connected=False)
        for node in stored.nodes
    )
    return evolve(stored, nodes=nodes)


def test_the_state_survives_the_file() -> None:
    world = World().cluster(3, 1)
    world.sims["A"].must(SetSlotMigrating(5, id_of("B")))
    world.sims["A"].must(SetSlotImporting(9_000, id_of("B")))
    for sim in world.sims.values():
        stored = sim.core.stored()
        read = decode_nodes_conf(encode_nodes_conf(stored))
        state = loaded_state(read, sim.config, random.Random(1), 0, 0)
        state.invariants()
        again = GossipCore(sim.config, random.Random(1), sim, 0, stored=read)
        assert without_times(again.stored()) == without_times(stored)


def test_a_new_node_is_an_empty_primary() -> None:
    world = World()
    sim = world.add_one("A")
    core = GossipCore(sim.config, random.Random(4), sim, 0)
    assert core.state.myself.is_primary
    assert len(core.node_id) == 40
    assert core.node_id != core.state.myself.shard_id
    assert core.stored().current_epoch == 0
    assert GossipCore(sim.config, random.Random(4), sim, 0).node_id == core.node_id


def test_start_tells_the_node_what_it_was() -> None:
    world = World().cluster(2, 1)
    world.kill("C")
    sim = world.sims["C"]
    sim.changes.clear()
    world.start("C")
    moved = {c.owner_id for c in sim.changes if isinstance(c, SlotsMoved)}
    assert moved == {id_of("A"), id_of("B")}
    assert SlotsMarked((), ()) in sim.changes
    assert BecomeReplica(id_of("A"), "10.0.0.1", 6379) in sim.changes


def test_a_replica_follows_as_soon_as_the_address_is_known() -> None:
    world = World().cluster(2, 1)
    sim = world.sims["C"]
    world.kill("C")
    hidden = [
        evolve(n, ip="", flags=n.flags | NodeFlag.NOADDR) if n.node_id == id_of("A") else n
        for n in sim.disk.nodes
    ]
    sim.disk = evolve(sim.disk, nodes=tuple(hidden))
    sim.changes.clear()
    world.start("C")
    assert not [c for c in sim.changes if isinstance(c, BecomeReplica)]
    world.run(3_000)
    assert [c.ip for c in sim.changes if isinstance(c, BecomeReplica)] == ["10.0.0.1"]


def test_nodes_without_a_shard_get_one_with_their_primary() -> None:
    world = World().cluster(2, 1)
    old = world.sims["A"].core.stored()
    old = evolve(old, nodes=tuple(evolve(node, shard_id=None) for node in old.nodes))
    state = loaded_state(old, world.sims["A"].config, random.Random(1), 0, 0)
    shards = {node_id[0]: node.shard_id for node_id, node in state.nodes.items()}
    assert shards["a"] == shards["c"]
    assert shards["b"] == shards["d"]
    assert len(set(shards.values())) == 2


def test_what_contradicts_itself_is_mended() -> None:
    world = World().cluster(2, 1)
    old = world.sims["A"].core.stored()
    flags = NodeFlag.MYSELF | NodeFlag.PRIMARY | NodeFlag.PFAIL | NodeFlag.FAIL
    nodes = tuple(evolve(n, flags=flags) if n.node_id == id_of("A") else n for n in old.nodes)
    broken = evolve(old, nodes=nodes, last_vote_epoch=99, migrating_to=((9_000, id_of("B")),))
    state = loaded_state(broken, world.sims["A"].config, random.Random(1), 0, 0)
    state.invariants()
    assert state.migrating_to == {}
    assert not state.myself.is_failing


def test_a_dead_peer_is_suspected_after_a_restart_too() -> None:
    world = World().cluster(3, 1)
    world.kill("A")
    world.kill("B")
    world.start("A")
    took = world.run_until(lambda: world.sims["A"].sees("B").is_failing)
    assert took <= 2_300
