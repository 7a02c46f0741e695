"""A restart: what comes back from nodes.conf, and what does not."""

import random

from attrs import evolve

from clustrio.gossip.commands import SetSlotImporting, SetSlotMigrating
from clustrio.gossip.core import GossipCore
from clustrio.gossip.events import NodeFailed, NodeRecovered, NodeReported, VotesAsked
from clustrio.gossip.messages import Fail, NodeFlag, Ping, Pong
from clustrio.gossip.nodes_conf import StoredCluster, decode_nodes_conf, encode_nodes_conf
from clustrio.gossip.outputs import BecomeReplica, SlotsMarked, SlotsMoved
from clustrio.gossip.storage import loaded_state

from .harness import Sim, World, id_of


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


def restart_with_fail_of(world: World, name: str, failed: str) -> Sim:
    """A node starts again from a file that is of a time when another one had failed."""
    world.kill(name)
    sim = world.sims[name]
    nodes = tuple(
        evolve(node, flags=node.flags | NodeFlag.FAIL) if node.node_id == id_of(failed) else node
        for node in sim.disk.nodes
    )
    sim.disk = evolve(sim.disk, nodes=nodes)
    sim.sent.clear()
    world.record_of.clear()
    world.start(name)
    return sim


def entries_about(sim: Sim, name: str) -> list[int]:
    """The flags with which a node told of another one."""
    return [
        entry.flags
        for _, _, message in sim.sent
        if isinstance(message, Ping | Pong)
        for entry in message.gossip
        if entry.node_id == id_of(name)
    ]


def test_an_old_fail_is_not_told_on_and_ends_with_the_first_answer() -> None:
    world = World().cluster(3, 1)
    sim = restart_with_fail_of(world, "A", "C")
    assert sim.sees("C").is_failed
    assert not sim.core.state.is_ok
    # A reaches all but C for a while.
    world.cut_pair("A", "C")
    world.run(500)
    assert sim.sees("C").is_failed
    assert sim.sent
    assert entries_about(sim, "C") == []
    world.heal()
    world.run(2_000)
    recovered = world.events(NodeRecovered, "A")
    assert recovered == [NodeRecovered(id_of("C"))]
    reported = world.events(NodeReported)
    assert NodeReported(id_of("C"), id_of("A")) not in reported
    assert entries_about(sim, "C")


def test_old_fails_of_two_do_not_make_a_majority_of_ones_suspicion() -> None:
    world = World().cluster(5, 1)
    for name in "DE":
        restart_with_fail_of(world, name, "B")
    world.cut_pair("A", "B")
    world.cut_pair("D", "B")
    world.cut_pair("E", "B")
    # A's PFAIL, and D's and E's before they have any of their own, would be three of five.
    for name in "DE":
        world.sims[name].configure(node_timeout_ms=10_000)
    world.run(5_000)
    assert world.sims["A"].sees("B").is_suspected
    failed = world.events(NodeFailed)
    assert failed == []


def test_an_old_fail_elects_nobody() -> None:
    world = World().cluster(3, 1, replica_validity_factor=0)
    sim = restart_with_fail_of(world, "D", "A")
    world.cut_pair("D", "A")
    world.run(1_500)
    assert sim.sees("A").is_failed
    asked = world.events(VotesAsked)
    assert asked == []
    assert not any(isinstance(message, Fail) for _, _, message in sim.sent)


def test_an_old_fail_of_who_is_dead_is_found_anew() -> None:
    world = World().cluster(3)
    world.kill("C")
    world.run_until(lambda: world.sims["A"].sees("C").is_failed)
    world.run(200)
    world.kill("A")
    world.start("A")
    sim = world.sims["A"]
    assert sim.sees("C").is_failed
    assert not sim.sees("C").is_found_failed
    assert world.run_until(lambda: sim.sees("C").is_found_failed) <= 2_300
    assert not sim.core.state.is_ok
