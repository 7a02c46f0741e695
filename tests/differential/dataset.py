"""The whole data set of a server, read through ordinary commands.

Every aspect of every key stands at a place of its own, `(database, key, aspect)`, so that a
difference can be named. What a hash table returns is sorted; a time to live is rounded to what two
servers that got the same commands a moment apart can agree on."""

from collections.abc import Sequence
from typing import Final

from ..support.raw import RawClient, Reply
from .agreement import CLOCK_TOLERANCE_MS, NEWER_ENCODINGS, STRING_ENCODINGS

DATABASES: Final = 16
Place = tuple[int, bytes, str]

_READERS: Final[dict[bytes, tuple[bytes, ...]]] = {
    b"string": (b"GET",),
    b"list": (b"LRANGE", b"0", b"-1"),
    b"set": (b"SMEMBERS",),
    b"hash": (b"HGETALL",),
    b"zset": (b"ZRANGE", b"0", b"-1", b"WITHSCORES"),
    b"stream": (b"XRANGE", b"-", b"+"),
}


class Lifetime:
    """A time to live; equal to another one within the tolerance."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, milliseconds: int) -> None:
        self.milliseconds = milliseconds

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Lifetime):
            return NotImplemented
        if min(self.milliseconds, other.milliseconds) < 0:
            return self.milliseconds == other.milliseconds
        return abs(self.milliseconds - other.milliseconds) <= CLOCK_TOLERANCE_MS

    def __str__(self) -> str:
        return f"PTTL {self.milliseconds}"


def dump(client: RawClient) -> dict[Place, object]:
    """Read everything."""
    places: dict[Place, object] = {}
    selects = [[b"SELECT", b"%d" % database] for database in range(DATABASES)]
    commands = [words for select in selects for words in (select, [b"KEYS", b"*"], [b"DBSIZE"])]
    replies = client.pipeline(commands)
    for database in range(DATABASES):
        listing, size = replies[database * 3 + 1], replies[database * 3 + 2]
        places[database, b"", "DBSIZE"] = size
        if isinstance(listing.value, tuple) and listing.value:
            keys = sorted(reply.text for reply in listing.value)
            client.call("SELECT", database)
            places[database, b"", "keys by SCAN"] = _scan(client)
            _dump_keys(client, database, keys, places)
    return places


def _scan(client: RawClient) -> list[bytes]:
    cursor, found = b"0", set[bytes]()
    for _ in range(10_000):
        page = client.call("SCAN", cursor, "COUNT", 7).items
        cursor = page[0].text
        found |= {reply.text for reply in page[1].items}
        if cursor == b"0":
            return sorted(found)
    raise AssertionError("a SCAN never ended")


def _dump_keys(
    client: RawClient, database: int, keys: Sequence[bytes], places: dict[Place, object]
) -> None:
    types = client.pipeline([[b"TYPE", key] for key in keys])
    lifetimes = client.pipeline([[b"PTTL", key] for key in keys])
    encodings = client.pipeline([[b"OBJECT", b"ENCODING", key] for key in keys])
    readers = [_READERS.get(kind.text, (b"TYPE",)) for kind in types]
    contents = client.pipeline(
        [[reader[0], key, *reader[1:]] for reader, key in zip(readers, keys, strict=True)]
    )
    for position, key in enumerate(keys):
        kind = types[position].text
        places[database, key, "type"] = kind
        encoding = encodings[position].value
        if encoding == b"listpack":
            encoding = NEWER_ENCODINGS.get(kind, encoding)
        if encoding not in STRING_ENCODINGS:
            places[database, key, "encoding"] = encoding
        places[database, key, "lifetime"] = Lifetime(lifetimes[position].number)
        places[database, key, "content"] = _in_order(kind, contents[position])


def _in_order(kind: bytes, content: Reply) -> object:
    if kind == b"set":
        return sorted(reply.text for reply in content.items)
    if kind == b"hash":
        texts = [reply.text for reply in content.items]
        return sorted(zip(texts[::2], texts[1::2], strict=True))
    if kind == b"zset":
        texts = [reply.text for reply in content.items]
        # Versions of Redis print the same score in different ways.
        return [
            (text, repr(float(score))) for text, score in zip(texts[::2], texts[1::2], strict=True)
        ]
    return content
