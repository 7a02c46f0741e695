"""Every declaration against COMMAND INFO of a real server, and what must be true of all of them.

A family adds its commands that are newer than the server here (7.0) to `NEWER`, and, with a reason,
to `DIFFERENT` what is declared as later versions have it.
"""

from collections.abc import Iterator
from typing import Final

import attrs
import pytest

from clustrio.node.argument_syntax import parse_arguments
from clustrio.node.commands.command_table import describe
from clustrio.node.registry import Command, CommandSpec, declared, parse_flags, walk
from clustrio.node.resp.encoder import RESP3
from clustrio.slots.keyspec import BeginIndex, KeySpec, keynum, one_key

from ...support.raw import RawClient, Reply
from ...support.servers import client_of, start_redis
from ..harness import Failure, MemoryNode, Plain, Several, decode_replies

#: Commands that no 7.0 server knows.
NEWER: Final = frozenset(
    {
        "client|maint_notifications",  # 8.0
        "client|no-touch",  # 7.2
        *("commandlog", "commandlog|get", "commandlog|help"),  # Valkey 8.1
        *("commandlog|len", "commandlog|reset"),  # Valkey 8.1
        "client|setinfo",  # 7.2
        "cluster|myshardid",  # 7.2
        "waitaof",  # 7.2
        "cluster|slot-stats",  # Valkey 8.0
        *("cluster|migrateslots", "cluster|getslotmigrations"),  # Valkey 9.0
        *("cluster|cancelslotmigrations", "cluster|syncslots"),  # Valkey 9.0
        "delifeq",  # Valkey 9.0
        *("hexpire", "hpexpire", "hexpireat", "hpexpireat", "hpersist"),  # 7.4
        *("httl", "hpttl", "hexpiretime", "hpexpiretime"),  # 7.4
        *("hgetdel", "hgetex", "hsetex"),  # 8.0
        "xackdel",  # 8.2
        "xdelex",  # 8.2
    }
)
#: Fields in which a declaration follows a later version: full name -> names of fields.
DIFFERENT: Final[dict[str, frozenset[str]]] = {
    "zrank": frozenset({"arity"}),  # WITHSCORE
    "zrevrank": frozenset({"arity"}),  # WITHSCORE
}

FIELDS: Final = (
    *("name", "arity", "flags", "first key", "last key", "step"),
    *("categories", "tips", "key specs", "sub-commands"),
)
SPECS: Final = {spec.full_name: spec for spec in walk(declared())}


def _plain(reply: Reply) -> Plain:
    """A reply of the raw client with maps as such."""
    if not isinstance(reply.value, tuple):
        return reply.value.decode() if isinstance(reply.value, bytes) else reply.value
    items = [_plain(item) for item in reply.items]
    return dict(zip(items[::2], items[1::2], strict=True)) if reply.kind == b"%" else items


def _without_order(plain: Plain) -> Plain:
    """The same with all lists sorted, and text as text: order means nothing in COMMAND INFO."""
    if isinstance(plain, dict):
        return {_without_order(key): _without_order(value) for key, value in plain.items()}
    if isinstance(plain, list):
        return sorted(map(_without_order, plain), key=repr)
    return plain.decode() if isinstance(plain, bytes) else plain


def _comparable(info: Plain) -> dict[str, Plain]:
    """The fields by name, without the prose of key specs; sub-commands have tests of their own."""
    fields: dict[str, Plain] = dict(zip(FIELDS, map(_without_order, info), strict=True))
    for key_spec in fields["key specs"]:
        key_spec.pop("notes", None)
    del fields["sub-commands"]
    return fields


@pytest.fixture(scope="module")
def redis() -> Iterator[RawClient]:
    with start_redis() as server, client_of(server, protocol=3) as client:
        yield client


@pytest.mark.redis_server
@pytest.mark.parametrize("name", SPECS)
def test_declared_as_on_a_real_server(redis: RawClient, name: str) -> None:
    theirs = redis.call("COMMAND", "INFO", name).items[0]
    assert (theirs.value is None) == (name in NEWER), "known to the server, or newer than it?"
    if theirs.value is None:
        return
    ours = decode_replies(describe(RESP3, SPECS[name]))[0]
    expected, actual = _comparable(_plain(theirs)), _comparable(ours)
    differing = {field for field in expected if actual[field] != expected[field]}
    unexpected = differing - DIFFERENT.get(name, frozenset())
    assert not unexpected, {field: (actual[field], expected[field]) for field in unexpected}


RESP_TYPES: Final = {
    bytes: b"$",
    str: b"+",
    int: b":",
    list: b"*",
    Several: b"~",
    dict: b"%",
}


@pytest.mark.redis_server
@pytest.mark.parametrize("name", ["get", "ping", "config", "config|get", "sort", "multi"])
def test_fields_have_the_types_of_a_real_server(redis: RawClient, name: str) -> None:
    theirs = redis.call("COMMAND", "INFO", name).items[0]
    ours = decode_replies(describe(RESP3, SPECS[name]))[0]
    assert [RESP_TYPES[type(field)] for field in ours] == [field.kind for field in theirs.items]
    for our_field, field in zip(ours, theirs.items, strict=True):
        if isinstance(our_field, list):
            found = {RESP_TYPES[type(item)] for item in our_field}
            assert found == {item.kind for item in field.items}


GETKEYS: Final = [
    "SORT a",
    "SORT a BY x STORE b",
    "SORT a STORE b STORE c",
    "SORT a LIMIT STORE 1 STORE d",
    "SORT a BY STORE STORE d",
    "SORT a GET STORE",
    "ZUNIONSTORE d x a",
    "ZUNION 2 a",
    "ZUNIONSTORE d 0 a",
    "ZUNION 1 a",
    "LMPOP 0 a LEFT",
    "XREAD STREAMS a 0",
    "XADD k",
    "PING x",
    "CONFIG GET a",
    "NOPE a",
]


@pytest.mark.redis_server
@pytest.mark.parametrize("line", GETKEYS)
def test_keys_of_a_line_as_on_a_real_server(redis: RawClient, line: str) -> None:
    theirs = redis.call("COMMAND", "GETKEYS", *line.split())
    ours = MemoryNode().call("COMMAND", "GETKEYS", *line.split())
    if isinstance(ours, Failure):
        assert theirs.kind == b"-"
        assert ours.encode() == theirs.value
    else:
        assert ours == [item.value for item in theirs.items]


def test_the_store_of_sort_is_routed_too() -> None:
    keys_of = MemoryNode().machine.gate.commands[b"SORT"].keys_of
    assert keys_of is not None
    assert keys_of([b"SORT", b"a", b"BY", b"STORE", b"store", b"d"]) == [b"a", b"d"]


def with_command(keys: tuple[KeySpec, ...], flags: str = "") -> MemoryNode:
    """A node with a command TAKES of which only its keys matter."""
    node = MemoryNode()
    gate = node.machine.gate
    base = gate.names[b"PING"].spec
    spec = attrs.evolve(base, name="TAKES", keys=keys, flags=parse_flags(flags))
    gate.names[b"TAKES"] = Command(spec)
    return node


def test_keys_that_cannot_be_told_are_none_if_there_need_not_be_any() -> None:
    keys = (keynum(2, "RO", "ACCESS"),)
    request = ("COMMAND", "GETKEYS", "TAKES", "x", "a")
    assert with_command(keys, "no_mandatory_keys").call(*request) == []
    assert with_command(keys).call(*request) == Failure(
        "ERR Invalid arguments specified for command"
    )


def test_words_that_only_look_like_keys_are_none() -> None:
    node = with_command((one_key(1, "NOT_KEY"),))
    assert node.call("COMMAND", "GETKEYS", "TAKES", "a") == Failure(
        "ERR The command has no key arguments"
    )
    node = with_command((one_key(1, "NOT_KEY"), one_key(2, "RO", "ACCESS")))
    assert node.call("COMMAND", "GETKEYS", "TAKES", "a", "b") == [b"b"]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_arguments_are_declared(spec: CommandSpec) -> None:
    arguments = parse_arguments(spec.args)
    name_words = 2 if spec.parent else 1
    takes_arguments = spec.arity not in (name_words, -name_words) or bool(spec.keys)
    if takes_arguments and not spec.subcommands:
        assert arguments, "the command takes arguments, but declares none"
    least = sum(1 for argument in arguments if not argument.is_optional)
    assert least <= abs(spec.arity), "more arguments are required than the arity has room for"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_keys_stand_behind_the_name(spec: CommandSpec) -> None:
    for keys in spec.keys:
        if isinstance(keys.begin, BeginIndex):
            assert keys.begin.position >= (2 if spec.parent else 1)


def test_exceptions_are_still_needed() -> None:
    assert set(DIFFERENT) <= set(SPECS)
    assert set(SPECS) >= NEWER
