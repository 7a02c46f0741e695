"""A set of hash slots, immutable, as one big integer whose bit n stands for slot n.

Owns the three ways a set of slots is written down: ranges, the bitmap of the cluster bus (2,048
bytes; slot n is bit n & 7, lowest first, of byte n >> 3) and the text of nodes.conf
(`0-5460 5462`).

Rules: every slot in a set is below SLOT_COUNT, whoever builds the set; nothing here changes a set
in place. Union and its like cost less than a microsecond at any size.
"""

from collections.abc import Iterable, Iterator
from itertools import compress
from typing import Final

from attrs import frozen

from .hashing import SLOT_COUNT

BITMAP_SIZE_BYTES: Final = SLOT_COUNT // 8

_EVERY_SLOT: Final = range(SLOT_COUNT)
#: Makes of the digits `0` and `1` bytes that are false and true.
_TRUTH_OF_DIGITS: Final = bytes.maketrans(b"01", b"\0\1")
_FULL_MASK: Final = (1 << SLOT_COUNT) - 1


def checked_slot(slot: int) -> int:
    """The slot itself, or ValueError if there is no such slot."""
    if not 0 <= slot < SLOT_COUNT:
        raise ValueError(f"no such slot: {slot}")
    return slot


@frozen(repr=False)
class SlotSet:
    """Some of the 16384 slots; `SlotSet()` has none, `SlotSet.full()` has all."""

    _mask: int = 0

    @classmethod
    def full(cls) -> "SlotSet":
        """All slots there are."""
        return cls(_FULL_MASK)

    @classmethod
    def of(cls, slots: Iterable[int]) -> "SlotSet":
        """The set of these slots, in any order, repeated or not."""
        bitmap = bytearray(BITMAP_SIZE_BYTES)
        for slot in slots:
            bitmap[checked_slot(slot) >> 3] |= 1 << (slot & 7)
        return cls(int.from_bytes(bitmap, "little"))

    @classmethod
    def of_ranges(cls, ranges: Iterable[tuple[int, int]]) -> "SlotSet":
        """The set of these ranges; both ends belong to a range."""
        mask = 0
        for first, last in ranges:
            if checked_slot(first) > checked_slot(last):
                raise ValueError(f"slot range runs backwards: {first}-{last}")
            mask |= (1 << (last + 1)) - (1 << first)
        return cls(mask)

    @classmethod
    def of_bitmap(cls, bitmap: bytes) -> "SlotSet":
        """The set in a bitmap of the cluster bus."""
        if len(bitmap) != BITMAP_SIZE_BYTES:
            raise ValueError(f"a slot bitmap has {BITMAP_SIZE_BYTES} bytes, not {len(bitmap)}")
        return cls(int.from_bytes(bitmap, "little"))

    @classmethod
    def of_text(cls, text: str) -> "SlotSet":
        """The set in a text like `0-5460 5462`; ValueError for anything else."""
        return cls.of_ranges(map(_parsed_range, text.split()))

    def bitmap(self) -> bytes:
        """The bitmap of the cluster bus."""
        return self._mask.to_bytes(BITMAP_SIZE_BYTES, "little")

    def text(self) -> str:
        """The text of nodes.conf; the empty set is the empty text."""
        return " ".join(
            str(first) if first == last else f"{first}-{last}" for first, last in self.ranges()
        )

    def ranges(self) -> list[tuple[int, int]]:
        """The fewest ranges that make up the set, lowest first; both ends belong to a range."""
        digits = self._digits()
        found = []
        first = digits.find("1")
        while first >= 0:
            end = digits.find("0", first)
            if end < 0:
                end = len(digits)
            found.append((first, end - 1))
            first = digits.find("1", end)
        return found

    def minimum(self) -> int:
        """The lowest slot; ValueError if there is none."""
        if not self._mask:
            raise ValueError("an empty slot set has no lowest slot")
        return (self._mask & -self._mask).bit_length() - 1

    def maximum(self) -> int:
        """The highest slot; ValueError if there is none."""
        if not self._mask:
            raise ValueError("an empty slot set has no highest slot")
        return self._mask.bit_length() - 1

    def is_disjoint(self, other: "SlotSet") -> bool:
        """Whether no slot is in both."""
        return not self._mask & other._mask

    def complement(self) -> "SlotSet":
        """All slots that are not in this set."""
        return SlotSet(self._mask ^ _FULL_MASK)

    def _digits(self) -> str:
        """One `0` or `1` a slot, slot 0 first, up to the highest slot in the set."""
        return f"{self._mask:b}"[::-1]

    def __or__(self, other: "SlotSet") -> "SlotSet":
        return SlotSet(self._mask | other._mask)

    def __and__(self, other: "SlotSet") -> "SlotSet":
        return SlotSet(self._mask & other._mask)

    def __sub__(self, other: "SlotSet") -> "SlotSet":
        return SlotSet(self._mask & ~other._mask)

    def __xor__(self, other: "SlotSet") -> "SlotSet":
        return SlotSet(self._mask ^ other._mask)

    def __le__(self, other: "SlotSet") -> bool:
        return not self._mask & ~other._mask

    def __contains__(self, slot: int) -> bool:
        return slot >= 0 and bool(self._mask >> slot & 1)

    def __len__(self) -> int:
        return self._mask.bit_count()

    def __bool__(self) -> bool:
        return self._mask != 0

    def __iter__(self) -> Iterator[int]:
        return compress(_EVERY_SLOT, self._digits().encode().translate(_TRUTH_OF_DIGITS))

    def __repr__(self) -> str:
        return f"SlotSet.of_text({self.text()!r})"


def _parsed_range(word: str) -> tuple[int, int]:
    first, dash, last = word.partition("-")
    # int() also takes signs, blanks and underscores, which no nodes.conf holds.
    if not (first.isdecimal() and first.isascii()):
        raise ValueError(f"no slot range: {word!r}")
    if not dash:
        return int(first), int(first)
    if not (last.isdecimal() and last.isascii()):
        raise ValueError(f"no slot range: {word!r}")
    return int(first), int(last)
