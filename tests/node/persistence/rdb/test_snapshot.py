"""Whole snapshots: every part there is, in pieces of any size, there and back."""

from random import Random
from typing import Any

import pytest

from clustrio.node.digest import data_digest
from clustrio.node.errors import CommandError
from clustrio.node.keyspace import Keyspace
from clustrio.node.persistence.rdb import (
    CorruptSnapshotError,
    KeyspaceSink,
    ReadOptions,
    SnapshotFacts,
    SnapshotReader,
    SnapshotSink,
    write_snapshot,
)
from clustrio.node.persistence.rdb.lengths import encode_length
from clustrio.node.persistence.rdb.values_read import ReadValue
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.setvalue import SetValue

from .harness import everything, load, new_keyspace, random_text, random_value, read, snapshot

_STRING_A = b"\x00\x01a\x01x"
_MODULE = (
    encode_length(int.from_bytes(b"\x01" * 8))
    + b"\x02\x07\x01\x05\x05\x03abc\x03\0\0\0\0\x04"
    + bytes(8)
    + b"\0"
)


class Recorder(SnapshotSink):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[object, ...]] = []

    def on_version(self, version: int) -> None:
        self.told.append(("version", version))

    def on_aux(self, name: bytes, value: bytes) -> None:
        self.told.append(("aux", name, value))

    def on_function(self, code: bytes) -> None:
        self.told.append(("function", code))

    def on_resize(self, database: int, keys: int, expires: int) -> None:
        self.told.append(("resize", database, keys, expires))

    def on_slot_info(self, database: int, slot: int, keys: int, expires: int) -> None:
        self.told.append(("slot", database, slot, keys, expires))

    def on_module(self, name: str, key: bytes | None) -> None:
        self.told.append(("module", key))

    def on_empty(self, database: int, key: bytes) -> None:
        self.told.append(("empty", database, key))

    def on_key(
        self,
        database: int,
        key: bytes,
        value: ReadValue,
        expire_at_ms: int | None,
        idle_s: int | None,
        frequency: int | None,
    ) -> None:
        self.told.append((database, key, everything(value), expire_at_ms, idle_s, frequency))


def told_of(data: bytes, piece_bytes: int = 1 << 20, **options: object) -> list[tuple[object, ...]]:
    recorder = Recorder()
    read(data, recorder, piece_bytes, **options)
    return recorder.told


EVERYTHING = snapshot(
    b"\xfa\x09redis-ver\x067.0.15",
    b"\xfa\x05ctime\xc2\x01\x02\x03\x04",
    b"\xf5\x03fun",
    b"\xfe\x00\xfb\x03\x01",
    _STRING_A,
    b"\xfd\x10\x00\x00\x00" + b"\x00\x01b\xc0\x05",
    b"\xfc\x11" + bytes(7) + b"\xf8\x40\x50" + b"\x00\x01c\x00",
    b"\xf9\x07" + b"\x00\xc1\x10\x27\x01y",
    b"\xfe\x0f\xf4\x05\x06\x07",
    b"\x02\x05empty\x00",
    b"\x01\x04list\x01\x01e",
    b"\x00\x40\x50" + b"k" * 80 + b"\x40\x51" + b"v" * 81,
)
TOLD = [
    ("version", 10),
    ("aux", b"redis-ver", b"7.0.15"),
    ("aux", b"ctime", b"%d" % 0x04030201),
    ("function", b"fun"),
    ("resize", 0, 3, 1),
    (0, b"a", b"x", None, None, None),
    (0, b"b", b"5", 16_000, None, None),
    (0, b"c", b"", 0x11, 0x50, None),
    (0, b"10000", b"y", None, None, 7),
    ("slot", 15, 5, 6, 7),
    ("empty", 15, b"empty"),
    (15, b"list", [b"e"], None, None, None),
    (15, b"k" * 80, b"v" * 81, None, None, None),
]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 50, 10_000])
def test_every_part_is_told_of_whatever_the_pieces(piece_bytes: int) -> None:
    assert told_of(EVERYTHING, piece_bytes) == TOLD


def test_what_follows_the_end_is_kept() -> None:
    for cut in (5, len(EVERYTHING) - 1, len(EVERYTHING), len(EVERYTHING) + 3):
        data = EVERYTHING + b"*1\r\n$4\r\nPING\r\n"
        reader = SnapshotReader(ReadOptions(), Recorder())
        reader.feed(data[:cut])
        reader.feed(memoryview(data)[cut:])
        assert reader.is_done
        reader.finish()
        assert reader.remainder == data[len(EVERYTHING) :]


@pytest.mark.parametrize("version", [b"0001", b"0004"])
def test_old_snapshots_end_without_a_checksum(version: bytes) -> None:
    data = snapshot(b"\xfe\x00", _STRING_A, version=version)[:-8]
    assert told_of(data)[-1] == (0, b"a", b"x", None, None, None)


def test_a_checksum_of_zero_is_none_and_a_wrong_one_can_be_ignored() -> None:
    assert len(told_of(snapshot(_STRING_A, sealed=False))) == 2
    broken = snapshot(_STRING_A)[:-1] + b"\x01"
    with pytest.raises(CorruptSnapshotError, match="checksum") as caught:
        told_of(broken)
    assert caught.value.offset == len(broken) - 8
    assert len(told_of(broken, check_checksum=False)) == 2


@pytest.mark.parametrize(
    ("data", "offset", "reason"),
    [
        (b"RADIS0010", 0, "signature"),
        (b"REDIS00x0", 0, "signature"),
        (b"REDIS0013", 9, "version 13"),
        (b"REDIS0000", 9, "version 0"),
        (snapshot(b"\xf6\x01x"), 10, "release candidates"),
        (snapshot(b"\x07\x01k" + _MODULE), 21, "modules"),
        (snapshot(b"\xfe\x10"), 11, "no database 16"),
        (snapshot(_STRING_A, _STRING_A), None, "twice"),
        (snapshot(b"\x01\x01a\x01\x01e", _STRING_A), None, "twice"),
        (snapshot(b"\x1a\x01a\x01"), 12, "unknown type 26"),
        (snapshot(b"\x00\x01k\x80\x00\x01\x00\x00abc"), 9, "longer than the snapshot"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(
    data: bytes, offset: int | None, reason: str
) -> None:
    with pytest.raises(CorruptSnapshotError, match=reason) as caught:
        load(data, database_count=16, total_bytes=len(data))
    assert offset is None or caught.value.offset == offset


def test_modules_are_passed_over_when_asked() -> None:
    data = snapshot(b"\xf7" + _MODULE, b"\xfc" + bytes(8), b"\x07\x01k" + _MODULE, _STRING_A)
    assert told_of(data, skips_modules=True)[1:] == [
        ("module", None),
        ("module", b"k"),
        # The lifetime was that of the module's key.
        (0, b"a", b"x", None, None, None),
    ]
    with pytest.raises(CorruptSnapshotError, match="modules"):
        told_of(data)


def test_a_value_cut_into_many_pieces_is_not_looked_through_for_each() -> None:
    member_count = 40_000
    members = b"".join(b"\x10%016d" % number for number in range(member_count))
    data = snapshot(b"\x02\x03set" + encode_length(member_count) + members)
    told = told_of(data, 512)
    assert len(told[1][2]) == member_count  # type: ignore[arg-type]


# --- there and back
# ------------------------------------------------------------------------------


def filled(seed: int, count: int) -> Keyspace:
    keyspace = new_keyspace()
    random = Random(seed)
    for number in range(count):
        database = keyspace.database(random.choice((0, 0, 0, 3, 9)))
        key = random_text(random, 200)
        database.set(key, random_value(random) if number % 3 else random_text(random))
        if random.randrange(4) == 0:
            database.expire_at(key, random.choice((1001, 5000, 2**40)))
    return keyspace


@pytest.mark.parametrize("seed", range(12))
def test_all_data_comes_back(seed: int) -> None:
    keyspace = filled(seed, 60)
    pieces = list(
        write_snapshot(keyspace, SnapshotFacts(5), compress=bool(seed % 2), piece_bytes=1 << 12)
    )
    sink = load(b"".join(pieces), piece_bytes=1 + 997 * (seed % 5))
    assert data_digest(sink.keyspace) == data_digest(keyspace)
    for database in keyspace.existing():
        other = sink.keyspace.database(database.index)
        assert other.volatile == database.volatile
        assert other.volatile_count == database.volatile_count
        for mine, theirs in zip(database.slots, other.slots, strict=True):
            assert {key: everything(value) for key, value in mine.items()} == {
                key: everything(value) for key, value in theirs.items()
            }


def test_pieces_are_about_as_large_as_asked_for() -> None:
    keyspace = new_keyspace()
    database = keyspace.database(0)
    for number in range(5000):
        database.set(b"key:%012d" % number, b"x" * 40)
    pieces = list(write_snapshot(keyspace, SnapshotFacts(), piece_bytes=10_000))
    assert all(9_900 < len(piece) < 10_100 for piece in pieces[2:-3])


def test_facts_and_functions_stand_in_front() -> None:
    keyspace = new_keyspace()
    facts = SnapshotFacts(
        created_s=7,
        used_memory_bytes=8,
        version=b"7.2.5",
        replication_id=b"f" * 40,
        replication_offset=99,
        replication_database=2,
        is_aof_base=True,
    )
    sink = load(b"".join(write_snapshot(keyspace, facts, functions=[b"one", b"two"])))
    assert sink.facts == {
        b"redis-ver": b"7.2.5",
        b"redis-bits": b"64",
        b"ctime": b"7",
        b"used-mem": b"8",
        b"repl-stream-db": b"2",
        b"repl-id": b"f" * 40,
        b"repl-offset": b"99",
        b"aof-base": b"1",
    }
    assert sink.functions == [b"one", b"two"]


def test_the_version_is_ten_unless_a_field_has_a_lifetime() -> None:
    keyspace = new_keyspace()
    database = keyspace.database(0)
    value = HashValue()
    value.put(b"field", b"x")
    database.set(b"hash", value)
    database.set(b"set", SetValue.from_members([b"a"]))
    assert b"".join(write_snapshot(keyspace, SnapshotFacts())).startswith(b"REDIS0010")
    value.expire_at(b"field", 5000)
    assert b"".join(write_snapshot(keyspace, SnapshotFacts())).startswith(b"REDIS0012")
    slot = database.slot_of(b"set")
    assert b"".join(write_snapshot(keyspace, SnapshotFacts(), slots=[slot])).startswith(
        b"REDIS0010"
    )


def test_only_some_slots_are_written() -> None:
    keyspace = new_keyspace()
    database = keyspace.database(0)
    for number in range(300):
        database.set(b"key%d" % number, b"x")
    database.expire_at(b"key1", 5000)
    wanted = {database.slot_of(b"key1"), database.slot_of(b"key2")}
    sink = load(b"".join(write_snapshot(keyspace, SnapshotFacts(), slots=wanted)))
    assert sink.keyspace.database(0).key_count() == len(wanted)
    assert sink.keyspace.database(0).expiry(b"key1") == 5000
    assert b"\xfe" not in b"".join(write_snapshot(keyspace, SnapshotFacts(), slots=[]))[9:-9]


def test_no_checksum_is_written_as_zero() -> None:
    keyspace = filled(1, 5)
    data = b"".join(write_snapshot(keyspace, SnapshotFacts(), checksum=False))
    assert data[-8:] == bytes(8)
    assert data_digest(load(data).keyspace) == data_digest(keyspace)


def test_dead_keys_are_left_out_by_a_primary_only() -> None:
    data = snapshot(
        b"\xfc\xe7\x03" + bytes(6) + _STRING_A, b"\xfc\xe8\x03" + bytes(6) + b"\x00\x01b\x01y"
    )
    for drops, expected in ((True, [b"b"]), (False, [b"a", b"b"])):
        keyspace = new_keyspace()
        sink = KeyspaceSink(keyspace, now_ms=1000, drop_expired=drops)
        read(data, sink)
        keys = [key for values in keyspace.database(0).slots for key in values]
        assert sorted(keys) == expected
        assert sink.expired_count == 2 - len(expected)
        assert sink.loaded_count == len(expected)


def test_functions_that_cannot_be_loaded_stop_the_load() -> None:
    def refuse(code: bytes) -> None:
        raise CommandError(b"ERR Missing library metadata")

    data = snapshot(b"\xf5\x03fun")
    for load_function, reason in ((None, "loaded here"), (refuse, "Missing library")):
        sink = KeyspaceSink(
            new_keyspace(), now_ms=0, drop_expired=True, load_function=load_function
        )
        with pytest.raises(CorruptSnapshotError, match=reason):
            read(data, sink)


def test_old_keys_may_be_replaced() -> None:
    keyspace = new_keyspace()
    database = keyspace.database(0)
    for key in (b"a", b"list"):
        database.set(key, b"old")
        database.expire_at(key, 9000)
    sink = KeyspaceSink(keyspace, now_ms=1000, drop_expired=True, replaces=True)
    read(snapshot(_STRING_A, b"\x01\x04list\x01\x01e"), sink)
    assert database.get(b"a") == b"x"
    value: Any = database.get(b"list")
    assert list(value) == [b"e"]
    assert database.volatile_count == 0


def test_meters_and_tags_are_minded() -> None:
    keyspace = new_keyspace()
    keyspace.database(0)
    keyspace.keep_meters(True)
    data = snapshot(_STRING_A, b"\x00\x06{a}tag\x01x", b"\x00\x06x{a}y}\x01z")
    read(data, KeyspaceSink(keyspace, now_ms=1000, drop_expired=True))
    assert keyspace.metered_bytes() > 0
    database = keyspace.database(0)
    assert database.slot_of(b"{a}tag") == database.slot_of(b"a")
    assert [database.get(key) for key in (b"a", b"{a}tag", b"x{a}y}")] == [b"x", b"x", b"z"]
    keyspace.keep_meters(False)
