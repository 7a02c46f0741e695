"""Values and lifetimes of hash fields at once: HSETEX, HGETEX and HGETDEL, as in Redis 8.0."""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import CommandError, wrong_arity
from ..field_expiry import hash_to_change
from ..registry import command
from ..resp.encoder import ONE, ZERO, array, bulk
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.numbers import parse_integer
from .hash_expiry import (
    FIELDS_SYNTAX,
    NO_FIELDS_WORD,
    NUMBER_NOT_POSITIVE,
    O_FIELDS,
    UNITS,
    is_over,
    parse_fields,
    parse_time,
    propagate_expiry,
    settle,
)
from .hashes import announce_removal

_FIELDS_MAX: Final = 2**31 - 1
_NUMBER_INVALID: Final = CommandError(b"ERR invalid number of fields")
_NO_TIME: Final = CommandError(b"ERR missing expire time")
_TWO_LIFETIMES: Final = CommandError(
    b"ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
)
_TWO_CONDITIONS: Final = CommandError(b"ERR Only one of FXX or FNX arguments can be specified")


def _values(session: Session, value: HashValue | None, fields: list[bytes]) -> bytes:
    null = session.encoder.null
    if value is None:
        return array([null] * len(fields))
    texts = map(value.get, fields)
    return array([null if text is None else bulk(text) for text in texts])


@command(
    "HGETDEL",
    group="hash",
    since="8.0.0",
    arity=-5,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "DELETE"),),
    args=FIELDS_SYNTAX,
    complexity=O_FIELDS,
)
def hgetdel(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of fields and removes them."""
    key = args[1]
    value = hash_to_change(session, key)
    fields = parse_fields(args, 2, NUMBER_NOT_POSITIVE)
    if value is None:
        return _values(session, None, fields)
    null = session.encoder.null
    replies: list[bytes] = []
    for field in fields:
        text = value.take(field)
        replies.append(null if text is None else bulk(text))
    if any(reply is not null for reply in replies):
        announce_removal(session, key, value, b"hdel")
        session.db.effects.propagate_instead(session.db.index, (b"HDEL", key, *fields))
    return array(replies)


@command(
    "HGETEX",
    group="hash",
    since="8.0.0",
    arity=-5,
    flags="write fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE", notes="Lifetimes are what changes"),),
    args=(
        "key [expiration:oneof(EX seconds|PX milliseconds|EXAT unix-time-seconds|"
        "PXAT unix-time-milliseconds|PERSIST)] FIELDS (numfields field...)"
    ),
    complexity=O_FIELDS,
)
def hgetex(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of fields and changes how long they live."""
    key = args[1]
    value = hash_to_change(session, key)
    unit = args[2].upper()
    at_ms = 0
    position = 2
    if unit in UNITS:
        at_ms = parse_time(session, args[3], unit, b"hgetex")
        position = 4
    elif unit == b"PERSIST":
        position = 3
    fields = parse_fields(args, position, NUMBER_NOT_POSITIVE)
    if value is None or position == 2:
        return _values(session, value, fields)
    if position == 3:
        reply = _values(session, value, fields)
        _persist_all(session, key, value, fields)
        return reply
    return _get_and_expire(session, key, value, fields, at_ms)


def _persist_all(session: Session, key: bytes, value: HashValue, fields: list[bytes]) -> None:
    persisted = [field for field in fields if value.persist(field)]
    if not persisted:
        return
    db = session.db
    db.changed(key, "h", b"hpersist")
    words = (b"HPERSIST", key, b"FIELDS", b"%d" % len(persisted), *persisted)
    db.effects.propagate_instead(db.index, words)


def _get_and_expire(
    session: Session, key: bytes, value: HashValue, fields: list[bytes], at_ms: int
) -> bytes:
    null = session.encoder.null
    is_dead = is_over(session, at_ms)
    updated: list[bytes] = []
    deleted: list[bytes] = []
    replies: list[bytes] = []
    for field in fields:
        text = value.get(field)
        if text is None:
            replies.append(null)
            continue
        replies.append(bulk(text))
        if is_dead:
            value.take(field)
            deleted.append(field)
        else:
            value.expire_at(field, at_ms)
            updated.append(field)
    if updated or deleted:
        settle(session, key, value, updated, deleted)
        propagate_expiry(session, key, at_ms, updated, deleted)
    return array(replies)


class _SetOptions:
    """What stands between HSETEX's key and its fields."""

    __slots__ = ("at_ms", "condition", "first", "keeps_expiry")

    def __init__(self, session: Session, args: list[bytes]) -> None:
        self.condition = b""
        self.keeps_expiry = False
        self.at_ms: int | None = None
        position, end = 2, len(args)
        while position < end:
            word = args[position].upper()
            if word == b"FIELDS":
                self.first = position + 2
                self._check_fields(args, position)
                return
            if word in UNITS or word == b"KEEPTTL":
                if self.keeps_expiry or self.at_ms is not None:
                    raise _TWO_LIFETIMES
                if word == b"KEEPTTL":
                    self.keeps_expiry = True
                else:
                    position += 1
                    if position == end:
                        raise _NO_TIME
                    self.at_ms = parse_time(session, args[position], word, b"hsetex")
            elif word in (b"FXX", b"FNX"):
                if self.condition:
                    raise _TWO_CONDITIONS
                self.condition = word
            else:
                # Redis takes the text for a C string.
                raise CommandError(b"ERR unknown argument: " + args[position].partition(b"\0")[0])
            position += 1
        raise NO_FIELDS_WORD

    def _check_fields(self, args: list[bytes], position: int) -> None:
        if position >= len(args) - 3:
            raise wrong_arity("hsetex")
        count = parse_integer(args[position + 1])
        if count is None or not 1 <= count <= _FIELDS_MAX:
            raise _NUMBER_INVALID
        if count * 2 != len(args) - self.first:
            raise wrong_arity("hsetex")

    def is_met(self, value: HashValue | None, fields: list[bytes]) -> bool:
        """Whether the condition lets the fields be set."""
        if not self.condition:
            return True
        if value is None:
            return self.condition == b"FNX"
        wanted = self.condition == b"FXX"
        return all((field in value) == wanted for field in fields)


@command(
    "HSETEX",
    group="hash",
    since="8.0.0",
    arity=-6,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "UPDATE"),),
    args=(
        "key [condition:oneof(FNX|FXX)] [expiration:oneof(EX seconds|PX milliseconds|"
        "EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL)] "
        "FIELDS (numfields (field value)...)"
    ),
    complexity=O_FIELDS,
)
def hsetex(session: Session, args: list[bytes]) -> bytes:
    """Sets fields of a hash together with how long they live, or none of them."""
    options = _SetOptions(session, args)
    db = session.db
    key = args[1]
    value = hash_to_change(session, key)
    first = options.first
    fields = args[first::2]
    if not options.is_met(value, fields):
        return ZERO
    at_ms = options.at_ms
    made = value is None
    if value is None:
        value = HashValue(session.machine.limits)
    put = value.put_keeping_expiry if options.keeps_expiry else value.put
    for position in range(first, len(args), 2):
        put(args[position], args[position + 1])
    if made:
        db.set(key, value)
    db.changed(key, "h", b"hset")
    if at_ms is None:
        return ONE
    if is_over(session, at_ms):
        for field in fields:
            value.take(field)
        announce_removal(session, key, value, b"hdel")
        db.effects.propagate_instead(db.index, (b"HDEL", key, *fields))
        return ONE
    for field in fields:
        value.expire_at(field, at_ms)
    settle(session, key, value, fields, [])
    rest = args[first - 2 :]
    words = (b"HSETEX", key, b"PXAT", b"%d" % at_ms, *rest)
    db.effects.propagate_instead(db.index, words)
    return ONE
