"""CLIENT MAINT_NOTIFICATIONS: who asked is told of slot moves, however they are done."""

from clustrio.gossip import commands as ask
from clustrio.node.maintenance import slots_text

from .harness import Failure, MemoryClient, MemoryNode
from .migration.pair import Pair

_ON = ("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip")


def listener_at(node: MemoryNode) -> MemoryClient:
    client = node.connect()
    client.call("HELLO", "3")
    assert client.call(*_ON) == "OK"
    return client


def pass_time(node: MemoryNode, milliseconds: int) -> None:
    node.advance(milliseconds)
    node.machine.clock.monotonic_ms += milliseconds
    node.tick()


def told(client: MemoryClient) -> list[list[object]]:
    """What a client was told, without the numbers."""
    return [[message[0], *message[2:]] for message in client.take_pushed()]


def test_who_asks_is_told_until_it_asks_no_more() -> None:
    node = MemoryNode()
    client = node.connect()
    client.call("HELLO", "3")
    assert node.call(*_ON).startswith("ERR")  # RESP2 has no pushes.
    maintenance = node.machine.maintenance
    maintenance.announce_migrating([1])
    assert client.take_pushed() == []
    assert client.call(*_ON) == "OK"
    assert not client.session.features
    maintenance.announce_migrating([7, 5, 8, 9])
    assert told(client) == [[b"SMIGRATING", b"5,7-9"]]
    assert client.call("CLIENT", "MAINT_NOTIFICATIONS", "OFF") == "OK"
    pass_time(node, 5000)
    maintenance.announce_migrating([1])
    assert client.take_pushed() == []


def test_what_is_no_request_for_it() -> None:
    node = MemoryNode()
    node.call("HELLO", "3")
    for words in (("MAYBE",), ("ON", "x", "y"), ("ON", "moving-endpoint-type", "nowhere")):
        assert isinstance(node.call("CLIENT", "MAINT_NOTIFICATIONS", *words), Failure)


def test_numbers_rise_and_are_no_other_nodes() -> None:
    # A client takes two messages of one number for the same, whichever node they come from.
    pair = Pair()
    numbers = []
    for node in (pair.a, pair.b):
        client = listener_at(node)
        for slot in (1, 2, 3):
            node.machine.maintenance.announce_migrating([slot])
            pass_time(node, 5000)
        numbers += [message[1] for message in client.take_pushed()]
    assert len(set(numbers)) == 6
    assert all(0 < number < 2**53 for number in numbers)
    assert numbers[:3] == list(range(numbers[0], numbers[0] + 3))


def test_a_slot_that_is_opened_and_given_away_by_hand() -> None:
    pair = Pair()
    client = listener_at(pair.a)
    assert pair.a.call("CLUSTER", "SETSLOT", 7, "MIGRATING", pair.b.id) == "OK"
    assert told(client) == [[b"SMIGRATING", b"7"]]
    assert pair.a.call("CLUSTER", "SETSLOT", 7, "NODE", pair.b.id) == "OK"
    assert told(client) == [[b"SMIGRATED", [[b":6379", b"127.0.0.1:7000", b"7"]]]]


def test_many_single_moves_are_told_together() -> None:
    # Whoever hears of a move looks at all slots anew: not for each of thousands.
    pair = Pair()
    client = listener_at(pair.a)
    for slot in range(100):
        assert pair.a.call("CLUSTER", "SETSLOT", slot, "MIGRATING", pair.b.id) == "OK"
        assert pair.a.call("CLUSTER", "SETSLOT", slot, "NODE", pair.b.id) == "OK"
    first = told(client)
    assert [message[0] for message in first] == [b"SMIGRATING", b"SMIGRATED"]
    pass_time(pair.a, 500)
    assert told(client) == []
    pass_time(pair.a, 600)
    # What has left meanwhile is not about to leave.
    assert told(client) == [[b"SMIGRATED", [[b":6379", b"127.0.0.1:7000", b"1-99"]]]]
    pass_time(pair.a, 5000)
    assert told(client) == []


def test_a_whole_move_is_told_at_its_beginning_and_at_its_end() -> None:
    pair = Pair()
    client, elsewhere = listener_at(pair.a), listener_at(pair.b)
    pair.begin(0, 99)
    assert told(client) == [[b"SMIGRATING", b"0-99"]]
    pair.tell_all()
    pair.hand_over()
    assert told(client) == [[b"SMIGRATED", [[b":6379", b"127.0.0.1:7000", b"0-99"]]]]
    assert told(elsewhere) == []


def test_slots_that_come_or_get_no_owner_are_no_news() -> None:
    pair = Pair()
    client = listener_at(pair.a)
    pair.a.cluster.command(ask.DelSlots((5,)))
    pair.a.call("CLUSTER", "SETSLOT", 9000, "IMPORTING", pair.b.id)
    pair.a.call("CLUSTER", "SETSLOT", 9000, "NODE", pair.a.id)
    pass_time(pair.a, 5000)
    assert told(client) == []


def test_slots_in_words() -> None:
    assert slots_text([]) == b""
    assert slots_text([3, 1, 2, 16383, 0, 9]) == b"0-3,9,16383"
