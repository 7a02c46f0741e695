"""A picture of one run: who was up and in which role, who won elections, who owned the slots.

Owns `Sampler`, which looks at the world every so often, and the SVG that is drawn from what it saw.
The picture needs nothing but itself: no scripts, no fonts, no other files.
"""

from html import escape
from typing import Final

from attrs import Factory, define, frozen

from ...gossip.events import BecamePrimary, ElectionWon, HealthChanged
from .world import World

SAMPLE_MS: Final = 100
MAX_ROWS: Final = 60
LEFT: Final = 70
TOP: Final = 60
WIDTH: Final = 1_100
ROW: Final = 16
GAP: Final = 30
STATES: Final = {
    "primary": ("#2563eb", "primary, serving"),
    "closed": ("#93c5fd", "primary, not serving"),
    "empty": ("#c4b5fd", "primary without slots"),
    "replica": ("#a7d7a7", "replica"),
    "paused": ("#fbbf24", "paused"),
    "down": ("#374151", "down"),
}
OWNER_COLOURS: Final = (
    "#2563eb", "#dc2626", "#16a34a", "#d97706", "#7c3aed", "#0891b2",
    "#be185d", "#65a30d", "#78350f", "#475569", "#0f766e", "#a16207",
)  # fmt: skip
NOBODY: Final = "#ffffff"
SEVERAL: Final = "#000000"


@frozen
class Bar:
    """A stretch of time in which a row does not change."""

    start: int
    end: int
    word: str


@define(eq=False)
class Sampler:
    """What was seen, as bars for each row."""

    world: World
    states: list[list[Bar]] = Factory(list)
    owners: list[list[Bar]] = Factory(list)

    def start(self) -> None:
        """Begins to look."""
        self.states = [[] for _ in self.world.processes]
        self.owners = [[] for _ in range(self.world.options.primary_count)]
        self._sample(None, None)

    def _sample(self, nothing: None, nothing_else: None) -> None:
        world = self.world
        for row, process in zip(self.states, world.processes, strict=True):
            if not process.is_up:
                word = "down"
            elif process.is_paused:
                word = "paused"
            elif process.myself.is_replica:
                word = "replica"
            elif not process.myself.mask:
                word = "empty"
            else:
                word = "primary" if process.core.state.is_ok else "closed"
            self._add(row, word)
        bounds = world.options.slot_bounds
        for row, first in zip(self.owners, bounds[:-1], strict=True):
            found = [p.name for p in world.live() if p.myself.mask >> first & 1]
            self._add(row, " ".join(found))
        world.queue.push(world.queue.now + SAMPLE_MS, self._sample, None, None)

    def _add(self, row: list[Bar], word: str) -> None:
        now = self.world.queue.now
        if row and row[-1].word == word and row[-1].end == now:
            row[-1] = Bar(row[-1].start, now + SAMPLE_MS, word)
        else:
            row.append(Bar(now, now + SAMPLE_MS, word))


@define
class Canvas:
    """The SVG as it grows."""

    end_ms: int
    parts: list[str] = Factory(list)

    def x(self, now: int) -> float:
        """Where a moment lies."""
        return round(LEFT + WIDTH * now / max(self.end_ms, 1), 1)

    def text(self, x: float, y: float, words: str, *, size: int = 11, end: bool = False) -> None:
        """Some words, which begin or end there."""
        anchor = "end" if end else "start"
        self.parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}">'
            f"{escape(words)}</text>"
        )

    def bar(self, bar: Bar, y: float, colour: str, title: str) -> None:
        """One stretch of one row."""
        x = self.x(bar.start)
        width = round(max(self.x(min(bar.end, self.end_ms)) - x, 0.5), 1)
        self.parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{ROW - 4}" fill="{colour}">'
            f"<title>{escape(title)}, {bar.start} to {bar.end} ms</title></rect>"
        )

    def line(self, now: int, top: float, bottom: float, colour: str) -> None:
        """A moment that concerns all rows."""
        x = self.x(now)
        self.parts.append(
            f'<line x1="{x}" y1="{top}" x2="{x}" y2="{bottom}" stroke="{colour}" '
            'stroke-dasharray="4 3"/>'
        )

    def mark(self, now: int, y: float, colour: str, title: str) -> None:
        """A moment in one row."""
        self.parts.append(
            f'<circle cx="{self.x(now)}" cy="{y}" r="4" fill="{colour}" stroke="#fff">'
            f"<title>{escape(title)}</title></circle>"
        )


def picture(sampler: Sampler, marks: list[tuple[int, str]], title: str) -> str:
    """The whole run as SVG."""
    world = sampler.world
    canvas = Canvas(world.queue.now)
    rows = min(len(sampler.states), MAX_ROWS)
    owner_rows = min(len(sampler.owners), MAX_ROWS)
    owners_top = TOP + rows * ROW + GAP
    bottom = owners_top + owner_rows * ROW
    canvas.text(LEFT, 20, title, size=14)
    for now, phase in marks:
        canvas.line(now, TOP - 12, bottom, "#9ca3af")
        canvas.text(canvas.x(now) + 3, TOP - 8, phase)
    for index in range(rows):
        y = TOP + index * ROW
        canvas.text(LEFT - 6, y + 10, f"n{index}", end=True)
        for bar in sampler.states[index]:
            colour, words = STATES[bar.word]
            canvas.bar(bar, y, colour, f"n{index}: {words}")
    for index in range(owner_rows):
        y = owners_top + index * ROW
        canvas.text(LEFT - 6, y + 10, f"shard {index}", end=True)
        for bar in sampler.owners[index]:
            canvas.bar(bar, y, _owner_colour(bar.word), bar.word or "nobody")
    _draw_decisions(canvas, world, rows)
    _draw_axis(canvas, bottom)
    _draw_legend(canvas, bottom + 40)
    height = bottom + 90
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 30} {height}" '
        'font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/>'
        + "\n".join(canvas.parts)
        + "</svg>\n"
    )


def as_html(svg: str, lines: list[str]) -> str:
    """The picture with what was drawn, as a page."""
    words = escape("\n".join(lines))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>clustrio sim</title>'
        f"<body>{svg}<pre>{words}</pre></body></html>\n"
    )


def _owner_colour(word: str) -> str:
    if not word:
        return NOBODY
    if " " in word:
        return SEVERAL
    return OWNER_COLOURS[int(word[1:]) % len(OWNER_COLOURS)]


def _draw_decisions(canvas: Canvas, world: World, rows: int) -> None:
    for now, index, event in world.record:
        if index >= rows:
            continue
        y = TOP + index * ROW + (ROW - 4) / 2
        if isinstance(event, ElectionWon):
            canvas.mark(now, y, "#dc2626", f"n{index} won epoch {event.epoch} at {now} ms")
        elif isinstance(event, BecamePrimary):
            canvas.mark(now, y, "#dc2626", f"n{index}: {event.reason.value} at {now} ms")
        elif isinstance(event, HealthChanged) and not event.is_ok and event.reason is not None:
            canvas.mark(now, y, "#f97316", f"n{index} closes: {event.reason.value} at {now} ms")


def _draw_axis(canvas: Canvas, y: float) -> None:
    step_ms = 1_000
    while canvas.end_ms / step_ms > 24:
        step_ms *= 2
    for now in range(0, canvas.end_ms + 1, step_ms):
        canvas.text(canvas.x(now), y + 14, f"{now / 1000:g} s", end=True)


def _draw_legend(canvas: Canvas, y: float) -> None:
    x = float(LEFT)
    for colour, words in STATES.values():
        canvas.parts.append(f'<rect x="{x}" y="{y}" width="12" height="12" fill="{colour}"/>')
        canvas.text(x + 17, y + 10, words)
        x += 40 + 7 * len(words)
    for colour, words in (("#dc2626", "elected"), ("#f97316", "stops serving")):
        canvas.parts.append(f'<circle cx="{x + 6}" cy="{y + 6}" r="4" fill="{colour}"/>')
        canvas.text(x + 17, y + 10, words)
        x += 40 + 7 * len(words)
    canvas.text(LEFT, y + 32, "shards: the colour tells the owner; white nobody, black several")
