"""KEYS, RANDOMKEY and SCAN: what they return, and the promise that a scan gives."""

from random import Random

import pytest

from clustrio.node.commands.scan import CROWDED_KEYS, CrowdedSlots, maybe_only_slot
from clustrio.node.database import Database
from clustrio.node.values.hashvalue import HashValue
from clustrio.slots.hashing import key_slot

from ..harness import Failure, MemoryNode, Word

INVALID = Failure("ERR invalid cursor")
SYNTAX = Failure("ERR syntax error")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")


def scan_all(node: MemoryNode, *options: Word) -> tuple[list[bytes], int]:
    """Everything that a whole scan returns, and how many calls it took."""
    cursor, found = b"0", []
    for calls in range(1, 100_000):
        cursor, page = node.call("SCAN", cursor, *options)
        found += page
        if cursor == b"0":
            return found, calls
    raise AssertionError("the scan does not end")


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.observe(False)
    return node


# --- KEYS and RANDOMKEY ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", [b"", b"a", b"ab", b"abc", b"{t}1", b"*"]),
        ("a*", [b"a", b"ab", b"abc"]),
        ("*b*", [b"ab", b"abc"]),
        ("a?", [b"ab"]),
        ("ab", [b"ab"]),
        ("no", []),
        ("", [b""]),
        # Not the pattern "*", hence matched like any other: and that cannot match the empty key.
        ("**", [b"a", b"ab", b"abc", b"{t}1", b"*"]),
        ("\\*", [b"*"]),
        ("[a-b]", [b"a"]),
        ("{t}*", [b"{t}1"]),
    ],
)
@pytest.mark.parametrize("with_lifetimes", [False, True])
def test_keys(node: MemoryNode, pattern: str, expected: list[bytes], with_lifetimes: bool) -> None:
    db = node.session.db
    for key in (b"", b"a", b"ab", b"abc", b"{t}1", b"*", b"dead", b"abdead"):
        db.set(key, b"v")
        if with_lifetimes:
            db.expire_at(key, db.clock.now_ms + 100)
    for key in (b"dead", b"abdead"):
        db.expire_at(key, db.clock.now_ms - 1)
    assert sorted(node.call("KEYS", pattern)) == sorted(expected)
    assert sorted(scan_all(node, "MATCH", pattern)[0]) == sorted(expected)


def test_keys_removes_no_dead_keys_but_scan_does(node: MemoryNode) -> None:
    node.call("SET", "k", "v", "PX", 5)
    node.call("SET", "l", "v", "PX", 5)
    node.advance(6)
    assert node.call("KEYS", "*") == []
    assert node.call("DBSIZE") == 2
    # What the pattern sorts out is not looked at any further.
    assert node.call("SCAN", 0, "MATCH", "k*", "COUNT", 100) == [b"0", []]
    assert node.call("DBSIZE") == 1


def test_a_replica_hides_dead_keys_and_keeps_them(node: MemoryNode) -> None:
    node.call("SET", "k", "v", "PX", 5)
    node.advance(6)
    node.machine.keyspace.become_replica(True)
    assert node.call("SCAN", 0) == [b"0", []]
    assert node.call("DBSIZE") == 1


@pytest.mark.parametrize(
    ("pattern", "hashed"),
    [
        (b"abc", b"abc"),
        (b"", b""),
        (b"{tag}*", b"tag"),
        (b"x{tag}[ab]", b"tag"),
        (b"{a}{b}*", b"a"),
        # The tag must be whole, not empty, and before the first special character.
        (b"*{tag}", None),
        (b"{tag*}", None),
        (b"{t?g}", None),
        (b"{}{tag}*", None),
        (b"}{*", None),
        (b"a*", None),
        (b"\\a", None),
    ],
)
def test_only_slot_of_a_pattern(pattern: bytes, hashed: bytes | None) -> None:
    assert maybe_only_slot(pattern) == (None if hashed is None else key_slot(hashed))


def test_randomkey(node: MemoryNode) -> None:
    assert node.call("RANDOMKEY") is None
    node.call("MSET", "a", "1", "b", "2", "c", "3")
    assert {node.call("RANDOMKEY") for _ in range(60)} == {b"a", b"b", b"c"}
    node.call("PEXPIRE", "a", 1)
    node.advance(2)
    assert {node.call("RANDOMKEY") for _ in range(60)} == {b"b", b"c"}


# --- SCAN: words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cursor", ["0", "", "+0", "-0", "00", "-1", "18446744073709551615", b"0\0x", "9" * 19]
)
def test_cursors_that_c_can_read_are_fine(node: MemoryNode, cursor: Word) -> None:
    node.call("SET", "k", "v")
    reply = node.call("SCAN", cursor, "COUNT", 100)
    assert reply[0] == b"0"


@pytest.mark.parametrize(
    "cursor",
    [
        *("x", " 0", "0 ", "-", "+", "0x", "1.0", "--1", "1_0", "\t1", "9" * 5000),
        *("18446744073709551616", "-18446744073709551616"),
    ],
)
def test_other_cursors_are_refused(node: MemoryNode, cursor: str) -> None:
    assert node.call("SCAN", cursor) == INVALID
    # The cursor is read first.
    assert node.call("SCAN", cursor, "FOO") == INVALID


@pytest.mark.parametrize(
    ("options", "failure"),
    [
        (("COUNT", 0), SYNTAX),
        (("COUNT", -5), SYNTAX),
        (("COUNT",), SYNTAX),
        (("MATCH",), SYNTAX),
        (("TYPE",), SYNTAX),
        (("FOO", 1), SYNTAX),
        (("COUNT", "x"), NOT_AN_INTEGER),
        (("COUNT", 2**63), NOT_AN_INTEGER),
        (("COUNT", "x", "FOO"), NOT_AN_INTEGER),
        (("MATCH", "*", "COUNT", 0), SYNTAX),
    ],
)
def test_bad_options(node: MemoryNode, options: tuple[Word, ...], failure: Failure) -> None:
    assert node.call("SCAN", 0, *options) == failure


def test_match_and_type_filter(node: MemoryNode) -> None:
    node.call("MSET", "a1", "1", "a2", "2", "b1", "3")
    value = HashValue()
    value.put(b"f", b"v")
    node.session.db.set(b"a3", value)
    for options, expected in (
        (("MATCH", "a*"), [b"a1", b"a2", b"a3"]),
        (("TYPE", "string"), [b"a1", b"a2", b"b1"]),
        (("type", "HaSh"), [b"a3"]),
        (("TYPE", "list"), []),
        (("TYPE", "nonsense"), []),
        (("MATCH", "a*", "TYPE", "string", "COUNT", 2), [b"a1", b"a2"]),
        # The last one counts.
        (("MATCH", "a*", "MATCH", "b*"), [b"b1"]),
        (("MATCH", "a1", "MATCH", "*", "TYPE", "hash"), [b"a3"]),
    ):
        assert sorted(scan_all(node, *options)[0]) == expected, options


# --- SCAN: how far a call goes ---------------------------------------------------------------


def test_an_empty_database_is_scanned_in_one_call(node: MemoryNode) -> None:
    assert node.call("SCAN", 0) == [b"0", []]


@pytest.mark.parametrize("size", [1, 9, 10, 100])
def test_a_small_database_takes_few_calls(node: MemoryNode, size: int) -> None:
    keys = [b"key:%d" % number for number in range(size)]
    for key in keys:
        node.session.db.set(key, b"v")
    found, calls = scan_all(node)
    assert sorted(found) == sorted(keys)
    assert calls <= size // 10 + 1


@pytest.mark.parametrize("count", [1, 7, 100, 10_000, 2**63 - 1])
def test_count_is_obeyed_roughly(node: MemoryNode, count: int) -> None:
    db = node.session.db
    for number in range(2000):
        db.set(b"key:%d" % number, b"v")
    fullest = max(map(len, db.slots))
    cursor, page = node.call("SCAN", 0, "COUNT", count)
    assert min(count, 2000) <= len(page) < min(count, 2000) + fullest
    assert (cursor == b"0") == (count >= 2000)


@pytest.mark.parametrize("count", [1, 10, 300, 5000])
def test_a_crowded_slot_is_handed_out_in_pieces(node: MemoryNode, count: int) -> None:
    keys = {b"{tag}%d" % number for number in range(CROWDED_KEYS * 4)}
    keys |= {b"key:%d" % number for number in range(100)}
    for key in keys:
        node.session.db.set(key, b"v")
    cursor, found = b"0", []
    while True:
        cursor, page = node.call("SCAN", cursor, "COUNT", count)
        assert len(page) <= max(count, 1) + CROWDED_KEYS
        found += page
        if cursor == b"0":
            break
    assert sorted(found) == sorted(keys)
    in_slot = [key for key in keys if key.startswith(b"{tag}")]
    assert sorted(scan_all(node, "MATCH", "{tag}*", "COUNT", count)[0]) == sorted(in_slot)


def test_a_pattern_with_a_tag_looks_at_one_slot(node: MemoryNode) -> None:
    for number in range(5000):
        node.session.db.set(b"key:%d" % number, b"v")
    for number in range(5):
        node.session.db.set(b"{tag}%d" % number, b"v")
    found, calls = scan_all(node, "MATCH", "{tag}*")
    assert (len(found), calls) == (5, 1)


def test_indexes_of_crowded_slots_are_few_and_go_when_unused(node: MemoryNode) -> None:
    for tag in range(CrowdedSlots.LIMIT + 3):
        for number in range(CROWDED_KEYS + 1):
            node.session.db.set(b"{%d}%d" % (tag, number), b"v")
    for tag in range(CrowdedSlots.LIMIT + 3):
        cursor, _ = node.call("SCAN", 0, "MATCH", b"{%d}*" % tag, "COUNT", 5)
        assert cursor != b"0"
    (crowded,) = [hook for hook in node.machine.on_tick if isinstance(hook, CrowdedSlots)]
    assert len(crowded._indexes) == CrowdedSlots.LIMIT
    node.tick()
    assert len(crowded._indexes) == CrowdedSlots.LIMIT
    node.advance(CrowdedSlots.AGE_MAX_MS + 1)
    node.tick()
    assert not crowded._indexes


def test_an_index_does_not_outlive_its_slot(node: MemoryNode) -> None:
    for number in range(CROWDED_KEYS + 1):
        node.session.db.set(b"{t}%d" % number, b"v")
    cursor, _ = node.call("SCAN", 0, "COUNT", 5)
    node.session.db.clear()
    assert node.call("SCAN", cursor) == [b"0", []]
    fresh = {b"{t}new%d" % number for number in range(CROWDED_KEYS + 1)}
    for key in fresh:
        node.session.db.set(key, b"v")
    threshold = int(cursor) >> 14
    rest = set(node.call("SCAN", cursor, "COUNT", 1_000_000)[1])
    assert rest
    assert rest <= fresh
    assert threshold


def test_a_threshold_is_for_its_own_slot_alone(node: MemoryNode) -> None:
    """The crowd of a slot goes in the middle of a scan: the next slots are still returned whole."""
    db = node.session.db
    crowd = [b"{b}%d" % number for number in range(CROWDED_KEYS + 1)]
    rest = [b"key:%d" % number for number in range(2000)]
    rest = [key for key in rest if key_slot(key) > key_slot(b"b")]
    for key in crowd + rest:
        db.set(key, b"v")
    cursor, _ = node.call("SCAN", 0, "COUNT", CROWDED_KEYS - 5)
    assert int(cursor) & 0x3FFF == key_slot(b"b")
    assert int(cursor) >> 14 > 1 << 31
    for key in crowd:
        db.delete(key)
    found = []
    while cursor != b"0":
        cursor, page = node.call("SCAN", cursor)
        found += page
    assert sorted(found) == sorted(rest)


# --- SCAN: the promise -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("crowd", [50, CROWDED_KEYS * 3])
def test_what_is_there_all_the_time_is_returned(node: MemoryNode, seed: int, crowd: int) -> None:
    """Two scans at a time, while keys come, go and come back between their calls."""
    random = Random(seed)
    db = node.session.db
    pool = [b"{t}%d" % number for number in range(crowd)]
    pool += [b"key:%d" % number for number in range(300)]
    for key in random.sample(pool, len(pool) * 2 // 3):
        db.set(key, b"v")
    scans = [Scan(db, random.choice((1, 10, 50))) for _ in range(2)]
    finished = 0
    while finished < 8:
        number = random.randrange(2)
        if scans[number].step(node):
            scans[number] = Scan(db, random.choice((10, 50, 400)))
            finished += 1
        for key in random.sample(pool, random.randrange(12)):
            if db.delete(key):
                for other in scans:
                    other.steady.discard(key)
            else:
                db.set(key, b"v")


class Scan:
    """One scan that is under way: the keys that were there ever since, and what it has returned."""

    def __init__(self, db: Database, count: int) -> None:
        self.steady = {key for key, _ in db.living_items()}
        self.count = count
        self.cursor = b"0"
        self.found: set[bytes] = set()

    def step(self, node: MemoryNode) -> bool:
        """Make one call; at the end, check the promise."""
        self.cursor, page = node.call("SCAN", self.cursor, "COUNT", self.count)
        self.found.update(page)
        for key in page:
            assert node.session.db.peek(key) is not None
        if self.cursor != b"0":
            return False
        assert self.steady <= self.found
        return True
