"""The longest common subsequence of two strings, the very one that Redis' LCS picks.

Owns the computation behind LCS with LEN, IDX, MINMATCHLEN and WITHMATCHLEN.

BACKGROUND: the table L[i][j] (the length for the first i bytes of one string and the first j of
the other) grows by 0 or 1 from one column to the next, so a row is a string of bits, and a whole
row is computed by a few operations on one large integer (Crochemore et al., 2001). In such a row
a zero at bit j-1 means L[i][j] > L[i][j-1].

BEHAVIOR: several subsequences may be longest. Redis walks back from the end and, at two different
bytes, drops the last byte of the first string only if that alone keeps the length; this is
exactly that zero bit. So the rows, an eighth of a byte a cell against Redis' four, suffice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import attrs

_TABLE_CELL_BYTES = 4


@attrs.frozen(slots=True)
class Match:
    """A stretch that both strings share; the ends are inclusive, as Redis reports them."""

    left_start: int
    left_end: int
    right_start: int
    right_end: int

    @property
    def length(self) -> int:
        """The number of bytes that match."""
        return self.left_end - self.left_start + 1


@attrs.frozen(slots=True)
class CommonSubsequence:
    """The subsequence itself and where it lies, from the last match to the first."""

    text: bytes
    matches: tuple[Match, ...]

    @property
    def length(self) -> int:
        """The number of bytes of the subsequence."""
        return len(self.text)

    def matches_of_length(self, minimum: int) -> list[Match]:
        """Return the matches that MINMATCHLEN lets through; zero and less let all through."""
        return [match for match in self.matches if match.length >= minimum]


def fits_memory(left_size: int, right_size: int, proto_max_bulk_len: int) -> bool:
    """Tell whether Redis would allow the table that it needs for strings of these sizes."""
    return (left_size + 1) * (right_size + 1) * _TABLE_CELL_BYTES <= proto_max_bulk_len


def common_length(left: bytes, right: bytes) -> int:
    """Return the length of the longest common subsequence."""
    # The length is the same either way round: fewer and longer rows are faster.
    if len(left) > len(right):
        left, right = right, left
    last_row = deque(_rows(left, right), maxlen=1)
    return len(right) - last_row[0].bit_count() if last_row else 0


def common_subsequence(left: bytes, right: bytes) -> CommonSubsequence:
    """Return Redis' choice among the longest common subsequences."""
    width = (len(right) + 7) // 8
    rows = bytearray()
    for row in _rows(left, right):
        rows += row.to_bytes(width, "little")
    text = bytearray()
    matches: list[Match] = []
    i, j = len(left), len(right)
    while i and j:
        if left[i - 1] == right[j - 1]:
            left_end, right_end = i - 1, j - 1
            while i and j and left[i - 1] == right[j - 1]:
                i -= 1
                j -= 1
            matches.append(Match(i, left_end, j, right_end))
            text += left[i : left_end + 1][::-1]
        elif rows[(i - 1) * width + (j - 1 >> 3)] >> (j - 1 & 7) & 1:
            j -= 1
        else:
            i -= 1
    return CommonSubsequence(bytes(text[::-1]), tuple(matches))


def _rows(left: bytes, right: bytes) -> Iterator[int]:
    """Compute row after row; a zero bit is a column where the length grows."""
    all_ones = (1 << len(right)) - 1
    occurrences = {byte: _occurrences(byte, right) for byte in set(left)}
    row = all_ones
    for byte in left:
        hits = row & occurrences[byte]
        row = ((row + hits) | (row - hits)) & all_ones
        yield row


def _occurrences(byte: int, text: bytes) -> int:
    """Return an integer with a bit set for each place of a byte."""
    digits = text[::-1].translate(b"0" * byte + b"1" + b"0" * (255 - byte))
    return int(digits or b"0", 2)
