"""Keys that are on their way to another node: nobody may touch them until that is settled.

A key under way stands here and perhaps already there. A request that touches it, in whatever way,
waits until it is on one side only, and is then looked at anew: it is served here, or sent there.
What could touch any key waits for all of them. Databases are not told apart: MOVE and COPY reach
across them, and to wait a little too often does no harm.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from ..registry import Command, Flag
from ..session import ClientKind, Session, Wait

if TYPE_CHECKING:
    from ..machine import Machine

#: Commands that touch keys which they do not name.
_SCRIPTS: Final = frozenset(
    {"eval", "evalsha", "eval_ro", "evalsha_ro", "fcall", "fcall_ro", "debug", "sort", "sort_ro"}
)
_GATE_REASON: Final = "key locks"


class KeyLocks:
    """The keys under way of one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Locked key -> sessions that wait for it.
        self._locked: dict[bytes, list[Session]] = {}
        #: Sessions that wait until nothing is locked.
        self._wait_for_all: list[Session] = []

    def __bool__(self) -> bool:
        return bool(self._locked)

    def lock(self, keys: Iterable[bytes]) -> None:
        """Keep everybody away from these keys, none of which is locked already."""
        if not self._locked:
            self._machine.gate.add_postponement(self._postpone)
            self._machine.require_gate(_GATE_REASON, True)
        for key in keys:
            self._locked.setdefault(key, [])

    def unlock(self, keys: Iterable[bytes]) -> None:
        """Whoever waited for these keys goes on."""
        machine = self._machine
        waiting: list[Session] = []
        for key in keys:
            waiting += self._locked.pop(key, ())
        if not self._locked:
            machine.gate.remove_postponement(self._postpone)
            machine.require_gate(_GATE_REASON, False)
            waiting += self._wait_for_all
            self._wait_for_all = []
        for session in waiting:
            if session.wait is not None and session.wait.reason == "paused":
                machine.unpark(session, b"")

    def _postpone(self, session: Session, command: Command, args: list[bytes]) -> bool:
        """The gate asks whether a request must wait; if so it goes to the head of the backlog."""
        if session.kind in (ClientKind.REPLICA, ClientKind.MASTER):
            return False
        queue = self._maybe_queue(session, command, args)
        if queue is None:
            return False
        queue.append(session)
        session.backlog.insert(0, args)

        def release() -> None:
            if session in queue:
                queue.remove(session)

        self._machine.park(session, Wait("paused", None, _no_reply, release))
        return True

    def _maybe_queue(
        self, session: Session, command: Command, args: list[bytes]
    ) -> list[Session] | None:
        """Where the request has to wait; None if it need not."""
        requests = [(command, args)]
        if command.full_name == "exec" and session.queue:
            requests = session.queue
        for each, words in requests:
            if touches_anything(each):
                return self._wait_for_all
            if each.keys_of is None:
                continue
            for key in each.keys_of(words):
                queue = self._locked.get(key)
                if queue is not None:
                    return queue
        return None


def touches_anything(command: Command) -> bool:
    """Whether a command may touch keys that it does not name."""
    return command.full_name in _SCRIPTS or (
        command.keys_of is None and bool(command.flags & (Flag.WRITE | Flag.TOUCHES_ARBITRARY_KEYS))
    )


def _no_reply() -> bytes:
    return b""
