"""The list of the files that make up an append-only log, and the rules by which it changes.

A log is one base file (a snapshot or commands) and increments in order, all in one directory; the
manifest there says which files count. A file that is no longer needed is first listed as history
and only then removed, so that a crash leaves nothing that nobody knows of. Pure: names and numbers
only.
"""

from typing import Final

from attrs import define, field, frozen

from ..config.syntax import bytes_from, maybe_split_words, represent, text_from
from ..values.numbers import parse_integer

BASE: Final = "b"
HISTORY: Final = "h"
INCREMENT: Final = "i"
#: The longest line that Redis reads.
_LINE_MAX: Final = 1024
_WORDS: Final = 6


class ManifestError(Exception):
    """The manifest makes no sense; the text is for the log."""


@frozen
class LogFile:
    """One line of the manifest."""

    name: str
    sequence: int
    kind: str

    def line(self) -> str:
        """As it stands in the manifest."""
        is_plain = all(33 <= ord(letter) < 127 and letter not in "\"'\\" for letter in self.name)
        name = self.name if is_plain else represent(self.name)
        return f"file {name} seq {self.sequence} type {self.kind}\n"


@define(eq=False)
class Manifest:
    """Which files there are, in the order in which they are read; `stem` is `appendfilename`."""

    stem: str
    base: LogFile | None = None
    increments: list[LogFile] = field(factory=list)
    history: list[LogFile] = field(factory=list)
    base_sequence: int = 0
    increment_sequence: int = 0

    @property
    def file_name(self) -> str:
        """What the manifest itself is called."""
        return f"{self.stem}.manifest"

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read yet."""
        return self.base is None and not self.increments

    def copy(self) -> "Manifest":
        """One that can be changed, and thrown away if its writing fails."""
        return Manifest(
            self.stem,
            self.base,
            list(self.increments),
            list(self.history),
            self.base_sequence,
            self.increment_sequence,
        )

    def files(self) -> list[LogFile]:
        """Everything to be read, in order."""
        return [*([self.base] if self.base is not None else []), *self.increments]

    def encode(self) -> bytes:
        """The text of the manifest."""
        lines = [*([self.base] if self.base else []), *self.history, *self.increments]
        return bytes_from("".join(each.line() for each in lines))

    # --- changes --------------------------------------------------------------------------------

    def begin_base(self, is_snapshot: bool) -> str:
        """A new base takes the place of the old one, which becomes history; returns its name."""
        if self.base is not None:
            self.history.insert(0, LogFile(self.base.name, self.base.sequence, HISTORY))
        self.base_sequence += 1
        name = f"{self.stem}.{self.base_sequence}.base.{'rdb' if is_snapshot else 'aof'}"
        self.base = LogFile(name, self.base_sequence, BASE)
        return name

    def begin_increment(self) -> str:
        """From here on commands go to a new increment; returns its name."""
        self.increment_sequence += 1
        name = f"{self.stem}.{self.increment_sequence}.incr.aof"
        self.increments.append(LogFile(name, self.increment_sequence, INCREMENT))
        return name

    def retire_increments(self, keep: int) -> None:
        """All increments but the last `keep` are in the new base now: they become history."""
        count = max(0, len(self.increments) - keep)
        for old in self.increments[:count]:
            self.history.insert(0, LogFile(old.name, old.sequence, HISTORY))
        del self.increments[:count]

    def adopt_old_file(self) -> None:
        """The one file of a version before 7 becomes the base, under its own name."""
        self.base_sequence = 1
        self.base = LogFile(self.stem, 1, BASE)


def decode_manifest_untrusted(stem: str, data: bytes) -> Manifest:
    """Read a manifest; raises ManifestError."""
    manifest = Manifest(stem)
    if not data:
        raise ManifestError("Found an empty AOF manifest")
    lines = data.split(b"\n")
    if lines.pop():
        raise ManifestError("The AOF manifest file contains too long line")
    for number, line in enumerate(lines, 1):
        if line.startswith(b"#"):
            continue
        if len(line) > _LINE_MAX:
            raise ManifestError("The AOF manifest file contains too long line")
        _take_line(manifest, line, number)
    return manifest


def _take_line(manifest: Manifest, line: bytes, number: int) -> None:
    wrong = ManifestError(f"Invalid AOF manifest file format, line {number}: {text_from(line)!r}")
    words = maybe_split_words(text_from(line.strip(b" \t\r\n")))
    if words is None or len(words) < _WORDS or len(words) % 2:
        raise wrong
    facts = {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}
    name, kind = facts.get("file", ""), facts.get("type", "")
    sequence = parse_integer(bytes_from(facts.get("seq", "")))
    if not name or sequence is None or sequence < 1:
        raise wrong
    if "/" in name or name in (".", ".."):
        raise ManifestError("File can't be a path, just a filename")
    entry = LogFile(name, sequence, kind)
    if kind == BASE:
        if manifest.base is not None:
            raise ManifestError("Found duplicate base file information")
        manifest.base = entry
        manifest.base_sequence = sequence
    elif kind == INCREMENT:
        if sequence <= manifest.increment_sequence:
            raise ManifestError("Found a non-monotonic sequence number")
        manifest.increments.append(entry)
        manifest.increment_sequence = sequence
    elif kind == HISTORY:
        manifest.history.append(entry)
    else:
        raise ManifestError("Unknown AOF file type")
