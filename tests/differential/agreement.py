"""When two replies to the same command count as the same.

`exact` is the rule; everything else here is an exception with a reason. An agreement gets the
command and both replies and says yes or no; errors must always be equal to the letter."""

from collections.abc import Callable, Sequence

from ..support.raw import Reply

Agreement = Callable[[Sequence[bytes], Reply, Reply], bool]

#: Both servers get a command within this time, mostly within a millisecond.
CLOCK_TOLERANCE_MS = 5_000
_AGGREGATES = frozenset({b"*", b"~", b"%", b">"})


def exact(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Byte for byte."""
    return ours == theirs


def _sorted(reply: Reply) -> list[Reply]:
    return sorted(reply.items, key=repr)


def unordered(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same elements in any order: what a hash table gives is in no particular one."""
    if ours.kind not in _AGGREGATES or ours.kind != theirs.kind:
        return ours == theirs
    return ours == theirs or _sorted(ours) == _sorted(theirs)


def unordered_pairs(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same pairs in any order: HGETALL and its like, flat in RESP2."""
    if ours.kind not in _AGGREGATES or ours.kind != theirs.kind:
        return ours == theirs

    def pairs(reply: Reply) -> list[str]:
        items = reply.items
        return sorted(map(repr, zip(items[::2], items[1::2], strict=True)))

    return len(ours.items) == len(theirs.items) and pairs(ours) == pairs(theirs)


def same_type(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same type, and both null or neither: the choice itself is random."""
    if b"-" in (ours.kind, theirs.kind):
        return ours == theirs
    return ours.kind == theirs.kind and (ours.value is None) == (theirs.value is None)


def same_shape(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same type and as many elements: a random selection of a known size."""
    if not isinstance(ours.value, tuple) or not isinstance(theirs.value, tuple):
        return same_type(command, ours, theirs)
    return ours.kind == theirs.kind and len(ours.value) == len(theirs.value)


def _near(ours: Reply, theirs: Reply, tolerance: int) -> bool:
    if not isinstance(ours.value, int) or not isinstance(theirs.value, int):
        return ours == theirs
    if min(ours.value, theirs.value) <= 0:
        return ours == theirs
    return abs(ours.value - theirs.value) <= tolerance


def near_milliseconds(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same but for the time between the two servers' turns; -1 and -2 are exact."""
    return _near(ours, theirs, CLOCK_TOLERANCE_MS)


def near_seconds(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same in seconds."""
    return _near(ours, theirs, CLOCK_TOLERANCE_MS // 1000)


def scanned(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """A page of a SCAN: order and cursors are each server's own affair.

    Only a scan that is over in one page, on both sides, shows the same elements.
    """
    if ours.kind != b"*" or theirs.kind != b"*" or len(ours.items) != 2 or len(theirs.items) != 2:
        return ours == theirs
    if ours.items[0].kind != theirs.items[0].kind or ours.items[1].kind != theirs.items[1].kind:
        return False
    begins = b"0" in command[1:3]
    if begins and ours.items[0].value == theirs.items[0].value == b"0":
        return unordered(command, ours.items[1], theirs.items[1])
    return True


#: A string is bare bytes in Clustrio, so the encoding it tells is computed from the bytes: right
#: for what SET stored, and that is tested exactly, but `raw` after APPEND, or a whole number that
#: INCRBYFLOAT wrote as text, leaves no trace.
STRING_ENCODINGS = frozenset({b"int", b"embstr", b"raw"})


#: Redis 7.2 keeps short lists and short sets of strings in listpacks; 7.0 keeps neither there.
#: Type -> what 7.0 calls what is a listpack here. The data set comparison goes by the type.
NEWER_ENCODINGS = {b"list": b"quicklist", b"set": b"hashtable"}


def same_encoding(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same encoding; those of strings count as one, and a listpack may be newer than 7.0."""
    if ours.value == b"listpack" and theirs.value in NEWER_ENCODINGS.values():
        return True
    if ours.kind == theirs.kind == b"$" and ours.value in STRING_ENCODINGS:
        return theirs.value in STRING_ENCODINGS
    return ours == theirs


def numbers_alike(inner: Agreement = exact) -> Agreement:
    """Another agreement in which numbers count as such.

    Redis prints a double with 17 digits up to 7.0 and as short as can be from 7.2 on.
    """

    def agree(command: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
        return inner(command, _with_plain_numbers(ours), _with_plain_numbers(theirs))

    return agree


def _with_plain_numbers(reply: Reply) -> Reply:
    """A reply with all its numbers printed in one way."""
    if isinstance(reply.value, tuple):
        return Reply(reply.kind, tuple(map(_with_plain_numbers, reply.value)))
    if reply.kind in (b"$", b",") and isinstance(reply.value, bytes):
        try:
            return Reply(reply.kind, repr(float(reply.value)).encode())
        except ValueError:
            return reply
    return reply
