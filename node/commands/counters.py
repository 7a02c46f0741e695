"""Counters: strings that are numbers, changed by an amount.

A counter is an ordinary string; its text is read and written anew by each command. INCR is hot:
where nothing but the text need change, it is looked up from the text before it.
"""

from collections.abc import Sequence
from typing import Final

from ...slots.keyspec import one_key
from ..batches import Replies, encoded, look_up, run_singly, same_keys
from ..database import Value
from ..errors import (
    INCREMENT_OVERFLOW,
    NAN_OR_INFINITY,
    NOT_A_FLOAT,
    NOT_AN_INTEGER,
    CommandError,
)
from ..registry import command
from ..resp.alike import Requests
from ..resp.encoder import CRLF, bulk, integer
from ..session import Session
from ..values.numbers import (
    INTEGER_MAXIMUM,
    INTEGER_MINIMUM,
    LONG_DOUBLE_ZERO,
    add_long_doubles,
    format_long_double,
    parse_integer,
    parse_long_double,
)

_DECREMENT_OVERFLOW = CommandError(b"ERR decrement would overflow")


#: Shorter texts of digits are 64-bit integers.
_SURELY_SHORT: Final = 19
#: What follows a small number, as text; what follows nothing is one.
_NEXT: Final[dict[bytes | None, bytes]] = {
    None: b"1",
    **{b"%d" % number: b"%d" % (number + 1) for number in range(1024)},
}


def _maybe_next(text: Value) -> bytes | None:
    """The text of the next integer; None if there is none, or `text` is not plainly a number."""
    if type(text) is not bytes:
        return None
    if len(text) < _SURELY_SHORT and text.isdigit() and not text.startswith(b"0"):
        return b"%d" % (int(text) + 1)
    number = parse_integer(text)
    return None if number is None or number == INTEGER_MAXIMUM else b"%d" % (number + 1)


def _maybe_next_small(homes: list[dict[bytes, Value]], keys: Sequence[bytes]) -> list[bytes] | None:
    """Add one to numbers that are small or missing, each once; None: nothing is done."""
    if len(set(keys)) != len(keys):
        return None
    try:
        texts = list(map(_NEXT.get, look_up(homes, keys)))
    except TypeError:
        return None  # a string that was edited in place
    # Not `in`: that would compare.
    following = [text for text in texts if text is not None]
    if len(following) != len(keys):
        return None
    for home, key, text in zip(homes, keys, following, strict=True):
        home[key] = text
    return following


def _integers(texts: Sequence[bytes]) -> bytes:
    return b":" + b"\r\n:".join(texts) + CRLF


#: The same for one.
_integer: Final = b":%b\r\n".__mod__


def _incr_many(session: Session, requests: Requests) -> Replies[bytes] | None:
    """A pipeline of INCRs in one go."""
    db = session.db
    keys = same_keys(requests, 2)
    homes = None if keys is None else db.maybe_homes(keys)
    if keys is None or homes is None:
        return None
    texts = _maybe_next_small(homes, keys)
    if texts is not None:
        db.effects.dirty += len(texts)
        return Replies(_integers, texts, _integer)
    texts = []
    small = _NEXT.get
    for home, key in zip(homes, keys, strict=True):
        text = home.get(key)
        following = small(text) if text is None or type(text) is bytes else None
        if following is None:
            following = _maybe_next(text)
            if following is None:
                # Something else than a number: the rest of the pipeline is run in the plain way.
                break
        home[key] = following
        texts.append(following)
    db.effects.dirty += len(texts)
    rest = requests[len(texts) :]
    if not rest:
        return Replies(_integers, texts, _integer)
    replies = [b":" + text + CRLF for text in texts]
    return encoded(replies + [run_singly(session, b"INCR", args) for args in rest])


@command(
    "INCR",
    group="string",
    since="1.0.0",
    arity=2,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key",
    batch=_incr_many,
)
def incr(session: Session, args: list[bytes]) -> bytes:
    """Adds one to the number under a key."""
    db = session.db
    key = args[1]
    home = db.maybe_home(key)
    if home is not None:
        text = home.get(key)
        following = _NEXT.get(text) if text is None or type(text) is bytes else None
        if following is None:
            following = _maybe_next(text)
        if following is not None:
            home[key] = following
            db.effects.dirty += 1
            return b":" + following + CRLF
    return _add(session, key, 1)


@command(
    "DECR",
    group="string",
    since="1.0.0",
    arity=2,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key",
)
def decr(session: Session, args: list[bytes]) -> bytes:
    """Takes one from the number under a key."""
    return _add(session, args[1], -1)


@command(
    "INCRBY",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key increment:integer",
)
def incrby(session: Session, args: list[bytes]) -> bytes:
    """Adds an integer to the number under a key."""
    increment = parse_integer(args[2])
    if increment is None:
        raise NOT_AN_INTEGER
    return _add(session, args[1], increment)


@command(
    "DECRBY",
    group="string",
    since="1.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key decrement:integer",
)
def decrby(session: Session, args: list[bytes]) -> bytes:
    """Takes an integer from the number under a key."""
    decrement = parse_integer(args[2])
    if decrement is None:
        raise NOT_AN_INTEGER
    if decrement == INTEGER_MINIMUM:
        # Its negation is no 64-bit integer.
        raise _DECREMENT_OVERFLOW
    return _add(session, args[1], -decrement)


def _add(session: Session, key: bytes, increment: int) -> bytes:
    db = session.db
    value = db.string_for_write(key)
    number = 0 if value is None else parse_integer(bytes(value))
    if number is None:
        raise NOT_AN_INTEGER
    number += increment
    if not INTEGER_MINIMUM <= number <= INTEGER_MAXIMUM:
        raise INCREMENT_OVERFLOW
    db.put(key, b"%d" % number)
    db.changed(key, "$", b"incrby")
    return integer(number)


@command(
    "INCRBYFLOAT",
    group="string",
    since="2.6.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "ACCESS", "UPDATE"),),
    args="key increment:double",
)
def incrbyfloat(session: Session, args: list[bytes]) -> bytes:
    """Adds a floating point number to the number under a key."""
    db = session.db
    key = args[1]
    value = db.string_for_write(key)
    number = LONG_DOUBLE_ZERO if value is None else parse_long_double(bytes(value))
    increment = parse_long_double(args[2])
    if number is None or increment is None:
        raise NOT_A_FLOAT
    total = add_long_doubles(number, increment)
    if total is None:
        raise NAN_OR_INFINITY
    text = format_long_double(total)
    db.put(key, text)
    db.changed(key, "$", b"incrbyfloat")
    # Another machine might round differently: the sum is sent, not the summand.
    db.effects.propagate_instead(db.index, (b"SET", key, text, b"KEEPTTL"))
    return bulk(text)
