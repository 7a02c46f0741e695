"""The system's clocks, read into a node's own.

The pure parts know no time but what stands in their machine's clock. Whoever wakes up in the
runtime sets it, before anything of the machine runs.
"""

from time import monotonic, time

from ..database import Clock


def set_clock(clock: Clock) -> None:
    """It is now."""
    clock.now_ms = int(time() * 1000)
    clock.monotonic_ms = int(monotonic() * 1000)
