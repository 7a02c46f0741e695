"""Small collections that were not used last are packed, which nobody notices."""

from random import Random

import pytest

from clustrio.node.database import Value
from clustrio.node.values.packed import Packed

from .harness import MemoryNode

MANY = 1024
#: How one collection of each kind is made, by its key.
MAKERS = {
    "list": ("RPUSH", "list", "a", "b", "3"),
    "hash": ("HSET", "hash", "f", "1", "g", "two"),
    "set": ("SADD", "set", "a", "b"),
    "intset": ("SADD", "intset", "3", "1", "2"),
    "zset": ("ZADD", "zset", "2", "b", "1", "a"),
}


def stored(node: MemoryNode, key: str) -> Value | None:
    db = node.session.db
    return db.slots[db.slot_of(key.encode())].get(key.encode())


def use_others(node: MemoryNode, count: int = MANY) -> None:
    """Make as many other collections as may stay open."""
    for number in range(count):
        node.call("SADD", f"other{number}", number)


def packed_node(**settings: int) -> MemoryNode:
    """A node with a packed collection of each kind."""
    node = MemoryNode(**settings)
    for words in MAKERS.values():
        node.call(*words)
    use_others(node)
    node.machine.keyspace.compaction.run()
    assert all(isinstance(stored(node, key), Packed) for key in MAKERS)
    return node


@pytest.fixture
def node() -> MemoryNode:
    return packed_node()


def test_the_last_ones_stay_open() -> None:
    node = MemoryNode()
    node.call(*MAKERS["hash"])
    use_others(node, MANY - 1)
    compaction = node.machine.keyspace.compaction
    due = [compaction.is_due]
    compaction.run()
    assert not isinstance(stored(node, "hash"), Packed)
    use_others(node, 1)
    node.call("DEL", "more")
    node.call("SADD", "more", 1)
    due.append(compaction.is_due)
    compaction.run()
    assert isinstance(stored(node, "hash"), Packed)
    due.append(compaction.is_due)
    assert due == [False, True, False]


def test_ticks_pack() -> None:
    node = MemoryNode()
    node.call(*MAKERS["hash"])
    use_others(node)
    node.machine.tick(lambda: False)
    assert isinstance(stored(node, "hash"), Packed)


QUESTIONS: list[tuple[str, object]] = [
    ("TYPE list", "list"),
    ("TYPE hash", "hash"),
    ("TYPE set", "set"),
    ("TYPE intset", "set"),
    ("TYPE zset", "zset"),
    ("EXISTS list hash set intset zset", 5),
    ("OBJECT ENCODING list", b"listpack"),
    ("OBJECT ENCODING hash", b"listpack"),
    ("OBJECT ENCODING set", b"listpack"),
    ("OBJECT ENCODING intset", b"intset"),
    ("OBJECT ENCODING zset", b"listpack"),
    ("LRANGE list 0 -1", [b"a", b"b", b"3"]),
    ("HGETALL hash", [b"f", b"1", b"g", b"two"]),
    ("SMEMBERS intset", [b"1", b"2", b"3"]),
    ("SCARD set", 2),
    ("ZRANGE zset 0 -1 WITHSCORES", [b"a", b"1", b"b", b"2"]),
    ("SINTER set set", {b"a", b"b"}),
    ("HINCRBY hash f 2", 3),
    ("LPUSH list z", 4),
    ("SADD intset x", 1),
    ("ZINCRBY zset 5 a", b"6"),
    ("SMOVE set intset a", 1),
    ("RENAME hash other", "OK"),
    ("COPY zset other", 1),
    ("DEL list", 1),
    ("UNLINK set", 1),
    ("GET hash", None),
]


@pytest.mark.parametrize(("line", "expected"), QUESTIONS)
def test_commands_find_what_was_packed(node: MemoryNode, line: str, expected: object) -> None:
    reply = node.call(*line.split())
    if isinstance(expected, set):
        assert isinstance(reply, list)
        assert set(reply) == expected
    elif expected is None:
        assert str(reply).startswith("WRONGTYPE")
    else:
        assert reply == expected


@pytest.mark.parametrize("key", ["list", "hash", "set", "intset", "zset"])
def test_a_packed_value_has_the_same_digest_dump_and_copy(key: str) -> None:
    plain, node = MemoryNode(), packed_node()
    plain.call(*MAKERS[key])
    assert node.call("DEBUG", "DIGEST-VALUE", key) == plain.call("DEBUG", "DIGEST-VALUE", key)
    fresh = packed_node()
    if "set" not in key[:4]:
        # The members of a set come in any order.
        assert fresh.call("DUMP", key) == plain.call("DUMP", key)
    assert fresh.call("COPY", key, "twin") == 1
    assert fresh.call("DEBUG", "DIGEST-VALUE", "twin") == plain.call("DEBUG", "DIGEST-VALUE", key)


def test_looking_at_the_type_does_not_unpack(node: MemoryNode) -> None:
    node.call("TYPE", "hash")
    node.call("EXISTS", "hash")
    node.call("SCAN", "0", "TYPE", "hash", "COUNT", 10000)
    assert isinstance(stored(node, "hash"), Packed)
    node.call("HGET", "hash", "f")
    assert not isinstance(stored(node, "hash"), Packed)


def test_unpacking_is_no_change(node: MemoryNode) -> None:
    effects = node.machine.keyspace.effects
    node.call("WATCH", "hash")
    before = effects.dirty
    node.call("HGET", "hash", "f")
    assert effects.dirty == before
    node.call("MULTI")
    node.call("HGET", "hash", "g")
    assert node.call("EXEC") == [b"two"]


def test_lifetimes_stay() -> None:
    node = MemoryNode()
    node.call(*MAKERS["zset"])
    node.call("PEXPIRE", "zset", 1000)
    use_others(node)
    node.machine.keyspace.compaction.run()
    assert isinstance(stored(node, "zset"), Packed)
    assert node.call("PTTL", "zset") == 1000
    node.advance(1001)
    assert node.call("ZCARD", "zset") == 0


def test_the_meter_follows() -> None:
    node = MemoryNode(maxmemory=10**9)
    node.call(*MAKERS["hash"])
    meter = node.session.db.meter
    assert meter is not None
    open_bytes = meter.total_bytes
    use_others(node)
    node.machine.keyspace.compaction.run()
    for number in range(MANY):
        node.call("DEL", f"other{number}")
    assert 0 < meter.total_bytes < open_bytes
    node.call("HGET", "hash", "f")
    assert meter.total_bytes == open_bytes
    node.call("DEL", "hash")
    assert meter.total_bytes == 0


def test_the_same_commands_with_and_without_packing(seed: int) -> None:
    random = Random(f"{seed} compaction")
    plain, packed = MemoryNode(), MemoryNode()
    keys = [f"k{number}" for number in range(40)]
    for turn in range(3000):
        key, member = random.choice(keys), random.choice(["a", "b", "1", "2", "x" * 70])
        words = random.choice(
            [
                ("RPUSH", key, member),
                ("LPOP", key),
                ("HSET", key, member, turn),
                ("HDEL", key, member),
                ("SADD", key, member),
                ("SREM", key, member),
                ("ZADD", key, turn % 7, member),
                ("ZREM", key, member),
                ("OBJECT", "ENCODING", key),
                ("DEBUG", "DIGEST-VALUE", key),
                ("DEL", key),
            ]
        )
        assert packed.call(*words) == plain.call(*words), words
        noted = packed.machine.keyspace.compaction
        # As if more than may stay open were in use.
        noted._noted.extendleft([(packed.session.db, b"none")] * (MANY - len(noted._noted)))
        noted.run()
    assert plain.call("DEBUG", "DIGEST") == packed.call("DEBUG", "DIGEST")
