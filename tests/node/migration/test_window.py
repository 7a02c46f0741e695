"""The window of a migration: wide where the way is long, narrow where the target is the limit."""

from collections import deque

import pytest

from clustrio.node.migration.window import MAX_BYTES, SendWindow

PIECE_BYTES = MAX_BYTES // 16


def widths(way_s: float, work_s: float, pieces: int, window: SendWindow) -> list[int]:
    """Send pieces to a target that takes `work_s` for each; how many were under way each time."""
    now_s = target_free_s = 0.0
    under_way: deque[tuple[float, float]] = deque()
    seen: list[int] = []
    for _ in range(pieces):
        while len(under_way) * PIECE_BYTES > window.limit_bytes:
            sent_s, answered_s = under_way.popleft()
            now_s = max(now_s, answered_s)
            window.on_answer(PIECE_BYTES, now_s - sent_s)
        target_free_s = max(target_free_s, now_s + way_s / 2) + work_s
        under_way.append((now_s, target_free_s + way_s / 2))
        seen.append(len(under_way))
    return seen


def test_next_door_the_target_has_hardly_anything_waiting() -> None:
    seen = widths(0.0001, 0.0005, 500, SendWindow())
    assert max(seen) <= 3
    assert sum(seen) / len(seen) < 2


def test_far_away_as_much_is_under_way_as_the_limit_allows() -> None:
    seen = widths(0.05, 0.0005, 2000, SendWindow())
    assert min(seen[200:]) >= 16


def test_a_way_that_becomes_longer_for_good_is_not_taken_for_a_queue() -> None:
    window = SendWindow()
    widths(0.01, 0.0002, 500, window)
    seen = widths(0.03, 0.0002, 3000, window)
    assert min(seen[1000:]) >= 16


@pytest.mark.parametrize("took_s", [0.0, 1.0])
def test_there_are_bounds(took_s: float) -> None:
    window = SendWindow()
    window.on_answer(PIECE_BYTES, 0.001)
    for _ in range(100):
        window.on_answer(PIECE_BYTES, took_s)
        assert 0 <= window.limit_bytes <= MAX_BYTES
