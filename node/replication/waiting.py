"""WAIT and WAITAOF: clients that want to hear that what they wrote is elsewhere, or on disk.

What counts is the client's own last write, not what others wrote since. Its place in the log is
not kept, so that WAITAOF waits for all that is in the log now.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from attrs import define

from ..errors import CommandError
from ..persistence.status import LogState
from ..resp.encoder import array, integer
from ..session import Session, Wait

if TYPE_CHECKING:
    from ..machine import Machine
    from .state import Replication

NO_LOCAL_LOG: Final = CommandError(
    b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."
)


@define(eq=False)
class _Waiting:
    session: Session
    #: Where replicas must have come to.
    offset: int
    #: Where the disk must have come to; None for WAIT.
    log_position: int | None
    wanted_local: int
    wanted_replicas: int
    #: Makes the reply, given whether the replicas are that far; None for the two commands.
    finish: Callable[[bool], bytes] | None = None


class AckWaits:
    """The clients that wait for acknowledgements."""

    def __init__(self, machine: "Machine", replication: "Replication") -> None:
        self._machine = machine
        self._replication = replication
        self._waiting: list[_Waiting] = []
        machine.persistence.on_log_synced = self.check

    def wait(self, session: Session, wanted: int, timeout_ms: int) -> bytes:
        """WAIT: the reply, at once or later: how many replicas have what the client wrote."""
        waiting = _Waiting(session, session.written_offset, None, 0, wanted)
        return self._begin(waiting, timeout_ms)

    def wait_for_disks(
        self, session: Session, wanted_local: int, wanted_replicas: int, timeout_ms: int
    ) -> bytes:
        """WAITAOF: the same for disks, this node's own and those of replicas."""
        position = self._machine.persistence.log_position()
        waiting = _Waiting(session, session.written_offset, position, wanted_local, wanted_replicas)
        return self._begin(waiting, timeout_ms)

    def wait_until_known(
        self, session: Session, wanted: int, timeout_ms: int, finish: Callable[[bool], bytes]
    ) -> bytes:
        """The reply of `finish`, at once or when so many replicas have all there is by now."""
        waiting = _Waiting(session, self._replication.offset, None, 0, wanted, finish)
        return self._begin(waiting, timeout_ms)

    def _begin(self, waiting: _Waiting, timeout_ms: int) -> bytes:
        session = waiting.session
        if self._is_over(waiting) or not session.may_block:
            return self._reply(waiting)
        self._waiting.append(waiting)
        deadline_ms = self._machine.clock.now_ms + timeout_ms if timeout_ms else None
        wait = Wait(
            "wait", deadline_ms, lambda: self._reply(waiting), lambda: self._release(waiting)
        )
        reply = self._machine.park(session, wait)
        self._replication.ask_for_acks()
        return reply

    def _counts(self, waiting: _Waiting) -> tuple[int, int]:
        """How many logs of this node, and how many replicas, are far enough."""
        if waiting.log_position is None:
            return 0, self._replication.acked_by(waiting.offset)
        state = self._machine.persistence
        is_synced = (
            state.log_state is not LogState.OFF and state.synced_position >= waiting.log_position
        )
        return int(is_synced), self._replication.synced_by(waiting.offset)

    def _is_over(self, waiting: _Waiting) -> bool:
        local, replicas = self._counts(waiting)
        return local >= waiting.wanted_local and replicas >= waiting.wanted_replicas

    def _reply(self, waiting: _Waiting) -> bytes:
        # It is served now: what that changes may end all waiting.
        self._release(waiting)
        if waiting.finish is not None:
            return waiting.finish(self._is_over(waiting))
        local, replicas = self._counts(waiting)
        if waiting.log_position is None:
            return integer(replicas)
        return array([integer(local), integer(replicas)])

    def _release(self, waiting: _Waiting) -> None:
        if waiting in self._waiting:
            self._waiting.remove(waiting)

    def check(self) -> None:
        """A replica has come further, or the disk."""
        is_log_off = self._machine.persistence.log_state is LogState.OFF
        for waiting in list(self._waiting):
            if waiting not in self._waiting:
                continue
            if self._is_over(waiting):
                self._machine.unpark(waiting.session, self._reply(waiting))
            elif waiting.wanted_local and is_log_off:
                self._machine.unpark(waiting.session, NO_LOCAL_LOG.encoded())

    def give_up(self) -> None:
        """We are no primary any more."""
        error = CommandError(
            b"UNBLOCKED force unblock from blocking operation, instance state changed "
            b"(master -> replica?)"
        )
        for waiting in list(self._waiting):
            self._machine.unpark(waiting.session, error.encoded())
