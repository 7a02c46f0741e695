"""Random, mutated and truncated bytes at the client port: the server lives, and agrees.

    python -m pytest tests/fuzz --fuzz-inputs 100000 --seed 7

Each input goes to a connection of its own, whose sending side is then closed; all that the server
answers until it closes too is read. That makes the whole answer comparable byte for byte.
"""

import contextlib
import re
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


#: What is read differently on purpose: counts beyond our limit of a million arguments, a plus or a
#: zero in front of the length of a bulk string, and a status line in place of one.
_READ_DIFFERENTLY = re.compile(rb"\*\d{7}|\$[+0]\d|\n\+").search


@pytest.fixture(scope="module")
def shared_server() -> Iterator[ServerProcess]:
    with start_clustrio() as running:
        yield running


@pytest.fixture
def server(shared_server: ServerProcess) -> ServerProcess:
    """A running server, whatever the test before has done to it."""
    if not shared_server.is_running():
        shared_server.restart()
    return shared_server


@pytest.fixture(scope="module")
def real() -> Iterator[ServerProcess]:
    require_redis()
    with start_redis() as running:
        yield running


def answer(server: ServerProcess, parts: list[bytes]) -> bytes:
    """All that comes back for these packets until the server closes."""
    with client_of(server) as client:
        # A server that has had enough hangs up; what it said is still to be read.
        with contextlib.suppress(OSError):
            for part in parts:
                client.send_raw(part)
            client.socket.shutdown(socket.SHUT_WR)
        return client.read_to_end()


def assert_same_answer(ours: ServerProcess, theirs: ServerProcess, parts: list[bytes]) -> None:
    """Send the same packets to both; the failure shows all bytes of both answers."""
    our_answer, their_answer = answer(ours, parts), answer(theirs, parts)
    if our_answer != their_answer:
        pytest.fail(
            f"sent:     {show_bytes(parts)}\n"
            f"clustrio: {our_answer!r}\n"
            f"redis:    {their_answer!r}\n{ours.log()[-1500:] if not ours.is_running() else ''}",
            pytrace=False,
        )


def assert_healthy(server: ServerProcess, first_rss_bytes: int) -> None:
    try:
        with client_of(server) as client:
            assert client.call("PING") == simple("PONG")
    except OSError as failure:
        pytest.fail(f"no PONG but {failure}; its log ends:\n{server.log()[-3000:]}", pytrace=False)
    grown_bytes = server.rss_bytes() - first_rss_bytes
    assert grown_bytes < GROWTH_BYTES_MAX, f"grew by {grown_bytes} bytes"


def test_no_input_kills_or_bloats_the_server(
    server: ServerProcess, seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"survival {seed}")
    first_rss_bytes = server.rss_bytes()
    for count in range(pytestconfig.option.fuzz_inputs):
        parts = cut(draw_input(random), random)
        with contextlib.suppress(ConnectionError), client_of(server) as client:
            for part in parts:
                client.send_raw(part)
        assert server.is_running(), f"died of {show_bytes(parts)}:\n{server.log()[-3000:]}"
        if count % BATCH_INPUTS == BATCH_INPUTS - 1:
            assert_healthy(server, first_rss_bytes)
    assert_healthy(server, first_rss_bytes)


@pytest.mark.redis_server
def test_every_input_gets_the_answer_that_a_real_server_gives(
    server: ServerProcess, real: ServerProcess, seed: int, pytestconfig: pytest.Config
) -> None:
    random = Random(f"agreement {seed}")
    for each in (server, real):
        with client_of(each) as client:
            client.call("FLUSHALL")
    for _ in range(pytestconfig.option.fuzz_inputs):
        data = draw_input(random)
        if not _READ_DIFFERENTLY(data):
            assert_same_answer(server, real, cut(data, random))


def test_connections_that_stay_open_half_way_cost_little(server: ServerProcess, seed: int) -> None:
    random = Random(f"half way {seed}")
    first_rss_bytes = server.rss_bytes()
    clients = []
    for _ in range(200):
        client = client_of(server)
        # A promise of half a gigabyte, and then nothing.
        client.send_raw(b"*2\r\n$4\r\nECHO\r\n$500000000\r\n" + random.randbytes(100))
        clients.append(client)
    assert_healthy(server, first_rss_bytes)
    for client in clients:
        client.close()
