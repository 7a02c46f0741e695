"""Keeps small collections packed, but for those that were used last.

A collection is unpacked when a command asks for it (`Database` does that) or made anew, and noted
here. When more than `_LEFT_OPEN` are noted, the oldest are packed again: what is used all the time
is thus unpacked once in a thousand uses of others, and a data set of millions of small collections
takes little more than Redis' listpacks.

Nothing is packed while a command runs, for it may hold the value: `run` is called between passes
and ticks, once all replies have left.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from .values.limits import DEFAULT_LIMITS, CollectionLimits
from .values.packed import maybe_packed

if TYPE_CHECKING:
    from .database import Database

#: So many collections stay as they are.
_LEFT_OPEN: Final = 1024
#: So many are packed in one go: 1 to 3 ms.
_AT_ONCE: Final = 1024


class Compaction:
    """The collections of one keyspace that are not packed, or were not when they were noted."""

    __slots__ = ("_noted", "limits")

    def __init__(self) -> None:
        #: What unpacked values point to.
        self.limits: CollectionLimits = DEFAULT_LIMITS
        self._noted: deque[tuple[Database, bytes]] = deque()

    def note(self, database: "Database", key: bytes) -> None:
        """The collection under `key` is in use."""
        self._noted.append((database, key))

    @property
    def is_due(self) -> bool:
        """Whether `run` has anything to do."""
        return len(self._noted) > _LEFT_OPEN

    def run(self) -> None:
        """Pack what was noted first; no command may be running."""
        noted = self._noted
        for _ in range(min(len(noted) - _LEFT_OPEN, _AT_ONCE)):
            database, key = noted.popleft()
            home = database.slots[database.slot_of(key)]
            packed = maybe_packed(home.get(key))
            if packed is not None:
                home[key] = packed
                if database.meter is not None:
                    database.meter.remeasure(key, packed)
