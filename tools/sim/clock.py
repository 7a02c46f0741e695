"""The clocks of a machine: one that only goes forward, and one that people set.

Owns `Clock`. Rules: each machine's monotonic clock has its own origin and its own rate; the wall
clock is the monotonic one plus an offset, which may jump.
"""

from typing import Final

from attrs import define

WALL_OFFSET_MS: Final = 1_700_000_000_000
"""The wall clock at the beginning of simulated time."""


@define(eq=False)
class Clock:
    """One machine's clocks."""

    origin_ms: int
    skew_ppm: int
    jumped_ms: int = 0

    def monotonic(self, now: int) -> int:
        """The monotonic clock at a moment of simulated time."""
        return self.origin_ms + now + now * self.skew_ppm // 1_000_000

    @property
    def wall_offset_ms(self) -> int:
        """Wall clock minus monotonic clock."""
        return WALL_OFFSET_MS - self.origin_ms + self.jumped_ms
