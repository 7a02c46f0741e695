"""Frees what is too large to be freed at once.

Dropping a million keys costs Python a tenth of a second and more, during which no client is
served. So whoever removes much takes it out of the data set, which is quick, and hands it over
here; a little of it is then freed on every tick, and in a real server every few milliseconds.

Rule: only what nobody else refers to is taken apart. A snapshot that still reads an old value keeps
it whole, and the settings that all values share stay whole as well.
"""

from collections import deque
from collections.abc import Callable
from sys import getrefcount
from typing import TYPE_CHECKING, Any, Final

from .values.kinds import element_count

if TYPE_CHECKING:
    from .machine import Machine

#: Values of fewer elements are not worth the handing over.
LARGE_ELEMENTS: Final = 4096
#: How long one call may free. PERFORMANCE: clients wait meanwhile. With pieces of 10 ms, a tenth of
#: a second apart, each hundredth request waited that long for as long as a million keys were freed.
PIECE_NANOSECONDS: Final = 500_000
#: Elements let go between two looks at the clock.
_STEP: Final = 256
#: What goes at once when it is let go.
_ATOMS: Final = frozenset({bytes, bytearray, int, float, bool, str, tuple, type(None)})
#: The references to an object that only a local variable holds: that one, and the call's own.
_LONELY: Final = 2


class LazyFree:
    """The garbage of one node; the instance is a tick hook of its machine."""

    def __init__(self, timer: Callable[[], int]) -> None:
        self._timer = timer
        self._garbage: list[object] = []
        #: About how many elements wait to be freed.
        self.pending = 0

    @property
    def is_busy(self) -> bool:
        """Whether anything waits to be freed."""
        return bool(self._garbage)

    def take_dicts(self, dicts: list[dict[bytes, Any]]) -> None:
        """Free many dicts of keys, such as the slots of a database."""
        filled = [keys for keys in dicts if keys]
        self.pending += sum(map(len, filled))
        self._garbage.append(filled)

    def take_value(self, value: object) -> None:
        """Free a value that was taken out of its database."""
        self.pending += element_count(value)
        self._garbage.append(value)

    def __call__(self) -> None:
        """Free for a little while."""
        garbage = self._garbage
        if not garbage:
            return
        timer = self._timer
        deadline = timer() + PIECE_NANOSECONDS
        steps = 0
        while garbage:
            item = garbage.pop()
            if getrefcount(item) <= _LONELY:
                steps += self._take_apart(item)
            if steps >= _STEP:
                steps = 0
                if timer() >= deadline:
                    return
        self.pending = 0

    def _take_apart(self, item: object) -> int:
        """Let go of some of what an object holds; what is large itself is put on the heap."""
        garbage = self._garbage
        if not isinstance(item, (dict, list, set, deque)) or not item:
            _strip(item, garbage)
            return 1
        count = min(len(item), _STEP)
        self.pending = max(0, self.pending - count)
        if count == len(item) and _ATOMS.issuperset(
            map(type, item.values() if isinstance(item, dict) else item)
        ):
            return count  # Small enough, and nothing large in it: it goes now.
        garbage.append(item)
        if isinstance(item, dict):
            for _ in range(count):
                _, element = item.popitem()
                if type(element) not in _ATOMS:
                    garbage.append(element)
        elif isinstance(item, list):
            garbage += [element for element in item[-count:] if type(element) not in _ATOMS]
            del item[-count:]
        else:
            for _ in range(count):
                element = item.pop()
                if type(element) not in _ATOMS:
                    garbage.append(element)
        return count


def _strip(item: object, garbage: list[object]) -> None:
    """Move the attributes of an object that is no container, or an empty one, onto the heap."""
    for kind in type(item).__mro__:
        names = kind.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            element = None if name.startswith("__") else getattr(item, name, None)
            if type(element) not in _ATOMS:
                object.__delattr__(item, name)
                garbage.append(element)


def free_later(machine: "Machine", value: object) -> None:
    """A value is about to leave its database: if it is large, free it bit by bit."""
    if element_count(value) >= LARGE_ELEMENTS:
        lazy_free_of(machine).take_value(value)


def lazy_free_of(machine: "Machine") -> LazyFree:
    """The one of this node, made when it is first needed."""
    for hook in machine.on_tick:
        if isinstance(hook, LazyFree):
            return hook
    made = LazyFree(machine.timer)
    machine.on_tick.append(made)
    return made
