"""Scripts that use the libraries, and requests about scripts; part of the script corpus."""

from typing import Final

from .script_cases import case, script

#: Shows a string byte by byte.
HEX: Final = (
    "local function hex(s) return (string.gsub(s, '.', function(c) "
    "return string.format('%02x', string.byte(c)) end)) end "
)

_LIBRARIES: Final = {
    "cjson round trip": "return cjson.encode(cjson.decode(ARGV[1]))",
    "cjson fields": "local t = cjson.decode(ARGV[1]) return {t.a, t.b[2], t.c.d, tostring(t.e)}",
    "cjson order": "return cjson.encode({x = 1, y = 2, z = 3, abc = 4, [1] = 5, [2] = 6})",
    "cjson empty": "return {cjson.encode({}), cjson.encode(cjson.decode('[]')), cjson.encode('')}",
    "cjson escapes": "return cjson.encode('a/b\"\\\\\\n\\t\\127\\1\\200é')",
    "cjson unicode": "return cjson.decode('\"\\\\u00e9\\\\u20ac\\\\ud83d\\\\ude00\"')",
    "cjson numbers": "return cjson.encode({1, 1.5, 1e20, 0.1, 1/3, 123456789012345678, -0.0})",
    "cjson number texts": "local t = cjson.decode('[1e3, 0x10, -5, 1.25e-2, inf]') "
    "for i, v in ipairs(t) do t[i] = tostring(v) end return t",
    "cjson null": "local t = cjson.decode('[null, 1]') return {tostring(t[1] == cjson.null), t[2]}",
    "cjson infinite": "return cjson.encode(1/0)",
    "cjson function": "return cjson.encode({f = function() end})",
    "cjson key": "return cjson.encode({[true] = 1})",
    "cjson sparse": "return cjson.encode({[1] = 1, [100] = 2})",
    "cjson circle": "local t = {} t.t = t return cjson.encode(t)",
    "cjson deep": "return cjson.decode(string.rep('[', 1001))",
    "cjson cut": "return cjson.decode('{\"a\": [1, 2')",
    "cjson nothing": "return cjson.decode('')",
    "cjson bad token": "return cjson.decode('nope')",
    "cjson no comma": "return cjson.decode('[1 2]')",
    "cjson more than a value": "return cjson.decode('1 2')",
    "cjson not text": "return cjson.decode({})",
    "cjson no argument": "return cjson.encode()",
    "cjson error in function": "local function f(text) return cjson.decode(text) end\nreturn "
    "f('[')",
    "cjson error caught": "return {pcall(cjson.decode, '[')}",
    "cjson settings": "local c = cjson.new() return {c.encode_number_precision(3), "
    "c.encode(1.23456), "
    "c.encode_max_depth(2), pcall(c.encode, {{{}}})}",
    "cjson invalid numbers": "local c = cjson.new() c.encode_invalid_numbers('null') "
    "return {c.encode({1/0}), c.decode_invalid_numbers(false), pcall(c.decode, '[nan]')}",
    "cjson sparse settings": "local c = cjson.new() c.encode_sparse_array(true) "
    "return c.encode({[1] = 1, [100] = 2})",
    "cmsgpack bytes": HEX + "local out = {} for i, v in ipairs{0, 127, 128, 65536, 2^32, 2^53, "
    "2^64, "
    "-1, -33, -129, -32769, -2^40, 1.5, 0.1, 1/0, 'a', string.rep('x', 32), true, false, {}, {1, "
    "2}, "
    "{a = 1}, {1, nil, 3}} do out[i] = hex(cmsgpack.pack(v)) end return out",
    "cmsgpack long text": HEX + "return {hex(string.sub(cmsgpack.pack(string.rep('x', 256)), 1, "
    "4)), "
    "hex(string.sub(cmsgpack.pack(string.rep('x', 65536)), 1, 6))}",
    "cmsgpack several": HEX + "return {hex(cmsgpack.pack(1, nil, 'a')), "
    "cmsgpack.unpack(cmsgpack.pack(1, 'b', {3}))}",
    "cmsgpack round trip": "return "
    "cjson.encode(cmsgpack.unpack(cmsgpack.pack(cjson.decode(ARGV[1]))))",
    "cmsgpack deep": HEX + "local t = {} for _ = 1, 20 do t = {t} end return hex(cmsgpack.pack(t))",
    "cmsgpack one by one": "local s = cmsgpack.pack(1, 2, 3) return {cmsgpack.unpack_one(s), "
    "cmsgpack.unpack_one(s, 2), cmsgpack.unpack_limit(s, 2), cmsgpack.unpack_limit(s, 2, 1)}",
    "cmsgpack nothing": "return cmsgpack.pack()",
    "cmsgpack cut": "return cmsgpack.unpack('\\221\\255\\255\\255\\255\\1')",
    "cmsgpack bad": "return cmsgpack.unpack('\\193')",
    "cmsgpack offset": "return cmsgpack.unpack_one('\\1', 5)",
    "cmsgpack negative": "return cmsgpack.unpack_limit('\\1', -1)",
    "struct bytes": HEX + "return {hex(struct.pack('>bBhHlLTiI', 1, 2, 3, 4, 5, 6, 7, 8, 9)), "
    "hex(struct.pack('<i3>i5', -2, 2^33)), hex(struct.pack('fd', 1.5, 0.1)), "
    "hex(struct.pack('sc3c0', 'ab', 'cdef', 'gh'))}",
    "struct alignment": HEX + "return {hex(struct.pack('!4bi!8bd', 1, 2, 3, 4)), "
    "struct.size('!8bd'), struct.size('bd')}",
    "struct round trip": "return {struct.unpack('>I2sBc0d', struct.pack('>I2sBc0d', 500, 'x', 3, "
    "'abc', "
    "1))}",
    "struct short data": "return struct.unpack('i4', 'abc')",
    "struct short text": "return struct.pack('c5', 'abc')",
    "struct offset": "return {struct.unpack('b', 'abc', 2), pcall(struct.unpack, 'b', 'abc', 0), "
    "pcall(struct.unpack, 'b', 'abc', 4)}",
    "struct big size": "return struct.pack('i33', 1)",
    "struct overflow": "return struct.unpack('c2147483648', 'a')",
    "struct alignment fails": "return struct.pack('!3b', 1)",
    "struct format": "return struct.pack('q', 1)",
    "struct no size": "return struct.size('s')",
    "struct unfinished": "return struct.unpack('s', 'abc')",
    "struct c0": "return struct.unpack('c0', 'abc')",
    "bit operations": "return {bit.tobit(2^31), bit.bnot(0), bit.band(12, 10, 14), bit.bor(12, "
    "10), "
    "bit.bxor(12, 10), bit.lshift(1, 31), bit.rshift(-1, 28), bit.arshift(-256, 4), "
    "bit.rol(0x12345678, 12), bit.ror(0x12345678, 12), bit.bswap(0x12345678)}",
    "bit hex": "return {bit.tohex(255), bit.tohex(-1, 4), bit.tohex(0xabcd, -8), bit.tohex(1, "
    "100)}",
    "bit rounding": "return {bit.tobit(1.5), bit.tobit(2.5), bit.tobit(-0.5), bit.tobit(2^40 + 5)}",
    "bit not a number": "return bit.band(1, 'x')",
    "bit nothing": "return bit.bor()",
    "bit text": "return bit.bor('1', '0x10')",
}
_DOCUMENT: Final = '{"a": 1, "b": [true, "x/y", null], "c": {"d": "é"}, "e": 1.5}'
LIBRARIES: Final = [
    script(f"library: {name}", text, (), _DOCUMENT) for name, text in _LIBRARIES.items()
]

_ONE_SHA: Final = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
REQUESTS: Final = [
    case("arguments", ("EVAL", "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}", 2, "a", "b", "c")),
    case("no such key", ("EVAL", "return {#KEYS, #ARGV, KEYS[5], 'x'}", 1, "a", "b")),
    case("numkeys", *(("EVAL", "return 1", count) for count in (1, -1, "x", "1.5", 10**20))),
    case("numkeys lacks", ("EVAL", "return 1"), ("EVAL",), ("EVALSHA", _ONE_SHA)),
    case(
        "digests",
        ("EVALSHA", _ONE_SHA, 0),
        ("SCRIPT", "EXISTS", _ONE_SHA, "x"),
        ("SCRIPT", "LOAD", "return 1"),
        ("EVALSHA", _ONE_SHA.upper(), 0),
        ("EVALSHA_RO", _ONE_SHA, 0),
        ("SCRIPT", "EXISTS", _ONE_SHA, _ONE_SHA.upper()),
        ("SCRIPT", "FLUSH", "SYNC"),
        ("EVALSHA", _ONE_SHA, 0),
        ("EVALSHA", "x", 0),
        ("SCRIPT", "FLUSH", "ASYNC"),
        ("SCRIPT", "FLUSH", "LATER"),
    ),
    case("eval makes known", ("EVAL", "return 1", 0), ("SCRIPT", "EXISTS", _ONE_SHA)),
    case("load that fails", ("SCRIPT", "LOAD", "return +"), ("SCRIPT", "LOAD")),
    case("nothing to kill", ("SCRIPT", "KILL"), ("SCRIPT", "NOPE"), ("SCRIPT", "EXISTS")),
    case("no debugger asked", ("SCRIPT", "DEBUG", "NO"), ("SCRIPT", "DEBUG")),
    case(
        "within a transaction",
        ("MULTI",),
        ("SET", "k", 1),
        ("EVAL", "return redis.call('incr', KEYS[1])", 1, "k"),
        ("EVALSHA", _ONE_SHA, 0),
        ("EVAL", "error('x')", 0),
        ("EXEC",),
        ("GET", "k"),
    ),
    case(
        "read only",
        ("SET", "k", 1),
        ("EVAL_RO", "return redis.call('get', KEYS[1])", 1, "k"),
        ("EVAL_RO", "return redis.call('set', KEYS[1], 2)", 1, "k"),
        ("EVAL_RO", "return redis.pcall('del', KEYS[1])", 1, "k"),
        ("GET", "k"),
    ),
    case(
        "flags",
        ("EVAL", "#!lua\nreturn 1", 0),
        ("EVAL", "#!lua flags=no-writes\nreturn redis.call('set', 'k', 1)", 0),
        ("EVAL", "#!lua flags=no-writes,allow-stale\nreturn redis.call('get', 'k')", 0),
        ("EVAL", "#!lua flags=no-cluster,allow-oom,allow-cross-slot-keys\nreturn 1", 0),
        ("EVAL_RO", "#!lua\nreturn 1", 0),
        ("EVAL_RO", "#!lua flags=no-writes\nreturn 1", 0),
        ("EVAL", "#!lua flags=\nreturn 1", 0),
        ("EVAL", "#!lua flags=nope\nreturn 1", 0),
        ("EVAL", "#!lua nope=1\nreturn 1", 0),
        ("EVAL", "#!lua name=x\nreturn 1", 0),
        ("EVAL", "#!js\nreturn 1", 0),
        ("EVAL", "#!lua", 0),
        ("EVAL", "#!\nreturn 1", 0),
        ("EVAL", "#!lua\n\nerror('x')", 0),
        ("EVAL", "#lua\nreturn 1", 0),
        ("EVALSHA_RO", _ONE_SHA, 0),
    ),
    case(
        "no memory",
        ("SET", "k", 1),
        ("CONFIG", "SET", "maxmemory", 1),
        ("EVAL", "return redis.call('set', 'k', 1)", 0),
        ("EVAL", "return redis.pcall('set', 'k', 1)", 0),
        ("EVAL", "return redis.call('get', 'k')", 0),
        ("EVAL", "redis.call('del', 'k') return redis.call('set', 'k', 2)", 0),
        ("EVAL", "#!lua\nreturn redis.call('get', 'k')", 0),
        ("EVAL", "#!lua flags=allow-oom\nreturn redis.call('set', 'k', 1)", 0),
        ("EVAL", "#!lua flags=no-writes\nreturn redis.call('get', 'k')", 0),
        ("CONFIG", "SET", "maxmemory", 0),
    ),
    case("undeclared keys", ("EVAL", "redis.call('set', 'k', 1) return redis.call('get', 'k')", 0)),
    case(
        "another database",
        (
            "EVAL",
            "redis.call('select', 3) redis.call('set', 'k', 3) return redis.call('get', 'k')",
            0,
        ),
        ("GET", "k"),
        ("SELECT", 3),
        ("GET", "k"),
        ("SELECT", 0),
    ),
    case(
        "sorted for once",
        ("SADD", "s", *"gfedcba"),
        ("EVAL", "return redis.call('sort', 's', 'alpha')", 0),
        ("EVAL", "return redis.call('sort', 's', 'by', 'nosort')", 0),
        ("SADD", "n", 3, 1, 2),
        ("EVAL", "return {redis.call('smembers', 'n'), redis.call('sort', 'n', 'desc')}", 0),
    ),
    case(
        "globals stay",
        ("EVAL", "x = 1", 0),
        ("EVAL", "return rawget(_G, 'x')", 0),
        ("EVAL", "KEYS[9] = 'x' ARGV.a = 1 return {KEYS[9], ARGV.a}", 0),
        ("EVAL", "return {KEYS[9], ARGV.a}", 0),
        ("EVAL", "KEYS = {}", 0),
    ),
    case(
        "setresp lasts for one script",
        ("EVAL", "redis.setresp(3) return type(redis.call('config', 'get', 'port').map)", 0),
        ("EVAL", "return type(redis.call('config', 'get', 'port').map)", 0),
    ),
    case(
        "numbers as arguments",
        (
            "EVAL",
            "redis.call('rpush', 'l', 1, 1.5, 1e15, 1e17, 2^63, -0.0, 1/3) "
            "return redis.call('lrange', 'l', 0, -1)",
            0,
        ),
        (
            "EVAL",
            "redis.call('rpush', 'm', 1/0, -1/0, 0/0) return redis.call('lrange', 'm', 0, -1)",
            0,
        ),
    ),
    case(
        "errors count",
        ("CONFIG", "RESETSTAT"),
        ("EVAL", "return redis.call('nope')", 0),
        ("EVAL", "redis.pcall('nope') return 1", 0),
        ("EVAL", "return redis.call('incr', 'k')", 0),
        ("EVAL", "return redis.error_reply('MY words')", 0),
    ),
    case("a long script", ("EVAL", "return " + " + ".join("1" for _ in range(3000)), 0)),
    case("a long list", ("EVAL", "return #{" + ",".join("1" for _ in range(30000)) + "}", 0)),
    case("help", ("SCRIPT", "HELP", "x")),
]
