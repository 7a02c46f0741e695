"""P70-P72 and the bugs about identity and addresses: who is a member, and where it lives."""

import pytest

from clustrio.gossip.commands import Done, ForgetNode, MeetNode, Refused, Reset
from clustrio.gossip.events import (
    AddressLost,
    NodeForgotten,
    NodeJoined,
    NodeLearned,
)
from clustrio.gossip.handshake import maybe_address
from clustrio.gossip.inputs import ConfigChanged, LinkAccepted, MessageReceived
from clustrio.gossip.messages import GossipEntry, NodeFlag, Ping, Pong
from clustrio.gossip.outputs import BecomeReplica, Renamed

from .harness import World, header, id_of


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0:0::1", "::1"),
        ("localhost", None),
        ("1.2.3", None),
        ("", None),
        ("1.2.3.4 ", None),
    ],
)
def test_addresses_are_ip_addresses(text: str, address: str | None) -> None:
    assert maybe_address(text) == address


@pytest.mark.parametrize("graph", ["AB BC CD DE", "AB AC AD AE", "AB CD DE BE"])
def test_p71_any_connected_graph_of_meets_ends_fully_meshed(graph: str) -> None:
    world = World()
    world.add("A B C D E")
    for pair in graph.split():
        world.sims[pair[0]].must(MeetNode(world.sims[pair[1]].ip, 6379, 16_379))
    world.run(8_000)
    for sim in world.sims.values():
        assert set(sim.core.state.nodes) == {id_of(name) for name in "ABCDE"}
        assert all(node.is_linked for node in sim.core.state.others())


@pytest.mark.parametrize(("timeout_ms", "lives_ms"), [(200, 1_000), (3_000, 3_000)])
def test_p71_a_handshake_lives_for_the_timeout_but_at_least_a_second(
    timeout_ms: int, lives_ms: int
) -> None:
    world = World()
    (sim,) = world.add("A", node_timeout_ms=timeout_ms)
    sim.must(MeetNode("10.8.8.8", 6379, 16_379))
    took = world.run_until(lambda: len(sim.core.state.nodes) == 1)
    assert lives_ms < took <= lives_ms + 200


def test_p70_gossip_of_strangers_is_not_believed() -> None:
    world = World()
    (sim,) = world.add("A")
    entry = GossipEntry(id_of("x"), 0, 0, "10.0.0.9", 6379, 16_379, NodeFlag.PRIMARY)
    sim.give(LinkAccepted(-1, "10.0.0.8", "10.0.0.1"))
    sim.next_inbound = -2
    sim.give(MessageReceived(-1, Ping(header("Z"), (entry,))))
    assert set(sim.core.state.nodes) == {id_of("A")}


@pytest.mark.parametrize("flags", [NodeFlag.NOADDR, NodeFlag.HANDSHAKE])
def test_a_node_without_an_address_is_not_learned(flags: int) -> None:
    world = World().cluster(2)
    sim = world.sims["A"]
    entry = GossipEntry(id_of("x"), 0, 0, "10.0.0.9", 6379, 16_379, flags | NodeFlag.PRIMARY)
    link = sim.sees("B").link
    assert link is not None
    sim.give(MessageReceived(link.link_id, Ping(header("B"), (entry,))))
    assert not world.events(NodeLearned)


@pytest.mark.slow
def test_p72_a_forgotten_node_stays_away_for_a_minute_and_for_good_if_all_forgot() -> None:
    world = World().cluster(3, 1)
    world.sims["A"].must(ForgetNode(id_of("F")))
    world.run(2_000)
    # One order is enough: it spreads by the extension.
    assert len(world.events(NodeForgotten)) == 5
    world.run(10 * 60_000 // 4)
    assert all(id_of("F") not in world.sims[name].core.state.nodes for name in "ABCDE")


def test_p72_the_ban_ends_after_sixty_seconds() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    # The others neither hear of it nor forget.
    world.drop = lambda sender, receiver, message: sender == "A"
    sim.must(ForgetNode(id_of("C")))
    took = world.run_until(lambda: id_of("C") in sim.core.state.nodes, 80_000)
    assert 60_000 <= took < 70_000


def test_29_a_peer_with_another_id_is_neither_linked_nor_believed() -> None:
    world = World().cluster(3)
    sim = world.sims["A"]
    link = sim.sees("B").link
    assert link is not None
    entry = GossipEntry(id_of("x"), 0, 0, "10.0.0.9", 6379, 16_379, NodeFlag.PRIMARY)
    fields = {"config_epoch": 90, "current_epoch": 90}
    sim.give(MessageReceived(link.link_id, Pong(header("Z", **fields), (entry,))))
    assert sim.core.state.current_epoch < 90
    assert id_of("x") not in sim.core.state.nodes
    assert sim.sees("B").link is None
    assert world.events(AddressLost, "A") == [AddressLost(id_of("B"), id_of("Z"))]


def test_26_hearsay_that_goes_to_and_fro_does_not_begin_the_fast_attempts_anew() -> None:
    """Two places are told of for a node that is in neither; each would be tried every 100 ms."""
    world = World().cluster(3, node_timeout_ms=2_000)
    sim = world.sims["A"]
    world.kill("B")
    world.run_until(lambda: sim.sees("B").is_failed)
    world.run(4_000)
    before = sim.core.state.next_link_id
    for turn in range(8):
        link = sim.sees("C").link
        assert link is not None
        ip = f"10.9.9.{turn % 2 + 1}"
        entry = GossipEntry(id_of("B"), 0, 0, ip, 6379, 16_379, NodeFlag.PRIMARY)
        sim.give(MessageReceived(link.link_id, Pong(header("C"), (entry,))))
        assert sim.sees("B").ip == ip
        world.run(1_000)
    assert sim.core.state.next_link_id - before <= 2 * 8


def test_29_a_primary_without_an_address_is_suspected_in_time() -> None:
    """Else a dead primary whose address is taken by another would never be replaced."""
    world = World().cluster(3, 1, node_timeout_ms=1_000)
    world.kill("A")
    stranger = world.add_one("X", node_timeout_ms=1_000)
    stranger.ip, world.sims["A"].ip = "10.0.0.1", "10.7.7.7"
    # The stranger itself knows of no owner.
    world.run_until(lambda: world.owner(0) == {"D", "-"}, 10_000)
    assert id_of("X") not in world.sims["B"].core.state.nodes


def test_31_a_restart_with_a_new_address_is_followed_by_all() -> None:
    world = World().cluster(3, 1)
    world.kill("B")
    world.sims["B"].ip = "10.0.0.200"
    world.start("B")
    world.run(10_000)
    for sim in world.sims.values():
        if sim.name != "B":
            assert sim.sees("B").ip == "10.0.0.200"
            assert sim.sees("B").is_linked
    followed = [c for c in world.sims["E"].changes if isinstance(c, BecomeReplica)]
    assert followed[-1].ip == "10.0.0.200"


def test_32_an_announced_address_wins() -> None:
    world = World().cluster(3)
    world.sims["B"].configure(announce_ip="10.0.0.250")
    world.sims["B"].ip = "10.0.0.250"
    world.run(5_000)
    assert world.sims["A"].sees("B").ip == "10.0.0.250"
    assert world.sims["A"].sees("B").is_linked


def test_a_host_name_spreads_and_goes() -> None:
    world = World().cluster(3)
    world.sims["B"].configure(hostname="b.example", human_nodename="bee")
    world.run(3_000)
    seen = world.sims["A"].sees("B")
    assert (seen.hostname, seen.human_nodename) == ("b.example", "bee")
    world.sims["B"].configure(hostname="", human_nodename="")
    world.run(3_000)
    assert (seen.hostname, seen.human_nodename) == ("", "")


def test_replicas_have_the_shard_of_their_primary_everywhere() -> None:
    world = World().cluster(3, 1)
    for sim in world.sims.values():
        for pair in ("AD", "BE", "CF"):
            shards = {sim.core.state.nodes[id_of(name)].shard_id for name in pair}
            assert shards == {world.sims[pair[0]].myself.shard_id}


def test_p73_reset_soft_forgets_the_others_and_keeps_the_id() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["D"]
    epoch = sim.core.state.current_epoch
    sim.must(Reset())
    assert set(sim.core.state.nodes) == {id_of("D")}
    assert sim.myself.is_primary
    assert sim.core.state.assigned == 0
    assert sim.core.state.current_epoch == epoch


def test_p73_reset_hard_changes_the_id_and_zeroes_the_epochs() -> None:
    world = World().cluster(3, 1)
    sim = world.sims["D"]
    sim.must(Reset(hard=True))
    state = sim.core.state
    assert sim.core.node_id != id_of("D")
    assert Renamed(sim.core.node_id) in sim.changes
    assert (state.current_epoch, state.last_vote_epoch, sim.myself.config_epoch) == (0, 0, 0)


def test_p73_a_primary_with_keys_refuses_to_be_reset() -> None:
    world = World().cluster(3)
    world.sims["A"].keys[0] = 1
    answer = world.sims["A"].do(Reset())
    assert answer == Refused("CLUSTER RESET can't be called with master nodes containing keys")
    world.sims["A"].keys.clear()
    assert world.sims["A"].do(Reset()) == Done()


def test_meet_with_a_new_address_of_a_member_moves_it() -> None:
    """After everybody got a new address, an operator's MEET heals the cluster."""
    world = World().cluster(2)
    for number, sim in enumerate(world.sims.values()):
        world.kill(sim.name)
        sim.ip = f"10.5.0.{number}"
    for name in "AB":
        world.start(name)
    world.run(5_000)
    world.sims["A"].must(MeetNode("10.5.0.1", 6379, 16_379))
    world.run(6_000)
    assert world.sims["A"].sees("B").ip == "10.5.0.1"
    assert world.sims["B"].sees("A").ip == "10.5.0.0"
    assert all(sim.core.state.is_ok for sim in world.sims.values())
    assert not world.events(NodeJoined)


def test_a_changed_option_reaches_the_header() -> None:
    world = World().cluster(2)
    sim = world.sims["A"]
    sim.give(ConfigChanged(sim.config))
    sim.configure(replica_no_failover=True)
    world.run(2_000)
    assert world.sims["B"].sees("A").flags & NodeFlag.NOFAILOVER
