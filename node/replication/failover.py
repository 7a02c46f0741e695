"""FAILOVER: a primary hands its place to one of its replicas, and loses nothing.

It holds all writes, waits until a replica has everything, and then follows that replica with a
`PSYNC ... FAILOVER`, which makes it a primary. Whatever goes wrong, the old primary stays.
"""

from enum import Enum
from typing import TYPE_CHECKING, Final

from ..pause import PauseMode
from .primary import Peer

if TYPE_CHECKING:
    from ..machine import Machine
    from .state import Replication

_FOREVER_MS: Final = 1 << 60
_PAUSE: Final = "failover-command"


class FailoverState(Enum):
    """The values are those of INFO."""

    NONE = "no-failover"
    WAITS = "waiting-for-sync"
    HANDS_OVER = "failover-in-progress"


class Failover:
    """The one that is under way."""

    def __init__(self, machine: "Machine", replication: "Replication") -> None:
        self._machine = machine
        self._replication = replication
        self.state = FailoverState.NONE
        self._target: tuple[str, int] | None = None
        self._is_forced = False
        self._ends_ms: int | None = None

    def begin(self, target: tuple[str, int] | None, timeout_ms: int, is_forced: bool) -> None:
        """Hold the writes, and look for a replica that has everything."""
        machine = self._machine
        self._target, self._is_forced = target, is_forced
        self._ends_ms = machine.clock.now_ms + timeout_ms if timeout_ms else None
        self.state = FailoverState.WAITS
        machine.pause.begin(_PAUSE, PauseMode.WRITE, _FOREVER_MS)
        machine.log.notice("FAILOVER requested.")
        self._replication.ask_for_acks()
        self.check()

    def check(self) -> None:
        """Something changed, or time has passed."""
        if self.state is not FailoverState.WAITS:
            return
        ready = next((peer for peer in self._candidates() if self._is_complete(peer)), None)
        if ready is not None:
            self._hand_over((ready.ip, ready.port))
        elif self._ends_ms is not None and self._machine.clock.now_ms >= self._ends_ms:
            if self._is_forced and self._target is not None:
                self._hand_over(self._target)
            else:
                self.abort("Replica never caught up before timeout")

    def _candidates(self) -> list[Peer]:
        return [
            peer
            for peer in self._replication.peers
            if peer.is_online and (self._target is None or (peer.ip, peer.port) == self._target)
        ]

    def _is_complete(self, peer: Peer) -> bool:
        return peer.acked_offset >= self._replication.offset

    def _hand_over(self, target: tuple[str, int]) -> None:
        self.state = FailoverState.HANDS_OVER
        self._machine.log.notice(f"Failover target is {target[0]}:{target[1]}")
        self._replication.is_failing_over = True
        self._replication.follow(*target)

    def on_accepted(self) -> None:
        """The replica has taken over: clients go on, and hear that this is a replica now."""
        if self.state is FailoverState.HANDS_OVER:
            self._end()

    def on_refused(self, why: str) -> None:
        """The replica did not take over: we stay what we were."""
        if self.state is FailoverState.HANDS_OVER:
            self.abort(why)

    def abort(self, why: str) -> None:
        """Stay primary."""
        self._machine.log.notice(f"Failover aborted: {why}")
        was_following = self.state is FailoverState.HANDS_OVER
        self._end()
        if was_following:
            self._replication.become_primary()

    def _end(self) -> None:
        self.state = FailoverState.NONE
        self._replication.is_failing_over = False
        self._machine.pause.end(_PAUSE)
