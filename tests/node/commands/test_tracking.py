"""CLIENT TRACKING: who is told of what, when."""

import pytest

from ..harness import Failure, MemoryClient, MemoryNode, Plain


def told(client: MemoryClient) -> list[Plain]:
    """Keys that a client was told of; None for all of them."""
    pushed = client.take_pushed()
    assert all(message[0] == b"invalidate" for message in pushed)
    return [message[1] for message in pushed]


def tracking(node: MemoryNode, *options: str) -> MemoryClient:
    client = node.connect()
    client.call("HELLO", "3")
    assert client.call("CLIENT", "TRACKING", "ON", *options) == "OK"
    return client


def test_a_change_is_told_once_per_read() -> None:
    node = MemoryNode()
    client = tracking(node)
    client.call("MGET", "a", "missing")
    node.send(("SET", "a", "1"), ("SET", "a", "2"), ("SET", "b", "2"), ("SET", "missing", "1"))
    assert told(client) == [[b"a"], [b"missing"]]
    client.call("GET", "a")
    node.call("DEL", "a")
    assert told(client) == [[b"a"]]


def test_only_reads_count() -> None:
    node = MemoryNode()
    client = tracking(node)
    assert client.send(("SET", "a", "1"), ("INCR", "a"), ("PING",)) == ["OK", 2, "PONG"]
    node.call("SET", "a", "2")
    assert told(client) == []
    client.call("LRANGE", "a", "0", "1")  # An error, but it looked.
    node.call("SET", "a", "2")
    assert told(client) == [[b"a"]]


def test_own_changes_follow_the_reply_unless_unwanted() -> None:
    node = MemoryNode()
    client, quiet = tracking(node), tracking(node, "NOLOOP")
    for one in (client, quiet):
        one.call("GET", "a")
    assert client.send(("SET", "a", "1")) == ["OK", [b"invalidate", [b"a"]]]
    assert told(quiet) == [[b"a"]]
    quiet.call("GET", "a")
    assert quiet.send(("SET", "a", "1")) == ["OK"]


def test_nothing_is_noted_before_exec() -> None:
    node = MemoryNode()
    client = tracking(node)
    client.send(("MULTI",), ("GET", "a"))
    node.call("SET", "a", "1")
    assert told(client) == []
    client.call("EXEC")
    node.call("SET", "a", "2")
    assert told(client) == [[b"a"]]


def test_age_flushes_and_eviction_are_told() -> None:
    node = MemoryNode()
    client, shouting = tracking(node), tracking(node, "BCAST")
    node.call("SET", "a", "1", "PX", "10")
    shouting.take_pushed()
    client.call("GET", "a")
    node.advance(11)
    node.tick()
    assert told(client) == told(shouting) == [[b"a"]]
    node.call("FLUSHALL")
    assert told(client) == told(shouting) == [None]
    node.call("SWAPDB", "0", "1")
    assert told(client) == told(shouting) == []
    node.call("SET", "a", "1")
    client.call("GET", "a")
    shouting.take_pushed()
    node.call("CONFIG", "SET", "maxmemory", "1", "maxmemory-policy", "allkeys-random")
    node.call("SET", "b", "1")
    assert told(client) == [[b"a"]]
    assert told(shouting) == [[b"a"], [b"b"]]


def test_opt_in_and_opt_out() -> None:
    node = MemoryNode()
    into, out = tracking(node, "OPTIN"), tracking(node, "OPTOUT")
    into.send(("GET", "a"), ("CLIENT", "CACHING", "YES"), ("GET", "b"), ("GET", "c"))
    out.send(("GET", "a"), ("CLIENT", "CACHING", "NO"), ("GET", "b"), ("GET", "c"))
    node.call("MSET", "a", "1", "b", "1", "c", "1")
    assert told(into) == [[b"b"]]
    assert told(out) == [[b"a"], [b"c"]]
    into.send(("CLIENT", "CACHING", "YES"), ("MULTI",), ("GET", "a"), ("GET", "b"), ("EXEC",))
    into.call("GET", "c")
    node.call("MSET", "a", "1", "b", "1", "c", "1")
    assert told(into) == [[b"a"], [b"b"]]


def test_broadcasts_go_by_prefix_and_in_order() -> None:
    node = MemoryNode()
    client = tracking(node, "BCAST", "PREFIX", "k", "PREFIX", "z")
    node.call("MSET", "k2", "1", "z", "1", "k1", "1", "other", "1")
    assert told(client) == [[b"k1", b"k2"], [b"z"]]
    assert client.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "o") == "OK"
    node.call("SET", "other", "1")
    assert told(client) == [[b"other"]]
    client.call("CLIENT", "TRACKING", "OFF")
    node.call("SET", "other", "1")
    assert told(client) == []


def test_a_broadcast_without_loop_tells_what_died() -> None:
    node = MemoryNode()
    client = tracking(node, "BCAST", "NOLOOP")
    client.call("SET", "a", "1", "PX", "10")
    node.advance(11)
    assert client.send(("GET", "a")) == [None, [b"invalidate", [b"a"]]]


def test_redirection() -> None:
    node = MemoryNode()
    ear = node.connect()
    client = node.connect()
    number = ear.call("CLIENT", "ID")
    assert client.call("CLIENT", "TRACKING", "ON", "REDIRECT", number) == "OK"
    assert client.call("CLIENT", "GETREDIR") == number
    client.call("GET", "a")
    node.call("SET", "a", "1")
    assert ear.take_pushed() == []  # It cannot be told: it does not listen.
    ear.call("SUBSCRIBE", "__redis__:invalidate")
    client.call("GET", "a")
    node.call("SET", "a", "1")
    node.call("FLUSHALL")
    channel = b"__redis__:invalidate"
    assert ear.take_pushed() == [[b"message", channel, [b"a"]], [b"message", channel, None]]
    assert client.take_pushed() == []


def test_a_broken_redirection() -> None:
    node = MemoryNode()
    ear = node.connect()
    number = ear.call("CLIENT", "ID")
    client = tracking(node, "REDIRECT", str(number))
    node.machine.disconnect(ear.session)
    client.call("GET", "a")
    node.call("SET", "a", "1")
    assert client.take_pushed() == [[b"tracking-redir-broken", number]]
    assert b" flags=tR " in client.call("CLIENT", "INFO")
    assert client.call("CLIENT", "TRACKINGINFO")[b"flags"] == [b"on", b"broken_redirect"]


def test_the_table_is_limited() -> None:
    node = MemoryNode(tracking_table_max_keys=2)
    client = tracking(node)
    assert client.send(("GET", "a"), ("GET", "b")) == [None, None]
    assert client.send(("GET", "c")) == [None, [b"invalidate", [b"a"]]]
    stats = node.call("INFO", "stats")
    assert b"tracking_total_keys:2\r\ntracking_total_items:2\r\n" in stats


def is_observed(node: MemoryNode) -> bool:
    return node.machine.keyspace.effects.observed


def test_without_trackers_nothing_is_recorded() -> None:
    node = MemoryNode()
    node.observe(False)
    one, two = tracking(node), tracking(node)
    assert is_observed(node)
    one.call("CLIENT", "TRACKING", "OFF")
    assert two.call("RESET") == "RESET"
    assert not is_observed(node)
    assert node.machine.gate.after_run is None
    assert not node.session.gated
    three = tracking(node, "BCAST")
    node.machine.disconnect(three.session)
    assert not is_observed(node)
    assert not node.machine.tracking.prefixes


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ("X", "ERR syntax error"),
        ("ON REDIRECT", "ERR syntax error"),
        ("ON REDIRECT x", "ERR value is not an integer or out of range"),
        ("ON REDIRECT 99", "ERR The client ID you want redirect to does not exist"),
        (
            "ON REDIRECT 1 REDIRECT 1",
            "ERR A client can only redirect to a single other client",
        ),
        ("ON PREFIX a", "ERR PREFIX option requires BCAST mode to be enabled"),
        ("ON BCAST OPTIN", "ERR OPTIN and OPTOUT are not compatible with BCAST"),
        ("ON OPTIN OPTOUT", "ERR You can't specify both OPTIN mode and OPTOUT mode"),
        (
            "ON BCAST PREFIX aa PREFIX a",
            "ERR Prefix 'aa' overlaps with another provided prefix 'a'. Prefixes for a single "
            "client must not overlap.",
        ),
    ],
)
def test_options_that_do_not_go_together(options: str, text: str) -> None:
    assert MemoryNode().call("CLIENT", "TRACKING", *options.split()) == Failure(text)


# --- maxmemory-clients ----------------------------------------------------------------------------


def test_the_largest_client_goes_first() -> None:
    node = MemoryNode()
    large, small, spared = node.connect(), node.connect(), node.connect()
    large.session.output_bytes = 3_000_000
    small.session.output_bytes = 1_000_000
    spared.call("CLIENT", "NO-EVICT", "ON")
    spared.session.output_bytes = 9_000_000
    node.tick()
    assert not any(each.session.close_now for each in (large, small, spared))
    node.call("CONFIG", "SET", "maxmemory-clients", "2mb")
    node.tick()
    assert large.session.close_now
    assert not any(each.session.close_now for each in (small, spared, node))
    assert b"evicted_clients:1" in node.call("INFO", "stats")


def test_the_limit_of_clients_may_be_a_share_of_maxmemory() -> None:
    node = MemoryNode()
    large, small = node.connect(), node.connect()
    large.session.output_bytes = 3_000_000
    small.session.output_bytes = 1_000_000
    node.call("CONFIG", "SET", "maxmemory-clients", "5%")
    node.tick()
    # A share of nothing is no limit.
    assert b"evicted_clients:0" in node.call("INFO", "stats")
    node.call("CONFIG", "SET", "maxmemory", "40mb")
    node.tick()
    assert large.session.close_now
    assert not small.session.close_now


def test_who_is_too_large_by_what_waits_in_a_transaction_goes_too() -> None:
    node = MemoryNode()
    client = node.connect()
    client.send(("MULTI",), *[("SET", "k", b"x" * 100_000)] * 20)
    node.call("CONFIG", "SET", "maxmemory-clients", "1mb")
    node.tick()
    assert client.session.close_now
    assert not node.session.close_now
