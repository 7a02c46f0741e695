"""FUNCTION and FCALL: what they answer, keep, refuse and send on.

The texts were taken from a real server; `test_they_agree_with_a_real_server` asks it again.
"""

from itertools import count
from time import monotonic, sleep
from typing import Final

import pytest

from ...support.raw import RawClient, Reply
from ...support.servers import client_of, start_clustrio, start_redis
from ..harness import MemoryNode, Plain

_HEAD: Final = "#!lua name=lib\n"
_LIBRARY: Final = (
    _HEAD
    + """
redis.register_function('echo', function(keys, args) return {keys, args} end)
redis.register_function('put', function(keys) return redis.call('set', keys[1], 'v') end)
redis.register_function{
    function_name = 'peek', callback = function(keys) return redis.call('get', keys[1]) end,
    flags = {'no-writes', 'allow-stale'}, description = 'Reads.'}
redis.register_function('fail', function() error('boo') end)
redis.register_function('spoil', function() x = 1 end)
local count = 0
redis.register_function('count', function() count = count + 1 return count end)
redis.register_function('keys', function() return KEYS end)
"""
)
_BAD_NAME: Final = (
    "ERR Library names can only contain letters, numbers, or underscores(_) and must be at least "
    "one character long"
)
#: What a replica answers for a function that it has.
_HAS_IT: Final = b"READONLY You can't write against a read only replica."
#: Code -> what FUNCTION LOAD answers.
_REFUSED: Final = {
    "x": "ERR Missing library metadata",
    "#!lua name=lib": "ERR Invalid library metadata",
    '#!lua name="lib\nreturn 1': "ERR Invalid library metadata",
    "#!lua\nreturn 1": "ERR Library name was not given",
    "#!lua name=a b=c\nreturn 1": "ERR Invalid metadata value given: b=c",
    "#!lua name=a name=b\nreturn 1": (
        "ERR Invalid metadata value, name argument was given multiple times"
    ),
    "#!lua name=a-b\nreturn 1": _BAD_NAME,
    "#!foo name=a\nreturn 1": "ERR Engine 'foo' not found",
    _HEAD + "return 1": "ERR No functions registered",
    _HEAD + "a b": "ERR Error compiling function: user_function:2: '=' expected near 'b'",
}
#: Code behind the first line -> what went wrong while it registered its functions.
_UNREGISTERED: Final = {
    "error('x')": (
        "user_function:2: Script attempted to access nonexistent global variable 'error'"
    ),
    "redis.call('ping')": (
        "user_function:2: Script attempted to access nonexistent global variable 'call'"
    ),
    "x = 1": "user_function:2: Attempt to modify a readonly table",
    "redis.x = 1": "user_function:2: Attempt to modify a readonly table",
    "local x x.y = 1": "user_function:2: attempt to index local 'x' (a nil value)",
    "redis.register_function()": "wrong number of arguments to redis.register_function",
    "redis.register_function('a', function() end, 1)": (
        "wrong number of arguments to redis.register_function"
    ),
    "redis.register_function('a')": (
        "calling redis.register_function with a single argument is only applicable to Lua table "
        "(representing named arguments)."
    ),
    "redis.register_function({}, function() end)": (
        "first argument to redis.register_function must be a string"
    ),
    "redis.register_function('a', 1)": (
        "second argument to redis.register_function must be a function"
    ),
    "redis.register_function('a-b', function() end)": _BAD_NAME.removeprefix("ERR "),
    "local f = redis.register_function f('a', f) f('a', f)": (
        "Function already exists in the library"
    ),
    "redis.register_function{1}": "unknown argument given to redis.register_function",
    "redis.register_function{[{}] = 1}": (
        "named argument key given to redis.register_function is not a string"
    ),
    "redis.register_function{function_name = {}}": (
        "function_name argument given to redis.register_function must be a string"
    ),
    "redis.register_function{callback = 1}": (
        "callback argument given to redis.register_function must be a function"
    ),
    "redis.register_function{flags = 'no-writes'}": (
        "flags argument to redis.register_function must be a table representing function flags"
    ),
    "redis.register_function{flags = {'x'}}": "unknown flag given",
    "redis.register_function{callback = redis.log}": (
        "redis.register_function must get a function name argument"
    ),
    "redis.register_function{function_name = 'a'}": (
        "redis.register_function must get a callback argument"
    ),
    "while true do end": "FUNCTION LOAD timeout",
}
_ORDERS: Final = {
    ("FUNCTION", "LOAD", "FOO", "x"): "ERR Unknown option given: FOO",
    ("FUNCTION", "DELETE", "no"): "ERR Library not found",
    ("FUNCTION", "FLUSH", "x"): "ERR FUNCTION FLUSH only supports SYNC|ASYNC option",
    ("FUNCTION", "FLUSH", "sync", "x"): (
        "ERR unknown subcommand or wrong number of arguments for 'FLUSH'. Try FUNCTION HELP."
    ),
    ("FUNCTION", "LIST", "x"): "ERR Unknown argument x",
    ("FUNCTION", "LIST", "LIBRARYNAME"): "ERR library name argument was not given",
    ("FUNCTION", "LIST", "WITHCODE", "WITHCODE"): "ERR Unknown argument WITHCODE",
    ("FUNCTION", "RESTORE", "bad"): "ERR DUMP payload version or checksum are wrong",
    ("FUNCTION", "RESTORE", "bad", "x"): (
        "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
    ),
    ("FUNCTION", "KILL"): "NOTBUSY No scripts in execution right now.",
    ("FCALL", "no", "0"): "ERR Function not found",
    ("FCALL", "echo", "x"): "ERR Bad number of keys provided",
    ("FCALL", "echo", "-1"): "ERR Number of keys can't be negative",
    ("FCALL", "echo", "1"): "ERR Number of keys can't be greater than number of args",
    ("FCALL_RO", "put", "1", "k"): (
        "ERR Can not execute a script with write flag using *_ro command."
    ),
    ("FCALL", "fail", "0"): "ERR user_function:8: boo script: fail, on @user_function:8.",
    ("FCALL", "spoil", "0"): (
        "ERR user_function:9: Attempt to modify a readonly table script: spoil, "
        "on @user_function:9."
    ),
    ("FCALL", "keys", "0"): (
        "ERR user_function:12: Script attempted to access nonexistent global variable 'KEYS' "
        "script: keys, on @user_function:12."
    ),
}


def _node_with_library() -> MemoryNode:
    node = MemoryNode()
    assert node.call("FUNCTION", "LOAD", _LIBRARY) == b"lib"
    return node


def _names(node: MemoryNode) -> set[bytes]:
    return {library[1] for library in node.call("FUNCTION", "LIST")}


def _with_one_function(library: str, function: str) -> str:
    return f"#!lua name={library}\nredis.register_function('{function}', function() return 1 end)"


@pytest.mark.parametrize("code", _REFUSED)
def test_what_is_no_library_is_refused(code: str) -> None:
    node = MemoryNode()
    assert node.call("FUNCTION", "LOAD", code) == _REFUSED[code]
    assert node.call("FUNCTION", "LIST") == []


@pytest.mark.parametrize("code", _UNREGISTERED)
def test_library_that_fails_changes_nothing(code: str) -> None:
    node = _node_with_library()
    # Each look at the time takes so long that the limit is soon reached.
    readings = count(step=100_000_000)
    node.machine.timer = lambda: next(readings)
    begun = f"{_HEAD}local new = redis.register_function new('new', new) {code}"
    reply = node.call("FUNCTION", "LOAD", "REPLACE", begun)
    assert reply == f"ERR Error registering functions: ERR {_UNREGISTERED[code]}"
    assert node.call("FCALL", "new", 0) == "ERR Function not found"
    assert node.call("FCALL", "ECHO", 1, "k", "a") == [[b"k"], [b"a"]]


@pytest.mark.parametrize("order", _ORDERS)
def test_refused_orders(order: tuple[str, ...]) -> None:
    assert _node_with_library().call(*order) == _ORDERS[order]


def test_functions_keep_what_they_share() -> None:
    node = _node_with_library()
    assert [node.call("FCALL", "count", 0) for _ in range(3)] == [1, 2, 3]
    # Loading it anew begins anew.
    node.call("FUNCTION", "LOAD", "REPLACE", _LIBRARY)
    assert node.call("FCALL", "count", 0) == 1


def test_register_function_is_for_loading_only() -> None:
    node = MemoryNode()
    body = "local r = redis.register_function r('f', function() r('g', r) end)"
    node.call("FUNCTION", "LOAD", _HEAD + body)
    reply = node.call("FCALL", "f", 0)
    assert reply.startswith("ERR redis.register_function can only be called on FUNCTION LOAD")
    assert "nil value" in node.call("EVAL", "redis.register_function('g', redis.log)", 0)


def test_list_tells_all() -> None:
    node = MemoryNode()
    node.call("HELLO", 3)
    code = _HEAD + (
        "redis.register_function{function_name = 'f', callback = redis.log, description = 'd', "
        "flags = {'allow-oom', 'NO-WRITES'}}"
    )
    node.call("FUNCTION", "LOAD", code)
    told = {b"name": b"f", b"description": b"d", b"flags": ["no-writes", "allow-oom"]}
    library = {b"library_name": b"lib", b"engine": b"LUA", b"functions": [told]}
    assert node.call("FUNCTION", "LIST") == [library]
    library[b"library_code"] = code.encode()
    assert node.call("FUNCTION", "LIST", "WITHCODE", "LIBRARYNAME", "L?B") == [library]
    assert node.call("FUNCTION", "LIST", "LIBRARYNAME", "x*") == []
    assert node.call("FUNCTION", "STATS") == {
        b"running_script": None,
        b"engines": {b"LUA": {b"libraries_count": 1, b"functions_count": 1}},
    }


def test_names_of_functions_are_unique_in_any_case() -> None:
    node = MemoryNode()
    node.call("FUNCTION", "LOAD", _with_one_function("one", "f"))
    reply = node.call("FUNCTION", "LOAD", _with_one_function("two", "F"))
    assert reply == "ERR Function F already exists"
    reply = node.call("FUNCTION", "LOAD", _with_one_function("one", "g"))
    assert reply == "ERR Library 'one' already exists"
    assert node.call("FUNCTION", "LOAD", "REPLACE", _with_one_function("one", "F")) == b"one"
    assert node.call("FUNCTION", "DELETE", "one") == "OK"
    assert node.call("FCALL", "f", 0) == "ERR Function not found"


@pytest.mark.parametrize(
    ("policy", "reply", "names"),
    [
        ("APPEND", "ERR Library one already exists", {b"one", b"other"}),
        ("REPLACE", "OK", {b"one", b"two", b"other"}),
        ("flush", "OK", {b"one", b"two"}),
    ],
)
def test_restore(policy: str, reply: str, names: set[bytes]) -> None:
    source, target = MemoryNode(), MemoryNode()
    for name in ("one", "two"):
        source.call("FUNCTION", "LOAD", _with_one_function(name, f"of_{name}"))
    target.call("FUNCTION", "LOAD", _with_one_function("one", "old"))
    target.call("FUNCTION", "LOAD", _with_one_function("other", "of_other"))
    assert target.call("FUNCTION", "RESTORE", source.call("FUNCTION", "DUMP"), policy) == reply
    assert _names(target) == names
    is_new = reply == "OK"
    assert target.call("FCALL", "of_one" if is_new else "old", 0) == 1


def test_restore_refuses_equal_names_of_functions() -> None:
    source, target = MemoryNode(), MemoryNode()
    source.call("FUNCTION", "LOAD", _with_one_function("one", "f"))
    target.call("FUNCTION", "LOAD", _with_one_function("other", "f"))
    payload = source.call("FUNCTION", "DUMP")
    for policy in ("APPEND", "REPLACE"):
        reply = target.call("FUNCTION", "RESTORE", payload, policy)
        assert reply == "ERR Function f already exists"
    assert _names(target) == {b"other"}
    broken = payload[:-1] + bytes([payload[-1] ^ 1])
    reply = target.call("FUNCTION", "RESTORE", broken)
    assert reply == "ERR DUMP payload version or checksum are wrong"


def test_changes_are_sent_on_as_they_came() -> None:
    node = MemoryNode()
    payload = _node_with_library().call("FUNCTION", "DUMP")
    code = _with_one_function("one", "f")
    orders = [
        ("FUNCTION", "LOAD", code),
        ("FUNCTION", "LOAD", code),
        ("FUNCTION", "DELETE", "one"),
        ("FUNCTION", "DELETE", "one"),
        ("FUNCTION", "RESTORE", payload, "APPEND"),
        ("FUNCTION", "FLUSH"),
    ]
    for order in orders:
        node.call(*order)
    sent = [order for index, order in enumerate(orders) if index not in (1, 3)]
    expected = [[w.encode() if isinstance(w, str) else w for w in order] for order in sent]
    assert node.take_propagated() == expected


def test_function_is_sent_on_as_its_effects() -> None:
    node = _node_with_library()
    node.take_batches()
    assert node.call("FCALL", "put", 1, "k") == "OK"
    assert node.take_propagated() == [[b"set", b"k", b"v"]]
    assert node.call("FCALL_RO", "peek", 1, "k") == b"v"
    assert node.take_propagated() == []


def test_transactions_hold_functions() -> None:
    node = _node_with_library()
    node.call("MULTI")
    for words in (
        ("FCALL", "put", 1, "k"),
        ("FUNCTION", "DELETE", "lib"),
        ("FCALL", "put", 1, "k"),
    ):
        assert node.call(*words) == "QUEUED"
    assert node.call("EXEC") == ["OK", "OK", "ERR Function not found"]


def test_info_counts_them() -> None:
    node = _node_with_library()
    text = node.call("INFO", "memory").decode()
    assert "number_of_functions:7\r\n" in text
    assert "number_of_libraries:1\r\n" in text
    assert "used_memory_vm_functions:0\r\n" not in text
    node.call("FUNCTION", "FLUSH")
    assert "used_memory_vm_functions:0\r\n" in node.call("INFO", "memory").decode()


@pytest.mark.redis_server
def test_they_agree_with_a_real_server() -> None:
    orders: list[tuple[str, ...]] = [("FUNCTION", "LOAD", code) for code in _REFUSED]
    orders += [("FUNCTION", "LOAD", f"{_HEAD}{code}") for code in _UNREGISTERED]
    orders += [("FUNCTION", "LOAD", _LIBRARY), *_ORDERS, ("FCALL", "echo", "1", "k", "v")]
    orders += [
        ("FUNCTION", "LIST", "LIBRARYNAME", "x"),
        ("FUNCTION", "FLUSH"),
        ("FUNCTION", "DUMP"),
    ]
    orders += [("FUNCTION", "LOAD", _with_one_function("one", "f")), ("FUNCTION", "DUMP")]
    # Longer texts may be compressed, which is done in more than one way.
    orders += [("FUNCTION", "DELETE", "one"), ("FUNCTION", "LOAD", _LIBRARY)]
    replies: list[list[Reply]] = []
    payloads: list[Plain] = []
    with start_clustrio() as ours, start_redis() as theirs:
        for server in (ours, theirs):
            with client_of(server) as client:
                replies.append([client.call(*order) for order in orders])
                payloads.append(client.call("FUNCTION", "DUMP").value)
        for order, our, their in zip(orders, *replies, strict=True):
            assert our == their, order
        # What one gives the other takes.
        for server, payload in zip((theirs, ours), payloads, strict=True):
            with client_of(server) as client:
                client.call("FUNCTION", "FLUSH")
                assert client.call("FUNCTION", "RESTORE", payload).value == b"OK"
                assert client.call("FCALL", "count", "0").value == 1


def _wait(client: RawClient, *order: str, value: Plain) -> None:
    ends_s = monotonic() + 20
    while (reply := client.call(*order)).value != value:
        assert monotonic() < ends_s, reply
        sleep(0.02)


@pytest.mark.redis_server
@pytest.mark.parametrize("is_ours", [True, False])
def test_replicas_and_the_log_have_them(is_ours: bool) -> None:
    options = ("--repl-diskless-sync-delay", "0", "--appendonly", "yes")
    starts = (start_clustrio, start_redis) if is_ours else (start_redis, start_clustrio)
    put = "redis.register_function('{}', function(k) return redis.call('incr', k[1]) end)"
    with starts[0](*options) as primary, starts[1]("--appendonly", "yes") as replica:
        with client_of(primary) as there, client_of(replica) as here:
            # By the snapshot first, then by the stream.
            there.call("FUNCTION", "LOAD", _HEAD + put.format("old"))
            here.call("REPLICAOF", "127.0.0.1", str(primary.port))
            _wait(here, "FCALL_RO", "old", "0", value=_HAS_IT)
            there.call("FUNCTION", "LOAD", "REPLACE", _HEAD + put.format("new"))
            assert there.call("FCALL", "new", "1", "k").value == 1
            there.call("EVAL", "redis.call('incr', 'k') redis.call('incr', 'k')", "0")
            _wait(here, "GET", "k", value=b"3")
            assert here.call("FCALL_RO", "new", "0").value == _HAS_IT
            assert here.call("FCALL", "old", "0").value == b"ERR Function not found"
            here.call("REPLICAOF", "NO", "ONE")
            _wait(here, "FCALL", "new", "1", "k", value=4)
            for client in (here, there):
                client.call("DEBUG", "RELOAD")
                assert client.call("FCALL", "new", "1", "other").value == 1
        for server in (primary, replica):
            server.restart()
            with client_of(server) as client:
                assert client.call("FCALL", "new", "1", "other").value == 2
