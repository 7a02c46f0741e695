"""The benchmark runs, tells its goals right, and prints what it says it prints."""

import json

import pytest

from clustrio.tools.bench.__main__ import main
from clustrio.tools.bench.features import FEATURES
from clustrio.tools.bench.processes import CLUSTRIO, ServerProcess
from clustrio.tools.bench.report import Comparison, as_json, lines_of, markdown, table
from clustrio.tools.bench.workloads import LATENCY, NO_PIPELINE, START, WORKLOADS

COMPARISONS = [
    Comparison(
        "SET", NO_PIPELINE, {"throughput": 100, "cpu_us": 10}, {"throughput": 89, "cpu_us": 14}
    ),
    Comparison("SET -c 1", LATENCY, {"p50_ms": 0.1}, {"p50_ms": 0.16}),
    Comparison("start", (START,), {"start_ms": 10}, {"start_ms": 300}),
    Comparison("free", (), {"throughput": 0}, {"throughput": 5}),
]
NAMES = ["redis-server", "clustrio-server"]


def test_goals_are_met_or_missed() -> None:
    lines = lines_of(COMPARISONS)
    assert [line.is_met for line in lines] == [False, True, False, True, None]
    assert lines[0].ratio == 0.89
    assert lines[-1].ratio is None


def test_tables_hold_every_figure() -> None:
    lines = lines_of(COMPARISONS)
    text = table(NAMES, lines).splitlines()
    assert len(text) == 2 + len(lines)
    assert text[2].split() == ["SET", "requests/s", "100", "89", "0.89", "≥", "0.9", "missed"]
    assert markdown(NAMES, lines).count("\n") == 1 + len(lines)
    figures = json.loads(as_json(NAMES, lines))["figures"]
    assert [figure["met"] for figure in figures] == [False, True, False, True, None]


def test_names_of_workloads_are_unique() -> None:
    names = [each.name for each in WORKLOADS] + [each.name for each in FEATURES]
    assert len(set(names)) == len(names)


@pytest.mark.redis_server
@pytest.mark.slow
def test_a_quick_run_measures_both_servers(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # The run must not move the tests to another processor.
    monkeypatch.setattr("clustrio.tools.bench.__main__.split_processors", lambda: None)
    arguments = ["--quick", "--rounds", "1", "--json", "--only", "INCR -P 16"]
    assert main([*arguments, "--server", "redis-server", "--server", "redis-server"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert {figure["metric"] for figure in figures} == {"throughput", "cpu_us", "p50_ms", "p99_ms"}
    assert all(figure["first"] >= 0 and figure["second"] >= 0 for figure in figures)
    assert figures[0]["first"] > 100


@pytest.mark.redis_server
@pytest.mark.slow
@pytest.mark.parametrize("name", ["EVALSHA of the token bucket", "MULTI of 10", "PUBLISH to 50"])
def test_what_redis_benchmark_cannot_do_alone(name: str) -> None:
    feature = next(each for each in FEATURES if each.name.startswith(name))
    with ServerProcess(CLUSTRIO) as server:
        figures = feature.measure(server, 0.002)
    assert figures.keys() == {"throughput", "cpu_us", "p50_ms", "p99_ms"}
    assert figures["throughput"] > 0


def test_a_share_has_a_goal_in_percent_and_no_ratio() -> None:
    goals = next(each for each in FEATURES if each.name == "GET while a client tracks").goals
    lines = lines_of([Comparison("GET", goals, {"cost_percent": 1}, {"cost_percent": 2.5})])
    assert lines[0].cells()[-3:] == ("-", "≤ 3 %", "met")
