"""What the `batch` functions of the command families share: a pipeline of one command in one go.

Such a function looks at all requests before it carries out the first, and gives up (None) on
anything out of the ordinary; then each request runs by itself. Its replies, the data and the books
must be what they would be then. What only one of the requests is odd about (a value of another
type, a first element) is left to the command itself: `run_singly`.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from .errors import CommandError
from .resp.alike import Alike, Requests

if TYPE_CHECKING:
    from .database import Value
    from .session import Session


T = TypeVar("T")

_LOOK_UP: Final = dict.get
_JOIN: Final = b"".join


class Replies(Generic[T]):
    """What a batch function answers: something for each request, and how that is encoded.

    Several clients may have sent the requests, so that each of them gets a part; `encode_one` is
    for those that sent just one.
    """

    __slots__ = ("_encode", "_encode_one", "_values")

    def __init__(
        self,
        encode: Callable[[Sequence[T]], bytes],
        values: Sequence[T],
        encode_one: Callable[[T], bytes] | None = None,
    ) -> None:
        self._encode = encode
        self._encode_one = encode_one
        self._values = values

    def whole(self) -> bytes:
        """All replies."""
        return self._encode(self._values)

    def parts(self, ends: Sequence[int]) -> list[bytes]:
        """The replies to each client's requests, of which it sent at least one."""
        values, encode, encode_one = self._values, self._encode, self._encode_one
        if encode_one is not None and len(ends) == len(values):
            return list(map(encode_one, values))
        return [encode(values[start:end]) for start, end in zip((0, *ends), ends, strict=False)]


def encoded(replies: list[bytes]) -> Replies[Any]:
    """Replies that are bytes already, one for each request."""
    return Replies(_JOIN, replies, _itself)


def _itself(reply: bytes) -> bytes:
    return reply


def look_up(homes: list[dict[bytes, T]], keys: Sequence[bytes]) -> list[T | None]:
    """What stands under many keys; worth it, too, just before they are written.

    All in C, with little to do for a key (which knows its hash by now, see `Database.homes`): so
    the processor waits for several places in memory at once.
    """
    return list(map(_LOOK_UP, homes, keys))


def same_keys(requests: Requests, length: int) -> Sequence[bytes] | None:
    """The first argument of each request, if all have `length` words, and these are proper ones."""
    columns = maybe_columns(requests, length)
    return None if columns is None else columns[1]


def maybe_columns(requests: Requests, length: int) -> Sequence[Sequence[bytes]] | None:
    """`same_keys` with all other words, too: those of all requests by their place."""
    if type(requests) is Alike:
        names = [requests.name] * len(requests)
        return [names, *requests.columns] if length == 1 + len(requests.columns) else None
    try:
        columns = list(zip(*requests, strict=True))
        if len(columns) != length or set(map(type, requests)) != {list}:
            return None
        for words in columns[1:]:
            b"".join(words)  # raises unless all of them are bulk strings
    except (TypeError, ValueError):
        return None
    return columns


def maybe_shared(session: "Session", keys: Sequence[bytes]) -> "Value | None":
    """What stands under the key that all of `keys` are, as `Database.maybe_value` allows."""
    key = keys[0]
    return session.db.maybe_value(key) if keys.count(key) == len(keys) else None


def refusal(session: "Session", name: bytes, failure: CommandError) -> bytes:
    """The reply to a request that failed, which is booked as a failure of command `name`."""
    gate = session.machine.gate
    gate.count_error(failure)
    gate.commands[name].statistics.failed += 1
    return failure.encoded()


def run_singly(session: "Session", name: bytes, args: list[bytes]) -> bytes:
    """One request of a batch of command `name` in the ordinary way."""
    machine = session.machine
    effects = machine.keyspace.effects
    dirty_before = effects.dirty
    try:
        return machine.gate.commands[name].function(session, args)
    except CommandError as failure:
        return refusal(session, name, failure)
    finally:
        if effects.observed:
            effects.set_apart(session.db.index, args, dirty_before)
