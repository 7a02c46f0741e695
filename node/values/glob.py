"""Glob patterns, matched exactly as Redis matches them, in bounded time.

Owns the meaning of `*`, `?`, `[...]`, `[^...]`, `a-z` and backslash for KEYS, SCAN, PSUBSCRIBE,
CONFIG GET, ACL rules and every other command that takes a pattern.

Rules:

* A pattern is first cut into *segments*, the parts between its stars. Each element of a segment
  takes exactly one byte, so the leftmost place of each segment is always the best one and no star
  is ever retried: the worst case is O(len(pattern) * len(text)), without recursion and without
  backtracking (CVE-2022-36021, CVE-2024-31228). A pattern of more than a thousand stars is simply
  matched; later Redis versions refuse to.
* The empty text is matched by the empty pattern alone. Not even `*` matches it: Redis leaves its
  loop before it looks at the star. KEYS and SCAN therefore ask `matches_everything` first and do
  not match at all.
* Bytes above 127 in a range compare as signed, like `char` on x86.
* An unterminated class ends with the pattern, a lone trailing backslash stands for itself, `[]`
  matches nothing and `[^]` matches any byte.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[bytes], bool]

# One element of a segment: the bytes that it accepts, ascending.
_Element = bytes
_Segment = tuple[_Element, ...]

_ANY: _Element = bytes(range(256))
_STAR = 0x2A
_QUESTION = 0x3F
_OPEN = 0x5B
_CLOSE = 0x5D
_BACKSLASH = 0x5C
_DASH = 0x2D

# Longer patterns are neither kept nor turned into regular expressions: building one would cost
# more than it saves.
_LONGEST_COMPILED_PATTERN = 2048


def glob_match(pattern: bytes, text: bytes, ignore_case: bool = False) -> bool:
    """Tell whether `pattern` matches the whole of `text`."""
    return compile_glob(pattern, ignore_case)(text)


def matches_everything(pattern: bytes) -> bool:
    """Tell whether KEYS and SCAN take the pattern for no filter at all."""
    return pattern == b"*"


def compile_glob(pattern: bytes, ignore_case: bool = False) -> Matcher:
    """Return a function that says whether a text matches; it pays when many texts are tried."""
    if len(pattern) > _LONGEST_COMPILED_PATTERN:
        segments = _parse(pattern, ignore_case)
        return lambda text: _match_segments(segments, text)
    return _compile_short(bytes(pattern), ignore_case)


@lru_cache(maxsize=512)
def _compile_short(pattern: bytes, ignore_case: bool) -> Matcher:
    segments = _parse(pattern, ignore_case)
    if len(segments) == 1:
        return _exact_matcher(segments[0])
    first, *middle, last = segments
    if not any(segments):
        return bool  # Nothing but stars.
    if not middle and _is_literal(first) and _is_literal(last):
        return _literal_ends_matcher(b"".join(first), b"".join(last))
    return _general_matcher(first, middle, last)


def _exact_matcher(segment: _Segment) -> Matcher:
    if _is_literal(segment):
        literal = b"".join(segment)
        return lambda text: text == literal
    full_match = _regular_expression(segment).fullmatch
    return lambda text: full_match(text) is not None


def _literal_ends_matcher(prefix: bytes, suffix: bytes) -> Matcher:
    if not suffix:
        return lambda text: text.startswith(prefix)
    if not prefix:
        return lambda text: text.endswith(suffix)
    shortest = len(prefix) + len(suffix)
    return lambda text: len(text) >= shortest and text.startswith(prefix) and text.endswith(suffix)


def _general_matcher(first: _Segment, middle: list[_Segment], last: _Segment) -> Matcher:
    shortest = len(first) + sum(map(len, middle)) + len(last)
    first_length, last_length = len(first), len(last)
    starts = _regular_expression(first).match
    ends = _regular_expression(last).match
    finders = [_finder(segment) for segment in middle]

    def matcher(text: bytes) -> bool:
        limit = len(text) - last_length
        if len(text) < shortest or not starts(text) or not ends(text, limit):
            return False
        position = first_length
        for find in finders:
            position = find(text, position, limit)
            if position < 0:
                return False
        return True

    return matcher


def _finder(segment: _Segment) -> Callable[[bytes, int, int], int]:
    """Return a search that gives the position behind the leftmost place, or -1."""
    length = len(segment)
    if _is_literal(segment):
        literal = b"".join(segment)

        def find_literal(text: bytes, start: int, end: int) -> int:
            position = text.find(literal, start, end)
            return position if position < 0 else position + length

        return find_literal
    search = _regular_expression(segment).search

    def find_expression(text: bytes, start: int, end: int) -> int:
        found = search(text, start, end)
        return -1 if found is None else found.end()

    return find_expression


def _is_literal(segment: _Segment) -> bool:
    return all(len(element) == 1 for element in segment)


def _regular_expression(segment: _Segment) -> re.Pattern[bytes]:
    """Build an expression of fixed length, without any repetition, so that it cannot backtrack."""
    return re.compile(b"".join(map(_element_expression, segment)), re.DOTALL)


def _element_expression(element: _Element) -> bytes:
    if element == _ANY:
        return b"."
    if not element:
        return b"(?!)"
    if len(element) == 1:
        return re.escape(element)
    return b"[" + b"".join(b"\\x%02x" % byte for byte in element) + b"]"


def _match_segments(segments: list[_Segment], text: bytes) -> bool:
    """Match without any preparation: the leftmost place of each segment, one after the other."""
    if len(segments) == 1:
        return len(text) == len(segments[0]) and _matches_at(segments[0], text, 0)
    first, *middle, last = segments
    limit = len(text) - len(last)
    if not text or limit < len(first):
        return False
    if not (_matches_at(first, text, 0) and _matches_at(last, text, limit)):
        return False
    position = len(first)
    for segment in middle:
        while position + len(segment) <= limit and not _matches_at(segment, text, position):
            position += 1
        position += len(segment)
        if position > limit:
            return False
    return True


def _matches_at(segment: _Segment, text: bytes, position: int) -> bool:
    return all(
        byte in element
        for byte, element in zip(text[position : position + len(segment)], segment, strict=True)
    )


def _parse(pattern: bytes, ignore_case: bool) -> list[_Segment]:
    """Cut a pattern into its segments; n stars (neighbours count as one) give n + 1 of them."""
    segments: list[_Segment] = []
    elements: list[_Element] = []
    index = 0
    while index < len(pattern):
        byte = pattern[index]
        if byte == _STAR:
            while pattern[index + 1 : index + 2] == b"*":
                index += 1
            segments.append(tuple(elements))
            elements = []
        elif byte == _QUESTION:
            elements.append(_ANY)
        elif byte == _OPEN:
            element, index = _parse_class(pattern, index + 1, ignore_case)
            elements.append(element)
        else:
            if byte == _BACKSLASH and index + 1 < len(pattern):
                index += 1
            elements.append(_single(pattern[index], ignore_case))
        index += 1
    segments.append(tuple(elements))
    return segments


def _parse_class(pattern: bytes, index: int, ignore_case: bool) -> tuple[_Element, int]:
    """Read a class from behind its bracket; return its bytes and the index of its end."""
    size = len(pattern)
    negated = pattern[index : index + 1] == b"^"
    if negated:
        index += 1
    accepted: set[int] = set()
    while index < size:
        byte = pattern[index]
        if byte == _BACKSLASH and index + 1 < size:
            index += 1
            accepted.add(pattern[index])  # Redis compares an escaped byte with its case.
        elif byte == _CLOSE:
            break
        elif index + 2 < size and pattern[index + 1] == _DASH:
            accepted.update(_range(byte, pattern[index + 2], ignore_case))
            index += 2
        else:
            accepted.update(_single(byte, ignore_case))
        index += 1
    else:
        index -= 1
    if negated:
        accepted = set(range(256)) - accepted
    return bytes(sorted(accepted)), index


@lru_cache(maxsize=512)
def _single(byte: int, ignore_case: bool) -> _Element:
    element = bytes((byte,))
    if ignore_case and element.isalpha():
        return element.upper() + element.lower()
    return element


def _range(start: int, end: int, ignore_case: bool) -> set[int]:
    low, high = sorted((_signed(start), _signed(end)))
    if ignore_case:
        # Only after the swap, as Redis does: [Z-a] becomes z-a, which is empty.
        low, high = _lower(low), _lower(high)
        return {byte for byte in range(256) if low <= _lower(_signed(byte)) <= high}
    return {byte for byte in range(256) if low <= _signed(byte) <= high}


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def _lower(value: int) -> int:
    return value + 32 if 65 <= value <= 90 else value
