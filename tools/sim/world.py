"""The world of one run: all nodes, the network, the time, and those who watch.

Owns `World`: building a cluster that has just been started, killing, pausing and healing, and the
truth about who reaches whom, which no node knows. Rules: nothing here decides anything by itself;
faults, operators and clients act on the world, checkers look at it.
"""

import random
from typing import Final

from attrs import evolve

from ...gossip.config import Config
from ...gossip.core import TICK_MS
from ...gossip.events import ElectionWon, Event
from ...gossip.inputs import Input, MessageReceived
from ...gossip.messages import NodeFlag, NodeId
from ...gossip.nodes_conf import StoredCluster, StoredNode
from ...gossip.outputs import Outputs
from ...gossip.state import bitmap_of
from .checkers import Checker, all_checkers
from .clock import Clock
from .data import Dataset
from .disk import Disk
from .network import Network
from .process import Process
from .queue import Queue
from .replication import replicate
from .swarm import Options
from .writes import Write

PORT: Final = 6_379
BUS_PORT: Final = 16_379
FIRST_START_MS: Final = 1_000
MAX_SLACK_MS: Final = 300


class World:
    """Everything there is."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.queue = Queue(random.Random(f"world {options.seed}"))
        self.rng = random.Random(f"faults {options.seed}")
        self.network = Network(options, self.queue)
        self.record: list[tuple[int, int, Event]] = []
        self.writes: list[Write] = []
        self.disturbed_at = 0
        """When the last fault began or ended."""
        self.active_faults = 0
        self.disturbed_slots: set[int] = set()
        """Slots that an operator left half moved, or moved while something was wrong."""
        self.ordered: dict[NodeId, int] = {}
        """Slots that operators gave to a node in anybody's view: told, not learned."""
        self.winners: list[Process] = []
        """Who won an election and has not been looked at by `faults` yet."""
        self.processes: list[Process] = []
        self.stopped: set[int] = set()
        """Which nodes do not work now: down or paused."""
        self.by_id: dict[NodeId, Process] = {}
        self.checkers: list[Checker] = all_checkers(self)
        self._bind_checkers()
        self._build()

    # ---- building ----

    def _bind_checkers(self) -> None:
        """Notes who wants to know what: most checkers watch a few kinds of events only."""
        self._on_event: dict[type, list[Checker]] = {}
        for checker in self.checkers:
            for kind in checker.events:
                self._on_event.setdefault(kind, []).append(checker)

        def overriding(method: str) -> list[Checker]:
            plain = getattr(Checker, method)
            return [c for c in self.checkers if getattr(type(c), method) is not plain]

        self._before_message = [c.before_message for c in overriding("before_message")]
        self._after_message = [c.after_message for c in overriding("after_message")]
        self._on_tick = [c.on_tick for c in overriding("on_tick")]
        self._on_outputs = [c.on_outputs for c in overriding("on_outputs")]
        self._on_write = [c.on_write for c in overriding("on_write")]

    def _build(self) -> None:
        options = self.options
        rng = random.Random(f"build {options.seed}")
        ids = [f"{rng.getrandbits(160):040x}" for _ in range(options.node_count)]
        shards = [f"{rng.getrandbits(160):040x}" for _ in range(options.primary_count)]
        primaries = [
            i if i < options.primary_count else self._primary_index(i, rng)
            for i in range(options.node_count)
        ]
        stored = [
            self._stored_node(i, ids, primaries, shards[primaries[i]])
            for i in range(options.node_count)
        ]
        for index in range(options.node_count):
            myself = evolve(stored[index], flags=stored[index].flags | NodeFlag.MYSELF)
            nodes = (myself, *(node for node in stored if node.node_id != ids[index]))
            disk = StoredCluster(nodes, options.primary_count, 0)
            self.processes.append(self._process(index, disk, rng, ids[primaries[index]]))
        for process in self.processes:
            self.by_id[process.node_id] = process
            self.network.addresses[process.ip] = process
        for checker in self.checkers:
            checker.on_built()
        for process in self.processes:
            when = rng.randrange(FIRST_START_MS)
            self.queue.push(when, self._first_start, process, None)

    def _primary_index(self, index: int, rng: random.Random) -> int:
        count = self.options.primary_count
        # One for each, then wherever chance puts it.
        return index - count if index < 2 * count else rng.randrange(count)

    def _stored_node(
        self, index: int, ids: list[NodeId], primaries: list[int], shard_id: NodeId
    ) -> StoredNode:
        primary = primaries[index]
        bounds = self.options.slot_bounds
        mask = 0
        if primary == index:
            mask = (1 << bounds[index + 1]) - (1 << bounds[index])
        return StoredNode(
            node_id=ids[index],
            ip=_address(index),
            port=PORT,
            cport=BUS_PORT,
            flags=NodeFlag.PRIMARY if primary == index else NodeFlag.REPLICA,
            replica_of=None if primary == index else ids[primary],
            config_epoch=primary + 1,
            slots=bitmap_of(mask),
            shard_id=shard_id,
        )

    def _process(
        self, index: int, stored: StoredCluster, rng: random.Random, history: str
    ) -> Process:
        options = self.options
        config = Config(
            PORT,
            BUS_PORT,
            node_timeout_ms=options.node_timeout_ms,
            announce_ip=_address(index) if options.announces_address else "",
            replica_validity_factor=options.replica_validity_factor,
            migration_barrier=options.migration_barrier,
            allow_replica_migration=options.allow_replica_migration,
            require_full_coverage=options.require_full_coverage,
            ping_interval_ms=options.ping_interval_ms,
            bugs=options.bugs,
        )
        skew = options.clock_skew_ppm
        clock = Clock(rng.randrange(10_000_000), rng.randrange(-skew, skew + 1))
        disk = Disk(stored, options.flush_ms)
        data = Dataset(history)
        node_id = stored.myself.node_id
        return Process(self, index, _address(index), config, clock, disk, data, node_id)

    def _first_start(self, process: Process, nothing: None) -> None:
        self.stopped.discard(process.index)
        process.start(self.queue.now)
        self.queue.push(self.queue.now + 1, self._tick, process, process.boot)

    # ---- time ----

    def _tick(self, process: Process, boot: int) -> None:
        if process.boot != boot or not process.is_up:
            return
        if not process.is_paused:
            options = self.options
            replicate(process, self.network, options.replication_lag_ms, options.full_sync_ms)
            process.tick()
        self.queue.push(self.queue.now + TICK_MS, self._tick, process, boot)

    def run(self, duration_ms: int) -> None:
        """Lets time pass."""
        self.queue.run(self.queue.now + duration_ms)

    # ---- what faults do ----

    def disturb(self) -> None:
        """Something is wrong, or it has just ended."""
        self.disturbed_at = self.queue.now

    def is_calm_for(self, duration_ms: int) -> bool:
        """Whether nothing has been wrong for so long (but for clean kills)."""
        return self.active_faults == 0 and self.queue.now - self.disturbed_at >= duration_ms

    def kill(self, process: Process, *, power: bool = False) -> None:
        """The process dies; with `power` the whole machine, which then tells nobody."""
        if not process.is_up:
            return
        process.is_up, process.is_paused = False, False
        self.stopped.add(process.index)
        process.has_power = not power
        process.down_since = self.queue.now
        process.inbox.clear()
        process.disk.crash(self.queue.now, self.rng)
        if power:
            process.pipes.clear()
            process.connecting.clear()
        else:
            self.network.forget(process)

    def revive(self, process: Process) -> None:
        """The process starts again."""
        if process.is_up:
            return
        process.pipes.clear()
        process.connecting.clear()
        self._first_start(process, None)

    def pause(self, process: Process) -> None:
        """The process stands still."""
        process.is_paused = process.is_up
        self.stopped.add(process.index)

    def resume(self, process: Process) -> None:
        """It goes on, and finds what has come meanwhile."""
        if not process.is_paused:
            return
        process.is_paused = False
        self.stopped.discard(process.index)
        process.up_since = self.queue.now
        waiting, process.inbox = process.inbox, []
        for event in waiting:
            process.receive(event)

    def move(self, process: Process, ip: str) -> None:
        """A process that is down gets another address."""
        if self.network.addresses.get(process.ip) is process:
            del self.network.addresses[process.ip]
        process.ip = ip
        self.network.addresses[ip] = process
        if self.options.announces_address:
            process.config = evolve(process.config, announce_ip=ip)

    def heal(self) -> None:
        """All faults end, all nodes live."""
        self.network.heal_all()
        for process in self.processes:
            process.is_deaf = False
            self.resume(process)
            self.revive(process)
        self.active_faults = 0
        self.disturb()

    # ---- the truth ----

    def live(self) -> list[Process]:
        """The nodes that do something."""
        return [process for process in self.processes if process.is_working]

    def hears(self, one: Process, other: Process) -> bool:
        """Whether anything can come to a node from another one: any data counts as life."""
        if not other.is_working:
            return False
        return not self.network.is_cut(one, other) or not self.network.is_cut(other, one)

    def hears_majority(self, process: Process) -> bool:
        """Whether a node hears from a majority of those that it takes for voters."""
        state = process.core.state
        if not self.network.cuts and len(state.owners) - len(self.stopped) >= state.quorum:
            return True
        heard = sum(
            node_id == process.node_id or self.hears(process, self.by_id[node_id])
            for node_id in state.owners
        )
        return heard >= state.quorum

    @property
    def max_delay_ms(self) -> int:
        """How long a packet takes at most without faults."""
        return (
            self.options.latency_ms + self.options.jitter_ms + 200 * (self.options.loss_percent > 0)
        )

    def name_of(self, node_id: NodeId | None) -> str:
        """A node's name in traces."""
        if node_id is None:
            return "-"
        process = self.by_id.get(node_id)
        return node_id[:8] if process is None else process.name

    # ---- watching ----

    def before_step(self, process: Process, event: Input) -> None:
        """Called before a process takes something in."""
        if type(event) is MessageReceived:
            for check in self._before_message:
                check(process, event.link_id, event.message)

    def after_step(self, process: Process, event: Input) -> None:
        """Called after it, before anything of it is carried out."""
        if type(event) is MessageReceived:
            for check in self._after_message:
                check(process, event.link_id, event.message)

    def after_tick(self, process: Process) -> None:
        """Called after a tick or a command, before anything of it is carried out."""
        for check in self._on_tick:
            check(process)

    def inspect(self, process: Process, outputs: Outputs) -> None:
        """Called when the file is written, before anything else is carried out."""
        for check in self._on_outputs:
            check(process, outputs)
        now, index = self.queue.now, process.index
        for event in outputs.events:
            self.record.append((now, index, event))
            for checker in self._on_event.get(type(event), ()):
                checker.on_event(process, event, outputs)
            if type(event) is ElectionWon:
                self.winners.append(process)

    def on_write(self, write: Write) -> None:
        """Called when a client was told that its write is done."""
        self.writes.append(write)
        for check in self._on_write:
            check(write)


def _address(index: int) -> str:
    return f"10.0.{index // 250}.{index % 250 + 1}"
