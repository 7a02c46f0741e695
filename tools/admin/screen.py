"""What the command shows: text and tables for people, one JSON document for programs.

Owns both streams. Rules: results go to stdout; progress, questions and errors to stderr; with
`--json` stdout holds the document and nothing else; colours only in terminals and only without
NO_COLOR. `rich` is imported when a table or a bar is drawn, not before.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TextIO

from attrs import field, frozen

from .failures import AdminError

if TYPE_CHECKING:
    from rich.console import Console

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
#: A table in a pipe is not cut.
_PIPE_COLUMNS: Final = 250
_COLOURS: Final = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "cyan": "36",
    "dim": "2",
    "bold": "1",
}


@frozen
class Report:
    """How a subcommand ended: its exit code, and the fields of its JSON document."""

    is_well: bool
    fields: Mapping[str, Json] = field(factory=dict)


Advance = Callable[[int, str], None]


class Screen:
    """Where a subcommand writes."""

    def __init__(self, *, is_json: bool, is_quiet: bool = False) -> None:
        self.is_json = is_json
        self._is_quiet = is_quiet

    def say(self, text: str = "", style: str = "") -> None:
        """A line of the result; nothing with `--json`."""
        if not self.is_json:
            print(painted(text, style, sys.stdout), flush=True)

    def note(self, text: str, style: str = "") -> None:
        """A line about what is going on."""
        if not self._is_quiet:
            print(painted(text, style, sys.stderr), file=sys.stderr, flush=True)

    def console(self) -> "Console":
        """Where tables are drawn."""
        from rich.console import Console

        width = None if sys.stdout.isatty() else _PIPE_COLUMNS
        return Console(file=sys.stdout, width=width, highlight=False)

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """A table; a column whose name begins with > is of numbers."""
        if self.is_json:
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in columns:
            is_number = name.startswith(">")
            table.add_column(
                name.lstrip(">"), justify="right" if is_number else "left", overflow="fold"
            )
        for row in rows:
            table.add_row(*(Text.from_ansi(cell) for cell in row))
        self.console().print(table)

    @contextlib.contextmanager
    def progress(self, what: str, total: int) -> Iterator[Advance]:
        """A bar on stderr; in pipes nothing. Call what it gives with steps done and a word."""
        if not sys.stderr.isatty() or self._is_quiet:
            yield lambda steps, word: None
            return
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        parts = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[word]}"),
        )
        with Progress(*parts, console=Console(file=sys.stderr), transient=True) as progress:
            task = progress.add_task(what, total=total or None, word="")
            yield lambda steps, word: progress.update(task, advance=steps, word=word)

    def confirm(self, question: str, *, is_agreed: bool) -> None:
        """Go on only with a yes, from the keyboard or by `--yes`."""
        if is_agreed:
            return
        way_out = "give --yes to go ahead, or --dry-run to see the plan only"
        if not sys.stdin.isatty():
            raise AdminError(f"this needs a yes, and nobody can be asked: {question}", way_out)
        print(f"{question} [yes/no] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("yes", "y"):
            raise AdminError("nothing was changed", way_out)

    def finish(self, command: str, report: Report) -> None:
        """The document, with `--json`."""
        self._document({"command": command, "ok": report.is_well, "error": None, **report.fields})

    def fail(self, command: str, failure: AdminError) -> None:
        """An error, for people on stderr, for programs also in the document."""
        print(
            painted(f"clustrio cluster {command}: {failure.text}", "red", sys.stderr),
            file=sys.stderr,
        )
        print(f"  next: {failure.way_out}", file=sys.stderr, flush=True)
        error = {"text": failure.text, "next": failure.way_out}
        self._document({"command": command, "ok": False, "error": error})

    def _document(self, document: Mapping[str, Json]) -> None:
        if self.is_json:
            print(json.dumps(document), flush=True)

    def line(self, document: Mapping[str, Json]) -> None:
        """One line of JSON of a stream."""
        print(json.dumps(document), flush=True)


def is_colourful(stream: TextIO) -> bool:
    """Whether colours are wanted there."""
    if os.environ.get("NO_COLOR"):
        return False
    return stream.isatty() or bool(os.environ.get("FORCE_COLOR"))


def painted(text: str, style: str, stream: TextIO) -> str:
    """Text in a colour, if the stream takes it."""
    if not style or not is_colourful(stream):
        return text
    return f"\033[{_COLOURS[style]}m{text}\033[0m"


def count(number: int, noun: str) -> str:
    """`1 slot`, `2 slots`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun != "key" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def size(number_bytes: float) -> str:
    """A size for people."""
    for unit in ("B", "K", "M", "G"):
        if abs(number_bytes) < 1024:
            return f"{number_bytes:.0f}{unit}" if unit == "B" else f"{number_bytes:.1f}{unit}"
        number_bytes /= 1024
    return f"{number_bytes:.1f}T"


def painted_cell(text: str, style: str) -> str:
    """Text in a colour for a cell of a table; the table drops it where none is wanted."""
    return f"\033[{_COLOURS[style]}m{text}\033[0m"
