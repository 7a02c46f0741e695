"""The timeline of a run as SVG: faults, nodes, who wrote for each shard, load, latency, losses.

Owns the drawing. Rules: it needs nothing but itself (no scripts, no fonts, no other files) and is a
function of the history, the verdict and a width, so that a page can hold one for a desk and one for
a phone. Colours are told apart by words as well: every bar has a title.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from math import log10
from typing import Final

from attrs import Factory, define, frozen

from .checkers.lost_writes import check_losses
from .checkers.service import GAP_MS
from .checkers.windows import Windows
from .history import FAIL, OK, PROBE, FaultSpan, History, Operation, ViewSpan
from .report import fault_words, few_words
from .verdict import Verdict

STATES: Final[Mapping[str, tuple[str, str]]] = {
    "primary": ("#2f6fde", "primary, serves"),
    "closed": ("#a9c6f5", "primary, does not serve"),
    "empty": ("#c9b8ef", "primary without slots"),
    "replica": ("#9fd3a6", "replica"),
    "paused": ("#f2b632", "paused"),
    "down": ("#3c4250", "down"),
    "silent": ("#d8dbe0", "no answer"),
}
OWNERS: Final = (
    "#0f766e", "#d1495b", "#8a8f1c", "#e08e1b", "#7a4fc4", "#2fa4c7",
    "#b8397f", "#3a9d5d", "#8a5a34", "#4f5d75",
)  # fmt: skip
FAULT_COLOUR: Final = "#f6d5d0"
FAULT_EDGE: Final = "#c0392b"
GONE_COLOUR: Final = "#c0392b"
MISSED_COLOUR: Final = "#e8891c"
OK_COLOUR: Final = "#8fb8a8"
MEDIAN_COLOUR: Final = "#2f6fde"
INK: Final = "#2b303b"
FAINT: Final = "#e6e8ec"
ROW: Final = 18
BAR: Final = 13
CHART: Final = 64
GAP: Final = 26
BUCKETS_WIDTH: Final = 5
#: What a letter takes at most, on average.
LETTER: Final = 6.2
LATENCY_MS: Final = (0.1, 1000.0)


@frozen
class Bar:
    """A stretch of time in one colour."""

    start_ms: float
    end_ms: float
    colour: str
    title: str


@define
class Canvas:
    """The drawing as it grows downwards."""

    width: int
    left: int
    end_ms: float
    top: float = 8
    parts: list[str] = Factory(list)

    def x(self, moment_ms: float) -> float:
        """Where a moment lies."""
        share = min(max(moment_ms / self.end_ms, 0.0), 1.0)
        return round(self.left + (self.width - self.left - 8) * share, 1)

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", css: str = "") -> None:
        """Some words."""
        style = f' class="{css}"' if css else ""
        self.parts.append(
            f'<text x="{round(x, 1)}" y="{round(y, 1)}" text-anchor="{anchor}"{style}>'
            f"{escape(words)}</text>"
        )

    def heading(self, words: str) -> None:
        """The title of a group of rows."""
        self.top += GAP - 6
        self.text(0, self.top, words, css="head")
        self.top += 9

    def row(self, label: str, bars: Iterable[Bar]) -> None:
        """One row of bars with its label."""
        self.text(self.left - 6, self.top + BAR - 2, label, anchor="end")
        for bar in bars:
            self.bar(bar, self.top, BAR)
        self.top += ROW

    def bar(self, bar: Bar, y: float, height: float, edge: str = "") -> None:
        """One bar."""
        x = self.x(bar.start_ms)
        width = round(max(self.x(bar.end_ms) - x, 1.0), 1)
        stroke = f' stroke="{edge}"' if edge else ""
        self.parts.append(
            f'<rect x="{x}" y="{round(y, 1)}" width="{width}" height="{height}" rx="1.5" '
            f'fill="{bar.colour}"{stroke}><title>{escape(bar.title)}</title></rect>'
        )

    def line(self, points: Sequence[tuple[float, float]], colour: str) -> None:
        """A line through points."""
        path = " ".join(f"{round(x, 1)},{round(y, 1)}" for x, y in points)
        self.parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
        )

    def rule(self, y: float, label: str) -> None:
        """A thin level with its label."""
        self.parts.append(
            f'<line x1="{self.left}" x2="{self.width - 8}" y1="{round(y, 1)}" y2="{round(y, 1)}" '
            f'stroke="{FAINT}"/>'
        )
        self.text(self.left - 6, y + 4, label, anchor="end")


def timeline(history: History, verdict: Verdict, width: int) -> str:
    """The whole picture."""
    ends = [history.load_end_ms, *(o.end_ms for o in history.operations[-50:]), 1.0]
    canvas = Canvas(width, 34 if width < 600 else 54, max(ends))
    _draw_faults(canvas, history)
    shade_from = canvas.top
    canvas.heading("nodes")
    for node in range(history.node_count):
        canvas.row(f"n{node}", node_bars(history, node))
    canvas.heading("shards: who took writes")
    for number, (key, probes) in enumerate(_probes(history).items()):
        name = f"s{number}" if width < 600 else f"shard {number}"
        canvas.row(name, owner_bars(key, probes))
    _draw_losses(canvas, history)
    operations = [each for each in history.operations if each.workload != PROBE]
    _draw_rates(canvas, operations)
    _draw_latency(canvas, operations)
    shades = _shades(canvas, history, shade_from)
    _draw_axis(canvas)
    height = round(canvas.top + 6)
    words = "; ".join(fault_words(fault) for fault in history.faults)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="Timeline. {escape(words)}">{shades}{"".join(canvas.parts)}</svg>'
    )


# ---- faults --------------------------------------------------------------------------------------


def lanes(faults: Sequence[FaultSpan], gap_ms: float) -> list[list[FaultSpan]]:
    """Faults in as few rows as keep them apart."""
    rows: list[list[FaultSpan]] = []
    for fault in sorted(faults, key=lambda each: each.start_ms):
        for row in rows:
            if row[-1].end_ms + gap_ms <= fault.start_ms:
                row.append(fault)
                break
        else:
            rows.append([fault])
    return rows


def _draw_faults(canvas: Canvas, history: History) -> None:
    canvas.heading("faults")
    for row in lanes(history.faults, canvas.end_ms / 200):
        for index, fault in enumerate(row):
            words = fault_words(fault)
            title = f"{words}, {fault.start_ms / 1000:.2f} to {fault.end_ms / 1000:.2f} s"
            bar = Bar(fault.start_ms, fault.end_ms, FAULT_COLOUR, title)
            canvas.bar(bar, canvas.top, BAR + 3, FAULT_EDGE)
            last_ms = row[index + 1].start_ms if index + 1 < len(row) else canvas.end_ms
            short = few_words(fault.nodes, history.node_count)
            _label(canvas, fault, canvas.x(last_ms), short)
        canvas.top += ROW + 2
    if not history.faults:
        canvas.text(canvas.left, canvas.top + BAR, "none")
        canvas.top += ROW


def _label(canvas: Canvas, fault: FaultSpan, right: float, nodes: str) -> None:
    """As many of a fault's words as fit into its bar, or beside it if none do."""
    full, short = fault_words(fault), f"{fault.kind} {nodes}".strip()
    inside, beside = canvas.x(fault.start_ms) + 4, canvas.x(fault.end_ms) + 4
    known = (full, full.partition(" (")[0], short, fault.kind)
    rooms = ((inside, beside - 4, known), (beside, right, known), (inside, beside - 4, (nodes,)))
    for x, end, choice in rooms:
        for words in choice:
            if words and len(words) * LETTER <= end - x:
                canvas.text(x, canvas.top + BAR - 1, words)
                return


def _shades(canvas: Canvas, history: History, top: float) -> str:
    return "".join(
        f'<rect x="{canvas.x(fault.start_ms)}" y="{round(top, 1)}" '
        f'width="{round(max(canvas.x(fault.end_ms) - canvas.x(fault.start_ms), 1), 1)}" '
        f'height="{round(canvas.top - top, 1)}" fill="{FAULT_COLOUR}" opacity="0.35"/>'
        for fault in history.faults
    )


# ---- nodes and shards ----------------------------------------------------------------------------


def state_of(view: ViewSpan, faults: Iterable[FaultSpan]) -> str:
    """What a view is drawn as."""
    if view.role == "":
        middle_ms = (view.start_ms + view.end_ms) / 2
        for fault in faults:
            if view.node in fault.nodes and fault.start_ms <= middle_ms <= fault.end_ms + 200:
                if fault.kind in ("kill", "stop"):
                    return "down"
                if fault.kind == "pause":
                    return "paused"
        return "silent"
    if view.role == "slave":
        return "replica"
    if not view.slots:
        return "empty"
    return "primary" if view.is_ok else "closed"


def node_bars(history: History, node: int) -> list[Bar]:
    """The states of a node, without the moments between two looks."""
    views = sorted(
        (view for view in history.views if view.node == node), key=lambda view: view.start_ms
    )
    bars: list[Bar] = []
    for index, view in enumerate(views):
        end_ms = views[index + 1].start_ms if index + 1 < len(views) else view.end_ms
        colour, words = STATES[state_of(view, history.faults)]
        start_ms = bars.pop().start_ms if bars and bars[-1].colour == colour else view.start_ms
        title = f"n{node}: {words}, {start_ms / 1000:.2f} to {end_ms / 1000:.2f} s"
        bars.append(Bar(start_ms, end_ms, colour, title))
    return bars


def _probes(history: History) -> dict[str, list[Operation]]:
    groups: dict[str, list[Operation]] = {}
    for each in history.operations:
        if each.workload == PROBE:
            groups.setdefault(each.key, []).append(each)
    return dict(sorted(groups.items(), key=lambda item: item[1][0].slot))


def owner_bars(key: str, probes: Sequence[Operation]) -> list[Bar]:
    """Who answered the writes to a key; nothing where nobody did."""
    bars: list[Bar] = []
    last: Operation | None = None
    for probe in probes:
        if probe.outcome != OK:
            continue
        colour = OWNERS[probe.node % len(OWNERS)]
        is_same = (
            last is not None and last.node == probe.node and probe.end_ms - last.end_ms <= GAP_MS
        )
        start_ms = bars.pop().start_ms if is_same else probe.start_ms
        title = f"{key}: n{probe.node}, {start_ms / 1000:.2f} to {probe.end_ms / 1000:.2f} s"
        bars.append(Bar(start_ms, probe.end_ms, colour, title))
        last = probe
    return bars


def _draw_losses(canvas: Canvas, history: History) -> None:
    losses = check_losses(history, Windows(history)).losses
    if not losses:
        return
    bars = [
        Bar(
            loss.operation.end_ms,
            loss.operation.end_ms,
            MISSED_COLOUR if loss.window is not None else GONE_COLOUR,
            str(loss),
        )
        for loss in losses
    ]
    canvas.heading(f"acknowledged, then lost: {len(losses)}")
    canvas.row("lost", bars)


# ---- charts --------------------------------------------------------------------------------------


def _buckets(canvas: Canvas, operations: Iterable[Operation]) -> list[list[Operation]]:
    count = max(int((canvas.width - canvas.left) / BUCKETS_WIDTH), 1)
    buckets: list[list[Operation]] = [[] for _ in range(count)]
    for each in operations:
        buckets[min(int(each.end_ms / canvas.end_ms * count), count - 1)].append(each)
    return buckets


def _draw_rates(canvas: Canvas, operations: Sequence[Operation]) -> None:
    """How many requests ended how."""
    buckets = _buckets(canvas, operations)
    most = max(map(len, buckets), default=0) or 1
    step_ms = canvas.end_ms / len(buckets)
    canvas.heading("requests a second")
    canvas.top += 4
    base = canvas.top + CHART
    canvas.rule(canvas.top, f"{most / step_ms * 1000:.0f}")
    canvas.rule(base, "0")
    for index, bucket in enumerate(buckets):
        counts = [0, 0, 0]
        for each in bucket:
            counts[0 if each.outcome == OK else 1 if each.outcome == FAIL else 2] += 1
        y = base
        for amount, colour, words in zip(
            counts,
            (OK_COLOUR, MISSED_COLOUR, GONE_COLOUR),
            ("answered", "refused", "unknown"),
            strict=True,
        ):
            if not amount:
                continue
            height = round(amount / most * CHART, 1)
            y -= height
            bar = Bar(index * step_ms, (index + 1) * step_ms, colour, f"{amount} {words}")
            canvas.bar(bar, y, height)
    canvas.top = base + 4


def _draw_latency(canvas: Canvas, operations: Sequence[Operation]) -> None:
    """Median and 99th percentile of what was answered."""
    buckets = _buckets(canvas, (each for each in operations if each.outcome == OK))
    step_ms = canvas.end_ms / len(buckets)
    canvas.heading("latency, ms: median, 99 %")
    canvas.top += 4
    top, low, high = canvas.top, log10(LATENCY_MS[0]), log10(LATENCY_MS[1])

    def height(latency_ms: float) -> float:
        bounded = min(max(latency_ms, LATENCY_MS[0]), LATENCY_MS[1])
        return top + CHART * (1 - (log10(bounded) - low) / (high - low))

    for level in (0.1, 1, 10, 100, 1000):
        canvas.rule(height(level), f"{level:g}")
    for share, colour in ((0.99, MISSED_COLOUR), (0.5, MEDIAN_COLOUR)):
        points: list[tuple[float, float]] = []
        for index, bucket in enumerate([*buckets, []]):
            if not bucket:
                if len(points) > 1:
                    canvas.line(points, colour)
                points = []
                continue
            ordered = sorted(each.end_ms - each.start_ms for each in bucket)
            latency_ms = ordered[min(int(len(ordered) * share), len(ordered) - 1)]
            points.append((canvas.x((index + 0.5) * step_ms), height(latency_ms)))
    canvas.top = top + CHART + 4


def _draw_axis(canvas: Canvas) -> None:
    seconds = canvas.end_ms / 1000
    room = max((canvas.width - canvas.left) // 48, 2)
    step = next((s for s in (1, 2, 5, 10, 20, 30, 60, 120, 300) if seconds / s <= room), 600)
    canvas.top += 12
    for moment in range(0, int(seconds) + 1, step):
        anchor = "start" if moment == 0 else "middle"
        canvas.text(canvas.x(moment * 1000), canvas.top, f"{moment} s", anchor=anchor)
    canvas.top += 2
