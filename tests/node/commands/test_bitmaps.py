"""Bitmaps: replies, the order in which arguments are checked, effects."""

import pytest

from ..harness import Failure, MemoryNode, Plain

SYNTAX = Failure("ERR syntax error")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
BAD_OFFSET = Failure("ERR bit offset is not an integer or out of range")
BAD_BIT = Failure("ERR bit is not an integer or out of range")
BAD_TYPE = Failure(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but "
    "i64 is."
)
ONLY_GET = Failure("ERR BITFIELD_RO only supports the GET subcommand")

CONVERSATIONS: dict[str, list[tuple[str, Plain]]] = {
    "setbit and getbit": [
        ("GETBIT k 100", 0),
        ("SETBIT k 7 1", 0),
        ("SETBIT k 7 1", 1),
        ("GET k", b"\x01"),
        ("SETBIT k 9 0", 0),
        ("GET k", b"\x01\x00"),
        ("GETBIT k 7", 1),
        ("GETBIT k 8", 0),
        ("GETBIT k 4294967295", 0),
        ("GETBIT k 4294967296", BAD_OFFSET),
        ("SETBIT k 4294967296 1", BAD_OFFSET),
        ("SETBIT k -1 1", BAD_OFFSET),
        ("SETBIT k x 2", BAD_OFFSET),
        ("SETBIT k 0 2", BAD_BIT),
        ("SETBIT k 0 x", BAD_BIT),
        ("SETBIT k 0 01", BAD_BIT),
    ],
    "bitcount": [
        ("SET k foobar", "OK"),
        ("BITCOUNT k", 26),
        ("BITCOUNT k 0 0", 4),
        ("BITCOUNT k 1 1", 6),
        ("BITCOUNT k 1 1 byte", 6),
        ("BITCOUNT k 5 30 BIT", 17),
        ("BITCOUNT k -1 -2 NONSENSE", 0),
        ("BITCOUNT k 0 -1 NONSENSE", SYNTAX),
        ("BITCOUNT k 0", SYNTAX),
        ("BITCOUNT k 0 1 BIT 1", SYNTAX),
        ("BITCOUNT k x 1", NOT_AN_INTEGER),
        ("BITCOUNT k 1 x NONSENSE", NOT_AN_INTEGER),
        ("BITCOUNT none x y z", 0),
    ],
    "bitpos": [
        ("SETRANGE k 0 \xff\xf0\x00", 3),
        ("BITPOS k 0", 12),
        ("BITPOS k 1", 0),
        ("BITPOS k 1 2", -1),
        ("BITPOS k 0 0 0", -1),
        ("BITPOS k 0 0", 12),
        ("BITPOS k 1 9 12 BIT", 9),
        ("BITPOS k 1 1 1 BYTE", 8),
        ("BITPOS k 2", Failure("ERR The bit argument must be 1 or 0.")),
        ("BITPOS k x", NOT_AN_INTEGER),
        ("BITPOS k 1 x", NOT_AN_INTEGER),
        ("BITPOS k 1 0 x NONSENSE", SYNTAX),
        ("BITPOS k 1 0 x BIT", NOT_AN_INTEGER),
        ("BITPOS k 1 0 1 BIT 1", SYNTAX),
        ("BITPOS none 1 x y z", -1),
        ("BITPOS none 0 x y z more", 0),
    ],
    "bitop": [
        ("MSET a abc b ABCD", "OK"),
        ("BITOP AND d a b", 4),
        ("GET d", b"ABC\0"),
        ("BITOP or d a b", 4),
        ("GET d", b"abcD"),
        ("BITOP XOR d a b none", 4),
        ("GET d", b"   D"),
        ("BITOP NOT d a", 3),
        ("GET d", b"\x9e\x9d\x9c"),
        ("BITOP NOT d a b", Failure("ERR BITOP NOT must be called with a single source key.")),
        ("BITOP NAND d a b", SYNTAX),
        ("BITOP AND d none", 0),
        ("GET d", None),
        ("BITOP AND d none", 0),
    ],
    "bitfield": [
        ("BITFIELD k", []),
        ("BITFIELD k GET u8 0 GET i64 #3", [0, 0]),
        ("GET k", None),
        ("BITFIELD k SET u8 #1 255 GET u4 8 GET i8 #1", [0, 15, -1]),
        ("GET k", b"\0\xff"),
        ("BITFIELD k incrby u2 0 3 INCRBY u2 0 2", [3, 1]),
        ("BITFIELD k OVERFLOW SAT INCRBY u2 0 9 OVERFLOW fail INCRBY u2 0 1", [3, None]),
        ("BITFIELD k OVERFLOW FAIL", []),
        ("BITFIELD k OVERFLOW NONSENSE", Failure("ERR Invalid OVERFLOW type specified")),
        ("BITFIELD k OVERFLOW", SYNTAX),
        ("BITFIELD k GET u8", SYNTAX),
        ("BITFIELD k SET u8 0", SYNTAX),
        ("BITFIELD k PUT u8 0 1", SYNTAX),
        ("BITFIELD k GET u64 0", BAD_TYPE),
        ("BITFIELD k GET i65 0", BAD_TYPE),
        ("BITFIELD k GET u8 -1", BAD_OFFSET),
        ("BITFIELD k GET u8 #x", BAD_OFFSET),
        ("BITFIELD k SET u8 0 x", NOT_AN_INTEGER),
        ("BITFIELD k SET u8 0 1 GET u8 4294967296", BAD_OFFSET),
        ("BITFIELD k GET u8 0", [192]),
    ],
    "bitfield_ro": [
        ("SET k a", "OK"),
        ("BITFIELD_RO k GET u8 0 GET u4 #1", [97, 1]),
        ("BITFIELD_RO k OVERFLOW SAT GET u8 0", [97]),
        ("BITFIELD_RO k SET u8 0 1", ONLY_GET),
        ("BITFIELD_RO k INCRBY u8 0 1", ONLY_GET),
        ("BITFIELD_RO k SET u8 0 x", NOT_AN_INTEGER),
        ("BITFIELD_RO none GET u8 0", [0]),
        ("GET none", None),
    ],
}


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies(node: MemoryNode, name: str) -> None:
    for line, expected in CONVERSATIONS[name]:
        words = [word.encode("latin-1") for word in line.split(" ")]
        assert node.call(*words) == expected, line


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("SETBIT other x 1", BAD_OFFSET),
        ("SETBIT other 0 2", BAD_BIT),
        ("SETBIT other 0 1", WRONG_TYPE),
        ("GETBIT other x", BAD_OFFSET),
        ("GETBIT other 0", WRONG_TYPE),
        ("BITCOUNT other x", WRONG_TYPE),
        ("BITPOS other 2", Failure("ERR The bit argument must be 1 or 0.")),
        ("BITPOS other 1 x", WRONG_TYPE),
        ("BITOP AND other k", 0),
        ("BITOP AND d k other", WRONG_TYPE),
        ("BITOP NONSENSE d other", SYNTAX),
        ("BITFIELD other", WRONG_TYPE),
        ("BITFIELD other SET u8 0 1", WRONG_TYPE),
        ("BITFIELD other SET u8 0 x", NOT_AN_INTEGER),
        ("BITFIELD_RO other SET u8 0 1", ONLY_GET),
        ("BITFIELD_RO other GET u8 0", WRONG_TYPE),
    ],
)
def test_what_is_no_string(node: MemoryNode, line: str, expected: Plain) -> None:
    node.session.db.set(b"other", [b"not a string"])
    assert node.call(*line.split()) == expected


@pytest.mark.parametrize(
    ("before", "line", "is_propagated", "events"),
    [
        ("", "SETBIT k 0 0", True, [("$", b"setbit", b"k")]),
        ("SETBIT k 0 0", "SETBIT k 0 0", False, []),
        ("SETBIT k 0 0", "SETBIT k 7 0", False, []),
        ("SETBIT k 0 0", "SETBIT k 8 0", True, [("$", b"setbit", b"k")]),
        ("SETBIT k 0 0", "SETBIT k 0 1", True, [("$", b"setbit", b"k")]),
        ("SET k a", "GETBIT k 0", False, []),
        ("SET k a", "BITOP AND d k", True, [("$", b"set", b"d")]),
        ("SET d a", "BITOP AND d k", True, [("g", b"del", b"d")]),
        ("", "BITOP AND d k", False, []),
        ("", "BITFIELD k GET u8 0", False, []),
        ("", "BITFIELD k SET u8 0 0", True, [("$", b"setbit", b"k")]),
        ("SET k a", "BITFIELD k SET u8 0 97", False, []),
        ("SET k a", "BITFIELD k SET u8 0 98 SET u8 0 99", True, [("$", b"setbit", b"k")]),
        ("SET k a", "BITFIELD k OVERFLOW FAIL INCRBY u2 0 9", False, []),
        # The string grew although the write failed: replicas must have the same one.
        ("", "BITFIELD k OVERFLOW FAIL INCRBY u2 0 9", True, []),
    ],
)
def test_effects(
    node: MemoryNode,
    before: str,
    line: str,
    is_propagated: bool,
    events: list[tuple[str, bytes, bytes]],
) -> None:
    if before:
        node.call(*before.split())
    node.take_batches()
    node.call(*line.split())
    expected = [line.encode().split()] if is_propagated else []
    assert node.take_effects() == (expected, events)


def test_bitop_drops_a_lifetime_and_the_others_keep_it(node: MemoryNode) -> None:
    for line, keeps in (
        ("SETBIT k 0 1", True),
        ("BITFIELD k SET u8 0 1", True),
        ("BITOP NOT k k", False),
    ):
        node.call("SET", "k", "a", "EX", 10)
        node.call(*line.split())
        assert (node.session.db.expiry(b"k") is not None) == keeps, line


def test_reading_fields_leaves_the_string_alone(node: MemoryNode) -> None:
    node.call("SET", "k", "a")
    assert node.call("BITFIELD", "k", "GET", "i64", 8) == [0]
    assert node.call("GET", "k") == b"a"
    assert type(node.session.db.peek(b"k")) is bytes


def test_fields_that_fail_are_null_in_each_protocol(node: MemoryNode) -> None:
    words = ("BITFIELD", "k", "OVERFLOW", "FAIL", "INCRBY", "u1", 0, 2)
    assert node.receive(words) == b"*1\r\n$-1\r\n"
    node.session.use_protocol(3)
    assert node.receive(words) == b"*1\r\n_\r\n"


def test_offsets_end_with_the_longest_string() -> None:
    node = MemoryNode(proto_max_bulk_len="1mb")
    last = 8 * 1024 * 1024 - 1
    assert node.call("SETBIT", "k", last + 1, 1) == BAD_OFFSET
    assert node.call("BITFIELD", "k", "SET", "u1", last + 1, 1) == BAD_OFFSET
    assert node.call("SETBIT", "k", last, 1) == 0
    assert node.call("STRLEN", "k") == 1024 * 1024
