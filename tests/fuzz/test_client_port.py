"""Random, mutated and truncated bytes at the client port: the server lives, and agrees.

    python -m pytest tests/fuzz --fuzz-inputs 100000 --seed 7

Each input goes to a connection of its own, whose sending side is then closed; all that the server
answers until it closes too is read. That makes the whole answer comparable byte for byte.
"""

import socket
from collections.abc import Iterator
from random import Random
from typing import Final

import pytest

from ..support.raw import simple
from ..support.servers import ServerProcess, client_of, require_redis, start_clustrio, start_redis
from .mutate import cut, draw_input, show_bytes

pytestmark = pytest.mark.slow

BATCH_INPUTS: Final = 250
#: What a server may grow by in all, however many inputs it gets.
GROWTH_BYTES_MAX: Final = 64 * 1024 * 1024


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_clustrio() as running:
        yield running


@pytest.fixture(scope="module")
def real() -> Iterator[ServerProcess]:
    require_redis()
    with start_redis() as running:
        yield running


def answer(server: ServerProcess, parts: list[bytes]) -> bytes:
    """All that comes back for these packets until the server closes."""
    client = client_of(server)
    with client:
        try:
            for part in parts:
                client.send_raw(part)
            client.socket.shutdown(socket.SHUT_WR)
        except OSError:
            # The server has had enough already; what it said is still to be read.
            pass
        return client.read_to_end()


def assert_healthy(server: ServerProcess, first_rss_bytes: int, last_input: list[bytes]) -> None:
    assert server.is_running(), f"died of {show_bytes(last_input)}:\n{server.log()[-3000:]}"
    with client_of(server) as client:
        assert client.call("PING") == simple("PONG")
    grown_bytes = server.rss_bytes() - first_rss_bytes
    assert grown_bytes < GROWTH_BYTES_MAX, f"grew by {grown_bytes} bytes"


def test_no_input_kills_or_bloats_the_server(
    server: ServerProcess, seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"survival {seed}")
    first_rss_bytes = server.rss_bytes()
    for count in range(pytestconfig.option.fuzz_inputs):
        parts = cut(draw_input(random), random)
        with client_of(server) as client:
            try:
                for part in parts:
                    client.send_raw(part)
            except ConnectionError:
                pass
        if count % BATCH_INPUTS == BATCH_INPUTS - 1:
            assert_healthy(server, first_rss_bytes, parts)
    assert_healthy(server, first_rss_bytes, [])


@pytest.mark.redis_server
def test_every_input_gets_the_answer_that_a_real_server_gives(
    server: ServerProcess, real: ServerProcess, seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"agreement {seed}")
    for each in (server, real):
        with client_of(each) as client:
            client.call("FLUSHALL")
    for count in range(pytestconfig.option.fuzz_inputs):
        parts = cut(draw_input(random), random)
        ours, theirs = answer(server, parts), answer(real, parts)
        assert ours == theirs, f"seed {seed}, input {count}: {show_bytes(parts)}"


def test_connections_that_stay_open_half_way_cost_little(server: ServerProcess, seed: int) -> None:
    random = Random(f"half way {seed}")
    first_rss_bytes = server.rss_bytes()
    clients = []
    for _ in range(200):
        client = client_of(server)
        # A promise of half a gigabyte, and then nothing.
        client.send_raw(b"*2\r\n$4\r\nECHO\r\n$500000000\r\n" + random.randbytes(100))
        clients.append(client)
    assert_healthy(server, first_rss_bytes, [])
    for client in clients:
        client.close()
