"""What scripts and functions may do on a node in this or that state: flags, rights, roles, ends."""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import Final

import pytest

from clustrio.node.persistence.rdb import (
    KeyspaceSink,
    ReadOptions,
    SnapshotFacts,
    SnapshotReader,
    write_snapshot,
)
from clustrio.node.replay import Replay
from clustrio.node.scripting.shebang import split_words

from ...support.raw import RawClient
from ...support.servers import ServerProcess, client_of, start_clustrio, start_redis
from ..harness import MemoryNode, Plain

_OOM: Final = "OOM command not allowed when used memory > 'maxmemory'."
_READ_ONLY: Final = "READONLY You can't write against a read only replica."
_DOWN: Final = "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
_BUSY_FUNCTION: Final = (
    "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)


def _load(node: MemoryNode, body: str, *flags: str) -> None:
    """Make `body` the function f with those flags."""
    listed = ", ".join(f"'{flag}'" for flag in flags)
    code = (
        "#!lua name=lib\nredis.register_function{function_name = 'f', "
        f"callback = function(keys, args) {body} end, flags = {{{listed}}}}}"
    )
    assert node.call("FUNCTION", "LOAD", "REPLACE", code) == b"lib"


def _follow(node: MemoryNode, *, stale: bool) -> None:
    """Be a replica, whose link never comes up."""
    if stale:
        node.call("CONFIG", "SET", "replica-serve-stale-data", "no")
    node.call("REPLICAOF", "127.0.0.1", 1)


# --- flags ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flags", "body", "reply"),
    [
        ((), "return 1", _OOM),
        (("allow-oom",), "return redis.call('set', 'k', 'v')", "OK"),
        (("no-writes",), "return redis.call('get', 'k')", None),
    ],
)
def test_without_memory(flags: tuple[str, ...], body: str, reply: Plain) -> None:
    node = MemoryNode()
    _load(node, body, *flags)
    node.call("SET", "big", "x" * 100)
    node.call("CONFIG", "SET", "maxmemory", 1)
    assert node.call("FCALL", "f", 0) == reply
    script = f"#!lua flags={','.join(flags)}\n{body}"
    assert node.call("EVAL", script, 0) == reply
    # A script that declares nothing is only refused what needs memory.
    assert node.call("EVAL", "return 1", 0) == 1
    assert node.call("EVAL", "return redis.call('set', 'k', 'v')", 0).startswith(_OOM)


@pytest.mark.parametrize(
    ("flags", "stale", "reply"),
    [
        ((), False, _READ_ONLY),
        (("no-writes",), False, 1),
        (("no-writes",), True, _DOWN),
        (("no-writes", "allow-stale"), True, 1),
        (("allow-stale",), True, _READ_ONLY),
    ],
)
def test_on_a_replica(flags: tuple[str, ...], stale: bool, reply: Plain) -> None:
    node = MemoryNode()
    _load(node, "return 1", *flags)
    node.call("SCRIPT", "LOAD", f"#!lua flags={','.join(flags)}\nreturn 1")
    _follow(node, stale=stale)
    assert node.call("FCALL", "f", 0) == reply
    assert node.call("EVAL", f"#!lua flags={','.join(flags)}\nreturn 1", 0) == reply


def test_stale_replica_refuses_commands_one_by_one() -> None:
    node = MemoryNode()
    _load(node, "return {redis.pcall('get', 'k').err, redis.call('echo', 'x')}", "no-writes")
    _load(node, "return redis.pcall('get', 'k')", "no-writes", "allow-stale")
    _follow(node, stale=True)
    assert node.call("FCALL", "f", 0) == "ERR Can not execute the command on a stale replica"
    assert node.call("EVAL", "return 1", 0) == _DOWN


def test_read_only_functions_cannot_write_or_publish() -> None:
    node = MemoryNode()
    refusal = "ERR Write commands are not allowed from read-only scripts."
    _load(node, "return redis.pcall(unpack(args))", "no-writes")
    for command in ("FCALL", "FCALL_RO"):
        assert node.call(command, "f", 0, "set", "k", "v") == refusal
        assert node.call(command, "f", 0, "get", "k") is None


def test_pause_of_writes_holds_only_what_may_write() -> None:
    node = MemoryNode()
    _load(node, "return 1", "no-writes")
    node.call("CLIENT", "PAUSE", 100000, "WRITE")
    assert node.call("FCALL", "f", 0) == 1
    other = node.connect()
    assert other.send(("EVAL", "#!lua\nreturn 1", 0)) == []


# --- rights --------------------------------------------------------------------------------------


def test_rights_hold_inside() -> None:
    node = MemoryNode()
    _load(node, "return redis.pcall(unpack(args))")
    node.call("ACL", "SETUSER", "u", "on", "nopass", "~a*", "&a*", "+@all", "-set")
    client = node.connect()
    client.call("AUTH", "u", "")
    prefix = "ERR The user executing the script can't "
    for words, reply in (
        (("set", "a", "b"), prefix + "run this command or subcommand"),
        (
            ("get", "b"),
            prefix + "access at least one of the keys mentioned in the command arguments",
        ),
        (("publish", "b", "x"), prefix + "publish to the channel mentioned in the command"),
        (("get", "a"), None),
    ):
        assert client.call("FCALL", "f", 0, *words) == reply
    check = "return redis.acl_check_cmd('get', ARGV[1])"
    assert client.call("EVAL", check, 0, "a") == 1
    assert client.call("EVAL", check, 0, "b") is None
    reply = client.call("EVAL", "return redis.acl_check_cmd('nope')", 0)
    assert reply.startswith("ERR Invalid command passed to redis.acl_check_cmd()")


# --- numbers and protocols -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "text"),
    [
        *(("-0", b"-0"), ("0", b"0"), ("0/0", b"-nan"), ("1/0", b"inf"), ("-1/0", b"-inf")),
        *(("1e17", b"1e+17"), ("2^53", b"9007199254740992"), ("0.1", b"0.10000000000000001")),
    ],
)
def test_numbers_become_words(number: str, text: bytes) -> None:
    node = MemoryNode()
    script = f"redis.call('set', 'k', {number}) return redis.call('get', 'k')"
    assert node.call("EVAL", script, 0) == text
    script = f"redis.call('rpush', 'l', 1, 2, 3, 4, {number}) return redis.call('rpop', 'l')"
    assert node.call("EVAL", script, 0) == text


def test_newer_protocol_is_for_one_run_only() -> None:
    node = MemoryNode()
    node.call("HSET", "h", "a", 1)
    _load(node, "redis.setresp(3) return redis.call('hgetall', 'h').map.a")
    assert node.call("FCALL", "f", 0) == b"1"
    assert node.call("EVAL", "return redis.call('hgetall', 'h')", 0) == [b"a", b"1"]
    node.call("HELLO", 3)
    assert node.call("EVAL", "return redis.call('hgetall', 'h')", 0) == [b"a", b"1"]
    script = "redis.setresp(3) return redis.call('hgetall', 'h')"
    assert node.call("EVAL", script, 0) == {b"a": b"1"}


# --- ends ----------------------------------------------------------------------------------------


def _late_node(heard: dict[str, Plain], *orders: tuple[str, ...]) -> MemoryNode:
    """A node on which another client gives orders as soon as something runs late."""
    node = MemoryNode()
    readings = count(step=10_000_000)
    node.machine.timer = lambda: next(readings)
    node.call("CONFIG", "SET", "busy-reply-threshold", 1)
    other = node.connect()

    def breathe(session: object) -> None:
        for order in orders:
            for reply in other.send(order):
                heard[" ".join(order)] = reply

    node.machine.breathe = breathe
    return node


def test_function_that_never_ends_is_killed_by_its_own_order() -> None:
    heard: dict[str, Plain] = {}
    orders = (("PING",), ("SCRIPT", "KILL"), ("FUNCTION", "STATS"), ("FUNCTION", "KILL"))
    node = _late_node(heard, *orders)
    _load(node, "while true do end")
    reply = node.call("FCALL", "f", 0)
    assert reply == (
        "ERR Script killed by user with SCRIPT KILL... script: f, on @user_function:2."
    )
    assert heard["PING"] == heard["SCRIPT KILL"] == _BUSY_FUNCTION
    assert heard["FUNCTION STATS"][1][:4] == [b"name", b"f", b"command", [b"FCALL", b"f", b"0"]]
    assert heard["FUNCTION KILL"] == "OK"
    assert node.call("FUNCTION", "KILL").startswith("NOTBUSY ")
    assert node.call("PING") == "PONG"


def test_what_has_written_is_not_killed() -> None:
    heard: dict[str, Plain] = {}
    node = _late_node(heard, ("FUNCTION", "KILL"), ("SCRIPT", "KILL"))
    loop = "redis.call('set', 'k', 'v') for i = 1, 1e6 do end return 7"
    _load(node, loop)
    assert node.call("FCALL", "f", 0) == 7
    assert node.call("EVAL", loop, 0) == 7
    assert all(reply.startswith("UNKILLABLE ") for reply in heard.values())
    assert len(heard) == 2


def test_shutdown_ends_a_script_and_forgets_what_it_did() -> None:
    heard: dict[str, Plain] = {}
    stopped: list[int] = []
    node = _late_node(heard, ("SHUTDOWN",), ("SHUTDOWN", "NOSAVE"))
    node.machine.on_shutdown = stopped.append
    script = "redis.call('set', 'k', 'v') while true do end"
    assert "Script killed" in node.call("EVAL", script, 0)
    assert heard["SHUTDOWN"].startswith("BUSY ")
    assert stopped[0] == 0
    assert node.take_propagated() == []


# --- other nodes ---------------------------------------------------------------------------------


def test_library_travels_with_snapshots() -> None:
    node, other = MemoryNode(), MemoryNode()
    _load(node, "return 7")
    pieces = write_snapshot(
        node.machine.keyspace, SnapshotFacts(), functions=node.machine.functions.sources()
    )
    sink = KeyspaceSink(
        other.machine.keyspace,
        now_ms=0,
        drop_expired=False,
        load_function=other.machine.persistence.load_function,
    )
    reader = SnapshotReader(ReadOptions(), sink)
    reader.feed(b"".join(pieces))
    reader.finish()
    assert other.call("FCALL", "f", 0) == 7


def test_replica_follows_whatever_time_a_library_takes() -> None:
    node = MemoryNode()
    readings = count(step=10_000_000_000)
    node.machine.timer = lambda: next(readings)
    replay = Replay(node.machine)
    code = b"#!lua name=lib\nfor i = 1, 1e6 do end redis.register_function('f', redis.log)"
    replay.apply([b"FUNCTION", b"LOAD", code])
    assert len(node.machine.functions) == 1
    replay.apply([b"FUNCTION", b"FLUSH"])
    assert (replay.failed_count, len(node.machine.functions)) == (0, 0)


def test_set_of_libraries_takes_the_place_of_another() -> None:
    node = MemoryNode()
    _load(node, "return 7")
    functions = node.machine.functions
    fresh = functions.new_set()
    fresh.load(b"#!lua name=other\nredis.register_function('g', function() return 8 end)")
    functions.clear()
    functions.become(fresh)
    assert node.call("FCALL", "g", 0) == 8
    assert node.call("FCALL", "f", 0) == "ERR Function not found"


def test_many_libraries_come_and_go() -> None:
    random = Random(3)
    node = MemoryNode()
    known: set[int] = set()
    for _ in range(300):
        number = random.randrange(8)
        code = f"#!lua name=l{number}\nredis.register_function('f{number}', redis.log)"
        if random.random() < 0.5:
            expected = f"ERR Library 'l{number}' already exists"
            reply = node.call("FUNCTION", "LOAD", code)
            assert reply == (expected if number in known else f"l{number}".encode())
            known.add(number)
        else:
            reply = node.call("FUNCTION", "DELETE", f"l{number}")
            assert reply == ("OK" if number in known else "ERR Library not found")
            known.discard(number)
        assert len(node.machine.functions) == len(known)


# --- in a cluster --------------------------------------------------------------------------------

#: Of these keys, `b` and `c` are in slots that are served here (3300, 7365), `a` is not (15495).
_CLUSTERED: Final = [
    ("EVAL", "return redis.call('set', 'b', '1')", "0"),
    ("EVAL", "return redis.call('get', KEYS[1])", "1", "b"),
    ("EVAL", "return redis.call('get', 'a')", "1", "b"),
    ("EVAL", "return redis.call('get', 'a')", "0"),
    ("EVAL", "return 1", "1", "a"),
    ("EVAL", "return 1", "2", "b", "c"),
    ("EVAL", "return redis.call('mget', 'b', 'c')", "0"),
    ("EVAL", "redis.call('get', 'b') return redis.call('set', 'c', '2')", "0"),
    ("EVAL", "#!lua\nredis.call('get', 'b')\nreturn redis.call('get', 'c')", "0"),
    ("EVAL", "#!lua\nreturn redis.call('get', 'c')", "1", "b"),
    ("EVAL", "#!lua\nreturn redis.call('get', 'a')", "1", "b"),
    ("EVAL", "#!lua flags=allow-cross-slot-keys\nreturn redis.call('get', 'c')", "1", "b"),
    ("EVAL", "#!lua flags=no-cluster\nreturn 1", "0"),
    ("EVAL", "return redis.call('ping')", "0"),
    ("FCALL", "f", "1", "b", "get", "b"),
    ("FCALL", "f", "1", "b", "get", "c"),
    ("FCALL", "f", "0", "get", "c"),
    ("FCALL", "f", "0", "get", "a"),
    ("FCALL", "f", "1", "a", "get", "a"),
    ("FCALL", "g", "1", "b"),
]
_CLUSTER_LIBRARY: Final = (
    "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call(unpack(a)) end)"
    "redis.register_function{function_name = 'g', callback = function() return redis.call('get', "
    "'c') end, flags = {'allow-cross-slot-keys'}}"
)


def _clustered(server: ServerProcess) -> Iterator[Plain]:
    with client_of(server) as client:
        client.call("CONFIG", "SET", "cluster-require-full-coverage", "no")
        client.call("CLUSTER", "ADDSLOTSRANGE", "0", "8191")
        assert client.call("FUNCTION", "LOAD", _CLUSTER_LIBRARY).value == b"lib"
        _wait_until_served(client)
        for order in _CLUSTERED:
            yield client.call(*order)


def _wait_until_served(client: RawClient) -> None:
    for _ in range(200):
        if client.call("GET", "b").kind != b"-":
            return
        client.call("DEBUG", "SLEEP", "0.05")
    pytest.fail("the node serves nothing")


@pytest.mark.redis_server
def test_scripts_in_a_cluster_agree_with_a_real_server() -> None:
    arguments = ("--cluster-enabled", "yes", "--enable-debug-command", "yes")
    with start_clustrio(*arguments) as ours, start_redis(*arguments) as theirs:
        replies = [list(_clustered(server)) for server in (ours, theirs)]
    for order, our, their in zip(_CLUSTERED, *replies, strict=True):
        assert our == their, order


# --- the first line ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"#!lua  name=a\t b", [b"#!lua", b"name=a", b"b"]),
        (b"#!lua 'name=a b'", [b"#!lua", b"name=a b"]),
        (b'name="a\\x41\\n\\"" c', [b'name=aA\n"', b"c"]),
        (b"'a\\'b'", [b"a'b"]),
        (b"'a\\nb'", [b"a\\nb"]),
        (b'"\\xZZ"', [b"xZZ"]),
        (b'"a', None),
        (b"'a\\'", None),
        (b'"a"b', None),
        (b" ", []),
    ],
)
def test_words_of_the_first_line(line: bytes, words: list[bytes] | None) -> None:
    assert split_words(line) == words
