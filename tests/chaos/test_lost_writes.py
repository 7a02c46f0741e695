"""What is gone, why, and whether that is excused."""

import pytest

from clustrio.tools.chaos.checkers.lost_writes import check_losses
from clustrio.tools.chaos.checkers.windows import Windows
from clustrio.tools.chaos.history import FAIL, INFO, FaultSpan, FinalRead, History, Operation, Value
from clustrio.tools.chaos.plan import Promises

from .histories import fault, final, history, view, write

SUCCESSOR = view(3, 3000, 9000)


def losses_of(story: History) -> list[tuple[Value, str]]:
    result = check_losses(story, Windows(story))
    return [
        (loss.operation.value, loss.window.reason if loss.window else "") for loss in result.losses
    ]


def broken(story: History) -> list[str]:
    return [f.checker for f in check_losses(story, Windows(story)).findings if f.is_broken]


@pytest.mark.parametrize(
    ("workload", "left"),
    [("append", [1]), ("set", [1]), ("transaction", [[1], [1]]), ("register", 1)],
)
def test_what_is_not_there_is_lost(workload: str, left: Value) -> None:
    story = history(
        [write("k", 1, 10, workload=workload), write("k", 2, 20, workload=workload)],
        [final("k", left, workload)],
    )
    assert losses_of(story) == [(2, "")]
    assert "lost-writes" in broken(story)


@pytest.mark.parametrize("outcome", [FAIL, INFO])
def test_only_what_was_acknowledged_can_be_lost(outcome: str) -> None:
    story = history([write("k", 1, 10), write("k", 2, 20, outcome=outcome)], [final("k", [1])])
    assert losses_of(story) == []
    assert broken(story) == []


def test_an_empty_key_lost_everything() -> None:
    story = history([write("k", 1, 10, workload="register")], [final("k", None, "register")])
    assert losses_of(story) == [(1, "")]


def test_a_register_may_hold_what_nobody_answered_for() -> None:
    operations = [
        write("k", 1, 10, workload="register"),
        write("k", 2, 20, workload="register", outcome=INFO),
    ]
    assert losses_of(history(operations, [final("k", 2, "register")])) == []


def test_writes_beside_each_other_overwrite_either_way() -> None:
    operations = [
        write("k", 1, 10, 30, workload="register"),
        write("k", 2, 20, 40, workload="register"),
    ]
    assert losses_of(history(operations, [final("k", 1, "register")])) == []


@pytest.mark.parametrize(
    ("replies", "left", "lost"),
    [
        ([1, 2, 3], 3, []),
        ([1, 2, 3], 4, []),
        ([1, 2, 3], 2, [3]),
        ([1, 2, 2], 2, [2]),
        ([1, 2, 3], None, [1, 2, 3]),
    ],
)
def test_counters_miss_increments(replies: list[int], left: Value, lost: list[int]) -> None:
    operations = [
        write("c", number, number * 10, workload="counter", reply=reply)
        for number, reply in enumerate(replies, 1)
    ]
    story = history(operations, [final("c", left, "counter")])
    assert [value for value, _ in losses_of(story)] == lost


@pytest.mark.parametrize(
    ("what", "at_ms", "reason"),
    [
        (fault("kill", 2000, 8000), 1900, "crash"),
        (fault("kill", 2000, 8000), 900, ""),
        (fault("kill", 2000, 8000, (1,)), 1900, ""),
        (fault("stop", 2000, 8000), 1900, "crash"),
        (fault("pause", 2000, 6000), 1900, "crash"),
        (fault("pause", 2000, 6000), 6300, "deposed"),
        (fault("pause", 2000, 6000), 7300, ""),
        (fault("isolate", 2000, 8000), 3500, "deposed"),
        (fault("isolate", 2000, 8000), 5500, ""),
        (fault("partition", 2000, 8000, (1,), others=(0, 4)), 3500, "deposed"),
        (fault("slow", 2000, 6000), 3000, "deposed"),
        (fault("fill_disk", 2000, 6000), 3000, ""),
        (fault("failover", 2000, 2100, (3,)), 2050, ""),
    ],
)
def test_windows(what: FaultSpan, at_ms: float, reason: str) -> None:
    story = history([write("k", 1, at_ms - 1)], [final("k", [])], [what], [SUCCESSOR])
    assert losses_of(story) == [(1, reason)]
    assert ("lost-writes" in broken(story)) == (not reason)


@pytest.mark.parametrize(
    ("earlier", "reason"),
    [
        (fault("isolate", 1000, 4000, (3,)), "crash"),
        (fault("kill", 1000, 4000, (3,)), "crash"),
        (fault("partition", 1000, 4000, (1,), others=(2, 3)), "crash"),
        # Long over, not of the one that took over, or nothing that keeps replicas away.
        (fault("isolate", 100, 1000, (3,)), ""),
        (fault("isolate", 1000, 4000, (4,)), ""),
        (fault("fill_disk", 1000, 4000, (3,)), ""),
    ],
)
def test_a_successor_that_had_not_caught_up_is_an_excuse(earlier: FaultSpan, reason: str) -> None:
    crash = fault("kill", 5000, 9000)
    story = history([write("k", 1, 2500)], [final("k", [])], [earlier, crash], [SUCCESSOR])
    assert losses_of(story) == [(1, reason)]


@pytest.mark.parametrize(
    ("apart", "reason"),
    [
        (fault("ring", 1000, 5500, (0, 1, 2, 3, 4, 5)), "deposed"),
        (fault("partition", 1000, 5500, (0,), others=(3,)), "deposed"),
        # It had followed again for long.
        (fault("partition", 500, 1000, (0,), others=(3,)), ""),
        # Somebody else was kept away.
        (fault("partition", 1000, 5500, (0,), others=(4,)), ""),
        (fault("kill", 1000, 5500, (5,)), ""),
    ],
)
def test_who_was_cut_off_from_his_replica_first_and_then_from_all(
    apart: FaultSpan, reason: str
) -> None:
    alone = fault("isolate", 5000, 9000)
    story = history([write("k", 1, 3500)], [final("k", [])], [apart, alone], [SUCCESSOR])
    assert losses_of(story) == [(1, reason)]


def test_who_was_not_replaced_has_no_excuse() -> None:
    story = history([write("k", 1, 1900)], [final("k", [])], [fault("kill", 2000, 2500)])
    assert losses_of(story) == [(1, "")]


def test_slots_on_the_move_are_excused_only_if_somebody_crashed() -> None:
    operation = write("k", 1, 100)
    move = fault("migrate", 2000, 3000, (0,), others=(1,), slots=(operation.slot,))
    crash = fault("kill", 2500, 5000, (1,))
    assert losses_of(history([operation], [final("k", [])], [move, crash])) == [(1, "reshard")]
    assert losses_of(history([operation], [final("k", [])], [move])) == [(1, "")]
    elsewhere = fault("kill", 2500, 5000, (2,))
    assert losses_of(history([operation], [final("k", [])], [move, elsewhere])) == [(1, "")]


@pytest.mark.parametrize(
    ("tolerance", "in_window", "is_broken"),
    [
        ("none", True, True),
        ("none", False, True),
        ("windows", True, False),
        ("windows", False, True),
        ("any", True, False),
        ("any", False, False),
    ],
)
def test_plans_say_what_they_tolerate(tolerance: str, in_window: bool, is_broken: bool) -> None:
    faults = [fault("kill", 2000, 8000)] if in_window else []
    story = history(
        [write("k", 1, 1900)],
        [final("k", [])],
        faults,
        [SUCCESSOR],
        Promises(lost_writes=tolerance),
    )
    assert ("lost-writes" in broken(story)) == is_broken


def test_a_crash_takes_the_end_and_leaves_no_hole() -> None:
    operations = [write("k", 1, 1800), write("k", 2, 1850), write("k", 3, 1900)]
    crash, views = [fault("kill", 2000, 8000)], [SUCCESSOR]
    assert broken(history(operations, [final("k", [1])], crash, views)) == []
    assert broken(history(operations, [final("k", [1, 3])], crash, views)) == ["holes"]


GHOST = write("k", 2, 20, outcome=FAIL)


@pytest.mark.parametrize(
    ("operations", "finals", "checker"),
    [
        ([write("k", 1, 10), GHOST], [final("k", [1, 2])], "ghosts"),
        ([write("k", 1, 10)], [final("k", [1, 1])], "doubles"),
        (
            [write("k", 1, 10, workload="transaction")],
            [final("k", [[1], [1, 2]], "transaction")],
            "torn",
        ),
        ([write("k", 1, 10)], [final("k", None, is_known=False)], "lost-writes"),
    ],
)
def test_other_things_that_must_not_be(
    operations: list[Operation], finals: list[FinalRead], checker: str
) -> None:
    assert broken(history(operations, finals)) == [checker]


def test_losses_after_wait_are_counted() -> None:
    operations = [write("k", 1, 10, replicas=1), write("k", 2, 20, replicas=0), write("k", 3, 30)]
    story = history(operations, [final("k", [])])
    result = check_losses(story, Windows(story))
    assert (len(result.losses), result.waited, result.unexcused, result.excused) == (3, 1, 3, 0)


def test_losses_of_one_kind_are_told_together() -> None:
    operations = [write("k", number, number * 10) for number in range(1, 6)]
    other = write("k", 9, 70, node=1)
    story = history([*operations, other], [final("k", [])])
    one, two = check_losses(story, Windows(story)).findings
    assert one.text == (
        "5 lost (no excuse), acknowledged by node 0 from 0.01 to 0.05 s: "
        "1 of k; 2 of k; 3 of k; ..."
    )
    assert two.text == "1 lost (no excuse), acknowledged by node 1 at 0.07 s: 9 of k"


def test_of_two_increments_with_one_answer_the_excused_one_is_lost() -> None:
    operations = [
        write("c", 1, 1000, workload="counter", reply=7, node=3),
        write("c", 2, 1900, workload="counter", reply=7, node=0),
    ]
    story = history(
        operations, [final("c", 1, "counter")], [fault("kill", 2000, 8000)], [SUCCESSOR]
    )
    assert losses_of(story) == [(2, "crash")]
