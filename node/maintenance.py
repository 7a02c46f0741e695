"""CLIENT MAINT_NOTIFICATIONS: clients that want to know of slot moves before they meet a redirect.

A client asks for it, and speaks RESP3. It then gets two kinds of pushes, numbered in one sequence
for the node:

    SMIGRATING <number> <slots>                  these slots are about to leave
    SMIGRATED <number> [[<from> <to> <slots>]]   and now they are elsewhere

Slots are written as `5,7-9`, nodes as `host:port`. Sessions are kept by number and not as a feature
of theirs: whoever asked for this must not leave the fast path for it.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from .resp.encoder import bulk, bulk_array, integer
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

#: How many numbers of sessions that are gone may pile up before they are thrown out.
_SLACK: Final = 64


def slots_text(slots: Iterable[int]) -> bytes:
    """Slots as single numbers and ranges, ascending."""
    parts: list[bytes] = []
    first = last = -2
    for slot in sorted(set(slots)):
        if slot == last + 1:
            last = slot
            continue
        if last >= 0:
            parts.append(_range_text(first, last))
        first = last = slot
    if last >= 0:
        parts.append(_range_text(first, last))
    return b",".join(parts)


def _range_text(first: int, last: int) -> bytes:
    return b"%d" % first if first == last else b"%d-%d" % (first, last)


class Maintenance:
    """Who wants to know, on one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Session number -> what kind of address the client asked for.
        self._listeners: dict[int, bytes] = {}
        self._sequence = 0

    def listen(self, session: Session, endpoint_type: bytes) -> None:
        """`session` wants to know."""
        sessions = self._machine.sessions
        if len(self._listeners) > 2 * len(sessions) + _SLACK:
            self._listeners = {
                number: kind for number, kind in self._listeners.items() if number in sessions
            }
        self._listeners[session.id] = endpoint_type

    def ignore(self, session: Session) -> None:
        """`session` does not want to know any more."""
        self._listeners.pop(session.id, None)

    def announce_migrating(self, slots: Iterable[int]) -> int:
        """Slots are about to leave; returns how many clients were told."""
        return self._announce(b"SMIGRATING", bulk(slots_text(slots)))

    def announce_migrated(self, moves: Sequence[tuple[str, str, Iterable[int]]]) -> int:
        """Slots have left: (from, to, slots), nodes as `host:port`."""
        rows = [
            bulk_array((source.encode(), target.encode(), slots_text(slots)))
            for source, target, slots in moves
        ]
        return self._announce(b"SMIGRATED", b"*%d\r\n%b" % (len(rows), b"".join(rows)))

    def _announce(self, word: bytes, content: bytes) -> int:
        self._sequence += 1
        message = b">3\r\n" + bulk(word) + integer(self._sequence) + content
        told = 0
        sessions = self._machine.sessions
        for number in list(self._listeners):
            session = sessions.get(number)
            if session is None:
                del self._listeners[number]
            elif session.resp3:
                session.push(message)
                told += 1
        return told
