"""Frees what is too large to be freed at once.

Dropping a million keys costs Python a tenth of a second and more, during which no client is served. So
whoever removes much takes it out of the data set first, which is quick, and hands it over here; a
little of it is then freed on every tick.

Rules: what is handed over is reachable from nowhere else; nothing in here is ever read again.
"""

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from .values.kinds import element_count

if TYPE_CHECKING:
    from .machine import Machine

#: Values of fewer elements are not worth the handing over.
LARGE_ELEMENTS: Final = 4096
#: How long one tick may free, and at most when much is waiting.
PIECE_NANOSECONDS: Final = 2_000_000
PIECE_MAX_NANOSECONDS: Final = 10_000_000
#: Elements freed between two looks at the clock.
_STEP: Final = 512
#: With this many elements waiting for each millisecond of a tick, ticks free for longer.
_ELEMENTS_PER_TICK: Final = 100_000


class LazyFree:
    """The garbage of one node; an instance is a tick hook of its machine."""

    def __init__(self, timer: Callable[[], int]) -> None:
        self._timer = timer
        #: Lists and dicts to be emptied from their ends.
        self._garbage: list[list[Any] | dict[Any, Any]] = []
        #: About how many elements wait to be freed, and how many were.
        self.pending = 0
        self.freed = 0

    def take_dicts(self, dicts: list[dict[bytes, Any]]) -> None:
        """Free many dicts of keys, such as the slots of a database."""
        count = sum(map(len, dicts))
        if count:
            self.pending += count
            self._garbage.append(dicts)

    def take_value(self, value: object) -> None:
        """Free a value that was taken out of its database."""
        count = element_count(value)
        if count >= LARGE_ELEMENTS:
            self.pending += count
            self._garbage.append([value])

    def __call__(self) -> None:
        """Free for a little while."""
        if not self._garbage:
            return
        budget = min(
            PIECE_MAX_NANOSECONDS,
            PIECE_NANOSECONDS * (1 + self.pending // _ELEMENTS_PER_TICK),
        )
        timer = self._timer
        deadline = timer() + budget
        while self._garbage:
            self._step()
            if timer() >= deadline:
                return
        self.pending = 0
