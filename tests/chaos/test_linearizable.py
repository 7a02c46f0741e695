"""The search for one order that explains all answers."""

from math import inf

import pytest

from clustrio.tools.chaos.checkers.linearizable import (
    Answer,
    Call,
    calls_of,
    check_keys,
    counter_step,
    register_step,
    search,
)
from clustrio.tools.chaos.history import FAIL, INFO

from .histories import final, history, read, write

YES, NO, UNKNOWN = Answer.YES, Answer.NO, Answer.UNKNOWN


def w(start: float, end: float, value: int) -> Call:
    return Call(start, end, False, value)


def r(start: float, end: float, value: int | None) -> Call:
    return Call(start, end, True, value)


@pytest.mark.parametrize(
    ("calls", "answer"),
    [
        ([], YES),
        ([w(0, 1, 1), r(2, 3, 1)], YES),
        ([w(0, 1, 1), r(2, 3, None)], NO),
        ([r(0, 1, None), w(2, 3, 1)], YES),
        # A read beside a write sees either.
        ([w(0, 5, 1), r(1, 2, None)], YES),
        ([w(0, 5, 1), r(1, 2, 1)], YES),
        # But once it was seen it stays.
        ([w(0, 9, 1), r(1, 2, 1), r(3, 4, None)], NO),
        # Two writes beside each other, seen in either order, but not in both.
        ([w(0, 9, 1), w(0, 9, 2), r(1, 2, 1), r(3, 4, 2)], YES),
        ([w(0, 9, 1), w(0, 9, 2), r(1, 2, 1), r(3, 4, 2), r(5, 6, 1)], NO),
        # The newer value is gone again.
        ([w(0, 1, 1), w(2, 3, 2), r(4, 5, 1)], NO),
        # What nobody knows about comes late, or never.
        ([w(0, 1, 1), w(2, inf, 2), r(3, 4, 1), r(5, 6, 2)], YES),
        ([w(0, 1, 1), w(2, inf, 2), r(3, 4, 1), r(5, 6, 1)], YES),
        ([w(0, 1, 1), w(2, inf, 2), r(3, 4, 2), r(5, 6, 1)], NO),
        # Not before it was asked for.
        ([r(0, 1, 2), w(2, inf, 2)], NO),
    ],
)
def test_registers(calls: list[Call], answer: Answer) -> None:
    assert search(sorted(calls, key=lambda call: call.start_ms), register_step) is answer


def inc(start: float, end: float, reply: int | None) -> Call:
    return Call(start, end, False, reply)


@pytest.mark.parametrize(
    ("calls", "answer"),
    [
        ([inc(0, 1, 1), inc(2, 3, 2), r(4, 5, 2)], YES),
        ([inc(0, 9, 2), inc(0, 9, 1)], YES),
        ([inc(0, 1, 1), inc(2, 3, 1)], NO),
        ([inc(0, 1, 1), r(2, 3, None)], NO),
        ([inc(0, 1, 1), inc(2, inf, None), r(3, 4, 2)], YES),
        ([inc(0, 1, 1), inc(2, inf, None), r(3, 4, 2), r(5, 6, 1)], NO),
        ([inc(0, 1, 1), inc(2, inf, None), r(3, 4, 3)], NO),
    ],
)
def test_counters(calls: list[Call], answer: Answer) -> None:
    assert search(calls, counter_step) is answer


def test_the_search_gives_up() -> None:
    calls = [w(0, 9, number) for number in range(12)]
    calls.append(r(10, 11, 99))
    assert search(calls, register_step, limit=100) is UNKNOWN
    assert search(calls, register_step) is NO


def test_what_was_refused_or_never_seen_is_left_out() -> None:
    operations = [
        write("k", 1, 0, workload="register"),
        write("k", 2, 2, workload="register", outcome=FAIL),
        write("k", 3, 4, workload="register", outcome=INFO),
        write("k", 4, 6, workload="register", outcome=INFO),
        read("k", 3, 8, workload="register"),
    ]
    calls = calls_of(operations, "register")
    assert [(call.value, call.is_certain) for call in calls] == [(1, True), (3, False), (3, True)]


def test_the_last_look_counts() -> None:
    operations = [write("k", 1, 0, workload="register"), write("k", 2, 5, workload="register")]
    assert check_keys(history(operations, [final("k", 2, "register")])) == {"k": YES}
    assert check_keys(history(operations, [final("k", 1, "register")])) == {"k": NO}
    assert check_keys(history(operations, [final("k", 0, "register", is_known=False)])) == {
        "k": YES
    }


def test_counters_are_checked_by_their_answers() -> None:
    operations = [
        write("c", 1, 0, workload="counter", reply=1),
        write("c", 2, 5, workload="counter", reply=1),
    ]
    assert check_keys(history(operations)) == {"c": NO}
