"""What checkers give back."""

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from ..history import OK, WRITE, History, Operation


@frozen
class Finding:
    """Something that was found out about a run."""

    checker: str
    is_broken: bool
    """Whether a promise of the plan is broken by it."""
    text: str
    at_ms: float | None = None


@frozen
class Case:
    """One of many of its kind."""

    is_broken: bool
    group: str
    """What it has in common with others: they are told together."""
    example: str
    at_ms: float


#: So many of a group are named; the rest is counted.
EXAMPLES_MAX: Final = 3


def together(checker: str, cases: Iterable[Case]) -> list[Finding]:
    """One finding for each group of cases."""
    groups: dict[tuple[bool, str], list[Case]] = {}
    for case in cases:
        groups.setdefault((case.is_broken, case.group), []).append(case)
    findings = []
    for (is_bad, group), members in groups.items():
        members.sort(key=lambda case: case.at_ms)
        first, last = members[0].at_ms, members[-1].at_ms
        when = f"at {first / 1000:.2f} s"
        if last > first:
            when = f"from {first / 1000:.2f} to {last / 1000:.2f} s"
        examples = "; ".join(case.example for case in members[:EXAMPLES_MAX])
        more = "; ..." if len(members) > EXAMPLES_MAX else ""
        findings.append(
            Finding(checker, is_bad, f"{len(members)} {group} {when}: {examples}{more}", first)
        )
    return findings


def by_key(operations: Iterable[Operation]) -> dict[str, list[Operation]]:
    """The operations of each key, in the order in which they ended."""
    groups: dict[str, list[Operation]] = {}
    for operation in operations:
        groups.setdefault(operation.key, []).append(operation)
    return groups


def acknowledged(history: History, *workloads: str) -> list[Operation]:
    """All writes that were answered, of some workloads."""
    return [
        each
        for each in history.operations
        if each.outcome == OK and each.action == WRITE and each.workload in workloads
    ]


def is_broken(tolerance: str, *, is_excused: bool) -> bool:
    """Whether something that a plan tolerates to this degree breaks its promise."""
    return tolerance == "none" or (tolerance == "windows" and not is_excused)
