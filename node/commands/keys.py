"""Keys of any type: deleting, looking, renaming, copying; and whole databases."""

from typing import Final

from ...slots.keyspec import key_range, one_key
from ..database import Database
from ..errors import (
    DB_OUT_OF_RANGE,
    NO_SUCH_KEY,
    NOT_AN_INT,
    SAME_OBJECT,
    SYNTAX,
    CommandError,
)
from ..lazyfree import free_later, lazy_free_of
from ..registry import command
from ..resp.encoder import OK, ONE, ZERO, bulk_array, integer, simple
from ..session import Session
from ..values.kinds import copy_value, type_name
from ..values.numbers import parse_integer
from .arguments import required_integer

_ON_MANY_KEYS: Final = ("request_policy:multi_shard", "response_policy:agg_sum")
_ON_ALL_SHARDS: Final = ("request_policy:all_shards", "response_policy:all_succeeded")
_INT_MIN: Final = -(2**31)
_INT_MAX: Final = 2**31 - 1
_ALL_DATABASES: Final = -1


# --- deleting --------------------------------------------------------------------------------


def remove(session: Session, key: bytes) -> bool:
    """Delete a key and announce it; False if there was none. A large value is freed bit by bit."""
    db = session.db
    value = db.look(key)
    if value is None:
        return False
    db.delete(key)
    if type(value) is not bytes:
        free_later(session.machine, value)
    db.changed(key, "g", b"del")
    return True


@command(
    "DEL",
    group="generic",
    since="1.0.0",
    arity=-2,
    flags="write",
    keys=(key_range(1, "RM", "DELETE"),),
    args="key...",
    complexity="O(N) in the number of keys",
    tips=_ON_MANY_KEYS,
)
def del_(session: Session, args: list[bytes]) -> bytes:
    """Deletes keys; returns how many there were."""
    if len(args) == 2:
        return ONE if remove(session, args[1]) else ZERO
    return integer(sum(remove(session, key) for key in args[1:]))


@command(
    "UNLINK",
    group="generic",
    since="4.0.0",
    arity=-2,
    flags="write fast",
    keys=(key_range(1, "RM", "DELETE"),),
    args="key...",
    complexity="O(1) per key; large values are freed later, bit by bit",
    tips=_ON_MANY_KEYS,
)
def unlink(session: Session, args: list[bytes]) -> bytes:
    """Deletes keys as DEL does, which frees large values in the background, too."""
    return del_(session, args)


# --- looking ---------------------------------------------------------------------------------


def _is_there(db: Database, key: bytes) -> bool:
    """Whether a key lives: counted as a hit or a miss, but not as a use of the key."""
    if db.look(key) is None:
        db.misses += 1
        db.effects.record_event(db.index, key, "m", b"keymiss")
        return False
    db.hits += 1
    return True


@command(
    "EXISTS",
    group="generic",
    since="1.0.0",
    arity=-2,
    flags="readonly fast",
    keys=(key_range(1, "RO"),),
    args="key...",
    complexity="O(N) in the number of keys",
    tips=_ON_MANY_KEYS,
)
def exists(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys that exist; one that is named twice counts twice."""
    db = session.db
    if len(args) == 2:
        return ONE if _is_there(db, args[1]) else ZERO
    return integer(sum(_is_there(db, key) for key in args[1:]))


@command(
    "TOUCH",
    group="generic",
    since="3.2.1",
    arity=-2,
    flags="readonly fast",
    keys=(key_range(1, "RO"),),
    args="key...",
    complexity="O(N) in the number of keys",
    tips=_ON_MANY_KEYS,
)
def touch(session: Session, args: list[bytes]) -> bytes:
    """Marks keys as used just now; returns how many there are."""
    db = session.db
    return integer(sum(db.get(key) is not None for key in args[1:]))


_TYPE_REPLIES: Final[dict[bytes, bytes]] = {
    name: simple(name) for name in (b"string", b"list", b"set", b"zset", b"hash", b"stream")
}
_NO_TYPE: Final = simple(b"none")


@command(
    "TYPE",
    group="generic",
    since="1.0.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def type_(session: Session, args: list[bytes]) -> bytes:
    """Returns the name of the type of a key's value, or none."""
    db = session.db
    key = args[1]
    value = db.look(key)
    if value is None:
        db.misses += 1
        db.effects.record_event(db.index, key, "m", b"keymiss")
        return _NO_TYPE
    db.hits += 1
    return _TYPE_REPLIES[type_name(value)]


# --- moving and copying ----------------------------------------------------------------------


def _place(target: Database, key: bytes, value: object, expiry: int | None) -> None:
    """Store a value that comes from another place, with the lifetime that it had there."""
    # What stood there goes first, so that the key counts as a new one.
    target.delete(key)
    target.set(key, value)
    if expiry is not None:
        target.expire_at(key, expiry)


def _announce_move(
    source: Database, old: bytes, left: bytes, target: Database, new: bytes, came: bytes
) -> None:
    """Two keys were changed by what counts as one change."""
    source.changed(old, "g", left)
    target.changed(new, "g", came)
    target.effects.dirty -= 1


def _rename(session: Session, args: list[bytes], may_replace: bool) -> bool:
    _, old, new = args
    db = session.db
    value = db.for_write(old)
    if value is None:
        raise NO_SUCH_KEY
    if old == new:
        return may_replace
    replaced = db.for_write(new)
    if replaced is not None:
        if not may_replace:
            return False
        if type(replaced) is not bytes:
            free_later(session.machine, replaced)
    expiry = db.expiry(old)
    db.delete(old)
    _place(db, new, value, expiry)
    _announce_move(db, old, b"rename_from", db, new, b"rename_to")
    return True


@command(
    "RENAME",
    group="generic",
    since="1.0.0",
    arity=3,
    flags="write",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"), one_key(2, "OW", "UPDATE")),
    args="key newkey:key",
)
def rename(session: Session, args: list[bytes]) -> bytes:
    """Gives a key another name, whatever was there before."""
    _rename(session, args, True)
    return OK


@command(
    "RENAMENX",
    group="generic",
    since="1.0.0",
    arity=3,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"), one_key(2, "OW", "INSERT")),
    args="key newkey:key",
)
def renamenx(session: Session, args: list[bytes]) -> bytes:
    """Gives a key another name, unless that is taken."""
    return ONE if _rename(session, args, False) else ZERO


def _database_number(session: Session, text: bytes) -> int:
    index = required_integer(text)
    if not _INT_MIN <= index <= _INT_MAX:
        raise NOT_AN_INT
    if not 0 <= index < session.machine.keyspace.database_count:
        raise DB_OUT_OF_RANGE
    return index


@command(
    "MOVE",
    group="generic",
    since="1.0.0",
    arity=3,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key db",
)
def move(session: Session, args: list[bytes]) -> bytes:
    """Moves a key into another database, unless it has one of that name."""
    _, key, number = args
    keyspace = session.machine.keyspace
    if keyspace.clustered:
        raise CommandError(b"ERR MOVE is not allowed in cluster mode")
    source = session.db
    target = keyspace.database(_database_number(session, number))
    if source is target:
        raise SAME_OBJECT
    value = source.for_write(key)
    if value is None or target.for_write(key) is not None:
        return ZERO
    expiry = source.expiry(key)
    source.delete(key)
    _place(target, key, value, expiry)
    _announce_move(source, key, b"move_from", target, key, b"move_to")
    return ONE


def _copy_options(session: Session, args: list[bytes]) -> tuple[int, bool]:
    """The number of the target database, and whether an old value may be replaced."""
    index = session.db.index
    replaces = False
    position = 3
    while position < len(args):
        option = args[position].upper()
        if option == b"REPLACE":
            replaces = True
        elif option == b"DB" and position + 1 < len(args):
            position += 1
            index = _database_number(session, args[position])
        else:
            raise SYNTAX
        position += 1
    return index, replaces


@command(
    "COPY",
    group="generic",
    since="6.2.0",
    arity=-3,
    flags="write denyoom",
    keys=(one_key(1, "RO", "ACCESS"), one_key(2, "OW", "UPDATE")),
    args="source:key destination:key [DB destination-db] [REPLACE]",
    complexity="O(N) in the number of elements; O(1) for a string",
)
def copy(session: Session, args: list[bytes]) -> bytes:
    """Copies a key with its lifetime, unless the new name is taken or may be replaced."""
    index, replaces = _copy_options(session, args)
    old, new = args[1], args[2]
    source = session.db
    target = session.machine.keyspace.database(index)
    if source is target and old == new:
        raise SAME_OBJECT
    value = source.get(old)
    if value is None:
        return ZERO
    replaced = target.for_write(new)
    if replaced is not None:
        if not replaces:
            return ZERO
        if type(replaced) is not bytes:
            free_later(session.machine, replaced)
    _place(target, new, copy_value(value), source.expiry(old))
    target.changed(new, "g", b"copy_to")
    return ONE


# --- whole databases -------------------------------------------------------------------------


@command(
    "DBSIZE",
    group="server",
    since="1.0.0",
    arity=1,
    flags="readonly fast",
    categories="keyspace",
    tips=("request_policy:all_shards", "response_policy:agg_sum"),
)
def dbsize(session: Session, args: list[bytes]) -> bytes:
    """Counts the keys of the database, dead ones that nobody removed yet included."""
    return integer(session.db.key_count())


def _check_flush_mode(args: list[bytes]) -> None:
    """SYNC and ASYNC mean the same here: quick to clients, and freed in the background."""
    if len(args) > 2 or (len(args) == 2 and args[1].upper() not in (b"SYNC", b"ASYNC")):
        raise SYNTAX


def _clear(session: Session, db: Database) -> None:
    if not any(db.slots):
        return
    garbage = lazy_free_of(session.machine)
    slots, volatile = db.slots, db.volatile
    db.effects.dirty += db.clear()
    garbage.take_dicts(slots)
    garbage.take_dicts(volatile)


@command(
    "FLUSHDB",
    group="server",
    since="1.0.0",
    arity=-1,
    flags="write",
    args="[ASYNC|SYNC]",
    complexity="O(1); the keys are freed later, bit by bit",
    categories="keyspace dangerous",
    tips=_ON_ALL_SHARDS,
)
def flushdb(session: Session, args: list[bytes]) -> bytes:
    """Deletes all keys of the database."""
    _check_flush_mode(args)
    db = session.db
    _clear(session, db)
    db.effects.record_flush(db.index)
    # Sent on even if nothing was there: a replica may have something.
    db.effects.propagate_instead(db.index, args)
    return OK


@command(
    "FLUSHALL",
    group="server",
    since="1.0.0",
    arity=-1,
    flags="write",
    args="[ASYNC|SYNC]",
    complexity="O(1); the keys are freed later, bit by bit",
    categories="keyspace dangerous",
    tips=_ON_ALL_SHARDS,
)
def flushall(session: Session, args: list[bytes]) -> bytes:
    """Deletes all keys of all databases."""
    _check_flush_mode(args)
    keyspace = session.machine.keyspace
    for db in keyspace.existing():
        _clear(session, db)
    keyspace.effects.record_flush(_ALL_DATABASES)
    keyspace.effects.propagate_instead(session.db.index, args)
    session.machine.persistence.on_flush_all()
    return OK


def _swap_number(text: bytes, failure: bytes) -> int:
    index = parse_integer(text)
    if index is None or not _INT_MIN <= index <= _INT_MAX:
        raise CommandError(failure)
    return index


@command(
    "SWAPDB",
    group="server",
    since="4.0.0",
    arity=3,
    flags="write fast",
    args="index1:integer index2:integer",
    complexity="O(N) in the number of clients that watch or wait for keys of the two",
    categories="keyspace dangerous",
)
def swapdb(session: Session, args: list[bytes]) -> bytes:
    """Exchanges two databases for all clients at once."""
    keyspace = session.machine.keyspace
    if keyspace.clustered:
        raise CommandError(b"ERR SWAPDB is not allowed in cluster mode")
    first = _swap_number(args[1], b"ERR invalid first DB index")
    second = _swap_number(args[2], b"ERR invalid second DB index")
    if not (0 <= first < keyspace.database_count and 0 <= second < keyspace.database_count):
        raise DB_OUT_OF_RANGE
    effects = keyspace.effects
    if first != second:
        keyspace.swap(first, second)
        effects.record_flush(first)
        effects.record_flush(second)
    effects.dirty += 1
    return OK


@command(
    "TIME",
    group="server",
    since="2.6.0",
    arity=1,
    flags="loading stale fast",
    tips=("nondeterministic_output",),
)
def time_(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix time: seconds, and microseconds within the second."""
    # The clock itself: a script may wait for it.
    seconds, microseconds = divmod(session.machine.unix_time_us(), 1_000_000)
    return bulk_array([b"%d" % seconds, b"%d" % microseconds])
