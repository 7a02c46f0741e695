"""What becomes of a replica's data when a full copy takes its place, whatever happens meanwhile."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from clustrio.node.loading import Loading
from clustrio.node.persistence.rdb import SnapshotFacts, write_snapshot
from clustrio.node.runtime import replica_link
from clustrio.node.runtime.server import Server

from ..harness import MemoryNode
from .test_server import running

KEYS = 2_000
IDENTITY = b"e" * 40


def copy_of_a_primary() -> bytes:
    """A snapshot large enough to be loaded in many pieces."""
    node = MemoryNode()
    for number in range(KEYS):
        node.call("SET", f"key:{number}", f"{number}:" + "v" * 500)
    snapshot = write_snapshot(node.machine.keyspace, SnapshotFacts(), compress=False)
    return b"".join(snapshot)


class Primary:
    """Sends one copy, and listens until it is ended."""

    def __init__(self, snapshot: bytes) -> None:
        self.snapshot = snapshot
        self.copies = 0
        self.life = trio.CancelScope()

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            held = b""
            while b"PSYNC" not in held:
                piece = await stream.receive_some()
                if not piece:
                    return
                held += piece
                answers = {b"PING": b"+PONG\r\n", b"REPLCONF": b"+OK\r\n"}
                for word, answer in answers.items():
                    await stream.send_all(answer * piece.upper().count(b"\n%b\r" % word))
            if self.copies:
                return
            self.copies += 1
            await stream.send_all(b"+FULLRESYNC %b 7\r\n" % IDENTITY)
            await stream.send_all(b"$%d\r\n%b" % (len(self.snapshot), self.snapshot))
            with self.life:
                while await stream.receive_some():
                    pass


def count_keys(server: Server) -> int:
    return server.machine.keyspace.database(0).key_count()


async def until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(60):
        while not condition():
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("event", ["the primary dies", "another primary is to be followed"])
async def test_a_copy_that_is_here_is_loaded_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: str
) -> None:
    """Else a replica is without data, or has half of it, just when it is needed."""
    # Whoever is dead is found out at once.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(replica_link, "_ACK_S", 0.0)
    primary = Primary(copy_of_a_primary())
    progress, seen = Loading.progress, []

    def watched(loading: Loading, count_bytes: int) -> None:
        progress(loading, count_bytes)
        seen.append(count_bytes)
        if len(seen) == 2:
            if event == "the primary dies":
                primary.life.cancel()
            else:
                loading._machine.replication.follow("127.0.0.1", 1)

    monkeypatch.setattr(Loading, "progress", watched)
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listeners[0].socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, primary.serve, listeners)
        async with running(tmp_path, "appendonly no") as server:
            replication = server.machine.replication
            replication.follow("127.0.0.1", port)
            await until(lambda: len(seen) >= 2 and not server.machine.loading.is_active)
            assert count_keys(server) == KEYS
            assert not replication.has_lost_data
            await until(lambda: replication.history.identity == IDENTITY)
            assert (replication.offset, replication.may_resume) == (7, True)
        nursery.cancel_scope.cancel()
