"""Input that has broken servers of this kind, really sent to a node: it must serve on, unharmed.

Here it comes from strangers and from scripts. After each test the node must answer, must be the
same process, and must not have logged a bug.
"""

import contextlib
import socket

import pytest
from lupa.lua51 import LuaRuntime

from ..support.raw import RawClient, bulk, encode_command, integer, simple
from ..support.servers import client_of
from .conftest import Node
from .flaws import checks

pytestmark = pytest.mark.slow


# --- strangers -----------------------------------------------------------------------------------


@checks("2021-32675")
def test_headers_of_strangers_cost_nothing(guarded: Node) -> None:
    for header in (b"*11\r\n", b"*1048576\r\n", b"*1\r\n$16385\r\n", b"*10\r\n$536870912\r\n"):
        with client_of(guarded.server) as stranger:
            stranger.send_raw(header)
            assert b"unauthenticated" in stranger.read_to_end()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stranger = stack.enter_context(client_of(guarded.server))
            stranger.send_raw(b"*10\r\n$16384\r\n" + b"x" * 100)
        guarded.check()


@checks("2025-46686")
def test_headers_of_users_without_rights_cost_nothing(node: Node, client: RawClient) -> None:
    client.call("ACL", "SETUSER", "nobody", "on", "nopass", "resetkeys", "-@all")
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            nobody = stack.enter_context(client_of(node.server))
            assert nobody.call("AUTH", "nobody", "x") == simple("OK")
            nobody.send_raw(b"*1000000\r\n$536870912\r\nxxx")
        node.check()
    client.call("ACL", "DELUSER", "nobody")


@checks("2025-21605")
def test_who_never_reads_is_cut_off(guarded: Node) -> None:
    with client_of(guarded.server) as stranger:
        stranger.socket.settimeout(20)
        # Their errors are much more than is kept for a stranger and what the kernel takes.
        with pytest.raises((ConnectionError, TimeoutError)):
            stranger.send_raw(encode_command([b"GET", b"x"]) * 800_000)
        guarded.check()


@checks("2026-27623")
@pytest.mark.parametrize(
    "empty", [b"*0\r\n", b"*-1\r\n", b"\r\n", b"*1\r\n$0\r\n\r\n", b"*0\r\n\r\n"]
)
def test_empty_requests_of_strangers(guarded: Node, empty: bytes) -> None:
    with client_of(guarded.server) as stranger:
        stranger.send_raw(empty * 1000 + b"PING\r\n")
        stranger.socket.shutdown(socket.SHUT_WR)
        assert stranger.read_to_end().endswith(b"-NOAUTH Authentication required.\r\n")


# --- scripts -------------------------------------------------------------------------------------


@checks("2022-24735", "2025-46818")
@pytest.mark.parametrize(
    "plant",
    [
        "redis.call = function() return 'planted' end",
        "rawset(redis, 'call', function() return 'planted' end)",
        "function call() end",
        "rawset(_G, 'tostring', function() return 'planted' end)",
        "string.upper = function() return 'planted' end",
        "rawset(string, 'upper', function() return 'planted' end)",
        "getmetatable('').__index = function() return 'planted' end",
        "getmetatable('').__add = function() return 'planted' end",
        "getmetatable('').__index.upper = function() return 'planted' end",
        "setmetatable(_G, {__index = function() return 'planted' end})",
        "getmetatable(_G).__index = function() return 'planted' end",
        "debug.setmetatable(1, {__index = 1})",
        "KEYS = nil local m = getmetatable('') m.__call = function() return 'planted' end",
        "cjson.encode = function() return 'planted' end",
        "table.insert(table, 1)",
        "rawset(getmetatable(_G) or {}, '__index', function() return 'planted' end)",
        "setmetatable(string, {__index = function() return 'planted' end})",
        "setmetatable(getmetatable(''), {__index = function() return 'planted' end})",
        "local _, real = pairs(string) real.upper = function() return 'planted' end",
        "local _, real = pairs(redis) real.call = function() return 'planted' end",
        "table.sort(math, function() return true end)",
        "table.remove(string)",
        "setfenv(1, {})",
        "math.huge = 1",
    ],
)
def test_scripts_plant_nothing_for_others(client: RawClient, plant: str) -> None:
    client.call("EVAL", plant, "0")
    look = (
        "local x = 'a' return {tostring(7), x:upper(), string.upper('b'), cjson.encode({1}), "
        "tostring(math.huge), redis.call('ECHO', 'c'), "
        "tostring(pcall(function() return '1' + 1 end)), "
        "tostring(pcall(function() return ('x')() end)), #table, "
        "tostring(rawget(_G, 'call')), tostring(pcall(function() return missing end)), "
        "tostring(('x').missing), tostring(string.missing), tostring(table[1])}"
    )
    expected = [*map(bulk, ("7", "A", "B", "[1]", "inf", "c", "true", "false")), integer(0)]
    expected += map(bulk, ("nil", "false", "nil", "nil", "nil"))
    assert list(client.call("EVAL", look, "0").items) == expected


@checks("2022-24736", "2025-46819", "2025-49844")
@pytest.mark.parametrize(
    "text",
    [
        "return " + "(" * 100_000,
        "return " + "{" * 100_000,
        "return " + "-" * 3 + "a" * 100_000 + "\n" + "not " * 100_000,
        "return [" + "=" * 1_000_000,
        "return [" + "=" * 70_000 + "[ x ]" + "=" * 69_999 + "]",
        "--[" + "=" * 500_000 + "[",
        "\x1bLua" + "Q" * 1000,
        "local " + ",".join(f"a{n}" for n in range(300)),
        "local a = 1 " + "do " * 100_000,
        "goto = 'x\\",
        "return '\\999'",
        "return 0x" + "f" * 100_000,
        "",
        "\0",
    ],
    ids=range(14),
)
def test_strange_scripts_are_refused_or_harmless(client: RawClient, text: str) -> None:
    assert client.call("SCRIPT", "LOAD", text).kind in (b"-", b"$")
    assert client.call("EVAL", text, "0").kind in (b"-", b"$", b":", b"*")
    code = f"#!lua name=lib\n{text}"
    assert client.call("FUNCTION", "LOAD", code).kind == b"-"


@checks("2025-49844")
@pytest.mark.parametrize(
    "script",
    [
        "return loadstring(ARGV[1])()",
        "local code = ARGV[1] return load(function() local c = code code = nil return c end)()",
        "return redis.call('EVAL', ARGV[1], 0)",
    ],
)
def test_no_byte_code_is_run(client: RawClient, script: str) -> None:
    compiled = LuaRuntime(encoding=None).execute(b"return string.dump(function() return 7 end)")
    assert isinstance(compiled, bytes)
    assert compiled.startswith(b"\x1bLua")
    for request in (("EVAL", script, "0", compiled), ("EVAL", compiled, "0")):
        assert client.call(*request).kind == b"-"
    assert client.call("SCRIPT", "LOAD", compiled).kind == b"-"
    assert client.call("FUNCTION", "LOAD", b"#!lua name=lib\n" + compiled).kind == b"-"


@checks("2022-24834", "2025-46817")
@pytest.mark.parametrize(
    "script",
    [
        "local s = 'x' for i = 1, 40 do s = s .. s end return #s",
        "local t = {} for i = 1, 2^31 do t[i] = i end return #t",
        "return #table.concat({string.rep('x', 2^27), string.rep('x', 2^27)})",
        "return #string.rep('x', 2^40)",
        "local t = {} for i = 1, 10000 do t[i] = string.rep('x', 100000) .. i end return #t",
    ],
)
def test_scripts_take_no_more_memory_than_they_may(client: RawClient, script: str) -> None:
    reply = client.call("EVAL", script, "0")
    assert reply.kind == b"-"
    assert b"not enough memory" in reply.text or b"too large" in reply.text
    assert client.call("EVAL", "collectgarbage() return 1", "0") == integer(1)


@checks("2025-49844", "2024-46981")
def test_the_collector_may_come_at_any_time(client: RawClient) -> None:
    script = (
        "local kept = {} "
        "for i = 1, 300 do "
        "  local name = string.rep('n', 100 + i) "
        "  local f = loadstring('local ' .. string.rep('x', i) .. ' = {} return function() return '"
        "    .. string.rep('x', i) .. ' end', name) "
        "  local meta = {__gc = function() error('x') end, __mode = 'kv'} "
        "  kept[i % 7] = setmetatable({f and f()}, meta) "
        "  if i % 10 == 0 then collectgarbage() end "
        "end return #name"
    ).replace("#name", "1")
    for _ in range(3):
        assert client.call("EVAL", script, "0") == integer(1)
        assert client.call("SCRIPT", "FLUSH") == simple("OK")


@checks("2022-24834", "2024-31449", "2025-46817")
@pytest.mark.parametrize(
    "script",
    [
        "return cjson.decode(string.rep('[', 100000))",
        "local t = {} for i = 1, 5000 do t = {t} end return cjson.encode(t)",
        "local t = {} t[1] = t return cjson.encode(t)",
        "return #cjson.encode(string.rep('\\0', 300000))",
        "cjson.encode_keep_buffer('off') cjson.decode_max_depth(2^40)",
        "return cjson.decode('\"' .. string.rep('\\\\u', 100000))",
        "return cmsgpack.unpack('\\221\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\223\\255\\255\\255\\255')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255x')",
        "local t = {} t[1] = t return #cmsgpack.pack(t)",
        "return cmsgpack.unpack_limit('\\1\\1', 2^31, -1)",
        "return bit.tohex(65535, -2147483648)",
        "return bit.tohex(0, 2^53)",
        "return bit.lshift(1, 2^31)",
        "return struct.pack('I2147483648', 1)",
        "return struct.pack('>!4294967296I', 1)",
        "return struct.unpack('c0', '')",
        "return struct.unpack('I4', 'abcd', 2^31)",
        "return struct.unpack('I4', 'abcd', -5)",
        "return {unpack({}, 0, 2147483647)}",
        "return {unpack({}, -2147483648, 2147483647)}",
        "return {unpack({1}, 2^53, 2^53 + 10)}",
        "return string.rep('x', 2^40)",
        "return string.sub('abc', -2^63, 2^63)",
        "return string.byte(string.rep('x', 100000), 1, -1)",
        "return string.format('%99999d', 1)",
        "return string.format('%.2147483647f', 1)",
        "return table.concat({}, 'x', 1, 2^40)",
        "return select(-2147483648, 1)",
        "return math.random(0)",
    ],
)
def test_extreme_numbers_in_scripts(client: RawClient, script: str) -> None:
    reply = client.call("EVAL", script, "0")
    assert reply.kind in (b"-", b"$", b":", b"*")
    assert b"internal error" not in repr(reply).encode()
    assert client.call("EVAL", "return 1", "0") == integer(1)


@checks("2025-67733")
@pytest.mark.parametrize(
    "script",
    [
        "return redis.error_reply(ARGV[1])",
        "return redis.status_reply(ARGV[1])",
        "return {err = ARGV[1]}",
        "return {ok = ARGV[1]}",
        "error(ARGV[1])",
        "error({err = ARGV[1]})",
        "return {1, {err = ARGV[1]}, {ok = ARGV[1]}}",
        "redis.call(ARGV[1])",
        "return redis.pcall(ARGV[1], 'x')",
        "return redis.call('SET', 'k', 'v', ARGV[1])",
        "redis.setresp(3) return {big_number = ARGV[1]}",
        "redis.setresp(3) return {double = ARGV[1]}",
        "redis.setresp(3) return {verbatim_string = {string = ARGV[1], format = ARGV[1]}}",
        "local f = loadstring('x x', ARGV[1]) return f()",
        "return redis.sha1hex(ARGV[1], 1)",
        "return _G[ARGV[1]]",
    ],
)
@pytest.mark.parametrize("protocol", [2, 3])
def test_lines_of_scripts_are_one_reply(node: Node, script: str, protocol: int) -> None:
    with client_of(node.server, protocol) as client:
        for text in ("x\r\n$8\r\ninjected", "x\n+injected", "\r\n", "x\r"):
            client.call("EVAL", script, "0", text)
            assert client.call("ECHO", "own") == bulk("own")


@checks("2026-34444")
@pytest.mark.parametrize(
    "script",
    [
        "return python.eval('1')",
        "return python.builtins",
        "return rawget(_G, 'python') or _G.python",
        "return redis.call.__class__",
        "return redis.call.__globals__",
        "return redis.sha1hex.__self__",
        "for _, name in pairs({'python', 'io', 'os.execute', 'package', 'require', 'debug'}) do "
        "if rawget(_G, name) then return 1 end end error('nothing')",
        "return getmetatable(redis.call).__index",
        "return getmetatable(redis).__index",
        "local ok, e = pcall(redis.call) return e.__class__",
        "local ok, e = pcall(redis.call, {}) return e.__traceback__",
        "local ok, e = pcall(redis.call, redis.call) return e.args",
        "return tostring(redis.sha1hex(redis.call)):match('python')() ",
        "return os.getenv('PATH')",
        "return coroutine.wrap(redis.call)('GET').__class__",
        "return debug.getregistry()",
        "return newproxy(true)",
        "return dofile('/etc/passwd') and 1",
        "return loadstring('return python')().eval",
        "return string.format('%s', redis.call).x()",
    ],
)
def test_no_script_reaches_python(client: RawClient, script: str) -> None:
    reply = client.call("EVAL", script, "0")
    assert reply.kind == b"-" or reply.value is None, reply
    shown = repr(reply)
    assert "Traceback" not in shown
    assert "object at" not in shown


#: Everything that a script can get hold of without a command: its path, and its kind.
_WALK = """
local seen, found = {}, {}
local function walk(value, path)
    found[#found + 1] = path .. ' ' .. type(value)
    if type(value) ~= 'table' or seen[value] then return end
    seen[value] = true
    for key, inner in pairs(value) do walk(inner, path .. '.' .. tostring(key)) end
    local meta = getmetatable(value)
    if meta then walk(meta, path .. ' meta') end
end
walk(_G, '_G')
walk(getmetatable(''), 'meta of strings')
walk(getmetatable(redis.call), 'meta of functions')
return found
"""


@checks("2026-34444")
def test_nothing_within_reach_of_a_script_is_an_object(client: RawClient) -> None:
    found = [item.text.decode() for item in client.call("EVAL", _WALK, "0").items]
    assert "_G.redis.call function" in found
    # What Lua does not make itself, it shows as userdata.
    strange = [line for line in found if line.endswith(("userdata", "thread"))]
    assert strange == ["_G.cjson.null userdata"]
    reached = {line.rpartition(" ")[0].removeprefix("_G.") for line in found}
    assert not reached & {
        *("python", "io", "package", "require", "module", "debug", "dofile", "loadfile"),
        *("newproxy", "setfenv", "getfenv", "print", "string.dump", "os.execute", "os.getenv"),
    }
