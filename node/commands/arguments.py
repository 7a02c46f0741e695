"""Arguments that many commands read alike, and refuse with the same words."""

from typing import Final

from ...slots.hashing import SLOT_COUNT
from ..errors import (
    COUNT_NOT_POSITIVE,
    NOT_AN_INTEGER,
    NUMKEYS_NOT_POSITIVE,
    SYNTAX,
    CommandError,
)
from ..values.numbers import parse_integer

_INVALID_SLOT: Final = CommandError(b"ERR Invalid or out of range slot")


def required_integer(text: bytes) -> int:
    """A 64-bit integer."""
    number = parse_integer(text)
    if number is None:
        raise NOT_AN_INTEGER
    return number


def required_slot(text: bytes) -> int:
    """The number of a slot."""
    slot = parse_integer(text)
    if slot is None or not 0 <= slot < SLOT_COUNT:
        raise _INVALID_SLOT
    return slot


def parse_pop_of_many(
    args: list[bytes], position: int, ends: tuple[bytes, bytes]
) -> tuple[list[bytes], bool, int]:
    """Read `numkeys key... end [COUNT count]`: the keys, whether it is the first end, how many."""
    key_count = parse_integer(args[position])
    if key_count is None or key_count < 1:
        raise NUMKEYS_NOT_POSITIVE
    end_at = position + 1 + key_count
    if end_at >= len(args):
        raise SYNTAX
    end = args[end_at].upper()
    if end not in ends:
        raise SYNTAX
    count = 1
    rest = args[end_at + 1 :]
    if rest:
        if rest[0].upper() != b"COUNT" or len(rest) == 1:
            raise SYNTAX
        number = parse_integer(rest[1])
        if number is None or number < 1:
            raise COUNT_NOT_POSITIVE
        if len(rest) > 2:
            raise SYNTAX
        count = number
    return args[position + 1 : end_at], end == ends[0], count
