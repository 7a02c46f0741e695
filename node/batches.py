"""What the `batch` functions of the command families share: a pipeline of one command in one go.

Such a function looks at all requests before it carries out the first, and gives up (None) on
anything out of the ordinary; then each request runs by itself. Its replies, the data and the books
must be what they would be then. What only one of the requests is odd about (a value of another
type, a first element) is left to the command itself: `run_singly`.
"""

from itertools import chain
from typing import TYPE_CHECKING

from .errors import CommandError

if TYPE_CHECKING:
    from .session import Session


def same_keys(requests: list[list[bytes]], length: int) -> list[bytes] | None:
    """The first argument of each request, if all have `length` words, and these are proper ones."""
    try:
        for args in requests:
            if len(args) != length:
                return None
        b"".join(chain.from_iterable(requests))  # raises unless all of them are bulk strings
    except TypeError:
        return None
    return [args[1] for args in requests]


def refusal(session: "Session", name: bytes, failure: CommandError) -> bytes:
    """The reply to a request that failed, which is booked as a failure of command `name`."""
    gate = session.machine.gate
    gate.count_error(failure)
    gate.commands[name].statistics.failed += 1
    return failure.encoded()


def run_singly(session: "Session", name: bytes, args: list[bytes]) -> bytes:
    """One request of a batch of command `name` in the ordinary way."""
    try:
        return session.machine.gate.commands[name].function(session, args)
    except CommandError as failure:
        return refusal(session, name, failure)
