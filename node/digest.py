"""DEBUG DIGEST: a fingerprint of the data that is the same on a real Redis with the same data.

Digests are SHA-1 sums, joined in two ways: `mix` where order matters, `join` (exclusive or) where
it does not. Each class of values has its own way, entered in a table.
"""

from collections.abc import Callable
from hashlib import sha1
from typing import TYPE_CHECKING, Any, Final

from .values.hashvalue import HashValue
from .values.limits import DEFAULT_LIMITS
from .values.listvalue import ListValue
from .values.numbers import format_double_17g
from .values.packed import unpacked
from .values.setvalue import SetValue
from .values.streamvalue import StreamValue
from .values.zsetvalue import ZSetValue

if TYPE_CHECKING:
    from .database import Database
    from .keyspace import Keyspace

_SIZE: Final = 20
#: What a key that does not exist has.
NOTHING: Final = bytes(_SIZE)

#: Takes the digest so far and a value; returns the digest with the value in it.
ValueDigest = Callable[[bytes, Any], bytes]


def join(digest: bytes, data: bytes) -> bytes:
    """Add data to a digest; the order of such additions does not matter."""
    return _exclusive_or(digest, sha1(data, usedforsecurity=False).digest())


def mix(digest: bytes, data: bytes) -> bytes:
    """Add data to a digest; the order matters."""
    return sha1(join(digest, data), usedforsecurity=False).digest()


def _exclusive_or(left: bytes, right: bytes) -> bytes:
    return (int.from_bytes(left) ^ int.from_bytes(right)).to_bytes(_SIZE)


# --- values
# ----------------------------------------------------------------------------------------


def _string(digest: bytes, value: bytes | bytearray) -> bytes:
    return mix(digest, bytes(value))


def _list(digest: bytes, value: ListValue) -> bytes:
    for element in value:
        digest = mix(digest, element)
    return digest


def _set(digest: bytes, value: SetValue) -> bytes:
    for member in value:
        digest = join(digest, member)
    return digest


def _sorted_set(digest: bytes, value: ZSetValue) -> bytes:
    for member, score in value.items():
        digest = join(digest, mix(mix(NOTHING, member), format_double_17g(score)))
    return digest


def _hash(digest: bytes, value: HashValue) -> bytes:
    for name, text in value.items():
        digest = join(digest, mix(mix(NOTHING, name), text))
    return digest


def _stream(digest: bytes, value: StreamValue) -> bytes:
    for (milliseconds, sequence), fields in value:
        digest = mix(digest, b"%d.%d" % (milliseconds, sequence))
        for word in fields:
            digest = mix(digest, word)
    return digest


#: Class -> (Redis' number of the type, how to add a value).
_VALUES: Final[dict[type, tuple[int, ValueDigest]]] = {
    bytes: (0, _string),
    bytearray: (0, _string),
    ListValue: (1, _list),
    SetValue: (2, _set),
    ZSetValue: (3, _sorted_set),
    HashValue: (4, _hash),
    StreamValue: (6, _stream),
}


def register(value_class: type, type_number: int, add: ValueDigest) -> None:
    """Enter a class of values into the table."""
    assert value_class not in _VALUES, value_class
    _VALUES[value_class] = (type_number, add)


# --- keys and databases
# ----------------------------------------------------------------------------


def value_digest(digest: bytes, value: object, has_lifetime: bool) -> bytes:
    """Add a value to a digest; of its lifetime only that there is one."""
    value = unpacked(value, DEFAULT_LIMITS)
    type_number, add = _VALUES[type(value)]
    digest = add(mix(digest, type_number.to_bytes(4)), value)
    return join(digest, b"!!expire!!") if has_lifetime else digest


def key_digest(database: "Database", key: bytes) -> bytes:
    """The digest of the value under a key, whatever the key is called."""
    # Not `peek`: a key that nobody removed yet counts, dead or alive.
    value = database.slots[database.slot_of(key)].get(key)
    if value is None:
        return NOTHING
    return value_digest(NOTHING, value, database.expiry(key) is not None)


def data_digest(keyspace: "Keyspace") -> bytes:
    """The digest of everything."""
    digest = NOTHING
    for database in keyspace.existing():
        if not database.key_count():
            continue
        digest = mix(digest, database.index.to_bytes(4))
        for slot, values in enumerate(database.slots):
            lifetimes = database.volatile[slot]
            for key, value in values.items():
                own = value_digest(mix(NOTHING, key), value, key in lifetimes)
                digest = join(digest, own)
    return digest
