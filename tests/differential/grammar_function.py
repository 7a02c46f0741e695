"""FUNCTION, FCALL, and EVAL of short scripts: what runs, what is refused, and with which words.

Libraries hold one function each, since a real server lists several in the order of a random hash.
They outlive an episode on both servers; every episode meets what the ones before it left.
"""

from typing import Final

from .agreement import same_type
from .dsl import (
    Part,
    command,
    constant,
    counted,
    key,
    maybe,
    mostly,
    one_of,
    repeat,
    seq,
    value,
)

_BODIES: Final = (
    "return {keys, args}",
    "return redis.call('set', keys[1], args[1])",
    "return redis.pcall('incrby', keys[1], args[1])",
    "return redis.call('get', keys[1])",
    "redis.setresp(3) local n = 0 for _ in pairs(redis.call('hgetall', keys[1]).map) do n = n + 1 "
    "end return {n, true, false}",
    "redis.setresp(3) return {redis.call('zscore', keys[1], args[1]), redis.call('get', 'no') "
    "== nil}",
    "return redis.call(unpack(args))",
    "return {1, 2.9, -3.9, 'x', false, true, {err = 'MY err'}, {ok = 'fine'}}",
    "error('boo')",
    "error({err = 'CODE boo'})",
    "return redis.error_reply('a b')",
    "return redis.sha1hex(args[1] or '')",
    "redis.call('rpush', keys[1], -0, 1.5, 1e20, 0/0) return redis.call('lrange', keys[1], 0, -1)",
    "x = 1",
    "return y",
    "local n = nil\nreturn n.x",
    "\nreturn redis.call('lpush', keys[1])",
    "return #keys + #args",
    "for _, k in ipairs(keys) do redis.call('del', k) end return #keys",
)
_FLAG_SETS: Final = (
    *("", "'no-writes'", "'allow-oom'", "'no-cluster', 'allow-stale'", "'NO-WRITES'", "'bad'", "1"),
)
_LIBRARIES: Final = ("la", "lb", "lc", "l-d")
_FUNCTIONS: Final = (b"f", b"F", b"g", b"h", b"none")


def _library(library: str, function: str, body: str, flags: str) -> bytes:
    head = f"#!lua name={library}\n"
    callback = f"function(keys, args) {body}\nend"
    if not flags:
        return f"{head}redis.register_function('{function}', {callback})".encode()
    return (
        f"{head}redis.register_function{{function_name = '{function}', description = 'about', "
        f"flags = {{{flags}}}, callback = {callback}}}"
    ).encode()


_CODES: Final = tuple(
    _library(library, function, body, flags)
    for library in _LIBRARIES
    for function in ("f", "F", "g", "h")
    for body in _BODIES
    for flags in _FLAG_SETS
)
_BROKEN: Final = (
    *(b"", b"#!lua", b"#!lua name=la", b"#!lua\n", b"#!LUA name=la\nreturn", b"#!js name=la\n"),
    *(b"#!lua name=la name=la\n", b"#!lua nam=la\n", b"#!lua 'name=la\n", b"x" * 50),
    *(b"#!lua name=la\nreturn 1", b"#!lua name=la\nnot lua", b"#!lua name=la\nredis.call('ping')"),
    *(b"#!lua name=la\nredis.register_function('f')", b"#!lua name=la\nlocal t = x"),
    *(b"#!lua name=la\nredis.register_function{1}", b"#!lua name=la\nredis.log('x')"),
)
_CODE: Final = mostly(constant(*_CODES), constant(*_BROKEN), 0.8)
_CALL: Final = seq(constant(*_FUNCTIONS), counted(key, 0, 3))

_SHEBANGS: Final = (
    *("", "", "#!lua\n", "#!lua flags=no-writes\n", "#!lua flags=allow-oom,no-cluster\n"),
    *("#!lua flags=x\n", "#!lua name=x\n", "#!lua", "#!luajit\n", "#!lua 'flags=no-writes'\n"),
)
_SCRIPTS: Final = tuple(
    (shebang + body.replace("keys", "KEYS").replace("args", "ARGV")).encode()
    for shebang in _SHEBANGS
    for body in _BODIES
)
_COMMANDS: Final[Part] = one_of(
    seq(constant(b"get", b"GET", b"strlen", b"del", b"hlen", b"lrange", b"nope"), key),
    seq(constant(b"set", b"append", b"lpush", b"hset"), key, value),
    constant(b"ping", b"multi", b"eval", b"function", b"config", b"object", b"cluster"),
)

GRAMMAR: Final = [
    command("FUNCTION", "LOAD", maybe("REPLACE", 0.7), _CODE, weight=8),
    command("FUNCTION", "DELETE", constant(b"la", b"lb", b"lc", b"no"), weight=2),
    command("FUNCTION", "FLUSH", maybe(one_of("SYNC", "ASYNC", "now"))),
    command(
        "FUNCTION",
        "LIST",
        "LIBRARYNAME",
        constant(b"la", b"LB", b"l[c]", b"no*"),
        maybe("WITHCODE"),
        weight=2,
        takes_damage=False,
    ),
    command("FUNCTION", "STATS", weight=2),
    command("FUNCTION", "DUMP", agree=same_type),
    command("FUNCTION", "RESTORE", constant(b"", b"\x0a\x00", b"x" * 20), maybe("REPLACE")),
    command("FUNCTION", "KILL"),
    command("FCALL", _CALL, repeat(value, 0, 3), weight=10),
    command("FCALL", _CALL, _COMMANDS, weight=5),
    command("FCALL_RO", _CALL, repeat(value, 0, 3), weight=4),
    command("EVAL", constant(*_SCRIPTS), counted(key, 0, 3), repeat(value, 0, 3), weight=8),
    command("EVAL", constant(*_SCRIPTS), counted(key, 0, 3), _COMMANDS, weight=5),
    command("EVAL_RO", constant(*_SCRIPTS), counted(key, 0, 3), repeat(value, 0, 3), weight=3),
    command("SCRIPT", "LOAD", constant(*_SCRIPTS)),
    command("GET", key, weight=2),
    command("HSET", key, value, value),
    command("LRANGE", key, constant(b"0"), constant(b"-1")),
]
