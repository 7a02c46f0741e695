"""LATENCY: spikes and histograms."""

from collections.abc import Sequence

import pytest

from clustrio.node.latency import HISTORY_LENGTH
from clustrio.node.observe.percentiles import cumulative, percentile_us

from ..harness import START_MS, Failure, MemoryNode

START_S = START_MS // 1000


def spiky_node() -> MemoryNode:
    """Three spikes of one event, a minute apart, and one of another."""
    node = MemoryNode(latency_monitor_threshold=10)
    monitor = node.machine.latency
    for length in (100, 300, 20):
        monitor.note("command", length)
        node.advance(60_000)
    monitor.note("fast-command", 15)
    return node


def test_latest_and_history() -> None:
    node = spiky_node()
    assert node.call("LATENCY", "LATEST") == [
        [b"command", START_S + 120, 20, 300],
        [b"fast-command", START_S + 180, 15, 15],
    ]
    assert node.call("LATENCY", "HISTORY", "command") == [
        [START_S, 100],
        [START_S + 60, 300],
        [START_S + 120, 20],
    ]
    assert node.call("LATENCY", "HISTORY", "nope") == []


def test_what_is_below_the_threshold_is_no_spike() -> None:
    node = MemoryNode(latency_monitor_threshold=10)
    node.machine.latency.note("command", 9)
    assert node.call("LATENCY", "LATEST") == []
    node.call("CONFIG", "SET", "latency-monitor-threshold", 0)
    node.machine.latency.note("command", 900)
    assert node.call("LATENCY", "LATEST") == []


def test_one_spike_a_second_the_longest() -> None:
    node = MemoryNode(latency_monitor_threshold=10)
    for length in (30, 50, 40):
        node.machine.latency.note("command", length)
    assert node.call("LATENCY", "HISTORY", "command") == [[START_S, 50]]


def test_the_history_is_bounded() -> None:
    node = MemoryNode(latency_monitor_threshold=1)
    for _ in range(HISTORY_LENGTH + 5):
        node.machine.latency.note("command", 30)
        node.advance(1000)
    history = node.call("LATENCY", "HISTORY", "command")
    assert len(history) == HISTORY_LENGTH
    assert history[0][0] == START_S + 5


@pytest.mark.parametrize(
    ("events", "count", "left"),
    [
        ((), 2, []),
        (("command",), 1, [b"fast-command"]),
        (("command", "nope", "command"), 1, [b"fast-command"]),
        (("nope",), 0, [b"command", b"fast-command"]),
    ],
)
def test_reset(events: Sequence[str], count: int, left: list[bytes]) -> None:
    node = spiky_node()
    assert node.call("LATENCY", "RESET", *events) == count
    assert [event for event, *_ in node.call("LATENCY", "LATEST")] == left


def test_a_slow_command_is_noted() -> None:
    node = MemoryNode(latency_monitor_threshold=50, enable_debug_command="yes")
    slept_ns: list[int] = []
    node.machine.timer = lambda: sum(slept_ns)
    node.machine.sleep = lambda seconds: slept_ns.append(int(seconds * 1e9))
    node.call("DEBUG", "SLEEP", "0.06")
    assert node.call("LATENCY", "LATEST") == [[b"command", START_S, 60, 60]]


def test_the_graph_shows_each_spike_once() -> None:
    node = spiky_node()
    lines = node.call("LATENCY", "GRAPH", "command").decode().splitlines()
    assert lines[0] == "command - high 300 ms, low 20 ms (all time high 300 ms)"
    assert set(lines[1]) == {"-"}
    assert [line.split()[0] for line in lines[2:]] == ["3m", "2m", "1m"]
    bars = [line.count("#") for line in lines[2:]]
    assert bars[1] == max(bars) == 3 * bars[0]
    assert bars[2] >= 1
    refusal = node.call("LATENCY", "GRAPH", "nope")
    assert refusal == Failure("ERR No samples available for event 'nope'")


def test_the_doctor() -> None:
    assert b"off" in MemoryNode().call("LATENCY", "DOCTOR")
    assert b"No latency spike" in MemoryNode(latency_monitor_threshold=5).call("LATENCY", "DOCTOR")
    text = spiky_node().call("LATENCY", "DOCTOR").decode()
    assert "1. command: 3 (mean 140 ms, deviation 106 ms, one every 60.0 seconds)" in text
    assert "2. fast-command: 1 (mean 15 ms, deviation 0 ms)" in text
    assert "SLOWLOG GET" in text
    assert "slowlog-log-slower-than" not in text  # 10 ms is as low as the threshold already


def test_the_doctor_wants_the_slow_log_to_see_what_it_sees() -> None:
    node = spiky_node()
    node.call("CONFIG", "SET", "slowlog-log-slower-than", 20_000)
    assert b"CONFIG SET slowlog-log-slower-than 10000" in node.call("LATENCY", "DOCTOR")


# --- histograms


def bucketed(*microseconds: int) -> list[int]:
    histogram = [0] * 40
    for number in microseconds:
        histogram[number.bit_length()] += 1
    return histogram


@pytest.mark.parametrize(
    ("microseconds", "steps"),
    [
        ((), []),
        ((0, 0), [(1, 2)]),
        ((1,), [(2, 1)]),
        ((2, 3, 4), [(4, 2), (8, 3)]),
        ((0, 1000, 1023, 1024), [(1, 1), (1024, 3), (2048, 4)]),
    ],
)
def test_cumulative(microseconds: Sequence[int], steps: list[tuple[int, int]]) -> None:
    assert cumulative(bucketed(*microseconds)) == steps


@pytest.mark.parametrize(
    ("microseconds", "percentile", "value"),
    [
        ((), 50, 0.0),
        ((1,), 50, 2.0),
        ((1,) * 99 + (1000,), 99, 2.0),
        ((1,) * 99 + (1000,), 100, 1024.0),
        ((1,) * 99 + (1000,), 99.9, 1024.0),
        ((4, 4, 4, 4), 50, 6.0),
        ((4, 4, 4, 4), 0, 5.0),
    ],
)
def test_percentiles(microseconds: Sequence[int], percentile: float, value: float) -> None:
    assert percentile_us(bucketed(*microseconds), percentile) == value


def test_histogram_of_commands() -> None:
    node = MemoryNode()
    node.call("HELLO", 3)
    node.send(("SET", "a", "1"), ("SET", "a", "1"), ("CONFIG", "GET", "hz"), ("CONFIG", "HELP"))
    one = node.call("LATENCY", "HISTOGRAM", "SET", "nope", "get")
    assert list(one) == [b"set"]
    assert one[b"set"][b"calls"] == 2
    assert list(one[b"set"][b"histogram_usec"].values())[-1] == 2
    assert set(node.call("LATENCY", "HISTOGRAM", "config")) == {b"config|get", b"config|help"}
    assert set(node.call("LATENCY", "HISTOGRAM", "config|GET")) == {b"config|get"}
    assert {b"hello", b"set", b"config|get"} < set(node.call("LATENCY", "HISTOGRAM"))
    node.call("CONFIG", "SET", "latency-tracking", "no")
    assert node.call("LATENCY", "HISTOGRAM") == {}


def test_histogram_in_the_old_protocol_is_flat() -> None:
    node = MemoryNode()
    node.call("SET", "a", "1")
    name, figures = node.call("LATENCY", "HISTOGRAM", "set")
    assert (name, figures[::2]) == (b"set", [b"calls", b"histogram_usec"])
    assert figures[3][1::2] == [1]
