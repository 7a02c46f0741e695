"""DEBUG; most of its replies are compared in `test_server_differential`."""

import pytest

from clustrio.node import digest
from clustrio.node.commands import debug

from ..harness import Failure, MemoryNode


def debug_node(**settings: str | int) -> MemoryNode:
    return MemoryNode(enable_debug_command="yes", **settings)


@pytest.mark.parametrize(
    ("setting", "address", "allowed"),
    [
        ("no", "127.0.0.1:1", False),
        ("local", "127.0.0.1:1", True),
        ("local", "[::1]:1", True),
        ("local", "relative/socket:0", True),
        ("local", "10.1.2.3:1", False),
        ("local", "[2001:db8::1]:1", False),
        ("yes", "10.1.2.3:1", True),
    ],
)
def test_who_may(setting: str, address: str, allowed: bool) -> None:
    node = MemoryNode(enable_debug_command=setting)
    node.session.address = address
    reply = node.call("DEBUG", "STRUCTSIZE")
    assert isinstance(reply, Failure) is not allowed


def test_sleep_is_the_runtimes_business() -> None:
    node = debug_node()
    slept: list[float] = []
    node.machine.sleep = slept.append
    for seconds in ("0.25", "0", "-1", "nonsense", "nan", "inf"):
        assert node.call("DEBUG", "SLEEP", seconds) == "OK"
    assert slept == [0.25, 86_400.0]


def test_active_expiry_can_be_stopped() -> None:
    node = debug_node()
    node.call("SET", "a", 1, "PX", 5)
    node.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    node.advance(100)
    node.tick()
    assert node.call("DBSIZE") == 1
    node.call("DEBUG", "SET-ACTIVE-EXPIRE", 1)
    node.tick()
    assert node.call("DBSIZE") == 0


def test_a_paused_cron_still_wakes_clients() -> None:
    node = debug_node(timeout=1)
    waiting = node.connect()
    waiting.send(("BLPOP", "q", "0.05"))
    node.call("SET", "a", 1, "PX", 5)
    node.call("DEBUG", "PAUSE-CRON", 1)
    node.advance(5000)
    node.tick()
    assert waiting.session.wait is None
    assert (waiting.session.close_now, node.session.close_now) == (False, False)
    assert node.machine.keyspace.database(0).key_count() == 1
    node.call("DEBUG", "PAUSE-CRON", 0)
    node.tick()
    assert (waiting.session.close_now, node.session.close_now) == (True, False)
    assert node.machine.keyspace.database(0).key_count() == 0


def test_populate_changes_nothing_for_replicas() -> None:
    node = debug_node()
    assert node.call("DEBUG", "POPULATE", 1000, "p", 20) == "OK"
    assert node.call("DBSIZE") == 1000
    assert node.call("STRLEN", "p:999") == 20
    assert node.take_propagated() == []


def test_populate_refuses_what_no_memory_holds() -> None:
    node = debug_node()
    assert isinstance(node.call("DEBUG", "POPULATE", 1, "p", 2**40), Failure)
    assert node.call("DBSIZE") == 0


def test_replicate_reaches_the_consumers() -> None:
    node = debug_node()
    node.call("SELECT", 3)
    node.take_batches()
    assert node.call("DEBUG", "REPLICATE", "set", "a", "b") == "OK"
    assert node.take_propagated() == [[b"set", b"a", b"b"]]
    assert node.call("EXISTS", "a") == 0


def test_object() -> None:
    node = debug_node(maxmemory_policy="allkeys-lru")
    node.call("SET", "a", "text")
    node.advance(7000)
    text = node.call("DEBUG", "OBJECT", "a")
    assert text.startswith("Value at:0x")
    assert " refcount:1 encoding:embstr " in text
    assert text.endswith(" lru_seconds_idle:7")
    node.call("SET", "n", 5)
    assert " refcount:2147483647 encoding:int " in node.call("DEBUG", "OBJECT", "n")
    assert node.call("DEBUG", "OBJECT", "missing") == Failure("ERR no such key")


def test_switches() -> None:
    node = debug_node()
    switches = node.machine.debug_switches
    node.call("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", 1)
    node.call("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)
    assert switches.skip_checksums
    assert switches.scripts_may_all
    before = node.machine.replication_id
    node.call("DEBUG", "CHANGE-REPL-ID")
    assert node.machine.replication_id != before
    node.call("DEBUG", "LOG", b"some\xfftext")
    assert node.log.lines[-1] == "DEBUG LOG: some\xfftext"


def test_levers_of_the_cluster_bus_without_a_cluster() -> None:
    node = debug_node()
    assert node.call("DEBUG", "DROP-CLUSTER-PACKET-FILTER", "1") == "OK"
    assert node.call("DEBUG", "CLOSE-CLUSTER-LINK-ON-PACKET-DROP", "1") == "OK"
    reply = node.call("DEBUG", "CLUSTERLINK", "KILL", "all", "x")
    assert reply == Failure("ERR Debug option only available for cluster mode enabled setup!")


def test_string_match() -> None:
    node = debug_node()
    assert node.call("DEBUG", "STRINGMATCH-LEN", "a*", "abc") == 1
    assert node.call("DEBUG", "STRINGMATCH-LEN", "b*", "abc") == 0


def test_every_subcommand_survives_any_number_of_words() -> None:
    node = debug_node()
    node.machine.sleep = lambda seconds: None
    for name in debug._SUBCOMMANDS:
        for count in range(5):
            node.call("DEBUG", name.lower(), *["1"] * count)


# --- digests


def data(node: MemoryNode) -> str:
    text = node.call("DEBUG", "DIGEST")
    assert isinstance(text, str)
    return text


def test_the_digest_of_nothing() -> None:
    node = debug_node()
    assert data(node) == "0" * 40
    node.call("SELECT", 3)
    node.call("SET", "a", 1)
    node.call("DEL", "a")
    assert data(node) == "0" * 40


def test_the_digest_does_not_depend_on_order_where_there_is_none() -> None:
    one, other = debug_node(), debug_node()
    for node, step in ((one, 1), (other, -1)):
        for number in range(50)[::step]:
            node.call("SET", f"k{number}", number)
            node.call("SADD", "s", number)
            node.call("HSET", "h", number, number)
            node.call("ZADD", "z", number / 3, number)
    assert data(one) == data(other)


@pytest.mark.parametrize(
    "change",
    [
        "SET string other",
        "APPEND string more",
        "PEXPIRE string 1000",
        "RPUSH list c",
        "LSET list 0 b",
        "SADD set d",
        "HSET hash f w",
        "ZADD zset 2 a",
        "DEL set",
        "RENAME string text",
        "MOVE string 1",
        "XADD stream 2-0 f v",
    ],
)
def test_the_digest_sees_every_change(change: str) -> None:
    node = debug_node()
    for line in (
        "SET string text",
        "RPUSH list a b",
        "SADD set a b",
        "HSET hash f v",
        "ZADD zset 1 a",
        "XADD stream 1-0 f v",
    ):
        node.call(*line.split())
    before = data(node)
    node.call(*change.split())
    assert data(node) != before


def test_dead_keys_that_nobody_removed_yet_can_be_looked_at() -> None:
    node = debug_node()
    node.call("SET", "k", "v", "PXAT", 10**14)
    (alive,) = node.call("DEBUG", "DIGEST-VALUE", "k")
    node.call("SET", "k", "v", "EXAT", 1)
    assert node.call("DEBUG", "DIGEST-VALUE", "k") == [alive]
    assert "encoding:embstr" in str(node.call("DEBUG", "OBJECT", "k"))
    assert "val_sds_len:1" in str(node.call("DEBUG", "SDSLEN", "k"))
    assert str(node.call("DEBUG", "HTSTATS-KEY", "k")) == "ERR no such key"
    assert node.call("DEBUG", "DIGEST-VALUE", "k") == ["0" * 40]


def test_an_edited_string_has_the_digest_of_a_fresh_one() -> None:
    node = debug_node()
    node.call("SET", "a", "text")
    node.call("SET", "b", "te")
    node.call("APPEND", "b", "xt")
    one, other = node.call("DEBUG", "DIGEST-VALUE", "a", "b")
    assert one == other != "0" * 40


def test_new_classes_of_values_can_be_entered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Novel:
        pass

    monkeypatch.setattr(digest, "_VALUES", dict(digest._VALUES))
    digest.register(Novel, 9, lambda so_far, value: digest.mix(so_far, b"novel"))
    assert digest.value_digest(digest.NOTHING, Novel(), False) != digest.NOTHING
