"""`clustrio down`: end a local cluster that was left running.

Exit codes: 0 it is gone, 1 there was none, 2 wrong usage.
"""

import argparse
import sys
from collections.abc import Sequence

from .state import DEFAULT_NAME, StateError, end_cluster, running_clusters


def main(arguments: Sequence[str]) -> int:
    """The subcommand."""
    parser = argparse.ArgumentParser(
        prog="clustrio down", description="End a local cluster that was left running."
    )
    parser.add_argument("--name", default=DEFAULT_NAME)
    parser.add_argument("--all", action="store_true", help="end all of them")
    options = parser.parse_args(arguments)
    try:
        names = [state.name for state in running_clusters()] if options.all else [options.name]
        for name in names:
            end_cluster(name)
            print(f"cluster {name!r} has ended", file=sys.stderr)
    except StateError as failure:
        print(f"clustrio down: {failure}", file=sys.stderr)
        return 1
    return 0
