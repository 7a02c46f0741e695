"""Broken bytes: a clear error or a good value, in bounded time, and nothing else ever."""

import tracemalloc
from random import Random
from time import perf_counter

import pytest

from clustrio.node.digest import key_digest
from clustrio.node.persistence.rdb import (
    CorruptSnapshotError,
    PayloadSealError,
    ReadOptions,
    SnapshotFacts,
    SnapshotReader,
    SnapshotSink,
    decode_value_untrusted,
    encode_value,
    write_snapshot,
)

from ...harness import Failure, MemoryNode
from .harness import load, new_keyspace, random_value, snapshot
from .samples import DUMPED, Sample

#: A mutated payload of a few hundred bytes never takes longer.
_SECONDS_MAX = 1.0
_BYTES_MAX = 50_000_000
#: More `--fuzz-inputs` than ordinary are as many payloads.
_ORDINARY = 5000
#: Lengths that nothing has.
_HUGE = (b"\x81" + b"\xff" * 8, b"\x80\x7f\xff\xff\xff")


@pytest.mark.parametrize("sample", DUMPED, ids=lambda sample: sample.name)
def test_every_flipped_byte_is_noticed_by_the_checksum(sample: Sample) -> None:
    payload = sample.payload
    for place in range(len(payload)):
        broken = bytearray(payload)
        broken[place] ^= 1 << place % 8
        with pytest.raises(PayloadSealError):
            decode_value_untrusted(bytes(broken))


@pytest.mark.parametrize("sample", DUMPED, ids=lambda sample: sample.name)
def test_every_flipped_byte_without_a_checksum_is_an_error_or_a_value(sample: Sample) -> None:
    payload = sample.payload
    for place in range(len(payload) - 10):
        for flip in (1, 0x10, 0x80, 0xFF):
            broken = bytearray(payload)
            broken[place] ^= flip
            assert read_or_refuse(bytes(broken))


@pytest.mark.parametrize("sample", DUMPED, ids=lambda sample: sample.name)
def test_every_truncation_is_an_error(sample: Sample) -> None:
    body, footer = sample.payload[:-10], sample.payload[-10:]
    for size in range(len(body)):
        with pytest.raises(CorruptSnapshotError):
            decode_value_untrusted(body[:size] + footer, check_checksum=False)


def read_or_refuse(payload: bytes) -> bool:
    """Whether a payload is read, and can be written then, or refused as it should be."""
    try:
        value = decode_value_untrusted(payload, check_checksum=False)
    except CorruptSnapshotError as failure:
        return _is_told_well(failure, len(payload))
    decode_value_untrusted(encode_value(value))
    return True


def _is_told_well(failure: CorruptSnapshotError, size: int) -> bool:
    return bool(failure.reason) and 0 <= failure.offset <= size


def mutated(payload: bytes, random: Random) -> bytes:
    """A payload with some damage before its seal."""
    broken = bytearray(payload[:-10])
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(broken)) if broken else 0
        chance = random.randrange(6)
        if chance == 0:
            del broken[place : place + random.randint(1, 8)]
        elif chance == 1:
            broken[place:place] = random.randbytes(random.randint(1, 8))
        elif chance == 2:
            broken[place : place + 1] = random.choice(
                (b"\x81" + b"\xff" * 8, b"\x80\x7f\xff\xff\xff")
            )
        elif chance == 3:
            broken[place : place + 4] = b"\xff\xff\xff\xff"
        elif broken:
            broken[place % len(broken)] = random.randrange(256)
    return bytes(broken) + payload[-10:]


def test_mutated_restores_leave_the_server_as_it_was(request: pytest.FixtureRequest) -> None:
    asked = request.config.option.fuzz_inputs
    count = asked if asked > _ORDINARY else 2000
    random = Random(request.config.option.seed)
    node = MemoryNode()
    # Its record of effects would be most of the memory.
    node.observe(False)
    node.machine.debug_switches.skip_checksums = True
    payloads = [sample.payload for sample in DUMPED]
    payloads += [encode_value(random_value(random)) for _ in range(40)]
    refused = 0
    database = node.machine.keyspace.database(0)
    tracemalloc.start()
    try:
        for _ in range(count):
            payload = mutated(random.choice(payloads), random)
            start = perf_counter()
            reply = node.call("RESTORE", "key", 0, payload)
            assert perf_counter() - start < _SECONDS_MAX * 20, payload.hex()
            if reply == "OK":
                assert node.call("EXISTS", "key") == 1
                # What was let in can be used.
                assert not isinstance(node.call("DUMP", "key"), Failure)
                key_digest(database, b"key")
                node.call("DEL", "key")
            else:
                refused += 1
                assert reply == Failure("ERR Bad data format"), payload.hex()
                assert node.call("DBSIZE") == 0
        assert tracemalloc.get_traced_memory()[1] < _BYTES_MAX
    finally:
        tracemalloc.stop()
    assert count // 4 < refused < count


def _small_snapshot() -> bytes:
    keyspace = new_keyspace()
    random = Random(7)
    database = keyspace.database(0)
    for number in range(6):
        database.set(b"key%d" % number, random_value(random))
    database.set(b"text", b"value")
    database.expire_at(b"text", 10**12)
    return b"".join(write_snapshot(keyspace, SnapshotFacts(1), functions=[b"#!lua name=x\n"]))


def test_every_flipped_byte_of_a_snapshot_is_noticed() -> None:
    data = _small_snapshot()
    assert load(data).loaded_count == 7
    random = Random(1)
    for place in random.sample(range(len(data) - 8), 300):
        broken = bytearray(data)
        broken[place] ^= random.randint(1, 255)
        reader = SnapshotReader(ReadOptions(total_bytes=len(data)), SnapshotSink())
        with pytest.raises(CorruptSnapshotError):
            feed(reader, bytes(broken))


def feed(reader: SnapshotReader, data: bytes) -> None:
    reader.feed(data)
    reader.finish()
    if reader.remainder:
        raise CorruptSnapshotError(reader.consumed_bytes, "something follows")


def test_flipped_bytes_of_a_snapshot_without_a_checksum_are_an_error_or_nothing() -> None:
    data = _small_snapshot()[:-8] + bytes(8)
    random = Random(1)
    for place in random.sample(range(len(data) - 8), 300):
        broken = bytearray(data)
        broken[place] ^= random.randint(1, 255)
        reader = SnapshotReader(ReadOptions(total_bytes=len(data)), SnapshotSink())
        assert is_read_or_refused(reader, bytes(broken))


def is_read_or_refused(reader: SnapshotReader, data: bytes) -> bool:
    try:
        feed(reader, data)
    except CorruptSnapshotError as failure:
        return _is_told_well(failure, len(data))
    return True


def test_every_truncation_of_a_snapshot_is_noticed() -> None:
    data = snapshot(b"\xfe\x00", b"\x00\x01a\x01b", b"\xfc" + bytes(8), b"\x00\x01c\x01d")
    for size in range(len(data)):
        with pytest.raises(CorruptSnapshotError, match=r"cut off"):
            load(data[:size])
