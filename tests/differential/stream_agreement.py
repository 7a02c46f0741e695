"""How replies about streams may differ: Clustrio follows Redis 7.2, and the server here is a 7.0.

* XREADGROUP, XCLAIM and XAUTOCLAIM make their consumer even if they find nothing to give to it, so
  consumers without pending entries do not count;
* XINFO tells of consumers when they were `active`, not only when they were seen;
* some errors are worded differently: an odd number of words of XREAD, `5-*` where there is no
  higher ID, XSETID below a deleted entry;
* and times are never quite the same on two servers."""

from collections.abc import Sequence

from ..support.raw import Reply
from .agreement import CLOCK_TOLERANCE_MS

#: Numbers above this are Unix times, those below are counts.
_EARLIEST_TIME_MS = 1_000_000_000_000
_NEWER_FIELDS = frozenset({b"active-time", b"inactive"})
_TIME_FIELDS = frozenset({b"idle", b"seen-time"})


def consumer_counts(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Whether a consumer was there before may differ."""
    return ours.kind == theirs.kind == b":" and {ours.value, theirs.value} <= {0, 1}


def read(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The wording of one error is newer."""
    if ours.kind != b"-" or theirs.kind != b"-":
        return ours == theirs
    return b"ERR Unbalanced " in ours.text and b"ERR Unbalanced XREAD list" in theirs.text


def added(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """7.0 blames the size of an entry where it runs out of IDs."""
    if ours.kind != b"-" or theirs.kind != b"-":
        return ours == theirs
    return b"equal or smaller" in ours.text and b"Elements are too large" in theirs.text


def set_id(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Both refuse; what is wrong first is the matter of the order of checks."""
    if ours.kind != b"-" or theirs.kind != b"-":
        return ours == theirs
    return b"current max_deleted_entry_id" in ours.text


def told(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """What XINFO tells, but for consumers without pending entries and fields that 7.0 lacks."""
    return _comparable(ours) == _comparable(theirs)


def pending(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """What XPENDING lists: for how long entries have been idle depends on the clock."""
    if ours.kind != b"*" or theirs.kind != b"*" or len(ours.items) != len(theirs.items):
        return ours == theirs
    return all(map(_same_pending, ours.items, theirs.items))


def _same_pending(ours: Reply, theirs: Reply) -> bool:
    if ours.kind != b"*" or theirs.kind != b"*" or len(ours.items) != 4 or len(theirs.items) != 4:
        return ours == theirs
    *our_names, our_idle, our_count = ours.items
    *their_names, their_idle, their_count = theirs.items
    if (our_names, our_count) != (their_names, their_count):
        return False
    return abs(our_idle.number - their_idle.number) <= CLOCK_TOLERANCE_MS


class Moment:
    """A time that one server noted; equal to about the same time on the other."""

    __hash__ = None  # type: ignore[assignment]  # equality like this allows none

    def __init__(self, unix_ms: int) -> None:
        self.unix_ms = unix_ms

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Moment) and abs(self.unix_ms - other.unix_ms) <= CLOCK_TOLERANCE_MS


def _comparable(reply: Reply) -> object:
    if not isinstance(reply.value, tuple):
        if isinstance(reply.value, int) and reply.value > _EARLIEST_TIME_MS:
            return Moment(reply.value)
        return reply
    items = reply.items
    if items and items[0].value in (b"name", b"length"):
        fields = {
            name.text: _comparable_field(name.text, value)
            for name, value in zip(items[::2], items[1::2], strict=True)
        }
        for name in _NEWER_FIELDS | _TIME_FIELDS:
            fields.pop(name, None)
        return reply.kind, fields
    return reply.kind, [_comparable(item) for item in items]


def _comparable_field(name: bytes, value: Reply) -> object:
    if name != b"consumers" or not isinstance(value.value, tuple):
        # In XINFO GROUPS it is only their number.
        return None if name == b"consumers" else _comparable(value)
    return [_comparable(item) for item in value.items if _has_pending(item)]


def busy_consumers(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """XINFO CONSUMERS: those with pending entries."""
    if ours.kind != b"*" or theirs.kind != b"*":
        return ours == theirs
    return [_comparable(item) for item in ours.items if _has_pending(item)] == [
        _comparable(item) for item in theirs.items if _has_pending(item)
    ]


def _has_pending(consumer: Reply) -> bool:
    items = consumer.items
    fields = dict(zip((name.value for name in items[::2]), items[1::2], strict=True))
    count = fields.get(b"pel-count") or fields[b"pending"]
    return count.number > 0
