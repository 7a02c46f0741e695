"""The stream of commands that replicas and the append-only file read, made from effects.

One writer of the stream keeps one `CommandStream`, since which database is selected is a state of
the stream: a reader starts in none, so the first command is preceded by a SELECT, as is every
change of database. What one transaction or script did stands between MULTI and EXEC, so that a
reader applies all of it or nothing.
"""

from collections.abc import Sequence
from typing import Final

from .effects import EffectBatch
from .resp.encoder import pack_bulks

_MULTI: Final = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"


def encode_command(args: Sequence[bytes]) -> bytes:
    """One command as an array of bulk strings."""
    return pack_bulks(tuple(args))


class CommandStream:
    """The state of one stream: the database that its reader is in."""

    def __init__(self) -> None:
        #: None: the reader is in no known database.
        self.database: int | None = None

    def forget_database(self) -> None:
        """A new reader, or a new file, starts: say the database again."""
        self.database = None

    def encode(self, batch: EffectBatch) -> bytes:
        """The bytes of what one command, transaction or script did; empty for nothing."""
        commands = batch.commands
        if not commands:
            return b""
        if len(commands) == 1:
            return self._in_database(commands[0].database) + encode_command(commands[0].args)
        pieces = [self._in_database(commands[0].database), _MULTI]
        for command in commands:
            pieces.append(self._in_database(command.database))
            pieces.append(encode_command(command.args))
        pieces.append(_EXEC)
        return b"".join(pieces)

    def encode_run(self, database: int, encoded: bytes) -> bytes:
        """Commands that stand alone, encoded already, in their database."""
        return encoded if database == self.database else self._in_database(database) + encoded

    def _in_database(self, index: int) -> bytes:
        if index == self.database:
            return b""
        self.database = index
        return encode_command((b"SELECT", b"%d" % index))
