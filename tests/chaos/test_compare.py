"""Side by side: rows of all rounds, who is worse, and that one failure does not end the rest."""

import json
from pathlib import Path

import pytest
from attrs import evolve

from clustrio.tools.chaos.cli import main, shipped_plans
from clustrio.tools.chaos.compare import (
    COLUMNS,
    OWN,
    QUICK_S,
    Outcome,
    Row,
    as_json,
    compare,
    estimate_s,
    markdown,
    quickened,
    rows_of,
    summary,
    worse_than,
)
from clustrio.tools.chaos.history import History
from clustrio.tools.chaos.plan import FaultPlan, Plan
from clustrio.tools.chaos.verdict import judge
from clustrio.tools.local.errors import WaitTimeoutError

from .histories import fault, final, history, probe, view, write

PLAN = Plan("story", duration_s=4)
ROW = Row("story", OWN, 100, 5, 0, 0, 2.0, 1.0, 0.1, (1.5,), "kept")


def story(left: list[int], taken_over_ms: float = 2500) -> History:
    return history(
        [
            write("k", 1, 900),
            write("k", 2, 950),
            *(probe(moment) for moment in range(100, 1000, 100)),
            *(probe(taken_over_ms + more, 3) for more in range(0, 1000, 100)),
        ],
        [final("k", list(left))],
        [fault("kill", 1000, 3000)],
        [view(0, 0, 990), view(3, 0, taken_over_ms - 10, role="slave"), view(3, 2500, 4000)],
    )


def outcome(left: list[int], taken_over_ms: float = 2500, number: int = 0) -> Outcome:
    return Outcome("story", OWN, number, judge(story(left, taken_over_ms)))


def test_counts_are_summed_and_times_are_medians() -> None:
    outcomes = [outcome([1, 2]), outcome([1], 3500, 1), outcome([1, 2], 2600, 2)]
    row = summary(outcomes)
    assert (row.acknowledged, row.lost) == (63, 1)
    single = [summary([each]) for each in outcomes]
    assert row.unavailable_s == sorted(each.unavailable_s for each in single)[1]
    assert len(row.failovers_s) == 3
    assert row.failovers_s == tuple(sorted(row.failovers_s))


def test_rows_come_by_plan_and_server_and_the_table_is_straight() -> None:
    first = outcome([1, 2])
    others = [evolve(first, server="redis-server"), evolve(first, round_number=1)]
    rows = rows_of([first, *others])
    assert [(row.server, row.acknowledged) for row in rows] == [(OWN, 42), ("redis-server", 21)]
    lines = markdown([*rows, evolve(ROW, failovers_s=(1.0, 1.1, 1.2, 1.3, 9.0))]).splitlines()
    assert {line.count("|") for line in lines} == {len(COLUMNS) + 1}
    assert "1.20 (1.00 to 9.00)" in lines[-1]
    assert {run["round"] for run in json.loads(as_json([first, *others], rows))["runs"]} == {0, 1}


def test_a_run_on_a_machine_that_stood_still_is_told_as_such() -> None:
    assert evolve(ROW, stalled_s=0.3).cells()[-1] == "kept"
    assert evolve(ROW, stalled_s=2.0).cells()[-1] == "kept (the machine stalled 2.0 s)"


@pytest.mark.parametrize(
    ("mine", "words"),
    [
        (ROW, []),
        (evolve(ROW, lost=6), ["lost writes"]),
        (evolve(ROW, lost=6, acknowledged=200), []),
        (evolve(ROW, lost_unexcused=1), ["lost without excuse"]),
        (evolve(ROW, unavailable_s=2.1, split_brain_s=0.2), []),
        (evolve(ROW, unavailable_s=2.5, unavailable_mean_s=1.5), ["worst slot", "mean"]),
        (evolve(ROW, split_brain_s=0.5), ["split brain"]),
        (evolve(ROW, failovers_s=(1.0, 2.0, 2.5)), ["failover"]),
        (evolve(ROW, failovers_s=()), []),
    ],
)
def test_who_is_worse_is_told_beyond_what_can_be_seen(mine: Row, words: list[str]) -> None:
    found = worse_than([mine, evolve(ROW, server="redis-server")], OWN, "redis-server")
    assert len(found) == len(words)
    assert all(word in line for word, line in zip(words, found, strict=True))


def test_a_run_that_cannot_be_done_is_a_row_and_the_others_go_on() -> None:
    def run(plan: Plan, server: str) -> History:
        if server == OWN and plan.seed == 1:
            raise WaitTimeoutError("the nodes sleep\nand more")
        return story([1, 2])

    servers = [OWN, "redis-server"]
    outcomes = list(compare([evolve(PLAN, seed=1)], servers, 2, run=run))
    assert [each.server for each in outcomes] == [OWN, "redis-server", "redis-server", OWN]
    rows = {row.server: row.promises for row in rows_of(outcomes)}
    assert rows == {
        OWN: "did not run: WaitTimeoutError: the nodes sleep",
        "redis-server": "kept",
    }


def test_the_quick_form_keeps_faults_as_long_as_they_are() -> None:
    plan = Plan("long", duration_s=60, faults=(FaultPlan("kill", 20.0, 5.0, ("primary:0",)),))
    quick = quickened(plan)
    assert (quick.duration_s, quick.faults[0].at_s, quick.faults[0].for_s) == (QUICK_S, 10.0, 5.0)
    assert quickened(PLAN) == PLAN
    plans = [quickened(each) for each in shipped_plans().values()]
    assert estimate_s(plans, ["clustrio", "redis-server"], 1) < 13 * 60


@pytest.mark.slow
def test_the_command_writes_both_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, folder = tmp_path / "table.json", tmp_path / "runs"
    arguments = ["calm", "--duration", "1", "--rounds", "1", "--server", OWN]
    # On a busy machine a second of calm may break a promise; the table is there all the same.
    assert main(["compare", *arguments, "--json", str(table), "--folder", str(folder)]) in (0, 1)
    assert f"| calm | {OWN} |" in capsys.readouterr().out
    (row,) = json.loads(table.read_text())["rows"]
    assert row["acknowledged"] > 0
    assert (folder / "calm-clustrio-1.html").is_file()
