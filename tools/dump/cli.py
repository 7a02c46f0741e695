"""`clustrio dump`: shows what is in a file that a node wrote, or checks it.

The kind of file is seen by its first bytes. Exit codes: 0 the file is sound; 1 it is damaged, or no
file of a known kind; 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

from attrs import frozen

from .aof import dump_log, is_log
from .snapshot import dump_snapshot, is_snapshot

DAMAGED: Final = 1
_HEAD_BYTES: Final = 64
_TOP_DEFAULT: Final = 10


@frozen
class Request:
    """What is to be done with one file."""

    path: Path
    out: TextIO
    as_json: bool
    #: Only say whether the file is sound.
    only_checks: bool
    #: Every key is shown, not just the summary.
    lists_keys: bool
    #: How many of the biggest keys are shown.
    top: int
    #: Cut off the end of an append-only file, from the first damage on.
    fixes: bool = False


@frozen
class Format:
    """A kind of file."""

    #: Whether a file with these first bytes is one.
    recognises: Callable[[bytes], bool]
    #: Shows or checks the file; returns whether it is sound.
    dump: Callable[[Request], bool]


FORMATS: Final[Mapping[str, Format]] = {
    "rdb": Format(is_snapshot, dump_snapshot),
    "aof": Format(is_log, dump_log),
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clustrio dump",
        description="Show what is in a snapshot or an append-only file, or check it.",
        epilog="Exit codes: 0 the file is sound, 1 it is damaged or of no known kind, "
        "2 wrong usage.",
    )
    parser.add_argument("file", type=Path, help="the file")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument("--check", action="store_true", help="only say whether it is sound")
    parser.add_argument(
        "--fix", action="store_true", help="cut an append-only file off where it is damaged"
    )
    parser.add_argument("--summary", action="store_true", help="leave out the list of keys")
    parser.add_argument(
        "--top",
        type=int,
        default=_TOP_DEFAULT,
        metavar="N",
        help="how many of the biggest keys to show (default: %(default)s)",
    )
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the subcommand."""
    options = _parser().parse_args(arguments)
    request = Request(
        path=options.file,
        out=sys.stdout,
        as_json=options.json,
        only_checks=options.check,
        lists_keys=not options.summary,
        top=max(options.top, 0),
        fixes=options.fix,
    )
    try:
        with request.path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
        for kind in FORMATS.values():
            if kind.recognises(head):
                return 0 if kind.dump(request) else DAMAGED
    except BrokenPipeError:
        # Whoever read this has seen enough.
        sys.stderr.close()
        return 0
    except OSError as failure:
        print(f"clustrio dump: {request.path}: {failure.strerror}", file=sys.stderr)
        return DAMAGED
    known = ", ".join(FORMATS)
    print(f"clustrio dump: {request.path}: no file of a known kind ({known})", file=sys.stderr)
    return DAMAGED
