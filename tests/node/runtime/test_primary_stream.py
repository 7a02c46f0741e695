"""The stream of a primary, read by the data plane in its passes."""

import socket
from collections.abc import Iterator

import pytest
import trio
import trio.testing

from clustrio.node.replay import ReplayError
from clustrio.node.replication.replica import LinkError, LinkState
from clustrio.node.runtime.dataplane import DataPlane
from clustrio.node.runtime.primary_stream import DirectReader, StreamApplier

from ...support.raw import encode_command
from ..harness import MemoryNode


class Replica:
    """A replica in memory, and the far end of its link."""

    def __init__(self) -> None:
        self.node = MemoryNode()
        self.machine = self.node.machine
        self.plane = DataPlane(self.machine)
        replication = self.machine.replication
        replication.follow("10.0.0.1", 7000)
        replication.on_full_copy(b"e" * 40, 0)
        replication.on_link(LinkState.CONNECTED)
        self.link, self.primary = socket.socketpair()
        self.link.setblocking(False)
        self.session = self.machine.connect("10.0.0.1:7000", "")
        self.acks: list[int] = []
        self.reader = DirectReader(
            self.plane,
            self.link.fileno(),
            StreamApplier(self.plane, self.session),
            lambda: self.acks.append(replication.offset),
        )

    def send(self, *words: str) -> int:
        data = encode_command([word.encode() for word in words])
        self.primary.sendall(data)
        return len(data)

    def run_pass(self) -> None:
        self.plane.serve(self.plane.poller.poll(0))


@pytest.fixture
def replica() -> Iterator[Replica]:
    replica = Replica()
    yield replica
    replica.plane.close_all()
    replica.link.close()
    replica.primary.close()


async def attended(replica: Replica, nursery: trio.Nursery, failures: list[Exception]) -> None:
    """Have the reader run."""

    async def run() -> None:
        try:
            await replica.reader.run()
        except (LinkError, ReplayError, OSError) as failure:
            failures.append(failure)

    nursery.start_soon(run)
    await trio.testing.wait_all_tasks_blocked()


def test_what_comes_is_applied_in_the_next_pass(replica: Replica) -> None:
    async def main() -> None:
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            await attended(replica, nursery, failures)
            sent = replica.send("SELECT", "0") + replica.send("SET", "a", "1")
            replica.run_pass()
            assert replica.node.call("GET", "a") == b"1"
            assert replica.machine.replication.offset == sent
            assert replica.acks == []
            sent += replica.send("REPLCONF", "GETACK", "*")
            replica.run_pass()
            assert replica.acks == [sent]
            replica.primary.close()
            replica.run_pass()
        assert [str(each) for each in failures] == ["Connection with master lost."]

    trio.run(main)


def test_nothing_of_a_former_primary_is_applied(replica: Replica) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await attended(replica, nursery, [])
            assert replica.node.call("REPLICAOF", "NO", "ONE") == "OK"
            offset = replica.machine.replication.offset
            replica.send("SET", "a", "1")
            replica.run_pass()
            assert replica.node.call("GET", "a") is None
            assert replica.machine.replication.offset == offset
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_nothing_is_applied_in_the_middle_of_a_command(replica: Replica) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await attended(replica, nursery, [])
            replica.send("SET", "a", "1")
            replica.plane.serve_while_busy(replica.machine.connect("127.0.0.1:1", ""))
            assert replica.node.call("GET", "a") is None
            replica.run_pass()
            assert replica.node.call("GET", "a") == b"1"
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_a_client_may_end_the_link_and_nonsense_does(replica: Replica) -> None:
    async def main() -> None:
        failures: list[Exception] = []
        async with trio.open_nursery() as nursery:
            await attended(replica, nursery, failures)
            replica.send("NONSENSE")
            replica.run_pass()
        async with trio.open_nursery() as nursery:
            replica.reader = DirectReader(
                replica.plane,
                replica.link.fileno(),
                StreamApplier(replica.plane, replica.session),
                lambda: None,
            )
            await attended(replica, nursery, failures)
            replica.session.close(after_reply=False)
            replica.send("SET", "a", "1")
            replica.run_pass()
        assert [type(each) for each in failures] == [ReplayError, LinkError]
        assert replica.node.call("GET", "a") is None

    trio.run(main)


def test_the_log_has_what_was_applied(replica: Replica) -> None:
    written: list[bytes | None] = []
    replica.plane.before_sending = lambda: written.append(replica.node.call("GET", "a"))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await attended(replica, nursery, [])
            replica.send("SET", "a", "1")
            replica.run_pass()
            nursery.cancel_scope.cancel()

    trio.run(main)
    assert written == [b"1"]
