"""Two nodes of one cluster in memory, which see each other as the test wants."""

from typing import Final

from clustrio.gossip import commands as ask
from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.state import Node
from clustrio.node.cluster import Cluster
from clustrio.node.migration.exports import Export
from clustrio.node.migration.jobs import Operation, SlotJob

from ..clustered import SilentBus
from ..harness import MemoryClient, MemoryNode, Plain, Word

#: What A owns at first; B owns the rest.
SLOTS_OF_A: Final = range(8192)
#: Hash tags of the slots 0, 1 and 2.
TAGS: Final = ("06S", "Qi", "5L5")


class ClusteredNode(MemoryNode):
    """A node of the pair."""

    def __init__(self, number: int = 0, **settings: str | int) -> None:
        super().__init__(cluster_enabled="yes", **settings)
        for _ in range(number):
            # Else all would choose the same id.
            self.machine.rng.getrandbits(160)
        self.bus = SilentBus()
        self.cluster = Cluster(self.machine, self.bus, None)
        self.machine.cluster = self.cluster
        self.migration = self.machine.slot_migration
        self.wanted: list[SlotJob] = []
        self.migration.on_wanted = self.wanted.append

    @property
    def id(self) -> str:
        return self.cluster.view.my_id

    def knows(self, other: "ClusteredNode", slots: range) -> None:
        """Make the other a member that owns these slots."""
        state = self.cluster.core.state
        node = Node(
            *(other.id, NodeFlag.PRIMARY, 0),
            shard_id="0" * 40,
            ip="127.0.0.1",
            port=7000,
            cport=17000,
        )
        state.nodes[node.node_id] = node
        state.assign(sum(1 << slot for slot in slots), node)
        self.cluster.view.table.assign_all(slots, node.node_id)

    def last_job(self, operation: Operation) -> SlotJob:
        return next(job for job in self.migration.log.jobs if job.operation is operation)


class Pair:
    """A, which owns the first half of the slots, and B, and a link between them."""

    def __init__(self, **settings: str | int) -> None:
        self.a, self.b = ClusteredNode(0, **settings), ClusteredNode(1, **settings)
        rest = range(8192, 16_384)
        for node, own, other, others in (
            (self.a, SLOTS_OF_A, self.b, rest),
            (self.b, rest, self.a, SLOTS_OF_A),
        ):
            node.cluster.command(ask.AddSlots(tuple(own)))
            node.knows(other, others)
            node.cluster._on_state_changed(True)
            node.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
        self.link: MemoryClient = self.b.connect()
        self.job: SlotJob
        self.export: Export

    def say(self, *words: Word) -> Plain:
        """What the source says to the target."""
        return self.link.call("CLUSTER", "SYNCSLOTS", *words)

    def begin(self, first: int = 0, last: int = 99) -> None:
        """MIGRATESLOTS, and the beginning of the talk."""
        words = ("SLOTSRANGE", first, last, "NODE", self.b.id)
        assert self.a.call("CLUSTER", "MIGRATESLOTS", *words) == "OK"
        self.job = self.a.wanted[-1]
        reply = self.say(
            *("ESTABLISH", "SOURCE", self.a.id, "NAME", self.job.name),
            *("SLOTSRANGE", first, last),
        )
        assert reply == "OK", reply
        self.export = self.a.migration.open_export(self.job)

    def tell_piece(self) -> bool:
        """One piece goes over; False if there was nothing to tell."""
        words = self.export.next_piece()
        if words:
            assert self.say("KEYS", *words) == "OK"
        return bool(words)

    def tell_all(self) -> None:
        while self.tell_piece():
            pass

    def hand_over(self) -> None:
        """The end of the talk."""
        epoch = self.say("PREPARE")
        assert self.a.migration.close_slots(self.job)
        self.tell_all()
        self.a.migration.grant(self.job, 5000)
        assert self.say("FINISH", epoch) == "OK"
        self.a.migration.settle(self.job)
