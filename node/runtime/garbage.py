"""Python's garbage collector, kept from walking through the whole data set.

By its own schedule the collector now and then visits every container there is: a pause of a second
with millions of keys. Keys and values form no cycles, so only young objects are ever looked at,
and those that survive are spared for good.
"""

import gc
from typing import Final

#: Young objects that make a look worth its pause (well under a millisecond).
_ENOUGH: Final = 20_000


def tame_garbage_collector() -> None:
    """Switch the automatic schedule off; from here on `collect_young_garbage` decides."""
    gc.collect()
    gc.freeze()
    gc.disable()


def collect_young_garbage() -> None:
    """Called by the timer: collect what is new, if it is much."""
    if not gc.isenabled() and gc.get_count()[0] > _ENOUGH:
        gc.collect(0)
        gc.freeze()
