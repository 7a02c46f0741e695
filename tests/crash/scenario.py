"""A node with files in a forked process that may be killed at any operation on its disk.

The child serves one client in memory, with the real `ServerPersistence` on a `FaultyDisk`; what it
acknowledges, it tells through a pipe, after the point at which the replies would have left.
"""

import os
import traceback
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from random import Random
from time import perf_counter_ns, time, time_ns

import trio

from clustrio.node.config import Config
from clustrio.node.machine import Machine
from clustrio.node.runtime.disk import Disk
from clustrio.node.runtime.log import RedisLog
from clustrio.node.runtime.persistence import ServerPersistence

from ..node.harness import Plain, decode_replies
from ..support.raw import encode_command

#: Exit codes of a child: it got to its end; it could not even load; it failed in another way.
DONE, NOT_LOADED, BROKEN = 0, 3, 4


class Plane:
    """Where the data plane would be."""

    before_sending: Callable[[], None] | None = None


class Node:
    """A machine with files and one client."""

    def __init__(self, disk: Disk, settings: str) -> None:
        config = Config()
        config.load(f"enable-debug-command yes\n{settings}")
        self.log = RedisLog("log.txt")
        self.machine = Machine(
            config, self.log, Random(1), perf_counter_ns, now_ms=int(time() * 1000)
        )
        self.machine.unix_time_us = lambda: time_ns() // 1000
        self.plane = Plane()
        self.files = ServerPersistence(self.machine, self.plane, self.log, disk)
        self.session = self.machine.connect("127.0.0.1:5000", "127.0.0.1:6379")

    def call(self, *words: bytes | str | int) -> Plain:
        """One command; when this returns, the reply would have left."""
        self.machine.clock.now_ms = int(time() * 1000)
        encoded = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        data = self.machine.receive(self.session, encode_command(encoded))
        if self.plane.before_sending is not None:
            self.plane.before_sending()
        return decode_replies(data)[0]

    def tick(self) -> None:
        """What the timer does."""
        self.machine.clock.now_ms = int(time() * 1000)
        self.machine.tick(lambda: False)

    async def wait_for_child(self) -> None:
        """Until no child runs."""
        while self.machine.persistence.child is not None:
            await trio.lowlevel.checkpoint()

    async def write_rest(self) -> None:
        """Until nothing waits for the log: the timer tries again what the disk refused."""
        while self.files.files.waiting_bytes:
            self.tick()
            await trio.lowlevel.checkpoint()


Story = Callable[[Node, Callable[[str], None]], Awaitable[None]]


def run_story(directory: Path, disk: Disk, settings: str, story: Story) -> tuple[int, list[str]]:
    """Run a story in a child; how it ended (negative: by a signal), and what it acknowledged."""
    readable, writable = os.pipe()
    pid = os.fork()
    if not pid:
        code = BROKEN
        try:
            os.close(readable)
            os.chdir(directory)
            code = trio.run(_live, disk, settings, story, writable)
        except BaseException:
            with open("broken.txt", "a") as file:
                traceback.print_exc(file=file)
        finally:
            os._exit(code)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        told = pipe.read().decode().splitlines()
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), told


async def _live(disk: Disk, settings: str, story: Story, writable: int) -> int:
    def tell(text: str) -> None:
        os.write(writable, f"{text}\n".encode())

    node = Node(disk, settings)
    code = DONE
    async with trio.open_nursery() as nursery:
        await nursery.start(node.files.run)
        if await node.files.load_at_start(lambda: None):
            await story(node, tell)
        else:
            code = NOT_LOADED
        nursery.cancel_scope.cancel()
    return code


def broken(directory: Path) -> str:
    """What a child that failed in another way had to say."""
    path = directory / "broken.txt"
    return path.read_text() if path.exists() else ""


__all__: Sequence[str] = ("BROKEN", "DONE", "NOT_LOADED", "Node", "broken", "run_story")
