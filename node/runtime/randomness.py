"""Chance from the operating system, fetched in advance: a system call per number is too dear.

Numbers that nobody can foretell are needed for identities and passwords, and a node has but one
generator. SPOP and the sampling of keys, which draw several numbers a command, must not pay for it.
"""

import os
import struct
from random import SystemRandom
from typing import Final

_WORD_BITS: Final = 64
_POOL_WORDS: Final = 512
_UNPACK: Final = struct.Struct(f"{_POOL_WORDS}Q")
#: A float has so many bits to fill.
_FLOAT_BITS: Final = 53


class PooledRandom(SystemRandom):
    """`SystemRandom`, quicker. The pool is no seed: each word in it is used once."""

    def __init__(self) -> None:
        self._pool: list[int] = []
        super().__init__()

    def _draw(self) -> int:
        if not self._pool:
            self._pool.extend(_UNPACK.unpack(os.urandom(_UNPACK.size)))
        return self._pool.pop()

    def random(self) -> float:
        """A number in [0, 1)."""
        return (self._draw() >> (_WORD_BITS - _FLOAT_BITS)) * 2.0**-_FLOAT_BITS

    def getrandbits(self, k: int) -> int:
        """So many random bits as a number."""
        return self._draw() >> (_WORD_BITS - k) if 0 < k <= _WORD_BITS else super().getrandbits(k)

    def randrange(self, start: int, stop: int | None = None, step: int = 1) -> int:
        """A whole number below `start`, or from `start` to below `stop`."""
        if step == 1:
            low, width = (0, start) if stop is None else (start, stop - start)
            if 0 < width <= 1 << 32:
                # One number comes up more often than another by 2^-32 at most.
                return low + (self._draw() * width >> _WORD_BITS)
        return super().randrange(start, stop, step)
