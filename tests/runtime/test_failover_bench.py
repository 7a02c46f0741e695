"""The failover benchmark measures what it says, and prints a row for each cluster."""

import json

import pytest

from clustrio.tools.bench.failover import (
    DETECTION,
    FAILED,
    FAILOVER,
    KILL,
    STOP,
    SUSPECTED,
    Setting,
    as_json,
    render,
    rows_of,
    run_trials,
    settings,
)

SERVERS = ("redis-server", "clustrio-server")


def test_each_cluster_has_a_row_with_median_and_worst() -> None:
    seen = {SUSPECTED: [1.0, 1.2, 3.0], FAILED: [1.5]}
    rows = rows_of([Setting("clustrio-server", False, 1000, False, seen_s=seen)])
    assert rows[0] == ("timeout", "nodes", "fault", "server", *DETECTION, *FAILOVER)
    assert rows[1][:4] == ("1000 ms", "3+0", "kill -9", "clustrio-server")
    assert rows[1][4:] == ("1.20 (3.00)", "1.50 (1.50)", *"----")
    assert render(rows, is_markdown=True).count("\n") == 2
    assert render(rows, is_markdown=False).splitlines()[1].split()[:3] == ["1000", "ms", "3+0"]


def test_both_kinds_of_cluster_are_measured_with_each_fault() -> None:
    found = settings([500], stop_timeout_ms=700)
    assert [(one.name, one.shape, one.fault, one.timeout_ms) for one in found] == [
        *((name, "3+0", KILL, 500) for name in SERVERS),
        *((name, "3+3", KILL, 500) for name in SERVERS),
        *((name, "3+3", STOP, 700) for name in SERVERS),
    ]
    assert {one.fault for one in settings([500], stop_timeout_ms=0)} == {KILL}


@pytest.mark.slow
@pytest.mark.redis_server
@pytest.mark.parametrize(
    "setting",
    [
        Setting("redis-server", True, 500, True),
        Setting("clustrio-server", False, 500, False),
        Setting("clustrio-server", False, 500, True, STOP),
    ],
    ids=lambda setting: f"{setting.name} {setting.shape} {setting.fault}",
)
def test_a_trial_finds_every_event_after_the_node_timeout(setting: Setting) -> None:
    run_trials([setting], repeats=1, ends_s=float("inf"))
    (row,) = json.loads(as_json([setting]))
    medians = {name: figures["median"] for name, figures in row["seconds"].items()}
    assert set(medians) == set(setting.events)
    assert all(0.25 < median < 60 for median in medians.values())
    # Nothing is known to fail before it is suspected.
    assert medians[SUSPECTED] <= min(medians.values())


def test_there_is_no_trial_after_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    setting = Setting("clustrio-server", False, 1000, False)
    run_trials([setting], repeats=3, ends_s=0.0)
    assert not setting.seen_s
    assert "no time left" in capsys.readouterr().err
