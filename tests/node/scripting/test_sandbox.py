"""What scripts answer, and what they cannot do."""

import pytest

from ..harness import MemoryNode

_FAILURES = {
    "return redis.call('nope')": "Unknown Redis command called from script",
    "return redis.call()": "Please specify at least one argument for this redis lib call",
    "return redis.call('get', true)": "Lua redis lib command arguments must be strings or integers",
    "return redis.call('multi')": "This Redis command is not allowed from script",
    "return redis.call('get')": "Wrong number of args calling Redis command from script",
    "error('x')": "user_script:1: x",
    "x=1": "user_script:1: Attempt to modify a readonly table",
    "rawset(_G, 'x', 1)": "Attempt to modify a readonly table",
    "setmetatable(string, {})": "Attempt to modify a readonly table",
    "table.insert(string, 1)": "Attempt to modify a readonly table",
    "getmetatable('').x = 1": "user_script:1: Attempt to modify a readonly table",
    "return x": "user_script:1: Script attempted to access nonexistent global variable 'x'",
    "redis.setresp(1)": "RESP version must be 2 or 3.",
    "local function f() return f() + 1 end return f()": "user_script:1: stack overflow",
    "local s = 'a' for i = 1, 40 do s = s .. s end": "not enough memory",
}


@pytest.mark.parametrize("script", _FAILURES)
def test_errors_tell_script_and_line(script: str) -> None:
    node = MemoryNode()
    sha = node.call("SCRIPT", "LOAD", script).decode()
    wanted = f"ERR {_FAILURES[script]} script: {sha}, on @user_script:1."
    assert node.call("EVAL", script, 0) == wanted
    assert node.call("EVAL", "return 1", 0) == 1


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "io",
        "package",
        "require",
        "dofile",
        "loadfile",
        "debug",
        "getfenv",
        "setfenv",
        "newproxy",
        "module",
        "print",
    ],
)
def test_what_could_lead_out_is_not_there(name: str) -> None:
    reply = MemoryNode().call("EVAL", f"return {name}", 0)
    assert f"nonexistent global variable '{name}'" in reply


@pytest.mark.parametrize(
    "script",
    [
        "local _, real = pairs(string) real.x = 1",
        "local _, real = pairs(_G) real.x = 1",
        "return loadstring('\\27Lua')()",
        "return string.dump(function() end)",
        "return os.execute('true')",
        "return unpack({}, 0, 2147483647)",
        "return string.find('a', string.rep('a?', 100000))",
        "getmetatable(_G).__index = 1",
    ],
)
def test_escapes_fail(script: str) -> None:
    node = MemoryNode()
    assert node.call("EVAL", script, 0).startswith("ERR ")
    assert node.call("EVAL", "return rawget(_G, 'x') == nil", 0) == 1


@pytest.mark.parametrize(
    "script",
    [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "coroutine.wrap(function() while true do end end)()",
    ],
)
def test_endless_script_is_killed(script: str) -> None:
    node = MemoryNode()
    other = node.machine.connect("127.0.0.1:2", "127.0.0.1:6379")
    heard: list[bytes] = []

    def breathe(session: object) -> None:
        for request in (b"PING\r\n", b"SCRIPT KILL\r\n"):
            heard.append(node.machine.receive(other, request))

    node.machine.breathe = breathe
    assert node.call("CONFIG", "SET", "busy-reply-threshold", 1) == "OK"
    assert "Script killed by user with SCRIPT KILL" in node.call("EVAL", script, 0)
    assert heard[0].startswith(b"-BUSY ")
    assert heard[1] == b"+OK\r\n"
    assert node.call("PING") == "PONG"


def test_an_object_that_got_in_all_the_same_tells_nothing() -> None:
    node = MemoryNode()
    node.call("EVAL", "return 1", 0)
    lua = node.machine.scripts.interpreter._lua
    for text in (b"return object.__class__", b"return object['x']", b"object.x = 1"):
        look = lua.execute(b"return function(object) " + text + b" end")
        with pytest.raises(AttributeError):
            look(node)


def test_replies() -> None:
    node = MemoryNode()
    script = "return {1.9, 'a', {KEYS[1], ARGV[1]}, true, false, 'cut'}"
    assert node.call("EVAL", script, 1, "k", "v") == [1, b"a", [b"k", b"v"], 1, None, b"cut"]
    assert node.call("EVAL", "return redis.call('set', KEYS[1], 0.1)", 1, "k") == "OK"
    assert node.call("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "k") == (
        b"0.10000000000000001"
    )
    refusal = node.call("EVAL_RO", "return redis.call('del', KEYS[1])", 1, "k")
    assert refusal.startswith("ERR Write commands are not allowed from read-only scripts.")
