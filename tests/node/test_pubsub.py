"""Listeners of a node, below the commands."""

from clustrio.slots.hashing import key_slot

from .harness import MemoryNode


def test_listeners_of_slots_that_leave_are_sent_away() -> None:
    node = MemoryNode()
    one, other = node.connect(), node.connect()
    one.send(("SSUBSCRIBE", "a"), ("SSUBSCRIBE", "b"))
    other.send(("SSUBSCRIBE", "a"), ("SUBSCRIBE", "a"))
    node.machine.pubsub.on_slots_left({key_slot(b"a")})
    assert one.take_pushed() == [[b"sunsubscribe", b"a", 1]]
    assert other.take_pushed() == [[b"sunsubscribe", b"a", 0]]
    assert node.call("SPUBLISH", "a", "x") == 0
    assert node.call("SPUBLISH", "b", "x") == 1
    assert "subscribed" in other.session.flags


def test_who_listened_there_alone_is_an_ordinary_client_again() -> None:
    node = MemoryNode()
    client = node.connect()
    client.call("SSUBSCRIBE", "a")
    node.machine.pubsub.on_slots_left({key_slot(b"a")})
    client.take_pushed()
    assert client.call("PING") == "PONG"


def test_what_other_nodes_pass_on_is_delivered() -> None:
    node = MemoryNode()
    client = node.connect()
    client.send(("SUBSCRIBE", "a"), ("SSUBSCRIBE", "a"))
    node.machine.pubsub.deliver(b"a", b"1", False)
    node.machine.pubsub.deliver(b"a", b"2", True)
    assert client.take_pushed() == [[b"message", b"a", b"1"], [b"smessage", b"a", b"2"]]


def test_patterns_that_nobody_uses_any_more_are_forgotten() -> None:
    node = MemoryNode()
    client, keeper = node.connect(), node.connect()
    keeper.call("PSUBSCRIBE", "a*")
    for number in range(100):
        client.call("PSUBSCRIBE", f"p{number}*")
        client.call("PUNSUBSCRIBE", f"p{number}*")
    assert node.call("PUBLISH", "abc", "x") == 1
    assert len(node.machine.pubsub._matchers) == 1
    assert node.call("PUBLISH", "abc", "x") == 1
