"""HyperLogLogs: replies, effects, and values that only look like one."""

import pytest

from ..harness import Failure, MemoryNode, Plain

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_ONE = Failure("WRONGTYPE Key is not a valid HyperLogLog string value.")
CORRUPTED = Failure("INVALIDOBJ Corrupted HLL object detected")
#: Three zeros where 16384 registers should be.
DAMAGED = b"HYLL\x01" + bytes(10) + b"\x80" + b"\x02"

CONVERSATIONS: dict[str, list[tuple[str, Plain]]] = {
    "pfadd and pfcount": [
        ("PFCOUNT h", 0),
        ("PFADD h", 1),
        ("PFADD h", 0),
        ("PFCOUNT h", 0),
        ("PFADD h a b c", 1),
        ("PFADD h a", 0),
        ("PFCOUNT h", 3),
        ("PFADD i c d", 1),
        ("PFCOUNT h i none", 4),
    ],
    "pfmerge": [
        ("PFADD a 1 2 3", 1),
        ("PFADD b 3 4", 1),
        ("PFMERGE c a b none", "OK"),
        ("PFCOUNT c", 4),
        ("PFMERGE a b", "OK"),
        ("PFCOUNT a", 4),
        ("PFCOUNT b", 2),
        ("PFMERGE d", "OK"),
        ("PFCOUNT d", 0),
    ],
    "pfdebug": [
        ("PFDEBUG ENCODING h", Failure("ERR The specified key does not exist")),
        ("PFADD h", 1),
        ("PFDEBUG encoding h", "sparse"),
        ("PFDEBUG DECODE h", b"Z:16384"),
        ("PFDEBUG NONSENSE h", Failure("ERR Unknown PFDEBUG subcommand 'NONSENSE'")),
        ("PFDEBUG TODENSE h", 1),
        ("PFDEBUG TODENSE h", 0),
        ("PFDEBUG ENCODING h", "dense"),
        ("PFDEBUG DECODE h", Failure("ERR HLL encoding is not sparse")),
        ("PFDEBUG GETREG h", [0] * 16384),
        ("STRLEN h", 12304),
    ],
}


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_replies(node: MemoryNode, name: str) -> None:
    for line, expected in CONVERSATIONS[name]:
        assert node.call(*line.split()) == expected, line


@pytest.mark.slow
def test_selftest(node: MemoryNode) -> None:
    assert node.call("PFSELFTEST") == "OK"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("PFADD other x", WRONG_TYPE),
        ("PFADD text x", NOT_ONE),
        ("PFADD damaged x", CORRUPTED),
        ("PFCOUNT other", WRONG_TYPE),
        ("PFCOUNT text", NOT_ONE),
        ("PFCOUNT damaged", CORRUPTED),
        ("PFCOUNT good damaged text", CORRUPTED),
        ("PFCOUNT good text damaged", NOT_ONE),
        ("PFCOUNT damaged other", CORRUPTED),
        ("PFMERGE good other", WRONG_TYPE),
        ("PFMERGE good damaged other", CORRUPTED),
        ("PFMERGE good text damaged", NOT_ONE),
        ("PFMERGE damaged good", CORRUPTED),
        ("PFMERGE text", NOT_ONE),
        ("PFDEBUG GETREG other", WRONG_TYPE),
        ("PFDEBUG NONSENSE text", NOT_ONE),
        ("PFDEBUG TODENSE damaged", CORRUPTED),
        ("PFDEBUG DECODE damaged", b"z:3"),
    ],
)
def test_foreign_values(node: MemoryNode, line: str, expected: Plain) -> None:
    node.session.db.set(b"other", [b"not a string"])
    node.call("SET", "text", "x")
    node.call("SET", "damaged", DAMAGED)
    node.call("PFADD", "good", "x")
    node.take_batches()
    assert node.call(*line.split()) == expected
    assert node.take_batches() == []


@pytest.mark.parametrize(
    ("before", "line", "is_propagated", "events"),
    [
        ("", "PFADD h", True, [("$", b"pfadd", b"h")]),
        ("PFADD h", "PFADD h", False, []),
        ("PFADD h a", "PFADD h a", False, []),
        ("PFADD h a", "PFADD h a b", True, [("$", b"pfadd", b"h")]),
        # The estimate is remembered in the value, which nobody is told but replicas.
        ("PFADD h a", "PFCOUNT h", True, []),
        ("PFADD h a", "PFCOUNT h none", False, []),
        ("PFADD h a", "PFMERGE i h", True, [("$", b"pfadd", b"i")]),
        ("PFADD h a", "PFDEBUG ENCODING h", False, []),
        ("PFADD h a", "PFDEBUG TODENSE h", True, []),
        ("PFADD h a", "PFDEBUG GETREG h", True, []),
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
    assert node.take_effects() == ([line.encode().split()] if is_propagated else [], events)
    if line.startswith(("PFCOUNT h", "PFDEBUG")):
        node.call(*line.split())
        assert node.take_effects() == ([], []), "the second time there is nothing left to change"


def test_lifetimes_are_kept(node: MemoryNode) -> None:
    node.call("PFADD", "h", "a")
    node.session.db.expire_at(b"h", 4_000_000_000_000)
    for line in ("PFADD h b", "PFCOUNT h", "PFMERGE h h", "PFDEBUG TODENSE h"):
        node.call(*line.split())
        assert node.session.db.expiry(b"h") == 4_000_000_000_000, line


def test_a_new_union_takes_nothing_else_from_its_sources(node: MemoryNode) -> None:
    node.call("PFADD", "h", "a")
    node.call("SETRANGE", "h", 5, "odd")
    node.call("PFMERGE", "union", "h")
    assert node.call("GETRANGE", "union", 5, 7) == b"\0\0\0"
    assert node.call("PFMERGE", "h", "union") == "OK"
    assert node.call("GETRANGE", "h", 5, 7) == b"odd"


def test_a_value_that_was_edited_is_still_one(node: MemoryNode) -> None:
    node.call("PFADD", "h", "a")
    node.call("SETRANGE", "h", 5, b"\0")
    assert type(node.session.db.peek(b"h")) is bytearray
    assert node.call("PFADD", "h", "b") == 1
    assert node.call("PFCOUNT", "h") == 2


def test_sparse_values_have_a_longest_length() -> None:
    node = MemoryNode(hll_sparse_max_bytes=40)
    encodings = []
    for number in range(12):
        node.call("PFADD", "h", number)
        encodings.append(node.call("PFDEBUG", "ENCODING", "h"))
    assert encodings[0] == "sparse"
    assert encodings[-1] == "dense"
    assert node.call("PFCOUNT", "h") == 12
