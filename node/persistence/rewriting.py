"""The data set as commands that build it: the base of an append-only log without a snapshot in it.

Everything goes as the commands that a person would expect, in portions; streams, and hashes with
lifetimes of single fields, go as RESTORE, since no short row of commands says all that they hold.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from ..database import Database
from ..keyspace import Keyspace
from ..propagation import encode_command
from ..values.hashvalue import HashValue
from ..values.limits import DEFAULT_LIMITS
from ..values.listvalue import ListValue
from ..values.numbers import format_double_17g
from ..values.packed import unpacked
from ..values.setvalue import SetValue
from ..values.zsetvalue import ZSetValue
from .rdb import encode_value

#: Elements in one command, as in Redis.
_PORTION: Final = 64


def write_commands(
    keyspace: Keyspace, functions: Sequence[bytes] = (), piece_bytes: int = 1 << 16
) -> Iterator[bytes]:
    """Everything, in pieces; the data must not change meanwhile."""
    parts = [encode_command((b"FUNCTION", b"LOAD", code)) for code in functions]
    size = sum(map(len, parts))
    for database in (*keyspace.existing(), *keyspace.staged):
        if not any(database.slots):
            continue
        parts.append(encode_command((b"SELECT", b"%d" % database.index)))
        for command in _commands_of(database):
            data = encode_command(command)
            parts.append(data)
            size += len(data)
            if size >= piece_bytes:
                yield b"".join(parts)
                parts.clear()
                size = 0
    yield b"".join(parts)


def _commands_of(database: Database) -> Iterator[Sequence[bytes]]:
    for values, lifetimes in zip(database.slots, database.volatile, strict=True):
        for key, kept in values.items():
            at_ms = lifetimes.get(key)
            value = unpacked(kept, DEFAULT_LIMITS)
            if _needs_restore(value):
                yield b"RESTORE", key, b"%d" % (at_ms or 0), encode_value(value), b"ABSTTL"
                continue
            yield from commands_for(key, value)
            if at_ms is not None:
                yield b"PEXPIREAT", key, b"%d" % at_ms


def _needs_restore(value: Any) -> bool:
    if type(value) is HashValue:
        return value.has_expiry
    return type(value) not in (bytes, bytearray, ListValue, SetValue, ZSetValue)


def commands_for(key: bytes, value: Any) -> Iterator[Sequence[bytes]]:
    """The commands that make one value."""
    kind = type(value)
    if kind is bytes or kind is bytearray:
        yield b"SET", key, bytes(value)
        return
    name: bytes
    words: Iterator[bytes]
    portion = _PORTION
    if kind is ListValue:
        name, words = b"RPUSH", iter(value)
    elif kind is SetValue:
        name, words = b"SADD", iter(value)
    elif kind is ZSetValue:
        portion *= 2
        name = b"ZADD"
        words = chain.from_iterable(
            (format_double_17g(score), member) for member, score in value.items()
        )
    else:
        portion *= 2
        name, words = b"HMSET", chain.from_iterable(value.items())
    while some := list(islice(words, portion)):
        yield name, key, *some
