"""SLOWLOG and COMMANDLOG: the latest commands that took long, or were large, or had large replies.

Time is known of every command anyway. Sizes are measured only while somebody wants a log of them.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from .redaction import redacted
from .registry import Command, Flag
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

_ARGUMENTS_MAX: Final = 32
_ARGUMENT_MAX_BYTES: Final = 128


@frozen
class LogEntry:
    """One command; `figure` is why it is here: microseconds, or bytes."""

    id: int
    unix_time_s: int
    figure: int
    args: tuple[bytes, ...]
    address: bytes
    client_name: bytes


class CommandLog:
    """A bounded list, newest first. `is_sensitive` tells directives whose values are secret."""

    def __init__(self, is_sensitive: Callable[[str], bool]) -> None:
        self._is_sensitive = is_sensitive
        #: From which figure on a command is of interest; none is if this is negative.
        self.threshold = -1
        self._entries: deque[LogEntry] = deque(maxlen=128)
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def set_max_length(self, length: int) -> None:
        """Keep at most so many entries."""
        self._entries = deque(self._entries, maxlen=length)
        while len(self._entries) > length:
            self._entries.pop()

    def record(self, now_ms: int, figure: int, args: list[bytes], session: Session) -> None:
        """Note a command."""
        entry = LogEntry(
            self._next_id,
            now_ms // 1000,
            figure,
            _shortened(redacted(args, self._is_sensitive)),
            session.address.encode(),
            session.name,
        )
        self._next_id += 1
        self._entries.appendleft(entry)

    def newest(self, count: int) -> list[LogEntry]:
        """The latest entries; all of them when `count` is negative."""
        return list(self._entries)[: count if count >= 0 else None]

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        self._entries.clear()


class CommandLogs:
    """The logs of one node."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        is_sensitive = machine.config.is_sensitive
        self.slow = CommandLog(is_sensitive)
        self.large_requests = CommandLog(is_sensitive)
        self.large_replies = CommandLog(is_sensitive)

    def note_sizes(
        self, session: Session, command: Command, args: list[bytes], reply: bytes
    ) -> None:
        """Log a command that was large, or whose reply is."""
        if Flag.SKIP_SLOWLOG in command.flags:
            return
        now_ms = self._machine.clock.now_ms
        for log, size_bytes in (
            (self.large_requests, _request_bytes(args)),
            (self.large_replies, len(reply)),
        ):
            if 0 <= log.threshold <= size_bytes:
                log.record(now_ms, size_bytes, args, session)


def _request_bytes(args: Sequence[bytes]) -> int:
    """How many bytes a request has on the wire."""
    sizes = [len(argument) for argument in args]
    return len(b"*%d\r\n" % len(args)) + sum(size + len(b"$%d\r\n\r\n" % size) for size in sizes)


def _shortened(args: Sequence[bytes]) -> tuple[bytes, ...]:
    """Long requests are cut, so that the log never holds much memory."""
    shown = [_shortened_argument(argument) for argument in args[:_ARGUMENTS_MAX]]
    if len(args) > _ARGUMENTS_MAX:
        shown[-1] = b"... (%d more arguments)" % (len(args) - _ARGUMENTS_MAX + 1)
    return tuple(shown)


def _shortened_argument(argument: bytes) -> bytes:
    if len(argument) <= _ARGUMENT_MAX_BYTES:
        return argument
    more = len(argument) - _ARGUMENT_MAX_BYTES
    return argument[:_ARGUMENT_MAX_BYTES] + b"... (%d more bytes)" % more
