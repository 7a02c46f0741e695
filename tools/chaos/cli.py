"""`clustrio chaos`: breaks a cluster by a plan, and says what came of it.

Owns the subcommands. Exit codes: 0 all promises of the plan were kept, 1 one was broken, 2 wrong
usage or a plan that cannot be run here. Several runs: the worst counts.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Final

from attrs import evolve

from ..local.errors import LocalClusterError
from .compare import (
    OWN,
    QUICK_S,
    Outcome,
    as_json,
    compare,
    estimate_s,
    markdown,
    quickened,
    rows_of,
    summary,
    worse_than,
)
from .drawing import plan_from_seed
from .history import History, HistoryError, lines_of, parse_history_untrusted
from .page import html_page
from .plan import FAULT_WORDS, WORKLOADS, Plan, PlanError, parse_plan_untrusted, stretched
from .report import json_report, text_report
from .run import run_on_addresses, run_plan
from .verdict import judge

USAGE: Final = 2
DEFAULT_ROUNDS: Final = 3


def shipped_plans() -> dict[str, Plan]:
    """The plans that come along, by name."""
    plans = {}
    for entry in sorted(resources.files(__package__).joinpath("plans").iterdir(), key=str):
        if entry.name.endswith(".toml"):
            plan = parse_plan_untrusted(entry.read_text(encoding="utf-8"))
            plans[plan.name] = plan
    return plans


def load_plan(name: str) -> Plan:
    """A shipped plan by its name, or a file; raises PlanError."""
    plans = shipped_plans()
    if name in plans:
        return plans[name]
    path = Path(name)
    if not path.is_file():
        known = ", ".join(plans)
        raise PlanError(f"{name!r} is neither a file nor one of: {known}")
    return parse_plan_untrusted(path.read_text("utf-8"), is_json=path.suffix == ".json")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clustrio chaos", description=__doc__.replace("`", "") if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="the shipped plans, kinds of faults and workloads")
    listing.set_defaults(run=_list)
    run = commands.add_parser("run", help="run a plan")
    run.add_argument("plan", nargs="?", help="a shipped plan, or a file (.toml, .json)")
    run.add_argument("--address", metavar="HOST:PORT", help="only the load, on a running cluster")
    run.add_argument("--server", metavar="COMMAND", help="run this, such as redis-server, instead")
    run.add_argument("--mix", action="store_true", help="--server for every other node")
    run.add_argument("--mode", choices=("processes", "threads"), default="processes")
    run.add_argument("--logs", type=Path, metavar="FOLDER", help="keep the nodes' logs there")
    run.add_argument("--quiet", action="store_true", help="no progress on standard error")
    _add_changes(run)
    _add_outputs(run)
    run.set_defaults(run=_run)
    check = commands.add_parser("check", help="judge a recorded history again")
    check.add_argument("history", type=Path)
    _add_outputs(check)
    check.set_defaults(run=_check)
    comparison = commands.add_parser("compare", help="run plans on several servers, side by side")
    comparison.add_argument("plans", nargs="*", metavar="PLAN", help="default: all shipped ones")
    comparison.add_argument(
        "--server", action="append", metavar="COMMAND", help=f"may be given again; {OWN} is ours"
    )
    comparison.add_argument("--folder", type=Path, help="keep histories, pages and logs there")
    comparison.add_argument("--rounds", type=int, metavar="N", help=f"default: {DEFAULT_ROUNDS}")
    comparison.add_argument(
        "--quick", action="store_true", help=f"one round, no plan longer than {QUICK_S:g} s"
    )
    comparison.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    _add_changes(comparison)
    comparison.set_defaults(run=_compare)
    return parser


def _add_changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=int, help="draw from this; without a plan it draws it all")
    parser.add_argument("--duration", type=float, metavar="S", help="stretch the plan to this")


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the page with the picture")
    parser.add_argument("--history", type=Path, metavar="FILE", dest="record", help="write all")


def main(arguments: Sequence[str]) -> int:
    """The subcommand."""
    try:
        options = _parser().parse_args(arguments)
        run: Callable[[argparse.Namespace], int] = options.run
        return run(options)
    except SystemExit as leaving:
        return int(leaving.code or 0)
    except (PlanError, HistoryError, LocalClusterError, OSError) as failure:
        print(f"clustrio chaos: {failure}", file=sys.stderr)
        return USAGE


def _list(options: argparse.Namespace) -> int:
    groups = (
        ("plans", {plan.name: f"{plan.about} ({plan.duration_s:g} s)" for plan in
                   shipped_plans().values()}),
        ("faults", FAULT_WORDS),
        ("workloads", WORKLOADS),
    )  # fmt: skip
    for title, words in groups:
        print(f"{title}:")
        for name, text in words.items():
            print(f"  {name:<20}{text}")
    return 0


def _changed(plan: Plan, options: argparse.Namespace) -> Plan:
    if options.seed is not None:
        plan = evolve(plan, seed=options.seed)
    if options.duration is not None:
        plan = stretched(plan, options.duration)
    return plan


def _plan(options: argparse.Namespace) -> Plan:
    if options.plan is None:
        if options.seed is None:
            raise PlanError("say which plan, or give a seed")
        return _changed(plan_from_seed(options.seed), options)
    return _changed(load_plan(options.plan), options)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _run(options: argparse.Namespace) -> int:
    plan = _plan(options)
    progress: Callable[[str], None] = (lambda line: None) if options.quiet else _progress
    if options.address is not None:
        host, _, port = options.address.rpartition(":")
        if not port.isdigit():
            raise PlanError(f"--address is HOST:PORT, not {options.address!r}")
        address = (host or "127.0.0.1", int(port))
        history = run_on_addresses(evolve(plan, faults=(), draw=None), address, progress=progress)
    else:
        history = run_plan(
            plan,
            server=options.server,
            mix=options.mix,
            mode=options.mode,
            progress=progress,
            logs=options.logs,
        )
    return _tell(history, options)


def _check(options: argparse.Namespace) -> int:
    with options.history.open(encoding="utf-8") as lines:
        return _tell(parse_history_untrusted(lines), options)


def _tell(history: History, options: argparse.Namespace) -> int:
    # Before the checkers: whatever goes wrong in them, what was seen is kept.
    if options.record is not None:
        options.record.write_text("\n".join(lines_of(history)) + "\n", encoding="utf-8")
    verdict = judge(history)
    if options.html is not None:
        options.html.write_text(html_page(history, verdict), encoding="utf-8")
    print(json_report(history, verdict) if options.json else text_report(history, verdict))
    return verdict.exit_code


def _compare(options: argparse.Namespace) -> int:
    plans = [_changed(load_plan(name), options) for name in options.plans or shipped_plans()]
    if options.quick:
        plans = [quickened(plan) for plan in plans]
    servers = options.server or [OWN, "redis-server"]
    rounds = options.rounds or (1 if options.quick else DEFAULT_ROUNDS)
    minutes = estimate_s(plans, servers, rounds) / 60
    _progress(f"{len(plans)} plans, {len(servers)} servers, {rounds} rounds: {minutes:.0f} minutes")
    outcomes: list[Outcome] = []
    for outcome in compare(plans, servers, rounds, options.folder):
        outcomes.append(outcome)
        _progress(f"| {' | '.join(summary([outcome]).cells())} |")
    rows = rows_of(outcomes)
    if options.json is not None:
        options.json.write_text(as_json(outcomes, rows), encoding="utf-8")
    print(markdown(rows))
    for other in servers[1:]:
        worse = worse_than(rows, servers[0], other)
        print(f"\n{servers[0]} is worse than {other} in: {'; '.join(worse) or 'nothing'}.")
    verdicts = [outcome.verdict for outcome in outcomes]
    return max(USAGE if verdict is None else verdict.exit_code for verdict in verdicts)
