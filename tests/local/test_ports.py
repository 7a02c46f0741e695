"""Held ports: nobody else gets them, the node itself does."""

import socket
import sys

import pytest

from clustrio.tools.local.errors import LocalClusterError
from clustrio.tools.local.ports import HeldPorts, listen


def test_held_ports_are_apart_and_the_node_can_listen_there() -> None:
    held = HeldPorts(3, None, relayed=True)
    try:
        numbers = [
            number
            for ports in held.nodes
            for number in (
                ports.port,
                ports.bus_port,
                ports.announced_port,
                ports.announced_bus_port,
            )
        ]
        assert len(set(numbers)) == 12
        for number in numbers:
            listen(number).close()
            # And once more, as after a restart.
            listen(number).close()
    finally:
        held.close()


@pytest.mark.skipif(sys.platform != "linux", reason="ports are held by binding on Linux only")
def test_a_stranger_does_not_get_a_held_port() -> None:
    held = HeldPorts(1, None, relayed=False)
    try:
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind(("127.0.0.1", held.nodes[0].port))
    finally:
        held.close()
    with socket.socket() as stranger:
        stranger.bind(("127.0.0.1", held.nodes[0].port))


def test_a_row_of_ports_begins_where_it_was_asked_to() -> None:
    free = HeldPorts(1, None, relayed=False)
    port = free.nodes[0].port
    free.close()
    held = HeldPorts(1, port, relayed=True)
    try:
        assert held.nodes[0].announced_port == port
        assert held.nodes[0].port != port
    finally:
        held.close()


def test_a_port_that_is_taken_or_too_high_is_refused_with_its_number() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        if number <= 55_535:
            with pytest.raises(LocalClusterError, match=str(number)):
                HeldPorts(1, number, relayed=False)
    with pytest.raises(LocalClusterError, match="too high"):
        HeldPorts(1, 60_000, relayed=False)
