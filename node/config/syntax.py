"""The syntax of configuration files and of the command line, byte for byte that of redis-server.

Owns: cutting a line into words with Redis' quoting rules, writing a text in quotes, turning a
command line into lines of a configuration file, and the exceptions that say which line is wrong.

Rules: nothing here touches a file. Texts are `str`; bytes that are not UTF-8 travel through them as
surrogate escapes (`text_from`, `bytes_from`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

from attrs import frozen

from ..version import REDIS_VERSION

_SPACES: Final = b" \t\n\v\f\r"
# Redis skips every kind of space between words, but only these end a word without quotes.
_WORD_ENDS: Final = b" \t\n\r"
_ESCAPED: Final = {0x6E: 0x0A, 0x72: 0x0D, 0x74: 0x09, 0x62: 0x08, 0x61: 0x07}
_HEX_DIGITS: Final = frozenset(b"0123456789abcdefABCDEF")
_ESCAPES: Final = {0x5C: "\\\\", 0x22: '\\"', 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t"} | {
    0x07: "\\a",
    0x08: "\\b",
}
_DOUBLE_QUOTE: Final = 0x22
_SINGLE_QUOTE: Final = 0x27
_BACKSLASH: Final = 0x5C


class ConfigError(Exception):
    """The server cannot start with this configuration; `fatal_text` says so as Redis does."""

    def fatal_text(self, redis_version: str = REDIS_VERSION) -> str:
        """What to print before exiting."""
        return str(self)


class ConfigFileError(ConfigError):
    """A line is wrong, or, without a number, the directives do not go together."""

    def __init__(self, line_number: int | None, line: str, reason: str) -> None:
        super().__init__(reason if line_number is None else f"line {line_number}: {reason}")
        self.line_number = line_number
        self.line = line
        self.reason = reason

    def fatal_text(self, redis_version: str = REDIS_VERSION) -> str:
        """The text that redis-server writes to its standard error."""
        place = ""
        if self.line_number is not None:
            place = (
                f"Reading the configuration file, at line {self.line_number}\n>>> '{self.line}'\n"
            )
        head = f"\n*** FATAL CONFIG FILE ERROR (Redis {redis_version}) ***\n"
        return f"{head}{place}{self.reason}\n"


class UnreadableFileError(ConfigError):
    """A file that was asked for cannot be opened."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"Fatal error, can't open config file '{path}': {reason}")


class CommandLineError(ConfigError):
    """The command line asks for something that this server does not do."""


def text_from(data: bytes) -> str:
    """Bytes as text, losing nothing."""
    return data.decode("utf-8", "surrogateescape")


def bytes_from(text: str) -> bytes:
    """The way back from `text_from`."""
    return text.encode("utf-8", "surrogateescape")


def maybe_split_words(line: str) -> list[str] | None:
    """Cut a line into its words; None if a quote does not end where it should."""
    # A zero byte ends the line: to Redis it is a C string.
    data = bytes_from(line).partition(b"\0")[0]
    words: list[str] = []
    index = 0
    while True:
        while index < len(data) and data[index] in _SPACES:
            index += 1
        if index >= len(data):
            return words
        found = _maybe_word(data, index)
        if found is None:
            return None
        word, index = found
        words.append(text_from(word))


def _maybe_word(data: bytes, index: int) -> tuple[bytes, int] | None:
    """Read one word; quotes may open anywhere in it, but what closes them must end it."""
    word = bytearray()
    while index < len(data) and data[index] not in _WORD_ENDS:
        if data[index] in (_DOUBLE_QUOTE, _SINGLE_QUOTE):
            is_double = data[index] == _DOUBLE_QUOTE
            read_quoted = _maybe_double_quoted if is_double else _maybe_single_quoted
            quoted = read_quoted(data, index + 1)
            if quoted is None:
                return None
            part, end = quoted
            if end < len(data) and data[end] not in _SPACES:
                return None
            return bytes(word + part), end
        word.append(data[index])
        index += 1
    return bytes(word), index


def _maybe_double_quoted(data: bytes, index: int) -> tuple[bytes, int] | None:
    """Read up to the closing quote, with escapes; return the text and the index behind it."""
    part = bytearray()
    while index < len(data):
        byte = data[index]
        if byte == _DOUBLE_QUOTE:
            return bytes(part), index + 1
        if byte == _BACKSLASH and index + 1 < len(data):
            digits = data[index + 2 : index + 4]
            if data[index + 1] == 0x78 and len(digits) == 2 and _HEX_DIGITS.issuperset(digits):
                part.append(int(digits, 16))
                index += 4
                continue
            part.append(_ESCAPED.get(data[index + 1], data[index + 1]))
            index += 2
            continue
        part.append(byte)
        index += 1
    return None


def _maybe_single_quoted(data: bytes, index: int) -> tuple[bytes, int] | None:
    """Read up to the closing quote, where only the quote itself can be escaped."""
    part = bytearray()
    while index < len(data):
        byte = data[index]
        if byte == _SINGLE_QUOTE:
            return bytes(part), index + 1
        if byte == _BACKSLASH and data[index + 1 : index + 2] == b"'":
            index += 1
        part.append(data[index])
        index += 1
    return None


def represent(text: str) -> str:
    """A text in double quotes, so that `maybe_split_words` gives it back."""
    return '"' + "".join(map(_represent_byte, bytes_from(text))) + '"'


def _represent_byte(byte: int) -> str:
    known = _ESCAPES.get(byte)
    if known is not None:
        return known
    return chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}"


class Mode(Enum):
    """What the command line asks the program to do."""

    SERVE = "serve"
    VERSION = "version"
    HELP = "help"
    CHECK_SYSTEM = "check-system"


@frozen
class CommandLine:
    """A command line taken apart; `options` are lines to read after the file and standard input."""

    mode: Mode = Mode.SERVE
    maybe_path: str | None = None
    reads_standard_input: bool = False
    options: str = ""


_MODES: Final = {
    "-v": Mode.VERSION,
    "--version": Mode.VERSION,
    "-h": Mode.HELP,
    "--help": Mode.HELP,
    "--check-system": Mode.CHECK_SYSTEM,
}


def parse_command_line(arguments: Sequence[str]) -> CommandLine:
    """Take apart what follows the program's name: `[file | -] [--directive value ...]`."""
    if "--sentinel" in arguments:
        raise CommandLineError("There is no Sentinel here: nodes of a cluster watch each other.")
    if not arguments:
        return CommandLine()
    if arguments[0] in _MODES:
        return CommandLine(_MODES[arguments[0]])
    if arguments[0] == "--test-memory":
        raise CommandLineError("The memory test is not available: it belongs to redis-server.")
    has_path = not arguments[0].startswith("-")
    options, reads_standard_input = _options(arguments, start=int(has_path))
    return CommandLine(
        maybe_path=arguments[0] if has_path else None,
        reads_standard_input=reads_standard_input,
        options=options,
    )


def _options(arguments: Sequence[str], start: int) -> tuple[str, bool]:
    """Turn `--name value` into lines; what follows a bare name is its value, dashes or not."""
    options = ""
    reads_standard_input = False
    name_has_value = True
    last = len(arguments) - 1
    for index in range(start, len(arguments)):
        argument = arguments[index]
        if argument == "-" and index in (0, last):
            reads_standard_input = True
        elif name_has_value and argument.startswith("--"):
            options += ("\n" if options else "") + argument[2:] + " "
            words = maybe_split_words(argument)
            name_has_value = words is None or len(words) != 1
            if not name_has_value and argument.lower() == "--save":
                # Scripts that build their command line from an array leave the empty value out.
                if index == last:
                    options += '""'
                elif arguments[index + 1].startswith("--"):
                    options += '""'
                    name_has_value = True
        else:
            options += represent(argument) + " "
            name_has_value = True
    return options, reads_standard_input


def configuration_text(file_text: str, standard_input: str, options: str) -> str:
    """Put the sources into one text; what comes later wins."""
    return file_text + standard_input + "\n" + options
