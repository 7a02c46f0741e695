"""Values in plain types, whole snapshots from parts, and random values."""

from math import inf
from random import Random
from typing import Any, Final

from clustrio.node.database import Clock
from clustrio.node.keyspace import Keyspace
from clustrio.node.persistence.rdb import KeyspaceSink, ReadOptions, SnapshotReader, SnapshotSink
from clustrio.node.persistence.rdb.checksum import checksum
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.limits import DEFAULT_LIMITS
from clustrio.node.values.listvalue import ListValue
from clustrio.node.values.packed import unpacked
from clustrio.node.values.setvalue import SetValue
from clustrio.node.values.streamvalue import StreamValue
from clustrio.node.values.zsetvalue import ZSetValue


def plain(value: Any) -> Any:
    """A value in types that compare by what they hold."""
    value = unpacked(value, DEFAULT_LIMITS)
    if isinstance(value, bytes | bytearray):
        return bytes(value)
    if isinstance(value, SetValue):
        return set(value)
    if isinstance(value, ListValue | StreamValue):
        return list(value)
    assert isinstance(value, ZSetValue | HashValue)
    return dict(value)


def everything(value: Any) -> Any:
    """`plain`, and what else there is to a value."""
    value = unpacked(value, DEFAULT_LIMITS)
    if isinstance(value, HashValue):
        return plain(value), {field: value.maybe_expiry_ms(field) for field in value}
    if isinstance(value, StreamValue):
        groups = [
            (
                *(group.name, group.last_id, group.entries_read),
                [
                    (
                        entry_id,
                        pending.consumer.name,
                        pending.delivered_at_ms,
                        pending.delivery_count,
                    )
                    for entry_id, pending in group.pending.items()
                ],
                [(each.name, each.seen_time_ms) for each in group.sorted_consumers()],
            )
            for group in value.sorted_groups()
        ]
        counters = (value.length, value.first_id, value.last_id, value.max_deleted_id)
        return plain(value), counters, value.entries_added, groups
    return plain(value)


def seal(type_number: int, body: bytes, version: int = 10) -> bytes:
    """A payload of a type and what follows it."""
    data = bytes((type_number,)) + body + version.to_bytes(2, "little")
    return data + checksum(data).to_bytes(8, "little")


def snapshot(*parts: bytes, version: bytes = b"0010", sealed: bool = True) -> bytes:
    """A snapshot of everything between its header and its end."""
    data = b"REDIS" + version + b"".join(parts) + b"\xff"
    return data + (checksum(data).to_bytes(8, "little") if sealed else bytes(8))


def new_keyspace(clustered: bool = False) -> Keyspace:
    """An empty one."""
    return Keyspace(16, clustered, Clock(1000), Random(1))


class NotingSink(KeyspaceSink):
    """Keeps the libraries of functions, too."""

    def __init__(self, keyspace: Keyspace) -> None:
        super().__init__(keyspace, now_ms=1000, drop_expired=True, load_function=self._note)
        self.keyspace = keyspace
        self.functions: list[bytes] = []

    def _note(self, code: bytes) -> None:
        self.functions.append(code)


def load(data: bytes, piece_bytes: int = 1 << 20, **options: Any) -> NotingSink:
    """Read a snapshot into a new keyspace, which is `sink.keyspace` then."""
    keyspace = new_keyspace()
    sink = NotingSink(keyspace)
    read(data, sink, piece_bytes, **options)
    return sink


def read(data: bytes, sink: SnapshotSink, piece_bytes: int = 1 << 20, **options: Any) -> None:
    """Read a snapshot in pieces."""
    reader = SnapshotReader(ReadOptions(**options), sink)
    for start in range(0, len(data), piece_bytes):
        reader.feed(data[start : start + piece_bytes])
    reader.finish()
    assert reader.remainder == b""
    assert reader.consumed_bytes == len(data)


# --- random values
# -------------------------------------------------------------------------------

_NUMBERS: Final = (0, 12, 13, 63, 64, 127, 128, 4095, 4096, 32767, 32768, 8388607, 8388608)
_LARGE: Final = (2**31 - 1, 2**31, 2**63 - 1)


def random_text(random: Random, longest: int = 80) -> bytes:
    """Texts of all kinds: numbers at every edge, repetitions, noise; now and then long ones."""
    chance = random.randrange(10)
    if chance < 3:
        number = random.choice(_NUMBERS + _LARGE) + random.randint(-1, 1)
        return b"%d" % max(min(random.choice((number, -number)), 2**63 - 1), -(2**63))
    if chance == 3:
        return random.choice((b"", b"-0", b"007", b"+1", b"9223372036854775808", b"{tag}"))
    if chance == 4:
        return random.choice((b"ab", b"x", b"pattern ")) * random.randint(1, 400)
    size = random.choice((1, 5, 20, 62, 63, 64, longest, random.randrange(longest + 1)))
    return random.randbytes(size)


def random_value(random: Random) -> Any:
    """A value of any type, of any encoding."""
    return random.choice((_string, _list, _set, _zset, _hash, _stream))(random)


def _count(random: Random) -> int:
    return random.choice((1, 2, 5, 20, random.randint(1, 300)))


def _string(random: Random) -> bytes | bytearray:
    text = random_text(random, random.choice((80, 5000, 40_000)))
    return bytearray(text) if random.randrange(5) == 0 else text


def _list(random: Random) -> ListValue:
    value = ListValue([random_text(random) for _ in range(_count(random))])
    if random.randrange(5) == 0:
        value.push_left(random.randbytes(random.choice((4095, 4096, 16_370, 20_000))))
    return value


def _set(random: Random) -> SetValue:
    value = SetValue()
    only_integers = random.randrange(2)
    bits = random.choice((8, 16, 32, 62))
    for _ in range(_count(random)):
        number = random.randint(-(1 << bits), 1 << bits)
        value.insert(b"%d" % number if only_integers else random_text(random))
    return value


def _zset(random: Random) -> ZSetValue:
    value = ZSetValue()
    for _ in range(_count(random)):
        score = random.choice(
            (
                *(0.0, -0.0, 1.5, inf, -inf, 1e300, 5e-324, random.random()),
                *(float(random.randint(-(2**53), 2**53)), float(random.randrange(100))),
            )
        )
        value.put(random_text(random), score)
    return value


def _hash(random: Random) -> HashValue:
    value = HashValue()
    for _ in range(_count(random)):
        value.put(random_text(random), random_text(random))
    if random.randrange(3) == 0:
        for field in list(value):
            if random.randrange(2):
                value.expire_at(field, random.randint(2000, 2**45))
    return value


def _stream(random: Random) -> StreamValue:
    value = StreamValue()
    milliseconds, sequence = random.choice(((0, 1), (5, 5), (2**63 + 9, 3), (1_700_000_000_000, 0)))
    names = [b"name", b"number"]
    for _ in range(_count(random)):
        if random.randrange(3):
            sequence += random.choice((1, 1, 1000, 2**40))
        else:
            milliseconds += random.choice((1, 20, 10**6, 2**33))
            sequence = random.randrange(3)
        if random.randrange(6) == 0:
            names = [random_text(random) for _ in range(random.randint(1, 5))]
        fields = [text for name in names for text in (name, random_text(random))]
        value.append((milliseconds, sequence), tuple(fields))
    ids = [entry_id for entry_id, _ in value]
    for entry_id in random.sample(ids, len(ids) // random.choice((1, 2, 10, 1000))):
        value.delete(entry_id)
    for number in range(random.randrange(3)):
        _add_group(random, value, b"group%d" % number, ids)
    return value


def _add_group(
    random: Random, stream: StreamValue, name: bytes, ids: list[tuple[int, int]]
) -> None:
    group = stream.create_group(name, random.choice(ids), random.choice((None, 0, 7)))
    assert group is not None
    for number in range(random.randrange(4)):
        consumer = group.create_consumer(b"consumer%d" % number, random.randrange(2**42))
        assert consumer is not None
        for entry_id in random.sample(ids, len(ids) // 3):
            if entry_id not in group.pending:
                group.create_pending(entry_id, consumer, random.randrange(2**42), 3)
