"""What an element of a collection takes: many small collections, and one large one, of each type.

Each figure is the growth of a fresh process, the share of its key included. Small collections come
in such numbers that what a server keeps ready for those in use is no longer seen.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from attrs import frozen

from .measure import Figures, alternate
from .processes import ServerError, ServerProcess
from .report import Comparison
from .workloads import Goal

GOAL: Final = Goal("bytes_per_element", 2)
#: Sent in one go: little enough that the buffers for it are not seen in the figures.
_BATCH_BYTES: Final = 16_384
#: Elements in one command.
_PORTION: Final = 100


@frozen
class Kind:
    """How collections of one type are made; `{}` stands for the number of an element."""

    name: str
    command: str
    element: tuple[str, ...]
    #: Streams take one element a command.
    portion: int = _PORTION


@frozen
class Shape:
    """How many collections, and of how many elements each."""

    name: str
    collections: int
    size: int


KINDS: Final = (
    Kind("list", "RPUSH", ("element:{:08}",)),
    Kind("hash", "HSET", ("element:{:08}", "value:{:010}")),
    Kind("set", "SADD", ("element:{:08}",)),
    Kind("set of integers", "SADD", ("{}",)),
    Kind("zset", "ZADD", ("{}", "element:{:08}")),
    Kind("stream", "XADD", ("*", "field", "value:{:010}"), portion=1),
)
SHAPES: Final = (Shape("5", 100_000, 5), Shape("10", 100_000, 10), Shape("300000", 1, 300_000))
_QUICK_SHAPES: Final = (Shape("8", 30_000, 8), Shape("100000", 1, 100_000))


def _batches(kind: Kind, shape: Shape) -> Iterator[list[bytes]]:
    """The commands, as many at once as are to be sent together."""
    batch: list[bytes] = []
    size = 0
    for request in _requests(kind, shape):
        batch.append(request)
        size += len(request)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _requests(kind: Kind, shape: Shape) -> Iterator[bytes]:
    number = 0
    for collection in range(shape.collections):
        left = shape.size
        while left:
            count = min(left, kind.portion)
            left -= count
            words = [kind.command, f"key:{collection:08}"]
            for _ in range(count):
                words += [word.format(number) for word in kind.element]
                number += 1
            texts = [word.encode() for word in words]
            bulks = b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)
            yield b"*%d\r\n%b" % (len(texts), bulks)


def measure_elements(command: Sequence[str], kind: Kind, shape: Shape) -> Figures:
    """Fill a fresh server and see by how much it grew."""
    with ServerProcess(command) as server, server.connect(timeout_s=60.0) as connection:
        before_bytes = server.rss_bytes()
        #: XADD is answered with a bulk string, the others with a number.
        sign = b"$" if kind.command == "XADD" else b":"
        for batch in _batches(kind, shape):
            connection.sendall(b"".join(batch))
            missing = len(batch)
            while missing > 0:
                replies = connection.recv(65536)
                if not replies or b"-ERR" in replies:
                    raise ServerError(f"{server.name} refused {kind.command}: {replies[:200]!r}")
                missing -= replies.count(sign)
        grown_bytes = server.rss_bytes() - before_bytes
        return {"bytes_per_element": grown_bytes / (shape.collections * shape.size)}


def compare_elements(
    commands: Sequence[Sequence[str]], only: str, *, is_quick: bool
) -> list[Comparison]:
    """Every type in every shape whose name holds a text, in both servers."""
    comparisons = []
    for kind in KINDS:
        for shape in _QUICK_SHAPES if is_quick else SHAPES:
            name = f"memory: {kind.name} of {shape.name}"
            if only.lower() in name.lower():
                turns = [partial(measure_elements, each, kind, shape) for each in commands]
                comparisons.append(Comparison(name, (GOAL,), *alternate(turns, rounds=1)))
    return comparisons
