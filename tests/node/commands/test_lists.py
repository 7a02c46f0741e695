"""Lists: replies, limits, encodings, effects. Waiting is in `test_blocking`."""

from random import Random

import pytest

from ..harness import Failure, MemoryNode, Plain

SYNTAX = Failure("ERR syntax error")
WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")
NOT_AN_INTEGER = Failure("ERR value is not an integer or out of range")
MUST_BE_POSITIVE = Failure("ERR value is out of range, must be positive")
NOT_INVERTIBLE = Failure(
    "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)
NO_KEYS = Failure("ERR numkeys should be greater than 0")
NO_COUNT = Failure("ERR count should be greater than 0")
MAXIMUM = 2**63 - 1
MINIMUM = -(2**63)

Calls = list[tuple[str, Plain]]


def wrong_arity(name: str) -> Failure:
    return Failure(f"ERR wrong number of arguments for '{name}' command")


@pytest.fixture
def node() -> MemoryNode:
    """A node with a list of `a b c b d` and a string."""
    node = MemoryNode()
    node.call("RPUSH", "l", *"abcbd")
    node.call("SET", "s", "text")
    node.take_batches()
    return node


CONVERSATIONS: dict[str, Calls] = {
    "push": [
        ("RPUSH n 1 2", 2),
        ("LPUSH n 3 4", 4),
        ("LRANGE n 0 -1", [b"4", b"3", b"1", b"2"]),
        ("LPUSHX none 1", 0),
        ("RPUSHX none 1 2", 0),
        ("EXISTS none", 0),
        ("LPUSHX n 5", 5),
        ("RPUSHX n 6 7", 7),
        ("LINDEX n 0", b"5"),
        ("LINDEX n -1", b"7"),
        ("LPUSH s 1", WRONG_TYPE),
        ("RPUSHX s 1", WRONG_TYPE),
        ("LPUSH n", wrong_arity("lpush")),
    ],
    "pop": [
        ("LPOP l", b"a"),
        ("RPOP l", b"d"),
        ("LPOP l 0", []),
        ("LPOP l 2", [b"b", b"c"]),
        ("RPOP l 9223372036854775807", [b"b"]),
        ("EXISTS l", 0),
        ("LPOP l", None),
        ("LPOP l 1", None),
        ("LPOP l -1", MUST_BE_POSITIVE),
        ("LPOP none x", MUST_BE_POSITIVE),
        ("RPOP l 9223372036854775808", MUST_BE_POSITIVE),
        ("LPOP s", WRONG_TYPE),
        ("RPOP s 0", WRONG_TYPE),
        ("LPOP l 1 2", wrong_arity("lpop")),
        ("RPOP l 1 2", wrong_arity("rpop")),
    ],
    "read": [
        ("LLEN l", 5),
        ("LLEN none", 0),
        ("LLEN s", WRONG_TYPE),
        ("LINDEX l 4", b"d"),
        ("LINDEX l 5", None),
        ("LINDEX l -5", b"a"),
        ("LINDEX l -6", None),
        (f"LINDEX l {MINIMUM}", None),
        ("LINDEX l x", NOT_AN_INTEGER),
        ("LINDEX none x", None),
        ("LINDEX s x", WRONG_TYPE),
        ("LRANGE l 1 2", [b"b", b"c"]),
        ("LRANGE l -2 100", [b"b", b"d"]),
        (f"LRANGE l {MINIMUM} {MAXIMUM}", [b"a", b"b", b"c", b"b", b"d"]),
        ("LRANGE l 3 1", []),
        ("LRANGE l 9 10", []),
        ("LRANGE l 0 -6", []),
        ("LRANGE none 0 -1", []),
        ("LRANGE none x 1", NOT_AN_INTEGER),
        ("LRANGE s 0 1", WRONG_TYPE),
    ],
    "insert": [
        ("LINSERT l BEFORE b x", 6),
        ("LINSERT l after b y", 7),
        ("LRANGE l 0 -1", [b"a", b"x", b"b", b"y", b"c", b"b", b"d"]),
        ("LINSERT l BEFORE a 0", 8),
        ("LINSERT l AFTER d 9", 9),
        ("LRANGE l 0 0", [b"0"]),
        ("LRANGE l -1 -1", [b"9"]),
        ("LINSERT l AFTER none z", -1),
        ("LINSERT none AFTER a z", 0),
        ("LINSERT none NEAR a z", SYNTAX),
        ("LINSERT s AFTER a z", WRONG_TYPE),
    ],
    "set": [
        ("LSET l 0 x", "OK"),
        ("LSET l -1 y", "OK"),
        ("LRANGE l 0 -1", [b"x", b"b", b"c", b"b", b"y"]),
        ("LSET l 5 z", Failure("ERR index out of range")),
        ("LSET l -6 z", Failure("ERR index out of range")),
        ("LSET none x z", Failure("ERR no such key")),
        ("LSET l x z", NOT_AN_INTEGER),
        ("LSET s x z", WRONG_TYPE),
    ],
    "remove": [
        ("LREM l -1 b", 1),
        ("LRANGE l 0 -1", [b"a", b"b", b"c", b"d"]),
        ("LREM l 1 b", 1),
        ("LREM l 0 none", 0),
        (f"LREM l {MINIMUM} a", NOT_INVERTIBLE),
        ("LREM none x a", NOT_AN_INTEGER),
        ("LREM none 1 a", 0),
        ("LREM s 1 a", WRONG_TYPE),
        ("RPUSH same e e e e", 4),
        ("LREM same 3 e", 3),
        (f"LREM same {MAXIMUM} e", 1),
        ("EXISTS same", 0),
    ],
    "trim": [
        ("LTRIM l 1 -2", "OK"),
        ("LRANGE l 0 -1", [b"b", b"c", b"b"]),
        (f"LTRIM l {MINIMUM} {MAXIMUM}", "OK"),
        ("LLEN l", 3),
        ("LTRIM l 5 1", "OK"),
        ("EXISTS l", 0),
        ("LTRIM none 0 0", "OK"),
        ("LTRIM none 0 x", NOT_AN_INTEGER),
        ("LTRIM s 0 0", WRONG_TYPE),
    ],
    "positions": [
        ("LPOS l b", 1),
        ("LPOS l none", None),
        ("LPOS none b", None),
        ("LPOS l b RANK 2", 3),
        ("LPOS l b RANK 3", None),
        ("LPOS l b RANK -1", 3),
        ("LPOS l b RANK -2", 1),
        ("LPOS l b COUNT 0", [1, 3]),
        ("LPOS l b COUNT 1", [1]),
        ("LPOS l b COUNT 5 RANK -1", [3, 1]),
        ("LPOS l b COUNT 0 RANK 2", [3]),
        ("LPOS l b MAXLEN 1", None),
        ("LPOS l b MAXLEN 2", 1),
        ("LPOS l b COUNT 0 MAXLEN 3", [1]),
        ("LPOS l b COUNT 0 MAXLEN 3 RANK -1", [3]),
        (f"LPOS l b COUNT {MAXIMUM} MAXLEN {MAXIMUM}", [1, 3]),
        (f"LPOS l b RANK {MINIMUM + 1}", None),
        (f"LPOS l b RANK {MINIMUM}", NOT_INVERTIBLE),
        ("LPOS none b COUNT 0", []),
        ("LPOS s b", WRONG_TYPE),
        (
            "LPOS s b RANK 0",
            Failure(
                "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second "
                "... or use negative to start from the end of the list"
            ),
        ),
        ("LPOS l b RANK x", NOT_AN_INTEGER),
        ("LPOS l b COUNT -1", Failure("ERR COUNT can't be negative")),
        ("LPOS l b COUNT x", Failure("ERR COUNT can't be negative")),
        ("LPOS l b MAXLEN -1", Failure("ERR MAXLEN can't be negative")),
        ("LPOS l b RANK", SYNTAX),
        ("LPOS l b FOO 1", SYNTAX),
    ],
    "move": [
        ("LMOVE l m LEFT RIGHT", b"a"),
        ("LMOVE l m right left", b"d"),
        ("RPOPLPUSH l m", b"b"),
        ("LRANGE m 0 -1", [b"b", b"d", b"a"]),
        ("LMOVE m m LEFT RIGHT", b"b"),
        ("LRANGE m 0 -1", [b"d", b"a", b"b"]),
        ("RPUSH one x", 1),
        ("LMOVE one one LEFT LEFT", b"x"),
        ("LMOVE one two LEFT LEFT", b"x"),
        ("EXISTS one", 0),
        ("LMOVE none s LEFT LEFT", None),
        ("LMOVE none s UP LEFT", SYNTAX),
        ("LMOVE l s LEFT LEFT", WRONG_TYPE),
        ("LMOVE s l LEFT LEFT", WRONG_TYPE),
        ("RPOPLPUSH none none", None),
        ("LLEN l", 2),
    ],
    "pop from the first of several": [
        ("LMPOP 2 none l LEFT", [b"l", [b"a"]]),
        ("LMPOP 1 l RIGHT COUNT 2", [b"l", [b"d", b"b"]]),
        ("LMPOP 1 l LEFT COUNT 100", [b"l", [b"b", b"c"]]),
        ("LMPOP 1 l LEFT", None),
        ("LMPOP 2 s l LEFT", WRONG_TYPE),
        ("LMPOP 0 l LEFT", NO_KEYS),
        ("LMPOP -1 l LEFT", NO_KEYS),
        ("LMPOP x l LEFT", NO_KEYS),
        ("LMPOP 2 l LEFT", SYNTAX),
        (f"LMPOP {MAXIMUM} l LEFT", SYNTAX),
        ("LMPOP 1 l UP", SYNTAX),
        ("LMPOP 1 l LEFT COUNT", SYNTAX),
        ("LMPOP 1 l LEFT COUNT 0", NO_COUNT),
        ("LMPOP 1 l LEFT COUNT -1", NO_COUNT),
        ("LMPOP 1 l LEFT COUNT x", NO_COUNT),
        ("LMPOP 1 l LEFT COUNT 1 COUNT 1", SYNTAX),
        ("LMPOP 1 l LEFT FOO 1", SYNTAX),
    ],
    "the errors of waiting": [
        ("BLPOP none -1", Failure("ERR timeout is negative")),
        ("BLPOP none x", Failure("ERR timeout is not a float or out of range")),
        ("BLPOP s x", Failure("ERR timeout is not a float or out of range")),
        ("BLPOP s 0", WRONG_TYPE),
        ("BLMOVE none x UP LEFT x", SYNTAX),
        ("BLMOVE s none LEFT LEFT 0", WRONG_TYPE),
        ("BLMPOP x 0 none LEFT", NO_KEYS),
        ("BLMPOP x 1 none LEFT", Failure("ERR timeout is not a float or out of range")),
        ("BLMPOP 0 1 s LEFT", WRONG_TYPE),
        ("BRPOPLPUSH s none 0", WRONG_TYPE),
    ],
}


@pytest.mark.parametrize("calls", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_conversations(node: MemoryNode, calls: Calls) -> None:
    for line, reply in calls:
        assert node.call(*line.split()) == reply, line


NULLS = [
    ("LPOP none", b"$-1\r\n"),
    ("LPOP none 1", b"*-1\r\n"),
    ("LMPOP 1 none LEFT", b"*-1\r\n"),
    ("LMOVE none x LEFT LEFT", b"$-1\r\n"),
    ("LPOS none x", b"$-1\r\n"),
    ("LINDEX none 0", b"$-1\r\n"),
]


@pytest.mark.parametrize(("line", "reply"), NULLS)
def test_nulls(node: MemoryNode, line: str, reply: bytes) -> None:
    assert node.receive(line.split()) == reply
    node.call("HELLO", 3)
    assert node.receive(line.split()) == b"_\r\n"


EFFECTS: list[tuple[str, list[str] | None, list[tuple[str, str, str]]]] = [
    ("RPUSH n a b", None, [("l", "rpush", "n")]),
    ("LPUSH l a", None, [("l", "lpush", "l")]),
    ("RPUSHX l a", None, [("l", "rpush", "l")]),
    ("LPUSHX none a", [], []),
    ("LINSERT l BEFORE c x", None, [("l", "linsert", "l")]),
    ("LINSERT l BEFORE none x", [], []),
    ("LSET l 0 x", None, [("l", "lset", "l")]),
    ("LREM l 0 b", None, [("l", "lrem", "l")]),
    ("LREM l 0 none", [], []),
    ("LTRIM l 0 2", None, [("l", "ltrim", "l")]),
    ("LTRIM l 0 -1", [], [("l", "ltrim", "l")]),
    ("LTRIM l 9 9", None, [("l", "ltrim", "l"), ("g", "del", "l")]),
    ("LPOP l", None, [("l", "lpop", "l")]),
    ("RPOP l 5", None, [("l", "rpop", "l"), ("g", "del", "l")]),
    ("LPOP l 0", [], []),
    ("LPOP none", [], []),
    ("LMOVE l m LEFT RIGHT", None, [("l", "rpush", "m"), ("l", "lpop", "l")]),
    ("RPOPLPUSH l l", None, [("l", "lpush", "l"), ("l", "rpop", "l")]),
    ("LMOVE none m LEFT LEFT", [], []),
    ("LMPOP 2 none l LEFT COUNT 2", ["LPOP l 2"], [("l", "lpop", "l")]),
    ("LMPOP 1 l RIGHT COUNT 9", ["RPOP l 5"], [("l", "rpop", "l"), ("g", "del", "l")]),
    ("BLPOP none l 0", ["LPOP l"], [("l", "lpop", "l")]),
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


def test_a_lifetime_stays_until_the_list_is_gone(node: MemoryNode) -> None:
    node.call("PEXPIRE", "l", 1000)
    node.call("RPUSH", "l", "x")
    assert node.call("PTTL", "l") == 1000
    node.call("LPOP", "l", 100)
    node.call("RPUSH", "l", "x")
    assert node.call("PTTL", "l") == -1


def test_encodings_follow_the_directives() -> None:
    node = MemoryNode(list_max_listpack_size=4)
    node.call("RPUSH", "l", *"1234")
    assert node.call("OBJECT", "ENCODING", "l") == b"listpack"
    node.call("RPUSH", "l", "5")
    assert node.call("OBJECT", "ENCODING", "l") == b"quicklist"
    node.call("LTRIM", "l", 0, 1)
    assert node.call("OBJECT", "ENCODING", "l") == b"listpack"
    node.machine.config.set([("list-max-listpack-size", "1")])
    node.call("RPUSH", "l", "x")
    assert node.call("OBJECT", "ENCODING", "l") == b"quicklist"


def test_ranges_of_a_long_list() -> None:
    node = MemoryNode()
    elements = [b"%d" % number for number in range(3000)]
    for start in range(0, 3000, 500):
        node.call("RPUSH", "l", *elements[start : start + 500])
    for first, last in ((0, 599), (1300, 1700), (-600, -1), (2999, 5000)):
        stop = 3000 if last in (-1, 5000) else last + 1
        assert node.call("LRANGE", "l", first, last) == elements[first:stop]
    assert node.call("LPOS", "l", "2500") == 2500
    assert node.call("LPOS", "l", "2500", "RANK", -1) == 2500


def test_random_commands_against_a_plain_list() -> None:
    node = MemoryNode()
    random = Random(5)
    model: list[bytes] = []
    for _ in range(3000):
        element = b"%d" % random.randrange(50)
        index = random.randrange(-5, len(model) + 5)
        match random.randrange(8):
            case 0 | 1:
                model.append(element)
                assert node.call("RPUSH", "l", element) == len(model)
            case 2 | 3:
                model.insert(0, element)
                assert node.call("LPUSH", "l", element) == len(model)
            case 4:
                assert node.call("LPOP", "l") == (model.pop(0) if model else None)
            case 5:
                removed = min(model.count(element), 2)
                for _ in range(removed):
                    model.remove(element)
                assert node.call("LREM", "l", 2, element) == removed
            case 6:
                known = -len(model) <= index < len(model)
                assert node.call("LINDEX", "l", index) == (model[index] if known else None)
            case _:
                if element in model:
                    model.insert(model.index(element) + 1, b"new")
                    assert node.call("LINSERT", "l", "AFTER", element, "new") == len(model)
    assert node.call("LRANGE", "l", 0, -1) == model
