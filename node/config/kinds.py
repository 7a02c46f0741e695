"""The plain kinds of values - yes/no, numbers, sizes, words - and the functions that declare them.

Rules: a number is read exactly as strictly (or as carelessly) as Redis reads it, and a refusal has
Redis' words. Texts are `str`; bytes that are not UTF-8 are carried as surrogate escapes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from .directive import Directive, Kind, RefusedError, RewriteLine, Trait
from .syntax import represent

INT_MAX: Final = 2**31 - 1
INT_MIN: Final = -(2**31)
UINT_MAX: Final = 2**32 - 1
LONG_MAX: Final = 2**63 - 1
LONG_MIN: Final = -(2**63)
ULONG_MAX: Final = 2**64 - 1

_STRICT_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,19}")
_MEMORY: Final = re.compile(r"([0-9]*)([a-z]*)", re.IGNORECASE | re.ASCII)
_UNITS: Final = {
    "": 1,
    "b": 1,
    "k": 1000,
    "kb": 1024,
    "m": 1000**2,
    "mb": 1024**2,
    "g": 1000**3,
    "gb": 1024**3,
}
_LENIENT_DECIMAL: Final = re.compile(r"[ \t-\r]*([+-]?[0-9]+)")
_LENIENT_OCTAL: Final = re.compile(r"[ \t-\r]*([+-]?[0-7]+)")


def maybe_strict_integer(text: str) -> int | None:
    """A whole number of 64 bits without a plus sign, leading zeros or spaces."""
    if _STRICT_INTEGER.fullmatch(text) is None:
        return None
    number = int(text)
    return number if LONG_MIN <= number <= LONG_MAX else None


def maybe_lenient_integer(text: str, base: int = 10) -> int | None:
    """A number as C's strtoll takes it: spaces and signs pass, overflow sticks, nothing is 0."""
    if not text:
        return 0
    found = (_LENIENT_OCTAL if base == 8 else _LENIENT_DECIMAL).fullmatch(text)
    if found is None:
        return None
    return max(LONG_MIN, min(LONG_MAX, int(found[1], base)))


def maybe_memory(text: str) -> int | None:
    """Bytes, perhaps with a unit: `k`, `m`, `g` count in thousands, `kb`, `mb`, `gb` in 1024s."""
    found = _MEMORY.fullmatch(text)
    if found is None or len(found[1]) >= 128:
        return None
    factor = _UNITS.get(found[2].lower())
    if factor is None:
        return None
    # Redis multiplies in 64 bits without a look at the overflow; so a huge value becomes another.
    return min(int(found[1] or "0"), ULONG_MAX) * factor & ULONG_MAX


def memory_text(size_bytes: int) -> str:
    """A size in the largest unit that divides it, as CONFIG REWRITE writes it."""
    for unit, factor in (("gb", 1024**3), ("mb", 1024**2), ("kb", 1024)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return str(size_bytes)


class BooleanKind(Kind[bool]):
    """`yes` or `no`."""

    def parse(self, words: Sequence[str], current: bool) -> bool:
        """Read `yes` or `no` in any case."""
        word = words[0].lower()
        if word not in ("yes", "no"):
            raise RefusedError("argument must be 'yes' or 'no'")
        return word == "yes"

    def text(self, value: bool) -> str:
        """`yes` or `no`."""
        return "yes" if value else "no"


class IntegerKind(Kind[int]):
    """A whole number within a range."""

    def __init__(self, minimum: int, maximum: int) -> None:
        self.minimum = minimum
        self.maximum = maximum

    def parse(self, words: Sequence[str], current: int) -> int:
        """Read a number and check its range."""
        number = maybe_strict_integer(words[0])
        if number is None:
            raise RefusedError("argument couldn't be parsed into an integer")
        return self._in_range(number)

    def _in_range(self, number: int) -> int:
        if not self.minimum <= number <= self.maximum:
            raise RefusedError(
                f"argument must be between {self.text(self.minimum)} and "
                f"{self.text(self.maximum)} inclusive",
            )
        return number

    def text(self, value: int) -> str:
        """Decimal digits."""
        return str(value)

    def hint(self) -> str:
        """The range, as far as it says anything."""
        lowest = "" if self.minimum <= INT_MIN else self.text(self.minimum)
        if self.maximum < INT_MAX:
            return f"{lowest} to {self.text(self.maximum)}"
        return f"{lowest} or more" if lowest not in ("", "0") else ""


class MemoryKind(IntegerKind):
    """A size in bytes, written with or without a unit."""

    def parse(self, words: Sequence[str], current: int) -> int:
        """Read a size and check its range."""
        size = maybe_memory(words[0])
        if size is None:
            raise RefusedError("argument must be a memory value")
        return self._in_range(size)

    def rewrite_lines(self, value: int, default: int) -> list[RewriteLine]:
        """One line, with the largest unit that fits."""
        return [RewriteLine(memory_text(value), forced=value != default)]

    def hint(self) -> str:
        """The least size, as far as it says anything."""
        return f"size, {memory_text(self.minimum)} or more" if self.minimum > 1 else "size"


class OctalKind(IntegerKind):
    """File permissions."""

    def parse(self, words: Sequence[str], current: int) -> int:
        """Read octal digits and check the range."""
        number = maybe_lenient_integer(words[0], base=8)
        if number is None:
            raise RefusedError("argument couldn't be parsed as an octal number")
        return self._in_range(number)

    def text(self, value: int) -> str:
        """Octal digits without a prefix."""
        return f"{value:o}"


@frozen
class MemoryOrPercent:
    """A size in bytes, or a share of `maxmemory`."""

    amount: int
    is_percent: bool = False

    def bytes_of(self, whole_bytes: int) -> int:
        """The size in bytes, if the whole is that large; 0 stands for no limit."""
        return whole_bytes * self.amount // 100 if self.is_percent else self.amount


class MemoryOrPercentKind(Kind[MemoryOrPercent]):
    """A size in bytes or a percentage."""

    def parse(self, words: Sequence[str], current: MemoryOrPercent) -> MemoryOrPercent:
        """Read a size or `n%`."""
        word = words[0]
        size = maybe_memory(word)
        if size is not None and size <= LONG_MAX:
            return MemoryOrPercent(size)
        percent = maybe_strict_integer(word[:-1]) if word.endswith("%") else None
        if size is None and (percent is None or percent < 0):
            raise RefusedError("argument must be a memory or percent value")
        if percent is None or percent > 100:
            raise RefusedError("percentage argument must be less or equal to 100")
        return MemoryOrPercent(percent, is_percent=percent > 0)

    def text(self, value: MemoryOrPercent) -> str:
        """Bytes, or `n%`."""
        return f"{value.amount}%" if value.is_percent else str(value.amount)

    def rewrite_lines(self, value: MemoryOrPercent, default: MemoryOrPercent) -> list[RewriteLine]:
        """One line, sizes with the largest unit that fits."""
        text = self.text(value) if value.is_percent else memory_text(value.amount)
        return [RewriteLine(text, forced=value != default)]

    def hint(self) -> str:
        """Both forms."""
        return "size, or a share of maxmemory such as 5%"


class EnumKind(Kind[str]):
    """One of several words; `synonyms` are accepted too and stand for one of them."""

    def __init__(self, choices: Sequence[str], synonyms: dict[str, str]) -> None:
        self.choices = choices
        self._synonyms = synonyms

    def parse(self, words: Sequence[str], current: str) -> str:
        """Read one of the words in any case."""
        word = words[0].lower()
        if word not in self.choices:
            raise RefusedError(
                f"argument(s) must be one of the following: {', '.join(self.choices)}"
            )
        return self._synonyms.get(word, word)

    def text(self, value: str) -> str:
        """The word itself."""
        return value

    def hint(self) -> str:
        """All words."""
        return ", ".join(self.choices)


class FlagsKind(Kind[frozenset[str]]):
    """Any number of words out of several; the first one stands for none of the others."""

    takes_many_words = True

    def __init__(self, choices: Sequence[str]) -> None:
        self.choices = choices

    def parse(self, words: Sequence[str], current: frozenset[str]) -> frozenset[str]:
        """Read the words in any case and order."""
        given = [word.lower() for word in words]
        if not given or not all(word in self.choices for word in given):
            raise RefusedError(
                f"argument(s) must be one of the following: {', '.join(self.choices)}"
            )
        return frozenset(given) - {self.choices[0]}

    def text(self, value: frozenset[str]) -> str:
        """The words in their fixed order."""
        # Redis names `now` before `force` whichever way they were given.
        return " ".join(word for word in self.choices if word in value) or self.choices[0]

    def hint(self) -> str:
        """All words."""
        return "any of " + ", ".join(self.choices)


class StringKind(Kind[str]):
    """Any text, the empty one included."""

    def parse(self, words: Sequence[str], current: str) -> str:
        """Take the text as it is."""
        return words[0]

    def text(self, value: str) -> str:
        """The text itself."""
        return value

    def rewrite_lines(self, value: str, default: str) -> list[RewriteLine]:
        """One quoted text."""
        return [RewriteLine(represent(value), forced=value != default)]


class MaybeStringKind(Kind[str | None]):
    """A text, or nothing; the empty text means nothing."""

    def parse(self, words: Sequence[str], current: str | None) -> str | None:
        """Take the text as it is."""
        return words[0] or None

    def text(self, value: str | None) -> str:
        """The text itself."""
        return value or ""

    def rewrite_lines(self, value: str | None, default: str | None) -> list[RewriteLine]:
        """One quoted text, or no line at all."""
        if value is None:
            return []
        return [RewriteLine(represent(value), forced=value != default)]


def boolean(
    name: str,
    default: bool,
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    alias: str | None = None,
    validate: Callable[[bool], str | None] | None = None,
) -> Directive[bool]:
    """Declare a directive that is `yes` or `no`."""
    return Directive(name, BooleanKind(), default, doc, traits, alias=alias, validate=validate)


def integer(
    name: str,
    default: int,
    minimum: int,
    maximum: int,
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    alias: str | None = None,
    normalize: Callable[[int], int] | None = None,
) -> Directive[int]:
    """Declare a number within a range."""
    kind = IntegerKind(minimum, maximum)
    return Directive(name, kind, default, doc, traits, alias=alias, normalize=normalize)


def memory(
    name: str,
    default: int,
    minimum: int,
    maximum: int,
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    alias: str | None = None,
    normalize: Callable[[int], int] | None = None,
) -> Directive[int]:
    """Declare a size in bytes."""
    kind = MemoryKind(minimum, maximum)
    return Directive(name, kind, default, doc, traits, alias=alias, normalize=normalize)


def enum(
    name: str,
    default: str,
    choices: Sequence[str],
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    synonyms: dict[str, str] | None = None,
) -> Directive[str]:
    """Declare a choice between words."""
    return Directive(name, EnumKind(choices, synonyms or {}), default, doc, traits)


def string(
    name: str,
    default: str,
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    validate: Callable[[str], str | None] | None = None,
) -> Directive[str]:
    """Declare a text."""
    return Directive(name, StringKind(), default, doc, traits, validate=validate)


def maybe_string(
    name: str,
    doc: str,
    traits: Trait = Trait.NONE,
    *,
    alias: str | None = None,
    validate: Callable[[str | None], str | None] | None = None,
) -> Directive[str | None]:
    """Declare a text that is absent unless given."""
    return Directive(name, MaybeStringKind(), None, doc, traits, alias=alias, validate=validate)
