"""CLIENT PAUSE: requests wait until a time is over; failovers and slot hand-overs pause clients
too.

Several reasons may pause at once; each has its own end, and the strictest mode wins.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import TYPE_CHECKING

from .registry import Command, Flag
from .session import ClientKind, Session, Wait

if TYPE_CHECKING:
    from .machine import Machine


class PauseMode(IntEnum):
    """Which requests have to wait."""

    WRITE = 1
    ALL = 2


class ClientPause:
    """The pauses of one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: reason -> (mode, end in Unix milliseconds)
        self._pauses: dict[str, tuple[PauseMode, int]] = {}
        self._waiting: set[Session] = set()

    def mode(self) -> PauseMode | None:
        """The strictest mode in force."""
        now_ms = self._machine.clock.now_ms
        modes = [mode for mode, until_ms in self._pauses.values() if until_ms > now_ms]
        return max(modes, default=None)

    def is_for_any(self, reasons: Collection[str]) -> bool:
        """Whether a pause for one of these reasons is in force."""
        now_ms = self._machine.clock.now_ms
        return any(
            until_ms > now_ms and reason in reasons
            for reason, (_, until_ms) in self._pauses.items()
        )

    def begin(self, reason: str, mode: PauseMode, until_ms: int) -> None:
        """Pause for a reason; a pause for the same reason is only ever made longer and stricter."""
        old = self._pauses.get(reason)
        if old is not None:
            mode, until_ms = max(mode, old[0]), max(until_ms, old[1])
        self._pauses[reason] = (mode, until_ms)
        machine = self._machine
        machine.gate.add_postponement(self._postpone)
        machine.require_gate("pause", True)
        if self.on_tick not in machine.on_tick:
            machine.on_tick.append(self.on_tick)

    def end(self, reason: str) -> None:
        """That reason is over."""
        self._pauses.pop(reason, None)
        self.on_tick()

    def on_tick(self) -> None:
        """Let the clients go on when no pause is in force any more."""
        if self.mode() is not None:
            return
        machine = self._machine
        self._pauses.clear()
        machine.gate.remove_postponement(self._postpone)
        machine.require_gate("pause", False)
        waiting, self._waiting = self._waiting, set()
        for session in waiting:
            machine.unpark(session, b"")
        if self.on_tick in machine.on_tick:
            machine.on_tick.remove(self.on_tick)

    def _postpone(self, session: Session, command: Command, args: list[bytes]) -> bool:
        """The gate asks whether a request must wait; if so it goes to the head of the backlog."""
        mode = self.mode()
        if mode is None or session.kind in (ClientKind.REPLICA, ClientKind.MASTER):
            return False
        if mode is PauseMode.WRITE and not _may_write(session, command):
            return False
        if command.full_name in ("client|unpause", "client|pause"):
            return False
        session.backlog.insert(0, args)
        self._waiting.add(session)
        wait = Wait("paused", None, _no_reply, lambda: self._waiting.discard(session))
        self._machine.park(session, wait)
        return True


def _may_write(session: Session, command: Command) -> bool:
    if command.full_name == "exec" and session.queue:
        return any(
            _may_write(session, queued) for queued, _ in session.queue if queued is not command
        )
    return bool(command.flags & (Flag.WRITE | Flag.MAY_REPLICATE))


def _no_reply() -> bytes:
    return b""
