"""The first line of scripts and libraries: engine and options, in words with or without quotes."""

from ..errors import CommandError, as_c_string
from .rules import FLAG_NAMES, UNDECLARED, Declaration

_FLAGS = frozenset(FLAG_NAMES)


def read_script(text: bytes) -> tuple[Declaration, bytes]:
    """What a script declares, and the script with its first line emptied if it is a shebang."""
    if not text.startswith(b"#!"):
        return UNDECLARED, text
    line, newline, rest = text.partition(b"\n")
    if not newline:
        raise CommandError(b"ERR Invalid script shebang")
    words = split_words(line)
    if not words:
        raise CommandError(b"ERR Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: " + as_c_string(words[0]))
    flags: set[bytes] = set()
    for option in words[1:]:
        if not option.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: " + as_c_string(option))
        value = option[6:]
        for flag in value.split(b",") if value else ():
            if flag not in _FLAGS:
                raise CommandError(b"ERR Unexpected flag in script shebang: " + as_c_string(flag))
            flags.add(flag)
    return Declaration(frozenset(flags)), b"\n" + rest


def read_library(text: bytes) -> tuple[bytes, bytes, bytes]:
    """Engine and name of a library, and its code with the first line emptied."""
    if not text.startswith(b"#!"):
        raise CommandError(b"ERR Missing library metadata")
    line, newline, rest = text.partition(b"\n")
    words = split_words(line) if newline else None
    if not words:
        raise CommandError(b"ERR Invalid library metadata")
    name: bytes | None = None
    for option in words[1:]:
        if option[:5].lower() != b"name=":
            raise CommandError(b"ERR Invalid metadata value given: " + as_c_string(option))
        if name is not None:
            raise CommandError(
                b"ERR Invalid metadata value, name argument was given multiple times"
            )
        name = option[5:]
    if name is None:
        raise CommandError(b"ERR Library name was not given")
    return words[0][2:], name, b"\n" + rest


_ESCAPES = {0x6E: b"\n", 0x72: b"\r", 0x74: b"\t", 0x62: b"\b", 0x61: b"\a"}
_HEX = b"0123456789abcdefABCDEF"


def split_words(line: bytes) -> list[bytes] | None:
    """The words of a line; None where a quoted one does not end as it should."""
    words: list[bytes] = []
    place, end = 0, len(line)
    while True:
        while place < end and line[place : place + 1].isspace():
            place += 1
        if place >= end:
            return words
        word = bytearray()
        while place < end and not line[place : place + 1].isspace():
            quote = line[place]
            if quote not in b"\"'":
                word.append(quote)
                place += 1
                continue
            closed = _read_quoted(line, place + 1, quote, word)
            if closed is None or (closed < end and not line[closed : closed + 1].isspace()):
                return None
            place = closed
        words.append(bytes(word))


def _read_quoted(line: bytes, place: int, quote: int, word: bytearray) -> int | None:
    """Take what stands between quotes; returns the place behind them, None if there is none."""
    while place < len(line):
        byte = line[place]
        following = line[place + 1 : place + 2]
        if byte == quote:
            return place + 1
        if byte != 0x5C or not following or (quote == 0x27 and following != b"'"):
            word.append(byte)
            place += 1
        elif quote == 0x27:
            word += following
            place += 2
        elif (
            following == b"x"
            and len(digits := line[place + 2 : place + 4]) == 2
            and all(digit in _HEX for digit in digits)
        ):
            word.append(int(digits, 16))
            place += 4
        else:
            word += _ESCAPES.get(following[0], following)
            place += 2
    return None
