"""What the histogram of a command tells: bucket `i` counts the calls whose whole microseconds have
`i` binary digits, so it reaches from 2**(i-1) up to, but not including, 2**i.
"""

from collections.abc import Sequence
from math import ceil


def percentile_us(histogram: Sequence[int], percentile: float) -> float:
    """The time that so many percent of the calls kept within, as if evenly spread in a bucket."""
    total = sum(histogram)
    if not total:
        return 0.0
    rank = max(1, ceil(total * percentile / 100))
    passed = 0
    for bucket, count in enumerate(histogram):
        if count and passed + count >= rank:
            low = (1 << bucket) >> 1
            return low + ((1 << bucket) - low) * (rank - passed) / count
        passed += count
    raise AssertionError("a rank beyond the last call")


def cumulative(histogram: Sequence[int]) -> list[tuple[int, int]]:
    """(bound in microseconds, calls that were faster), one for each bucket that holds any."""
    steps: list[tuple[int, int]] = []
    passed = 0
    for bucket, count in enumerate(histogram):
        if count:
            passed += count
            steps.append((1 << bucket, passed))
    return steps
