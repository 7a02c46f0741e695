"""Nodes as threads of this process: each has an event loop of its own, so that it can be frozen
and crashed without the others noticing more than they would from another process.

Owns the threads. Rules: whatever touches a node runs in its thread, handed in by its trio token; a
frozen node blocks its whole thread, so nothing of it moves.
"""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import trio

from ...node.config import ConfigError
from ...node.version import REDIS_VERSION
from .engine import Launch
from .errors import NodeDownError, NodeStartError
from .full_disk import FillableDisk
from .scripted import ScriptedReply
from .server import LocalServer

_START_TIMEOUT_S = 30.0
_END_TIMEOUT_S = 10.0


class _ThreadNode:
    """One node in its thread."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._gate = threading.Event()
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._scope = trio.CancelScope()
        #: Of the thread's event loop; None until that runs.
        self._token: trio.lowlevel.TrioToken | None = None
        self.is_paused = False
        self.disk = FillableDisk(is_full=launch.has_full_disk)
        name = f"clustrio-node-{launch.plan.index}"
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.thread.start()

    def wait_until_ready(self) -> None:
        """Return once it listens."""
        self._ready.wait(_START_TIMEOUT_S)
        if self._failure is not None or not self._ready.is_set():
            why = self._failure or "hangs"
            raise NodeStartError(f"node {self._launch.plan.index}: {why}") from self._failure

    def _run(self) -> None:
        launch = self._launch
        try:
            self._server = LocalServer(
                launch.options, launch.seed, own_process=False, disk=self.disk
            )
            try:
                self._server.prepare(is_fresh=launch.is_fresh)
            except BaseException:
                # Whatever it had bound by then, another try must be able to bind.
                self._server.crash()
                raise
        except ConfigError as failure:
            self._failure = NodeStartError(failure.fatal_text(REDIS_VERSION))
            self._ready.set()
            return
        except Exception as failure:
            self._failure = failure
            self._ready.set()
            return
        try:
            trio.run(self._serve)
        except BaseException as failure:
            self._failure = failure
            self._server.log.exception("The node failed", failure)
            self._ready.set()
            self._server.crash()

    async def _serve(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._ready.set()
        with self._scope:
            await self._server.run()
            self._server.forget_files()
        if self._scope.cancelled_caught:
            self._server.crash()

    def call(self, *calls: object) -> None:
        """Have the thread run something soon; one that did not come to run has nothing to do."""
        self._ready.wait(_START_TIMEOUT_S)
        if self._token is None:
            return
        for each in calls:
            assert callable(each)
            try:
                self._token.run_sync_soon(each)
            except trio.RunFinishedError:
                return

    def pause(self) -> None:
        """Freeze the thread; returns once it stands still."""
        stands = threading.Event()
        self._gate.clear()

        def freeze() -> None:
            stands.set()
            self._gate.wait()

        self.call(freeze)
        if not stands.wait(_END_TIMEOUT_S):
            raise NodeDownError(f"node {self._launch.plan.index} does not stand still")
        self.is_paused = True

    def resume(self) -> None:
        """Let it go on."""
        self.is_paused = False
        self._gate.set()

    def end(self, *, in_order: bool) -> None:
        """End the thread."""
        self.call(self._server.request_stop if in_order else self._scope.cancel)
        self.resume()
        self.thread.join(_END_TIMEOUT_S)
        if self.thread.is_alive():
            raise NodeDownError(f"node {self._launch.plan.index} does not end")

    def script(self, rule: ScriptedReply | None) -> None:
        """Change what it answers."""
        script = self._server.script
        if rule is None:
            script.clear()
        else:
            script.add(rule)


class ThreadEngine:
    """All nodes in this process."""

    def __init__(self) -> None:
        self._nodes: dict[int, _ThreadNode] = {}

    def start(self, launches: Sequence[Launch]) -> None:
        """Start all of them, then wait for each."""
        for launch in launches:
            Path(launch.plan.folder).mkdir(parents=True, exist_ok=True)
            self._nodes[launch.plan.index] = _ThreadNode(launch)
        for launch in launches:
            self._nodes[launch.plan.index].wait_until_ready()

    def is_alive(self, index: int) -> bool:
        """Whether its thread runs."""
        node = self._nodes.get(index)
        return node is not None and node.thread.is_alive()

    def pid(self, index: int) -> int:
        """This process."""
        return os.getpid()

    def kill(self, index: int) -> None:
        """End it as a crash does."""
        self._nodes.pop(index).end(in_order=False)

    def stop(self, index: int) -> None:
        """End it in good order."""
        self._nodes.pop(index).end(in_order=True)

    def pause(self, index: int) -> None:
        """Freeze its thread."""
        self._nodes[index].pause()

    def resume(self, index: int) -> None:
        """Let its thread go on."""
        self._nodes[index].resume()

    def set_disk_full(self, index: int, *, is_full: bool) -> None:
        """What it writes fails, or goes well again."""
        self._nodes[index].disk.set_full(is_full=is_full)

    def script(self, index: int, rule: ScriptedReply | None) -> None:
        """Change what it answers."""
        self._nodes[index].script(rule)

    def close(self) -> None:
        """Crash them all: nobody needs what they have."""
        for index in list(self._nodes):
            if self.is_alive(index):
                self.kill(index)
        self._nodes.clear()
