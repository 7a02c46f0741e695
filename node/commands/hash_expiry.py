"""Lifetimes of single fields of hashes: HEXPIRE and its kin, HSETEX, HGETEX, HGETDEL.

A lifetime is kept, and sent to replicas and AOF, as Unix time in milliseconds, however it was
given. A field whose time is over already is deleted at once and sent on as that deletion; only a
replica and a node that is loading keep it: for them the deletion comes from elsewhere.

The words are those of Redis 7.4 (HEXPIRE to HPERSIST) and 8.0 (HSETEX, HGETEX, HGETDEL).
"""

from typing import Final

from ...slots.keyspec import one_key
from ..errors import NOT_AN_INTEGER, CommandError, wrong_arity
from ..field_expiry import hash_to_change, hash_to_read, may_remove
from ..registry import command
from ..resp.encoder import ONE, ZERO, array, bulk, integer
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.numbers import parse_integer
from .hashes import announce_removal

_READ: Final = (one_key(1, "RO", "ACCESS"),)
_UPDATE: Final = (one_key(1, "RW", "UPDATE"),)
_O_FIELDS: Final = "O(N), N fields"

#: Redis keeps lifetimes in 48 bits, two of which it holds back.
_LATEST_MS: Final = 0xFFFF_FFFF_FFFF >> 2
_FIELDS_MAX: Final = 2**31 - 1

_NO_FIELDS_WORD: Final = CommandError(
    b"ERR Mandatory argument FIELDS is missing or not at the right position"
)
_WRONG_NUMBER: Final = CommandError(
    b"ERR The `numfields` parameter must match the number of arguments"
)
_NUMBER_NOT_POSITIVE: Final = CommandError(b"ERR Number of fields must be a positive integer")
_NUMBER_TOO_SMALL: Final = CommandError(b"ERR Parameter `numFields` should be greater than 0")
_NUMBER_INVALID: Final = CommandError(b"ERR invalid number of fields")
_NEGATIVE_TIME: Final = CommandError(b"ERR invalid expire time, must be >= 0")
_NO_TIME: Final = CommandError(b"ERR missing expire time")
_TWO_LIFETIMES: Final = CommandError(
    b"ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified"
)
_TWO_CONDITIONS: Final = CommandError(b"ERR Only one of FXX or FNX arguments can be specified")

_NO_FIELD: Final = -2
_NO_LIFETIME: Final = -1
_REFUSED: Final = 0
_DONE: Final = 1
_DELETED: Final = 2

#: How each unit counts: from now or from 1970, and in milliseconds.
_UNITS: Final = {
    b"EX": (True, 1000),
    b"PX": (True, 1),
    b"EXAT": (False, 1000),
    b"PXAT": (False, 1),
}
_CONDITIONS: Final = frozenset({b"NX", b"XX", b"GT", b"LT"})


def _parse_time(session: Session, text: bytes, unit: bytes, name: bytes) -> int:
    """When a lifetime ends, as Unix milliseconds; `name` is the command's in the error text."""
    is_relative, milliseconds = _UNITS[unit]
    time = parse_integer(text)
    if time is None:
        raise NOT_AN_INTEGER
    if time < 0:
        raise _NEGATIVE_TIME
    at_ms = time * milliseconds + (session.machine.clock.now_ms if is_relative else 0)
    if at_ms > _LATEST_MS:
        raise CommandError(b"ERR invalid expire time in '%b' command" % name)
    return at_ms


def _parse_fields(args: list[bytes], position: int, failure: CommandError) -> list[bytes]:
    """Read `FIELDS numfields field...`, which ends the line, from `position` on."""
    if position + 1 >= len(args) or args[position].upper() != b"FIELDS":
        raise _NO_FIELDS_WORD
    count = parse_integer(args[position + 1])
    if count is None or count < 1:
        raise failure
    if count != len(args) - position - 2:
        raise _WRONG_NUMBER
    return args[position + 2 :]


def _numbers(numbers: list[int]) -> bytes:
    return array([integer(number) for number in numbers])


def _is_over(session: Session, at_ms: int) -> bool:
    """Whether a field with this lifetime is to be deleted instead."""
    return at_ms <= session.machine.clock.now_ms and may_remove(session)


def _settle(
    session: Session, key: bytes, value: HashValue, updated: list[bytes], deleted: list[bytes]
) -> None:
    """Announce what lifetimes were given to, and what died of it."""
    if updated:
        session.machine.field_expiry.note(session.db, key, value)
    if deleted:
        announce_removal(session, key, value, b"hdel")
    else:
        session.db.changed(key, "h", b"hexpire")


# --- HEXPIRE and its kin -------------------------------------------------------------------------


def _allows(condition: bytes, old_ms: int | None, new_ms: int) -> bool:
    if not condition:
        return True
    if old_ms is None:
        return condition in (b"NX", b"LT")
    if condition == b"GT":
        return new_ms > old_ms
    if condition == b"LT":
        return new_ms < old_ms
    return condition == b"XX"


def _expire(session: Session, args: list[bytes], unit: bytes, name: bytes) -> bytes:
    key = args[1]
    value = hash_to_change(session, key)
    at_ms = _parse_time(session, args[2], unit, name)
    condition = args[3].upper()
    if condition not in _CONDITIONS:
        condition = b""
    fields = _parse_fields(args, 4 if condition else 3, _NUMBER_TOO_SMALL)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    is_over = _is_over(session, at_ms)
    results: list[int] = []
    updated: list[bytes] = []
    deleted: list[bytes] = []
    for field in fields:
        if field not in value:
            results.append(_NO_FIELD)
        elif not _allows(condition, value.maybe_expiry_ms(field), at_ms):
            results.append(_REFUSED)
        elif is_over:
            value.take(field)
            deleted.append(field)
            results.append(_DELETED)
        else:
            value.expire_at(field, at_ms)
            updated.append(field)
            results.append(_DONE)
    if updated or deleted:
        _settle(session, key, value, updated, deleted)
        _propagate_expiry(session, key, at_ms, updated, deleted)
    return _numbers(results)


def _propagate_expiry(
    session: Session, key: bytes, at_ms: int, updated: list[bytes], deleted: list[bytes]
) -> None:
    """Say what happened in terms that hold at any time: the conditions were met here."""
    db = session.db
    effects = db.effects
    if not effects.observed:
        return
    if deleted:
        effects.propagate_instead(db.index, (b"HDEL", key, *deleted))
    if updated:
        count = b"%d" % len(updated)
        words = (b"HPEXPIREAT", key, b"%d" % at_ms, b"FIELDS", count, *updated)
        effects.propagate_instead(db.index, words)


_EXPIRE_SYNTAX: Final = "key {} [condition:oneof(NX|XX|GT|LT)] FIELDS (numfields field...)"


@command(
    "HEXPIRE",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("seconds"),
    complexity=_O_FIELDS,
)
def hexpire(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die after so many seconds."""
    return _expire(session, args, b"EX", b"hexpire")


@command(
    "HPEXPIRE",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("milliseconds"),
    complexity=_O_FIELDS,
)
def hpexpire(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die after so many milliseconds."""
    return _expire(session, args, b"PX", b"hpexpire")


@command(
    "HEXPIREAT",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("unix-time-seconds"),
    complexity=_O_FIELDS,
)
def hexpireat(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die at a Unix time in seconds."""
    return _expire(session, args, b"EXAT", b"hexpireat")


@command(
    "HPEXPIREAT",
    group="hash",
    since="7.4.0",
    arity=-6,
    flags="write denyoom fast",
    keys=_UPDATE,
    args=_EXPIRE_SYNTAX.format("unix-time-milliseconds"),
    complexity=_O_FIELDS,
)
def hpexpireat(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash die at a Unix time in milliseconds."""
    return _expire(session, args, b"PXAT", b"hpexpireat")


# --- asking for lifetimes ------------------------------------------------------------------------


def _lifetimes(session: Session, args: list[bytes], since_ms: int, unit_ms: int) -> bytes:
    """What the four commands share: for each field, when it dies, counted from `since_ms`."""
    value = hash_to_read(session, args[1])
    fields = _parse_fields(args, 2, _NUMBER_NOT_POSITIVE)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    results: list[int] = []
    for field in fields:
        at_ms = value.maybe_expiry_ms(field)
        if at_ms is not None:
            results.append((at_ms - since_ms + unit_ms - 1) // unit_ms)
        else:
            results.append(_NO_LIFETIME if field in value else _NO_FIELD)
    return _numbers(results)


_ASK_SYNTAX: Final = "key FIELDS (numfields field...)"


@command(
    "HTTL",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
    tips=("nondeterministic_output",),
)
def httl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many seconds fields will live; -1 for ever, -2 no such field."""
    return _lifetimes(session, args, session.machine.clock.now_ms, 1000)


@command(
    "HPTTL",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
    tips=("nondeterministic_output",),
)
def hpttl(session: Session, args: list[bytes]) -> bytes:
    """Returns how many milliseconds fields will live; -1 for ever, -2 no such field."""
    return _lifetimes(session, args, session.machine.clock.now_ms, 1)


@command(
    "HEXPIRETIME",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
)
def hexpiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix times in seconds at which fields die; -1 never, -2 no such field."""
    return _lifetimes(session, args, 0, 1000)


@command(
    "HPEXPIRETIME",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="readonly fast",
    keys=_READ,
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
)
def hpexpiretime(session: Session, args: list[bytes]) -> bytes:
    """Returns the Unix times in milliseconds at which fields die; -1 never, -2 no such field."""
    return _lifetimes(session, args, 0, 1)


@command(
    "HPERSIST",
    group="hash",
    since="7.4.0",
    arity=-5,
    flags="write fast",
    keys=_UPDATE,
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
)
def hpersist(session: Session, args: list[bytes]) -> bytes:
    """Lets fields of a hash live for ever."""
    key = args[1]
    value = hash_to_change(session, key)
    fields = _parse_fields(args, 2, _NUMBER_NOT_POSITIVE)
    if value is None:
        return _numbers([_NO_FIELD] * len(fields))
    results: list[int] = []
    for field in fields:
        if field not in value:
            results.append(_NO_FIELD)
        else:
            results.append(_DONE if value.persist(field) else _NO_LIFETIME)
    if _DONE in results:
        session.db.changed(key, "h", b"hpersist")
    return _numbers(results)


# --- values and lifetimes at once ----------------------------------------------------------------


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
    args=_ASK_SYNTAX,
    complexity=_O_FIELDS,
)
def hgetdel(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of fields and removes them."""
    key = args[1]
    value = hash_to_change(session, key)
    fields = _parse_fields(args, 2, _NUMBER_NOT_POSITIVE)
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
    complexity=_O_FIELDS,
)
def hgetex(session: Session, args: list[bytes]) -> bytes:
    """Returns the values of fields and changes how long they live."""
    key = args[1]
    value = hash_to_change(session, key)
    unit = args[2].upper()
    at_ms = 0
    position = 2
    if unit in _UNITS:
        at_ms = _parse_time(session, args[3], unit, b"hgetex")
        position = 4
    elif unit == b"PERSIST":
        position = 3
    fields = _parse_fields(args, position, _NUMBER_NOT_POSITIVE)
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
    is_over = _is_over(session, at_ms)
    updated: list[bytes] = []
    deleted: list[bytes] = []
    replies: list[bytes] = []
    for field in fields:
        text = value.get(field)
        if text is None:
            replies.append(null)
            continue
        replies.append(bulk(text))
        if is_over:
            value.take(field)
            deleted.append(field)
        else:
            value.expire_at(field, at_ms)
            updated.append(field)
    if updated or deleted:
        _settle(session, key, value, updated, deleted)
        _propagate_expiry(session, key, at_ms, updated, deleted)
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
            if word in _UNITS or word == b"KEEPTTL":
                if self.keeps_expiry or self.at_ms is not None:
                    raise _TWO_LIFETIMES
                if word == b"KEEPTTL":
                    self.keeps_expiry = True
                else:
                    position += 1
                    if position == end:
                        raise _NO_TIME
                    self.at_ms = _parse_time(session, args[position], word, b"hsetex")
            elif word in (b"FXX", b"FNX"):
                if self.condition:
                    raise _TWO_CONDITIONS
                self.condition = word
            else:
                # Redis takes the text for a C string.
                raise CommandError(b"ERR unknown argument: " + args[position].partition(b"\0")[0])
            position += 1
        raise _NO_FIELDS_WORD

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
    keys=_UPDATE,
    args=(
        "key [condition:oneof(FNX|FXX)] [expiration:oneof(EX seconds|PX milliseconds|"
        "EXAT unix-time-seconds|PXAT unix-time-milliseconds|KEEPTTL)] "
        "FIELDS (numfields (field value)...)"
    ),
    complexity=_O_FIELDS,
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
    if _is_over(session, at_ms):
        for field in fields:
            value.take(field)
        announce_removal(session, key, value, b"hdel")
        db.effects.propagate_instead(db.index, (b"HDEL", key, *fields))
        return ONE
    for field in fields:
        value.expire_at(field, at_ms)
    _settle(session, key, value, fields, [])
    rest = args[first - 2 :]
    words = (b"HSETEX", key, b"PXAT", b"%d" % at_ms, *rest)
    db.effects.propagate_instead(db.index, words)
    return ONE
