"""SLOWLOG: the latest commands that took longer than `slowlog-log-slower-than`."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

from .redaction import redacted

_ARGUMENTS_MAX: Final = 32
_ARGUMENT_MAX_BYTES: Final = 128


@frozen
class SlowEntry:
    """One slow command."""

    id: int
    unix_time_s: int
    microseconds: int
    args: tuple[bytes, ...]
    address: bytes
    client_name: bytes


class SlowLog:
    """A bounded list, newest first. `is_sensitive` tells directives whose values are secret."""

    def __init__(self, is_sensitive: Callable[[str], bool]) -> None:
        self._is_sensitive = is_sensitive
        self.threshold_us = 10_000
        self._entries: deque[SlowEntry] = deque(maxlen=128)
        self._next_id = 0

    def __len__(self) -> int:
        return len(self._entries)

    def set_max_length(self, length: int) -> None:
        """Keep at most so many entries."""
        self._entries = deque(self._entries, maxlen=length)
        while len(self._entries) > length:
            self._entries.pop()

    def record(
        self, now_ms: int, microseconds: int, args: list[bytes], address: str, client_name: bytes
    ) -> None:
        """Note a command that was too slow."""
        entry = SlowEntry(
            self._next_id,
            now_ms // 1000,
            microseconds,
            _shortened(redacted(args, self._is_sensitive)),
            address.encode(),
            client_name,
        )
        self._next_id += 1
        self._entries.appendleft(entry)

    def newest(self, count: int) -> list[SlowEntry]:
        """The latest entries; all of them when `count` is negative."""
        return list(self._entries)[: count if count >= 0 else None]

    def clear(self) -> None:
        """Forget all entries; ids go on."""
        self._entries.clear()


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
