"""P28, P29: how often we ping, and how much we tell."""

import random
from itertools import pairwise

import pytest

from clustrio.gossip.heartbeat import ping_interval_ms
from clustrio.gossip.messages import Heartbeat, Meet, NodeFlag, Ping
from clustrio.gossip.packets import gossip_for
from clustrio.gossip.state import Node
from clustrio.gossip.turn import Turn
from clustrio.gossip.wire import decode_untrusted, encode

from .harness import World, id_of


def turn_with(count: int, **options: object) -> Turn:
    """The turn of a node that knows `count` others."""
    world = World()
    sim = world.add_one("A", **options)
    rng = random.Random(1)
    for number in range(count):
        node_id = f"{number:040x}"
        node = Node(node_id, NodeFlag.PRIMARY, world.now, ip="10.0.0.9", cport=16_379)
        node.mask = 1
        sim.core.state.enter(node, rng)
    return sim.core._turn(world.now)


@pytest.mark.parametrize(
    ("timeout_ms", "peers", "interval_ms"),
    [
        (1_000, 5, 250),
        (2_000, 5, 500),
        (15_000, 5, 1_000),
        # With many peers it grows, up to the half of the timeout.
        (15_000, 99, 4_000),
        (15_000, 999, 7_500),
        (1_000, 999, 500),
    ],
)
def test_p28_ping_interval(timeout_ms: int, peers: int, interval_ms: int) -> None:
    turn = turn_with(peers, node_timeout_ms=timeout_ms)
    assert ping_interval_ms(turn) == interval_ms


def test_the_ping_interval_can_be_set() -> None:
    assert ping_interval_ms(turn_with(3, ping_interval_ms=77)) == 77


def test_p28_every_peer_is_probed_in_time() -> None:
    world = World().cluster(6, node_timeout_ms=4_000)
    world.sims["A"].sent.clear()
    world.run(20_000)
    for name in "BCDEF":
        times = [at for at, to, m in world.sims["A"].sent if to == name and isinstance(m, Ping)]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert times
        # Fresh news of it by others stand in for a ping, as in Redis.
        assert max(gaps) <= 4_000


@pytest.mark.parametrize(("peers", "entries"), [(2, 2), (4, 3), (29, 3), (99, 9), (299, 29)])
def test_p29_size_of_the_gossip(peers: int, entries: int) -> None:
    turn = turn_with(peers)
    assert len(gossip_for(turn)) == entries


def test_p29_all_suspects_are_told_about() -> None:
    turn = turn_with(50)
    suspects = [f"{number:040x}" for number in range(20, 33)]
    for node_id in suspects:
        turn.state.await_answer(turn.state.nodes[node_id], turn.now)
        turn.state.nodes[node_id].flags |= NodeFlag.PFAIL
    told = [entry.node_id for entry in gossip_for(turn)]
    assert set(suspects) <= set(told)
    assert len(told) == len(set(told))


def test_gossip_tells_about_each_of_the_others_in_its_turn() -> None:
    turn = turn_with(50)
    told: list[str] = []
    for _ in range(10):
        page = gossip_for(turn)
        assert gossip_for(turn) is page
        told += [entry.node_id for entry in page]
        turn.state.gossip_page = None
    assert len(told) == len(set(told)) == 50
    assert id_of("A") not in told


def test_gossip_begins_with_what_is_asked_for() -> None:
    turn = turn_with(50)
    first = turn.state.nodes[f"{7:040x}"]
    for _ in range(10):
        told = [entry.node_id for entry in gossip_for(turn, first)]
        assert told[0] == first.node_id
        assert len(told) == len(set(told))
        turn.state.gossip_page = None


def test_news_are_told_within_the_same_tick() -> None:
    turn = turn_with(50)
    gossip_for(turn)
    suspect = turn.state.nodes[f"{7:040x}"]
    turn.state.await_answer(suspect, turn.now)
    suspect.flags |= NodeFlag.PFAIL
    turn.changed()
    assert suspect.node_id in {entry.node_id for entry in gossip_for(turn)}


def test_everything_we_send_survives_the_wire() -> None:
    world = World(through=lambda message: decode_untrusted(encode(message)))
    world.cluster(3, 1)
    world.kill("A")
    world.run(5_000)
    world.start("A")
    world.run(5_000)
    assert world.owner(0) == {"D"}
    kinds = {type(m) for sim in world.sims.values() for _, _, m in sim.sent}
    assert len(kinds) >= 7


def test_extensions_go_only_to_those_who_know_them() -> None:
    world = World().cluster(2)
    first: dict[str, Heartbeat] = {}
    for _, to, message in world.sims["B"].sent:
        if isinstance(message, Heartbeat):
            first.setdefault(to, message)
            if isinstance(message, Meet):
                assert not message.extensions
    assert not first["A"].extensions
    last = [m for _, _, m in world.sims["B"].sent if isinstance(m, Heartbeat)][-1]
    assert last.extensions
