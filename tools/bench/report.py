"""Comparisons as a table for a terminal, as Markdown for the README, or as JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from .measure import Figures
from .workloads import Goal, Metric

_LABELS: Final[Mapping[Metric, str]] = {
    "throughput": "requests/s",
    "cpu_us": "CPU µs/request",
    "p50_ms": "p50 ms",
    "p99_ms": "p99 ms",
    "bytes_per_key": "bytes/key",
    "bytes_per_element": "bytes/element",
    "start_ms": "start ms",
    "cost_percent": "more CPU, %",
}


@frozen
class Comparison:
    """The medians of both servers for one workload, and what they should come to."""

    name: str
    goals: Sequence[Goal]
    first: Figures
    second: Figures


@frozen
class Line:
    """One figure of one workload."""

    workload: str
    metric: Metric
    first: float
    second: float
    goal: Goal | None

    @property
    def ratio(self) -> float | None:
        """B/A; None where A is too small to be measured, or is a share already."""
        return self.second / self.first if self.first and self.metric != "cost_percent" else None

    @property
    def is_met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return self.goal.is_met(self.first, self.second) if self.goal else None

    def cells(self) -> tuple[str, ...]:
        """The line as text."""
        ratio = "-" if self.ratio is None else f"{self.ratio:.2f}"
        verdict = {None: "", True: "met", False: "missed"}[self.is_met]
        goal = str(self.goal) if self.goal else ""
        figures = (_figure(self.first), _figure(self.second))
        return (self.workload, _LABELS[self.metric], *figures, ratio, goal, verdict)


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def lines_of(comparisons: Sequence[Comparison]) -> list[Line]:
    """Every figure of every workload, in order."""
    return [
        Line(
            each.name,
            metric,
            each.first[metric],
            each.second[metric],
            next((goal for goal in each.goals if goal.metric == metric), None),
        )
        for each in comparisons
        for metric in each.first
    ]


def _header(names: Sequence[str]) -> tuple[str, ...]:
    return ("workload", "", names[0], names[1], "ratio", "goal", "")


def table(names: Sequence[str], lines: Sequence[Line]) -> str:
    """Columns for a terminal; a workload is named once."""
    rows = [_header(names), *(line.cells() for line in lines)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    shown, previous = [], ""
    for row in rows:
        name = "" if row[0] == previous else row[0]
        previous = row[0]
        cells = [name.ljust(widths[0]), row[1].ljust(widths[1])]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        shown.append("  ".join(cells).rstrip())
    return "\n".join([shown[0], "-" * max(map(len, shown)), *shown[1:]])


def markdown(names: Sequence[str], lines: Sequence[Line]) -> str:
    """A table for the README."""
    head = _header(names)
    rules = ["---", "---", *["---:"] * (len(head) - 2)]
    rows = [head, rules, *(line.cells() for line in lines)]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def as_json(names: Sequence[str], lines: Sequence[Line]) -> str:
    """One object, for machines."""
    figures = [
        {
            "workload": line.workload,
            "metric": line.metric,
            "first": line.first,
            "second": line.second,
            "ratio": line.ratio,
            "goal": str(line.goal) if line.goal else None,
            "met": line.is_met,
        }
        for line in lines
    ]
    return json.dumps({"servers": list(names), "figures": figures}, indent=2)
