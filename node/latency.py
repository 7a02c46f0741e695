"""LATENCY: the latest spikes by event, those over `latency-monitor-threshold`."""

from collections import deque
from collections.abc import Callable
from typing import Final

HISTORY_LENGTH: Final = 160


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

    def reset(self, events: list[str] | None = None) -> int:
        """Forget some events, or all; returns how many were known."""
        chosen = list(self._series) if events is None else [e for e in events if e in self._series]
        for event in chosen:
            del self._series[event]
            del self._highest_ms[event]
        return len(chosen)
