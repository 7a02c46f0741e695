"""Sets and what combines them: replies, limits, encodings, effects."""

from random import Random

import pytest

from clustrio.node.commands import random_picks

from ..harness import Failure, MemoryNode, Plain, Several

SYNTAX = Failure("ERR syntax error")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
MUST_BE_POSITIVE = Failure("ERR value is out of range, must be positive")
NOT_INVERTIBLE = Failure(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
NO_KEYS = Failure("ERR numkeys should be greater than 0")
MAXIMUM = 2**63 - 1
MINIMUM = -(2**63)

Calls = list[tuple[str, Plain]]


@pytest.fixture
def node() -> MemoryNode:
    """A node with the sets `abc`, `bcd` and `123` under these names, and a string."""
    node = MemoryNode()
    for name in ("abc", "bcd", "123"):
        node.call("SADD", name, *name)
    node.call("SET", "s", "text")
    node.take_batches()
    return node


def in_order(reply: Plain) -> Plain:
    """Members in an order that can be told beforehand."""
    return type(reply)(sorted(reply)) if isinstance(reply, list) else reply


CONVERSATIONS: dict[str, Calls] = {
    "add and remove": [
        ("SADD n x y x", 2),
        ("SADD n x", 0),
        ("SADD n z", 1),
        ("SADD n x y", 0),
        ("SCARD n", 3),
        ("SREM n x none x", 1),
        ("SREM n y z none", 2),
        ("EXISTS n", 0),
        ("SREM none x", 0),
        ("SADD s x", WRONG_TYPE),
        ("SREM s x", WRONG_TYPE),
        ("SADD n", Failure("ERR wrong number of arguments for 'sadd' command")),
    ],
    "read": [
        ("SCARD abc", 3),
        ("SCARD none", 0),
        ("SCARD s", WRONG_TYPE),
        ("SISMEMBER abc a", 1),
        ("SISMEMBER abc x", 0),
        ("SISMEMBER none x", 0),
        ("SISMEMBER s x", WRONG_TYPE),
        ("SMISMEMBER abc a x b a", [1, 0, 1, 1]),
        ("SMISMEMBER none a x", [0, 0]),
        ("SMISMEMBER s a", WRONG_TYPE),
        ("SMEMBERS abc", [b"a", b"b", b"c"]),
        ("SMEMBERS none", []),
        ("SMEMBERS s", WRONG_TYPE),
    ],
    "move": [
        ("SMOVE abc bcd a", 1),
        ("SMOVE abc bcd a", 0),
        ("SMOVE abc bcd b", 1),
        ("SMEMBERS bcd", [b"a", b"b", b"c", b"d"]),
        ("SMOVE abc new c", 1),
        ("EXISTS abc", 0),
        ("SMOVE bcd bcd a", 1),
        ("SMOVE bcd bcd none", 0),
        ("SMOVE none s a", 0),
        ("SMOVE bcd s none", WRONG_TYPE),
        ("SMOVE s bcd a", WRONG_TYPE),
    ],
    "pop": [
        ("SPOP abc 0", []),
        ("SPOP abc 9223372036854775807", [b"a", b"b", b"c"]),
        ("EXISTS abc", 0),
        ("SPOP abc", None),
        ("SPOP abc 2", []),
        ("SPOP abc -1", MUST_BE_POSITIVE),
        ("SPOP abc x", MUST_BE_POSITIVE),
        ("SPOP abc 1 2", SYNTAX),
        ("SPOP s", WRONG_TYPE),
        ("SPOP s 0", WRONG_TYPE),
        ("SADD one x", 1),
        ("SPOP one", b"x"),
        ("EXISTS one", 0),
    ],
    "random members": [
        ("SRANDMEMBER none", None),
        ("SRANDMEMBER none 5", []),
        ("SRANDMEMBER none -5", []),
        ("SRANDMEMBER abc 0", []),
        (f"SRANDMEMBER abc {MAXIMUM}", [b"a", b"b", b"c"]),
        (f"SRANDMEMBER abc {MINIMUM}", NOT_INVERTIBLE),
        (f"SRANDMEMBER none {MINIMUM}", NOT_INVERTIBLE),
        (f"SRANDMEMBER abc {MINIMUM + 1}", Failure("ERR value is out of range")),
        (f"SRANDMEMBER none {MINIMUM + 1}", []),
        ("SRANDMEMBER abc x", NOT_AN_INTEGER),
        ("SRANDMEMBER abc 1 2", SYNTAX),
        ("SRANDMEMBER s", WRONG_TYPE),
    ],
    "scan": [
        ("SSCAN abc 0", [b"0", [b"a", b"b", b"c"]]),
        ("SSCAN abc 77 COUNT 1", [b"0", [b"a", b"b", b"c"]]),
        ("SSCAN abc 0 MATCH [ab]", [b"0", [b"a", b"b"]]),
        ("SSCAN 123 0 match *", [b"0", [b"1", b"2", b"3"]]),
        ("SSCAN none 0 NONSENSE", [b"0", []]),
        ("SSCAN none x", Failure("ERR invalid cursor")),
        ("SSCAN s x", Failure("ERR invalid cursor")),
        ("SSCAN s 0 NONSENSE", WRONG_TYPE),
        ("SSCAN abc 0 COUNT", SYNTAX),
        ("SSCAN abc 0 COUNT 0", SYNTAX),
        ("SSCAN abc 0 COUNT x", NOT_AN_INTEGER),
        ("SSCAN abc 0 NOVALUES", SYNTAX),
        ("SSCAN abc 0 TYPE set", SYNTAX),
    ],
    "algebra": [
        ("SINTER abc bcd", [b"b", b"c"]),
        ("SINTER abc", [b"a", b"b", b"c"]),
        ("SINTER abc none", []),
        ("SINTER none s", WRONG_TYPE),
        ("SUNION abc bcd none", [b"a", b"b", b"c", b"d"]),
        ("SUNION none none", []),
        ("SUNION abc s", WRONG_TYPE),
        ("SDIFF abc bcd none", [b"a"]),
        ("SDIFF bcd abc abc", [b"d"]),
        ("SDIFF abc abc", []),
        ("SDIFF none abc", []),
        ("SDIFF none s", WRONG_TYPE),
        ("SDIFF abc abc s", WRONG_TYPE),
        ("SMEMBERS abc", [b"a", b"b", b"c"]),
    ],
    "counted": [
        ("SINTERCARD 2 abc bcd", 2),
        ("SINTERCARD 2 abc bcd LIMIT 1", 1),
        ("SINTERCARD 2 abc bcd limit 0", 2),
        (f"SINTERCARD 2 abc bcd LIMIT {MAXIMUM}", 2),
        ("SINTERCARD 2 abc none", 0),
        ("SINTERCARD 2 none s", WRONG_TYPE),
        ("SINTERCARD 0 abc", NO_KEYS),
        ("SINTERCARD x abc", NO_KEYS),
        ("SINTERCARD 2 abc", Failure("ERR Number of keys can't be greater than number of args")),
        ("SINTERCARD 1 abc bcd", SYNTAX),
        ("SINTERCARD 1 abc LIMIT", SYNTAX),
        ("SINTERCARD 1 abc LIMIT -1", Failure("ERR LIMIT can't be negative")),
        ("SINTERCARD 1 abc LIMIT x", Failure("ERR LIMIT can't be negative")),
    ],
    "stored": [
        ("SINTERSTORE s abc bcd", 2),
        ("SMEMBERS s", [b"b", b"c"]),
        ("SUNIONSTORE abc abc bcd", 4),
        ("SDIFFSTORE t abc s", 2),
        ("SMEMBERS t", [b"a", b"d"]),
        ("SDIFFSTORE t t t", 0),
        ("EXISTS t", 0),
        ("SINTERSTORE none abc none", 0),
        ("SET string x", "OK"),
        ("SUNIONSTORE abc abc string", WRONG_TYPE),
        ("SCARD abc", 4),
    ],
}


def _comparable(reply: Plain) -> Plain:
    if isinstance(reply, list) and len(reply) == 2 and isinstance(reply[1], list):
        return [reply[0], in_order(reply[1])]
    keeps_order = isinstance(reply, list) and all(isinstance(item, int) for item in reply)
    return reply if keeps_order else in_order(reply)


@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations(node: MemoryNode, calls: Calls) -> None:
    for line, reply in calls:
        assert _comparable(node.call(*line.split())) == reply, line


def test_types_of_resp3(node: MemoryNode) -> None:
    node.call("HELLO", 3)
    for line in ("SMEMBERS abc", "SINTER abc", "SUNION none", "SDIFF abc bcd", "SPOP abc 1"):
        assert type(node.call(*line.split())) is Several, line
    for line in ("SPOP none 1", "SPOP abc 0", "SMEMBERS none", "SPOP bcd 9"):
        assert type(node.call(*line.split())) is Several, line
    for line in ("SRANDMEMBER abc 2", "SRANDMEMBER none 2", "SMISMEMBER abc a"):
        assert type(node.call(*line.split())) is list, line
    assert node.receive(["SPOP", "none"]) == node.receive(["SRANDMEMBER", "none"]) == b"_\r\n"


EFFECTS: list[tuple[str, list[str] | None, list[tuple[str, str, str]]]] = [
    ("SADD n x y", None, [("s", "sadd", "n")]),
    ("SADD abc a", [], []),
    ("SREM abc a b", None, [("s", "srem", "abc")]),
    ("SREM abc a b c", None, [("s", "srem", "abc"), ("g", "del", "abc")]),
    ("SREM abc x", [], []),
    ("SMOVE abc bcd a", None, [("s", "srem", "abc"), ("s", "sadd", "bcd")]),
    ("SMOVE abc bcd b", None, [("s", "srem", "abc")]),
    ("SMOVE abc abc b", [], []),
    ("SPOP abc 3", ["DEL abc"], [("s", "spop", "abc"), ("g", "del", "abc")]),
    ("SPOP abc 0", [], []),
    ("SINTERSTORE t abc bcd", None, [("s", "sinterstore", "t")]),
    ("SUNIONSTORE t abc bcd", None, [("s", "sunionstore", "t")]),
    ("SDIFFSTORE s abc bcd", None, [("s", "sdiffstore", "s")]),
    ("SDIFFSTORE s abc abc", None, [("g", "del", "s")]),
    ("SDIFFSTORE none abc abc", [], []),
]


@pytest.mark.parametrize(("line", "propagated", "events"), EFFECTS)
def test_effects(
    node: MemoryNode,
    line: str,
    propagated: list[str] | None,
    events: list[tuple[str, str, str]],
) -> None:
    node.call(*line.split())
    commands, seen = node.take_effects()
    expected = [line] if propagated is None else propagated
    assert commands == [text.encode().split() for text in expected]
    assert seen == [(kind, name.encode(), key.encode()) for kind, name, key in events]


def test_what_was_popped_is_what_is_propagated(node: MemoryNode) -> None:
    member = node.call("SPOP", "abc")
    assert node.take_effects() == ([[b"SREM", b"abc", member]], [("s", b"spop", b"abc")])
    members = node.call("SPOP", "bcd", 2)
    assert node.take_propagated() == [[b"SREM", b"bcd", *members]]
    single = node.call("SPOP", "123", 1)
    assert node.take_propagated() == [[b"SREM", b"123", *single]]
    last = node.call("SPOP", "bcd")
    assert node.take_effects() == (
        [[b"SREM", b"bcd", last]],
        [("s", b"spop", b"bcd"), ("g", b"del", b"bcd")],
    )
    node.machine.config.set([("lazyfree-lazy-server-del", "yes")])
    node.call("SPOP", "abc", 5)
    assert node.take_propagated() == [[b"UNLINK", b"abc"]]


def test_many_popped_members_leave_in_several_commands() -> None:
    node = MemoryNode()
    node.call("SADD", "k", *range(3000))
    node.take_batches()
    popped = node.call("SPOP", "k", 2500)
    commands = node.take_propagated()
    assert [len(command) for command in commands] == [1026, 1026, 454]
    assert [member for command in commands for member in command[2:]] == popped
    assert len(set(popped)) == 2500
    assert node.call("SCARD", "k") == 500


@pytest.mark.parametrize("size", [5, 2000])
def test_random_members(size: int) -> None:
    node = MemoryNode()
    node.call("SADD", "k", *range(size))
    everything = {b"%d" % number for number in range(size)}
    assert {node.call("SRANDMEMBER", "k") for _ in range(60)} <= everything
    for count in (1, 3, 4):
        found = node.call("SRANDMEMBER", "k", count)
        assert len(set(found)) == len(found) == count
    for count in (3, 20, 500):
        found = node.call("SRANDMEMBER", "k", -count)
        assert len(found) == count
        assert set(found) <= everything
    assert len(set(node.call("SRANDMEMBER", "k", -500))) > min(size, 300) - 1
    assert node.call("SCARD", "k") == size


def test_drawing_more_than_memory_holds_is_refused(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(random_picks, "REPEATED_PICKS_MAX", 100)
    assert len(node.call("SRANDMEMBER", "abc", -100)) == 100
    assert node.call("SRANDMEMBER", "abc", -101) == Failure("ERR value is out of range")


def test_a_scan_meets_every_member_that_stays() -> None:
    node = MemoryNode()
    node.call("SADD", "k", *(f"m{number}" for number in range(1000)))
    assert node.call("OBJECT", "ENCODING", "k") == b"hashtable"
    cursor, found, pages = b"0", list[bytes](), 0
    while pages == 0 or cursor != b"0":
        cursor, page = node.call("SSCAN", "k", cursor, "COUNT", 50, "MATCH", "m*5")
        node.call("SADD", "k", f"new{pages}")
        node.call("SREM", "k", f"m{pages}0")
        found += page
        pages += 1
    assert {b"m%d" % number for number in range(5, 1000, 10)} == set(found)
    assert pages > 5


def test_encodings_follow_the_directives() -> None:
    node = MemoryNode(set_max_intset_entries=3, set_max_listpack_entries=4)
    encodings = []
    for members in (["1"], ["2", "3"], ["x"], ["y"]):
        node.call("SADD", "k", *members)
        encodings.append(node.call("OBJECT", "ENCODING", "k"))
    assert encodings == [b"intset", b"intset", b"listpack", b"hashtable"]
    node.call("SREM", "k", "x", "y")
    assert node.call("OBJECT", "ENCODING", "k") == b"hashtable"
    node.call("SUNIONSTORE", "k", "k")
    assert node.call("OBJECT", "ENCODING", "k") == b"intset"


def test_a_stored_result_has_no_lifetime(node: MemoryNode) -> None:
    node.call("PEXPIRE", "abc", 1000)
    node.call("SADD", "abc", "x")
    assert node.call("PTTL", "abc") == 1000
    node.call("SUNIONSTORE", "abc", "abc")
    assert node.call("PTTL", "abc") == -1


def test_random_commands_against_plain_sets() -> None:
    node = MemoryNode()
    random = Random(3)
    model: dict[str, set[bytes]] = {name: set() for name in "abc"}
    for _ in range(2000):
        one, two = random.choice("abc"), random.choice("abc")
        member = random.choice([b"%d" % random.randrange(30), b"m%d" % random.randrange(30)])
        match random.randrange(6):
            case 0 | 1:
                assert node.call("SADD", one, member) == (member not in model[one])
                model[one].add(member)
            case 2:
                assert node.call("SREM", one, member) == (member in model[one])
                model[one].discard(member)
            case 3:
                assert set(node.call("SDIFF", one, two)) == model[one] - model[two]
                assert set(node.call("SINTER", one, two)) == model[one] & model[two]
            case 4:
                assert node.call("SMOVE", one, two, member) == (member in model[one])
                if member in model[one]:
                    model[one].discard(member)
                    model[two].add(member)
            case _:
                popped = node.call("SPOP", one)
                assert popped in model[one] if model[one] else popped is None
                model[one].discard(popped)
        assert node.call("SCARD", one) == len(model[one])
