"""Reads the commands of an append-only file, and knows at each moment where in it they end.

Pieces of the file go in, whole commands come out. The fast way lets hiredis parse a piece and
checks that writing the commands again gives the very same bytes, so that damage which still looks
like commands is found too; whatever is out of the ordinary (lines that begin with `#`, damage) is
read by an exact parser.
"""

from typing import Final

import hiredis

from ..propagation import encode_command

_HEADER_MAX_BYTES: Final = 128
_LINE_MAX_BYTES: Final = 1024
_WORDS_MAX: Final = 1 << 31
_NUMBER_MAX_DIGITS: Final = 19


class LogFormatError(Exception):
    """Damage: what stands at `offset` of the file is no command."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"bad file format at offset {offset}")
        self.offset = offset


class LogReader:
    """The parser of one file (or of what follows a snapshot in it)."""

    def __init__(self, offset: int = 0) -> None:
        #: How far into the file everything is whole.
        self.offset = offset
        self._rest = b""
        #: Trying again makes no sense before so much is there.
        self._enough = 0
        self._is_over = False
        #: The latest commands, and where the piece that held them began, for `start_of`.
        self._commands: list[list[bytes]] = []
        self._starts: list[int] | None = None
        self._began = offset

    @property
    def rest_bytes(self) -> int:
        """How much of an unfinished command is there."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[list[bytes]]:
        """The whole commands that are there now; raises LogFormatError after giving all before it.

        That is: damage behind whole commands is reported by the next call.
        """
        buffer = self._rest + data if self._rest else data
        self._began = self.offset
        self._commands, self._starts = [], None
        if len(buffer) < self._enough:
            self._rest = buffer
            return []
        commands, size = (None, 0) if self._is_over else _parse_fast(buffer)
        if commands is None:
            commands, self._starts, size = _parse_exactly(buffer, self.offset)
        self._commands = commands
        self.offset += size
        self._rest = buffer[size:] if size else buffer
        # A huge command is not parsed anew for each piece of it.
        self._enough = 0 if size else 2 * len(buffer)
        return commands

    def finish(self) -> list[list[bytes]]:
        """The file is over: what was not looked at yet; `rest_bytes` then says what is cut off."""
        self._enough = 0
        self._is_over = True
        return self.feed(b"") if self._rest else []

    def start_of(self, index: int) -> int:
        """Where in the file a command of the latest `feed` begins."""
        if self._starts is not None:
            return self._starts[index]
        return self._began + sum(len(encode_command(args)) for args in self._commands[:index])


def _parse_fast(buffer: bytes) -> tuple[list[list[bytes]] | None, int]:
    """All whole commands and their size; None if the buffer is out of the ordinary."""
    reader = hiredis.Reader()
    commands: list[list[bytes]] = []
    append = commands.append
    take = reader.gets
    pack = hiredis.pack_command
    try:
        reader.feed(buffer)
        while (command := take()) is not False:
            append(command)
        packed = b"".join([pack(tuple(args)) for args in commands])  # type: ignore[arg-type]
    except (hiredis.HiredisError, TypeError, ValueError):
        return None, 0
    size = len(packed)
    if not buffer.startswith(packed) or (not commands and buffer[:1] not in (b"", b"*")):
        return None, 0
    if [] in commands or buffer[size : size + 1] not in (b"", b"*"):
        return None, 0
    return commands, size


def _parse_exactly(buffer: bytes, offset: int) -> tuple[list[list[bytes]], list[int], int]:
    """The same by hand: commands, where each begins in the file, and the size of them all."""
    commands: list[list[bytes]] = []
    starts: list[int] = []
    position = 0
    while position < len(buffer):
        if buffer[position] == 0x23:
            end = buffer.find(b"\n", position, position + _LINE_MAX_BYTES)
            if end < 0:
                if len(buffer) - position >= _LINE_MAX_BYTES:
                    return _give_or_fail(commands, starts, position, offset)
                break
            position = end + 1
            continue
        try:
            found = _command_at(buffer, position)
        except ValueError:
            return _give_or_fail(commands, starts, position, offset)
        if found is None:
            break
        args, end = found
        commands.append(args)
        starts.append(offset + position)
        position = end
    return commands, starts, position


def _give_or_fail(
    commands: list[list[bytes]], starts: list[int], position: int, offset: int
) -> tuple[list[list[bytes]], list[int], int]:
    if not commands:
        raise LogFormatError(offset + position)
    return commands, starts, position


def _command_at(buffer: bytes, position: int) -> tuple[list[bytes], int] | None:
    """One command and its end; None if it is cut off, ValueError if it is none."""
    header = _number_at(buffer, position, 0x2A)
    if header is None:
        return None
    count, position = header
    if count < 1:
        raise ValueError(count)
    args: list[bytes] = []
    for _ in range(count):
        header = _number_at(buffer, position, 0x24)
        if header is None:
            return None
        length, start = header
        position = start + length + 2
        if position > len(buffer):
            return None
        if buffer[position - 2 : position] != b"\r\n":
            raise ValueError(position)
        args.append(buffer[start : start + length])
    return args, position


def _number_at(buffer: bytes, position: int, mark: int) -> tuple[int, int] | None:
    """The number in a line that opens with `mark`, and the end of that line."""
    if position >= len(buffer):
        return None
    if buffer[position] != mark:
        raise ValueError(position)
    end = buffer.find(b"\r\n", position, position + _HEADER_MAX_BYTES)
    if end < 0:
        if len(buffer) - position >= _HEADER_MAX_BYTES:
            raise ValueError(position)
        digits = buffer[position + 1 :].removesuffix(b"\r")
        if digits and not digits.isdigit():
            raise ValueError(position)
        return None
    digits = buffer[position + 1 : end]
    if not digits.isdigit() or len(digits) > _NUMBER_MAX_DIGITS:
        raise ValueError(position)
    number = int(digits)
    if number > _WORDS_MAX:
        raise ValueError(position)
    return number, end + 2
