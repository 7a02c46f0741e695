"""What is measured, and what it should come to: data alone.

A workload is a run of redis-benchmark. To measure a new command, add a line here: `_three` gives
the three standard ways of load. Goals are ratios of the second server to the first one (B/A), so
that a noisy machine harms both sides alike.
"""

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Metric = Literal["throughput", "cpu_us", "p50_ms", "p99_ms", "bytes_per_key", "start_ms"]


@frozen
class Goal:
    """A limit for the ratio B/A of a metric, or for B alone."""

    metric: Metric
    limit: float
    is_least: bool = False
    is_absolute: bool = False

    def is_met(self, first: float, second: float) -> bool:
        """Whether the second server's figure, against the first one's, is good enough."""
        figure = second if self.is_absolute else second / first if first else 0.0
        return figure >= self.limit if self.is_least else figure <= self.limit

    def __str__(self) -> str:
        sign = "≥" if self.is_least else "≤"
        return f"{sign} {self.limit:g}" + (" ms" if self.is_absolute else "")


@frozen
class Workload:
    """One run of redis-benchmark: a command, how it is sent, and how often."""

    name: str
    command: tuple[str, ...]
    clients: int
    pipeline: int
    requests: int
    goals: tuple[Goal, ...]
    #: Commands sent before, not measured: what the command needs to find.
    prepare: tuple[tuple[str, ...], ...] = ()


NO_PIPELINE: Final = (Goal("throughput", 0.9, is_least=True), Goal("cpu_us", 1.4))
PIPELINE: Final = (Goal("throughput", 0.6, is_least=True),)
LATENCY: Final = (Goal("p50_ms", 1.5),)
MEMORY: Final = Goal("bytes_per_key", 1.35)
START: Final = Goal("start_ms", 400, is_absolute=True)

KEY_COUNT: Final = 100_000
VALUE_BYTES: Final = 64
_KEY: Final = "key:__rand_int__"
_VALUE: Final = "v" * VALUE_BYTES
_FILLED: Final = (("SET", _KEY, _VALUE),)

#: Clients, pipeline, requests and goals of the standard ways of load, by the suffix of their name.
_WAYS: Final[Mapping[str, tuple[int, int, int, tuple[Goal, ...]]]] = {
    "": (50, 1, 200_000, NO_PIPELINE),
    " -P 16": (50, 16, 1_000_000, PIPELINE),
    " -P 100": (50, 100, 2_000_000, PIPELINE),
    " -c 1": (1, 1, 40_000, LATENCY),
}


def _load(name: str, command: tuple[str, ...], *ways: str, filled: bool = False) -> list[Workload]:
    prepare = _FILLED if filled else ()
    return [Workload(name + way, command, *_WAYS[way], prepare) for way in ways]


def _three(name: str, command: tuple[str, ...], filled: bool = False) -> list[Workload]:
    return _load(name, command, "", " -P 16", " -P 100", filled=filled)


WORKLOADS: Final[list[Workload]] = [
    *_load("PING", ("PING",), "", " -P 100", " -c 1"),
    *_three("SET", ("SET", _KEY, _VALUE)),
    *_load("SET", ("SET", _KEY, _VALUE), " -c 1"),
    *_three("GET", ("GET", _KEY), filled=True),
    *_load("GET", ("GET", _KEY), " -c 1", filled=True),
    *_three("INCR", ("INCR", "counter:__rand_int__")),
    *_load("MGET 10", ("MGET", *[_KEY] * 10), "", filled=True),
    *_load("MSET 10", ("MSET", *[_KEY, _VALUE] * 10), ""),
]
