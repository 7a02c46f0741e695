"""How long a Redis listpack would be: where lists and stream nodes end is decided by its bytes.

Nothing is ever stored in this format here; only its lengths are computed.
"""

from typing import Final

from .numbers import parse_integer

#: Total length (4 bytes), number of elements (2) and the terminator (1).
LISTPACK_OVERHEAD: Final = 7
#: The longest text that can be a 64-bit integer: such texts are stored as integers.
_LONGEST_INTEGER: Final = 20
_NINE: Final = 0x39
_INTEGER_LIMITS: Final = ((1 << 12, 3), (1 << 15, 4), (1 << 23, 5), (1 << 31, 6), (1 << 63, 10))


def integer_entry_size(value: int) -> int:
    """What an integer takes in a listpack."""
    if 0 <= value <= 127:
        return 2
    for limit, size in _INTEGER_LIMITS:
        if -limit <= value < limit:
            return size
    return entry_size(b"%d" % value)


def entry_size(text: bytes) -> int:
    """What an element takes in a listpack."""
    length = len(text)
    if length <= _LONGEST_INTEGER:
        if length and text[0] > _NINE:
            return length + 2
        if length <= 2 and text.isdigit() and (length == 1 or text[0] != 0x30):
            return 2
        value = parse_integer(text)
        return length + 2 if value is None else integer_entry_size(value)
    if length < 64:
        return length + 2
    if length < 4096:
        size = length + 2
        return size + (1 if size < 128 else 2)
    size = length + 5
    if size < 16384:
        return size + 2
    if size < 2097152:
        return size + 3
    return size + (4 if size < 268435456 else 5)
