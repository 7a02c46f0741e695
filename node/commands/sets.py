"""Sets: members under one key, each once. What combines several sets is in `set_algebra`.

SADD and SPOP are hot. A random choice is propagated as what was chosen: SREM, or DEL when a count
took the whole set.
"""

from typing import Final

from ...slots.keyspec import one_key
from ..batches import Replies, encoded, maybe_columns, maybe_shared, run_singly, same_keys
from ..database import Database
from ..errors import MUST_BE_POSITIVE, SYNTAX
from ..lazyfree import free_later
from ..registry import command
from ..resp.alike import Requests
from ..resp.bulks import flat_row
from ..resp.encoder import (
    EMPTY_ARRAY,
    ONE,
    ZERO,
    array,
    bulk,
    bulk_array,
    integer,
)
from ..session import Session
from ..values.numbers import parse_integer
from ..values.setvalue import SetValue
from .random_picks import parse_pick, pick
from .scan_collections import (
    EMPTY_SCAN,
    parse_cursor,
    parse_scan_options,
    scan_reply,
    scan_step,
)

#: SPOP propagates so many members in one SREM.
_MEMBERS_PER_COMMAND: Final = 1024


def _announce_removal(db: Database, key: bytes, value: SetValue, event: bytes) -> None:
    """Members went from the set under `key`; if it was emptied, so does the key."""
    if value:
        db.changed(key, "s", event)
        return
    db.delete(key)
    db.changed(key, "s", event)
    db.effects.record_event(db.index, key, "g", b"del")


# --- adding and removing -------------------------------------------------------------------------


def _sadd_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of SADDs of one member each in one go."""
    columns = maybe_columns(requests, 3)
    if columns is None:
        return None
    keys = columns[1]
    value = maybe_shared(session, keys)
    if type(value) is SetValue:
        are_new = value.insert_each(columns[2])
        session.db.effects.dirty += sum(are_new)
        return encoded([ONE if is_new else ZERO for is_new in are_new])
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    replies: list[bytes] = []
    added = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is not SetValue:
            replies.append(run_singly(session, b"SADD", args))
            continue
        member = args[2]
        value.expect(1, member)
        if value.insert(member):
            added += 1
            replies.append(ONE)
        else:
            replies.append(ZERO)
    session.db.effects.dirty += added
    return encoded(replies)


@command(
    "SADD",
    group="set",
    since="1.0.0",
    arity=-3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key member...",
    complexity="O(1) per member",
    batch=_sadd_many,
)
def sadd(session: Session, args: list[bytes]) -> bytes:
    """Adds members to a set, which is made if need be."""
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, SetValue)
    if value is None:
        value = SetValue(session.machine.limits)
        db.set(key, value)
    value.expect(len(args) - 2, args[2])
    if len(args) == 3:
        if not value.insert(args[2]):
            return ZERO
        db.changed(key, "s", b"sadd")
        return ONE
    added = sum(map(value.insert, args[2:]))
    if added:
        db.changed(key, "s", b"sadd")
    return integer(added)


@command(
    "SREM",
    group="set",
    since="1.0.0",
    arity=-3,
    flags="write fast",
    keys=(one_key(1, "RW", "DELETE"),),
    args="key member...",
    complexity="O(1) per member",
)
def srem(session: Session, args: list[bytes]) -> bytes:
    """Removes members from a set."""
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, SetValue)
    if value is None:
        return ZERO
    removed = sum(map(value.take, args[2:]))
    if removed:
        _announce_removal(db, key, value, b"srem")
    return integer(removed)


@command(
    "SMOVE",
    group="set",
    since="1.0.0",
    arity=4,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"), one_key(2, "RW", "INSERT")),
    args="source:key destination:key member",
)
def smove(session: Session, args: list[bytes]) -> bytes:
    """Moves a member from one set to another."""
    _, source_key, target_key, member = args
    db = session.db
    source = db.typed_for_write(source_key, SetValue)
    if source is None:
        return ZERO
    target = db.typed_for_write(target_key, SetValue)
    if source is target:
        return ONE if member in source else ZERO
    if not source.take(member):
        return ZERO
    _announce_removal(db, source_key, source, b"srem")
    if target is None:
        target = SetValue(session.machine.limits)
        db.set(target_key, target)
    target.expect(1, member)
    if target.insert(member):
        db.changed(target_key, "s", b"sadd")
    return ONE


def _spop_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of SPOPs of one member each in one go."""
    keys = same_keys(requests, 2)
    if keys is None:
        return None
    rng = session.machine.rng
    effects = session.db.effects
    value = maybe_shared(session, keys)
    if type(value) is SetValue and len(value) > len(keys):
        effects.dirty += len(keys)
        return Replies(flat_row, value.pop_random(len(keys), rng), bulk)
    homes = session.db.maybe_homes(keys)
    if homes is None:
        return None
    null = session.encoder.null
    replies: list[bytes] = []
    taken = 0
    for home, args in zip(homes, requests, strict=True):
        value = home.get(args[1])
        if type(value) is SetValue and len(value) > 1:
            replies.append(bulk(value.pop_random(1, rng)[0]))
            taken += 1
        elif value is None:
            replies.append(null)
        else:
            # The last member takes the key along.
            replies.append(run_singly(session, b"SPOP", args))
    effects.dirty += taken
    return encoded(replies)


@command(
    "SPOP",
    group="set",
    since="1.0.0",
    arity=-2,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"),),
    args="key [count]",
    complexity="O(1) per member",
    tips=("nondeterministic_output",),
    batch=_spop_many,
)
def spop(session: Session, args: list[bytes]) -> bytes:
    """Removes random members from a set and returns them."""
    if len(args) != 2:
        return _pop_several(session, args)
    db = session.db
    key = args[1]
    effects = db.effects
    value = db.maybe_value(key)
    if type(value) is SetValue and len(value) > 1:
        member = value.pop_random(1, session.machine.rng)[0]
        effects.dirty += 1
    else:
        value = db.typed_for_write(key, SetValue)
        if value is None:
            return session.encoder.null
        member = value.pop_random(1, session.machine.rng)[0]
        _announce_removal(db, key, value, b"spop")
    if effects.observed:
        effects.propagate_instead(db.index, (b"SREM", key, member))
    return bulk(member)


def _pop_several(session: Session, args: list[bytes]) -> bytes:
    if len(args) > 3:
        raise SYNTAX
    count = parse_integer(args[2])
    if count is None or count < 0:
        raise MUST_BE_POSITIVE
    db = session.db
    key = args[1]
    value = db.typed_for_write(key, SetValue)
    if value is None or not count:
        return session.encoder.bulk_set(())
    effects = db.effects
    if count >= len(value):
        members = value.members()
        db.delete(key)
        db.changed(key, "s", b"spop")
        effects.record_event(db.index, key, "g", b"del")
        is_lazy = session.machine.config.lazyfree_lazy_server_del
        effects.propagate_instead(db.index, (b"UNLINK" if is_lazy else b"DEL", key))
        free_later(session.machine, value)
        return session.encoder.bulk_set(members)
    members = value.pop_random(count, session.machine.rng)
    db.changed(key, "s", b"spop")
    if effects.observed:
        for start in range(0, count, _MEMBERS_PER_COMMAND):
            piece = members[start : start + _MEMBERS_PER_COMMAND]
            effects.propagate_instead(db.index, (b"SREM", key, *piece))
    return session.encoder.bulk_set(members)


# --- reading -------------------------------------------------------------------------------------


@command(
    "SCARD",
    group="set",
    since="1.0.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def scard(session: Session, args: list[bytes]) -> bytes:
    """Returns how many members a set has."""
    value = session.db.typed(args[1], SetValue)
    return ZERO if value is None else integer(len(value))


@command(
    "SISMEMBER",
    group="set",
    since="1.0.0",
    arity=3,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key member",
)
def sismember(session: Session, args: list[bytes]) -> bytes:
    """Tells whether something is a member of a set."""
    value = session.db.typed(args[1], SetValue)
    return ONE if value is not None and args[2] in value else ZERO


@command(
    "SMISMEMBER",
    group="set",
    since="6.2.0",
    arity=-3,
    flags="readonly fast",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key member...",
    complexity="O(1) per member",
)
def smismember(session: Session, args: list[bytes]) -> bytes:
    """Tells of several things whether each is a member of a set."""
    value = session.db.typed(args[1], SetValue) or ()
    return array([ONE if member in value else ZERO for member in args[2:]])


@command(
    "SMEMBERS",
    group="set",
    since="1.0.0",
    arity=2,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key",
    complexity="O(N) in the number of members",
    tips=("nondeterministic_output_order",),
)
def smembers(session: Session, args: list[bytes]) -> bytes:
    """Returns all members of a set."""
    value = session.db.typed(args[1], SetValue)
    return session.encoder.bulk_set(() if value is None else value.members())


@command(
    "SRANDMEMBER",
    group="set",
    since="1.0.0",
    arity=-2,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key [count]",
    complexity="O(1) per member",
    tips=("nondeterministic_output",),
)
def srandmember(session: Session, args: list[bytes]) -> bytes:
    """Returns random members of a set: different ones, or with a negative count any."""
    if len(args) > 3:
        raise SYNTAX
    count = parse_pick(args, b"")[0] if len(args) == 3 else None
    value = session.db.typed(args[1], SetValue)
    if value is None:
        return session.encoder.null if count is None else EMPTY_ARRAY
    rng = session.machine.rng
    if count is None:
        return bulk(value.random_member(rng))
    return bulk_array(pick(value, count, rng))


@command(
    "SSCAN",
    group="set",
    since="2.8.0",
    arity=-3,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key cursor [MATCH pattern] [COUNT count]",
    complexity="O(1) per call, O(N) for a whole round",
    tips=("nondeterministic_output",),
)
def sscan(session: Session, args: list[bytes]) -> bytes:
    """Returns some members of a set, and the cursor with which to ask for more."""
    cursor = parse_cursor(args[2])
    value = session.db.typed(args[1], SetValue)
    if value is None:
        return EMPTY_SCAN
    options = parse_scan_options(args)
    whole = value.members() if value.is_compact else None
    following, members = scan_step(value, cursor, options, whole)
    return scan_reply(following, members)
