"""Writing a snapshot, piece by piece.

The data must not change meanwhile: a forked child writes, or nobody else runs. Version 10 is what
is written, which Redis 7.0 reads, unless there are hash fields with lifetimes.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from attrs import frozen

from ...database import Database
from ...keyspace import Keyspace
from ...values.hashvalue import HashValue
from ...version import REDIS_VERSION
from .checksum import checksum as crc
from .lengths import encode_length, encode_milliseconds, encode_string
from .lzf import SHORTEST
from .opcodes import (
    AUX,
    CHECKSUM_BYTES,
    END,
    EXPIRE_MS,
    FIELD_EXPIRY_VERSION,
    FREQUENCY,
    FUNCTION,
    IDLE,
    MAGIC,
    RESIZE_DATABASE,
    SELECT_DATABASE,
    WRITTEN_VERSION,
)
from .values_write import encode_body, needs_field_expiry

#: Shorter strings may be integers, longer ones may be compressed; these are written as they are.
_PLAIN_FROM: Final = 12
_PLAIN_TO: Final = SHORTEST
_NINE: Final = 0x39
_LENGTHS: Final = tuple(map(encode_length, range(_PLAIN_TO)))
#: A string with such a key: type and length of the key.
_HEADS: Final = tuple(b"\0" + length for length in _LENGTHS)


#: The name of the fact that only this project knows.
NODE_ID_FACT: Final = b"clustrio-node-id"


@frozen
class SnapshotFacts:
    """What a snapshot says of the node that wrote it."""

    created_s: int = 0
    used_memory_bytes: int = 0
    version: bytes = REDIS_VERSION.encode()
    #: The history of the data, for partial synchronisation after a restart.
    replication_id: bytes | None = None
    replication_offset: int = 0
    replication_database: int = 0
    #: Whether an append-only file goes on from here.
    is_aof_base: bool = False
    #: Which node of a cluster wrote it; others do not look at a name that they do not know.
    node_id: bytes | None = None

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Names and values, in Redis' order."""
        fields = [
            (b"redis-ver", self.version),
            (b"redis-bits", b"64"),
            (b"ctime", b"%d" % self.created_s),
            (b"used-mem", b"%d" % self.used_memory_bytes),
        ]
        if self.replication_id is not None:
            fields += [
                (b"repl-stream-db", b"%d" % self.replication_database),
                (b"repl-id", self.replication_id),
                (b"repl-offset", b"%d" % self.replication_offset),
            ]
        fields.append((b"aof-base", b"%d" % self.is_aof_base))
        if self.node_id is not None:
            fields.append((NODE_ID_FACT, self.node_id))
        return fields


def write_snapshot(
    keyspace: Keyspace,
    facts: SnapshotFacts,
    *,
    compress: bool = True,
    checksum: bool = True,
    functions: Sequence[bytes] = (),
    slots: Collection[int] | None = None,
    piece_bytes: int = 1 << 16,
) -> Iterator[bytes]:
    """A whole snapshot, of all keys or those of some slots, in pieces of about `piece_bytes`."""
    total = 0
    for piece in _pieces(keyspace, facts, compress, functions, slots, piece_bytes):
        if checksum:
            total = crc(piece, total)
        yield piece
    yield total.to_bytes(CHECKSUM_BYTES, "little")


def _pieces(
    keyspace: Keyspace,
    facts: SnapshotFacts,
    compress: bool,
    functions: Sequence[bytes],
    slots: Collection[int] | None,
    piece_bytes: int,
) -> Iterator[bytes]:
    """Everything but the checksum."""
    everything = [*keyspace.existing(), *keyspace.staged]
    databases = [(database, _chosen_slots(database, slots)) for database in everything]
    head = [b"%b%04d" % (MAGIC, _version_for(databases))]
    for name, value in facts.fields():
        head += [bytes((AUX,)), encode_string(name, compress), encode_string(value, compress)]
    for code in functions:
        head += [bytes((FUNCTION,)), encode_string(code, compress)]
    yield b"".join(head)
    for database, numbers in databases:
        if numbers:
            yield _database_head(database, numbers)
            yield from _DatabaseWriter(database, compress, piece_bytes).pieces(numbers)
    yield bytes((END,))


def _chosen_slots(database: Database, slots: Collection[int] | None) -> list[int]:
    """The slots that have keys to write."""
    values = database.slots
    numbers = range(len(values)) if slots is None else sorted(slots)
    return [number for number in numbers if values[number]]


def _version_for(databases: list[tuple[Database, list[int]]]) -> int:
    """The version that the newest value needs."""
    for database, numbers in databases:
        for number in numbers:
            values = database.slots[number].values()
            if HashValue in set(map(type, values)) and any(map(needs_field_expiry, values)):
                return FIELD_EXPIRY_VERSION
    return WRITTEN_VERSION


def _database_head(database: Database, numbers: list[int]) -> bytes:
    keys = sum(len(database.slots[number]) for number in numbers)
    expires = sum(len(database.volatile[number]) for number in numbers)
    return b"%c%b%c%b%b" % (
        SELECT_DATABASE,
        encode_length(database.index),
        RESIZE_DATABASE,
        encode_length(keys),
        encode_length(expires),
    )


class _DatabaseWriter:
    """Writes the keys of one database."""

    def __init__(self, database: Database, compress: bool, piece_bytes: int) -> None:
        self._database = database
        self._compress = compress
        self._piece_bytes = piece_bytes

    def pieces(self, numbers: list[int]) -> Iterator[bytes]:
        """All keys of some slots."""
        database = self._database
        parts: list[bytes] = []
        size = 0
        for number in numbers:
            lifetimes = database.volatile[number]
            plain = not lifetimes and database.access is None
            for key, value in database.slots[number].items():
                if plain and type(value) is bytes:
                    # Almost all keys of most large data sets end here.
                    key_size, value_size = len(key), len(value)
                    if (
                        _PLAIN_FROM <= key_size < _PLAIN_TO
                        or (key_size < _PLAIN_TO and key_size and key[0] > _NINE)
                    ) and (
                        _PLAIN_FROM <= value_size < _PLAIN_TO
                        or (value_size < _PLAIN_TO and value_size and value[0] > _NINE)
                    ):
                        parts += (_HEADS[key_size], key, _LENGTHS[value_size], value)
                        size += key_size + value_size + 3
                        if size >= self._piece_bytes:
                            yield b"".join(parts)
                            parts.clear()
                            size = 0
                        continue
                encoded = self._encode(number, key, value, lifetimes.get(key))
                parts.append(encoded)
                size += len(encoded)
                if size >= self._piece_bytes:
                    yield b"".join(parts)
                    parts.clear()
                    size = 0
        if parts:
            yield b"".join(parts)

    def _encode(self, number: int, key: bytes, value: Any, expire_at_ms: int | None) -> bytes:
        """One key with all that is known of it."""
        parts: list[bytes] = []
        if expire_at_ms is not None:
            parts.append(bytes((EXPIRE_MS,)) + encode_milliseconds(expire_at_ms))
        access = self._database.access
        if access is not None:
            if access.counts_uses:
                parts.append(bytes((FREQUENCY, access.frequency(number, key))))
            else:
                idle_s = access.idle_ms(number, key) // 1000
                parts.append(bytes((IDLE,)) + encode_length(idle_s))
        type_number, body = encode_body(value, self._compress)
        parts += [bytes((type_number,)), encode_string(key, self._compress), body]
        return b"".join(parts)
