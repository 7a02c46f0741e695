"""`clustrio sim`: runs seeds, says what came of them, and replays the ones that failed.

Exit codes: 0 all runs were fine; 1 a promise was broken (or the core crashed); 3 a healthy cluster
did not come to rest in time; 2 wrong usage. Of several runs the worst counts, 1 before 3.

Everything that goes to standard output depends on the arguments alone; progress and timings go to
standard error.
"""

import argparse
import gc
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import Pool
from pathlib import Path
from typing import Final

from attrs import frozen

from .large import large_options
from .picture import Sampler, as_html, picture
from .run import Outcome, Run
from .swarm import FAULTS, Options, bug_names, draw, with_bug
from .trace import line_of
from .verdict import Verdict

USAGE: Final = 2
NUMBER_CHARS: Final = 9
"""A longer seed, or one with letters, is a text: the hash of a commit, say."""
LARGE_NODES: Final = 30
"""From so many nodes on, options are drawn for size, not for variety."""
PROGRESS_SECONDS: Final = 2.0


@frozen
class Job:
    """One run, as it goes to another process."""

    seed: int
    node_count: int | None
    fixed: tuple[tuple[str, object], ...]


@frozen
class Result:
    """What comes back from it."""

    seed: int
    verdict: Verdict
    checker: str
    line: str
    details: str
    simulated_ms: int
    message_count: int


def seed_of(text: str) -> int:
    """A number as it is; any other text by its hash."""
    if text.isdigit() and len(text) <= NUMBER_CHARS:
        return int(text)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _fault_list(text: str) -> tuple[str, ...]:
    names = tuple(name for name in text.split(",") if name not in ("", "none"))
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        known = ", ".join(FAULTS)
        raise argparse.ArgumentTypeError(f"unknown fault {unknown[0]!r}; there are: {known}")
    return tuple(kind for kind in FAULTS if kind in names)


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError("a share lies between 0 and 1")
    return share


def _parser() -> argparse.ArgumentParser:
    faults = "\n".join(f"  {name:<10} {text}" for name, text in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="clustrio sim",
        description=__doc__,
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seed", default="0", help="a number, or any text (a commit, say)")
    add("--runs", type=int, default=1, metavar="N", help="so many seeds, one after the other")
    add("--nodes", type=int, metavar="N", help="size of the cluster (default: the seed draws it)")
    add("--timeout-ms", type=int, metavar="MS", help="the node timeout")
    add("--faults", type=_fault_list, metavar="A,B", help="kinds of faults, or none")
    add("--kill-share", type=_share, metavar="X", help="share of the primaries killed at the end")
    add("--bug", choices=bug_names(), metavar="NAME", help="switches on a known bug")
    add("--bugs", action="store_true", help="lists the bugs that can be switched on")
    add("--trace", action="store_true", help="prints one line for each decision")
    add("--picture", type=Path, metavar="FILE", help="draws the run: .svg or .html")
    add("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes (--runs)")
    return parser


def _fixed(options: argparse.Namespace) -> dict[str, object]:
    """What the arguments fix, whatever the seed draws."""
    fixed: dict[str, object] = {}
    if options.faults is not None:
        fixed["faults"] = options.faults
        fixed["stays_calm"] = not options.faults
    if options.kill_share is not None:
        fixed["kill_share"] = options.kill_share
    if options.timeout_ms is not None:
        fixed["node_timeout_ms"] = options.timeout_ms
    if options.bug is not None:
        fixed["bugs"] = with_bug(options.bug)
    return fixed


def options_for(seed: int, node_count: int | None, fixed: Mapping[str, object]) -> Options:
    """The options of a run: a swarm's, or those of a large cluster."""
    if node_count is not None and node_count >= LARGE_NODES:
        return large_options(seed, node_count, fixed)
    if node_count is not None:
        fixed = {"node_count": node_count, "primary_count": max(3, node_count // 2), **fixed}
    return draw(seed, fixed)


def main(arguments: Sequence[str]) -> int:
    """The subcommand."""
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
        if options.nodes is not None and options.nodes < 6:
            parser.error("--nodes: a cluster with replicas has 6 at least")
        if options.picture is not None and options.picture.suffix not in (".svg", ".html"):
            parser.error("--picture: the name ends in .svg or .html")
        if options.runs > 1 and (options.trace or options.picture):
            parser.error("--trace and --picture are for one run")
    except SystemExit as leaving:
        return int(leaving.code or 0)
    if options.bugs:
        print("\n".join(bug_names()))
        return 0
    seed, fixed = seed_of(options.seed), _fixed(options)
    if options.runs > 1:
        jobs = [Job(seed + i, options.nodes, tuple(fixed.items())) for i in range(options.runs)]
        return _run_many(jobs, max(1, options.jobs))
    return _run_one(options_for(seed, options.nodes, fixed), options)


# ---- one run -------------------------------------------------------------------------------------


def _run_one(drawn: Options, options: argparse.Namespace) -> int:
    print("\n".join(drawn.lines()), flush=True)
    # A run makes many objects that live until its end: looking for garbage meanwhile finds none.
    gc.disable()
    began = time.monotonic()
    run = Run(drawn)
    sampler = Sampler(run.world)
    if options.picture is not None:
        sampler.start()
    outcome = run.go()
    took_s = time.monotonic() - began
    if options.trace:
        for entry in run.world.record:
            print(line_of(run.world, *entry))
    for line in _summary(outcome, run.digest()):
        print(line)
    if options.picture is not None:
        text = picture(sampler, run.marks, outcome.line)
        if options.picture.suffix == ".html":
            text = as_html(text, [*drawn.lines(), "", outcome.line])
        options.picture.write_text(text)
    speed = outcome.simulated_ms / 1000 / max(took_s, 1e-9)
    print(f"took {took_s:.1f} s, {speed:.0f} times as fast as real time", file=sys.stderr)
    return int(outcome.verdict)


def _summary(outcome: Outcome, digest: str) -> list[str]:
    lines = [
        f"simulated {outcome.simulated_ms} ms: {outcome.message_count} messages, "
        f"{outcome.decision_count} decisions (fingerprint {digest})",
        f"writes: {outcome.write_count} acknowledged, {outcome.refused_count} refused, "
        f"{outcome.excused_count} in a window in which they may be lost",
        outcome.line,
    ]
    return [outcome.details, *lines] if outcome.details else lines


# ---- many runs -----------------------------------------------------------------------------------


def run_job(job: Job) -> Result:
    """One run, in whatever process."""
    gc.disable()
    outcome = Run(options_for(job.seed, job.node_count, dict(job.fixed))).go()
    result = Result(
        job.seed,
        outcome.verdict,
        outcome.checker,
        outcome.line,
        outcome.details,
        outcome.simulated_ms,
        outcome.message_count,
    )
    del outcome
    gc.collect()
    return result


def _results(jobs: list[Job], process_count: int) -> Iterator[Result]:
    if process_count == 1:
        yield from map(run_job, jobs)
        return
    with Pool(process_count) as pool:
        yield from pool.imap(run_job, jobs, chunksize=1)


def _run_many(jobs: list[Job], process_count: int) -> int:
    began = told = time.monotonic()
    verdicts: Counter[Verdict] = Counter()
    failures: Counter[str] = Counter()
    simulated_ms = done = 0
    for result in _results(jobs, process_count):
        done += 1
        verdicts[result.verdict] += 1
        simulated_ms += result.simulated_ms
        if result.verdict is not Verdict.OK:
            failures[result.checker] += 1
            print(result.line, flush=True)
            if result.details:
                print(result.details)
        if time.monotonic() - told > PROGRESS_SECONDS:
            told = time.monotonic()
            rate = done / (told - began)
            print(f"{done} of {len(jobs)} runs, {rate:.1f}/s", file=sys.stderr, flush=True)
    counts = ", ".join(f"{verdicts[verdict]} {verdict.name}" for verdict in Verdict)
    hours = simulated_ms / 3_600_000
    print(f"{done} runs, {hours:.1f} simulated hours: {counts}")
    for checker, count in failures.most_common():
        print(f"  {checker}: {count}")
    took_s = time.monotonic() - began
    print(f"took {took_s:.1f} s, {done / took_s:.1f} runs/s", file=sys.stderr)
    worst = [verdict for verdict in (Verdict.UNSAFE, Verdict.STUCK) if verdicts[verdict]]
    return int(worst[0]) if worst else 0
