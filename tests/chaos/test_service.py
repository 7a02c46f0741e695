"""Gaps, failovers, split brain, minorities, agreement; and what a verdict makes of them."""

import pytest
from attrs import evolve

from clustrio.tools.chaos.checkers.convergence import check_convergence
from clustrio.tools.chaos.checkers.service import (
    find_failovers,
    find_gaps,
    late_minority_writes,
    owner_changes,
    split_brains,
    union_s,
)
from clustrio.tools.chaos.history import FAIL, FaultSpan, Operation, ViewSpan
from clustrio.tools.chaos.observer import Observer
from clustrio.tools.chaos.plan import Promises
from clustrio.tools.chaos.recorder import Recorder
from clustrio.tools.chaos.verdict import judge

from .histories import fault, final, history, probe, view, write

STEADY = [probe(moment) for moment in range(100, 1100, 100)]
#: Node 0 until 1000 ms, nobody, then node 3 from 2500 ms on.
FAILED_OVER = [
    *STEADY,
    *(probe(moment, outcome=FAIL) for moment in range(1100, 2500, 100)),
    *(probe(moment, 3) for moment in range(2500, 4000, 100)),
]


def test_steady_service_has_no_gap() -> None:
    assert find_gaps(history(STEADY)) == []


def test_a_gap_lasts_from_answer_to_answer() -> None:
    (gap,) = find_gaps(history(FAILED_OVER))
    assert (gap.start_ms, gap.end_ms, gap.seconds) == (1000, 2500, 1.5)


def test_service_that_never_comes_back_is_a_gap() -> None:
    story = history(STEADY)
    story.load_end_ms = 5000
    assert [(gap.start_ms, gap.end_ms) for gap in find_gaps(story)] == [(1000, 5000)]


@pytest.mark.parametrize(
    ("kind", "nodes", "others", "found"),
    [
        ("kill", (0,), (), [1.4]),
        ("pause", (0,), (), [1.4]),
        ("isolate", (0,), (), [1.4]),
        ("partition", (4,), (0,), [1.4]),
        ("kill", (1,), (), []),
        ("slow", (0,), (), []),
    ],
)
def test_failovers(
    kind: str, nodes: tuple[int, ...], others: tuple[int, ...], found: list[float]
) -> None:
    story = history(FAILED_OVER, faults=[fault(kind, 1100, 3000, nodes, others=others)])
    assert [round(failover.seconds, 2) for failover in find_failovers(story)] == found


def test_one_failover_has_one_cause() -> None:
    faults = [fault("pause", 1050, 3000), fault("kill", 1100, 3000)]
    assert len(find_failovers(history(FAILED_OVER, faults=faults))) == 1


@pytest.mark.parametrize(
    ("earlier", "later", "start_ms"),
    [
        # It went on for long with one link cut; then it was cut off.
        (fault("ring", 100, 3000, (0, 3)), fault("isolate", 900, 3000), 900),
        # It was silent already.
        (fault("kill", 950, 3000), fault("partition", 2300, 4000, (0,), others=(3,)), 950),
    ],
)
def test_the_cause_is_what_silenced_it(
    earlier: FaultSpan, later: FaultSpan, start_ms: float
) -> None:
    [failover] = find_failovers(history(FAILED_OVER, faults=[earlier, later]))
    assert failover.start_ms == start_ms


def test_changes_of_owner() -> None:
    assert owner_changes(history(FAILED_OVER)) == 1


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (view(0, 0, 100), view(3, 50, 200), [(50, 100, 0, 3)]),
        (view(0, 0, 100), view(3, 100, 200), []),
        (view(0, 0, 100, is_ok=False), view(3, 50, 200), []),
        (view(0, 0, 100), view(3, 50, 200, role="slave"), []),
        (
            evolve(view(0, 0, 100), slots=((0, 10),)),
            evolve(view(3, 50, 200), slots=((11, 20),)),
            [],
        ),
    ],
)
def test_split_brain(
    one: ViewSpan, other: ViewSpan, found: list[tuple[float, float, int, int]]
) -> None:
    assert split_brains(history(views=[one, other])) == found


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [([], 0), ([(0, 1000)], 1), ([(0, 1000), (500, 2000)], 2), ([(3000, 4000), (0, 500)], 1.5)],
)
def test_overlaps_count_once(spans: list[tuple[float, float]], seconds: float) -> None:
    assert union_s(spans) == seconds


def test_a_minority_must_not_write_for_ever() -> None:
    cut = [fault("isolate", 1000, 9000)]
    early = write("k", 1, 2500)
    late = write("k", 2, 4000)
    assert late_minority_writes(history([early], faults=cut)) == []
    (finding,) = late_minority_writes(history([early, late], faults=cut))
    assert finding.is_broken
    after = write("k", 3, 9500)
    assert late_minority_writes(history([after], faults=cut)) == []


def test_agreement() -> None:
    story = history(finals=[final("k", [1], copies={"3": [1]})])
    assert check_convergence(story) == []
    story.finals.append(final("l", [1, 2], copies={"3": [1]}))
    assert [finding.checker for finding in check_convergence(story)] == ["copies"]
    story.converged_ms, story.complaint = None, "n1 sees nobody"
    assert [finding.checker for finding in check_convergence(story)] == ["convergence", "copies"]


# ---- the verdict ---------------------------------------------------------------------------------

GOOD: list[Operation] = [write("k", 1, 10), *FAILED_OVER]


def test_a_good_run() -> None:
    verdict = judge(history(GOOD, [final("k", [1])], [fault("kill", 1100, 3000)]))
    assert verdict.is_fine, verdict.broken
    assert verdict.exit_code == 0
    assert verdict.figures.failover_s == (1.4,)
    assert (verdict.figures.unavailable_s, verdict.figures.unavailable_mean_s) == (1.5, 0.5)


@pytest.mark.parametrize(
    ("promises", "words"),
    [
        (Promises(unavailable_s=1), "longest gap of 1.50 s, 1 s at most"),
        (Promises(failover_s=1), "failover of 1.40 s, 1 s at most"),
        (Promises(failovers_max=0), "1 failovers, 0 at most"),
        (Promises(split_brain_s=0.1), "split brain of 0.40 s, 0.1 s at most"),
    ],
)
def test_limits(promises: Promises, words: str) -> None:
    views = [view(0, 0, 500), view(3, 100, 4000)]
    story = history(GOOD, [final("k", [1])], [fault("kill", 1100, 3000)], views, promises)
    verdict = judge(story)
    assert [finding.text for finding in verdict.broken] == [words]
    assert verdict.exit_code == 1


def test_a_run_without_a_write_shows_nothing() -> None:
    assert [finding.checker for finding in judge(history(STEADY)).broken] == []
    assert [finding.checker for finding in judge(history()).broken] == ["load"]


def test_linearizability_breaks_only_what_promises_it() -> None:
    operations = [
        write("r", 1, 0, workload="register"),
        write("r", 2, 5, workload="register"),
    ]
    for promised in (True, False):
        promises = Promises(linearizable=promised, lost_writes="any", stale_reads="any")
        verdict = judge(history(operations, [final("r", 1, "register")], promises=promises))
        assert verdict.figures.not_linearizable_keys == 1
        assert verdict.is_fine is not promised


def test_a_view_lasts_from_its_first_answer_to_the_last_question() -> None:
    """An answer that took long shows no longer time: two nodes would seem to serve at once."""
    made = history([], [])
    observer = Observer(0, ("here", 1), Recorder(made, []), {})
    for answered_ms, asked_ms, slots in (
        (180, 100, ((0, 5),)),
        (290, 200, ((0, 5),)),
        (490, 300, ((0, 5),)),
        (700, 500, ((6, 9),)),
    ):
        seen = ViewSpan(0, answered_ms, answered_ms, "master", is_ok=True, slots=slots)
        observer.on_view(seen, asked_ms)
    observer.end()
    assert [(each.start_ms, each.end_ms) for each in made.views] == [(180, 300), (700, 700)]
