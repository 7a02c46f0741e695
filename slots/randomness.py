"""The one way to chance: a seeded generator that is handed in, described by what is asked of it."""

from collections.abc import MutableSequence, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Generator(Protocol):
    """`random.Random` and its like; the pure packages never make one themselves."""

    def random(self) -> float:
        """A number in [0, 1)."""

    def randrange(self, start: int, stop: int = ..., /) -> int:
        """A whole number below `start`, or from `start` to below `stop`."""

    def getrandbits(self, count: int, /) -> int:
        """So many random bits as a number."""

    def choice(self, items: Sequence[T], /) -> T:
        """One of the items."""

    def choices(self, population: Sequence[T], weights: Sequence[int], /) -> list[T]:
        """One of the items, by weight."""

    def sample(self, population: Sequence[T], k: int) -> list[T]:
        """`k` different ones of the items, in random order."""

    def shuffle(self, items: MutableSequence[T], /) -> None:
        """Another order."""
