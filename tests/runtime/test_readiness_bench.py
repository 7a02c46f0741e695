"""How soon a cluster is usable: the verdict of the figures, and that the command is reached."""

import pytest

from clustrio.tools.bench.__main__ import main
from clustrio.tools.bench.readiness import CREATE, DETACHED, THREADS, rows_of


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ([0.5, 0.6, 5.0], "0.7 s, 5 x: met"),
        ([0.5, 0.8, 0.9], "0.7 s, 5 x: missed"),
    ],
)
def test_a_goal_is_a_time_of_the_median(seconds: list[float], words: str) -> None:
    rows = rows_of({THREADS: seconds, CREATE: [9.0, 9.0, 9.0]})
    assert [row[0] for row in rows] == [THREADS, CREATE]
    assert rows[0][3] == words
    assert rows[1][2:] == (1.0, "")


def test_a_goal_is_a_ratio_as_well() -> None:
    rows = rows_of({DETACHED: [1.5], CREATE: [7.4]})
    assert rows[0][3] == "2 s, 5 x: missed"
    assert rows_of({DETACHED: [1.4], CREATE: [7.4]})[0][3] == "2 s, 5 x: met"


def test_the_bench_knows_the_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["up", "--help"])
    assert ended.value.code == 0
    assert "bench up" in capsys.readouterr().out
