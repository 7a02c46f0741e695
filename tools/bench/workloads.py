"""What is measured, and what it should come to: data alone.

A workload is a run of redis-benchmark. To measure a new command, add a line here: `_three` gives
the three standard ways of load. Goals are ratios of the second server to the first one (B/A), so
that a noisy machine harms both sides alike.
"""

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen

Metric = Literal[
    "throughput",
    "cpu_us",
    "p50_ms",
    "p99_ms",
    "bytes_per_key",
    "bytes_per_element",
    "start_ms",
    "cost_percent",
]


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
        unit = " %" if self.metric == "cost_percent" else " ms" if self.is_absolute else ""
        return f"{sign} {self.limit:g}{unit}"


@frozen
class Fill:
    """Data that are known exactly: one command with many elements, made of their numbers."""

    command: tuple[str, ...]
    #: The words of an element; `{}` stands for its number.
    element: tuple[str, ...]
    count: int


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
    fills: tuple[Fill, ...] = ()
    #: Part of a quick run even if nobody asked for it by name.
    is_basic: bool = True


NO_PIPELINE: Final = (Goal("throughput", 0.9, is_least=True), Goal("cpu_us", 1.4))
PIPELINE: Final = (Goal("throughput", 0.6, is_least=True),)
COLLECTION: Final = (Goal("throughput", 0.9, is_least=True),)
COLLECTION_PIPELINE: Final = (Goal("throughput", 0.5, is_least=True),)
LONG_REPLY: Final = COLLECTION_PIPELINE
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


#: Of what is taken away there must be enough.
_TAKEN_MAX: Final = 80_000
_ELEMENT: Final = "element:__rand_int__"
_SCORE: Final = "__rand_int__"
_LONG_LIST: Final = (("LPUSH", "list", _VALUE),)
_LARGE_SET: Final = (("SADD", "set", _ELEMENT),)
_LARGE_ZSET: Final = (("ZADD", "zset", _SCORE, _ELEMENT),)
_WIDE_HASH: Final = (Fill(("HSET", "hash"), ("field:{}", "value:{}"), 1000),)
_HUGE_ZSET: Final = (Fill(("ZADD", "zset"), ("{}", "element:{:012}"), 1_000_000),)
_TWO_SETS: Final = (
    Fill(("SADD", "one"), ("element:{}",), 100_000),
    Fill(("SADD", "other"), ("element:{}0",), 100_000),
)


def _both(
    name: str,
    *command: str,
    prepare: tuple[tuple[str, ...], ...] = (),
    fills: tuple[Fill, ...] = (),
    most: int | None = None,
) -> list[Workload]:
    """A command on a collection, alone and in pipelines of 16."""
    ways = (
        ("", 1, 100_000, COLLECTION),
        (" -P 16", 16, 400_000, COLLECTION_PIPELINE),
    )
    return [
        Workload(
            name + suffix,
            command,
            50,
            pipeline,
            requests if most is None else min(requests, most),
            goals,
            prepare,
            fills,
            is_basic=False,
        )
        for suffix, pipeline, requests, goals in ways
    ]


def _long(name: str, *command: str, requests: int, fills: tuple[Fill, ...] = ()) -> Workload:
    """A command that has much to do or to tell."""
    prepare = () if fills else _LONG_LIST
    return Workload(name, command, 50, 1, requests, LONG_REPLY, prepare, fills, is_basic=False)


WORKLOADS: Final[list[Workload]] = [
    *_load("PING", ("PING",), "", " -P 100", " -c 1"),
    *_three("SET", ("SET", _KEY, _VALUE)),
    *_load("SET", ("SET", _KEY, _VALUE), " -c 1"),
    *_three("GET", ("GET", _KEY), filled=True),
    *_load("GET", ("GET", _KEY), " -c 1", filled=True),
    *_three("INCR", ("INCR", "counter:__rand_int__")),
    *_load("MGET 10", ("MGET", *[_KEY] * 10), "", filled=True),
    *_load("MSET 10", ("MSET", *[_KEY, _VALUE] * 10), ""),
    *_both("LPUSH", "LPUSH", "list", _VALUE),
    *_both("RPUSH", "RPUSH", "list", _VALUE),
    *_both("LPOP", "LPOP", "list", prepare=_LONG_LIST, most=2 * KEY_COUNT),
    *_both("RPOP", "RPOP", "list", prepare=_LONG_LIST, most=2 * KEY_COUNT),
    *_both("SADD", "SADD", "set", _ELEMENT),
    *_both("SPOP", "SPOP", "set", prepare=_LARGE_SET, most=_TAKEN_MAX),
    *_both("HSET", "HSET", "hash", _ELEMENT, _VALUE),
    *_both("HGET", "HGET", "hash", _ELEMENT, prepare=(("HSET", "hash", _ELEMENT, _VALUE),)),
    *_both("ZADD", "ZADD", "zset", _SCORE, _ELEMENT),
    *_both("ZPOPMIN", "ZPOPMIN", "zset", prepare=_LARGE_ZSET, most=_TAKEN_MAX),
    *_both("XADD", "XADD", "stream", "*", "field", _VALUE),
    *_both("ZRANK of 1000000", "ZRANK", "zset", _ELEMENT, fills=_HUGE_ZSET),
    _long("LRANGE_100", "LRANGE", "list", "0", "99", requests=50_000),
    _long("LRANGE_300", "LRANGE", "list", "0", "299", requests=20_000),
    _long("LRANGE_600", "LRANGE", "list", "0", "599", requests=10_000),
    _long("HGETALL of 1000", "HGETALL", "hash", requests=5_000, fills=_WIDE_HASH),
    _long("SINTER of 100000", "SINTER", "one", "other", requests=200, fills=_TWO_SETS),
]
