"""Keyspace notifications."""

import pytest

from .harness import MemoryClient, MemoryNode, Plain


def listening(node: MemoryNode, pattern: str = "__key*") -> MemoryClient:
    client = node.connect()
    client.call("PSUBSCRIBE", pattern)
    return client


def heard(client: MemoryClient) -> list[tuple[Plain, Plain]]:
    return [(message[2], message[3]) for message in client.take_pushed()]


def test_by_key_comes_before_by_event() -> None:
    node = MemoryNode(notify_keyspace_events="KEA")
    client = listening(node)
    node.call("SET", "k", "v")
    assert heard(client) == [
        (b"__keyspace@0__:k", b"set"),
        (b"__keyevent@0__:set", b"k"),
    ]


@pytest.mark.parametrize(
    ("letters", "command", "events"),
    [
        ("E$", ("SET", "k", "v"), [b"set"]),
        ("El", ("SET", "k", "v"), []),
        ("$", ("SET", "k", "v"), []),
        ("K", ("SET", "k", "v"), []),
        ("Em", ("GET", "nope"), [b"keymiss"]),
        ("EA", ("GET", "nope"), []),
        ("En", ("SET", "new", "v"), [b"new"]),
        ("EnA", ("RPUSH", "new", "v"), [b"new", b"rpush"]),
        ("Eg", ("DEL", "old"), [b"del"]),
        ("El", ("LPOP", "list"), [b"lpop"]),
        ("EA", ("LPOP", "list"), [b"lpop", b"del"]),
    ],
)
def test_only_the_classes_asked_for(
    letters: str, command: tuple[str, ...], events: list[bytes]
) -> None:
    node = MemoryNode()
    node.send(("SET", "old", "1"), ("RPUSH", "list", "1"))
    node.call("CONFIG", "SET", "notify-keyspace-events", letters)
    client = listening(node, "__keyevent*")
    node.call(*command)
    assert [channel.rpartition(b":")[2] for channel, _ in heard(client)] == events


def test_a_transaction_tells_everything_at_its_end() -> None:
    node = MemoryNode(notify_keyspace_events="KA")
    client = listening(node)
    node.send(("SELECT", "3"), ("MULTI",), ("SET", "a", "1"), ("DEL", "a"))
    assert heard(client) == []
    node.call("EXEC")
    assert heard(client) == [(b"__keyspace@3__:a", b"set"), (b"__keyspace@3__:a", b"del")]


def test_expiry_is_told() -> None:
    node = MemoryNode(notify_keyspace_events="Ex")
    client = listening(node)
    node.call("SET", "a", "1", "PX", "10")
    node.advance(11)
    node.tick()
    assert heard(client) == [(b"__keyevent@0__:expired", b"a")]


def is_observed(node: MemoryNode) -> bool:
    return node.machine.keyspace.effects.observed


def test_nothing_is_recorded_unless_asked_for() -> None:
    node = MemoryNode()
    node.observe(False)
    effects = node.machine.keyspace.effects
    assert not is_observed(node)
    node.call("CONFIG", "SET", "notify-keyspace-events", "KEA")
    assert is_observed(node)
    node.call("CONFIG", "SET", "notify-keyspace-events", "AK")
    assert effects.consumers == [node.machine.notifications]
    node.call("CONFIG", "SET", "notify-keyspace-events", "A")
    assert not is_observed(node)
    node.call("CONFIG", "SET", "notify-keyspace-events", "")
    assert not is_observed(node)


def test_one_who_listens_hears_of_its_own_changes_after_the_reply() -> None:
    node = MemoryNode(notify_keyspace_events="KA")
    client = node.connect()
    client.call("HELLO", "3")
    client.call("PSUBSCRIBE", "*")
    replies = client.send(("SET", "a", "1"))
    assert replies == ["OK", [b"pmessage", b"*", b"__keyspace@0__:a", b"set"]]
