"""Known flaws of commands: extreme numbers, patterns without end, damaged values."""

from random import Random

import pytest

from clustrio.node.persistence.rdb.checksum import checksum
from clustrio.tools.bench.clusters import wait_until

from ..support.raw import RawClient, bulk, encode_command, integer, simple
from ..support.servers import client_of
from .conftest import Node
from .flaws import checks

pytestmark = pytest.mark.slow

_MAX = str(2**63 - 1)
_MIN = str(-(2**63))


@checks("2022-35977")
def test_offsets_do_not_overflow(client: RawClient) -> None:
    client.call("RPUSH", "list", "2", "1")
    for offset in (_MAX, str(2**62), str(512 * 1024 * 1024), _MIN):
        assert client.call("SETRANGE", "key", offset, "x").kind == b"-"
    for limits in ((_MAX, _MAX), (_MIN, _MAX), ("1", _MAX), (_MAX, _MIN)):
        assert client.call("SORT", "list", "LIMIT", *limits).kind == b"*"
    assert client.call("EXISTS", "key") == integer(0)


@checks("2022-36021", "2024-31228")
def test_no_pattern_takes_for_ever(node: Node, client: RawClient) -> None:
    key = "a" * 5_000
    patterns = ["*a" * 2_000 + "b", "a*" * 50 + "b", "*" * 10_000 + "b", "[a" * 1_000, "?*" * 3_000]
    client.call("SET", key, "value")
    for pattern in patterns:
        assert client.call("KEYS", pattern).kind == b"*"
        assert client.call("SCAN", "0", "MATCH", pattern, "COUNT", "10").kind == b"*"
        assert client.call("CONFIG", "GET", pattern).kind == b"*"
        with client_of(node.server) as listener:
            assert listener.call("PSUBSCRIBE", pattern).kind == b"*"
            assert client.call("PUBLISH", key, "x").kind == b":"
        client.call("ACL", "SETUSER", "nobody", "reset", "on", "nopass", "+@all", f"~{pattern}")
        with client_of(node.server) as nobody:
            nobody.call("AUTH", "nobody", "x")
            assert nobody.call("GET", key).kind in (b"$", b"-")
    client.call("ACL", "DELUSER", "nobody")


@checks("2023-22458", "2023-25155")
def test_extreme_counts_are_refused(client: RawClient) -> None:
    client.call("HSET", "hash", "f", "v")
    client.call("SADD", "set", "m")
    client.call("ZADD", "zset", "1", "m")
    for count in (_MIN, str(-(2**63) + 1), str(2**63), str(-(2**64)), _MAX + "0"):
        for request in (
            ("HRANDFIELD", "hash", count, "WITHVALUES"),
            ("ZRANDMEMBER", "zset", count, "WITHSCORES"),
            ("SRANDMEMBER", "set", count),
            ("HRANDFIELD", "hash", count),
            ("SPOP", "set", count),
            ("ZPOPMIN", "zset", count),
            ("LPOP", "list", count),
        ):
            assert client.call(*request).kind in (b"-", b"*", b"$"), request
    reply = client.call("HRANDFIELD", "hash", _MIN, "WITHVALUES")
    assert reply.text.startswith(b"ERR value is out of range")


@checks("2023-28425")
def test_a_key_twice_in_msetnx(client: RawClient) -> None:
    assert client.call("MSETNX", "a", "1", "a", "2", "b", "3", "a", "4") == integer(1)
    assert client.call("GET", "a") == bulk("4")
    assert client.call("DBSIZE") == integer(2)


@checks("2023-28856")
def test_hincrbyfloat_leaves_nothing_unreadable(client: RawClient) -> None:
    for increment in ("inf", "-inf", "nan", "1e99999", "x", " 1", "0x1p99999"):
        assert client.call("HINCRBYFLOAT", "hash", "new", increment).kind == b"-", increment
    assert client.call("HEXISTS", "hash", "new") == integer(0)
    client.call("HSET", "hash", "large", "1e308")
    client.call("HINCRBYFLOAT", "hash", "large", "1e308")
    assert client.call("HGET", "hash", "large").kind == b"$"
    assert client.call("HINCRBYFLOAT", "hash", "large", "1").kind in (b"$", b"-")


@checks("2024-31227", "2024-51741")
@pytest.mark.parametrize(
    "rule",
    ["(", ")", "()", "(%", "(~", "(+get ~", "%", "%R", "%RW", "%~", "(()", "(%R~a", "+|", "~"],
)
def test_selectors_without_sense(client: RawClient, rule: str) -> None:
    for words in ((rule,), (rule, rule), ("on", rule, "+get"), (rule, "~a)")):
        assert client.call("ACL", "SETUSER", "odd", *words).kind in (b"+", b"-")
        client.call("ACL", "DRYRUN", "odd", "GET", "a")
        assert client.call("ACL", "GETUSER", "odd").kind in (b"*", b"$")
        assert client.call("ACL", "LIST").kind == b"*"
    client.call("ACL", "DELUSER", "odd")


@checks("2025-32023")
def test_damaged_hyperloglogs(client: RawClient, seed: int) -> None:
    random = Random(f"hyperloglog {seed}")
    client.call("PFADD", "sound", *range(50))
    header = client.call("GET", "sound").text[:16]
    for number in range(300):
        body = random.randbytes(random.randrange(40))
        if number % 3 == 0:
            body = b"\x7f\xff" * random.randrange(1, 60) + body
        client.call("SET", "damaged", header + body)
        client.call("PFADD", "damaged", "x", "y")
        assert client.call("PFCOUNT", "damaged", "sound").kind in (b":", b"-")
        assert client.call("PFMERGE", "merged", "damaged", "sound").kind in (b"+", b"-")
        assert client.call("PFCOUNT", "merged").kind in (b":", b"-")
    # Each pair of bytes stands for as many registers as there are.
    for count in (2, 3, 60):
        client.call("SET", "damaged", header + b"\x7f\xff" * count)
        for request in (("PFCOUNT", "damaged"), ("PFMERGE", "merged", "damaged")):
            assert client.call(*request).text.startswith(b"INVALIDOBJ"), request


@checks("2025-62507")
def test_many_ids_in_one_command(client: RawClient) -> None:
    client.call("XADD", "stream", "1-1", "f", "v")
    client.call("XGROUP", "CREATE", "stream", "group", "0")
    ids = [f"{number}-1" for number in range(50_000)]
    assert client.call("XACK", "stream", "group", *ids) == integer(0)
    assert client.call("XCLAIM", "stream", "group", "me", "0", *ids) == client.call(
        "LRANGE", "-", 0, 0
    )
    client.call("XACKDEL", "stream", "group", "KEEPREF", "IDS", str(len(ids)), *ids)
    client.call("XDELEX", "stream", "KEEPREF", "IDS", _MAX, *ids)
    assert client.call("XDEL", "stream", *ids).kind == b":"


@checks("2026-25243")
def test_restore_of_damaged_payloads(node: Node, client: RawClient, seed: int) -> None:
    random = Random(f"restore {seed}")
    client.call("RPUSH", "list", *range(20))
    client.call("SADD", "numbers", *range(20))
    client.call("HSET", "hash", *(f"f{number}" for number in range(20)))
    client.call("ZADD", "zset", *(str(number % 7) for number in range(40)))
    client.call("XADD", "stream", "1-1", "f", "v")
    client.call("XGROUP", "CREATE", "stream", "group", "0")
    client.call("SET", "text", "x" * 2000)
    sound = [
        client.call("DUMP", key).value
        for key in ("list", "numbers", "hash", "zset", "stream", "text")
    ]
    for _ in range(1_500):
        payload = random.choice(sound)
        assert isinstance(payload, bytes)
        damaged = bytearray(payload[:-8])
        for _ in range(random.randint(1, 4)):
            damaged[random.randrange(len(damaged) - 2)] = random.choice((0, 1, 127, 128, 254, 255))
        if random.random() < 0.3:
            del damaged[random.randrange(1, len(damaged) - 2) : -2]
        sealed = bytes(damaged) + checksum(bytes(damaged)).to_bytes(8, "little")
        if client.call("RESTORE", "new", "0", sealed, "REPLACE") == simple("OK"):
            assert client.call("TYPE", "new").kind == b"+"
            assert client.call("DUMP", "new").kind == b"$"
            assert client.call("DEBUG", "DIGEST-VALUE", "new").kind == b"*"


@checks("2026-63639")
def test_two_consumers_never_share_a_pending_entry(client: RawClient) -> None:
    for number in (1, 2):
        client.call("XADD", "stream", f"{number}-{number}", "f", "v")
    client.call("XGROUP", "CREATE", "stream", "group", "0")
    for consumer in ("one", "two"):
        client.call(
            "XREADGROUP", "GROUP", "group", consumer, "COUNT", "1", "STREAMS", "stream", ">"
        )
    payload = client.call("DUMP", "stream").text[:-8]
    first, second = ((number.to_bytes(8, "big") * 2) for number in (1, 2))
    assert payload.count(second) == 2
    head, _, tail = payload.rpartition(second)
    forged = head + first + tail
    reply = client.call("RESTORE", "new", "0", forged + checksum(forged).to_bytes(8, "little"))
    assert reply.kind == b"-"
    assert client.call("EXISTS", "new") == integer(0)


def _evicted_clients(client: RawClient) -> int:
    text = client.call("INFO", "stats").text
    return int(text.partition(b"evicted_clients:")[2].split()[0])


@checks("2026-23479")
def test_blocked_clients_are_evicted_and_unblocked(node: Node, client: RawClient) -> None:
    blocked = [client_of(node.server) for _ in range(20)]
    try:
        for each in blocked:
            each.send_raw(
                encode_command([b"BLPOP", b"queue", b"0"]) + b"*2\r\n$900000\r\n" + b"x" * 800_000
            )
        evicted = _evicted_clients(client)
        assert client.call("CONFIG", "SET", "maxmemory-clients", "4mb") == simple("OK")
        for number in range(40):
            assert client.call("RPUSH", "queue", "v" * 300_000, str(number)).kind == b":"
        wait_until(
            "evictions", lambda: "" if _evicted_clients(client) > evicted else "nobody was evicted"
        )
        node.check()
    finally:
        client.call("CONFIG", "SET", "maxmemory-clients", "0")
        for each in blocked:
            each.close()
