"""Values with a form of their own: save points, buffer limits, addresses, event classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import isinf
from typing import Final

from attrs import evolve, frozen

from .directive import Kind, RefusedError, RewriteLine
from .kinds import maybe_lenient_integer, maybe_memory, memory_text
from .syntax import represent

BIND_ADDRESSES_MAX: Final = 16

_EVENT_CLASSES: Final = "g$lshzxetd"
_EVENT_LETTERS: Final = frozenset("KEmn" + _EVENT_CLASSES)
_NUMBER: Final = re.compile(
    r"[+-]?(?:[0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?|inf|infinity)",
    re.IGNORECASE,
)


@frozen
class SavePoint:
    """Save the data set after so many seconds, if there were at least so many changes."""

    seconds: int
    changes: int


class SaveKind(Kind[tuple[SavePoint, ...]]):
    """Pairs of seconds and changes."""

    takes_many_words = True

    def parse(self, words: Sequence[str], current: tuple[SavePoint, ...]) -> tuple[SavePoint, ...]:
        """Read pairs; a single empty word stands for none."""
        if list(words) == [""]:
            return ()
        numbers = [maybe_lenient_integer(word) for word in words]
        seconds, changes = numbers[0::2], numbers[1::2]
        points: list[SavePoint] = []
        for second, change in zip(seconds, changes, strict=False):
            if second is None or second < 1 or change is None or change < 0:
                raise RefusedError("Invalid save parameters")
            points.append(SavePoint(second, change))
        if len(numbers) % 2:
            raise RefusedError("Invalid save parameters")
        return tuple(points)

    def parse_in_file(
        self, words: Sequence[str], current: tuple[SavePoint, ...], is_first: bool
    ) -> tuple[SavePoint, ...]:
        """The first line replaces the defaults, an empty one all before it, others add up."""
        points = self.parse(words, current)
        if is_first or list(words) == [""]:
            return points
        return current + points

    def text(self, value: tuple[SavePoint, ...]) -> str:
        """All numbers in a row."""
        return " ".join(f"{point.seconds} {point.changes}" for point in value)

    def rewrite_lines(
        self, value: tuple[SavePoint, ...], default: tuple[SavePoint, ...]
    ) -> list[RewriteLine]:
        """One line for each point, always: an absent directive would bring the defaults back."""
        if not value:
            return [RewriteLine('""', forced=True)]
        return [RewriteLine(f"{point.seconds} {point.changes}", forced=True) for point in value]

    def hint(self) -> str:
        """The pair."""
        return 'seconds and changes, repeated; "" for never'


@frozen
class OutputLimit:
    """How much output may wait for a client: never more than hard, and not long more than soft."""

    hard_bytes: int
    soft_bytes: int
    soft_seconds: int


@frozen
class OutputLimits:
    """The limits of the three classes of clients."""

    normal: OutputLimit
    replica: OutputLimit
    pubsub: OutputLimit

    def of_class(self, name: str) -> OutputLimit:
        """The limit of one class; `slave` is an old name of `replica`."""
        return {
            "normal": self.normal,
            "replica": self.replica,
            "slave": self.replica,
            "pubsub": self.pubsub,
        }[name]


class OutputLimitsKind(Kind[OutputLimits]):
    """Four words for each class: its name, hard limit, soft limit, seconds."""

    takes_many_words = True

    def parse(self, words: Sequence[str], current: OutputLimits) -> OutputLimits:
        """Read some classes; the others keep their limits."""
        if len(words) % 4:
            raise RefusedError("Wrong number of arguments in buffer limit configuration.")
        limits = current
        for index in range(0, len(words), 4):
            name = words[index].lower()
            if name not in ("normal", "replica", "slave", "pubsub"):
                raise RefusedError("Invalid client class specified in buffer limit configuration.")
            hard, soft = maybe_memory(words[index + 1]), maybe_memory(words[index + 2])
            seconds = maybe_lenient_integer(words[index + 3])
            if hard is None or soft is None or seconds is None or seconds < 0:
                raise RefusedError(
                    "Error in hard, soft or soft_seconds setting in buffer limit configuration.",
                )
            field = "replica" if name == "slave" else name
            limits = evolve(limits, **{field: OutputLimit(hard, soft, seconds)})
        return limits

    def text(self, value: OutputLimits) -> str:
        """All three classes; replicas appear under the old name, which clients look for."""
        return " ".join(
            f"{name} {limit.hard_bytes} {limit.soft_bytes} {limit.soft_seconds}"
            for name, limit in (
                ("normal", value.normal),
                ("slave", value.replica),
                ("pubsub", value.pubsub),
            )
        )

    def rewrite_lines(self, value: OutputLimits, default: OutputLimits) -> list[RewriteLine]:
        """A line for each class."""
        lines: list[RewriteLine] = []
        for name in ("normal", "replica", "pubsub"):
            limit = value.of_class(name)
            hard, soft = memory_text(limit.hard_bytes), memory_text(limit.soft_bytes)
            lines.append(
                RewriteLine(
                    f"{name} {hard} {soft} {limit.soft_seconds}",
                    forced=limit != default.of_class(name),
                ),
            )
        return lines

    def hint(self) -> str:
        """The four words."""
        return "class (normal, replica, pubsub), hard size, soft size, soft seconds; repeated"


class BindKind(Kind[tuple[str, ...]]):
    """Addresses to listen on."""

    takes_many_words = True

    def parse(self, words: Sequence[str], current: tuple[str, ...]) -> tuple[str, ...]:
        """Take up to sixteen words; a single empty one stands for none."""
        if len(words) > BIND_ADDRESSES_MAX:
            raise RefusedError("Too many bind addresses specified.")
        return () if list(words) == [""] else tuple(words)

    def text(self, value: tuple[str, ...]) -> str:
        """The addresses in a row."""
        return " ".join(value)

    def rewrite_lines(self, value: tuple[str, ...], default: tuple[str, ...]) -> list[RewriteLine]:
        """One line, but none for the default: what it means may be another machine's business."""
        if value == default:
            return []
        return [RewriteLine(self.text(value) or '""', forced=True)]

    def hint(self) -> str:
        """The form of an address."""
        return "addresses; one marked with - may be missing on this machine"


class KeyspaceEventsKind(Kind[frozenset[str]]):
    """Letters for classes of events; the value is the set of single letters, `A` written out."""

    def parse(self, words: Sequence[str], current: frozenset[str]) -> frozenset[str]:
        """Read the letters."""
        letters = set(words[0])
        if "A" in letters:
            letters = (letters - {"A"}) | set(_EVENT_CLASSES)
        if not letters <= _EVENT_LETTERS:
            raise RefusedError("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.")
        return frozenset(letters)

    def text(self, value: frozenset[str]) -> str:
        """The letters in Redis' order, all classes together as `A`."""
        if value >= set(_EVENT_CLASSES):
            classes = "A"  # Redis forgets to mention `n` here; CONFIG GET is compared byte by byte.
        else:
            classes = "".join(letter for letter in _EVENT_CLASSES + "n" if letter in value)
        return classes + "".join(letter for letter in "KEm" if letter in value)

    def rewrite_lines(self, value: frozenset[str], default: frozenset[str]) -> list[RewriteLine]:
        """One quoted text."""
        text = represent(self.text(value))
        if "n" in value and value >= set(_EVENT_CLASSES):
            text = represent(self.text(value) + "n")  # The file at least must not lose it.
        return [RewriteLine(text, forced=value != default)]

    def hint(self) -> str:
        """The letters."""
        return 'letters out of Ag$lshzxeKEtmdn; "" for none'


class OomScoresKind(Kind[tuple[int, int, int]]):
    """Three numbers: for a primary, a replica and a saving child."""

    takes_many_words = True

    def parse(self, words: Sequence[str], current: tuple[int, int, int]) -> tuple[int, int, int]:
        """Read the three numbers."""
        if len(words) != 3:
            raise RefusedError("wrong number of arguments")
        numbers = [maybe_lenient_integer(word) for word in words]
        scores = [number for number in numbers if number is not None and -2000 <= number <= 2000]
        if len(scores) != 3:
            raise RefusedError(
                "Invalid oom-score-adj-values, elements must be between -2000 and 2000."
            )
        return scores[0], scores[1], scores[2]

    def text(self, value: tuple[int, int, int]) -> str:
        """The numbers in a row."""
        return " ".join(map(str, value))

    def hint(self) -> str:
        """The three numbers."""
        return "three numbers from -2000 to 2000"


class PercentilesKind(Kind[tuple[float, ...]]):
    """Numbers from 0 to 100."""

    takes_many_words = True

    def parse(self, words: Sequence[str], current: tuple[float, ...]) -> tuple[float, ...]:
        """Read the numbers; a single empty word stands for none."""
        if list(words) == [""]:
            return ()
        percentiles: list[float] = []
        for word in words:
            is_number = _NUMBER.fullmatch(word) is not None
            number = float(word) if is_number else 0.0
            overflows = isinf(number) and "i" not in word.lower()
            if not is_number or overflows:
                raise RefusedError("Invalid latency-tracking-info-percentiles parameters")
            if not 0 <= number <= 100:
                raise RefusedError(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]",
                )
            percentiles.append(number)
        return tuple(percentiles)

    def text(self, value: tuple[float, ...]) -> str:
        """The numbers with up to six decimals."""
        return " ".join(f"{number:.6f}".rstrip("0").rstrip(".") for number in value)

    def rewrite_lines(
        self, value: tuple[float, ...], default: tuple[float, ...]
    ) -> list[RewriteLine]:
        """One line, always, as Redis does."""
        return [RewriteLine(self.text(value) or '""', forced=True)]

    def hint(self) -> str:
        """The range."""
        return 'numbers from 0 to 100; "" for none'


@frozen
class HostAndPort:
    """Where a primary listens."""

    host: str
    port: int


class ReplicaOfKind(Kind[HostAndPort | None]):
    """A host and a port, or `no one`."""

    takes_many_words = True
    absent_arguments = "no one"

    def parse(self, words: Sequence[str], current: HostAndPort | None) -> HostAndPort | None:
        """Read both words."""
        if len(words) != 2:
            raise RefusedError("wrong number of arguments")
        host, word = words
        if (host.lower(), word.lower()) == ("no", "one"):
            return None
        port = maybe_lenient_integer(word)
        if port is None or not 0 <= port <= 65535:
            raise RefusedError("Invalid master port")
        return HostAndPort(host, port)

    def text(self, value: HostAndPort | None) -> str:
        """Host and port."""
        return "" if value is None else f"{value.host} {value.port}"

    def rewrite_lines(
        self, value: HostAndPort | None, default: HostAndPort | None
    ) -> list[RewriteLine]:
        """One line for a replica, none for a primary."""
        return [] if value is None else [RewriteLine(self.text(value), forced=True)]

    def hint(self) -> str:
        """Both words."""
        return "host and port, or no one"


class DirectoryKind(Kind[str]):
    """The working directory; where it is cannot be left to whoever starts the server next."""

    def parse(self, words: Sequence[str], current: str) -> str:
        """Take the path as it is."""
        return words[0]

    def text(self, value: str) -> str:
        """The path."""
        return value

    def rewrite_lines(self, value: str, default: str) -> list[RewriteLine]:
        """One quoted path, always."""
        return [RewriteLine(represent(value), forced=True)]

    def hint(self) -> str:
        """What it has to be."""
        return "an existing directory"
