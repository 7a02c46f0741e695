"""The one child of a server: as in Redis, never more than one writes at a time.

Whoever starts it says what is to be done at its end, which is told once: when it ends by itself, or
when somebody has no use for its work any more (`stop`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import trio

from ..persistence.status import ChildKind
from .child import Child, ChildResult, PipeWriter, start_child
from .log import RedisLog

if TYPE_CHECKING:
    from ..machine import Machine

OnEnd = Callable[[Child, ChildResult], None]


class OneChild:
    """Starts children, and sees to their end."""

    def __init__(self, machine: "Machine", log: RedisLog) -> None:
        self._machine = machine
        self._log = log
        self._child: Child | None = None
        self._on_end: OnEnd | None = None
        #: Whoever reads the pipe closes it.
        self._is_pipe_lent = False
        #: Where children are waited for; None until the server runs.
        self.nursery: trio.Nursery | None = None

    def start(
        self,
        kind: ChildKind,
        job: Callable[[PipeWriter], int | None],
        on_end: OnEnd,
        *,
        feeds_replicas: bool = False,
        lends_pipe: bool = False,
    ) -> Child | None:
        """Fork; None if that failed. With `lends_pipe` the caller reads the pipe to its end, and
        then says `settle`."""
        nursery, state = self.nursery, self._machine.persistence
        assert nursery is not None, "children need a running server"
        assert state.child is None
        state.prepare_child()
        started_ns = self._machine.timer()
        try:
            child = start_child(job, self._log)
        except OSError as failure:
            self._log.warning(f"Can't save in background: fork: {failure.strerror}")
            return None
        state.last_fork_us = (self._machine.timer() - started_ns) // 1000
        state.fork_count += 1
        self._machine.latency.note("fork", state.last_fork_us // 1000)
        self._child, self._on_end, self._is_pipe_lent = child, on_end, lends_pipe
        state.begin_child(kind, feeds_replicas=feeds_replicas)
        if not lends_pipe:
            nursery.start_soon(self._attend, child)
        return child

    async def _attend(self, child: Child) -> None:
        await child.wait()
        self.settle(child)

    def settle(self, child: Child) -> None:
        """A child has ended; whoever sees it first says so."""
        result, on_end = child.result, self._on_end
        if self._child is not child or result is None or on_end is None:
            return
        self._child = self._on_end = None
        try:
            on_end(child, result)
        finally:
            if not self._is_pipe_lent:
                child.close()

    def stop(self) -> None:
        """End the child, if there is one: its work is not wanted any more."""
        child = self._child
        if child is not None:
            child.stop()
            child.poll(blocking=True)
            self.settle(child)
