"""The report of a run as one HTML page that needs nothing else.

Owns the page; `picture.py` owns the timeline in it. It holds two timelines, one for wide and one
for narrow screens, of which the style shows one.
"""

from html import escape
from typing import Final

from .history import History
from .picture import (
    GONE_COLOUR,
    MEDIAN_COLOUR,
    MISSED_COLOUR,
    OK_COLOUR,
    OWNERS,
    STATES,
    timeline,
)
from .report import fault_words, figure_rows, shape_words
from .verdict import Verdict

WIDE: Final = 1100
NARROW: Final = 366
FINDINGS_MAX: Final = 60

_STYLE: Final = """
:root { color-scheme: light; --ink: #2b303b; --faint: #626b7a; --edge: #e1e4ea; }
* { box-sizing: border-box; }
body { margin: 0; background: #f6f7f9; color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 20px 28px 48px; }
header { display: flex; flex-wrap: wrap; align-items: center; gap: 4px 14px; }
h1 { font-size: 24px; margin: 0; }
h2 { font-size: 16px; margin: 28px 0 8px; }
p { margin: 6px 0; }
.faint { color: var(--faint); }
.verdict { padding: 2px 12px; border-radius: 999px; color: #fff; font-weight: 600;
  font-size: 14px; }
.kept { background: #2c7a4b; } .broken { background: #b3261e; }
.cards { display: grid; grid-template-columns: repeat(4, 1fr); gap: 8px;
  margin: 16px 0 0; padding: 0; }
.cards div { background: #fff; border: 1px solid var(--edge); border-radius: 8px;
  padding: 8px 12px; }
dt { color: var(--faint); font-size: 13px; } dd { margin: 0; font-weight: 600; }
dd small { display: block; font-weight: 400; color: var(--faint); }
figure { margin: 0; background: #fff; border: 1px solid var(--edge); border-radius: 8px;
  padding: 4px 12px 8px; }
svg { display: block; width: 100%; height: auto; }
svg text { font: 11px system-ui, "DejaVu Sans", sans-serif; fill: #2b303b; }
svg text.head { font-weight: 600; font-size: 12px; }
.narrow { display: none; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 14px; margin: 6px 0 0; padding: 0;
  list-style: none; font-size: 13px; }
.legend b { display: inline-block; min-width: 62px; }
.legend i { display: inline-block; width: 12px; height: 12px; border-radius: 2px;
  margin-right: 6px; vertical-align: -1px; }
ul.found { list-style: none; margin: 0; padding: 0; }
ul.found li { background: #fff; border: 1px solid var(--edge); border-left: 4px solid #c9ced8;
  border-radius: 6px; padding: 6px 10px; margin: 0 0 6px; overflow-wrap: anywhere;
  font-size: 14px; }
ul.found li.bad { border-left-color: #b3261e; }
table { border-collapse: collapse; width: 100%; background: #fff; font-size: 14px; }
th { background: #f1f3f6; font-weight: 600; }
th:first-child { width: 140px; }
th, td { text-align: left; padding: 5px 10px; border: 1px solid var(--edge);
  vertical-align: top; overflow-wrap: anywhere; }
td.time { white-space: nowrap; }
@media (max-width: 700px) {
  main { padding: 14px 12px 32px; } h1 { font-size: 20px; }
  .wide { display: none; } .narrow { display: block; }
  .cards { grid-template-columns: 1fr 1fr; } .cards div { padding: 6px 9px; }
  dt { font-size: 12px; } dd { font-size: 14px; } figure { padding: 2px 4px 8px; }
}
"""


def _legend(history: History) -> str:
    groups = (
        ("nodes", list(STATES.values())),
        (
            "shards",
            [
                (OWNERS[node % len(OWNERS)], f"n{node}")
                for node in range(min(history.node_count, len(OWNERS)))
            ],
        ),
        ("lost", [(MISSED_COLOUR, "with an excuse"), (GONE_COLOUR, "without")]),
        (
            "requests",
            [(OK_COLOUR, "answered"), (MISSED_COLOUR, "refused"), (GONE_COLOUR, "unknown")],
        ),
        ("latency", [(MEDIAN_COLOUR, "median"), (MISSED_COLOUR, "99 %")]),
    )
    return "".join(
        f'<ul class="legend"><li><b>{name}</b></li>'
        + "".join(
            f'<li><i style="background:{colour}"></i>{escape(words)}</li>'
            for colour, words in entries
        )
        + "</ul>"
        for name, entries in groups
    )


def _card(name: str, value: str) -> str:
    figure, bracket, rest = value.partition(" (")
    note = f"<small>{escape(rest.rstrip(')'))}</small>" if bracket else ""
    return f"<div><dt>{escape(name)}</dt><dd>{escape(figure)}{note}</dd></div>"


def _findings(verdict: Verdict) -> str:
    ordered = sorted(verdict.findings, key=lambda finding: not finding.is_broken)
    if not ordered:
        return "<p>Nothing to tell.</p>"
    items = "".join(
        f'<li class="{"bad" if each.is_broken else ""}"><b>{escape(each.checker)}</b>'
        f"{' (promise broken)' if each.is_broken else ''}: {escape(each.text)}</li>"
        for each in ordered[:FINDINGS_MAX]
    )
    rest = len(ordered) - FINDINGS_MAX
    more = f'<p class="faint">and {rest} more of them</p>' if rest > 0 else ""
    return f'<ul class="found">{items}</ul>{more}'


def _faults(history: History) -> str:
    rows = "".join(
        f'<tr><td class="time">{fault.start_ms / 1000:.2f}–{fault.end_ms / 1000:.2f} s</td>'
        f"<td>{escape(fault_words(fault))}</td></tr>"
        for fault in sorted(history.faults, key=lambda each: each.start_ms)
    )
    return f"<table><tr><th>when</th><th>what</th></tr>{rows}</table>" if rows else "<p>None.</p>"


def html_page(history: History, verdict: Verdict) -> str:
    """The page."""
    plan = history.plan
    word = "all promises kept" if verdict.is_fine else "promises broken"
    cards = "".join(_card(name, value) for name, value in figure_rows(verdict.figures))
    notes = "".join(f"<p>{escape(note)}</p>" for note in history.notes)
    title = f"{plan.name} on {history.server}"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chaos: {escape(title)}</title><style>{_STYLE}</style></head><body><main>
<header><h1>{escape(title)}</h1>
<span class="verdict {"kept" if verdict.is_fine else "broken"}">{word}</span></header>
<p>{escape(plan.about)}</p>
<p class="faint">{shape_words(plan)}, node timeout {plan.node_timeout_ms} ms, seed {plan.seed}</p>
<dl class="cards">{cards}</dl>
<h2>What happened</h2>
<figure><div class="wide">{timeline(history, verdict, WIDE)}</div>
<div class="narrow">{timeline(history, verdict, NARROW)}</div>{_legend(history)}</figure>
<h2>What was found</h2>
{_findings(verdict)}
<h2>Faults</h2>
{_faults(history)}{"<h2>Notes</h2>" + notes if notes else ""}
</main></body></html>
"""
