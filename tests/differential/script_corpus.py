"""Scripts, and requests about scripts, that two servers must answer alike.

What both are known to answer differently stands in `EXCEPTIONS`, with the reason.
"""

from typing import Final

from .script_cases import Case, case, script
from .script_requests import LIBRARIES, REQUESTS

TOKEN_BUCKET: Final = """
local rate, capacity = tonumber(ARGV[1]), tonumber(ARGV[2])
local now, wanted = tonumber(ARGV[3]), tonumber(ARGV[4])
local state = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens = tonumber(state[1]) or capacity
local at = tonumber(state[2]) or now
tokens = math.min(capacity, tokens + math.max(0, now - at) * rate)
local allowed = tokens >= wanted
if allowed then tokens = tokens - wanted end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('EXPIRE', KEYS[1], math.ceil(capacity / rate) * 2)
return {allowed and 1 or 0, tokens, tostring(tokens)}
"""
RELEASE_LOCK: Final = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
else
    return 0
end
"""
SLIDING_WINDOW: Final = """
local now, window, limit = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - window)
local count = redis.call('ZCARD', KEYS[1])
if count < limit then
    redis.call('ZADD', KEYS[1], now, now .. '-' .. count)
    redis.call('PEXPIRE', KEYS[1], window)
    return {1, limit - count - 1}
end
return {0, redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')}
"""
RECIPES: Final = [
    case(
        "token bucket",
        *(("EVAL", TOKEN_BUCKET, 1, "b", 2, 10, now, 4) for now in (100, 100, 100, 101, 105)),
        ("HGETALL", "b"),
    ),
    case(
        "release of a lock",
        ("SET", "lock", "mine", "NX", "PX", 60000),
        ("EVAL", RELEASE_LOCK, 1, "lock", "other"),
        ("EVAL", RELEASE_LOCK, 1, "lock", "mine"),
        ("EVAL", RELEASE_LOCK, 1, "lock", "mine"),
    ),
    case(
        "sliding window",
        *(("EVAL", SLIDING_WINDOW, 1, "w", now, 1000, 3) for now in range(0, 2000, 250)),
        ("ZRANGE", "w", 0, -1, "WITHSCORES"),
    ),
    case(
        "compare and set",
        ("SET", "k", 5),
        *(
            (
                "EVAL",
                "local v = redis.call('get', KEYS[1]) if v == ARGV[1] then "
                "redis.call('set', KEYS[1], ARGV[2]) return v end return false",
                *(1, "k", *words),
            )
            for words in ((4, 6), (5, 6), (6, 7))
        ),
        ("GET", "k"),
    ),
    script(
        "a queue that moves",
        "for i = 1, 5 do redis.call('rpush', KEYS[1], i) end "
        "while true do local v = redis.call('lpop', KEYS[1]) if not v then break end "
        "redis.call('lpush', KEYS[2], v * 2) end return redis.call('lrange', KEYS[2], 0, -1)",
        ("q", "p"),
    ),
    script(
        "a stream",
        "redis.call('xadd', KEYS[1], '1-1', 'f', 'v') redis.call('xadd', KEYS[1], '2-1', 'g', 1) "
        "return redis.call('xrange', KEYS[1], '-', '+')",
        ("s",),
    ),
]

_VALUES: Final = {
    "nothing": "return",
    "nil": "return nil",
    "true": "return true",
    "false": "return false",
    "whole": "return 42",
    "cut fraction": "return {3.99, -3.99, 0.1, -0.1}",
    "big whole": "return {2^53, -2^53, 9007199254740993, 2^62, 1e15}",
    "text": "return 'a\\r\\nb\\0c'",
    "empty text": "return ''",
    "empty table": "return {}",
    "ends at nil": "return {1, 2, nil, 4}",
    "nested": "return {1, {2, {3, {4, {}}}}, 'x'}",
    "mixed": "return {1, 'a', true, false, {ok = 'fine'}, {err = 'BAD bad'}}",
    "map keys are lost": "return {a = 1, b = 2}",
    "status": "return {ok = 'STATUS'}",
    "error": "return {err = 'MY error'}",
    "error without code": "return {err = 'oops'}",
    "error with break": "return {err = 'a\\r\\nb'}",
    "status with break": "return {ok = 'a\\r\\nb'}",
    "double": "return {double = 3.25}",
    "doubles": "return {{double = 1/3}, {double = 1/0}, {double = 100}}",
    "long double": "return {double = 1e300}",
    "map": "return {map = {a = 1}}",
    "set": "return {set = {a = true}}",
    "big number": "return {big_number = '12345678901234567890123'}",
    "big number with break": "return {big_number = '12\\r\\n3'}",
    "verbatim": "return {verbatim_string = {format = 'txt', string = 'hello'}}",
    "function": "return function() end",
    "coroutine": "return coroutine.create(function() end)",
    "null of cjson": "return cjson.null",
    "fields that are no reply": "return {ok = 1, err = 2, 'x'}",
    "metatable does not count": "return setmetatable({1}, {__index = {1, 2, 3}})",
    "several values": "return 1, 2, 3",
    "status_reply": "return redis.status_reply('FINE')",
    "status_reply wrong": "return redis.status_reply({})",
    "error_reply": "return redis.error_reply('MY words')",
    "error_reply one word": "return redis.error_reply('words')",
    "error_reply dash": "return redis.error_reply('-MY words')",
    "error_reply wrong": "return redis.error_reply(1, 2)",
    "error_reply in table": "return {redis.error_reply('MY a'), redis.status_reply('b')}",
    "sha1hex": "return {redis.sha1hex(''), redis.sha1hex('abc'), redis.sha1hex(12)}",
    "sha1hex wrong": "return redis.sha1hex()",
    "log": "return redis.log(redis.LOG_DEBUG, 'words', 1)",
    "log without words": "return redis.log(1)",
    "log without level": "return redis.log('x', 'y')",
    "log of no level": "return redis.log(10, 'y')",
    "setresp wrong": "return redis.setresp(4)",
    "setresp nothing": "return redis.setresp()",
    "set_repl": "return redis.set_repl(redis.REPL_ALL)",
    "set_repl wrong": "return redis.set_repl(9)",
    "set_repl nothing": "return redis.set_repl()",
    "replicate_commands": "return redis.replicate_commands()",
    "breakpoint": "return redis.breakpoint()",
    "constants": "return {redis.LOG_DEBUG, redis.LOG_VERBOSE, redis.LOG_NOTICE, redis.LOG_WARNING,"
    " redis.REPL_NONE, redis.REPL_AOF, redis.REPL_SLAVE, redis.REPL_REPLICA, redis.REPL_ALL}",
    "acl_check_cmd": "return {redis.acl_check_cmd('get', 'k'), "
    "redis.acl_check_cmd('config','get')}",
    "acl_check_cmd unknown": "return redis.acl_check_cmd('nope')",
    "acl_check_cmd nothing": "return redis.acl_check_cmd()",
    "acl_check_cmd table": "return redis.acl_check_cmd({})",
    "names in redis": "local t = {} for k in pairs(redis) do t[#t + 1] = k end table.sort(t) "
    "return t",
    "names in libraries": "local t = {} for _, l in ipairs{cjson, cmsgpack, struct, bit, string, "
    "table, math, coroutine} do for k in pairs(l) do "
    "if k ~= 'dump' then t[#t + 1] = k end end end table.sort(t) return t",
    "types": "return {type(redis.call), type(cjson.null), type(string), type(KEYS), "
    "tostring(cjson.null), tostring(nil), tostring(1e15), tostring(1e100), tostring(0.1)}",
    "number texts": "return {tostring(2^53), tostring(-0.0), 10 / 3 .. '', 1e300 * 1e10 .. '', "
    "tostring(100000000000000), tostring(1000000000000000)}",
    "string library": "return {string.format('%5.2f|%d|%s|%q', 3.14159, 42, 'x', 'a\"b'), "
    "('x'):rep(3), ('abc'):upper(), ('hello'):find('l'), ('k=v'):match('(%w)=(%w)')}",
    "table library": "local t = {3, 1, 2} table.sort(t) table.insert(t, 9) table.remove(t, 1) "
    "return {table.concat(t, ','), unpack(t)}",
    "math library": "return {math.floor(3.7), math.max(1, 5, 3), math.fmod(7, 3), 7 % -3, "
    "tostring(math.huge), tostring(math.pi)}",
    "random numbers": "math.randomseed(0) return {tostring(math.random()), math.random(100), "
    "math.random(5, 9)}",
    "seeded random numbers": "math.randomseed(-7) return {math.random(1000), math.random(-9, 9)}",
    "pairs over arrays": "local t = {} for i, v in ipairs({'a', 'b', nil, 'c'}) do t[i] = v end "
    "return t",
    "loadstring": "return loadstring('return 1 + 1')()",
    "loadstring that fails": "return {loadstring('return +')}",
    "loadstring with name": "return {loadstring('return +', '@mine')}",
    "coroutines": "local c = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end) "
    "return {c(), c(), c()}",
    "metatables": "local t = setmetatable({}, {__index = function(_, k) return k .. '!' end, "
    "__call = function(_, a) return a * 2 end, __tostring = function() return 'T' end}) "
    "return {t.x, t(21), tostring(t)}",
    "pcall of error": "local ok, e = pcall(error, 'x') return {tostring(ok), e}",
    "pcall of error with place": "local ok, e = pcall(function() error('x') end) return e",
    "pcall of error with table": "local ok, e = pcall(function() error({err = 'MY x'}) end) "
    "return e",
    "pcall of a call": "local ok, e = pcall(redis.call, 'nope') return {tostring(ok), type(e), "
    "e.err}",
    "gcinfo": "return type(gcinfo())",
}
VALUES: Final = [script(f"value: {name}", text) for name, text in _VALUES.items()]

_FAILURES: Final = {
    "error text": "error('words')",
    "error text without place": "error('words', 0)",
    "error number": "error(42)",
    "error with err": "error({err = 'MY words'})",
    "error on a line": "\n\nerror('words')",
    "error in function": "local function f()\nerror('words')\nend\nf()",
    "error from call on a line": "\n\nreturn redis.call('nope')",
    "error from call in function": "local function f()\nreturn redis.call('nope')\nend\n\nreturn "
    "f()",
    "error given on": "local ok, e = pcall(redis.call, 'nope')\n\nerror(e)",
    "pcall returned": "return redis.pcall('nope')",
    "pcall's error": "return redis.pcall('nope').err",
    "fields of an error": "redis.call('set', KEYS[1], 'x') local e = redis.pcall('incr', "
    "KEYS[1]) local t = {} "
    "for k in pairs(e) do t[#t + 1] = k end table.sort(t) return t",
    "call of nothing": "return redis.call()",
    "pcall of nothing": "return redis.pcall()",
    "call with table": "return redis.call('get', {})",
    "call with boolean": "return redis.call('get', true)",
    "call with nil": "return redis.call('get', nil)",
    "unknown command": "return redis.call('nope', 1)",
    "unknown subcommand": "return redis.call('object', 'nope', 'k')",
    "container alone": "return redis.call('object')",
    "wrong arity": "return redis.call('get')",
    "wrong arity with more": "return redis.pcall('get', 'a', 'b')",
    "not from script": "return redis.call('multi')",
    "eval within": "return redis.call('eval', 'return 1', 0)",
    "subscribe within": "return redis.call('subscribe', 'c')",
    "wrong type": "redis.call('lpush', KEYS[1], 1) return redis.call('get', KEYS[1])",
    "not an integer": "redis.call('set', KEYS[1], 'x') return redis.call('incr', KEYS[1])",
    "not an integer, caught": "redis.call('set', KEYS[1], 'x') return redis.pcall('incr', KEYS[1])",
    "syntax": "return +",
    "syntax on a line": "local x = 1\nif x then\nreturn",
    "new global": "x = 1",
    "unknown global": "return y",
    "unknown global function": "return print('x')",
    "write to redis": "redis.call = nil",
    "write to string": "string.foo = 1",
    "write to cjson": "cjson.encode = nil",
    "write by rawset": "rawset(_G, 'x', 1)",
    "metatable of a library": "setmetatable(bit, {})",
    "metatable of globals": "setmetatable(_G, nil)",
    "insert into library": "table.insert(struct, 1)",
    "index of nil": "local t return t.x",
    "call of nil": "local t = {} t.x()",
    "call of a field of nil": "local t = {} return t.x.y",
    "arithmetic on nil": "return 1 + nil",
    "arithmetic on text": "return 'a' + 1",
    "comparison": "return {} < 1",
    "concatenation": "return 'a' .. {}",
    "argument of a function": "return ('x'):rep()",
    "argument of tonumber": "return tonumber()",
    "argument of ipairs": "return ipairs()",
    "argument of setmetatable": "return setmetatable(1, {})",
    "stack overflow": "local function f() return 1 + f() end return f()",
    "deep tail calls": "local function f(n) if n == 0 then return 'end' end return f(n - 1) end "
    "return f(100000)",
    "table index is nil": "local t = {} t[nil] = 1",
    "deep table": "local t = {} for i = 1, 150 do t = {t} end return t",
    "select": "return {select('#', 1, nil), select(2, 'a', 'b'), pcall(select, 0)}",
    "random bounds": "return math.random(0)",
    "random argument": "return math.random({})",
    "pattern of no text": "return ('x'):find({})",
    "gsub of nothing": "return string.gsub('x')",
    "sort that fails": "local t = {1, 'a'} table.sort(t) return t",
    "concat that fails": "return table.concat({1, {}, 3})",
    "insert nowhere": "table.insert(nil, 1)",
    "caught error of a library": "local ok, e = pcall(function() return cjson.decode('[') end) "
    "return e",
    "caught twice": "local ok, e = pcall(function() local ok, e = pcall(redis.call, 'nope') "
    "error(e) end) return e",
    "xpcall": "local ok, e = xpcall(function() error('x') end, function(m) return m .. '!' end) "
    "return e",
    "xpcall of a call": "local ok, e = xpcall(function() return redis.call('nope') end, "
    "function(m) return type(m) end) return e",
    "error in a coroutine": "local c = coroutine.wrap(function() error('x') end) return c()",
    "error of a resumed one": "local ok, e = coroutine.resume(coroutine.create(function() "
    "return redis.call('nope') end)) return type(e)",
    "assert": "assert(false, 'words')",
    "assert of nothing": "assert(nil)",
    "assert of a call": "return assert(redis.pcall('nope'))",
    "pcall without function": "return {pcall(1)}",
    "error with level": "local function f() error('x', 2) end\nf()",
    "tostring of nothing": "return tostring()",
    "unpack of much": "return #{unpack({}, 1, 7000)}",
    "unpack of too much": "return unpack({}, 1, 1e8)",
    "invalid pattern": "return string.find('a', '[')",
    "invalid format": "return string.format('%d', 'x')",
    "dump": "return string.dump(function() end)",
    "os": "return os.time()",
    "blocking command": "return redis.call('blpop', KEYS[1], 0)",
    "blocking command with data": "redis.call('rpush', KEYS[1], 1) return redis.call('brpop', "
    "KEYS[1], 0)",
}
FAILURES: Final = [script(f"failure: {name}", text, ("k",)) for name, text in _FAILURES.items()]

_COMMANDS: Final = (
    "redis.call('set', 'k', 'v')",
    "redis.call('get', 'none')",
    "redis.call('hset', 'h', 'f', 1)",
    "redis.call('hgetall', 'h')",
    "redis.call('hgetall', 'none')",
    "redis.call('sadd', 's', 'm')",
    "redis.call('smembers', 's')",
    "redis.call('sismember', 's', 'm')",
    "redis.call('zadd', 'z', 1.5, 'm')",
    "redis.call('zscore', 'z', 'm')",
    "redis.call('zscore', 'z', 'none')",
    "redis.call('zrange', 'z', 0, -1, 'withscores')",
    "redis.call('incrbyfloat', 'f', 1.5)",
    "redis.call('lpop', 'none')",
    "redis.call('lpop', 'none', 2)",
    "redis.call('mget', 'k', 'none')",
    "redis.call('exists', 'k', 'none')",
    "redis.call('type', 'k')",
    "redis.call('ping')",
    "redis.call('echo', 'x')",
    "redis.call('geopos', 'z', 'none')",
    "redis.call('config', 'get', 'maxmemory')",
    "redis.call('debug', 'protocol', 'double')",
    "redis.call('debug', 'protocol', 'bignum')",
    "redis.call('debug', 'protocol', 'true')",
    "redis.call('debug', 'protocol', 'null')",
    "redis.call('debug', 'protocol', 'verbatim')",
    "redis.call('debug', 'protocol', 'set')",
    "redis.call('debug', 'protocol', 'map')",
)
_DESCRIBE: Final = (
    "local function show(v) if type(v) ~= 'table' then return type(v) .. ' ' .. tostring(v) end "
    "local t = {} for k, w in pairs(v) do t[#t + 1] = tostring(k) .. '=' .. show(w) end "
    "table.sort(t) return '{' .. table.concat(t, ',') .. '}' end "
)
_PREPARED: Final = "redis.call('hset', 'h', 'f', 1) redis.call('sadd', 's', 'm') "
"redis.call('zadd', 'z', 1.5, 'm') redis.call('set', 'k', 'v') "
CONVERSIONS: Final = [
    Case(
        f"conversion: {command} in RESP{protocol}",
        (
            ("EVAL", f"{_PREPARED} redis.setresp({protocol}) return {command}", 0),
            (
                "EVAL",
                f"{_DESCRIBE} {_PREPARED} redis.setresp({protocol}) return show({command})",
                0,
            ),
        ),
    )
    for command in _COMMANDS
    for protocol in (2, 3)
]

CASES: Final = [*RECIPES, *VALUES, *FAILURES, *CONVERSIONS, *LIBRARIES, *REQUESTS]

#: Name of a case -> why the two servers answer it differently.
EXCEPTIONS: Final[dict[str, str]] = {
    "value: doubles": "from 7.2 on a double is printed as short as can be",
    "value: long double": "from 7.2 on a double is printed as short as can be",
    "failure: fields of an error": "a field by which Redis counts an error once only",
    "failure: dump": "byte code is of no use where none can be loaded, and tells of memory",
}
