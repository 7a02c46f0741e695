"""What is wrong with links: how long a piece of data takes, and what is mended when."""

import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from clustrio.tools.local.ports import HeldPorts, listen
from clustrio.tools.local.relay import CLIENTS, RETRANSMISSION_MS, Relay, Rules, Slowness
from clustrio.tools.local.shape import plan_nodes

from .test_cluster import until

PAIR, OTHER = (0, 1), (1, 0)


def delays_ms(slowness: Slowness, seed: int = 1, count: int = 400) -> list[float]:
    rules = Rules(seed)
    rules.slow[PAIR] = slowness
    return [rules.delay_s(PAIR) * 1000 for _ in range(count)]


def test_an_ordinary_link_delays_nothing() -> None:
    rules = Rules(1)
    rules.slow[PAIR] = Slowness(50, 10, 0.5)
    assert rules.delay_s(OTHER) == 0.0


def test_latency_is_exact_and_jitter_comes_on_top() -> None:
    assert set(delays_ms(Slowness(20, 0, 0))) == {20}
    shaken = delays_ms(Slowness(20, 30, 0))
    assert min(shaken) >= 20
    assert max(shaken) <= 50
    assert max(shaken) - min(shaken) > 20


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_lost_piece_comes_after_a_retransmission(share: float) -> None:
    delays = delays_ms(Slowness(5, 0, share))
    assert set(delays) == {5, 5 + RETRANSMISSION_MS}
    lost = sum(delay > 5 for delay in delays) / len(delays)
    assert abs(lost - share) < 0.1


def test_a_seed_gives_the_same_delays_again() -> None:
    slowness = Slowness(5, 40, 0.3)
    assert delays_ms(slowness, 7) == delays_ms(slowness, 7)
    assert delays_ms(slowness, 7) != delays_ms(slowness, 8)


def test_mending_all_leaves_nothing() -> None:
    rules = Rules(1)
    rules.cuts.add(PAIR)
    rules.slow[OTHER] = Slowness(5, 0, 0)
    rules.mend_all()
    assert (rules.cuts, rules.slow) == (set(), {})


# ---- real connections ----------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[tuple[Relay, socket.socket, int]]:
    """A relay, the socket that a node would listen at, and the port in front of it."""
    held = HeldPorts(1, None, relayed=True)
    relay = Relay(plan_nodes(1, 0, held.nodes, Path(), [None], 1), 1)
    try:
        with listen(held.nodes[0].port) as node:
            node.settimeout(60)
            relay.open_front(0)
            yield relay, node, held.nodes[0].announced_port
    finally:
        relay.close()
        held.close()


@pytest.mark.slow
def test_who_gives_up_while_a_link_is_cut_is_never_heard_of(
    server: tuple[Relay, socket.socket, int],
) -> None:
    relay, node, port = server
    relay.run(lambda rules: rules.cuts.add((CLIENTS, 0)))
    idle = tasks(relay)
    for is_reset in (False, True):
        with socket.create_connection(("127.0.0.1", port), 60) as caller:
            linger = struct.pack("ii", is_reset, 0)
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            caller.sendall(b"given up")
            until(lambda: tasks(relay) > idle)
    until(lambda: tasks(relay) == idle)
    with socket.create_connection(("127.0.0.1", port), 60) as caller:
        caller.sendall(b"I have ")
        caller.sendall(b"patience")
        until(lambda: tasks(relay) > idle)
        relay.run(Rules.mend_all)
        heard, _ = node.accept()
        with heard:
            heard.settimeout(60)
            text = b""
            while len(text) < 15:
                text += heard.recv(100)
            assert text == b"I have patience"


def tasks(relay: Relay) -> int:
    return relay.run(lambda _: len(relay._nursery.child_tasks))
