"""Log lines in Redis' format, which operators' tools and test harnesses parse.

    12345:M 21 Nov 2026 09:20:01.123 * Ready to accept connections tcp

Process id, role (C before start-up and in children, M primary, S replica), time, level, text.
"""

import os
import sys
import time
import traceback
from typing import Final, TextIO

LEVELS: Final = ("debug", "verbose", "notice", "warning", "nothing")
_MARKS: Final = {"debug": ".", "verbose": "-", "notice": "*", "warning": "#"}


class RedisLog:
    """Writes to a file (reopened for each line, so it can be rotated) or to standard output."""

    def __init__(self, path: str = "", level: str = "notice") -> None:
        self.path = path
        self.level = level
        #: C, M or S; the server sets it.
        self.role = "C"

    def write(self, level: str, text: str) -> None:
        """One line, if the level asks for it."""
        if LEVELS.index(level) < LEVELS.index(self.level):
            return
        now = time.time()
        stamp = time.strftime("%d %b %Y %H:%M:%S", time.localtime(now))
        line = (
            f"{os.getpid()}:{self.role} {stamp}.{int(now * 1000) % 1000:03d} "
            f"{_MARKS[level]} {text}\n"
        )
        self.write_raw(line)

    def write_raw(self, text: str) -> None:
        """Text as it is; a log that cannot be written must not stop the server."""
        if self.path:
            try:
                with open(self.path, "a", encoding="utf-8", errors="replace") as file:
                    file.write(text)
            except OSError as failure:
                _to(sys.stderr, f"Cannot write the log {self.path}: {failure.strerror}\n{text}")
        else:
            _to(sys.stdout, text)

    def debug(self, text: str) -> None:
        """For people who look for a bug."""
        self.write("debug", text)

    def verbose(self, text: str) -> None:
        """Rarely useful, but not a mess."""
        self.write("verbose", text)

    def notice(self, text: str) -> None:
        """What an operator wants to know."""
        self.write("notice", text)

    def warning(self, text: str) -> None:
        """What an operator must know."""
        self.write("warning", text)

    def exception(self, text: str, failure: BaseException) -> None:
        """A bug in this program, with its traceback."""
        self.write("warning", text)
        self.write_raw("".join(traceback.format_exception(failure)))


def _to(stream: TextIO, text: str) -> None:
    """Write to a standard stream that may have been closed by whoever started us."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        # Nobody is left who could read it.
        return
