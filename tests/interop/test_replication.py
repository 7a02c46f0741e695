"""Replication between Clustrio and a real redis-server, in both directions."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from time import monotonic, sleep

import pytest

from ..support.raw import RawClient
from ..support.servers import ServerProcess, client_of, start_clustrio, start_redis
from .test_rdb import fill

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

STARTERS: dict[str, Callable[..., ServerProcess]] = {
    "clustrio": start_clustrio,
    "redis": start_redis,
}
PAIRS = [("clustrio", "redis"), ("redis", "clustrio"), ("clustrio", "clustrio")]
COMMON = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0", "--save", "")


@contextmanager
def running(*kinds: str, options: tuple[str, ...] = ()) -> Iterator[list[RawClient]]:
    """Servers of these kinds, and a client of each."""
    with ExitStack() as stack:
        servers = [stack.enter_context(STARTERS[kind](*COMMON, *options)) for kind in kinds]
        yield [stack.enter_context(client_of(server)) for server in servers]


def port_of(client: RawClient) -> int:
    return int(client.call("CONFIG", "GET", "port").items[1].text)


def info(client: RawClient, section: str = "replication") -> dict[str, str]:
    lines = client.call("INFO", section).text.decode().split("\r\n")
    return dict(line.split(":", 1) for line in lines if ":" in line)


def follow(replica: RawClient, primary: RawClient) -> None:
    assert replica.call("REPLICAOF", "127.0.0.1", port_of(primary)).text == b"OK"


def wait_for(what: Callable[[], bool], seconds: float = 40.0) -> None:
    ends = monotonic() + seconds
    while not what():
        assert monotonic() < ends, "waited too long"
        sleep(0.02)


def is_caught_up(replica: RawClient, primary: RawClient) -> bool:
    mine, theirs = info(replica), info(primary)
    return (
        mine.get("master_link_status") == "up"
        and mine["slave_repl_offset"] == theirs["master_repl_offset"]
        and mine["master_replid"] == theirs["master_replid"]
    )


def assert_equal(replica: RawClient, primary: RawClient) -> None:
    wait_for(lambda: is_caught_up(replica, primary))
    assert replica.call("DEBUG", "DIGEST") == primary.call("DEBUG", "DIGEST")
    assert replica.call("DBSIZE") == primary.call("DBSIZE")


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_a_full_copy_and_the_stream_behind_it(
    upper: str, lower: str, diskless: str, load: str
) -> None:
    options = ("--repl-diskless-sync", diskless, "--repl-diskless-load", load)
    with running(upper, lower, options=options) as (primary, replica):
        fill(primary, Random(1), b"before")
        replica.call("SET", "old", "goes")
        follow(replica, primary)
        assert_equal(replica, primary)
        fill(primary, Random(2), b"after")
        primary.pipeline(
            [(b"MULTI",), (b"SET", b"t1", b"1"), (b"INCR", b"t2"), (b"EXEC",), (b"SPOP", b"x")]
        )
        primary.call("SET", "short", "1", "PX", 60)
        # Otherwise it may die between the two looks that are compared.
        wait_for(lambda: primary.call("EXISTS", "short").number == 0)
        assert_equal(replica, primary)
        assert replica.call("EXISTS", "old").number == 0
        assert replica.call("SET", "a", "b").text.startswith(b"READONLY")
        assert primary.call("WAIT", 1, 5000).number == 1


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_after_a_cut_only_the_rest_is_sent(upper: str, lower: str) -> None:
    with running(upper, lower) as (primary, replica):
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        for number in range(5):
            primary.call("CLIENT", "KILL", "TYPE", "replica")
            primary.call("SET", f"key{number}", number)
            wait_for(lambda: is_caught_up(replica, primary))
        assert_equal(replica, primary)
        stats = info(primary, "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("1", "5")


@pytest.mark.parametrize(
    "kinds", [("clustrio", "redis", "clustrio"), ("redis", "clustrio", "redis")]
)
def test_a_replica_of_a_replica_has_the_same_offsets(kinds: tuple[str, str, str]) -> None:
    with running(*kinds) as (top, middle, bottom):
        follow(middle, top)
        wait_for(lambda: is_caught_up(middle, top))
        follow(bottom, middle)
        fill(top, Random(3), b"all")
        wait_for(lambda: is_caught_up(middle, top))
        assert_equal(bottom, top)


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_the_old_primary_follows_the_new_one_without_a_copy(upper: str, lower: str) -> None:
    with running(upper, lower) as (old, new):
        follow(new, old)
        old.call("SET", "a", "1")
        wait_for(lambda: is_caught_up(new, old))
        new.call("REPLICAOF", "NO", "ONE")
        follow(old, new)
        new.call("SET", "b", "2")
        assert_equal(old, new)
        stats = info(new, "stats")
        assert (stats["sync_full"], stats["sync_partial_ok"]) == ("0", "1")


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_failover_hands_the_place_over(upper: str, lower: str) -> None:
    with running(upper, lower) as (old, new):
        follow(new, old)
        old.call("SET", "a", "1")
        wait_for(lambda: is_caught_up(new, old))
        wait_for(lambda: "state=online" in info(old)["slave0"])
        assert old.call("FAILOVER").text == b"OK"
        wait_for(lambda: info(new)["role"] == "master" and info(old)["role"] == "slave")
        new.call("SET", "b", "2")
        assert_equal(old, new)
        assert info(old)["master_failover_state"] == "no-failover"
        assert info(new, "stats")["sync_full"] == "0"


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_the_primary_asks_for_a_password(upper: str, lower: str) -> None:
    with running(upper, lower) as (primary, replica):
        primary.call("ACL", "SETUSER", "copier", "on", ">secret", "+psync", "+replconf", "+ping")
        primary.call("CONFIG", "SET", "requirepass", "other")
        primary.call("AUTH", "other")
        follow(replica, primary)
        sleep(0.5)
        assert info(replica)["master_link_status"] == "down"
        replica.call("CONFIG", "SET", "masteruser", "copier", "masterauth", "secret")
        wait_for(lambda: info(replica)["master_link_status"] == "up")


def test_clients_are_listed_and_killed_by_their_kind() -> None:
    with running("clustrio", "clustrio") as (primary, replica):
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        assert b" flags=S " in primary.call("CLIENT", "LIST", "TYPE", "replica").text
        assert b" flags=M " in replica.call("CLIENT", "LIST", "TYPE", "master").text
        assert replica.call("CLIENT", "KILL", "TYPE", "master").number == 1
        wait_for(lambda: info(primary, "stats")["sync_partial_ok"] == "1")


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_keys_die_by_the_word_of_the_primary_alone(upper: str, lower: str) -> None:
    with running(upper, lower) as (primary, replica):
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        primary.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
        primary.call("SET", "k", "v", "PX", "30")
        wait_for(lambda: is_caught_up(replica, primary))
        sleep(0.1)
        assert replica.call("EXISTS", "k").number == 0
        assert replica.call("DBSIZE").number == 1
        primary.call("GET", "k")
        assert_equal(replica, primary)
        assert replica.call("DBSIZE").number == 0
