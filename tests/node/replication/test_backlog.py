"""The end of the stream that is kept, and who may go on from it."""

from random import Random

import pytest

from clustrio.node.replication.backlog import Backlog
from clustrio.node.replication.psync import NO_ID, History, may_continue


def test_it_gives_back_exactly_what_was_fed_from_any_offset_that_it_has() -> None:
    random = Random(1)
    backlog = Backlog(100, 1)
    stream = b""
    for _ in range(300):
        chunk = random.randbytes(random.randrange(1, 40))
        stream += chunk
        backlog.append(chunk)
        assert min(100, len(stream)) <= backlog.held_bytes < 140
        assert backlog.next_offset == len(stream) + 1
        for offset in range(backlog.first_offset, backlog.next_offset + 1):
            assert backlog.has(offset)
            assert b"".join(backlog.since(offset)) == stream[offset - 1 :]
        assert not backlog.has(backlog.first_offset - 1)
        assert not backlog.has(backlog.next_offset + 1)


def test_a_smaller_size_takes_effect_at_once() -> None:
    backlog = Backlog(1000, 501)
    for _ in range(10):
        backlog.append(b"x" * 50)
    backlog.resize(100)
    assert (backlog.first_offset, backlog.held_bytes) == (901, 100)


MINE, OLD, OTHER = b"a" * 40, b"b" * 40, b"c" * 40


@pytest.mark.parametrize(
    ("identity", "offset", "expected"),
    [
        (MINE, 101, True),
        (MINE, 121, True),
        (MINE, 122, False),
        (MINE, 100, False),
        (MINE.upper(), 110, True),
        (OLD, 111, True),
        (OLD, 112, False),
        (OTHER, 110, False),
        (NO_ID, 110, False),
        (b"?", -1, False),
    ],
)
def test_who_may_go_on_where_it_stopped(identity: bytes, offset: int, expected: bool) -> None:
    backlog = Backlog(1000, 101)
    backlog.append(b"x" * 20)
    assert may_continue(History(MINE, OLD, 111), backlog, identity, offset) is expected
    assert not may_continue(History(MINE, OLD, 111), None, identity, offset)


def test_no_second_history_is_shared_by_nobody() -> None:
    backlog = Backlog(1000, 1)
    assert not may_continue(History(MINE), backlog, NO_ID, 1)
    assert not may_continue(History(MINE), backlog, NO_ID, -1)
