"""`clustrio`: the command that the package brings along, one table of subcommands.

    clustrio --version
    clustrio <subcommand> [options]

Owns the table. Rules: a subcommand is imported only when it is asked for; it is a function from its
arguments to an exit code. Exit codes: 0 all is well, 1 there is a problem, 2 wrong usage; what a
subcommand adds to them, its `--help` says.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Final

from attrs import frozen

from .. import __version__

USAGE: Final = 2


@frozen
class Subcommand:
    """Where a subcommand lives."""

    module: str
    """Relative to this package; it has a function `main(arguments) -> int`."""
    summary: str


SUBCOMMANDS: Final[Mapping[str, Subcommand]] = {
    "up": Subcommand(".up.cli", "start a local cluster, and watch it until Ctrl-C"),
    "down": Subcommand(".up.down", "end a local cluster that was left running"),
    "status": Subcommand(".up.status", "show the local clusters that were left running"),
    "cluster": Subcommand(".admin.cli", "look at a cluster and change it: create, check, fix ..."),
    "chaos": Subcommand(".chaos.cli", "break a cluster by a plan, and see what it keeps"),
    "dump": Subcommand(".dump.cli", "show or check the files that a node wrote"),
    "sim": Subcommand(".sim.cli", "simulate clusters in virtual time, from seeds"),
}


def help_text() -> str:
    """What `clustrio --help` prints."""
    width = max(map(len, SUBCOMMANDS))
    lines = [f"  {name:<{width}}  {sub.summary}" for name, sub in SUBCOMMANDS.items()]
    return "\n".join(
        [
            "Usage: clustrio <subcommand> [options]",
            "       clustrio <subcommand> --help",
            "       clustrio --version",
            "",
            "Subcommands:",
            *lines,
        ]
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if not words:
        print(help_text(), file=sys.stderr)
        return USAGE
    first, *rest = words
    if first in ("-h", "--help", "help"):
        print(help_text())
        return 0
    if first in ("-v", "--version"):
        print(f"clustrio {__version__}")
        return 0
    subcommand = SUBCOMMANDS.get(first)
    if subcommand is None:
        print(f"clustrio: there is no subcommand {first!r}\n\n{help_text()}", file=sys.stderr)
        return USAGE
    module = import_module(subcommand.module, __package__)
    run: Callable[[Sequence[str]], int] = module.main
    return run(rest)


if __name__ == "__main__":
    sys.exit(main())
