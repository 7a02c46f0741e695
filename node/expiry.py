"""The active side of expiry: dead keys that nobody asks for must go as well.

Slots are visited in turn. Each visit looks at every lifetime of the slot, since a slot is small; a
crowded one is worked off in pieces. Like Redis, a cycle goes on while it finds many dead keys,
within a budget of time that the caller gives: a quarter of the node's time at most, in short
pieces, so that a million keys dying at once cost no client more than a few milliseconds.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from ..slots.hashing import SLOT_COUNT

if TYPE_CHECKING:
    from .database import Database

#: Lifetimes looked at between two looks at the clock.
_PIECE: Final = 512
#: A full round that finds less than this share of dead keys is left to later cycles.
_WORTHWHILE_SHARE: Final = 0.1


class ExpiryCycle:
    """Walks through one database, a bit at a time."""

    __slots__ = ("_backlog", "_database", "_slot")

    def __init__(self, database: "Database") -> None:
        self._database = database
        self._slot = 0
        #: What is left to look at of a crowded slot.
        self._backlog: list[bytes] = []

    def run(self, is_time_up: Callable[[], bool]) -> int:
        """Remove dead keys until few are left or the time is up; returns how many went."""
        database = self._database
        removed = 0
        looked = 0
        slots_left = SLOT_COUNT
        while database.volatile_count and slots_left:
            piece_looked, piece_removed, slots_passed = self._piece(slots_left)
            looked += piece_looked
            removed += piece_removed
            slots_left -= slots_passed
            if is_time_up():
                break
            # A few slots tell enough: go on only where much is dead.
            if looked >= _PIECE and removed < looked * _WORTHWHILE_SHARE:
                break
        return removed

    def _piece(self, slots_left: int) -> tuple[int, int, int]:
        """Look at about `_PIECE` lifetimes: (looked at, removed, slots passed)."""
        database = self._database
        now_ms = database.clock.now_ms
        looked = removed = passed = 0
        while looked < _PIECE and passed < slots_left:
            if not self._backlog:
                lifetimes = database.volatile[self._slot]
                if lifetimes:
                    self._backlog = list(lifetimes)
                else:
                    self._slot = (self._slot + 1) % SLOT_COUNT
                    passed += 1
                    continue
            piece = self._backlog[-_PIECE:]
            del self._backlog[-_PIECE:]
            slot = self._slot
            lifetimes = database.volatile[slot]
            for key in piece:
                if lifetimes.get(key, now_ms) < now_ms:
                    database.remove_expired(slot, key)
                    removed += 1
            looked += len(piece)
            if not self._backlog:
                self._slot = (self._slot + 1) % SLOT_COUNT
                passed += 1
        return looked, removed, passed
