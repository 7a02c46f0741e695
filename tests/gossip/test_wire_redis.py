"""A real redis-server reads what `wire` writes, and the other way round."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Self

import pytest
from attrs import evolve

from clustrio.gossip.frame import NEED_DATA, FrameLimits, FrameReader
from clustrio.gossip.messages import (
    ForgottenNode,
    GossipEntry,
    Header,
    Heartbeat,
    Hostname,
    HumanNodename,
    Ignored,
    Meet,
    Message,
    MessageFlag,
    NodeFlag,
    Ping,
    Pong,
    Publish,
    ShardId,
    Update,
)
from clustrio.gossip.wire import decode_untrusted, encode

from ..support.servers import ServerProcess, client_of, start_redis

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]

BUS_OFFSET = 10_000
DEADLINE_S = 30.0
MY_ID, OTHER_ID = "c1" * 20, "d2" * 20
SLOTS_0_TO_7 = b"\xff" + bytes(2047)
EXTENSIONS = (
    Hostname("bus.example.com"),
    # Those of 7.2 and later, which 7.0 has to step over.
    HumanNodename("nick"),
    ShardId(MY_ID),
    ForgottenNode("e3" * 20, 60),
)


class Peer:
    """A bus link as a blocking socket."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(DEADLINE_S)
        self._connection = connection
        self._reader = FrameReader(FrameLimits())

    def send(self, message: Message) -> None:
        self._connection.sendall(encode(message))

    def receive(self) -> Message:
        while (frame := self._reader.next_frame()) is NEED_DATA:
            data = self._connection.recv(65536)
            assert data, "the server closed the link"
            self._reader.feed(data)
        return decode_untrusted(frame)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._connection.close()


def eventually(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.02)


def nodes_line(server: ServerProcess, node_id: str) -> str:
    with client_of(server) as client:
        text = client.call("CLUSTER", "NODES").text.decode()
    return next((line for line in text.splitlines() if line.startswith(node_id)), "")


@contextmanager
def acquainted() -> Iterator[tuple[ServerProcess, Peer, Header]]:
    """A server that has met us, a link to it, and the header that it knows us by."""
    with (
        start_redis("--cluster-enabled", "yes") as server,
        socket.create_server(("127.0.0.1", 0)) as listener,
        Peer(socket.create_connection(("127.0.0.1", server.port + BUS_OFFSET))) as outgoing,
    ):
        listener.settimeout(DEADLINE_S)
        header = Header(
            sender=MY_ID,
            current_epoch=5,
            config_epoch=5,
            offset=77,
            port=1234,
            cport=listener.getsockname()[1],
            flags=NodeFlag.PRIMARY | NodeFlag.MYSELF,
            message_flags=MessageFlag.EXT_DATA,
            slots=SLOTS_0_TO_7,
        )
        outgoing.send(Meet(header, (), EXTENSIONS))
        first = outgoing.receive()
        assert isinstance(first, Pong)
        assert (first.header.port, first.header.cport) == (server.port, server.port + BUS_OFFSET)
        assert first.header.flags & NodeFlag.MYSELF
        with Peer(listener.accept()[0]) as incoming:
            handshake = incoming.receive()
            assert isinstance(handshake, Heartbeat)
            assert handshake.header.sender == first.header.sender
            incoming.send(Pong(header))
            eventually(lambda: nodes_line(server, MY_ID) != "")
            yield server, outgoing, header


def test_a_redis_node_takes_our_heartbeats() -> None:
    with acquainted() as (server, link, header):
        entry = GossipEntry(OTHER_ID, 0, 1, "127.0.0.1", 1, 2, NodeFlag.PRIMARY)
        link.send(Ping(header, (entry,), EXTENSIONS))
        assert isinstance(link.receive(), Pong)
        fields = nodes_line(server, MY_ID).split()
        assert fields[1:3] == [f"127.0.0.1:1234@{header.cport},bus.example.com", "master"]
        assert (fields[6], fields[8:]) == ("5", ["0-7"])
        log = server.log()
        # 7.0 says so for each extension of 7.2, and steps over it.
        assert [f"unknown extension type {number}" in log for number in (1, 2, 3)] == [True] * 3
        assert "invalid" not in log


def test_a_redis_node_takes_our_other_messages() -> None:
    with acquainted() as (server, link, header):
        # A module's message is nothing to it, but must not cost the link.
        link.send(Ignored(header, 9, b"\0" * 13))
        with client_of(server) as subscriber:
            subscriber.call("SUBSCRIBE", "news")
            link.send(Publish(header, b"news", b"from \x00 us"))
            assert subscriber.read().items[2].text == b"from \x00 us"
        link.send(Update(header, 9, MY_ID, b"\x0f" + bytes(2047)))
        link.send(Ping(evolve(header, slots=bytes(2048))))
        assert isinstance(link.receive(), Pong)
        fields = nodes_line(server, MY_ID).split()
        assert (fields[6], fields[8:]) == ("9", ["0-3"])
        assert "invalid" not in server.log()


def test_a_redis_node_promises_nothing() -> None:
    """It does not look at the bytes of our questions, and leaves those of the answers at 0."""
    with acquainted() as (server, link, header):
        link.send(Ping(evolve(header, asks=200, promises=100)))
        answer = link.receive()
        assert isinstance(answer, Pong)
        assert (answer.header.asks, answer.header.promises) == (0, 0)
        assert nodes_line(server, MY_ID).split()[8:] == ["0-7"]
        assert "invalid" not in server.log()
