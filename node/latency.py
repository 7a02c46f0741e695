"""LATENCY: the latest spikes by event, those over `latency-monitor-threshold`."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen

HISTORY_LENGTH: Final = 160


@frozen
class Spikes:
    """What the spikes of one event have in common."""

    event: str
    count: int
    mean_ms: int
    #: The mean distance from the mean.
    deviation_ms: int
    lowest_ms: int
    highest_ms: int
    #: The longest ever, remembered or not.
    highest_ever_ms: int
    #: Seconds between two spikes in the mean; 0 for a single one.
    period_s: float


class LatencyMonitor:
    """Spikes as (Unix second, milliseconds), one per second and event at most."""

    def __init__(self, now_s: Callable[[], int]) -> None:
        #: Milliseconds; 0 switches the monitor off.
        self.threshold_ms = 0
        self._now_s = now_s
        self._series: dict[str, deque[tuple[int, int]]] = {}
        self._highest_ms: dict[str, int] = {}

    def note(self, event: str, milliseconds: int) -> None:
        """Something took so long."""
        if not self.threshold_ms or milliseconds < self.threshold_ms:
            return
        series = self._series.setdefault(event, deque(maxlen=HISTORY_LENGTH))
        now_s = self._now_s()
        if series and series[-1][0] == now_s:
            series[-1] = (now_s, max(series[-1][1], milliseconds))
        else:
            series.append((now_s, milliseconds))
        self._highest_ms[event] = max(self._highest_ms.get(event, 0), milliseconds)

    def latest(self) -> list[tuple[str, int, int, int]]:
        """Per event: name, second and length of the latest spike, and the longest ever."""
        return [
            (event, *series[-1], self._highest_ms[event]) for event, series in self._series.items()
        ]

    def history(self, event: str) -> list[tuple[int, int]]:
        """All remembered spikes of an event."""
        return list(self._series.get(event, ()))

    def maybe_spikes(self, event: str) -> Spikes | None:
        """The figures of one event; None if it never had a spike."""
        series = self._series.get(event)
        if not series:
            return None
        lengths = [length for _, length in series]
        mean = sum(lengths) // len(lengths)
        elapsed_s = self._now_s() - series[0][0]
        return Spikes(
            event,
            len(lengths),
            mean,
            sum(abs(length - mean) for length in lengths) // len(lengths),
            min(lengths),
            max(lengths),
            self._highest_ms[event],
            elapsed_s / len(lengths) if len(lengths) > 1 else 0.0,
        )

    def all_spikes(self) -> list[Spikes]:
        """The figures of every event that had spikes."""
        found = (self.maybe_spikes(event) for event in self._series)
        return [spikes for spikes in found if spikes is not None]

    def reset(self, events: list[str] | None = None) -> int:
        """Forget some events, or all; returns how many were known."""
        # An event that is named twice is forgotten once.
        named = self._series if events is None else dict.fromkeys(events)
        chosen = [event for event in named if event in self._series]
        for event in chosen:
            del self._series[event]
            del self._highest_ms[event]
        return len(chosen)


_BAR_WIDTH: Final = 48
_ROWS_MAX: Final = 80


def draw_spikes(spikes: Spikes, series: Sequence[tuple[int, int]], now_s: int) -> str:
    """The spikes of an event as bars below each other, oldest first."""
    head = (
        f"{spikes.event} - high {spikes.highest_ms} ms, low {spikes.lowest_ms} ms "
        f"(all time high {spikes.highest_ever_ms} ms)\n"
    )
    rows = [head, "-" * (_BAR_WIDTH + 32), "\n"]
    for second, length in series[-_ROWS_MAX:]:
        bar = "#" * max(1, length * _BAR_WIDTH // max(1, spikes.highest_ms))
        rows.append(f"{_age(now_s - second):>4} ago |{bar} {length} ms\n")
    return "".join(rows)


def _age(seconds: int) -> str:
    """How long ago, in the largest unit that fits."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{max(0, seconds)}s"
