"""Keys are found in command lines, strictly for COMMAND and leniently for routing."""

from collections.abc import Iterator

import pytest

from clustrio.slots.keyspec import (
    BeginIndex,
    BeginKeyword,
    BeginUnknown,
    FindKeyNumber,
    FindRange,
    FindUnknown,
    InvalidKeySpecError,
    KeySpec,
    compile_key_finder,
    found_by,
    has_movable_keys,
    key_positions,
    key_range,
    keynum,
    keyword_keys,
    legacy_range,
    one_key,
    unknown_keys,
)

from ..support.raw import RawClient, Reply
from ..support.servers import client_of, start_redis

GET = (one_key(1, "RO"),)
DEL = (key_range(1, "RM"),)
MSET = (key_range(1, "OW", step=2),)
RENAME = (one_key(1, "RW"), one_key(2, "OW"))
BITOP = (one_key(2, "OW"), key_range(3, "RO"))
BLPOP = (key_range(1, "RW", last=-2),)
EVAL = (keynum(2, "RW"),)
ZUNIONSTORE = (one_key(1, "OW"), keynum(2, "RO"))
XREAD = (keyword_keys("STREAMS", 1, FindRange(-1, 1, 2), "RO"),)
GEORADIUS = (one_key(1, "RO"), keyword_keys("STORE", 6, FindRange(0, 1, 0), "OW"))
SORT = (one_key(1, "RO"), unknown_keys("OW"))
BACKWARDS = (keyword_keys("KEYS", -2, FindRange(-1, 1, 0), "RW"),)
SPUBLISH = (one_key(1, "NOT_KEY"),)

#: Specs, line, positions of its keys; None where the line is not well-formed.
LINES: list[tuple[tuple[KeySpec, ...], str, list[int] | None]] = [
    (GET, "GET a", [1]),
    (GET, "GET", None),
    (DEL, "DEL a", [1]),
    (DEL, "DEL a b c", [1, 2, 3]),
    (DEL, "DEL", None),
    (MSET, "MSET a 1 b 2", [1, 3]),
    (MSET, "MSET a 1 b", [1, 3]),
    (RENAME, "RENAME a b", [1, 2]),
    (RENAME, "RENAME a", None),
    (BITOP, "BITOP AND d a b", [2, 3, 4]),
    (BLPOP, "BLPOP a b 0", [1, 2]),
    (BLPOP, "BLPOP 0", None),
    (EVAL, "EVAL script 0", []),
    (EVAL, "EVAL script 0 argument", []),
    (EVAL, "EVAL script 2 a b argument", [3, 4]),
    (EVAL, "EVAL script 2 a", None),
    (EVAL, "EVAL script -1 a", None),
    (EVAL, "EVAL script x a", None),
    (EVAL, "EVAL script 99999999999 a", None),
    (EVAL, "EVAL script", None),
    (ZUNIONSTORE, "ZUNIONSTORE d 1 a WEIGHTS 2", [1, 3]),
    (ZUNIONSTORE, "ZUNIONSTORE d 3 a", None),
    (ZUNIONSTORE, "ZUNIONSTORE d 0 a", None),
    (XREAD, "XREAD COUNT 2 streams a b 0 0", [4, 5]),
    (XREAD, "XREAD STREAMS a 0", [2]),
    (XREAD, "XREAD STREAMS a b 0", [2]),
    (XREAD, "XREAD STREAMS a", None),
    (XREAD, "XREAD COUNT 2", []),
    (GEORADIUS, "GEORADIUS a 1 2 3 m STORE b", [1, 7]),
    (GEORADIUS, "GEORADIUS a 1 2 3 m", [1]),
    # A keyword as the last word has nothing behind it, and is not looked for there.
    (GEORADIUS, "GEORADIUS a 1 2 3 m STORE", [1]),
    (BACKWARDS, "MIGRATE h 1 0 KEYS a b", [5, 6]),
    (BACKWARDS, "MIGRATE h 1 0 KEYS KEYS b", [6]),
    (BACKWARDS, "MIGRATE KEYS", []),
    (SPUBLISH, "SPUBLISH channel message", []),
]


@pytest.mark.parametrize(("specs", "line", "expected"), LINES)
def test_keys_are_found(specs: tuple[KeySpec, ...], line: str, expected: list[int] | None) -> None:
    words = line.encode().split()
    if expected is None:
        with pytest.raises(InvalidKeySpecError):
            key_positions(specs, words)
    else:
        assert [position for position, _ in key_positions(specs, words)] == expected


@pytest.mark.parametrize(
    ("specs", "line", "expected"), [row for row in LINES if row[0] is not SPUBLISH]
)
def test_the_finder_agrees_and_never_raises(
    specs: tuple[KeySpec, ...], line: str, expected: list[int] | None
) -> None:
    words = line.encode().split()
    found = list(compile_key_finder(specs)(words))
    # Of a line with too few words a slice may still find the first; its arity is checked elsewhere.
    assert found == [words[position] for position in expected or []]


def test_a_shard_channel_is_routed_but_is_no_key() -> None:
    line = [b"SPUBLISH", b"channel", b"message"]
    assert list(compile_key_finder(SPUBLISH)(line)) == [b"channel"]
    assert key_positions(SPUBLISH, line) == []


def test_unknown_specs_are_invalid_or_skipped_unless_the_command_finds_itself() -> None:
    line = b"SORT a BY x STORE b".split()
    assert list(compile_key_finder(SORT)(line)) == [b"a"]
    own = (SORT[0], found_by(SORT[1], lambda words: [words.index(b"STORE") + 1]))
    assert list(compile_key_finder(own)(line)) == [b"a", b"b"]
    assert key_positions(own, line) == [(1, own[0]), (5, own[1])]
    assert own == SORT


def test_the_spec_that_found_a_key_comes_with_it() -> None:
    found = key_positions(RENAME, [b"RENAME", b"a", b"b"])
    assert [spec.flags for _, spec in found] == [("RW",), ("OW",)]


#: Specs, the three numbers of COMMAND INFO, whether keys are movable.
SUMMARIES = [
    ((), (0, 0, 0), False),
    (GET, (1, 1, 1), False),
    (DEL, (1, -1, 1), False),
    (MSET, (1, -1, 2), False),
    (RENAME, (1, 2, 1), False),
    (BITOP, (2, -1, 1), False),
    (BLPOP, (1, -2, 1), False),
    (EVAL, (0, 0, 0), True),
    (ZUNIONSTORE, (1, 1, 1), True),
    (XREAD, (0, 0, 0), True),
    (SORT, (1, 1, 1), True),
    ((one_key(3, "RW", "INCOMPLETE"), *BACKWARDS), (3, 3, 1), True),
    ((one_key(1, "RW", "incomplete"),), (1, 1, 1), True),
    ((one_key(1), one_key(3)), (1, 1, 1), True),
    ((one_key(1), key_range(2, step=2)), (1, 1, 1), True),
]


@pytest.mark.parametrize(("specs", "numbers", "is_movable"), SUMMARIES)
def test_the_summary_for_old_clients(
    specs: tuple[KeySpec, ...], numbers: tuple[int, int, int], is_movable: bool
) -> None:
    assert legacy_range(specs) == numbers
    assert has_movable_keys(specs) is is_movable


# --- the same questions to Redis


def _map(reply: Reply) -> dict[bytes, Reply]:
    items = reply.items
    return {items[index].text: items[index + 1] for index in range(0, len(items), 2)}


def _spec_of(reply: Reply) -> KeySpec:
    fields = _map(reply)
    flags = tuple(flag.text.decode() for flag in fields[b"flags"].items)
    begin, find = _map(fields[b"begin_search"]), _map(fields[b"find_keys"])
    from_, what = _map(begin[b"spec"]), _map(find[b"spec"])
    begins: BeginIndex | BeginKeyword | BeginUnknown = BeginUnknown()
    if begin[b"type"].text == b"index":
        begins = BeginIndex(from_[b"index"].number)
    elif begin[b"type"].text == b"keyword":
        begins = BeginKeyword(from_[b"keyword"].text.decode(), from_[b"startfrom"].number)
    finds: FindRange | FindKeyNumber | FindUnknown = FindUnknown()
    if find[b"type"].text == b"range":
        finds = FindRange(*(what[name].number for name in (b"lastkey", b"keystep", b"limit")))
    elif find[b"type"].text == b"keynum":
        finds = FindKeyNumber(
            *(what[name].number for name in (b"keynumidx", b"firstkey", b"keystep"))
        )
    return KeySpec(flags, begins, finds)


def _commands(table: Reply) -> Iterator[tuple[str, Reply]]:
    for entry in table.items:
        yield entry.items[0].text.decode(), entry
        yield from _commands(entry.items[9])


@pytest.fixture(scope="module")
def redis() -> Iterator[RawClient]:
    with start_redis() as server, client_of(server) as client:
        yield client


@pytest.mark.redis_server
@pytest.mark.slow
def test_redis_summarises_all_its_commands_alike(redis: RawClient) -> None:
    compared = 0
    for name, entry in _commands(redis.call("COMMAND")):
        specs = [_spec_of(reply) for reply in entry.items[8].items]
        numbers = tuple(entry.items[index].number for index in (3, 4, 5))
        assert legacy_range(specs) == numbers, name
        is_movable = b"movablekeys" in {flag.text for flag in entry.items[2].items}
        assert has_movable_keys(specs) is is_movable, name
        compared += 1
    assert compared > 200


@pytest.mark.redis_server
@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "GET a",
        "MSET a 1 b 2",
        "BITOP AND d a b",
        "BLPOP a b 0",
        "EVAL script 2 a b argument",
        "ZUNIONSTORE d 2 a b WEIGHTS 1 2",
        "LMPOP 2 a b LEFT",
        "LMPOP x a LEFT",
        "XREAD COUNT 2 STREAMS a b 0 0",
        "XREAD STREAMS a b 0",
        "XREADGROUP GROUP g c STREAMS a b > >",
        "GEORADIUS a 1 2 3 m STOREDIST b",
        "OBJECT ENCODING a",
        "XGROUP CREATE a g 0",
        "ZUNIONSTORE d 9 a",
    ],
)
def test_redis_finds_the_same_keys(redis: RawClient, line: str) -> None:
    words = line.encode().split()
    name = words[0]
    known = dict(_commands(redis.call("COMMAND", "INFO", name)))
    entry = (
        known.get(f"{name.decode()}|{words[1].decode()}".lower()) or known[name.decode().lower()]
    )
    specs = [_spec_of(reply) for reply in entry.items[8].items]
    reply = redis.call("COMMAND", "GETKEYS", *words)
    if reply.kind == b"-":
        assert reply.text == b"ERR Invalid arguments specified for command"
        with pytest.raises(InvalidKeySpecError):
            key_positions(specs, words)
    else:
        found = [words[position] for position, _ in key_positions(specs, words)]
        assert found == [key.text for key in reply.items]
