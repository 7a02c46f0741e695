"""A child's pieces with rests between them: the same ones, and a rest after each bit of work."""

import pytest

from clustrio.node.runtime import gentle


def test_it_rests_as_soon_as_it_has_worked_long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 100.0
    events: list[object] = []

    def work_for(seconds: float) -> bytes:
        nonlocal now_s
        now_s += seconds
        return b"%g" % (seconds * 1000)

    def rest(seconds: float) -> None:
        nonlocal now_s
        assert seconds > 0
        now_s += seconds
        events.append("rest")

    monkeypatch.setattr(gentle, "perf_counter", lambda: now_s)
    monkeypatch.setattr(gentle, "sleep", rest)
    times_ms = [0.25, 0.25, 0.25, 0.5, 0.25, 5, 0.25]
    for piece in gentle.gently(work_for(each / 1000) for each in times_ms):
        events.append(piece)
    assert events == [
        *(b"0.25", b"0.25", b"0.25", b"0.5", "rest"),
        *(b"0.25", b"5", "rest", b"0.25"),
    ]


def test_nothing_is_lost_or_turned_round() -> None:
    pieces = [b"%d" % number for number in range(100)]
    assert list(gentle.gently(iter(pieces))) == pieces
    assert list(gentle.gently([])) == []
