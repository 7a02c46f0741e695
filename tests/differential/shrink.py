"""Makes a failing history shorter: delta debugging.

`shrink` removes chunks, halving their size each time nothing more can go, until single items are
tried in vain or time is up.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def shrink(
    history: Sequence[Item],
    fails: Callable[[Sequence[Item]], bool],
    time_is_up: Callable[[], bool],
) -> Sequence[Item]:
    """The shortest failing part of a failing history that was found in time."""
    size = max(1, len(history) // 2)
    while len(history) > 1:
        removed = False
        start = max(0, len(history) - size)
        while len(history) > 1:
            if time_is_up():
                return history
            shorter = [*history[:start], *history[start + size :]]
            if shorter and fails(shorter):
                history = shorter
                removed = True
            if start == 0:
                break
            start = max(0, start - size)
        if size == 1 and not removed:
            return history
        if not removed or size >= len(history):
            size = max(1, size // 2)
    return history
