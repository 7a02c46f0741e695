"""A run as text and as JSON.

Owns the words for people; `page.py` and `picture.py` own what is drawn, `compare.py` tables of many
runs.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from .history import FaultSpan, History, plan_tables
from .plan import Plan
from .targets import CLIENTS
from .verdict import Figures, Verdict

NAMED_MAX: Final = 12


def node_words(nodes: Iterable[int]) -> str:
    """Nodes by their numbers."""
    return ", ".join("clients" if node == CLIENTS else f"n{node}" for node in nodes)


def few_words(nodes: Sequence[int], node_count: int) -> str:
    """Nodes in one word or two."""
    if len(nodes) == node_count:
        return "all"
    more = f" +{len(nodes) - 1}" if nodes[1:] else ""
    return node_words(nodes[:1]) + more


def shape_words(plan: Plan) -> str:
    """What the cluster consists of."""
    primaries = "1 primary" if plan.masters == 1 else f"{plan.masters} primaries"
    each = "" if plan.masters == 1 else " each"
    if plan.replicas == 0:
        return f"{primaries} without replicas"
    return f"{primaries} with {plan.replicas} replica{'s'[: plan.replicas > 1]}{each}"


def fault_words(fault: FaultSpan) -> str:
    """A fault in a few words."""
    words = f"{fault.kind} {node_words(fault.nodes)}".strip()
    if fault.others:
        words += f" {'→' if fault.is_one_way or fault.kind == 'migrate' else '|'} "
        words += node_words(fault.others)
    return f"{words} ({fault.note})" if fault.note else words


def seconds(values: Iterable[float]) -> str:
    """Some times, or a dash."""
    return ", ".join(f"{value:.2f}" for value in values) or "–"


def figure_rows(figures: Figures) -> list[tuple[str, str]]:
    """All figures with their names."""
    converged = "never" if figures.converged_s is None else f"{figures.converged_s:.2f} s"
    lost = f"{figures.lost_writes} of {figures.acknowledged_writes}"
    keys = (
        f"{figures.checked_keys - figures.not_linearizable_keys - figures.unknown_keys} of "
        f"{figures.checked_keys} keys"
    )
    return [
        ("operations", f"{figures.operations} ({figures.refused} refused, "
                       f"{figures.unknown} unknown)"),
        ("lost acknowledged writes", f"{lost} ({figures.lost_unexcused} without an excuse)"),
        ("of these, after WAIT", str(figures.lost_after_wait)),
        ("stale reads", f"{figures.stale_reads} ({figures.stale_unexcused} without an excuse)"),
        ("reads of what was lost later", str(figures.dirty_reads)),
        ("linearizable", keys if figures.checked_keys else "not asked"),
        ("unavailable, worst slot", f"{figures.unavailable_s:.2f} s "
                                    f"(longest gap {figures.longest_gap_s:.2f} s)"),
        ("unavailable, mean of shards", f"{figures.unavailable_mean_s:.2f} s"),
        ("failovers", f"{seconds(figures.failover_s)} s" if figures.failover_s else "none"),
        ("split brain", f"{figures.split_brain_s:.2f} s"),
        ("all agreed again after", converged),
        ("the machine itself stalled", f"{figures.stalled_s:.2f} s"),
    ]  # fmt: skip


def finding_lines(verdict: Verdict, limit: int = NAMED_MAX) -> list[str]:
    """What was found, broken promises first, the rest counted."""
    ordered = sorted(verdict.findings, key=lambda finding: not finding.is_broken)
    lines = [
        f"{'BROKEN' if each.is_broken else 'noted '} {each.checker}: {each.text}"
        for each in ordered[:limit]
    ]
    if len(ordered) > limit:
        lines.append(f"       and {len(ordered) - limit} more")
    return lines


def text_report(history: History, verdict: Verdict) -> str:
    """The report for a terminal."""
    plan = history.plan
    width = max(len(name) for name, _ in figure_rows(verdict.figures))
    lines = [
        f"{plan.name} on {history.server}: {plan.about}",
        f"{shape_words(plan)}, node timeout {plan.node_timeout_ms} ms, seed {plan.seed}",
        "",
        *(
            f"  {fault.start_ms / 1000:6.2f} to {fault.end_ms / 1000:6.2f} s  {fault_words(fault)}"
            for fault in sorted(history.faults, key=lambda each: each.start_ms)
        ),
        "",
        *(f"  {name:<{width}}  {value}" for name, value in figure_rows(verdict.figures)),
        "",
        *(f"  {note}" for note in history.notes),
        *finding_lines(verdict),
        "all promises kept" if verdict.is_fine else "promises broken",
    ]
    return "\n".join(lines)


def json_report(history: History, verdict: Verdict) -> str:
    """The report for programs."""
    return json.dumps(
        {
            "plan": plan_tables(history.plan),
            "server": history.server,
            "faults": [attrs.asdict(fault) for fault in history.faults],
            "notes": history.notes,
            **verdict.as_json(),
        },
        indent=1,
    )
