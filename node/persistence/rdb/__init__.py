"""RDB: snapshots of the data set, and single values in the same form.

Reads what Redis 2.6 to 7.4 and Valkey 8 write; writes what Redis 7.0 reads. Everything here is pure
(bytes in, bytes out) and trusts no byte: what is damaged raises `CorruptSnapshotError`.
"""

from .errors import CorruptSnapshotError, DamagedError, DuplicateKeyError
from .options import ReadOptions, SnapshotSink
from .payload import PayloadSealError, decode_value_untrusted, encode_value
from .reader import SnapshotReader
from .sink import KeyspaceSink
from .writer import SnapshotFacts, write_snapshot

__all__ = [
    "CorruptSnapshotError",
    "DamagedError",
    "DuplicateKeyError",
    "KeyspaceSink",
    "PayloadSealError",
    "ReadOptions",
    "SnapshotFacts",
    "SnapshotReader",
    "SnapshotSink",
    "decode_value_untrusted",
    "encode_value",
    "write_snapshot",
]
