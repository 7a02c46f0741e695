"""Intersection, union and difference of sets, returned, counted or stored.

A key that does not exist is an empty set, but each key that does must hold a set, even one that no
longer matters to the result. Results are computed by Python's own set operations.
"""

from typing import Final

from ...slots.keyspec import key_range, keynum, one_key
from ..errors import LIMIT_NEGATIVE, NUMKEYS_NOT_POSITIVE, SYNTAX, CommandError
from ..registry import command
from ..resp.encoder import ZERO, integer
from ..session import Session
from ..values.numbers import parse_integer
from ..values.setvalue import SetValue, intersection

_TOO_MANY_KEYS: Final = CommandError(b"ERR Number of keys can't be greater than number of args")
_UNORDERED: Final = ("nondeterministic_output_order",)


def _sets(session: Session, keys: list[bytes]) -> list[SetValue | None]:
    db = session.db
    return [db.typed(key, SetValue) for key in keys]


def _intersect(session: Session, keys: list[bytes]) -> set[bytes]:
    sets = _sets(session, keys)
    present = [value for value in sets if value is not None]
    return intersection(present) if len(present) == len(sets) else set()


def _unite(session: Session, keys: list[bytes]) -> set[bytes]:
    return set[bytes]().union(*(value for value in _sets(session, keys) if value is not None))


def _subtract(session: Session, keys: list[bytes]) -> set[bytes]:
    first, *others = _sets(session, keys)
    if first is None:
        return set()
    rest = set(first)
    for other in others:
        if not rest:
            break
        if other is not None:
            rest = _without(rest, other)
    return rest


def _without(members: set[bytes], other: SetValue) -> set[bytes]:
    """The difference, in time of the smaller of both."""
    if len(other) < len(members):
        members.difference_update(other)
        return members
    return members.difference(other)


def _reply(session: Session, members: set[bytes]) -> bytes:
    """Members in the order in which Redis gives them, where it has one: numbers ascend."""
    value = SetValue.from_members(members, session.machine.limits)
    return session.encoder.bulk_set(value.members())


def _store(session: Session, key: bytes, members: set[bytes], event: bytes) -> bytes:
    """Put a result under a key, whatever was there; an empty result only deletes that."""
    db = session.db
    if members:
        db.set(key, SetValue.from_members(members, session.machine.limits))
        db.changed(key, "s", event)
        return integer(len(members))
    if db.delete(key):
        db.changed(key, "g", b"del")
    return ZERO


# --- returned ------------------------------------------------------------------------------------


@command(
    "SINTER",
    group="set",
    since="1.0.0",
    arity=-2,
    flags="readonly",
    keys=(key_range(1, "RO", "ACCESS"),),
    args="key...",
    complexity="O(N*M) in the size of the smallest set and the number of sets",
    tips=_UNORDERED,
)
def sinter(session: Session, args: list[bytes]) -> bytes:
    """Returns the members that all sets share."""
    return _reply(session, _intersect(session, args[1:]))


@command(
    "SUNION",
    group="set",
    since="1.0.0",
    arity=-2,
    flags="readonly",
    keys=(key_range(1, "RO", "ACCESS"),),
    args="key...",
    complexity="O(N) in the number of members of all sets",
    tips=_UNORDERED,
)
def sunion(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of all sets."""
    return _reply(session, _unite(session, args[1:]))


@command(
    "SDIFF",
    group="set",
    since="1.0.0",
    arity=-2,
    flags="readonly",
    keys=(key_range(1, "RO", "ACCESS"),),
    args="key...",
    complexity="O(N) in the number of members of all sets",
    tips=_UNORDERED,
)
def sdiff(session: Session, args: list[bytes]) -> bytes:
    """Returns the members of the first set that no other set has."""
    return _reply(session, _subtract(session, args[1:]))


@command(
    "SINTERCARD",
    group="set",
    since="7.0.0",
    arity=-3,
    flags="readonly",
    keys=(keynum(1, "RO", "ACCESS"),),
    args="numkeys key... [LIMIT limit:integer]",
    complexity="O(N*M) in the size of the smallest set and the number of sets",
)
def sintercard(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members all sets share."""
    number = parse_integer(args[1])
    if number is None or number < 1:
        raise NUMKEYS_NOT_POSITIVE
    if number > len(args) - 2:
        raise _TOO_MANY_KEYS
    limit = 0
    for position in range(2 + number, len(args), 2):
        if args[position].upper() != b"LIMIT" or position + 1 == len(args):
            raise SYNTAX
        told = parse_integer(args[position + 1])
        if told is None or told < 0:
            raise LIMIT_NEGATIVE
        limit = told
    size = len(_intersect(session, args[2 : 2 + number]))
    return integer(min(size, limit) if limit else size)


# --- stored --------------------------------------------------------------------------------------


@command(
    "SINTERSTORE",
    group="set",
    since="1.0.0",
    arity=-3,
    flags="write denyoom",
    keys=(one_key(1, "RW", "UPDATE"), key_range(2, "RO", "ACCESS")),
    args="destination:key key...",
    complexity="O(N*M) in the size of the smallest set and the number of sets",
)
def sinterstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members that all sets share under a key."""
    return _store(session, args[1], _intersect(session, args[2:]), b"sinterstore")


@command(
    "SUNIONSTORE",
    group="set",
    since="1.0.0",
    arity=-3,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"), key_range(2, "RO", "ACCESS")),
    args="destination:key key...",
    complexity="O(N) in the number of members of all sets",
)
def sunionstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members of all sets under a key."""
    return _store(session, args[1], _unite(session, args[2:]), b"sunionstore")


@command(
    "SDIFFSTORE",
    group="set",
    since="1.0.0",
    arity=-3,
    flags="write denyoom",
    keys=(one_key(1, "OW", "UPDATE"), key_range(2, "RO", "ACCESS")),
    args="destination:key key...",
    complexity="O(N) in the number of members of all sets",
)
def sdiffstore(session: Session, args: list[bytes]) -> bytes:
    """Stores the members of the first set that no other set has under a key."""
    return _store(session, args[1], _subtract(session, args[2:]), b"sdiffstore")
