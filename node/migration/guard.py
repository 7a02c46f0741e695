"""Slots in the moment in which they change hands: whoever wants something of them waits.

Reads wait, too: while the source does not know whether the target has taken the slots, what it
has may be old already. It is a matter of milliseconds, and other slots are served as always.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ...slots.hashing import SLOT_COUNT, key_slot
from ..registry import Command
from ..session import ClientKind, Session, Wait
from .locks import touches_anything

if TYPE_CHECKING:
    from ..machine import Machine

_GATE_REASON: Final = "slot guard"


class SlotGuard:
    """The slots that are being handed over by one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self._guarded = bytearray(SLOT_COUNT)
        self._count = 0
        self._waiting: dict[Session, None] = {}

    def __bool__(self) -> bool:
        return self._count > 0

    def __contains__(self, slot: int) -> bool:
        return bool(self._guarded[slot])

    @property
    def waiting_count(self) -> int:
        """How many clients wait."""
        return len(self._waiting)

    def begin(self, slots: Iterable[int]) -> None:
        """Hold every request for these slots."""
        for slot in slots:
            self._count += not self._guarded[slot]
            self._guarded[slot] = 1
        self._machine.gate.add_postponement(self._postpone)
        self._machine.require_gate(_GATE_REASON, True)

    def end(self, slots: Iterable[int]) -> None:
        """Let the requests go on: they are looked at anew, and sent away perhaps."""
        machine = self._machine
        for slot in slots:
            self._count -= self._guarded[slot]
            self._guarded[slot] = 0
        if not self._count:
            machine.gate.remove_postponement(self._postpone)
            machine.require_gate(_GATE_REASON, False)
        waiting, self._waiting = self._waiting, {}
        for session in waiting:
            machine.unpark(session, b"")

    def _postpone(self, session: Session, command: Command, args: list[bytes]) -> bool:
        if session.kind in (ClientKind.REPLICA, ClientKind.MASTER):
            return False
        if not self._is_concerned(session, command, args):
            return False
        session.backlog.insert(0, args)
        self._waiting[session] = None
        wait = Wait("paused", None, _no_reply, lambda: self._let_go(session))
        self._machine.park(session, wait)
        return True

    def _let_go(self, session: Session) -> None:
        self._waiting.pop(session, None)

    def _is_concerned(self, session: Session, command: Command, args: list[bytes]) -> bool:
        requests = [(command, args)]
        if command.full_name == "exec" and session.queue:
            requests = session.queue
        guarded = self._guarded
        for each, words in requests:
            if touches_anything(each):
                return True
            if each.keys_of is not None and any(guarded[key_slot(k)] for k in each.keys_of(words)):
                return True
        return False


def _no_reply() -> bytes:
    return b""
