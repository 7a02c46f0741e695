"""How much memory keys take: estimates, since Python cannot tell what an object costs in full.

The figures are those of CPython on a 64-bit machine, checked against the growth of a process filled
with a million keys. `MEMORY USAGE`, `INFO memory` and `maxmemory` all use them.
"""

from typing import Final, Protocol, runtime_checkable

#: A bytes object is a header of 33 bytes and its text, in steps of 16.
_BYTES_HEADER: Final = 33
_BYTEARRAY_HEADER: Final = 57
_ALLOCATION_STEP: Final = 16
#: One entry of a dict: index, hash, two pointers, and the room that is kept free.
DICT_ENTRY_BYTES: Final = 48
#: A lifetime: another dict entry and an integer.
LIFETIME_BYTES: Final = DICT_ENTRY_BYTES + 32
SAMPLES: Final = 5


@runtime_checkable
class Sized(Protocol):
    """What collections offer."""

    def estimate_bytes(self, samples: int) -> int:
        """About how many bytes the value takes, judged by so many of its elements (0: all)."""


def bytes_size(length: int) -> int:
    """What a bytes object of so many bytes occupies."""
    return -(-(_BYTES_HEADER + length) // _ALLOCATION_STEP) * _ALLOCATION_STEP


def value_size(value: object, samples: int = SAMPLES) -> int:
    """What a stored value occupies, without its key."""
    if isinstance(value, bytes):
        return bytes_size(len(value))
    if isinstance(value, bytearray):
        return _BYTEARRAY_HEADER + value.__alloc__()
    assert isinstance(value, Sized), type(value)
    return value.estimate_bytes(samples)


def entry_size(key: bytes, value: object, samples: int = SAMPLES) -> int:
    """What a key with its value adds to a database."""
    return DICT_ENTRY_BYTES + bytes_size(len(key)) + value_size(value, samples)


class Meter:
    """The running total of one database.

    A string's size follows from its length, so nothing is remembered for it. What changes in place
    is remembered per key, so that exactly what was once added is later taken away.
    """

    __slots__ = ("_remembered", "total_bytes")

    def __init__(self) -> None:
        self.total_bytes = 0
        self._remembered: dict[bytes, int] = {}

    def replace(self, key: bytes, old: object | None, new: object) -> None:
        """`new` takes the place of `old` under `key`."""
        if old is not None:
            self.remove(key, old)
        size = entry_size(key, new)
        if type(new) is not bytes:
            self._remembered[key] = size
        self.total_bytes += size

    def remove(self, key: bytes, value: object) -> None:
        """`key` goes, and `value` with it."""
        if type(value) is bytes:
            self.total_bytes -= entry_size(key, value)
        else:
            self.total_bytes -= self._remembered.pop(key, 0)

    def remeasure(self, key: bytes, value: object | None) -> None:
        """The value under `key` was changed in place, perhaps."""
        if value is None or type(value) is bytes:
            return
        size = entry_size(key, value)
        self.total_bytes += size - self._remembered.get(key, 0)
        self._remembered[key] = size

    def clear(self) -> None:
        """All keys went."""
        self.total_bytes = 0
        self._remembered.clear()
