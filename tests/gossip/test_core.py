"""The core as its caller sees it: inputs, timers, and the order law."""

from typing import get_args

import attrs
import pytest

from clustrio.gossip import core, inputs, messages
from clustrio.gossip.core import GossipCore
from clustrio.gossip.inputs import (
    DataSeen,
    LinkAccepted,
    LinkClosed,
    LinkEstablished,
    LinkFailed,
    MessageReceived,
)
from clustrio.gossip.messages import Ping, Pong
from clustrio.gossip.outputs import Close, Connect, Outputs

from .harness import World, header, id_of


def test_the_fields_of_the_outputs_are_in_the_order_of_the_law() -> None:
    names = [field.name for field in attrs.fields(Outputs)]
    assert names == ["save", "must_sync", "changes", "send", "links", "events"]


def test_every_input_and_every_message_has_a_handler() -> None:
    assert set(core._ON_INPUT) == set(get_args(inputs.Input))
    assert set(core._ON_MESSAGE) == set(get_args(messages.Message))


@pytest.mark.parametrize("kind", [LinkClosed, LinkFailed, DataSeen, LinkEstablished])
@pytest.mark.parametrize("link_id", [-7, 7])
def test_news_of_an_unknown_link_is_nothing(kind: type, link_id: int) -> None:
    world = World()
    (sim,) = world.add("A")
    assert sim.core.step(kind(link_id), world.now) == Outputs()


def test_a_stranger_is_answered_and_not_remembered() -> None:
    world = World()
    (sim,) = world.add("A")
    sim.core.step(LinkAccepted(-1, "10.0.0.9", "10.0.0.1"), world.now)
    outputs = sim.core.step(MessageReceived(-1, Ping(header("Z"))), world.now)
    (send,) = outputs.send
    assert send.link_id == -1
    assert isinstance(send.message, Pong)
    assert list(sim.core.state.nodes) == [id_of("A")]


def test_links_are_numbered_upwards_and_never_again() -> None:
    world = World().cluster(2)
    world.kill("B")
    world.run(10_000)
    world.start("B")
    world.run(10_000)
    sim = world.sims["A"]
    assert all(link_id > 0 for link_id, link in sim.core.state.links.items() if not link.is_inbound)
    assert sim.core.state.next_link_id > max(sim.core.state.links)


def test_what_comes_over_a_closed_link_is_dropped() -> None:
    world = World().cluster(2)
    sim = world.sims["A"]
    link = sim.sees("B").link
    assert link is not None
    sim.give(LinkClosed(link.link_id))
    outputs = sim.core.step(MessageReceived(link.link_id, Pong(header("B"))), world.now)
    assert outputs.send == ()
    assert len(outputs.events) == 1


def test_a_lost_link_is_made_again_at_the_next_tick() -> None:
    world = World().cluster(2)
    sim = world.sims["A"]
    link = sim.sees("B").link
    assert link is not None
    sim.give(LinkClosed(link.link_id))
    outputs = sim.core.tick(world.now)
    (order,) = outputs.links
    assert order == Connect(sim.core.state.next_link_id - 1, id_of("B"), "10.0.0.2", 16_379)


def test_a_connection_that_is_never_made_is_given_up() -> None:
    world = World().cluster(2)
    world.cut("B")
    world.run(3_000)
    orders: list[Connect | Close] = []
    for _ in range(30):
        world.run(100)
        orders += world.sims["A"].core.tick(world.now).links
    closed = {order.link_id for order in orders if isinstance(order, Close)}
    opened = {order.link_id for order in orders if isinstance(order, Connect)}
    assert closed
    assert opened


def test_nothing_is_saved_while_nothing_changes() -> None:
    world = World().cluster(3, 1)
    saved = []
    for _ in range(50):
        world.run(97)
        outputs = world.sims["A"].core.tick(world.now)
        saved.append(outputs.save)
        world.sims["A"].carry_out(outputs)
    assert saved == [None] * 50


def test_equal_seeds_give_equal_outputs() -> None:
    runs = []
    for _ in range(2):
        world = World(seed=11).cluster(3, 1)
        world.kill("B")
        world.run(5_000)
        runs.append([str(entry) for entry in world.record_of])
    assert runs[0] == runs[1]
    assert runs[0] != []


def test_a_new_core_makes_its_id_from_the_generator() -> None:
    world = World()
    (sim,) = world.add("A")

    class Ones:
        def randrange(self, stop: int) -> int:
            return stop - 1

        def getrandbits(self, bits: int) -> int:
            return (1 << bits) - 1

    made = GossipCore(sim.config, Ones(), sim, 0)
    assert made.node_id == "f" * 40
