"""Parts of strings: appending, overwriting and reading ranges, and what two strings have in common.

A string that is edited becomes a `bytearray` once and is changed in place from then on. Lengths are
checked before anything is allocated, with integers that cannot overflow (the C server learnt that
from CVE-2022-35977 and CVE-2023-28425).
"""

from typing import Final

from ...slots.keyspec import key_range, one_key
from ..errors import (
    NOT_AN_INTEGER,
    OFFSET_OUT_OF_RANGE,
    STRING_TOO_LONG,
    SYNTAX,
    CommandError,
)
from ..registry import command
from ..resp.encoder import EMPTY_BULK, ZERO, array_header, bulk, integer
from ..session import ClientKind, Session
from ..values.lcs import CommonSubsequence, common_length, common_subsequence, fits_memory
from ..values.numbers import parse_integer
from .arguments import required_integer

_LCS_NOT_STRINGS: Final = CommandError(b"ERR The specified keys must contain string values")
_LCS_LENGTH_AND_MATCHES: Final = CommandError(
    b"ERR If you want both the length and indexes, please just use IDX."
)
_LCS_TOO_LARGE: Final = CommandError(
    b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
)


def check_string_length(session: Session, length_bytes: int) -> None:
    """Refuse a string that would be longer than allowed, except to the primary of this node."""
    if (
        length_bytes > session.machine.config.proto_max_bulk_len
        and session.kind is not ClientKind.MASTER
    ):
        raise STRING_TOO_LONG


@command(
    "APPEND",
    group="string",
    since="2.0.0",
    arity=3,
    flags="write denyoom fast",
    keys=(one_key(1, "RW", "INSERT"),),
    args="key value",
    complexity="O(1), spread over many calls",
)
def append(session: Session, args: list[bytes]) -> bytes:
    """Adds text to the end of a string."""
    db = session.db
    _, key, text = args
    value = db.string_for_write(key)
    if value is None:
        length = len(text)
        db.put(key, text)
    else:
        length = len(value) + len(text)
        check_string_length(session, length)
        if type(value) is bytearray:
            value += text
        else:
            db.put(key, bytearray(value) + text)
    db.changed(key, "$", b"append")
    return integer(length)


@command(
    "STRLEN",
    group="string",
    since="2.2.0",
    arity=2,
    flags="readonly fast",
    keys=(one_key(1, "RO"),),
    args="key",
)
def strlen(session: Session, args: list[bytes]) -> bytes:
    """Returns the length of a string in bytes."""
    value = session.db.string(args[1])
    return ZERO if value is None else integer(len(value))


@command(
    "SETRANGE",
    group="string",
    since="2.2.0",
    arity=4,
    flags="write denyoom",
    keys=(one_key(1, "RW", "UPDATE"),),
    args="key offset value",
    complexity="O(N), N bytes from the offset to the end of what is written",
)
def setrange(session: Session, args: list[bytes]) -> bytes:
    """Overwrites part of a string; zeros fill the room before an offset behind its end."""
    _, key, offset_text, text = args
    offset = required_integer(offset_text)
    if offset < 0:
        raise OFFSET_OUT_OF_RANGE
    db = session.db
    value = db.string_for_write(key)
    if not text:
        return ZERO if value is None else integer(len(value))
    end = offset + len(text)
    check_string_length(session, end)
    room = value if type(value) is bytearray else bytearray(value or b"")
    if len(room) < offset:
        room.extend(bytes(offset - len(room)))
    room[offset:end] = text
    if room is not value:
        db.put(key, room)
    db.changed(key, "$", b"setrange")
    return integer(len(room))


@command(
    "GETRANGE",
    group="string",
    since="2.4.0",
    arity=4,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key start end",
    complexity="O(N), N bytes returned",
)
def getrange(session: Session, args: list[bytes]) -> bytes:
    """Returns part of a string, both ends included; negative indexes count from the end."""
    start, end = parse_integer(args[2]), parse_integer(args[3])
    if start is None or end is None:
        raise NOT_AN_INTEGER
    value = session.db.string(args[1])
    if not value or (start < 0 and end < 0 and start > end):
        return EMPTY_BULK
    length = len(value)
    if start < 0:
        start = max(0, start + length)
    if end < 0:
        # An end before the beginning means the first byte, which surprises but is Redis' way.
        end = max(0, end + length)
    return bulk(value[start : end + 1]) if start <= end else EMPTY_BULK


@command(
    "SUBSTR",
    group="string",
    since="1.0.0",
    arity=4,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key start end",
    complexity="O(N), N bytes returned",
    deprecated=("2.0.0", "`GETRANGE`"),
)
def substr(session: Session, args: list[bytes]) -> bytes:
    """Returns part of a string: the old name of GETRANGE."""
    return getrange(session, args)


@command(
    "LCS",
    group="string",
    since="7.0.0",
    arity=-3,
    flags="readonly",
    keys=(key_range(1, "RO", "ACCESS", last=1),),
    args="key1:key key2:key [LEN] [IDX] [MINMATCHLEN min-match-len] [WITHMATCHLEN]",
    complexity="O(N*M), the lengths of both strings",
)
def lcs(session: Session, args: list[bytes]) -> bytes:
    """Finds the longest common subsequence of two strings."""
    db = session.db
    left, right = db.get(args[1]), db.get(args[2])
    for value in (left, right):
        if value is not None and type(value) is not bytes and type(value) is not bytearray:
            raise _LCS_NOT_STRINGS
    wants_length = wants_matches = wants_match_lengths = False
    shortest = 0
    position, count = 3, len(args)
    while position < count:
        word = args[position].upper()
        position += 1
        if word == b"LEN":
            wants_length = True
        elif word == b"IDX":
            wants_matches = True
        elif word == b"WITHMATCHLEN":
            wants_match_lengths = True
        elif word == b"MINMATCHLEN" and position < count:
            number = required_integer(args[position])
            shortest = number
            position += 1
        else:
            raise SYNTAX
    if wants_length and wants_matches:
        raise _LCS_LENGTH_AND_MATCHES
    one, other = bytes(left or b""), bytes(right or b"")
    if not fits_memory(len(one), len(other), session.machine.config.proto_max_bulk_len):
        raise _LCS_TOO_LARGE
    if wants_length:
        return integer(common_length(one, other))
    common = common_subsequence(one, other)
    if not wants_matches:
        return bulk(common.text)
    return session.encoder.map_header(2) + _matches_reply(common, shortest, wants_match_lengths)


def _matches_reply(common: CommonSubsequence, shortest: int, with_lengths: bool) -> bytes:
    matches = common.matches_of_length(shortest)
    parts = [bulk(b"matches"), array_header(len(matches))]
    for match in matches:
        parts.append(array_header(3 if with_lengths else 2))
        for start, end in (
            (match.left_start, match.left_end),
            (match.right_start, match.right_end),
        ):
            parts += (array_header(2), integer(start), integer(end))
        if with_lengths:
            parts.append(integer(match.length))
    parts += (bulk(b"len"), integer(common.length))
    return b"".join(parts)
