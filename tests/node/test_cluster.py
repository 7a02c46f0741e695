"""The cluster side of a node, as its clients meet it."""

from random import Random

from attrs import evolve

from clustrio.gossip.commands import PublishToNodes
from clustrio.gossip.inputs import LinkAccepted, MessageReceived
from clustrio.gossip.messages import NodeFlag, Ping
from clustrio.gossip.nodes_conf import StoredCluster, StoredNode
from clustrio.gossip.outputs import Send
from clustrio.gossip.state import bitmap_of
from clustrio.gossip.turn import Turn
from clustrio.node.cluster import Cluster
from clustrio.slots.hashing import key_slot

from .clustered import SilentBus, node_serving
from .harness import Failure, MemoryNode

OWN, PEER = "a" * 40, "b" * 40
PAIR = StoredCluster(
    (
        StoredNode(OWN, "127.0.0.1", 6379, 16379, NodeFlag.MYSELF | NodeFlag.PRIMARY),
        StoredNode(PEER, "127.0.0.1", 6380, 16380, NodeFlag.PRIMARY),
    ),
    current_epoch=0,
    last_vote_epoch=0,
)


class NotingBus(SilentBus):
    """Which packets were queued, and when those that waited were sent at once."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[str] = []

    def send(self, order: Send) -> None:
        self.noted.append(type(order.message).__name__)

    def flush(self) -> None:
        self.noted.append("flush")


def test_what_an_operator_changes_leaves_ahead_of_the_answer() -> None:
    """He tells other nodes of it next, and must not overtake the bus."""
    node, bus = MemoryNode(cluster_enabled="yes"), NotingBus()
    node.machine.cluster = cluster = Cluster(node.machine, bus, PAIR)
    header = Turn(cluster.core.state, cluster.core.config, Random(1), cluster, 0).header()
    ping = Ping(evolve(header, sender=PEER, config_epoch=2, current_epoch=2))
    cluster.step(LinkAccepted(-1, "127.0.0.1", "127.0.0.1"))
    cluster.step(MessageReceived(-1, ping))
    assert node.call("CLUSTER", "SETSLOT", 7, "IMPORTING", PEER) == "OK"
    bus.noted.clear()
    assert node.call("CLUSTER", "SETSLOT", 7, "NODE", OWN) == "OK"
    assert bus.noted == ["flush", "Pong", "flush"]
    bus.noted.clear()
    cluster.command(PublishToNodes(b"channel", b"message", sharded=False))
    assert bus.noted == ["Publish"]  # which may wait for others


def test_a_transaction_that_is_sent_away_is_over() -> None:
    """Else the client could never begin another one on this connection."""
    slot = key_slot(b"a")
    node = node_serving([slot, key_slot(b"b")])
    node.observe(False)
    node.call("MULTI")
    assert node.call("RPUSH", "a", "1") == "QUEUED"
    assert node.call("CLUSTER", "INFO")  # queued, too: it does not matter
    assert node.machine.cluster is not None
    other = node.machine.connect("127.0.0.1:9", "127.0.0.1:6379")
    gone = b"*3\r\n$7\r\nCLUSTER\r\n$8\r\nDELSLOTS\r\n$%d\r\n%d\r\n" % (len(str(slot)), slot)
    assert node.machine.receive(other, gone) == b"+OK\r\n"
    refused = node.call("EXEC")
    assert isinstance(refused, Failure)
    assert refused.startswith("CLUSTERDOWN")
    assert node.call("MULTI") == "OK"
    assert node.call("DISCARD") == "OK"


def test_asking_is_good_for_a_whole_transaction_and_no_longer() -> None:
    slot = key_slot(b"a")
    own, peer = PAIR.nodes
    everything = (1 << 16_384) - 1
    own = evolve(own, slots=bitmap_of(everything & ~(1 << slot)))
    peer = evolve(peer, slots=bitmap_of(1 << slot))
    node = MemoryNode(cluster_enabled="yes")
    machine = node.machine
    machine.cluster = Cluster(machine, SilentBus(), evolve(PAIR, nodes=(own, peer)))
    machine.cluster.core.state.returned_at = None  # as if the other one had answered
    for _ in range(30):
        machine.clock.monotonic_ms += 100
        machine.cluster.tick()
    assert node.call("CLUSTER", "SETSLOT", slot, "IMPORTING", PEER) == "OK"
    node.observe(False)
    assert isinstance(node.call("GET", "a"), Failure)
    assert node.call("ASKING") == "OK"
    for talk in (("MULTI",), ("SET", "a", "1"), ("GET", "a")):
        assert not isinstance(node.call(*talk), Failure)
    assert node.call("EXEC") == ["OK", b"1"]
    assert isinstance(node.call("GET", "a"), Failure)
    assert node.call("ASKING") == "OK"
    for talk in (("MULTI",), ("SET", "a", "2"), ("DISCARD",)):
        assert not isinstance(node.call(*talk), Failure)
    assert isinstance(node.call("GET", "a"), Failure)


def test_slot_stats_counts_the_keys_of_own_slots() -> None:
    slots = [key_slot(b"a"), key_slot(b"b"), 5]
    node = node_serving(slots)
    for key in ("a", "{a}2", "b"):
        assert node.call("SET", key, "v") == "OK"
    by_keys = node.call("CLUSTER", "SLOT-STATS", "ORDERBY", "KEY-COUNT", "DESC")
    assert by_keys == [
        [slots[0], [b"key-count", 2]],
        [slots[1], [b"key-count", 1]],
        [5, [b"key-count", 0]],
    ]
    assert node.call("CLUSTER", "SLOT-STATS", "ORDERBY", "KEY-COUNT", "ASC", "LIMIT", 1) == [
        [5, [b"key-count", 0]]
    ]
    assert node.call("CLUSTER", "SLOT-STATS", "SLOTSRANGE", 0, 10) == [[5, [b"key-count", 0]]]
    for words in (("SLOTSRANGE", 9, 3), ("ORDERBY", "SIZE"), ("ORDERBY", "KEY-COUNT", "LIMIT", 0)):
        assert isinstance(node.call("CLUSTER", "SLOT-STATS", *words), Failure)


def test_the_shard_has_an_id() -> None:
    node = node_serving([0])
    assert node.machine.cluster is not None
    shard_id = node.machine.cluster.core.state.myself.shard_id
    assert node.call("CLUSTER", "MYSHARDID") == shard_id.encode()
    assert len(shard_id) == 40
