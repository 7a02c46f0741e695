"""The server family against a real redis-server: the same bytes for the same words."""

from collections.abc import Iterator

import pytest

from ...support.raw import RawClient, Reply
from ...support.servers import client_of, start_redis
from ..harness import MemoryNode

pytestmark = pytest.mark.redis_server

#: Requests whose replies do not depend on time, memory or version. They run in this order.
EQUAL = """
DEBUG
DEBUG nope
DEBUG SLEEP
DEBUG SLEEP x
DEBUG ERROR hello
DEBUG ERROR "ERR with words"
DEBUG ERROR
DEBUG LOG text
DEBUG DIGEST
DEBUG DIGEST 1
DEBUG DIGEST-VALUE
DEBUG DIGEST-VALUE a
DEBUG OBJECT a
DEBUG SDSLEN a
DEBUG POPULATE
DEBUG POPULATE x
DEBUG POPULATE -1
DEBUG POPULATE 3
GET key:2
DEBUG POPULATE 2 p 10
GET p:1
DEBUG POPULATE 1 q 3
GET q:0
SET q:0 other
DEBUG POPULATE 1 q
GET q:0
DEBUG DIGEST
DEBUG SDSLEN key:0 more
SET number 12
DEBUG SDSLEN number
DEBUG LISTPACK number
DEBUG QUICKLIST number
DEBUG HTSTATS
DEBUG HTSTATS x
DEBUG HTSTATS 99
DEBUG HTSTATS-KEY number
DEBUG SET-ACTIVE-EXPIRE 1
DEBUG SET-ACTIVE-EXPIRE x
DEBUG SET-ACTIVE-EXPIRE
DEBUG PAUSE-CRON 0
DEBUG REPLYBUFFER RESIZING 1
DEBUG REPLYBUFFER PEAK-RESET-TIME NEVER
DEBUG REPLYBUFFER PEAK-RESET-TIME 100
DEBUG REPLYBUFFER x 1
DEBUG REPLYBUFFER
DEBUG CHANGE-REPL-ID
DEBUG SET-SKIP-CHECKSUM-VALIDATION 0
DEBUG SET-DISABLE-DENY-SCRIPTS 0
DEBUG QUICKLIST-PACKED-THRESHOLD 100b
DEBUG QUICKLIST-PACKED-THRESHOLD 0
DEBUG QUICKLIST-PACKED-THRESHOLD x
DEBUG QUICKLIST-PACKED-THRESHOLD 5gb
DEBUG REPLICATE
DEBUG REPLICATE a b
DEBUG JMAP
CONFIG
CONFIG GET
CONFIG GET hz extra nope
CONFIG SET a
CONFIG SET a b c
CONFIG SET nope 1
CONFIG SET port x
CONFIG SET maxmemory abc
CONFIG SET maxmemory 0 maxmemory 1
CONFIG SET databases 3
CONFIG REWRITE
CONFIG NOPE
CONFIG RESETSTAT x
CONFIG GET slowlog-max-len
CONFIG SET slowlog-max-len 10 slowlog-log-slower-than -1
CONFIG GET slowlog-max-len
SHUTDOWN x
SHUTDOWN SAVE NOSAVE
SHUTDOWN ABORT
SHUTDOWN ABORT NOW
LOLWUT VERSION x
MEMORY
MEMORY NOPE
MEMORY USAGE
MEMORY USAGE number SAMPLES
MEMORY USAGE number SAMPLES -1
MEMORY USAGE number SAMPLES x
MEMORY USAGE number FOO 1
MEMORY USAGE missing
MEMORY USAGE missing SAMPLES -1
MEMORY PURGE
MEMORY PURGE x
SLOWLOG
SLOWLOG GET x
SLOWLOG GET -2
SLOWLOG GET 1 2
SLOWLOG RESET
SLOWLOG LEN
SLOWLOG GET
SLOWLOG GET -1
LATENCY
LATENCY LATEST
LATENCY HISTORY x
LATENCY GRAPH x
LATENCY RESET
LATENCY RESET a b
LATENCY HISTOGRAM nope
LATENCY HISTOGRAM nope|more config|nope
ROLE
ROLE x
BGSAVE x
BGSAVE SCHEDULE x
SAVE x
LASTSAVE x
MODULE
MODULE LIST
MODULE UNLOAD x
MONITOR x
INFO nope
INFO cluster
INFO modules
INFO module_list
INFO Cluster nope
MULTI
MONITOR
SAVE
SHUTDOWN
EXEC
MULTI
MONITOR
EXEC
HELLO 3 x
""".strip().splitlines()

_KINDS = "string integer double bignum null array set map attrib push verbatim true false nope"


def as_bytes(reply: Reply) -> bytes:
    """The bytes that a reply came as."""
    kind, value = reply.kind, reply.value
    if isinstance(value, tuple):
        count = len(value) // 2 if kind in b"%|" else len(value)
        head = kind + b"%d\r\n" % count
        return head + b"".join(map(as_bytes, value))
    if kind in (b"$", b"=") and isinstance(value, bytes):
        return kind + b"%d\r\n%b\r\n" % (len(value), value)
    if value is None:
        return b"_\r\n" if kind == b"_" else kind + b"-1\r\n"
    return kind + (value if isinstance(value, bytes) else b"%d" % value) + b"\r\n"


def words_of(line: str) -> list[str]:
    if '"' not in line:
        return line.split()
    head, text, _ = line.split('"')
    return [*head.split(), text]


@pytest.fixture(scope="module")
def redis() -> Iterator[RawClient]:
    options = ("--enable-debug-command", "yes", "--enable-module-command", "yes")
    with start_redis(*options) as server, client_of(server) as client:
        yield client


def test_the_same_words_earn_the_same_bytes(redis: RawClient) -> None:
    redis.call("FLUSHALL")
    redis.call("CONFIG", "SET", "latency-monitor-threshold", 0)
    node = MemoryNode(enable_debug_command="yes", enable_module_command="yes", save='""')
    differing = {}
    for line in EQUAL:
        words = words_of(line)
        expected, actual = as_bytes(redis.call(*words)), node.receive(words)
        if expected != actual:
            differing[line] = (expected, actual)
    assert not differing


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("kind", _KINDS.split())
def test_protocol_samples(redis: RawClient, protocol: int, kind: str) -> None:
    node = MemoryNode(enable_debug_command="yes")
    redis.call("HELLO", protocol)
    node.receive(["HELLO", protocol])
    expected = as_bytes(redis.call("DEBUG", "PROTOCOL", kind))
    if expected.startswith((b"|", b">")):
        expected += as_bytes(redis.read())
    assert node.receive(["DEBUG", "PROTOCOL", kind]) == expected
    redis.call("HELLO", 2)


#: Commands that leave values of every class, edited and unedited, with and without a lifetime.
DATA = (
    "SET string text",
    "SET number 12",
    "SET volatile text EX 1000",
    "APPEND string more",
    "SETBIT bits 100 1",
    "RPUSH list a b 1",
    "LPUSH list c",
    "SADD set x y 1",
    "SADD numbers 1 2 3",
    "HSET hash field value other 2",
    "ZADD zset 1 a 2.5 b 1e300 c inf d 0.1 e -0.0 f",
    "XADD stream 5-3 field value other 1",
    "XADD stream 6-0 a b",
    "PEXPIRE hash 100000",
)


def test_equal_data_has_equal_digests(redis: RawClient) -> None:
    node = MemoryNode(enable_debug_command="yes")
    redis.call("FLUSHALL")
    keys = set()
    for database in (0, 3):
        for client in (redis, node):
            client.call("SELECT", database)
        for line in DATA:
            words = line.split()
            keys.add(words[1])
            redis.call(*words)
            node.call(*words)
        request = ("DEBUG", "DIGEST-VALUE", *sorted(keys), "missing")
        assert node.receive(request) == as_bytes(redis.call(*request))
        request = ("DEBUG", "DIGEST")
        assert node.receive(request) == as_bytes(redis.call(*request))
    redis.call("SELECT", 0)


def _field_names(info: bytes) -> list[str]:
    """Titles and field names in their order; those that tell of commands and keys left out."""
    lines = info.decode().split("\r\n")
    dynamic = ("cmdstat_", "errorstat_", "latency_percentiles_", "db")
    return [line.partition(":")[0] for line in lines if line and not line.startswith(dynamic)]


@pytest.mark.parametrize(
    "words", [(), ("default",), ("all",), ("everything",), ("stats", "SERVER", "nope")]
)
def test_info_has_every_field_in_its_place(redis: RawClient, words: tuple[str, ...]) -> None:
    theirs = _field_names(redis.call("INFO", *words).text)
    ours = _field_names(MemoryNode().call("INFO", *words))
    own = {"clustrio_version", "listener0"}
    # Redis 7.2 has these too.
    own |= {f"acl_access_denied_{what}" for what in ("auth", "cmd", "key", "channel")}
    assert [name for name in ours if name not in own] == theirs


def test_memory_statistics_have_every_field(redis: RawClient) -> None:
    redis.call("FLUSHALL")
    redis.call("SET", "key", "value")
    node = MemoryNode()
    node.call("SET", "key", "value")
    theirs = [item.text for item in redis.call("MEMORY", "STATS").items[::2]]
    assert node.call("MEMORY", "STATS")[::2] == theirs


def test_a_forbidden_debug_is_refused_with_the_same_words() -> None:
    with start_redis("--enable-debug-command", "no") as server, client_of(server) as client:
        node = MemoryNode()
        for words in (("DEBUG", "DIGEST"), ("DEBUG", "nope")):
            assert node.receive(words) == as_bytes(client.call(*words))


#: Requests with secrets, and some without, as the slow log has to show them.
SECRETS = (
    "CONFIG SET masterauth secret",
    "CONFIG SET hz 10 masterauth secret",
    "CONFIG GET requirepass",
    "AUTH foo pw",
    "AUTH pw",
    "HELLO 3 AUTH foo pw SETNAME x",
    "HELLO 2 SETNAME AUTH",
    "CONFIG SET requirepass x",
    "CONFIG SET requirepass ''",
    "GET AUTH",
)


def test_the_slow_log_hides_the_same_words(redis: RawClient) -> None:
    node = MemoryNode()
    shown = []
    for client in (redis, node):
        client.call("CONFIG", "SET", "slowlog-log-slower-than", 0, "slowlog-max-len", 128)
        client.call("SLOWLOG", "RESET")
        for line in SECRETS:
            client.call(*[word.replace("''", "") for word in line.split()])
        client.call("CONFIG", "SET", "slowlog-log-slower-than", -1)
    shown.append(
        [tuple(w.text for w in e.items[3].items) for e in redis.call("SLOWLOG", "GET", -1).items]
    )
    shown.append([tuple(entry[3]) for entry in node.call("SLOWLOG", "GET", -1)])
    assert shown[1] == shown[0]
