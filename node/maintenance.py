"""CLIENT MAINT_NOTIFICATIONS: clients that want to know of slot moves before they meet a redirect.

A client asks for it, and speaks RESP3. It then gets two kinds of pushes, numbered in one sequence:

    SMIGRATING <number> <slots>                  these slots are about to leave
    SMIGRATED <number> [[<from> <to> <slots>]]   and now they are elsewhere

Slots are written as `5,7-9`, nodes as `host:port`. It makes no difference whether slots leave one
by one (SETSLOT), all at once, or because another node replaces this one. Rules:

* Whoever hears SMIGRATED asks for all slots anew: what happens within a second is told together.
* Clients take messages with equal numbers for the same one, whichever node they come from, so that
  each node begins to count somewhere else.
* Sessions are kept by number and not as a feature of theirs: whoever asked for this must not leave
  the fast path for it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from .resp.encoder import bulk, bulk_array, integer
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

#: How many numbers of sessions that are gone may pile up before they are thrown out.
_SLACK: Final = 64
#: Messages of one kind are at least so far apart.
_DISTANCE_MS: Final = 1000


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
        #: None: nothing was told yet.
        self._last_number: int | None = None
        #: What is still to be told.
        self._leaving: set[int] = set()
        #: (from, to) -> slots.
        self._left: dict[tuple[str, str], set[int]] = {}
        self._next_migrating_ms = self._next_migrated_ms = 0
        machine.on_tick.append(self._tell)

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

    @property
    def is_heard(self) -> bool:
        """Whether anybody wants to know."""
        return bool(self._listeners)

    def announce_migrating(self, slots: Iterable[int]) -> None:
        """Slots are about to leave."""
        if self._listeners:
            self._leaving.update(slots)
            self._tell()

    def announce_migrated(self, source: str, target: str, slots: Iterable[int]) -> None:
        """Slots have left; nodes are named as `host:port`."""
        if self._listeners:
            self._left.setdefault((source, target), set()).update(slots)
            self._leaving.difference_update(slots)
            self._tell()

    def _tell(self) -> None:
        """Tell what there is, if the last message of its kind is long enough ago."""
        now_ms = self._machine.clock.monotonic_ms
        if self._leaving and now_ms >= self._next_migrating_ms:
            self._next_migrating_ms = now_ms + _DISTANCE_MS
            slots, self._leaving = self._leaving, set()
            self._push(b"SMIGRATING", bulk(slots_text(slots)))
        if self._left and now_ms >= self._next_migrated_ms:
            self._next_migrated_ms = now_ms + _DISTANCE_MS
            moves, self._left = self._left, {}
            rows = [
                bulk_array((source.encode(), target.encode(), slots_text(slots)))
                for (source, target), slots in moves.items()
            ]
            self._push(b"SMIGRATED", b"*%d\r\n%b" % (len(rows), b"".join(rows)))

    def _push(self, word: bytes, content: bytes) -> None:
        sessions = self._machine.sessions
        if self._last_number is None:
            # Far from those of other nodes, and still a number to clients that only have doubles.
            self._last_number = (1 + self._machine.rng.getrandbits(32)) << 19
        self._last_number += 1
        message = b">3\r\n" + bulk(word) + integer(self._last_number) + content
        for number in list(self._listeners):
            session = sessions.get(number)
            if session is None:
                del self._listeners[number]
            elif session.resp3:
                session.push(message)
