"""MIGRATE to and from a real redis-server: values, lifetimes, errors to the letter."""

from collections.abc import Iterator

import pytest

from ..support.raw import RawClient, Reply, array, bulk, simple
from ..support.servers import ServerProcess, client_of, start_clustrio, start_redis

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

Servers = tuple[ServerProcess, ServerProcess, ServerProcess]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Ours, a real one, and a target of theirs both."""
    with start_clustrio() as ours, start_redis() as real, start_clustrio() as target:
        yield ours, real, target


@pytest.fixture
def clients(servers: Servers) -> Iterator[tuple[RawClient, RawClient, RawClient]]:
    ours, real, target = (client_of(server) for server in servers)
    for client in (ours, real, target):
        client.call("FLUSHALL")
    yield ours, real, target
    for client in (ours, real, target):
        client.close()


def fill(client: RawClient) -> None:
    client.call("SET", "string", b"\x00\xff" * 100)
    client.call("SET", "number", 12345)
    client.call("SET", "mortal", "soon", "PX", 100_000)
    client.call("RPUSH", "list", *range(300))
    client.call("SADD", "set", *range(300))
    client.call("ZADD", "zset", *(word for n in range(300) for word in (n / 2, f"m{n}")))
    client.call("HSET", "hash", *(word for n in range(300) for word in (f"f{n}", "v" * n)))
    client.call("XADD", "stream", "1-1", "field", "value")
    client.call("XGROUP", "CREATE", "stream", "group", 0)


NAMES = ("string", "number", "mortal", "list", "set", "zset", "hash", "stream")


def contents(client: RawClient) -> list[Reply | list[Reply]]:
    return [
        client.call("GET", "string"),
        client.call("GET", "number"),
        client.call("LRANGE", "list", 0, -1),
        sorted(client.call("SMEMBERS", "set").items),
        client.call("ZRANGE", "zset", 0, -1, "WITHSCORES"),
        sorted(client.call("HGETALL", "hash").items),
        client.call("XRANGE", "stream", "-", "+"),
        client.call("XINFO", "GROUPS", "stream"),
    ]


def test_all_types_travel_to_a_real_server_and_back(
    servers: Servers, clients: tuple[RawClient, RawClient, RawClient]
) -> None:
    ours, real, target = clients
    fill(ours)
    before = contents(ours)
    path = [(ours, servers[1], real), (real, servers[2], target), (target, servers[0], ours)]
    for source, server, receiver in path:
        moved = source.call("MIGRATE", "127.0.0.1", server.port, "", 0, 5000, "KEYS", *NAMES)
        assert moved == simple("OK")
        assert source.call("DBSIZE").number == 0
        assert contents(receiver)[:6] == before[:6]
        assert receiver.call("XRANGE", "stream", "-", "+") == before[6]
        assert 90_000 < receiver.call("PTTL", "mortal").number <= 100_000
    assert contents(ours)[7] == before[7]


#: MIGRATE's words behind the port, `free` being a key that the target does not have.
REQUESTS = [
    ("taken", 0, 500),
    ("taken", 99, 500),
    ("taken", "x", 500),
    ("taken", 0, "x"),
    ("taken", 0, 500, "COPY"),
    ("taken", 0, 500, "COPY", "REPLACE"),
    ("taken", 0, 500, "AUTH", "word"),
    ("taken", 0, 500, "AUTH"),
    ("taken", 0, 500, "AUTH2", "user", "word"),
    ("taken", 0, 500, "AUTH2", "user"),
    ("taken", 0, 500, "KEYS", "taken"),
    ("taken", 0, 500, "NONSENSE"),
    ("none", 0, 500),
    ("", 0, 500, "KEYS"),
    ("", 0, 500, "KEYS", "none", "none"),
    ("", 0, 500, "KEYS", "free", "taken", "free2"),
    ("", 0, 500, "REPLACE", "KEYS", "free", "taken", "free2"),
    ("", 0, 500, "COPY", "KEYS", "free", "keys"),
    ("free", 0, 0),
    ("free", 3, 500),
]


@pytest.mark.parametrize("words", REQUESTS, ids=str)
def test_every_form_ends_as_on_a_real_server(
    servers: Servers,
    clients: tuple[RawClient, RawClient, RawClient],
    words: tuple[str | int, ...],
) -> None:
    *sources, target = clients
    seen: list[tuple[Reply, ...]] = []
    for source in sources:
        target.call("FLUSHALL")
        target.call("SET", "taken", "old")
        for key in ("taken", "free", "free2", "keys"):
            source.call("SET", key, f"new {key}")
        reply = source.call("MIGRATE", "127.0.0.1", servers[2].port, *words)
        left = source.call("MGET", "taken", "free", "free2", "keys")
        there = target.call("MGET", "taken", "free", "free2", "keys")
        seen.append((reply, left, there, target.call("SELECT", 3), target.call("DBSIZE")))
        target.call("SELECT", 0)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("address", [("127.0.0.1", 1), ("127.0.0.1", "x"), ("no.invalid", 1)])
def test_where_nobody_answers(
    clients: tuple[RawClient, RawClient, RawClient], address: tuple[str, int | str]
) -> None:
    for source in clients[:2]:
        source.call("SET", "key", 1)
    ours, theirs = (source.call("MIGRATE", *address, "key", 0, 500) for source in clients[:2])
    assert ours == theirs
    assert clients[0].call("GET", "key") == bulk("1")


def test_a_target_that_says_nothing_costs_the_time_out_and_no_key(
    servers: Servers, clients: tuple[RawClient, RawClient, RawClient]
) -> None:
    ours, real, target = clients
    expected = "IOERR error or timeout reading to target instance"
    for source in (ours, real):
        source.call("SET", "key", 1)
        target.send("DEBUG", "SLEEP", 0.6)
        reply = source.call("MIGRATE", "127.0.0.1", servers[2].port, "key", 0, 200)
        assert reply.text.decode() == expected
        assert target.read() == simple("OK")
        target.call("DEL", "key")
        assert source.call("GET", "key") == bulk("1")


def test_a_kept_connection_that_died_is_made_anew(
    servers: Servers, clients: tuple[RawClient, RawClient, RawClient]
) -> None:
    ours, _, target = clients
    ours.call("MSET", "a", 1, "b", 2)
    assert ours.call("MIGRATE", "127.0.0.1", servers[2].port, "a", 0, 500) == simple("OK")
    assert b"migrate_cached_sockets:0" not in ours.call("INFO", "stats").text
    assert target.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").number >= 1
    assert ours.call("MIGRATE", "127.0.0.1", servers[2].port, "b", 0, 500) == simple("OK")
    assert target.call("MGET", "a", "b") == array(bulk("1"), bulk("2"))


def test_inside_a_transaction(
    servers: Servers, clients: tuple[RawClient, RawClient, RawClient]
) -> None:
    ours, _, target = clients
    ours.call("MULTI")
    ours.call("SET", "key", 1)
    ours.call("MIGRATE", "127.0.0.1", servers[2].port, "key", 0, 500)
    ours.call("GET", "key")
    assert ours.call("EXEC") == array(simple("OK"), simple("OK"), bulk(None))
    assert target.call("GET", "key") == bulk("1")


def test_a_large_value_holds_up_nobody_else(
    servers: Servers, clients: tuple[RawClient, RawClient, RawClient]
) -> None:
    ours, _, target = clients
    ours.call("SET", "large", b"x" * 30_000_000)
    ours.send("MIGRATE", "127.0.0.1", servers[2].port, "large", 0, 5000)
    with client_of(servers[0]) as other:
        assert other.call("SET", "small", 1) == simple("OK")
        assert other.call("GET", "large") == bulk(None)
    assert ours.read() == simple("OK")
    assert target.call("STRLEN", "large").number == 30_000_000
