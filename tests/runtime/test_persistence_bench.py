"""The benchmark of files and replicas measures what it says, and judges by its goals."""

import pytest

from clustrio.tools.bench.failover import render
from clustrio.tools.bench.persistence import GOALS, MEASUREMENTS, Scale, rows_of, run


def test_each_figure_is_judged_by_its_goal() -> None:
    found = {
        "redis-server": {"save, s": 1.0, "SET/s, AOF always": 1000.0, "worst lag, ms": 0.0},
        "clustrio-server": {"save, s": 5.0, "SET/s, AOF always": 600.0, "worst lag, ms": 3.0},
    }
    rows = rows_of(found)
    assert rows[1] == ("save, s", "1", "5", "5.00", "≤ 6 x", "met")
    assert rows[2] == ("SET/s, AOF always", "1,000", "600", "0.60", "≥ 0.7 x", "missed")
    assert rows[3] == ("worst lag, ms", "0", "3", "-", "", "")
    assert render(rows, is_markdown=True).count("\n") == 4


@pytest.mark.slow
@pytest.mark.redis_server
def test_a_run_finds_every_figure() -> None:
    found = run(Scale(keys=2000, write_s=0.3, lag_s=0.3), rounds=1)
    assert len(MEASUREMENTS) == 4
    for figures in found.values():
        assert figures.keys() == GOALS.keys()
        assert all(figure > 0 for figure in figures.values()), figures
