"""Nodes whose bus is encrypted: they find each other, and nobody plain gets a word in."""

import contextlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from clustrio.tools.bench.processes import ReservedPort, reserve_port

from ...support.raw import RawClient
from ...support.servers import ServerProcess, client_of, start_clustrio

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    made = authority.issue_cert("localhost")
    made.private_key_and_cert_chain_pem.write_to_path(folder / "node.pem")
    return _options(folder)


def _options(folder: Path) -> list[str]:
    node, authority = str(folder / "node.pem"), str(folder / "ca.pem")
    words = ["--tls-cert-file", node, "--tls-key-file", node, "--tls-ca-cert-file", authority]
    return [*words, "--cluster-enabled", "yes", "--cluster-node-timeout", "1000"]


@contextlib.contextmanager
def node(options: list[str], *more: str) -> Iterator[tuple[ServerProcess, ReservedPort]]:
    reserved = reserve_port()
    words = [*options, "--tls-port", str(reserved.port), *more]
    try:
        with start_clustrio(*words) as server:
            yield server, reserved
    finally:
        reserved.release()


def until(condition: Callable[[], bool]) -> bool:
    """Whether it becomes so within a few seconds."""
    ends_at_s = time.monotonic() + 40
    while time.monotonic() < ends_at_s:
        if condition():
            return True
        time.sleep(0.05)
    return False


def states(client: RawClient) -> list[str]:
    """The link states of the other nodes."""
    lines = client.call("CLUSTER", "NODES").text.decode().splitlines()
    return [line.split()[7] for line in lines if "myself" not in line]


def ask_over_tls(options: list[str], port: ReservedPort, request: bytes) -> bytes:
    """The first line of the answer."""
    context = ssl.create_default_context(cafile=options[5])
    context.check_hostname = False
    context.load_cert_chain(options[1])
    with (
        socket.create_connection(("127.0.0.1", port.port), timeout=30) as plain,
        context.wrap_socket(plain) as encrypted,
        encrypted.makefile("rb") as answers,
    ):
        encrypted.sendall(request)
        return answers.readline()


def test_nodes_meet_over_tls(options: list[str]) -> None:
    encrypted = ("--tls-cluster", "yes")
    with (
        node(options, *encrypted) as (one, other_port),
        node(options, *encrypted) as (two, port),
        client_of(one) as first,
        client_of(two) as second,
    ):
        first.call("CLUSTER", "MEET", "127.0.0.1", str(port.port))
        assert until(lambda: states(first) == states(second) == ["connected"])
        second.call("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        assert until(lambda: b"MOVED 0 " in first.call("GET", "{06S}").text)
        # Everybody is sent to a port of the kind by which they came.
        assert ask_over_tls(options, other_port, b"GET {06S}\r\n").endswith(b":%d\r\n" % port.port)
        assert first.call("GET", "{06S}").text.endswith(b":%d" % two.port)


def test_a_plain_node_cannot_join(options: list[str]) -> None:
    with (
        node(options, "--tls-cluster", "yes") as (one, port),
        node(options) as (two, _),
        client_of(one) as first,
        client_of(two) as second,
    ):
        second.call("CLUSTER", "MEET", "127.0.0.1", str(port.port))
        # It gives up, and never got through.
        assert until(lambda: states(second) != [] and states(first) == [])
        assert until(lambda: states(second) == [])
