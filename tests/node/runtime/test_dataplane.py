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


def test_others_than_clients_are_called_in_the_pass(plane: DataPlane) -> None:
    ours, theirs = socket.socketpair()
    heard: list[bytes] = []
    busy: list[bool] = []

    def on_readable() -> None:
        busy.append(plane.is_in_command)
        heard.append(ours.recv(100))

    plane.attend(ours.fileno(), on_readable)
    run_pass(plane)
    assert heard == []
    theirs.send(b"one")
    run_pass(plane)
    assert heard == [b"one"]
    theirs.send(b"two")
    session = plane.machine.connect("127.0.0.1:1", "127.0.0.1:2")
    plane.serve_while_busy(session)
    assert (heard, busy) == ([b"one", b"two"], [False, True])
    plane.disregard(ours.fileno())
    plane.disregard(ours.fileno())
    theirs.send(b"three")
    run_pass(plane)
    assert heard == [b"one", b"two"]
    ours.close()
    theirs.close()


def test_who_was_read_but_not_run_is_served_while_a_command_is_busy(plane: DataPlane) -> None:
    crowd = [Client(plane) for _ in range(20)]
    busy, *others = crowd
    order = make_busy(plane, busy.session)
    for client in others:
        client.send(b"*1\r\n$4\r\nPING\r\n")
    busy.send(b"*1\r\n$4\r\nPING\r\n")
    # The busy one comes first, so that all others have been read and wait when it begins.
    events = sorted(plane.poller.poll(0), key=lambda event: event[0] != busy.session.descriptor)
    order.on_begin = lambda: others[0].send(b"*2\r\n$4\r\nECHO\r\n$4\r\nnext\r\n")
    plane.serve(events)
    assert order == ["begin", *["other"] * len(others), "end"]
    heard = [client.heard() for client in crowd]
    assert heard[1] == b"+PONG\r\n$4\r\nnext\r\n"
    assert [heard[0], *heard[2:]] == [b"+PONG\r\n"] * (len(crowd) - 1)
    for client in crowd:
        client.socket.close()


def test_a_crowd_is_answered_each_by_itself() -> None:
    node = MemoryNode()
    node.observe(False)
    plane = DataPlane(node.machine)
    crowd = [Client(plane) for _ in range(30)]
    for round_number in range(3):
        for number, client in enumerate(crowd):
            client.send(b"*3\r\n$3\r\nSET\r\n$2\r\n%02d\r\n$1\r\n%d\r\n" % (number, round_number))
        run_pass(plane)
        assert [client.heard() for client in crowd] == [OK] * len(crowd)
        for number, client in enumerate(crowd):
            client.send(b"*2\r\n$3\r\nGET\r\n$2\r\n%02d\r\n" % number)
        # Among them are one that is half there, one that says two things, and one that is odd.
        crowd[3].send(b"*1\r\n$4\r\nPI")
        crowd[4].send(b"*1\r\n$4\r\nPING\r\n")
        crowd[5].send(b"PING\r\n")
        run_pass(plane)
        crowd[3].send(b"NG\r\n")
        run_pass(plane)
        reply = b"$1\r\n%d\r\n" % round_number
        expected = [reply] * len(crowd)
        expected[3] = expected[4] = expected[5] = reply + b"+PONG\r\n"
        assert [client.heard() for client in crowd] == expected
    plane.close_all()
    for client in crowd:
        client.socket.close()
