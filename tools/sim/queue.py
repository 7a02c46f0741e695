"""What will happen, in order of time, and the generator that all chance comes from.

Owns `Queue`. Rules: simulated time is integer milliseconds; what is due at the same time happens in
the order in which it was put in, so a run depends on its seed alone.
"""

import heapq
import random
from collections.abc import Callable
from typing import Any

from attrs import Factory, define

Action = Callable[[Any, Any], object]
"""Called with the two arguments that were put in with it (the queue cannot know their types)."""


@define(eq=False)
class Queue:
    """Time, and what it holds in store."""

    rng: random.Random
    now: int = 0
    count: int = 0
    entries: list[tuple[int, int, Action, Any, Any]] = Factory(list)

    def push(self, when: int, action: Action, first: object, second: object) -> None:
        """Has something happen."""
        self.count += 1
        heapq.heappush(self.entries, (when, self.count, action, first, second))

    def run(self, until: int) -> None:
        """Lets time pass."""
        entries, pop = self.entries, heapq.heappop
        while entries and entries[0][0] <= until:
            self.now, _, action, first, second = pop(entries)
            action(first, second)
        self.now = until
