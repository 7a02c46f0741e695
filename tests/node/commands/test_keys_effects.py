"""What the generic commands tell replicas, the AOF, watchers and subscribers."""

import pytest

from ..harness import START_MS, MemoryNode, Word

Sent = list[list[bytes]]
Events = list[tuple[str, bytes, bytes]]


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("MSET", "a", "1", "b", "2")
    node.call("SET", "t", "3", "PX", 5000)
    node.take_batches()
    return node


def at(milliseconds: int) -> bytes:
    return b"%d" % (START_MS + milliseconds)


DEAD_A: Events = [("g", b"del", b"a")]
EXPIRE_A: Events = [("g", b"expire", b"a")]


@pytest.mark.parametrize(
    ("words", "sent", "events", "dirty"),
    [
        (("DEL", "a"), [[b"DEL", b"a"]], DEAD_A, 1),
        (("UNLINK", "a"), [[b"UNLINK", b"a"]], DEAD_A, 1),
        (
            ("DEL", "a", "no", "b", "a"),
            [[b"DEL", b"a", b"no", b"b", b"a"]],
            [*DEAD_A, ("g", b"del", b"b")],
            2,
        ),
        (("DEL", "no"), [], [], 0),
        (("EXPIRE", "a", 10), [[b"PEXPIREAT", b"a", at(10_000)]], EXPIRE_A, 1),
        (("PEXPIRE", "a", 10), [[b"PEXPIREAT", b"a", at(10)]], EXPIRE_A, 1),
        (
            ("EXPIREAT", "a", START_MS // 1000 + 9, "NX"),
            [[b"PEXPIREAT", b"a", at(9000), b"NX"]],
            EXPIRE_A,
            1,
        ),
        (("PEXPIREAT", "a", START_MS + 9), [[b"PEXPIREAT", b"a", at(9)]], EXPIRE_A, 1),
        (("EXPIRE", "a", 10, "XX"), [], [], 0),
        (("EXPIRE", "no", 10), [], [], 0),
        (("EXPIRE", "a", 0), [[b"DEL", b"a"]], DEAD_A, 1),
        (("PEXPIREAT", "a", 5, "LT"), [[b"DEL", b"a"]], DEAD_A, 1),
        (("PERSIST", "t"), [[b"PERSIST", b"t"]], [("g", b"persist", b"t")], 1),
        (("PERSIST", "a"), [], [], 0),
        (
            ("RENAME", "t", "a"),
            [[b"RENAME", b"t", b"a"]],
            [("g", b"rename_from", b"t"), ("g", b"rename_to", b"a")],
            1,
        ),
        (("RENAME", "a", "a"), [], [], 0),
        (("RENAMENX", "a", "b"), [], [], 0),
        (
            ("RENAMENX", "a", "c"),
            [[b"RENAMENX", b"a", b"c"]],
            [("g", b"rename_from", b"a"), ("g", b"rename_to", b"c")],
            1,
        ),
        (
            ("COPY", "t", "a", "REPLACE"),
            [[b"COPY", b"t", b"a", b"REPLACE"]],
            [("g", b"copy_to", b"a")],
            1,
        ),
        (("COPY", "t", "a"), [], [], 0),
        (
            ("MOVE", "t", 1),
            [[b"MOVE", b"t", b"1"]],
            [("g", b"move_from", b"t"), ("g", b"move_to", b"t")],
            1,
        ),
        (("FLUSHDB",), [[b"FLUSHDB"]], [], 3),
        (("FLUSHALL", "ASYNC"), [[b"FLUSHALL", b"ASYNC"]], [], 3),
        (("SWAPDB", 0, 1), [[b"SWAPDB", b"0", b"1"]], [], 1),
        (("SWAPDB", 2, 2), [[b"SWAPDB", b"2", b"2"]], [], 1),
        (("TOUCH", "a"), [], [], 0),
    ],
)
def test_what_is_sent_and_announced(
    node: MemoryNode, words: tuple[Word, ...], sent: Sent, events: Events, dirty: int
) -> None:
    before = node.machine.keyspace.effects.dirty
    node.call(*words)
    assert node.take_effects() == (sent, events)
    assert node.machine.keyspace.effects.dirty - before == dirty


def test_a_dead_key_is_reported_dead_first(node: MemoryNode) -> None:
    node.advance(5001)
    node.call("DEL", "t", "a")
    assert node.take_effects() == (
        [[b"DEL", b"t"], [b"DEL", b"t", b"a"]],
        [("x", b"expired", b"t"), ("g", b"del", b"a")],
    )


def test_a_lifetime_that_is_over_is_sent_as_unlink_where_expiry_is_lazy() -> None:
    node = MemoryNode(lazyfree_lazy_expire="yes")
    node.call("SET", "a", "1")
    node.take_batches()
    node.call("EXPIRE", "a", -1)
    assert node.take_effects() == ([[b"UNLINK", b"a"]], DEAD_A)


def test_flushing_nothing_is_still_sent_on() -> None:
    """A replica may hold something that its primary does not."""
    node = MemoryNode()
    for name in (b"FLUSHDB", b"FLUSHALL"):
        node.call(name)
        assert node.take_propagated() == [[name]]
    assert node.machine.keyspace.effects.dirty == 0


@pytest.mark.parametrize(
    ("words", "flushed"),
    [(("FLUSHDB",), (2,)), (("FLUSHALL",), (-1,)), (("SWAPDB", 2, 0), (2, 0))],
)
def test_watchers_learn_that_a_database_went(
    node: MemoryNode, words: tuple[Word, ...], flushed: tuple[int, ...]
) -> None:
    node.call("SELECT", 2)
    node.call(*words)
    assert node.take_batches()[-1].flushed == flushed


@pytest.mark.parametrize(
    ("words", "touched"),
    [
        (("DEL", "a", "b"), {(0, b"a"), (0, b"b")}),
        (("RENAME", "a", "b"), {(0, b"a"), (0, b"b")}),
        (("MOVE", "a", 3), {(0, b"a"), (3, b"a")}),
        (("COPY", "a", "a", "DB", 3), {(3, b"a")}),
        (("EXPIRE", "a", -5), {(0, b"a")}),
    ],
)
def test_watchers_learn_of_every_key_and_its_database(
    node: MemoryNode, words: tuple[Word, ...], touched: set[tuple[int, bytes]]
) -> None:
    node.call(*words)
    (batch,) = node.take_batches()
    assert set(batch.touched) == touched


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("RENAME", "a", "b"), [("n", b"new", b"b", 0)]),
        (("COPY", "a", "c", "DB", 1), [("n", b"new", b"c", 1)]),
        (("MOVE", "a", 1), [("n", b"new", b"a", 1)]),
        (("EXISTS", "no", "a"), [("m", b"keymiss", b"no", 0)]),
        (("TYPE", "no"), [("m", b"keymiss", b"no", 0)]),
        (("TTL", "no"), [("m", b"keymiss", b"no", 0)]),
        (("OBJECT", "ENCODING", "no"), []),
    ],
)
def test_new_and_missing_keys_are_announced(
    node: MemoryNode, words: tuple[Word, ...], expected: list[tuple[str, bytes, bytes, int]]
) -> None:
    node.call(*words)
    events = [event for batch in node.take_batches() for event in batch.events]
    found = [(event.kind, event.name, event.key, event.database) for event in events]
    assert [event for event in found if event[0] in "nm"] == expected
