"""Numbers of single precision, in which redis-cli computes its plans.

Owns nothing else. The plans must give the very same slots, and in double precision some of the
borders would fall one slot beside.
"""

import struct
from math import copysign, floor

_SINGLE = struct.Struct("<f")


def single(number: float) -> float:
    """The nearest number of single precision."""
    rounded: float = _SINGLE.unpack(_SINGLE.pack(number))[0]
    return rounded


def round_half_away(number: float) -> int:
    """The nearest whole number; halves away from zero, unlike `round()`."""
    return int(copysign(floor(abs(number) + 0.5), number))
