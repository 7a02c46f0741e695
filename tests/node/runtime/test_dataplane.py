"""The data plane without trio: socket pairs, passes run by hand."""

import socket
from collections.abc import Callable, Iterator

import pytest

from clustrio.node.resp.encoder import OK
from clustrio.node.runtime.dataplane import DataPlane
from clustrio.node.session import Session

from ..harness import MemoryNode


class Client:
    """The far end of a connection that a data plane serves."""

    def __init__(self, plane: DataPlane) -> None:
        ours, self.socket = socket.socketpair()
        self.session = plane.add(ours)
        self.socket.setblocking(False)

    def send(self, data: bytes) -> None:
        self.socket.send(data)

    def heard(self) -> bytes:
        """All that has come back; nothing if nothing has."""
        try:
            return self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""


@pytest.fixture
def plane() -> Iterator[DataPlane]:
    plane = DataPlane(MemoryNode().machine)
    yield plane
    plane.close_all()


@pytest.fixture
def clients(plane: DataPlane) -> Iterator[list[Client]]:
    clients = [Client(plane) for _ in range(3)]
    yield clients
    for client in clients:
        client.socket.close()


def run_pass(plane: DataPlane) -> None:
    plane.serve(plane.poller.poll(0))


def test_replies_leave_after_the_whole_pass_has_run(
    plane: DataPlane, clients: list[Client]
) -> None:
    heard: list[bytes] = []
    calls = 0

    def before_sending() -> None:
        nonlocal calls
        calls += 1
        heard.extend(client.heard() for client in clients)
        # All requests of this pass were carried out.
        assert plane.machine.keyspace.database(0).get(b"2") == b"v"

    plane.before_sending = before_sending
    for number, client in enumerate(clients):
        client.send(b"SET %d v\r\n" % number)
    run_pass(plane)
    assert calls == 1
    assert heard == [b"", b"", b""]
    assert [client.heard() for client in clients] == [OK] * 3
    run_pass(plane)
    assert calls == 1, "nothing was to be sent"


def test_late_replies_wait_for_the_same_hook(plane: DataPlane, clients: list[Client]) -> None:
    waiting, pushing, _ = clients
    order: list[bytes] = []
    plane.before_sending = lambda: order.append(waiting.heard())
    waiting.send(b"BLPOP list 0\r\n")
    run_pass(plane)
    pushing.send(b"RPUSH list a\r\n")
    run_pass(plane)
    # Once for the reply to RPUSH, once for that to BLPOP.
    assert order == [b"", b""]
    assert pushing.heard() == b":1\r\n"
    assert waiting.heard() == b"*2\r\n$4\r\nlist\r\n$1\r\na\r\n"


def test_the_reply_goes_out_before_the_connection_is_closed(
    plane: DataPlane, clients: list[Client]
) -> None:
    client = clients[0]
    client.send(b"QUIT\r\n")
    run_pass(plane)
    assert client.heard() == OK
    assert client.session.transport is None


@pytest.mark.parametrize("size", [478, 479, 480, 16_383, 16_384, 16_385, 300_000])
def test_requests_of_any_size_are_read_whole(
    plane: DataPlane, clients: list[Client], size: int
) -> None:
    client = clients[0]
    client.socket.setblocking(True)
    head = b"*2\r\n$4\r\nECHO\r\n$%d\r\n"
    payload = b"x" * (size - len(head % size) - 2)
    request = head % len(payload) + payload + b"\r\n"
    for _ in range(3):
        sent = 0
        answer = b""
        while len(answer) < len(payload) + 2:
            if sent < len(request):
                sent += client.socket.send(request[sent : sent + 60_000])
            run_pass(plane)
            client.socket.setblocking(False)
            answer += client.heard()
            client.socket.setblocking(True)
        assert answer == b"$%d\r\n%b\r\n" % (len(payload), payload)


class Story(list[str]):
    """What happened, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.on_begin: Callable[[], object] = list


def make_busy(plane: DataPlane, session: Session) -> Story:
    """Have each PING of `session` serve others before it answers."""
    command = plane.machine.gate.commands[b"PING"]
    plain = command.function
    story = Story()

    def ping(caller: Session, args: list[bytes]) -> bytes:
        if caller is session:
            story.append("begin")
            on_begin, story.on_begin = story.on_begin, list
            on_begin()
            plane.serve_while_busy(session)
            story.append("end")
        else:
            story.append("other")
        return plain(caller, args)

    command.function = ping
    return story


def test_others_are_served_while_a_command_is_busy(plane: DataPlane, clients: list[Client]) -> None:
    busy, other, early = clients
    order = make_busy(plane, busy.session)
    early.send(b"SET k v\r\n")
    run_pass(plane)
    assert early.heard() == OK
    busy.send(b"*1\r\n$4\r\nPING\r\n")
    events = plane.poller.poll(0)
    other.send(b"*1\r\n$4\r\nPING\r\n")
    # The command meets both of these, and must leave what its own client sends next alone.
    order.on_begin = lambda: busy.send(b"*1\r\n$4\r\nPING\r\n")
    plane.serve(events)
    assert order == ["begin", "other", "end"]
    assert other.heard() == b"+PONG\r\n"
    assert busy.heard() == b"+PONG\r\n"
    run_pass(plane)
    assert busy.heard() == b"+PONG\r\n"


def test_replies_keep_their_order_when_a_command_is_busy(
    plane: DataPlane, clients: list[Client]
) -> None:
    busy, other, _ = clients
    make_busy(plane, busy.session)
    other.send(b"ECHO first\r\n")
    busy.send(b"PING\r\n")
    events = sorted(plane.poller.poll(0), key=lambda event: event[0] == busy.session.descriptor)
    command = plane.machine.gate.commands[b"ECHO"]
    plain = command.function

    def echo(caller: Session, args: list[bytes]) -> bytes:
        if args[1] == b"first":
            assert other.heard() == b""
            other.send(b"ECHO second\r\n")
        return plain(caller, args)

    command.function = echo
    plane.serve(events)
    assert other.heard() == b"$5\r\nfirst\r\n$6\r\nsecond\r\n"
    assert busy.heard() == b"+PONG\r\n"


def test_a_busy_session_that_is_killed_ends_after_its_command(
    plane: DataPlane, clients: list[Client]
) -> None:
    busy, other, _ = clients
    order = make_busy(plane, busy.session)
    busy.send(b"PING\r\n")
    events = plane.poller.poll(0)
    other.send(b"CLIENT KILL ID %d\r\n" % busy.session.id)
    plane.serve(events)
    assert order == ["begin", "end"]
    assert other.heard() == b":1\r\n"
    assert busy.session.transport is None
