"""Strings: lifetimes, what is propagated, and which events there are."""

import pytest

from ..harness import START_MS, Failure, MemoryNode

NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
MAXIMUM = 2**63 - 1
FAR_MS = 4_000_000_000_000


@pytest.fixture
def node() -> MemoryNode:
    return MemoryNode()


def invalid_expire(name: str) -> Failure:
    return Failure(f"ERR invalid expire time in '{name}' command")


# --- lifetimes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "end_ms"),
    [
        ("SET k v EX 10", START_MS + 10_000),
        ("SET k v px 10", START_MS + 10),
        (f"SET k v EXAT {FAR_MS // 1000}", FAR_MS),
        (f"SET k v PXAT {FAR_MS}", FAR_MS),
        ("SET k v EX 10 EX 20", START_MS + 20_000),
        ("SETEX k 10 v", START_MS + 10_000),
        ("PSETEX k 10 v", START_MS + 10),
        ("SET k v EXAT 1", 1000),
        (f"SET k v PX {MAXIMUM - START_MS}", MAXIMUM),
    ],
)
def test_lifetimes_are_absolute_for_others(node: MemoryNode, line: str, end_ms: int) -> None:
    assert node.call(*line.split()) == "OK"
    assert node.session.db.expiry(b"k") == end_ms
    assert node.take_effects() == (
        [[b"SET", b"k", b"v", b"PXAT", b"%d" % end_ms]],
        [("$", b"set", b"k"), ("g", b"expire", b"k")],
    )


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("SET k v EX 0", "set"),
        ("SET k v PX -1", "set"),
        ("SET k v EXAT 0", "set"),
        (f"SET k v EX {MAXIMUM}", "set"),
        (f"SET k v EXAT {MAXIMUM // 1000 + 1}", "set"),
        (f"SET k v PX {MAXIMUM - START_MS + 1}", "set"),
        ("SET k v NX GET EX 0", "set"),
        ("SETEX k 0 v", "setex"),
        ("PSETEX k -1 v", "psetex"),
        (f"PSETEX k {MAXIMUM} v", "psetex"),
    ],
)
def test_impossible_lifetimes(node: MemoryNode, line: str, name: str) -> None:
    assert node.call(*line.split()) == invalid_expire(name)
    assert node.take_batches() == []
    assert node.call("SETEX", "k", "x", "v") == NOT_AN_INTEGER


@pytest.mark.parametrize(
    ("line", "keeps"),
    [
        ("SET k 2", False),
        ("SET k 2 KEEPTTL", True),
        ("SET k 2 XX GET", False),
        ("SET k 2 IFEQ 1 KEEPTTL", True),
        ("GETSET k 2", False),
        ("MSET k 2", False),
        ("INCR k", True),
        ("DECRBY k 2", True),
        ("INCRBYFLOAT k 2", True),
        ("APPEND k 2", True),
        ("SETRANGE k 1 2", True),
        ("GETEX k", True),
        ("GETEX k PERSIST", False),
    ],
)
def test_who_keeps_a_lifetime(node: MemoryNode, line: str, keeps: bool) -> None:
    node.call("SET", "k", 1, "PX", 1000)
    node.call(*line.split())
    assert node.session.db.expiry(b"k") == (START_MS + 1000 if keeps else None)


def test_a_key_dies_in_time(node: MemoryNode) -> None:
    node.call("SET", "k", "v", "PX", 1000)
    node.advance(999)
    assert node.call("GET", "k") == b"v"
    node.take_batches()
    node.advance(2)
    assert node.call("SET", "k", "w", "NX", "GET") is None
    propagated, events = node.take_effects()
    assert propagated == [[b"DEL", b"k"], [b"SET", b"k", b"w", b"NX"]]
    assert events == [("x", b"expired", b"k"), ("$", b"set", b"k")]


def test_a_dead_key_leaves_its_successor_no_lifetime(node: MemoryNode) -> None:
    node.call("SET", "k", "v", "PX", 1000)
    node.advance(2000)
    assert node.call("SET", "k", "w", "KEEPTTL") == "OK"
    assert node.call("GET", "k") == b"w"
    assert node.call("PTTL", "k") == -1


# --- effects -------------------------------------------------------------------------------------

#: What is set up, the command, what is propagated, and the events in their order.
EFFECTS: list[tuple[str, str, str | None, str]] = [
    ("", "SET k v", "SET k v", "$set:k"),
    ("SET k 1", "SET k v NX", None, ""),
    ("SET k 1", "SET k v get XX keepttl GET", "SET k v XX keepttl", "$set:k"),
    ("SET k 1", "SET k v IFEQ 1 GET", "SET k v", "$set:k"),
    ("SET k 1", "SET k v KEEPTTL IFEQ 1", "SET k v KEEPTTL", "$set:k"),
    ("SET k 1", "SET k v IFEQ 2", None, ""),
    (
        "SET k 1",
        f"SET k v GET PXAT {FAR_MS}",
        f"SET k v PXAT {FAR_MS}",
        "$set:k gexpire:k",
    ),
    ("", "SETNX k v", "SETNX k v", "$set:k"),
    ("SET k 1", "SETNX k v", None, ""),
    ("SET k 1", "GETSET k v", "SET k v", "$set:k"),
    ("SET k 1", "GETDEL k", "DEL k", "gdel:k"),
    ("", "GETDEL k", None, ""),
    ("SET k 1", "DELIFEQ k 1", "DEL k", "gdel:k"),
    ("SET k 1", "DELIFEQ k 2", None, ""),
    ("SET k 1", "GET k", None, ""),
    ("SET k 1", "GETEX k", None, ""),
    ("SET k 1", "GETEX k PERSIST", None, ""),
    ("SET k 1 EX 9", "GETEX k PERSIST", "PERSIST k", "gpersist:k"),
    ("SET k 1", "GETEX k EX 9", f"PEXPIREAT k {START_MS + 9000}", "gexpire:k"),
    ("SET k 1", "GETEX k PXAT 1", "DEL k", "gdel:k"),
    ("", "MSET a 1 b 2 a 3", "MSET a 1 b 2 a 3", "$set:a $set:b $set:a"),
    ("", "MSETNX a 1 a 2", "MSETNX a 1 a 2", "$set:a $set:a"),
    ("SET a 1", "MSETNX b 1 a 2", None, ""),
    ("", "INCR k", "INCR k", "$incrby:k"),
    ("", "DECR k", "DECR k", "$incrby:k"),
    ("", "INCRBY k 2", "INCRBY k 2", "$incrby:k"),
    ("", "DECRBY k 2", "DECRBY k 2", "$incrby:k"),
    ("SET k x", "INCR k", None, ""),
    ("SET k 1", "INCRBYFLOAT k 1.5", "SET k 2.5 KEEPTTL", "$incrbyfloat:k"),
    ("", "APPEND k x", "APPEND k x", "$append:k"),
    ("APPEND k x", "APPEND k x", "APPEND k x", "$append:k"),
    ("", "SETRANGE k 1 x", "SETRANGE k 1 x", "$setrange:k"),
    ("SETRANGE k 1 x", "SETRANGE k 1 x", "SETRANGE k 1 x", "$setrange:k"),
    ("", "SETRANGE k 536870912 x", None, ""),
    ("SET k 1", "STRLEN k", None, ""),
]


@pytest.mark.parametrize(("before", "line", "propagated", "events"), EFFECTS)
def test_effects(
    node: MemoryNode, before: str, line: str, propagated: str | None, events: str
) -> None:
    if before:
        node.call(*before.split())
    node.take_batches()
    dirty_before = node.machine.keyspace.effects.dirty
    node.call(*line.split())
    commands, recorded = node.take_effects()
    expected = [] if propagated is None else [propagated.encode().split()]
    assert commands == expected
    assert [f"{kind}{name.decode()}:{key.decode()}" for kind, name, key in recorded] == (
        events.split()
    )
    # A lifetime that is set together with the value is no second change.
    names = events.split()
    changes = sum(event.startswith("$") for event in names) or len(names)
    assert node.machine.keyspace.effects.dirty - dirty_before == changes


def test_an_empty_text_is_appended_but_not_written_over(node: MemoryNode) -> None:
    assert node.call("SETRANGE", "k", 5, "") == 0
    assert node.take_batches() == []
    assert node.call("APPEND", "k", "") == 0
    assert node.take_events() == [("$", b"append", b"k")]
    assert node.call("SETRANGE", "k", 536870911, "") == 0
    assert node.take_batches() == []


def test_a_replica_leaves_the_end_of_a_key_to_its_primary(node: MemoryNode) -> None:
    node.call("SET", "k", "v")
    node.take_batches()
    node.machine.keyspace.become_replica(True)
    assert node.call("GETEX", "k", "PXAT", 1) == b"v"
    assert node.take_propagated() == [[b"PEXPIREAT", b"k", b"1"]]
    assert b"k" in node.session.db.slots[node.session.db.slot_of(b"k")]
