"""What HRANDFIELD and ZRANDMEMBER share: how many to pick, and the picking."""

from typing import Final

from ...slots.randomness import Generator
from ..errors import COUNT_OUT_OF_RANGE, OUT_OF_RANGE, SYNTAX
from ..values.numbers import INTEGER_MAXIMUM
from ..values.scancursor import Indexed
from .arguments import required_integer

#: More repeated picks than this at a time are refused: nobody is to wait so long for others.
REPEATED_PICKS_MAX: Final = 1 << 22
#: So many picks, or fewer members than this, are worth a list of all members.
_LISTED: Final = 256


def parse_pick(args: list[bytes], pairs_word: bytes) -> tuple[int, bool]:
    """Read `count [WITH...]` from `args[2]` on: how many to pick, and whether in pairs."""
    count = required_integer(args[2])
    if count < -INTEGER_MAXIMUM:
        raise COUNT_OUT_OF_RANGE
    in_pairs = len(args) == 4
    if len(args) > 4 or (in_pairs and args[3].upper() != pairs_word):
        raise SYNTAX
    if in_pairs and abs(count) > INTEGER_MAXIMUM // 2:
        raise OUT_OF_RANGE
    return count, in_pairs


def pick(collection: Indexed, count: int, rng: Generator) -> list[bytes]:
    """So many different members; for a negative count so many that need not be different."""
    if count >= 0:
        return collection.random_members(count, rng)
    if count < -REPEATED_PICKS_MAX:
        raise OUT_OF_RANGE
    size = len(collection)
    if size <= _LISTED or -count * 4 > size:
        members = list(collection)
        randrange = rng.randrange
        return [members[randrange(size)] for _ in range(-count)]
    return [collection.random_member(rng) for _ in range(-count)]
