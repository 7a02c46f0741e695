"""Random keys of many small dicts, one a slot, most of which may be empty.

Two ways: `fair_slot` for clients, who expect each key about equally often, and `near_key` for the
eviction, which asks often, of few keys maybe, and only wants some.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Final

from ..slots.randomness import Generator

_TYPICAL_CROWD: Final = 64
_TRIES: Final = 64

Homes = Sequence[Mapping[bytes, Any]]


def fair_slot(homes: Homes, rng: Generator) -> int | None:
    """A slot that holds keys, weighted by how many; None if all are empty."""
    for _ in range(_TRIES):
        slot = rng.randrange(len(homes))
        # Crowded slots must win more often: accept in proportion to the number of keys.
        if len(homes[slot]) > rng.randrange(_TYPICAL_CROWD):
            return slot
    filled = [number for number, home in enumerate(homes) if home]
    if not filled:
        return None
    return rng.choices(filled, [len(homes[number]) for number in filled])[0]


def near_key(homes: Homes, rng: Generator) -> bytes | None:
    """A key of the next slot that holds any, from a random one on; None if all are empty."""
    start = rng.randrange(len(homes))
    in_turn = chain(islice(homes, start, None), islice(homes, start))
    home = next(filter(None, in_turn), None)
    return None if home is None else key_at(home, rng.randrange(len(home)))


def key_at(home: Iterable[bytes], position: int) -> bytes:
    """The key at a position of a dict's order."""
    return next(islice(home, position, None))
