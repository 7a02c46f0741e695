"""A cluster of cores in one process and in virtual time, with a network that can be broken.

Nothing here sleeps or draws from a global generator; the same seed gives the same run. Node `A` has
the id "aaa...", so that the order of ids can be chosen, and what is printed can be read.
"""

import heapq
import random
from collections.abc import Callable, Iterable

import attrs
from attrs import Factory, define

from clustrio.gossip.commands import (
    AddSlots,
    Answer,
    Done,
    MeetNode,
    Replicate,
    Request,
)
from clustrio.gossip.config import Config
from clustrio.gossip.core import TICK_MS, GossipCore
from clustrio.gossip.events import (
    Event,
)
from clustrio.gossip.inputs import (
    ConfigChanged,
    Input,
    LinkAccepted,
    LinkClosed,
    LinkEstablished,
    LinkFailed,
    MessageReceived,
    ReplicationProgressed,
)
from clustrio.gossip.messages import NO_SLOTS, Header, Message, NodeFlag, slot_ranges
from clustrio.gossip.nodes_conf import StoredCluster, StoredNode
from clustrio.gossip.outputs import (
    BecomePrimary,
    BecomeReplica,
    Change,
    Connect,
    DeleteKeys,
    FlushData,
    Outputs,
    PauseWrites,
    UnpauseWrites,
)
from clustrio.gossip.state import LinkId, Node

LATENCY_MS = 1
WALL_OFFSET_MS = 1_700_000_000_000


def id_of(name: str) -> str:
    """The node id of a node called `name`: the name itself, as long as an id has to be."""
    return (name.lower() * 40)[:40]


@define(eq=False, repr=False)
class Wire:
    """One TCP connection."""

    a: "Sim"
    a_link: LinkId
    b: "Sim"
    b_link: LinkId
    is_open: bool = True

    def other_end(self, link_id: LinkId) -> tuple["Sim", LinkId]:
        """Where an end leads; inbound and outbound numbers differ even within one node."""
        return (self.b, self.b_link) if self.a_link == link_id else (self.a, self.a_link)


@define(eq=False, repr=False)
class Sim:
    """One simulated node: a core, its data, its disk, its connections."""

    world: "World"
    name: str
    ip: str
    config: Config
    core: GossipCore
    disk: StoredCluster
    is_up: bool = True
    is_frozen: bool = False
    is_loading: bool = False
    next_inbound: LinkId = -1
    wires: dict[LinkId, Wire] = Factory(dict)
    own_offset: int = 0
    history: str = ""
    keys: dict[int, int] = Factory(dict)
    paused_until: int | None = None
    changes: list[Change] = Factory(list)
    sent: list[tuple[int, str, Message]] = Factory(list)
    stalled: list[Callable[[], None]] = Factory(list)
    silent_since: int | None = None

    # ---- LocalData ----

    def offset(self) -> int:
        return self.own_offset

    def primary_silence_ms(self) -> int | None:
        primary = self.world.primary_sim(self)
        if primary is None or self.world.reaches(self, primary):
            self.silent_since = None
            return 0
        if self.silent_since is None:
            self.silent_since = self.world.now
        return self.world.now - self.silent_since

    def keys_in_slot(self, slot: int) -> int:
        return self.keys.get(slot, 0)

    def keys_in_all(self) -> int:
        return sum(self.keys.values())

    def is_whole(self) -> bool:
        return not self.is_loading

    # ---- doing ----

    @property
    def myself(self) -> Node:
        return self.core.state.myself

    def sees(self, other: str) -> Node:
        """What it knows of another node."""
        return self.core.state.nodes[id_of(other)]

    def give(self, event: Input) -> None:
        """Hands an input to the core, or keeps it while the node is frozen."""
        if self.is_frozen:
            self.stalled.append(lambda: self.give(event))
        elif self.is_up:
            self.carry_out(self.core.step(event, self.world.now))

    def tick(self) -> None:
        if self.is_up and not self.is_frozen:
            self.world.replicate(self)
            self.primary_silence_ms()
            self.carry_out(self.core.tick(self.world.now))

    def do(self, request: Request) -> Answer:
        answer, outputs = self.core.command(request, self.world.now)
        self.carry_out(outputs)
        return answer

    def must(self, request: Request) -> None:
        answer = self.do(request)
        assert isinstance(answer, Done), answer

    def configure(self, **options: object) -> None:
        self.config = attrs.evolve(self.config, **options)  # type: ignore[arg-type]
        self.give(ConfigChanged(self.config))

    def carry_out(self, outputs: Outputs) -> None:
        """Obeys the order law."""
        if outputs.save is not None:
            self.disk = outputs.save
        for change in outputs.changes:
            self.changes.append(change)
            self.apply(change)
        for send in outputs.send:
            self.world.transmit(self, send.link_id, send.message)
        for order in outputs.links:
            if isinstance(order, Connect):
                self.world.connect(self, order)
            else:
                self.world.disconnect(self, order.link_id)
        for event in outputs.events:
            self.world.record(self, event)

    def apply(self, change: Change) -> None:
        match change:
            case BecomeReplica():
                if self.history != change.primary_id:
                    self.own_offset, self.history = 0, change.primary_id
                    self.silent_since = None
            case BecomePrimary():
                self.history = self.core.node_id
            case FlushData():
                self.keys.clear()
            case PauseWrites():
                self.paused_until = change.until
            case UnpauseWrites():
                self.paused_until = None
            case DeleteKeys():
                for first, last in slot_ranges(change.slots):
                    for slot in range(first, last + 1):
                        self.keys.pop(slot, None)
            case _:
                pass


@define(eq=False, repr=False)
class World:
    """All nodes, the network between them, and the time."""

    seed: int = 0
    through: Callable[[Message], Message] = lambda message: message
    latency_ms: int = LATENCY_MS
    now: int = 1_000
    sims: dict[str, Sim] = Factory(dict)
    queue: list[tuple[int, int, Callable[[], None]]] = Factory(list)
    sequence: int = 0
    cuts: set[frozenset[str]] = Factory(set)
    record_of: list[tuple[int, str, Event]] = Factory(list)
    drop: Callable[[str, str, Message], bool] = lambda sender, receiver, message: False

    # ---- building ----

    def add(self, names: str, **options: object) -> list[Sim]:
        """Starts nodes that know nobody."""
        return [self.add_one(name, **options) for name in names.split()]

    def add_one(self, name: str, **options: object) -> Sim:
        ip = f"10.0.0.{len(self.sims) + 1}"
        knows_address = options.pop("knows_address", True)
        options = {"node_timeout_ms": 2_000} | options
        config = Config(port=6379, cport=16_379, **options)  # type: ignore[arg-type]
        disk = stored_alone(name, ip if knows_address else "")
        sim = Sim(self, name, ip, config, None, disk, own_offset=1)  # type: ignore[arg-type]
        self.sims[name] = sim
        sim.history = id_of(name)
        self.boot(sim)
        # Nodes are not in step with each other.
        first = self.now + 7 * len(self.sims) % TICK_MS
        self.at(first, lambda: self.ticking(sim))
        return sim

    def boot(self, sim: Sim) -> None:
        rng = random.Random(f"{self.seed} {sim.name} {self.now}")
        sim.core = GossipCore(
            sim.config,
            rng,
            sim,
            self.now,
            stored=sim.disk,
            wall_offset_ms=WALL_OFFSET_MS,
            check_all=True,
        )
        sim.carry_out(sim.core.start(self.now))

    def cluster(self, primaries: int, replicas: int = 0, **options: object) -> "World":
        """A cluster that is ready: primaries A, B, ... and replicas, a round for each primary."""
        names = [chr(ord("A") + index) for index in range(primaries * (1 + replicas))]
        for name in names:
            self.add_one(name, **options)
        for name in names[1:]:
            self.sims[name].must(MeetNode(self.sims[names[0]].ip, 6379, 16_379))
        self.run(2_000)
        bounds = [16_384 * index // primaries for index in range(primaries + 1)]
        for index, name in enumerate(names[:primaries]):
            self.sims[name].must(AddSlots(tuple(range(bounds[index], bounds[index + 1]))))
        for index, name in enumerate(names[primaries:]):
            self.sims[name].must(Replicate(id_of(names[index % primaries])))
        # Longer than a primary waits before it says that all is well.
        self.run(3_000 + min(self.sims[names[0]].config.node_timeout_ms, 5_000))
        assert all(sim.core.state.is_ok for sim in self.sims.values()), "the cluster did not form"
        self.record_of.clear()
        return self

    # ---- time ----

    def at(self, when: int, action: Callable[[], None]) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (when, self.sequence, action))

    def run(self, duration_ms: int) -> None:
        """Lets time pass."""
        end = self.now + duration_ms
        while self.queue and self.queue[0][0] <= end:
            self.now, _, action = heapq.heappop(self.queue)
            action()
        self.now = end

    def run_until(self, condition: Callable[[], bool], limit_ms: int = 60_000) -> int:
        """Lets time pass until something holds; how long it took."""
        start = self.now
        while not condition():
            assert self.now - start < limit_ms, "it did not happen in time"
            self.run(10)
        return self.now - start

    def ticking(self, sim: Sim) -> None:
        sim.tick()
        self.at(self.now + TICK_MS, lambda: self.ticking(sim))

    # ---- data ----

    def primary_sim(self, sim: Sim) -> Sim | None:
        replica_of = sim.myself.replica_of
        return next((s for s in self.sims.values() if s.core.node_id == replica_of), None)

    def replicate(self, sim: Sim) -> None:
        primary = self.primary_sim(sim)
        if primary is None or not self.reaches(sim, primary) or not primary.myself.is_primary:
            return
        if sim.own_offset != primary.own_offset:
            sim.own_offset = primary.own_offset
            sim.give(ReplicationProgressed())

    # ---- faults ----

    def reaches(self, a: Sim, b: Sim) -> bool:
        return b.is_up and not b.is_frozen and frozenset((a.name, b.name)) not in self.cuts

    def kill(self, name: str) -> None:
        """The process dies: connections are reset, new ones refused."""
        sim = self.sims[name]
        sim.is_up = False
        sim.stalled.clear()
        for link_id in list(sim.wires):
            self.disconnect(sim, link_id)

    def start(self, name: str) -> None:
        """The process starts again from its disk."""
        sim = self.sims[name]
        sim.is_up, sim.is_frozen = True, False
        sim.next_inbound, sim.paused_until = -1, None
        self.boot(sim)

    def freeze(self, name: str) -> None:
        """The process is stopped; its connections stand."""
        self.sims[name].is_frozen = True

    def thaw(self, name: str) -> None:
        sim = self.sims[name]
        sim.is_frozen = False
        stalled, sim.stalled = sim.stalled, []
        for action in stalled:
            action()

    def cut(self, *names: str) -> None:
        """Separates these nodes from all others; packets vanish."""
        for one in names:
            for other in self.sims:
                if other not in names:
                    self.cuts.add(frozenset((one, other)))

    def cut_pair(self, one: str, other: str) -> None:
        self.cuts.add(frozenset((one, other)))

    def heal(self) -> None:
        self.cuts.clear()

    # ---- network ----

    def connect(self, sim: Sim, order: Connect) -> None:
        peer = next(
            (s for s in self.sims.values() if s.ip == order.ip and order.cport == s.config.cport),
            None,
        )
        if peer is not None and frozenset((sim.name, peer.name)) in self.cuts:
            return
        self.at(self.now + self.latency_ms, lambda: self.connected(sim, order, peer))

    def connected(self, sim: Sim, order: Connect, peer: Sim | None) -> None:
        if order.link_id not in sim.core.state.links or not sim.is_up:
            return
        if peer is None or not peer.is_up:
            sim.give(LinkFailed(order.link_id))
            return
        wire = Wire(sim, order.link_id, peer, peer.next_inbound)
        peer.next_inbound -= 1
        sim.wires[wire.a_link] = wire
        peer.wires[wire.b_link] = wire
        peer.give(LinkAccepted(wire.b_link, sim.ip, peer.ip))
        sim.give(LinkEstablished(wire.a_link, sim.ip))

    def disconnect(self, sim: Sim, link_id: LinkId) -> None:
        wire = sim.wires.pop(link_id, None)
        if wire is None or not wire.is_open:
            return
        wire.is_open = False
        peer, peer_link = wire.other_end(link_id)
        peer.wires.pop(peer_link, None)
        if frozenset((sim.name, peer.name)) not in self.cuts:
            self.at(self.now + self.latency_ms, lambda: peer.give(LinkClosed(peer_link)))

    def transmit(self, sim: Sim, link_id: LinkId, message: Message) -> None:
        wire = sim.wires.get(link_id)
        if wire is None:
            return
        peer, peer_link = wire.other_end(link_id)
        sim.sent.append((self.now, peer.name, message))
        if frozenset((sim.name, peer.name)) in self.cuts or self.drop(sim.name, peer.name, message):
            return
        passed = self.through(message)
        self.at(
            self.now + self.latency_ms,
            lambda: peer.give(MessageReceived(peer_link, passed)) if wire.is_open else None,
        )

    # ---- looking ----

    def record(self, sim: Sim, event: Event) -> None:
        self.record_of.append((self.now, sim.name, event))

    def events(self, kind: type | None = None, name: str | None = None) -> list[Event]:
        return [
            event
            for _, who, event in self.record_of
            if (kind is None or isinstance(event, kind)) and name in (None, who)
        ]

    def live(self) -> Iterable[Sim]:
        return (sim for sim in self.sims.values() if sim.is_up and not sim.is_frozen)

    def owner(self, slot: int) -> set[str]:
        """Who owns a slot in the eyes of those who live."""
        found = set()
        for sim in self.live():
            owner = sim.core.state.owner_of(slot)
            found.add("-" if owner is None else self.name_of(owner.node_id))
        return found

    def name_of(self, node_id: str) -> str:
        for sim in self.sims.values():
            if sim.core.node_id == node_id:
                return sim.name
        return node_id[:6]


def stored_alone(name: str, ip: str = "") -> StoredCluster:
    """The nodes.conf of a node that knows nobody."""
    node = StoredNode(
        node_id=id_of(name),
        ip=ip,
        port=6379,
        cport=16_379,
        flags=NodeFlag.MYSELF | NodeFlag.PRIMARY,
        shard_id=id_of(f"{name}0"),
    )
    return StoredCluster((node,), 0, 0)


def header(name: str, **fields: object) -> Header:
    """A header that a node called `name` could have sent."""
    values: dict[str, object] = {
        "sender": id_of(name),
        "current_epoch": 0,
        "config_epoch": 0,
        "offset": 1,
        "port": 6379,
        "cport": 16_379,
        "flags": NodeFlag.PRIMARY,
        "slots": NO_SLOTS,
    }
    return Header(**(values | fields))  # type: ignore[arg-type]


__all__ = ["Sim", "World", "header", "id_of", "stored_alone"]
