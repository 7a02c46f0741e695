"""Lifetimes of hash fields: replies, conditions, what replicas hear, and how fields die."""

import pytest

from clustrio.node.persistence.status import ChildKind

from ..harness import START_MS, Failure, MemoryNode, Plain

NO_FIELDS = Failure("ERR Mandatory argument FIELDS is missing or not at the right position")
MISMATCH = Failure("ERR The `numfields` parameter must match the number of arguments")
NOT_POSITIVE = Failure("ERR Number of fields must be a positive integer")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
LATEST_MS = (2**48 - 1) // 4

Calls = list[tuple[str, Plain]]


@pytest.fixture
def node() -> MemoryNode:
    node = MemoryNode()
    node.call("HSET", "h", "a", "1", "b", "2")
    node.call("SET", "s", "text")
    node.take_batches()
    return node


def too_late(name: str) -> Failure:
    return Failure(f"ERR invalid expire time in '{name}' command")


CONVERSATIONS: dict[str, Calls] = {
    "expire and ask": [
        ("HEXPIRE h 10 FIELDS 3 a z b", [1, -2, 1]),
        ("HTTL h FIELDS 3 a z b", [10, -2, 10]),
        ("HPTTL h FIELDS 1 a", [10_000]),
        ("HEXPIRETIME h FIELDS 1 a", [START_MS // 1000 + 10]),
        ("HPEXPIRETIME h FIELDS 1 a", [START_MS + 10_000]),
        ("HPEXPIRE h 1 FIELDS 1 a", [1]),
        ("HTTL h FIELDS 1 a", [1]),
        ("OBJECT ENCODING h", b"listpackex"),
        ("HPERSIST h FIELDS 3 a b z", [1, 1, -2]),
        ("HPERSIST h FIELDS 1 a", [-1]),
        ("HTTL h FIELDS 1 a", [-1]),
    ],
    "no such key": [
        ("HEXPIRE no 10 FIELDS 2 a b", [-2, -2]),
        ("HTTL no FIELDS 2 a b", [-2, -2]),
        ("HPERSIST no FIELDS 1 a", [-2]),
        ("HGETDEL no FIELDS 2 a b", [None, None]),
        ("HGETEX no FIELDS 1 a", [None]),
        ("HGETEX no EX 5 FIELDS 1 a", [None]),
        ("HSETEX no FXX FIELDS 1 a 1", 0),
        ("EXISTS no", 0),
    ],
    "conditions": [
        ("HEXPIRE h 10 XX FIELDS 1 a", [0]),
        ("HEXPIRE h 10 GT FIELDS 1 a", [0]),
        ("HEXPIRE h 10 LT FIELDS 1 a", [1]),
        ("HEXPIRE h 10 NX FIELDS 2 a b", [0, 1]),
        ("HEXPIRE h 10 GT FIELDS 1 a", [0]),
        ("HEXPIRE h 11 gt FIELDS 1 a", [1]),
        ("HEXPIRE h 11 LT FIELDS 1 a", [0]),
        ("HEXPIRE h 9 XX FIELDS 1 a", [1]),
        ("HTTL h FIELDS 2 a b", [9, 10]),
    ],
    "over already": [
        ("HEXPIRE h 0 FIELDS 2 a z", [2, -2]),
        ("HEXISTS h a", 0),
        ("HEXPIREAT h 1 FIELDS 1 b", [2]),
        ("EXISTS h", 0),
    ],
    "errors": [
        ("HEXPIRE s 10 FIELDS 1 a", WRONG_TYPE),
        ("HEXPIRE h x FIELDS 1 a", Failure("ERR value is not an integer or out of range")),
        ("HEXPIRE h -1 FIELDS 1 a", Failure("ERR invalid expire time, must be >= 0")),
        (f"HEXPIREAT h {LATEST_MS // 1000 + 1} FIELDS 1 a", too_late("hexpireat")),
        (f"HPEXPIRE h {LATEST_MS - START_MS + 1} FIELDS 1 a", too_late("hpexpire")),
        (f"HPEXPIREAT h {LATEST_MS} FIELDS 1 a", [1]),
        ("HEXPIRE h 10 FIELD 1 a", NO_FIELDS),
        ("HEXPIRE h 10 NX XX FIELDS 1 a", NO_FIELDS),
        ("HEXPIRE h 10 FIELDS 0 a", Failure("ERR Parameter `numFields` should be greater than 0")),
        ("HEXPIRE h 10 FIELDS 2 a", MISMATCH),
        ("HEXPIRE h 10 FIELDS 1 a b", MISMATCH),
        ("HTTL h FIELDS x a", NOT_POSITIVE),
        ("HTTL h FIELDS 2 a", MISMATCH),
        ("HTTL s FIELDS 1 a", WRONG_TYPE),
        ("HPERSIST h X 1 a", NO_FIELDS),
        ("HGETDEL h FIELDS 0 a", NOT_POSITIVE),
        ("HGETEX h EX 5 FIELDS", NO_FIELDS),
        ("HGETEX h EX x FIELDS 1 a", Failure("ERR value is not an integer or out of range")),
        ("HGETEX h PERSIST FIELDS 2 a", MISMATCH),
    ],
    "hgetdel": [
        ("HGETDEL h FIELDS 3 a z a", [b"1", None, None]),
        ("HGETDEL h FIELDS 1 b", [b"2"]),
        ("EXISTS h", 0),
    ],
    "hgetex": [
        ("HGETEX h FIELDS 2 a z", [b"1", None]),
        ("HTTL h FIELDS 1 a", [-1]),
        ("HGETEX h EX 5 FIELDS 2 a z", [b"1", None]),
        ("HTTL h FIELDS 1 a", [5]),
        ("HGETEX h PERSIST FIELDS 1 a", [b"1"]),
        ("HTTL h FIELDS 1 a", [-1]),
        ("HGETEX h PXAT 1 FIELDS 1 a", [b"1"]),
        ("HEXISTS h a", 0),
    ],
    "hsetex": [
        ("HSETEX h EX 5 FIELDS 2 a 3 c 4", 1),
        ("HTTL h FIELDS 3 a b c", [5, -1, 5]),
        ("HSETEX h KEEPTTL FIELDS 1 a 5", 1),
        ("HTTL h FIELDS 1 a", [5]),
        ("HSETEX h FIELDS 1 a 6", 1),
        ("HTTL h FIELDS 1 a", [-1]),
        ("HSETEX h FNX FIELDS 2 y 1 a 1", 0),
        ("HEXISTS h y", 0),
        ("HSETEX h FXX PX 9000 FIELDS 2 a 7 b 8", 1),
        ("HMGET h a b", [b"7", b"8"]),
        ("HSETEX h FXX FIELDS 2 a 9 y 1", 0),
        ("HSETEX n FNX FIELDS 1 a 1", 1),
        ("HSETEX n EXAT 1 FIELDS 1 a 1", 1),
        ("EXISTS n", 0),
    ],
    "hsetex errors": [
        ("HSETEX h EX 5 PX 5 FIELDS 1 a 1", Failure(
            "ERR Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified")),
        ("HSETEX h FNX FXX FIELDS 1 a 1", Failure(
            "ERR Only one of FXX or FNX arguments can be specified")),
        ("HSETEX h NX FIELDS 1 a 1", Failure("ERR unknown argument: NX")),
        ("HSETEX h FIELDS 0 a 1", Failure("ERR invalid number of fields")),
        ("HSETEX h FIELDS 2 a 1", Failure("ERR wrong number of arguments for 'hsetex' command")),
        ("HSETEX h EX -1 FIELDS 1 a 1", Failure("ERR invalid expire time, must be >= 0")),
        ("HSETEX s FIELDS 1 a 1", WRONG_TYPE),
        ("HSETEX h FNX FNX FIELDS 1 a 1", Failure(
            "ERR Only one of FXX or FNX arguments can be specified")),
    ],
    "what sets a field ends its lifetime, what changes it does not": [
        ("HEXPIRE h 10 FIELDS 2 a b", [1, 1]),
        ("HINCRBY h a 1", 2),
        ("HINCRBYFLOAT h a 1", b"3"),
        ("HTTL h FIELDS 1 a", [10]),
        ("HSET h a 1", 0),
        ("HTTL h FIELDS 2 a b", [-1, 10]),
        ("HDEL h b", 1),
        ("HSET h b 1", 1),
        ("HTTL h FIELDS 1 b", [-1]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
@pytest.mark.parametrize("observed", [True, False])
def test_conversations(node: MemoryNode, calls: Calls, observed: bool) -> None:
    if not observed:
        node.observe(False)
    for line, reply in calls:
        assert node.call(*line.split()) == reply, line


AT = f"{START_MS + 5000}"


@pytest.mark.parametrize(
    ("line", "sent", "events"),
    [
        ("HEXPIRE h 5 FIELDS 2 a z", [f"HPEXPIREAT h {AT} FIELDS 1 a"], "hexpire"),
        ("HPEXPIRE h 5000 NX FIELDS 1 a", [f"HPEXPIREAT h {AT} FIELDS 1 a"], "hexpire"),
        ("HEXPIRE h 5 XX FIELDS 1 a", [], ""),
        ("HEXPIRE h 0 FIELDS 1 a", ["HDEL h a"], "hdel"),
        ("HEXPIRE h 0 FIELDS 2 a b", ["HDEL h a b"], "hdel del"),
        ("HGETEX h FIELDS 1 a", [], ""),
        ("HGETEX h PX 5000 FIELDS 2 a z", [f"HPEXPIREAT h {AT} FIELDS 1 a"], "hexpire"),
        ("HGETEX h PERSIST FIELDS 1 a", [], ""),
        ("HGETEX h EXAT 1 FIELDS 1 a", ["HDEL h a"], "hdel"),
        ("HGETDEL h FIELDS 2 a z", ["HDEL h a z"], "hdel"),
        ("HGETDEL h FIELDS 1 z", [], ""),
        ("HSETEX h EX 5 FIELDS 1 a 1", [f"HSETEX h PXAT {AT} FIELDS 1 a 1"], "hset hexpire"),
        ("HSETEX h KEEPTTL FIELDS 1 a 1", ["HSETEX h KEEPTTL FIELDS 1 a 1"], "hset"),
        ("HSETEX h PXAT 1 FIELDS 1 a 1", ["HDEL h a"], "hset hdel"),
    ],
)
def test_effects(node: MemoryNode, line: str, sent: list[str], events: str) -> None:
    node.call(*line.split())
    propagated, told = node.take_effects()
    assert propagated == [words.encode().split() for words in sent]
    assert b" ".join(name for _, name, _ in told) == events.encode()


def test_a_sum_in_a_mortal_field_is_sent_with_its_lifetime_kept(node: MemoryNode) -> None:
    node.call("HEXPIRE", "h", 5, "FIELDS", 1, "a")
    node.take_batches()
    node.call("HINCRBYFLOAT", "h", "a", "0.5")
    assert node.take_propagated() == [b"HSETEX h KEEPTTL FIELDS 1 a 1.5".split()]


READS = [
    ("HGET h a", None),
    ("HMGET h a b", [None, b"2"]),
    ("HEXISTS h a", 0),
    ("HSTRLEN h a", 0),
    ("HLEN h", 1),
    ("HGETALL h", [b"b", b"2"]),
    ("HKEYS h", [b"b"]),
    ("HVALS h", [b"2"]),
    ("HSCAN h 0", [b"0", [b"b", b"2"]]),
    ("HRANDFIELD h 5", [b"b"]),
    ("HTTL h FIELDS 1 a", [-2]),
]


@pytest.mark.parametrize(("line", "reply"), READS)
def test_dead_fields_are_unseen_and_go_on_sight(node: MemoryNode, line: str, reply: Plain) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.advance(99)
    assert node.call("HGET", "h", "a") == b"1"
    node.take_batches()
    node.advance(1)
    assert node.call(*line.split()) == reply
    assert node.take_effects() == ([[b"HDEL", b"h", b"a"]], [("h", b"hexpired", b"h")])


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("HSETNX h a 5", 1),
        ("HINCRBY h a 5", 5),
        ("HINCRBYFLOAT h a 5", b"5"),
        ("HDEL h a", 0),
        ("HPERSIST h FIELDS 1 a", [-2]),
        ("HEXPIRE h 5 FIELDS 1 a", [-2]),
        ("HGETDEL h FIELDS 1 a", [None]),
        ("HSETEX h FNX FIELDS 1 a 1", 1),
        ("HSET h a 1", 1),
    ],
)
def test_writes_find_no_dead_fields(node: MemoryNode, line: str, reply: Plain) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.advance(100)
    node.take_batches()
    assert node.call(*line.split()) == reply
    assert node.take_propagated()[0] == [b"HDEL", b"h", b"a"]


def test_the_last_dead_field_takes_the_key_along(node: MemoryNode) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 2, "a", "b")
    node.advance(100)
    node.take_batches()
    assert node.call("HGETALL", "h") == []
    assert node.take_effects() == (
        [[b"HDEL", b"h", b"a", b"b"]],
        [("h", b"hexpired", b"h"), ("g", b"del", b"h")],
    )
    assert node.call("EXISTS", "h") == 0


@pytest.mark.parametrize(("line", "reply"), READS)
def test_a_replica_hides_dead_fields_but_keeps_them(
    node: MemoryNode, line: str, reply: Plain
) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.advance(100)
    node.take_batches()
    node.machine.keyspace.become_replica(True)
    assert node.call(*line.split()) == reply
    node.tick()
    assert node.take_batches() == []
    assert node.session.db.get(b"h") == {b"a": b"1", b"b": b"2"}


def test_a_replica_deletes_no_field_because_of_its_time(node: MemoryNode) -> None:
    node.machine.keyspace.become_replica(True)
    node.call("HPEXPIREAT", "h", 1, "FIELDS", 1, "a")
    assert node.session.db.get(b"h") == {b"a": b"1", b"b": b"2"}


def test_the_cycle_removes_what_nobody_looks_at(node: MemoryNode) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.call("HPEXPIRE", "h", 50, "FIELDS", 1, "b")
    node.take_batches()
    node.advance(50)
    node.tick()
    assert node.take_propagated() == [[b"HDEL", b"h", b"b"]]
    node.advance(50)
    node.tick()
    assert node.take_effects() == (
        [[b"HDEL", b"h", b"a"]],
        [("h", b"hexpired", b"h"), ("g", b"del", b"h")],
    )


@pytest.mark.parametrize("change", ["RENAME h other", "COPY h other"])
def test_the_cycle_finds_hashes_under_new_names(node: MemoryNode, change: str) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.call(*change.split())
    node.advance(100)
    for _ in range(100):
        node.tick()
    assert node.session.db.get(b"other") == {b"b": b"2"}


def test_the_cycle_finds_what_dies_far_ahead_but_not_beside_a_child(node: MemoryNode) -> None:
    node.call("HEXPIRE", "h", 3600, "FIELDS", 1, "a")
    node.advance(3_600_000)
    node.machine.persistence.begin_child(ChildKind.SNAPSHOT)
    for _ in range(100):
        node.tick()
    assert node.session.db.get(b"h") == {b"a": b"1", b"b": b"2"}
    node.machine.persistence.end_child()
    for _ in range(100):
        node.tick()
    assert node.session.db.get(b"h") == {b"b": b"2"}


def test_the_cycle_walks_only_where_a_field_ever_had_a_lifetime() -> None:
    class Watched(list[Plain]):
        looks = 0

        def __getitem__(self, index: Plain) -> Plain:
            self.looks += 1
            return super().__getitem__(index)

    node = MemoryNode()
    node.call("HSET", "h", "a", "1", "b", "2")
    db = node.session.db
    db.slots = slots = Watched(db.slots)
    node.tick()
    assert slots.looks == 0
    node.call("HEXPIRE", "h", 3600, "FIELDS", 1, "a")
    slots.looks = 0
    node.tick()
    assert slots.looks > 0
    payload = node.call("DUMP", "h")
    other = MemoryNode()
    other.call("RESTORE", "h", 0, payload)
    other.advance(3_600_000)
    for _ in range(100):
        other.tick()
    assert other.session.db.get(b"h") == {b"b": b"2"}


def test_the_cycle_takes_much_in_pieces(node: MemoryNode) -> None:
    fields = [f"f{number}" for number in range(1200)]
    node.call("HSET", "big", *(word for field in fields for word in (field, "x")))
    node.call("HPEXPIRE", "big", 100, "FIELDS", 1200, *fields)
    node.take_batches()
    node.advance(100)
    for _ in range(5):
        node.tick()
    sent = node.take_propagated()
    assert node.call("EXISTS", "big") == 0
    assert max(map(len, sent)) < 600
    assert sum(len(words) - 2 for words in sent) == 1200


def test_no_active_expiry_on_demand(node: MemoryNode) -> None:
    node.call("HPEXPIRE", "h", 100, "FIELDS", 1, "a")
    node.machine.active_expiry = False
    node.advance(100)
    node.take_batches()
    node.tick()
    assert node.take_batches() == []
