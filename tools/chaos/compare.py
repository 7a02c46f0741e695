"""Plans on several servers, side by side: one table, and where one server fares worse.

Owns the order of the runs and their summary. Rules: servers take turns, and another one begins in
each round, so that a busy moment hits them all; counts are summed over the rounds, times are
medians; a run that cannot be done is told as such and does not end the others.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs
from attrs import evolve, frozen

from ..local.errors import LocalClusterError
from .history import History, lines_of
from .page import html_page
from .plan import Plan, stretched
from .report import seconds
from .run import AFTER_S, run_plan
from .verdict import Figures, Verdict, judge

OWN: Final = "clustrio"
#: With --quick, no plan runs for longer.
QUICK_S: Final = 30.0
#: Starting, mending, agreeing, reading and judging, on two idle processors.
_AROUND_S: Final = 5.0
#: How finely gaps and claims are looked at: less is no difference.
_RESOLUTION_S: Final = 0.2
#: A machine that stands still for longer fails over by itself.
STALL_TOLD_S: Final = 0.5
COLUMNS: Final = (
    "plan",
    "server",
    "acknowledged writes",
    "lost",
    "lost without excuse",
    "lost after WAIT",
    "unavailable, worst slot (s)",
    "unavailable, mean (s)",
    "split brain (s)",
    "failovers (s)",
    "promises",
)

Run = Callable[[Plan, str], History]


@frozen
class Outcome:
    """One run: its verdict, or why there is none."""

    plan: str
    server: str
    round_number: int
    verdict: Verdict | None
    complaint: str = ""


@frozen
class Row:
    """All rounds of one plan on one server."""

    plan: str
    server: str
    acknowledged: int
    lost: int
    lost_unexcused: int
    lost_after_wait: int
    unavailable_s: float
    unavailable_mean_s: float
    split_brain_s: float
    failovers_s: tuple[float, ...]
    """All of them, sorted."""
    promises: str
    stalled_s: float = 0.0
    """The longest that the clients of a run stood still: where that is much, nothing is told."""

    def cells(self) -> list[str]:
        """As the table shows it."""
        failovers = self.failovers_s
        if len(failovers) > 4:
            middle = statistics.median(failovers)
            shown = f"{middle:.2f} ({failovers[0]:.2f} to {failovers[-1]:.2f})"
        else:
            shown = seconds(failovers)
        counts = (self.acknowledged, self.lost, self.lost_unexcused, self.lost_after_wait)
        times = (self.unavailable_s, self.unavailable_mean_s, self.split_brain_s)
        return [
            self.plan,
            self.server,
            *map(str, counts),
            *(f"{value:.2f}" for value in times),
            shown,
            self.promises + self._doubt(),
        ]

    def _doubt(self) -> str:
        if self.stalled_s < STALL_TOLD_S:
            return ""
        return f" (the machine stalled {self.stalled_s:.1f} s)"


def summary(outcomes: Sequence[Outcome]) -> Row:
    """The row of runs of one plan on one server."""
    figures = [each.verdict.figures for each in outcomes if each.verdict is not None]

    def total(of: Callable[[Figures], int]) -> int:
        return sum(map(of, figures))

    def middle(of: Callable[[Figures], float]) -> float:
        return round(statistics.median(map(of, figures)), 2) if figures else 0.0

    return Row(
        plan=outcomes[0].plan,
        server=outcomes[0].server,
        acknowledged=total(lambda each: each.acknowledged_writes),
        lost=total(lambda each: each.lost_writes),
        lost_unexcused=total(lambda each: each.lost_unexcused),
        lost_after_wait=total(lambda each: each.lost_after_wait),
        unavailable_s=middle(lambda each: each.unavailable_s),
        unavailable_mean_s=middle(lambda each: each.unavailable_mean_s),
        split_brain_s=middle(lambda each: each.split_brain_s),
        failovers_s=tuple(sorted(value for each in figures for value in each.failover_s)),
        promises=_promises(outcomes),
        stalled_s=max((each.stalled_s for each in figures), default=0.0),
    )


def _promises(outcomes: Sequence[Outcome]) -> str:
    failed = [each for each in outcomes if each.verdict is None]
    if failed:
        return f"did not run: {failed[0].complaint}"
    broken = [each.verdict.broken for each in outcomes if each.verdict and each.verdict.broken]
    if not broken:
        return "kept"
    names = ", ".join(sorted({finding.checker for findings in broken for finding in findings}))
    return f"broken: {names}" + (f" ({len(broken)} of {len(outcomes)})" if outcomes[1:] else "")


def rows_of(outcomes: Sequence[Outcome]) -> list[Row]:
    """One row for each plan and server, in the order in which they first came."""
    groups: dict[tuple[str, str], list[Outcome]] = {}
    for each in outcomes:
        groups.setdefault((each.plan, each.server), []).append(each)
    return [summary(group) for group in groups.values()]


def worse_than(rows: Sequence[Row], server: str, other: str) -> list[str]:
    """Where `server` fares worse than `other`, in words."""
    by_plan = {row.plan: row for row in rows if row.server == other}
    found = []
    for row in rows:
        reference = by_plan.get(row.plan)
        if row.server != server or reference is None:
            continue
        pairs = (
            ("lost writes", row.lost / max(row.acknowledged, 1),
             reference.lost / max(reference.acknowledged, 1), 0.0),
            ("lost without excuse", row.lost_unexcused, reference.lost_unexcused, 0.0),
            ("unavailable, worst slot", row.unavailable_s, reference.unavailable_s, _RESOLUTION_S),
            ("unavailable, mean", row.unavailable_mean_s, reference.unavailable_mean_s,
             _RESOLUTION_S),
            ("split brain", row.split_brain_s, reference.split_brain_s, _RESOLUTION_S),
            ("failover", *_failovers(row, reference), _RESOLUTION_S),
        )  # fmt: skip
        found += [
            f"{row.plan}: {name} {own:.4g} here, {theirs:.4g} with {other}"
            for name, own, theirs, tolerance in pairs
            if own > theirs + tolerance
        ]
    return found


def _failovers(row: Row, reference: Row) -> tuple[float, float]:
    """Their medians, where both had some."""
    if not (row.failovers_s and reference.failovers_s):
        return 0.0, 0.0
    return statistics.median(row.failovers_s), statistics.median(reference.failovers_s)


def markdown(rows: Sequence[Row]) -> str:
    """The table."""
    lines = [list(COLUMNS), ["---"] * len(COLUMNS), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_json(outcomes: Sequence[Outcome], rows: Sequence[Row]) -> str:
    """Rows and all single runs, for programs."""
    runs = [
        {
            "plan": each.plan,
            "server": each.server,
            "round": each.round_number,
            "complaint": each.complaint,
            "figures": None if each.verdict is None else attrs.asdict(each.verdict.figures),
            "broken": []
            if each.verdict is None
            else [finding.text for finding in each.verdict.broken],
        }
        for each in outcomes
    ]
    return json.dumps({"rows": [attrs.asdict(row) for row in rows], "runs": runs}, indent=1)


# ---- running -------------------------------------------------------------------------------------


def quickened(plan: Plan) -> Plan:
    """Shortened to what --quick allows."""
    return stretched(plan, QUICK_S) if plan.duration_s > QUICK_S else plan


def estimate_s(plans: Sequence[Plan], servers: Sequence[str], rounds: int) -> float:
    """How long all runs take on an idle machine."""
    once = sum(
        plan.duration_s + AFTER_S + plan.operation_timeout_ms / 1000 + _AROUND_S for plan in plans
    )
    return once * len(servers) * rounds


def compare(
    plans: Sequence[Plan],
    servers: Sequence[str],
    rounds: int,
    folder: Path | None = None,
    run: Run | None = None,
) -> Iterator[Outcome]:
    """Run everything; histories, pages and logs go to `folder`."""
    for number in range(rounds):
        for plan in plans:
            turn = number % len(servers)
            for server in (*servers[turn:], *servers[:turn]):
                yield _one(plan, server, number, folder, run)


def _one(plan: Plan, server: str, number: int, folder: Path | None, run: Run | None) -> Outcome:
    stem = f"{plan.name}-{Path(server).name}-{number + 1}"
    # Another seed each round, the same for all servers.
    plan = evolve(plan, seed=plan.seed + number)
    try:
        if run is not None:
            history = run(plan, server)
        else:
            logs = None if folder is None else folder / stem
            history = run_plan(plan, server=None if server == OWN else server, logs=logs)
    except (LocalClusterError, OSError) as failure:
        words = f"{type(failure).__name__}: {failure}".splitlines()[0]
        return Outcome(plan.name, server, number, None, words)
    verdict = judge(history)
    if folder is not None:
        _keep(folder, stem, history, verdict)
    return Outcome(plan.name, server, number, verdict)


def _keep(folder: Path, stem: str, history: History, verdict: Verdict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    contents: Mapping[str, str] = {
        "jsonl": "\n".join(lines_of(history)) + "\n",
        "html": html_page(history, verdict),
    }
    for ending, text in contents.items():
        (folder / f"{stem}.{ending}").write_text(text, encoding="utf-8")
