"""An orderly end: SHUTDOWN and signals wait until the replicas have everything.

Writes are held meanwhile, so that nothing is acknowledged that would die with the node. It lasts
`shutdown-timeout` at the most, and can be called off until the last moment.
"""

from typing import TYPE_CHECKING, Final

from .errors import CommandError
from .pause import PauseMode
from .session import Session, Wait

if TYPE_CHECKING:
    from .machine import Machine

CANNOT_END: Final = CommandError(b"ERR Errors trying to SHUTDOWN. Check logs.")
_PAUSE: Final = "shutdown"
_FOREVER_MS: Final = 1 << 60


class Shutdown:
    """The end of one node, while it is under way."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._ends_ms: int | None = None
        self._offset = 0
        self._save: bool | None = None
        self._is_forced = False
        self._waiting: list[Session] = []

    @property
    def is_under_way(self) -> bool:
        """Whether replicas are waited for."""
        return self._ends_ms is not None

    def begin(self, save: bool | None, *, is_forced: bool, is_now: bool = False) -> bool:
        """Begin to end; True if that is settled, False if replicas are waited for.

        Raises CommandError if the data could not be saved. `save` is what the operator said of a
        last snapshot; None: if there are save points.
        """
        if self.is_under_way and not is_now:
            return False
        machine = self._machine
        self._save, self._is_forced = save, is_forced
        timeout_ms = machine.config.shutdown_timeout * 1000
        self._offset = machine.replication.offset
        if is_now or not timeout_ms or self._lagging() == 0 or machine.loading.is_active:
            return self._finish()
        self._ends_ms = machine.clock.now_ms + timeout_ms
        machine.log.notice("Waiting for replicas before shutting down.")
        machine.pause.begin(_PAUSE, PauseMode.WRITE, _FOREVER_MS)
        if self.check not in machine.on_tick:
            machine.on_tick.append(self.check)
        return False

    def park(self, session: Session) -> bytes:
        """A client hears how it ends only if it does not end."""
        self._waiting.append(session)
        wait = Wait("shutdown", None, bytes, lambda: self._waiting.remove(session))
        return self._machine.park(session, wait)

    def check(self) -> None:
        """A replica has come further, or time has passed."""
        if self._ends_ms is None:
            return
        if self._lagging() and self._machine.clock.now_ms < self._ends_ms:
            return
        try:
            self._finish()
        except CommandError:
            self.abort()

    def abort(self) -> bool:
        """Live on; False if no end was under way."""
        if self._ends_ms is None:
            return False
        self._stop_waiting()
        for session in list(self._waiting):
            self._machine.unpark(session, CANNOT_END.encoded())
        return True

    def _lagging(self) -> int:
        return sum(peer.acked_offset < self._offset for peer in self._machine.replication.peers)

    def _finish(self) -> bool:
        machine, count = self._machine, len(self._machine.replication.peers)
        if count:
            machine.log.notice(
                f"{count - self._lagging()} of {count} replicas are in sync when shutting down."
            )
        if not machine.persistence.prepare_shutdown(self._save, self._is_forced):
            raise CANNOT_END
        self._stop_waiting(keeps_pause=True)
        machine.on_shutdown(0)
        return True

    def _stop_waiting(self, *, keeps_pause: bool = False) -> None:
        self._ends_ms = None
        if not keeps_pause:
            self._machine.pause.end(_PAUSE)
