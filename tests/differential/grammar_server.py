"""The server group: the node about itself, and the fingerprint of data of every type."""

from typing import Final

from .agreement import same_type
from .dsl import command, constant, double, key, maybe, member, one_of, options, repeat, seq, value

_NUMBER: Final = constant(b"0", b"1", b"-1", b"2", b"10", b"x", b"", b"99999999999999999999")
_EVENT: Final = one_of("command", "fast-command", "nonsense")
_SWITCH: Final = constant(b"0", b"1", b"x")
_DIRECTIVE: Final = seq(
    one_of("slowlog-max-len", "hz", "maxmemory-samples", "lfu-log-factor", "databases", "nonsense"),
    constant(b"1", b"10", b"128", b"x", b"", b"-5", b"99999999999999999999"),
)
#: Sections of which every field is the same everywhere.
_SAME_SECTIONS: Final = repeat(one_of("cluster", "modules", "module_list", "nonsense"))

#: Equal fingerprints mean equal data. None of this gives keys a lifetime: they would die at other
#: times here and there.
_DATA: Final = [
    command("SET", key, value, weight=2),
    command("APPEND", key, value),
    command("RPUSH", key, repeat(value)),
    command("SADD", key, repeat(member)),
    command("HSET", key, repeat(seq(member, value))),
    command("ZADD", key, repeat(seq(double, member))),
    command("DEL", key, weight=3),
    command("PERSIST", key),
    command("DEBUG", "DIGEST", weight=2, takes_damage=False),
    command("DEBUG", "DIGEST-VALUE", repeat(key), weight=2, takes_damage=False),
]

GRAMMAR: Final = [
    *_DATA,
    command("INFO", _SAME_SECTIONS, takes_damage=False),
    command("CONFIG", "GET", one_of("slowlog-max-len", "hz", "maxmemory-samples", "nonsense")),
    command("CONFIG", "SET", repeat(_DIRECTIVE, 1, 2), takes_damage=False),
    command("CONFIG", one_of("REWRITE", "NONSENSE"), maybe(value)),
    command("SLOWLOG", "GET", constant(b"0", b"-2", b"x", b""), takes_damage=False),
    command("LATENCY", one_of("HISTORY", "GRAPH"), _EVENT),
    command("LATENCY", one_of("RESET", "LATEST"), maybe(_EVENT)),
    command(
        "LATENCY",
        "HISTOGRAM",
        one_of("nonsense", "config|nonsense", "no|no"),
        takes_damage=False,
    ),
    command("MEMORY", "USAGE", key, options(seq("SAMPLES", _NUMBER)), agree=same_type),
    command("MEMORY", one_of("PURGE", "NONSENSE"), maybe(value)),
    command("DEBUG", "PROTOCOL", one_of("string", "double", "map", "set", "null", "nonsense")),
    command("DEBUG", "POPULATE", constant(b"3", b"0", b"x", b"-1"), key, takes_damage=False),
    command("DEBUG", one_of("SDSLEN", "LISTPACK", "QUICKLIST", "HTSTATS-KEY", "OBJECT"), "missing"),
    command("DEBUG", one_of("SET-SKIP-CHECKSUM-VALIDATION", "REPLYBUFFER"), _SWITCH),
    command("SHUTDOWN", constant(b"x", b"", b"ABORT", b"abort"), takes_damage=False),
    command("BGSAVE", "nonsense", takes_damage=False),
    command("ROLE"),
    command("LASTSAVE", agree=same_type),
    command("MODULE", one_of("LIST", "UNLOAD"), maybe("nonsense")),
]
