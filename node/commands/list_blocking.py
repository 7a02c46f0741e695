"""Elements that move from list to list, and clients that wait for one.

Each blocking command is its plain counterpart that may wait: it tries, and tries again whenever one
of its keys became a list. What replicas and the append-only file get is always the plain form of
what happened: LPOP and RPOP for BLPOP, BRPOP, LMPOP and BLMPOP, LMOVE for BLMOVE.
"""

from typing import Final

from ...slots.keyspec import key_range, keynum, one_key
from ..blocking import parse_timeout_ms
from ..errors import SYNTAX
from ..registry import command
from ..resp.encoder import array, bulk, bulk_array
from ..session import Session
from ..values.listvalue import ListValue
from .arguments import parse_pop_of_many
from .lists import announce_removal, pop_many

_PUSHED: Final = {True: b"lpush", False: b"rpush"}
_POPPED: Final = {True: b"lpop", False: b"rpop"}
_SOURCE_AND_TARGET: Final = (one_key(1, "RW", "ACCESS", "DELETE"), one_key(2, "RW", "INSERT"))
_SIDES: Final = (b"LEFT", b"RIGHT")
_FROM_TO: Final = "wherefrom:oneof(LEFT|RIGHT) whereto:oneof(LEFT|RIGHT)"


def _is_left(text: bytes) -> bool:
    side = text.upper()
    if side not in _SIDES:
        raise SYNTAX
    return side == b"LEFT"


# --- moving --------------------------------------------------------------------------------------


def _maybe_move(
    session: Session, source_key: bytes, target_key: bytes, from_left: bool, to_left: bool
) -> bytes | None:
    """Move one element; its reply, or None when there is nothing to move."""
    db = session.db
    source = db.typed_for_write(source_key, ListValue)
    if source is None:
        return None
    target = db.typed_for_write(target_key, ListValue)
    element = source.pop_left() if from_left else source.pop_right()
    if target is None:
        target = ListValue((), session.machine.limits)
        db.set(target_key, target)
    target.expect([element])
    if to_left:
        target.push_left(element)
    else:
        target.push_right(element)
    db.changed(target_key, "l", _PUSHED[to_left])
    announce_removal(db, source_key, source, _POPPED[from_left])
    return bulk(element)


@command(
    "LMOVE",
    group="list",
    since="6.2.0",
    arity=5,
    flags="write denyoom",
    keys=_SOURCE_AND_TARGET,
    args=f"source:key destination:key {_FROM_TO}",
)
def lmove(session: Session, args: list[bytes]) -> bytes:
    """Moves an element from an end of a list to an end of another one and returns it."""
    from_left, to_left = _is_left(args[3]), _is_left(args[4])
    return _maybe_move(session, args[1], args[2], from_left, to_left) or session.encoder.null


@command(
    "RPOPLPUSH",
    group="list",
    since="1.2.0",
    arity=3,
    flags="write denyoom",
    keys=_SOURCE_AND_TARGET,
    args="source:key destination:key",
    deprecated=("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
)
def rpoplpush(session: Session, args: list[bytes]) -> bytes:
    """Moves the last element of a list to the head of another one and returns it."""
    moved = _maybe_move(session, args[1], args[2], from_left=False, to_left=True)
    return moved or session.encoder.null


def _move_or_wait(
    session: Session, plain: tuple[bytes, ...], from_left: bool, to_left: bool, timeout_ms: int
) -> bytes:
    """Move an element as soon as there is one; `plain` is the same without waiting."""
    source_key, target_key = plain[1], plain[2]
    db = session.db

    def attempt(key: bytes) -> bytes | None:
        if type(db.peek(key)) is not ListValue:
            return None
        return move()

    def move() -> bytes | None:
        reply = _maybe_move(session, source_key, target_key, from_left, to_left)
        if reply is not None:
            db.effects.propagate_instead(db.index, plain)
        return reply

    reply = move()
    if reply is not None:
        return reply
    encoder = session.encoder
    if not session.may_block:
        return encoder.null
    # Not the null of the plain form: whoever waited in vain gets an array.
    blocked = session.machine.blocked
    return blocked.wait(session, (source_key,), timeout_ms, attempt, encoder.null_array)


@command(
    "BLMOVE",
    group="list",
    since="6.2.0",
    arity=6,
    flags="write denyoom noscript blocking",
    keys=_SOURCE_AND_TARGET,
    args=f"source:key destination:key {_FROM_TO} timeout",
)
def blmove(session: Session, args: list[bytes]) -> bytes:
    """Moves an element from list to list and returns it, waiting for one if need be."""
    from_left, to_left = _is_left(args[3]), _is_left(args[4])
    timeout_ms = parse_timeout_ms(args[5], session.machine.clock.now_ms)
    plain = (b"LMOVE", *args[1:5])
    return _move_or_wait(session, plain, from_left, to_left, timeout_ms)


@command(
    "BRPOPLPUSH",
    group="list",
    since="2.2.0",
    arity=4,
    flags="write denyoom noscript blocking",
    keys=_SOURCE_AND_TARGET,
    args="source:key destination:key timeout",
    deprecated=("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
)
def brpoplpush(session: Session, args: list[bytes]) -> bytes:
    """Moves the last element of a list to the head of another one, waiting if need be."""
    timeout_ms = parse_timeout_ms(args[3], session.machine.clock.now_ms)
    plain = (b"RPOPLPUSH", args[1], args[2])
    return _move_or_wait(session, plain, False, True, timeout_ms)


# --- the first list of several -------------------------------------------------------------------


def _maybe_pop_one(session: Session, keys: list[bytes], from_left: bool) -> bytes | None:
    """Pop one element from the first list there is: key and element, or None."""
    db = session.db
    for key in keys:
        value = db.typed_for_write(key, ListValue)
        if value is None:
            continue
        element = value.pop_left() if from_left else value.pop_right()
        announce_removal(db, key, value, _POPPED[from_left])
        db.effects.propagate_instead(db.index, (b"LPOP" if from_left else b"RPOP", key))
        return bulk_array((key, element))
    return None


def _maybe_pop_several(
    session: Session, keys: list[bytes], from_left: bool, count: int
) -> bytes | None:
    """Pop elements from the first list there is: key and elements, or None."""
    db = session.db
    for key in keys:
        value = db.typed_for_write(key, ListValue)
        if value is None:
            continue
        elements = pop_many(session, key, value, count, from_left=from_left)
        if db.effects.observed:
            name = b"LPOP" if from_left else b"RPOP"
            db.effects.propagate_instead(db.index, (name, key, b"%d" % len(elements)))
        return array((bulk(key), bulk_array(elements)))
    return None


def _pop_or_wait(
    session: Session, keys: list[bytes], from_left: bool, count: int, timeout_ms: int
) -> bytes:
    """Pop as soon as one of the keys is a list; a count of 0 means one element, not in an array."""

    def pop() -> bytes | None:
        if not count:
            return _maybe_pop_one(session, keys, from_left)
        return _maybe_pop_several(session, keys, from_left, count)

    def attempt(key: bytes) -> bytes | None:
        # A key of another type wakes nobody who waits for lists; but if the woken command meets one
        # ahead of the list, it fails as it would have failed at once.
        return pop() if type(session.db.peek(key)) is ListValue else None

    reply = pop()
    if reply is not None:
        return reply
    blocked = session.machine.blocked
    return blocked.wait(session, keys, timeout_ms, attempt, session.encoder.null_array)


@command(
    "BLPOP",
    group="list",
    since="2.0.0",
    arity=-3,
    flags="write noscript blocking",
    keys=(key_range(1, "RW", "ACCESS", "DELETE", last=-2),),
    args="key... timeout",
    complexity="O(N) in the number of keys",
)
def blpop(session: Session, args: list[bytes]) -> bytes:
    """Removes the first element of the first list there is, waiting for one if need be."""
    timeout_ms = parse_timeout_ms(args[-1], session.machine.clock.now_ms)
    return _pop_or_wait(session, args[1:-1], True, 0, timeout_ms)


@command(
    "BRPOP",
    group="list",
    since="2.0.0",
    arity=-3,
    flags="write noscript blocking",
    keys=(key_range(1, "RW", "ACCESS", "DELETE", last=-2),),
    args="key... timeout",
    complexity="O(N) in the number of keys",
)
def brpop(session: Session, args: list[bytes]) -> bytes:
    """Removes the last element of the first list there is, waiting for one if need be."""
    timeout_ms = parse_timeout_ms(args[-1], session.machine.clock.now_ms)
    return _pop_or_wait(session, args[1:-1], False, 0, timeout_ms)


@command(
    "LMPOP",
    group="list",
    since="7.0.0",
    arity=-4,
    flags="write",
    keys=(keynum(1, "RW", "ACCESS", "DELETE"),),
    args="numkeys key... where:oneof(LEFT|RIGHT) [COUNT count]",
    complexity="O(N+M) in the number of keys and of elements returned",
)
def lmpop(session: Session, args: list[bytes]) -> bytes:
    """Removes elements from the first list there is among several keys, and returns them."""
    keys, from_left, count = parse_pop_of_many(args, 1, _SIDES)
    return _maybe_pop_several(session, keys, from_left, count) or session.encoder.null_array


@command(
    "BLMPOP",
    group="list",
    since="7.0.0",
    arity=-5,
    flags="write blocking",
    keys=(keynum(2, "RW", "ACCESS", "DELETE"),),
    args="timeout numkeys key... where:oneof(LEFT|RIGHT) [COUNT count]",
    complexity="O(N+M) in the number of keys and of elements returned",
)
def blmpop(session: Session, args: list[bytes]) -> bytes:
    """Removes elements from the first list there is, waiting for one if need be."""
    keys, from_left, count = parse_pop_of_many(args, 2, _SIDES)
    timeout_ms = parse_timeout_ms(args[1], session.machine.clock.now_ms)
    return _pop_or_wait(session, keys, from_left, count, timeout_ms)
