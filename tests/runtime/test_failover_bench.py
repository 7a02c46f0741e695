"""The failover benchmark measures what it says, and prints a row for each cluster."""

import pytest

from clustrio.tools.bench.failover import (
    DETECTION,
    FAILED,
    FAILOVER,
    SUSPECTED,
    Setting,
    main,
    render,
    rows_of,
)


def test_each_cluster_has_a_row_with_median_and_worst() -> None:
    seen = {SUSPECTED: [1.0, 1.2, 3.0], FAILED: [1.5]}
    rows = rows_of([Setting("clustrio-server", False, 1000, False, seen)])
    assert rows[0] == ("timeout", "nodes", "server", *DETECTION, *FAILOVER)
    assert rows[1] == ("1000 ms", "3+0", "clustrio-server", "1.20 (3.00)", "1.50 (1.50)", *"---")
    assert render(rows, is_markdown=True).count("\n") == 2
    assert render(rows, is_markdown=False).splitlines()[1].split()[:3] == ["1000", "ms", "3+0"]


@pytest.mark.slow
@pytest.mark.redis_server
def test_a_run_finds_every_event_after_the_node_timeout(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--repeats", "1", "--timeouts", "500", "--markdown"]) == 0
    printed = capsys.readouterr().out
    rows = [line.split("|")[1:-1] for line in printed.splitlines() if line.startswith("| 500 ms")]
    assert [row[2].strip() for row in rows] == ["redis-server", "clustrio-server", "redis-server"]
    for row in rows:
        figures = [float(cell.split()[0]) for cell in row[3:] if cell.strip() != "-"]
        assert len(figures) >= 3
        assert all(0.25 < figure < 20 for figure in figures), row
        # Nothing is known to fail before it is suspected.
        assert figures[0] <= min(figures)
