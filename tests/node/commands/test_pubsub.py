"""SUBSCRIBE, PUBLISH and PUBSUB, as clients meet them."""

import pytest

from clustrio.node.session import ClientKind

from ..harness import Failure, MemoryClient, MemoryNode


def resp3(node: MemoryNode) -> MemoryClient:
    client = node.connect()
    client.call("HELLO", "3")
    return client


def test_each_name_is_confirmed_with_the_count() -> None:
    node = MemoryNode()
    assert node.send(("SUBSCRIBE", "a", "a", "b")) == [
        [b"subscribe", b"a", 1],
        [b"subscribe", b"a", 1],
        [b"subscribe", b"b", 2],
    ]
    assert node.call("PSUBSCRIBE", "x*") == [b"psubscribe", b"x*", 3]
    assert node.call("SSUBSCRIBE", "s") == [b"ssubscribe", b"s", 1]
    assert node.call("UNSUBSCRIBE", "b") == [b"unsubscribe", b"b", 2]
    assert node.call("PUNSUBSCRIBE", "nope") == [b"punsubscribe", b"nope", 2]
    assert node.call("SUNSUBSCRIBE") == [b"sunsubscribe", b"s", 0]
    assert node.session.kind is ClientKind.PUBSUB


@pytest.mark.parametrize("word", ["unsubscribe", "punsubscribe", "sunsubscribe"])
def test_leaving_nothing_is_confirmed_once(word: str) -> None:
    node = MemoryNode()
    assert node.call(word) == [word.encode(), None, 0]


def test_messages_reach_channels_then_patterns_in_both_dialects() -> None:
    node = MemoryNode()
    old, new = node.connect(), resp3(node)
    for client in (old, new):
        client.send(("SUBSCRIBE", "news"), ("PSUBSCRIBE", "n*", "z*"))
    assert node.call("PUBLISH", "news", "hi") == 4
    expected = [[b"message", b"news", b"hi"], [b"pmessage", b"n*", b"news", b"hi"]]
    assert b"".join(new.session.outbox).count(b">") == 2
    assert old.take_pushed() == expected
    assert new.take_pushed() == expected
    assert node.call("PUBLISH", "other", "hi") == 0
    assert node.call("SPUBLISH", "news", "hi") == 0


def test_shard_channels_are_apart() -> None:
    node = MemoryNode()
    listener = node.connect()
    listener.call("SSUBSCRIBE", "s")
    assert node.call("PUBLISH", "s", "x") == 0
    assert node.call("SPUBLISH", "s", "x") == 1
    assert listener.take_pushed() == [[b"smessage", b"s", b"x"]]
    assert node.call("PUBSUB", "SHARDCHANNELS") == [b"s"]
    assert node.call("PUBSUB", "SHARDNUMSUB", "s", "t") == [b"s", 1, b"t", 0]
    assert node.call("PUBSUB", "CHANNELS") == []


def test_a_listener_is_awakened_once_for_many_messages() -> None:
    node = MemoryNode()
    listener = node.connect()
    listener.call("SUBSCRIBE", "a")
    node.machine.awake.clear()
    for _ in range(3):
        node.call("PUBLISH", "a", "x")
    assert node.machine.awake == [listener.session]
    assert len(listener.take_pushed()) == 3


def test_what_a_listener_may_say() -> None:
    node = MemoryNode()
    node.call("SUBSCRIBE", "a")
    text = (
        "ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET "
        "are allowed in this context"
    )
    assert node.call("GET", "k") == Failure(text)
    assert node.call("EXEC").startswith("EXECABORT Transaction discarded because of: Can't")
    assert node.call("PING", "x") == [b"pong", b"x"]
    assert node.call("UNSUBSCRIBE") == [b"unsubscribe", b"a", 0]
    assert node.call("GET", "k") is None
    assert node.call("PING") == "PONG"
    assert node.session.kind is ClientKind.NORMAL


def test_a_listener_with_pushes_may_say_anything() -> None:
    node = MemoryNode()
    client = resp3(node)
    client.call("SUBSCRIBE", "a")
    assert client.call("PING") == "PONG"
    assert client.send(("PUBLISH", "a", "x")) == [1, [b"message", b"a", b"x"]]


def test_reset_and_disconnect_leave_everything() -> None:
    node = MemoryNode()
    first, second = node.connect(), node.connect()
    for client in (first, second):
        client.send(("SUBSCRIBE", "a"), ("PSUBSCRIBE", "*"), ("SSUBSCRIBE", "s"))
    assert first.call("RESET") == "RESET"
    assert first.session.kind is ClientKind.NORMAL
    assert node.call("PUBSUB", "NUMSUB", "a") == [b"a", 1]
    node.machine.disconnect(second.session)
    assert node.call("PUBSUB", "NUMSUB", "a") == [b"a", 0]
    assert node.call("PUBSUB", "NUMPAT") == 0
    assert node.call("PUBLISH", "a", "x") == 0


def test_inside_a_transaction_confirmations_stand_for_replies() -> None:
    node = MemoryNode()
    node.send(("MULTI",), ("SUBSCRIBE", "a"), ("SSUBSCRIBE", "s"))
    confirmed, refused = node.call("EXEC")
    assert confirmed == [b"subscribe", b"a", 1]
    assert refused == Failure("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")


@pytest.mark.parametrize("mode", ["OFF", "SKIP"])
def test_confirmations_are_heard_by_who_wants_no_replies(mode: str) -> None:
    node = MemoryNode()
    assert node.send(("CLIENT", "REPLY", mode), ("SUBSCRIBE", "a")) == [[b"subscribe", b"a", 1]]
    after = [[b"pong", b""]] if mode == "SKIP" else []
    assert node.send(("PING",)) == after


def test_pubsub_looks_at_channels() -> None:
    node = MemoryNode()
    listener = node.connect()
    listener.call("SUBSCRIBE", "abc")
    listener.call("SUBSCRIBE", "xyz")
    assert node.call("PUBSUB", "CHANNELS") == [b"abc", b"xyz"]
    assert node.call("PUBSUB", "CHANNELS", "a*") == [b"abc"]
    assert node.call("PUBSUB", "NUMSUB") == []
    assert node.call("PUBSUB", "CHANNELS", "a", "b") == Failure(
        "ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP."
    )


def test_publish_is_handed_to_replicas() -> None:
    node = MemoryNode()
    node.send(("PUBLISH", "a", "x"), ("SPUBLISH", "b", "y"))
    assert node.take_propagated() == [[b"PUBLISH", b"a", b"x"], [b"SPUBLISH", b"b", b"y"]]


def test_client_list_and_info_count() -> None:
    node = MemoryNode()
    listener = node.connect()
    listener.send(("SUBSCRIBE", "a", "b"), ("PSUBSCRIBE", "c"), ("SSUBSCRIBE", "d"))
    line = node.call("CLIENT", "LIST", "TYPE", "pubsub")
    assert b" flags=P " in line
    assert b" sub=2 psub=1 ssub=1 " in line
    stats = node.call("INFO", "stats")
    for field in (b"pubsub_channels:2", b"pubsub_patterns:1", b"pubsubshard_channels:1"):
        assert field in stats
