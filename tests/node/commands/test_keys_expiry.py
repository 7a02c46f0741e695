"""Lifetimes: what EXPIRE and its kin accept, refuse and reply; what TTL and its kin say."""

from random import Random

import pytest

from ..harness import START_MS, Failure, MemoryNode, Word

FOREVER = 2**63 - 1
NX_CONFLICT = "ERR NX and XX, GT or LT options at the same time are not compatible"
GT_CONFLICT = "ERR GT and LT options at the same time are not compatible"
NOT_AN_INTEGER = "ERR value is not an integer or out of range"


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("SET", "k", "v")
    node.take_batches()
    return node


@pytest.mark.parametrize(
    ("words", "at_ms"),
    [
        (("EXPIRE", "k", 10), START_MS + 10_000),
        (("PEXPIRE", "k", 10), START_MS + 10),
        (("EXPIREAT", "k", START_MS // 1000 + 7), START_MS + 7000),
        (("PEXPIREAT", "k", START_MS + 7), START_MS + 7),
        (("PEXPIREAT", "k", FOREVER), FOREVER),
        (("PEXPIRE", "k", FOREVER - START_MS), FOREVER),
        (("EXPIREAT", "k", FOREVER // 1000), FOREVER // 1000 * 1000),
    ],
)
def test_a_lifetime_is_set(node: MemoryNode, words: tuple[Word, ...], at_ms: int) -> None:
    assert node.call(*words) == 1
    assert node.call("PEXPIRETIME", "k") == at_ms
    assert node.call("EXPIRETIME", "k") == (at_ms + 500) // 1000
    assert node.call("PTTL", "k") == at_ms - START_MS
    assert node.call("TTL", "k") == (at_ms - START_MS + 500) // 1000


@pytest.mark.parametrize("name", ["TTL", "PTTL", "EXPIRETIME", "PEXPIRETIME"])
def test_keys_without_lifetime_and_no_keys_are_told_apart(node: MemoryNode, name: str) -> None:
    assert node.call(name, "k") == -1
    assert node.call(name, "nothing") == -2


@pytest.mark.parametrize(
    ("left_ms", "seconds"), [(1, 0), (499, 0), (500, 1), (1499, 1), (1500, 2), (86_400_000, 86_400)]
)
def test_ttl_rounds_to_the_nearest_second(node: MemoryNode, left_ms: int, seconds: int) -> None:
    node.call("PEXPIRE", "k", left_ms)
    assert node.call("TTL", "k") == seconds


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("EXPIRE", "k", FOREVER), "ERR invalid expire time in 'expire' command"),
        (("EXPIRE", "k", FOREVER // 1000), "ERR invalid expire time in 'expire' command"),
        (("expire", "k", -(2**63)), "ERR invalid expire time in 'expire' command"),
        (("PEXPIRE", "k", FOREVER), "ERR invalid expire time in 'pexpire' command"),
        (("EXPIREAT", "k", FOREVER // 1000 + 1), "ERR invalid expire time in 'expireat' command"),
        # An overflow is refused before anybody asks whether the key exists.
        (("EXPIREAT", "nothing", FOREVER), "ERR invalid expire time in 'expireat' command"),
        (("PEXPIREAT", "k", FOREVER + 1), NOT_AN_INTEGER),
        (("EXPIRE", "k", "1.5"), NOT_AN_INTEGER),
        (("EXPIRE", "nothing", "+1"), NOT_AN_INTEGER),
        # Options are read before the number.
        (("EXPIRE", "k", "x", "NX", "XX"), NX_CONFLICT),
        (("EXPIRE", "k", 10, "gt", "nx"), NX_CONFLICT),
        (("EXPIRE", "k", 10, "NX", "LT"), NX_CONFLICT),
        (("EXPIRE", "k", 10, "NX", "GT", "LT"), NX_CONFLICT),
        (("EXPIRE", "k", 10, "GT", "LT"), GT_CONFLICT),
        (("EXPIRE", "k", 10, "XX", "GT", "LT"), GT_CONFLICT),
        (("EXPIRE", "k", "x", "NX", "soon"), "ERR Unsupported option soon"),
        (("EXPIRE", "k", 10, b"so\0on"), "ERR Unsupported option so"),
    ],
)
def test_what_is_refused(node: MemoryNode, words: tuple[Word, ...], text: str) -> None:
    assert node.call(*words) == Failure(text)
    assert node.call("PTTL", "k") == -1
    assert node.take_batches() == []


@pytest.mark.parametrize("number", [-(2**63) // 1000 + 1, -1, 0])
@pytest.mark.parametrize("name", ["PEXPIRE", "PEXPIREAT", "EXPIRE", "EXPIREAT"])
def test_a_lifetime_that_is_over_deletes_the_key(node: MemoryNode, name: str, number: int) -> None:
    assert node.call(name, "k", number) == 1
    assert node.call("EXISTS", "k") == 0
    assert node.call(name, "k", number) == 0
    assert node.session.db.volatile_count == 0


NEVER, EARLY, LATE = None, START_MS + 1000, START_MS + 9000


@pytest.mark.parametrize(
    ("conditions", "old_ms", "new_ms", "expected"),
    [
        (("NX",), NEVER, EARLY, 1),
        (("NX",), EARLY, LATE, 0),
        (("XX",), NEVER, EARLY, 0),
        (("XX",), LATE, EARLY, 1),
        (("GT",), NEVER, LATE, 0),
        (("GT",), EARLY, LATE, 1),
        (("GT",), LATE, LATE, 0),
        (("GT",), LATE, EARLY, 0),
        (("LT",), NEVER, LATE, 1),
        (("LT",), EARLY, LATE, 0),
        (("LT",), LATE, LATE, 0),
        (("LT",), LATE, EARLY, 1),
        (("XX", "GT"), NEVER, LATE, 0),
        (("XX", "LT"), NEVER, LATE, 0),
        (("XX", "GT"), EARLY, LATE, 1),
        (("lt", "Xx"), LATE, EARLY, 1),
        (("XX", "XX"), LATE, EARLY, 1),
        # A refused condition also keeps a lifetime that is over from deleting the key.
        (("GT",), EARLY, 1, 0),
        (("NX",), EARLY, 1, 0),
        (("XX",), NEVER, 1, 0),
    ],
)
def test_conditions(
    node: MemoryNode,
    conditions: tuple[str, ...],
    old_ms: int | None,
    new_ms: int,
    expected: int,
) -> None:
    if old_ms is not None:
        node.call("PEXPIREAT", "k", old_ms)
    assert node.call("PEXPIREAT", "k", new_ms, *conditions) == expected
    kept = -1 if old_ms is None else old_ms
    assert node.call("PEXPIRETIME", "k") == (new_ms if expected else kept)


def test_persist(node: MemoryNode) -> None:
    assert node.call("PERSIST", "k") == 0
    assert node.call("PERSIST", "nothing") == 0
    node.call("EXPIRE", "k", 10)
    assert node.call("PERSIST", "k") == 1
    assert node.call("PERSIST", "k") == 0
    assert node.call("TTL", "k") == -1
    assert node.session.db.volatile_count == 0


def test_a_replica_keeps_a_key_whose_lifetime_is_over(node: MemoryNode) -> None:
    node.machine.keyspace.become_replica(True)
    db = node.session.db
    assert node.call("PEXPIREAT", "k", START_MS - 5) == 1
    assert db.slots[db.slot_of(b"k")] == {b"k": b"v"}
    assert db.expiry(b"k") == START_MS - 5
    assert node.call("GET", "k") is None
    assert node.take_propagated() == [[b"PEXPIREAT", b"k", b"%d" % (START_MS - 5)]]


def test_lifetimes_are_kept_apart_under_random_commands(node: MemoryNode) -> None:
    """The books agree with a model after many steps."""
    random = Random(7)
    node.call("DEL", "k")
    keys = [b"k%d" % number for number in range(6)]
    model: dict[bytes, int | None] = {}
    for _ in range(3000):
        key = random.choice(keys)
        match random.randrange(6):
            case 0:
                node.call("SET", key, "v")
                model[key] = None
            case 1:
                at_ms = node.machine.clock.now_ms + random.randrange(-5, 60)
                assert node.call("PEXPIREAT", key, at_ms) == int(key in model)
                if key in model and at_ms <= node.machine.clock.now_ms:
                    del model[key]  # a time that is not to come deletes at once
                elif key in model:
                    model[key] = at_ms
            case 2:
                expected = int(model.get(key) is not None)
                assert node.call("PERSIST", key) == expected
                if expected:
                    model[key] = None
            case 3:
                other = random.choice(keys)
                if key in model:
                    assert node.call("RENAME", key, other) == "OK"
                    model[other] = model.pop(key)
            case 4:
                assert node.call("DEL", key) == int(model.pop(key, -1) != -1)
            case _:
                node.advance(random.randrange(4))
        now_ms = node.machine.clock.now_ms
        model = {key: at for key, at in model.items() if at is None or at >= now_ms}
        assert node.call("PEXPIRETIME", key) == _expected_time(model, key)
    node.tick()
    assert sorted(node.call("KEYS", "*")) == sorted(model)
    assert node.session.db.volatile_count == sum(at is not None for at in model.values())


def _expected_time(model: dict[bytes, int | None], key: bytes) -> int:
    if key not in model:
        return -2
    at_ms = model[key]
    return -1 if at_ms is None else at_ms
