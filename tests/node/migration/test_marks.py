"""SETSLOT waits for the replicas, which then know what is on the move."""

import pytest

from clustrio.node.replay import Replay
from clustrio.node.session import ClientKind

from ..harness import Failure, MemoryClient
from .pair import Pair

NO_REPLICAS = Failure("NOREPLICAS Not enough good replicas to write.")


def attach(pair: Pair, *capabilities: str) -> MemoryClient:
    """A replica of A that has its copy."""
    client = pair.a.connect()
    for word in ("eof", "psync2", *capabilities):
        assert client.call("REPLCONF", "capa", word) == "OK"
    client.receive(("PSYNC", "?", "-1"))
    replication = pair.a.machine.replication
    peer = replication.peers[-1]
    replication.begin_snapshot([peer])
    replication.put_online(peer)
    client.session.outbox.clear()
    return client


def sent(replica: MemoryClient) -> bytes:
    data = b"".join(replica.session.outbox)
    replica.session.outbox.clear()
    return data


def acknowledge(pair: Pair) -> None:
    replication = pair.a.machine.replication
    for peer in replication.peers:
        replication.on_ack(peer, replication.offset, None)


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_the_slot_is_marked_when_the_replica_knows_it(pair: Pair) -> None:
    replica, operator = attach(pair, "slot-marks"), pair.a.connect()
    assert operator.receive(("CLUSTER", "SETSLOT", 5, "MIGRATING", pair.b.id)) == b""
    assert not pair.a.cluster.view.table.migrating
    told = sent(replica)
    assert b"MARKS\r\n$9\r\nMIGRATING\r\n$1\r\n5\r\n$40\r\n" + pair.b.id.encode() in told
    assert b"GETACK" in told
    acknowledge(pair)
    assert b"".join(operator.session.outbox) == b"+OK\r\n"
    assert pair.a.cluster.view.table.migrating == {5: pair.b.id}
    # They are as it was told already.
    assert b"MARKS" not in sent(replica)


def test_without_an_answer_nothing_has_happened(pair: Pair) -> None:
    replica, operator = attach(pair, "slot-marks"), pair.a.connect()
    operator.receive(("CLUSTER", "SETSLOT", 5, "MIGRATING", pair.b.id))
    sent(replica)
    pair.a.advance(2001)
    pair.a.tick()
    assert operator.session.outbox[0] == b"-NOREPLICAS Not enough good replicas to write.\r\n"
    assert not pair.a.cluster.view.table.migrating
    assert b"MARKS" in sent(replica), "what was told is taken back"


def test_a_refused_mark_is_taken_back(pair: Pair) -> None:
    replica, operator = attach(pair, "slot-marks"), pair.a.connect()
    operator.receive(("CLUSTER", "SETSLOT", 9000, "MIGRATING", pair.b.id))
    assert b"9000" in sent(replica)
    acknowledge(pair)
    assert operator.session.outbox[0] == b"-ERR I'm not the owner of hash slot 9000\r\n"
    told = sent(replica)
    assert b"MARKS" in told
    assert b"9000" not in told


def test_a_replica_of_another_make_is_neither_told_nor_waited_for(pair: Pair) -> None:
    replica = attach(pair)
    assert pair.a.call("CLUSTER", "SETSLOT", 5, "MIGRATING", pair.b.id) == "OK"
    assert sent(replica) == b""


def test_who_joins_later_is_told(pair: Pair) -> None:
    attach(pair, "slot-marks")
    operator = pair.a.connect()
    operator.receive(("CLUSTER", "SETSLOT", 5, "MIGRATING", pair.b.id))
    acknowledge(pair)
    late = pair.a.connect()
    late.call("REPLCONF", "capa", "slot-marks")
    late.receive(("PSYNC", "?", "-1"))
    replication = pair.a.machine.replication
    peer = replication.peers[-1]
    replication.begin_snapshot([peer])
    late.session.outbox.clear()
    replication.put_online(peer)
    assert b"MIGRATING" in sent(late)


def test_the_target_tells_that_it_is_about_to_take_the_slot(pair: Pair) -> None:
    assert pair.a.call("CLUSTER", "SETSLOT", 9000, "IMPORTING", pair.b.id) == "OK"
    replica, operator = attach(pair, "slot-marks"), pair.a.connect()
    operator.receive(("CLUSTER", "SETSLOT", 9000, "NODE", pair.a.id))
    assert b"$5\r\nTAKEN\r\n$4\r\n9000\r\n" in sent(replica)
    assert pair.a.cluster.view.table.owner(9000) == pair.b.id
    acknowledge(pair)
    assert pair.a.cluster.view.table.owner(9000) == pair.a.id


def test_only_the_own_primary_is_believed(pair: Pair) -> None:
    words = ("CLUSTER", "SYNCSLOTS", "MARKS", "MIGRATING", 5, pair.b.id)
    assert pair.a.call(*words) == Failure("ERR syntax error")


@pytest.mark.parametrize(
    "words", [(b"MIGRATING",), (b"MIGRATING", b"x", b"y"), (b"AWAY", b"5", b"y")]
)
def test_nonsense_is_refused(pair: Pair, words: tuple[bytes, ...]) -> None:
    replay = Replay(pair.b.machine, ClientKind.MASTER)
    replay.apply([b"CLUSTER", b"SYNCSLOTS", b"MARKS", *words])
    assert replay.failed_count == 1
