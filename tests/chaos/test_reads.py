"""Stale and dirty reads."""

import pytest

from clustrio.tools.chaos.checkers.lost_writes import check_losses
from clustrio.tools.chaos.checkers.reads import Reads, check_reads
from clustrio.tools.chaos.checkers.windows import Windows
from clustrio.tools.chaos.history import FAIL, INFO, FinalRead, History, Operation, Value

from .histories import fault, final, history, read, view, write


def reads_of(story: History) -> Reads:
    windows = Windows(story)
    return check_reads(story, windows, check_losses(story, windows))


def counts(story: History) -> tuple[int, int, int]:
    found = reads_of(story)
    return found.stale, found.stale_unexcused, found.dirty


@pytest.mark.parametrize(
    ("workload", "seen", "stale"),
    [
        ("append", [1, 2], 0),
        ("append", [1], 1),
        ("set", [1], 1),
        ("transaction", [[1], [1]], 1),
        ("transaction", [[1, 2], [1, 2]], 0),
        ("register", 2, 0),
        ("register", 1, 1),
        ("register", None, 1),
    ],
)
def test_a_read_shows_all_that_was_answered_before(workload: str, seen: Value, stale: int) -> None:
    left = {"transaction": [[1, 2], [1, 2]], "register": 2}.get(workload, [1, 2])
    story = history(
        [
            write("k", 1, 10, workload=workload),
            write("k", 2, 20, workload=workload),
            read("k", seen, 30, workload=workload),
        ],
        [final("k", left, workload)],  # type: ignore[arg-type]
    )
    assert counts(story) == (stale, stale, 0)


def test_a_read_beside_a_write_may_miss_it() -> None:
    story = history([write("k", 1, 10, 30), read("k", [], 20, 40)], [final("k", [1])])
    assert counts(story) == (0, 0, 0)


def test_what_was_lost_makes_no_read_stale() -> None:
    story = history([write("k", 1, 10), read("k", [], 20)], [final("k", [])])
    assert counts(story) == (0, 0, 0)


def test_who_was_deposed_may_show_the_past() -> None:
    operations = [write("k", 1, 4000, node=3), read("k", [], 4100, node=0)]
    cut = [fault("isolate", 3000, 9000)]
    story = history(operations, [final("k", [1])], cut, [view(3, 3900, 9000)])
    assert counts(story) == (1, 0, 0)
    assert not any(finding.is_broken for finding in reads_of(story).findings)
    assert counts(history(operations, [final("k", [1])], [], [view(3, 3900, 9000)])) == (1, 1, 0)


@pytest.mark.parametrize(
    ("operations", "finals", "dirty", "checkers"),
    [
        (
            [write("k", 1, 10, outcome=FAIL), read("k", [1], 30)],
            [final("k", [1])],
            0,
            ["dirty-reads"],
        ),
        (
            [write("k", 1, 10, outcome=INFO), read("k", [1], 30)],
            [final("k", [])],
            1,
            [],
        ),
        ([write("k", 1, 10), read("k", [1], 30)], [final("k", [])], 1, ["dirty-reads"]),
        (
            [read("k", [[1], []], 30, workload="transaction")],
            [final("k", [[1], [1]], "transaction")],
            0,
            ["torn"],
        ),
    ],
)
def test_what_nobody_should_see(
    operations: list[Operation], finals: list[FinalRead], dirty: int, checkers: list[str]
) -> None:
    found = reads_of(history(operations, finals))
    assert found.dirty == dirty
    assert [finding.checker for finding in found.findings if finding.is_broken] == checkers
