"""Snapshots and payloads, between Clustrio and a real redis-server, in both directions."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from clustrio.node.database import Clock
from clustrio.node.digest import data_digest
from clustrio.node.keyspace import Keyspace
from clustrio.node.persistence.rdb import (
    KeyspaceSink,
    ReadOptions,
    SnapshotFacts,
    SnapshotReader,
    decode_value_untrusted,
    encode_value,
    write_snapshot,
)
from clustrio.node.values.hashvalue import HashValue

from ..node.persistence.rdb.harness import everything, random_text, random_value, seal
from ..node.persistence.rdb.test_payload import OLD_AND_NEW
from ..support.raw import RawClient
from ..support.servers import ServerProcess, client_of, start_clustrio, start_redis

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

NOW_MS = 1_700_000_000_000
FAR_MS = 4_000_000_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with start_redis("--enable-debug-command", "yes", "--dbfilename", "dump.rdb") as process:
        yield process


@pytest.fixture
def redis(server: ServerProcess) -> Iterator[RawClient]:
    with client_of(server) as client:
        client.call("FLUSHALL")
        yield client


def new_keyspace() -> Keyspace:
    return Keyspace(16, False, Clock(NOW_MS), Random(1))


def load(data: bytes) -> Keyspace:
    keyspace = new_keyspace()
    reader = SnapshotReader(
        ReadOptions(total_bytes=len(data)),
        KeyspaceSink(keyspace, now_ms=NOW_MS, drop_expired=False),
    )
    for start in range(0, len(data), 10_000):
        reader.feed(data[start : start + 10_000])
    reader.finish()
    return keyspace


def folder_of(client: RawClient) -> Path:
    return Path(client.call("CONFIG", "GET", "dir").items[1].text.decode())


def reload(client: RawClient, data: bytes) -> None:
    """Have a real server load a snapshot in place of what it has."""
    (folder_of(client) / "dump.rdb").write_bytes(data)
    assert client.call("DEBUG", "RELOAD", "NOSAVE").kind == b"+"


def digest(client: RawClient) -> bytes:
    return bytes.fromhex(client.call("DEBUG", "DIGEST").text.decode())


#: Thresholds under which a value gets another encoding.
PACKED = ("hash-max-listpack-entries", "zset-max-listpack-entries", "set-max-intset-entries")


def fill(client: RawClient, random: Random, prefix: bytes) -> None:
    """Every type, whatever the thresholds make of it; lifetimes; three databases."""
    for number in range(40):
        client.call("SELECT", b"%d" % random.choice((0, 0, 5, 15)))
        key = b"%b%d" % (prefix, number)
        count = random.choice((1, 3, 20, 200))
        texts = list({random_text(random) for _ in range(count)})
        kind = number % 7
        if kind == 0:
            client.call("SET", key, random_text(random, 3000))
        elif kind == 1:
            client.call("RPUSH", key, *texts)
        elif kind == 2:
            client.call("SADD", key, *texts)
        elif kind == 3:
            client.call("SADD", key, *(b"%d" % random.randint(-(2**40), 2**40) for _ in texts))
        elif kind == 4:
            pairs = [(repr(random.uniform(-1e6, 1e6)).encode(), text) for text in texts]
            client.call("ZADD", key, *(word for pair in pairs for word in pair))
        elif kind == 5:
            client.call("HSET", key, *(word for text in texts for word in (text, texts[0])))
        else:
            fill_stream(client, random, key, texts)
        if random.randrange(3) == 0:
            client.call("PEXPIREAT", key, b"%d" % (FAR_MS + random.randrange(10**9)))
    client.call("SELECT", "0")


def fill_stream(client: RawClient, random: Random, key: bytes, texts: list[bytes]) -> None:
    for number, text in enumerate(texts):
        fields = (b"a", text, b"b", b"1") if random.randrange(3) else (text, b"x")
        client.call("XADD", key, b"%d-%d" % (1000 + number // 3, number + 1), *fields)
    client.call("XGROUP", "CREATE", key, "group", "0")
    for consumer in ("one", "two"):
        client.call(*("XREADGROUP", "GROUP", "group", consumer, "COUNT", "5"), "STREAMS", key, ">")
    client.call("XACK", key, "group", "1000-1")
    client.call("XDEL", key, "1000-2")
    client.call("XGROUP", "CREATE", key, "last", "$")


def test_a_file_of_redis_comes_back_from_our_writer(redis: RawClient) -> None:
    random = Random(5)
    fill(redis, random, b"packed:")
    for name in PACKED:
        redis.call("CONFIG", "SET", name, "0")
    redis.call("CONFIG", "SET", "list-max-listpack-size", "3")
    redis.call("CONFIG", "SET", "rdbcompression", "no")
    fill(redis, random, b"large:")
    assert redis.call("SAVE").text == b"OK"
    for name in PACKED:
        redis.call("CONFIG", "SET", name, "128")
    redis.call("CONFIG", "SET", "rdbcompression", "yes")
    redis.call("CONFIG", "SET", "list-max-listpack-size", "-2")
    before = digest(redis)
    keyspace = load((folder_of(redis) / "dump.rdb").read_bytes())
    assert data_digest(keyspace) == before
    for compress in (True, False):
        data = b"".join(write_snapshot(keyspace, SnapshotFacts(1), compress=compress))
        assert data.startswith(b"REDIS0010")
        redis.call("FLUSHALL")
        reload(redis, data)
        assert digest(redis) == before
    # What a digest leaves out: lifetimes and consumer groups.
    assert redis.call("SAVE").text == b"OK"
    again = load((folder_of(redis) / "dump.rdb").read_bytes())
    for database in keyspace.existing():
        other = again.database(database.index)
        assert other.volatile == database.volatile
        for mine, theirs in zip(database.slots, other.slots, strict=True):
            assert {key: everything(value) for key, value in mine.items()} == {
                key: everything(value) for key, value in theirs.items()
            }


@pytest.mark.parametrize("seed", range(4))
def test_redis_loads_whatever_we_write(redis: RawClient, seed: int) -> None:
    keyspace = new_keyspace()
    random = Random(seed)
    for number in range(80):
        value = random_value(random)
        if isinstance(value, HashValue) and value.has_expiry:
            continue
        database = keyspace.database(random.choice((0, 0, 7)))
        key = b"%d%b" % (number, random_text(random))
        database.set(key, value)
        if random.randrange(3) == 0:
            database.expire_at(key, FAR_MS + number)
    redis.call("CONFIG", "SET", "sanitize-dump-payload", "yes")
    reload(redis, b"".join(write_snapshot(keyspace, SnapshotFacts(1))))
    redis.call("CONFIG", "SET", "sanitize-dump-payload", "no")
    assert digest(redis) == data_digest(keyspace)
    assert redis.call("SAVE").text == b"OK"
    again = load((folder_of(redis) / "dump.rdb").read_bytes())
    for database in keyspace.existing():
        other = again.database(database.index)
        assert other.volatile == database.volatile
        for mine, theirs in zip(database.slots, other.slots, strict=True):
            for key, value in mine.items():
                assert everything(theirs[key]) == everything(value)


@pytest.mark.parametrize("seed", range(3))
def test_payloads_are_taken_both_ways(redis: RawClient, seed: int) -> None:
    random = Random(100 + seed)
    redis.call("CONFIG", "SET", "sanitize-dump-payload", "yes")
    for _ in range(100):
        value = random_value(random)
        if isinstance(value, HashValue) and value.has_expiry:
            continue
        payload = encode_value(value)
        reply = redis.call("RESTORE", "k", "0", payload, "REPLACE")
        assert reply.text == b"OK", (reply, payload.hex())
        back = redis.call("DUMP", "k").text
        assert everything(decode_value_untrusted(back)) == everything(value)
    redis.call("CONFIG", "SET", "sanitize-dump-payload", "no")


@pytest.mark.parametrize("case", OLD_AND_NEW, ids=lambda case: case[0])
def test_old_encodings_mean_the_same_to_redis(
    redis: RawClient, case: tuple[str, int, bytes, object]
) -> None:
    name, type_number, body, _ = case
    if name == "set-listpack":
        pytest.skip("that is newer than the server")
    payload = seal(type_number, body, 9)
    assert redis.call("RESTORE", "k", "0", payload, "REPLACE").text == b"OK"
    theirs = decode_value_untrusted(redis.call("DUMP", "k").text)
    assert everything(theirs) == everything(decode_value_untrusted(payload))


def test_servers_give_each_other_their_keys(redis: RawClient) -> None:
    fill(redis, Random(9), b"key:")
    with start_clustrio("--enable-debug-command", "yes") as ours, client_of(ours) as clustrio:
        for database in (b"0", b"5", b"15"):
            for client in (redis, clustrio):
                client.call("SELECT", database)
            for key in (reply.text for reply in redis.call("KEYS", "*").items):
                at = redis.call("PEXPIRETIME", key).number
                words = (b"%d" % max(at, 0), redis.call("DUMP", key).text, b"ABSTTL")
                assert clustrio.call("RESTORE", key, *words).text == b"OK"
                assert clustrio.call("TYPE", key) == redis.call("TYPE", key)
                assert clustrio.call("PEXPIRETIME", key).number == at
        assert digest(clustrio) == (there := digest(redis))
        redis.call("FLUSHALL")
        for database in (b"0", b"5", b"15"):
            for client in (redis, clustrio):
                client.call("SELECT", database)
            for key in (reply.text for reply in clustrio.call("KEYS", "*").items):
                at = clustrio.call("PEXPIRETIME", key).number
                words = (b"%d" % max(at, 0), clustrio.call("DUMP", key).text, b"ABSTTL")
                assert redis.call("RESTORE", key, *words).text == b"OK"
        assert digest(redis) == there
