"""The libraries of scripts: what they answer, how they complain, and that nothing harms the node.

The answers are those of redis-server 7.0.15; `tests/differential/test_scripts.py` asks it again.
"""

from itertools import count

import pytest

from clustrio.node.scripting.libraries import LIBRARIES

from ..harness import MemoryNode

HEX = (
    "local function hex(s) return (string.gsub(s, '.', function(c) "
    "return string.format('%02x', string.byte(c)) end)) end return "
)
_ANSWERS = {
    "cjson.encode({1, 2, {a = 'x/y'}})": b'[1,2,{"a":"x\\/y"}]',
    "cjson.encode({})": b"{}",
    "cjson.encode({[3] = 1})": b"[null,null,1]",
    "cjson.encode({cjson.null, true, false})": b"[null,true,false]",
    "cjson.encode({1/3, 1e20, -0.0, 123456789012345678})": (
        b"[0.33333333333333,1e+20,-0,1.2345678901235e+17]"
    ),
    r"cjson.encode('\0\31\127\"\\\r\200')": b'"\\u0000\\u001f\\u007f\\"\\\\\\r\xc8"',
    "cjson.encode(cjson.decode('[[], {}, [{}]]'))": b"[{},{},[{}]]",
    r"cjson.decode('\"\\u00e9\\u20ac\\ud83d\\ude00\\/\"')": "é€😀/".encode(),
    "tostring(cjson.decode('0x1p4'))": b"16",
    "tostring(cjson.decode('-inf'))": b"-inf",
    "tostring(cjson.decode('+5'))": b"5",
    "cjson.decode('[1, 2, [3]]')": [1, 2, [3]],
    "cjson.decode('12\\0garbage')": 12,
    "tostring(cjson.null)": b"userdata: (nil)",
    "type(cjson.null)": b"userdata",
    "cjson.decode('null') == cjson.null": 1,
    "cjson.new().encode_number_precision(3)": 3,
    "bit.tobit(2^31)": -(2**31),
    "bit.band(0xff0, 0x0ff, 0xfff)": 0x0F0,
    "bit.bor(0xf00, 0x00f)": 0xF0F,
    "bit.bxor(-1, 0xff)": -256,
    "bit.bnot(0)": -1,
    "bit.lshift(1, 31)": -(2**31),
    "bit.lshift(1, 33)": 2,
    "bit.rshift(-1, 28)": 15,
    "bit.arshift(-256, 4)": -16,
    "bit.rol(0x12345678, 12)": 0x45678123,
    "bit.ror(0x12345678, 12)": 0x67812345,
    "bit.bswap(0x12345678)": 0x78563412,
    "bit.tohex(-1, -4)": b"FFFF",
    "bit.tohex(1, -2^31)": b"00000001",
    "bit.tobit(2.5)": 2,
    "{struct.unpack('>I2sBc0d', struct.pack('>I2sBc0d', 500, 'x', 3, 'abc', 1))}": (
        [500, b"x", b"abc", 1, 17]
    ),
    "struct.unpack('>i9', '\\1\\255\\255\\255\\255\\255\\255\\255\\254')": -2,
    "struct.size('!8bd')": 16,
    "{cmsgpack.unpack(cmsgpack.pack(1, 'b', {3}))}": [1, b"b", [3]],
    "{cmsgpack.unpack_one('\\1\\2\\3')}": [1, 1],
    "{cmsgpack.unpack_one('\\1\\2\\3', 2)}": [-1, 3],
    "{cmsgpack.unpack_limit('\\1\\2\\3', 2)}": [2, 1, 2],
    "{cmsgpack.unpack('')}": [],
}
_BYTES = {
    "cmsgpack.pack(0, 127, 128, 65535, 65536)": "007fcc80cdffffce00010000",
    "cmsgpack.pack(2^32, 2^63)": "cf0000000100000000ca5f000000",
    "cmsgpack.pack(-1, -32, -33, -32768)": "ffe0d0dfd18000",
    "cmsgpack.pack(-2^31, -2^31 - 1)": "d280000000d3ffffffff7fffffff",
    "cmsgpack.pack(1.5, 0.1, 1/0)": "ca3fc00000cb3fb999999999999aca7f800000",
    "cmsgpack.pack(5e-324, 1e-45)": "cb0000000000000001cb3696d601ad376ab9",
    "cmsgpack.pack({}, {1}, {a = 1}, nil, true)": "90910181a16101c0c3",
    "cmsgpack.pack(cjson.null, print)": "c0c0",
    "cmsgpack.pack(('x'):rep(32)):sub(1, 3)": "d92078",
    "cmsgpack.pack(('x'):rep(65536)):sub(1, 6)": "db0001000078",
    "struct.pack('>bBhHlLiI', -1, 2, 3, 4, 5, 6, 7, 8)": (
        "ff0200030004000000000000000500000000000000060000000700000008"
    ),
    "struct.pack('<i3', -2)": "feffff",
    "struct.pack('i10', -1)": "ffffffffffffffff0000",
    "struct.pack('fd', 1.5, 0.1)": "0000c03f9a9999999999b93f",
    "struct.pack('>f', 1e300)": "7f800000",
    "struct.pack('!4bi', 1, 2)": "0100000002000000",
    "struct.pack('sc2c0x', 'a', 'bcd', 'e')": "610062636500",
}
_COMPLAINTS = {
    "cjson.decode('')": "Expected value but found T_END at character 1",
    "cjson.decode('nope')": "Expected value but found invalid token at character 1",
    "cjson.decode('[1 2]')": "Expected comma or array end but found T_NUMBER at character 4",
    "cjson.decode('{\"a\" 1}')": "Expected colon but found T_NUMBER at character 6",
    "cjson.decode('{1}')": "Expected object key string but found T_NUMBER at character 2",
    "cjson.decode('1 1')": "Expected the end but found T_NUMBER at character 3",
    "cjson.decode('\"a')": "Expected value but found unexpected end of string at character 3",
    r"cjson.decode('\"\\x\"')": "Expected value but found invalid escape code at character 2",
    r"cjson.decode('\"\\ud800\"')": (
        "Expected value but found invalid unicode escape code at character 2"
    ),
    "cjson.decode('-')": "Expected value but found invalid number at character 1",
    "cjson.decode('1\\0')": "JSON parser does not support UTF-16 or UTF-32",
    "cjson.decode({})": "bad argument #1 to 'decode' (string expected, got table)",
    "cjson.decode(('['):rep(1001))": (
        "Found too many nested data structures (1001) at character 1001"
    ),
    "cjson.encode()": "bad argument #1 to 'encode' (expected 1 argument)",
    "cjson.encode(0/0)": "Cannot serialise number: must not be NaN or Inf",
    "cjson.encode({[11] = 1})": "Cannot serialise table: excessively sparse array",
    "cjson.encode({[true] = 1})": (
        "Cannot serialise boolean: table key must be a number or string"
    ),
    "cjson.encode({redis.call})": "Cannot serialise function: type not supported",
    "cjson.encode(redis)": "Cannot serialise function: type not supported",
    "cjson.encode_max_depth(0)": (
        "bad argument #1 to 'encode_max_depth' (expected integer between 1 and 2147483647)"
    ),
    "cjson.encode_keep_buffer('x')": "bad argument #1 to 'encode_keep_buffer' (invalid option 'x')",
    "cjson.encode_max_depth(1, 2)": (
        "bad argument #2 to 'encode_max_depth' (found too many arguments)"
    ),
    "cmsgpack.pack()": "bad argument #0 to 'pack' (MessagePack pack needs input.)",
    "cmsgpack.unpack('\\193')": "Bad data format in input.",
    "cmsgpack.unpack('\\217')": "Missing bytes in input.",
    "cmsgpack.unpack('\\223\\255\\255\\255\\255\\1')": "Missing bytes in input.",
    "cmsgpack.unpack_one('a', 9)": "Start offset 9 greater than input length 1.",
    "cmsgpack.unpack_limit('a', -1)": (
        "Invalid request to unpack with offset of 0 and limit of 1."
    ),
    "cmsgpack.unpack(('\\145'):rep(5000))": ("stack overflow (in function mp_decode_to_lua_array)"),
    "cmsgpack.unpack(('\\1'):rep(9000))": (
        "stack overflow (too many return values at once; use unpack_one or unpack_limit instead.)"
    ),
    "struct.pack('i33', 1)": "integral size 33 is larger than limit of 32",
    "struct.pack('i2147483648', 1)": "integral size overflow",
    "struct.unpack('c2147483648', 'a')": "integral size overflow",
    "struct.unpack('c2147483647', 'a')": "bad argument #2 to 'unpack' (data string too short)",
    "struct.unpack('b', 'a', 0)": "bad argument #3 to 'unpack' (offset must be 1 or greater)",
    "struct.unpack('b', 'a', -2)": "bad argument #2 to 'unpack' (data string too short)",
    "struct.unpack('b', 'a', 2^62)": "bad argument #2 to 'unpack' (data string too short)",
    "struct.unpack('bc0', '\\9abc')": "bad argument #2 to 'unpack' (data string too short)",
    "struct.unpack('c0', 'abc')": "format 'c0' needs a previous size",
    "struct.unpack('s', 'abc')": "unfinished string in data",
    "struct.unpack(('b'):rep(9000), ('a'):rep(9000))": "stack overflow (too many results)",
    "struct.pack('!3b', 1)": "alignment 3 is not a power of 2",
    "struct.pack('q', 1)": "bad argument #1 to 'pack' (invalid format option 'q')",
    "struct.pack('c5', 'abc')": "bad argument #3 to 'pack' (string too short)",
    "struct.size('s')": "bad argument #1 to 'size' (option 's' has no fixed size)",
    "bit.band(1, 'x')": "bad argument #2 to 'band' (number expected, got string)",
    "bit.bor()": "bad argument #1 to 'bor' (number expected, got no value)",
}


@pytest.fixture(scope="module")
def node() -> MemoryNode:
    return MemoryNode()


@pytest.mark.parametrize("expression", _ANSWERS)
def test_answers(node: MemoryNode, expression: str) -> None:
    assert node.call("EVAL", f"return {expression}", 0) == _ANSWERS[expression]


@pytest.mark.parametrize("expression", _BYTES)
def test_bytes(node: MemoryNode, expression: str) -> None:
    expression = expression.replace("print", "redis.call")
    wanted = _BYTES.get(expression) or _BYTES[expression.replace("redis.call", "print")]
    assert node.call("EVAL", f"{HEX}hex({expression})", 0).decode() == wanted


@pytest.mark.parametrize("expression", _COMPLAINTS)
def test_complaints_name_the_line_of_the_script(node: MemoryNode, expression: str) -> None:
    sha = node.call("SCRIPT", "LOAD", f"\nreturn {expression}").decode()
    assert node.call("EVALSHA", sha, 0) == (
        f"ERR user_script:2: {_COMPLAINTS[expression]} script: {sha}, on @user_script:2."
    )


@pytest.mark.parametrize("name", ["cjson", "cmsgpack", "struct", "bit"])
def test_tables_are_read_only(node: MemoryNode, name: str) -> None:
    for script in (
        f"{name}.x = 1",
        f"{name}.pack = nil",
        f"rawset({name}, 'x', 1)",
        f"setmetatable({name}, {{}})",
        f"local _, real = pairs({name}) real.x = 1",
        f"{name} = nil",
    ):
        assert "Attempt to modify a readonly table" in node.call("EVAL", script, 0)
    assert node.call("EVAL", f"return {{type({name}), getmetatable({name})}}", 0) == [b"table"]


def test_null_leads_nowhere(node: MemoryNode) -> None:
    assert node.call("EVAL", "return {getmetatable(cjson.null) == nil}", 0) == [1]
    assert "attempt to index" in node.call("EVAL", "return cjson.null.x", 0)
    assert "must be strings or integers" in node.call("EVAL", "redis.call('get', cjson.null)", 0)


def test_all_functions_are_of_lua(node: MemoryNode) -> None:
    # A function of the host would be a userdata.
    script = (
        "for _, library in ipairs{cjson, cmsgpack, struct, bit} do "
        "for name, value in pairs(library) do "
        "if type(value) ~= 'function' and type(value) ~= 'string' and value ~= cjson.null then "
        "return name end end end return 'none'"
    )
    assert node.call("EVAL", script, 0) == b"none"
    assert set(LIBRARIES) == {b"support", b"cjson", b"cmsgpack", b"struct", b"bit"}


@pytest.mark.parametrize(
    "script",
    [
        # CVE-2022-24834, CVE-2024-31449: sizes and depths that overflowed buffers.
        "local t = {} t[1] = t cjson.encode_max_depth(2147483647) return cjson.encode(t)",
        "cjson.decode_max_depth(2147483647) return cjson.decode(('['):rep(1000000))",
        "cjson.decode_max_depth(2147483647) return cjson.decode(('{\"a\":'):rep(100000))",
        "cjson.encode_sparse_array(false, 0) return cjson.encode({[2147483647] = 1})",
        "local s = ('\\0'):rep(45000000) return cjson.encode(s)",
        "return cmsgpack.unpack(('\\129\\1'):rep(1000000))",
        "return cmsgpack.unpack('\\129\\192\\1')",
        "return cmsgpack.unpack('\\219\\255\\255\\255\\255')",
        "return struct.unpack('i2147483647c2147483647', 'x')",
        "return struct.pack(('c2147483647'):rep(9), 'x')",
        "local t = {} for i = 1, 200000 do t[i] = 1 end return bit.band(unpack(t))",
    ],
)
def test_extremes_are_errors_and_harm_nothing(script: str) -> None:
    node = MemoryNode()
    assert node.call("EVAL", script, 0).startswith("ERR ")
    assert node.call("EVAL", "return cjson.encode(cjson.decode('[1]'))", 0) == b"[1]"


def test_circles_end() -> None:
    node = MemoryNode()
    packed = "local t = {} t[1] = t return cmsgpack.pack(t)"
    assert node.call("EVAL", packed, 0) == b"\x91" * 16 + b"\xc0"
    reply = node.receive(("EVAL", "local t = {} t[1] = t return t", 0))
    assert reply == b"*1\r\n" * 7995 + b"-ERR reached lua stack limit\r\n"


@pytest.mark.parametrize(
    "script",
    [
        "cjson.encode_sparse_array(false, 0) while true do cjson.encode({[100000] = 1}) end",
        "while true do cmsgpack.unpack('\\220\\255\\255' .. ('\\1'):rep(65535)) end",
        "while true do struct.size(('b'):rep(100000)) end",
    ],
)
def test_long_work_within_a_library_can_be_killed(script: str) -> None:
    node = MemoryNode()
    other = node.machine.connect("127.0.0.1:2", "127.0.0.1:6379")

    def breathe(session: object) -> None:
        assert node.machine.receive(other, b"SCRIPT KILL\r\n") == b"+OK\r\n"

    node.machine.breathe = breathe
    ticks = count(step=1_000_000)
    node.machine.timer = lambda: next(ticks)
    assert node.call("CONFIG", "SET", "busy-reply-threshold", 1) == "OK"
    assert "Script killed by user" in node.call("EVAL", script, 0)
    assert node.call("EVAL", "return bit.tobit(1)", 0) == 1


def test_settings_of_a_new_library_are_its_own(node: MemoryNode) -> None:
    script = (
        "local c = cjson.new() c.encode_max_depth(1) "
        "return {cjson.encode({{}}), pcall(c.encode, {{}})}"
    )
    assert node.call("EVAL", script, 0)[0] == b"[{}]"
    assert node.call("EVAL", "return {pcall(cjson.decode, '[')}", 0) == [
        None,
        b"Expected value but found T_END at character 2",
    ]


def test_own_functions_keep_their_tail_calls(node: MemoryNode) -> None:
    script = (
        "local function f(n) if n == 0 then return 'end' end return f(n - 1) end return f(100000)"
    )
    assert node.call("EVAL", script, 0) == b"end"
    items = ",".join("f()" for _ in range(30000))
    script = f"local function f() return tostring(1) end return #{{{items}}}"
    assert node.call("EVAL", script, 0) == 30000
