"""Work of a child that gives way to its parent.

A child that writes a snapshot keeps a processor busy. The system shares processors out in slices of
some milliseconds: whoever has something to do for a moment, as the server and its clients have all
the time, waits for the end of the child's slice if it was put on the same processor. So the child
rests for a moment each time it has worked for about a millisecond, which lets everybody in who
waits, and costs it little. A lower priority would not do: it bounds no wait, and where all
processors are busy for long the child would never come to its end.

It even begins with a rest. The system may start a child on its parent's processor, and in its
place: the parent, which has clients waiting since the fork, would get it back after a slice.
"""

from collections.abc import Iterable, Iterator
from time import perf_counter, sleep
from typing import Final

#: How much a child writes at a time; a larger piece would take longer than it may work on end.
GENTLE_PIECE_BYTES: Final = 16 * 1024
_WORK_S: Final = 0.001
#: The shortest sleep that is one; with what the system adds it is about twice as long.
_REST_S: Final = 0.00005
#: What the parent does first after a fork takes about that long.
_HEAD_START_S: Final = 0.001


def let_parent_go_first() -> None:
    """The first thing that a child does."""
    sleep(_HEAD_START_S)


def gently(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same pieces, with rests between them."""
    rested_s = perf_counter()
    for piece in pieces:
        yield piece
        if perf_counter() - rested_s >= _WORK_S:
            sleep(_REST_S)
            rested_s = perf_counter()
