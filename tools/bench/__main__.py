"""`python -m clustrio.tools.bench`: Clustrio against redis-server, side by side.

Both servers run the whole time; each workload is run on A, on B, on A again ... and the medians are
compared. The exit code is 0 whatever the figures are: a benchmark is not a test.
"""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .features import FEATURES, Feature
from .measure import (
    Figures,
    alternate,
    measure_memory,
    measure_start,
    pin,
    require_load_generator,
    run_workload,
    split_processors,
)
from .memory import compare_elements
from .processes import CLUSTRIO, REDIS, ServerError, ServerProcess
from .report import Comparison, as_json, lines_of, markdown, table
from .workloads import MEMORY, START, WORKLOADS, Workload

_QUICK_SCALE = 0.15


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m clustrio.tools.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short runs, for a first impression")
    parser.add_argument("--rounds", type=int, help="how often each server's turn comes")
    parser.add_argument("--only", default="", metavar="TEXT", help="workloads whose name holds it")
    parser.add_argument(
        "--server",
        action="append",
        default=[],
        metavar="COMMAND",
        help="a server to start, given twice: A and B (default: redis-server and Clustrio)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--markdown", action="store_true", help="print a table for a README")
    options = parser.parse_args(arguments)
    if len(options.server) not in (0, 2):
        parser.error("--server is given twice or not at all")
    return options


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _name(command: tuple[str, ...]) -> str:
    return "clustrio-server" if command == CLUSTRIO else Path(command[0]).name


def _run_simple(workload: Workload, server: ServerProcess, scale: float) -> Figures:
    return run_workload(server, workload, scale)


def _compare_load(
    commands: Sequence[tuple[str, ...]], options: argparse.Namespace, processor: int | None
) -> list[Comparison]:
    is_brief = options.quick and not options.only
    simple = [
        Feature(each.name, each.goals, partial(_run_simple, each))
        for each in WORKLOADS
        if each.is_basic or not is_brief
    ]
    known = simple if is_brief else simple + FEATURES
    chosen = [each for each in known if options.only.lower() in each.name.lower()]
    if not chosen:
        return []
    scale = _QUICK_SCALE if options.quick else 1.0
    comparisons = []
    with ServerProcess(commands[0]) as first, ServerProcess(commands[1]) as second:
        for server in (first, second):
            pin(server, processor)
        for count, feature in enumerate(chosen, 1):
            _tell(f"{count}/{len(chosen)} {feature.name}")
            turns = [partial(feature.measure, each, scale) for each in (first, second)]
            figures = alternate(turns, options.rounds)
            comparisons.append(Comparison(feature.name, feature.goals, *figures))
    return comparisons


def _compare_size_and_start(
    commands: Sequence[tuple[str, ...]], options: argparse.Namespace
) -> list[Comparison]:
    comparisons = []
    key_count = 100_000 if options.quick else 1_000_000
    if options.only.lower() in "memory":
        _tell(f"memory of {key_count} keys")
        turns = [partial(measure_memory, command, key_count) for command in commands]
        figures = alternate(turns, rounds=1)
        comparisons.append(Comparison("memory", (MEMORY,), *figures))
    if options.only or not options.quick:
        comparisons += compare_elements(commands, options.only, is_quick=options.quick)
    if options.only.lower() in "start":
        _tell("start")
        turns = [partial(measure_start, command) for command in commands]
        figures = alternate(turns, rounds=5)
        comparisons.append(Comparison("start", (START,), *figures))
    return comparisons


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, then print; `up` measures how soon a whole cluster is usable."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    if words[:1] == ["up"]:
        from .readiness import main as measure_up

        return measure_up(words[1:])
    options = _parse(words)
    options.rounds = options.rounds or (3 if options.quick else 5)
    commands = [tuple(shlex.split(text)) for text in options.server] or [REDIS, CLUSTRIO]
    # Servers start as they do for a user: the first start keeps its byte code for the next.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        require_load_generator()
        processor = split_processors()
        if processor is None:
            _tell("one processor only: load and server disturb each other")
        comparisons = _compare_load(commands, options, processor)
        comparisons += _compare_size_and_start(commands, options)
    except ServerError as failure:
        _tell(str(failure))
        return 1
    shape = as_json if options.json else markdown if options.markdown else table
    print(shape([_name(command) for command in commands], lines_of(comparisons)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
