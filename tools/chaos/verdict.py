"""What came of a run: figures, findings, and whether a promise of the plan was broken.

Owns the judgement; the checkers own the rules.
"""

from collections.abc import Sequence
from typing import Final

import attrs
from attrs import frozen

from .checkers.base import Finding
from .checkers.convergence import check_convergence
from .checkers.linearizable import Answer, check_keys
from .checkers.lost_writes import Losses, check_losses, outcomes
from .checkers.reads import check_reads
from .checkers.service import (
    Failover,
    Gap,
    find_failovers,
    find_gaps,
    late_minority_writes,
    owner_changes,
    split_brains,
    union_s,
)
from .checkers.windows import Windows
from .history import FAIL, INFO, OK, History
from .plan import Promises

FINE: Final = 0
BROKEN: Final = 1


@frozen
class Figures:
    """A run in numbers."""

    operations: int
    refused: int
    unknown: int
    acknowledged_writes: int
    lost_writes: int
    lost_unexcused: int
    lost_after_wait: int
    stale_reads: int
    stale_unexcused: int
    dirty_reads: int
    split_brain_s: float
    unavailable_s: float
    """The sum of the gaps of the shard that had most of them."""
    unavailable_mean_s: float
    """The same, over all shards."""
    longest_gap_s: float
    failover_s: tuple[float, ...]
    owner_changes: int
    not_linearizable_keys: int
    unknown_keys: int
    checked_keys: int
    converged_s: float | None
    stalled_s: float
    """How long the clients themselves could not run: gaps of that length tell nothing."""


@frozen
class Verdict:
    """The judgement of a run."""

    figures: Figures
    findings: tuple[Finding, ...]
    gaps: tuple[Gap, ...]
    failovers: tuple[Failover, ...]
    split_brains: tuple[tuple[float, float, int, int], ...]

    @property
    def broken(self) -> list[Finding]:
        """What breaks a promise."""
        return [finding for finding in self.findings if finding.is_broken]

    @property
    def is_fine(self) -> bool:
        """Whether all promises were kept."""
        return not self.broken

    @property
    def exit_code(self) -> int:
        """0 all promises kept, 1 one broken."""
        return FINE if self.is_fine else BROKEN

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {"is_fine": self.is_fine, **attrs.asdict(self)}


def judge(history: History) -> Verdict:
    """Run all checkers."""
    windows = Windows(history)
    losses = check_losses(history, windows)
    reads = check_reads(history, windows, losses)
    answers = check_keys(history)
    gaps, failovers = find_gaps(history), find_failovers(history)
    brains = split_brains(history)
    by_slot: dict[int, float] = {}
    for gap in gaps:
        by_slot[gap.slot] = by_slot.get(gap.slot, 0.0) + gap.seconds
    counts = outcomes(history)
    figures = Figures(
        operations=sum(counts.values()),
        refused=counts.get(FAIL, 0),
        unknown=counts.get(INFO, 0),
        acknowledged_writes=losses.acknowledged,
        lost_writes=len(losses.losses),
        lost_unexcused=losses.unexcused,
        lost_after_wait=losses.waited,
        stale_reads=reads.stale,
        stale_unexcused=reads.stale_unexcused,
        dirty_reads=reads.dirty,
        split_brain_s=round(union_s((start, end) for start, end, _, _ in brains), 2),
        unavailable_s=round(max(by_slot.values(), default=0.0), 2),
        unavailable_mean_s=round(sum(by_slot.values()) / max(history.plan.masters, 1), 2),
        longest_gap_s=round(max((gap.seconds for gap in gaps), default=0.0), 2),
        failover_s=tuple(round(each.seconds, 2) for each in failovers),
        owner_changes=owner_changes(history),
        not_linearizable_keys=sum(each is Answer.NO for each in answers.values()),
        unknown_keys=sum(each is Answer.UNKNOWN for each in answers.values()),
        checked_keys=len(answers),
        converged_s=None if history.converged_ms is None else round(history.converged_ms / 1000, 2),
        stalled_s=round(history.stalled_ms / 1000, 2),
    )
    findings = [
        *losses.findings,
        *reads.findings,
        *_answers(history, answers),
        *late_minority_writes(history),
        *check_convergence(history),
        *_limits(history.plan.promises, figures),
        *_silence(history, losses),
    ]
    return Verdict(figures, tuple(findings), tuple(gaps), tuple(failovers), tuple(brains))


def _answers(history: History, answers: dict[str, Answer]) -> Sequence[Finding]:
    bad = [key for key, answer in answers.items() if answer is Answer.NO]
    if not bad:
        return []
    words = f"{len(bad)} of {len(answers)} keys are not linearizable: {', '.join(bad[:5])}"
    return [Finding("linearizable", history.plan.promises.linearizable, words)]


def _limits(promises: Promises, figures: Figures) -> list[Finding]:
    rows = (
        ("split brain", figures.split_brain_s, promises.split_brain_s),
        ("longest gap", figures.longest_gap_s, promises.unavailable_s),
        ("failover", max(figures.failover_s, default=0.0), promises.failover_s),
    )
    findings = [
        Finding("limits", True, f"{name} of {value:.2f} s, {limit:g} s at most")
        for name, value, limit in rows
        if limit is not None and value > limit
    ]
    limit = promises.failovers_max
    if limit is not None and len(figures.failover_s) > limit:
        words = f"{len(figures.failover_s)} failovers, {limit} at most"
        findings.append(Finding("limits", True, words))
    return findings


def _silence(history: History, losses: Losses) -> list[Finding]:
    """A run in which nothing was written shows nothing."""
    if any(each.outcome == OK for each in history.operations) and losses.acknowledged:
        return []
    return [Finding("load", True, "not one write was acknowledged")]
