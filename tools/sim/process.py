"""One simulated node: a core, its data, its disk and its clocks; it may be paused or killed.

Owns `Process`, which is what the core asks about its data (`LocalData`), and which obeys the order
law of `Outputs`. Rules: nothing that a process knows reaches another one but by a message, or by
replication, which `replication` does.
"""

import random
from typing import TYPE_CHECKING

from attrs import Factory, define

from ...gossip.commands import Answer, Request
from ...gossip.config import Config
from ...gossip.core import GossipCore
from ...gossip.inputs import Input
from ...gossip.messages import NodeId, slot_ranges
from ...gossip.outputs import (
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
from ...gossip.state import LinkId, Node
from .clock import Clock
from .data import Dataset, Entry
from .disk import Disk

if TYPE_CHECKING:
    from .network import Pipe
    from .world import World


@define(eq=False)
class Process:
    """One node."""

    world: "World"
    index: int
    ip: str
    config: Config
    clock: Clock
    disk: Disk
    data: Dataset
    node_id: NodeId
    core: GossipCore = None  # type: ignore[assignment]  # until the first boot
    is_up: bool = False
    has_power: bool = True
    is_paused: bool = False
    is_deaf: bool = False
    boot: int = 0
    """How often it was started."""
    up_since: int = 0
    down_since: int = 0
    """When it last stopped working: died, or lost its power."""
    inbox: list[Input] = Factory(list)
    """What arrives while it is paused."""
    next_inbound: LinkId = -1
    pipes: dict[LinkId, "Pipe"] = Factory(dict)
    connecting: set[LinkId] = Factory(set)
    primary_id: NodeId | None = None
    """Whom it was told to replicate from."""
    primary_ip: str = ""
    is_synced: bool = False
    """Whether its data is (a beginning of) its present primary's."""
    sync_ends_at: int | None = None
    silent_since: int | None = None
    """Since when its link to its primary is down; None while it is up, or if it never was."""
    paused_until: int | None = None
    """Its clients' writes wait until then, by its own clock."""

    @property
    def name(self) -> str:
        """Its name in traces."""
        return f"n{self.index}"

    @property
    def myself(self) -> Node:
        """How it sees itself."""
        return self.core.state.myself

    @property
    def is_working(self) -> bool:
        """Whether it does anything."""
        return self.is_up and not self.is_paused

    # ---- LocalData ----

    def offset(self) -> int:
        """How much data it has, of its present history."""
        return self.data.offset if self.primary_id is None or self.is_synced else 0

    def primary_silence_ms(self) -> int | None:
        """Since when nothing comes from its primary."""
        if not self.is_synced:
            return None
        return 0 if self.silent_since is None else self.world.queue.now - self.silent_since

    def keys_in_slot(self, slot: int) -> int:
        """How many keys a slot holds."""
        return self.data.keys_in(slot)

    def keys_in_all(self) -> int:
        """How many keys there are."""
        return self.data.keys_in_all()

    def is_whole(self) -> bool:
        """Whether the data is all there: here copies take the place of the old at once."""
        return True

    # ---- living ----

    def start(self, now: int) -> None:
        """Starts the process from its disk."""
        self.boot += 1
        self.is_up, self.has_power, self.is_paused = True, True, False
        self.up_since = now
        self.next_inbound = -1
        self.primary_id, self.is_synced, self.sync_ends_at = None, False, None
        self.silent_since = self.paused_until = None
        options = self.world.options
        self.core = GossipCore(
            self.config,
            random.Random(f"core {options.seed} {self.index} {self.boot}"),
            self,
            self.clock.monotonic(now),
            stored=self.disk.durable,
            wall_offset_ms=self.clock.wall_offset_ms,
            check_all=options.node_count <= 12 and options.seed % 8 == 0,
        )
        self.carry_out(self.core.start(self.clock.monotonic(now)))

    def receive(self, event: Input) -> None:
        """Takes in what happened, or leaves it to the machine while the process is paused."""
        if self.is_paused:
            self.inbox.append(event)
        elif self.is_up:
            now = self.clock.monotonic(self.world.queue.now)
            self.world.before_step(self, event)
            outputs = self.core.step(event, now)
            self.world.after_step(self, event)
            self.carry_out(outputs)

    def tick(self) -> None:
        """100 ms have passed."""
        now = self.world.queue.now
        outputs = self.core.tick(self.clock.monotonic(now))
        self.world.after_tick(self)
        self.carry_out(outputs)

    def command(self, request: Request) -> Answer:
        """Does what an operator asks for."""
        now = self.clock.monotonic(self.world.queue.now)
        answer, outputs = self.core.command(request, now)
        self.world.after_tick(self)
        self.carry_out(outputs)
        return answer

    def carry_out(self, outputs: Outputs) -> None:
        """Obeys the order law."""
        world = self.world
        if outputs.save is not None:
            self.disk.write(outputs.save, world.queue.now, must_sync=outputs.must_sync)
        if outputs.events or outputs.save is not None or outputs.send:
            world.inspect(self, outputs)
        for change in outputs.changes:
            self.apply(change)
        for send in outputs.send:
            world.network.send(self, send.link_id, send.message)
        for order in outputs.links:
            if isinstance(order, Connect):
                world.network.connect(self, order)
            else:
                world.network.close(self, order.link_id)

    def apply(self, change: Change) -> None:
        """Applies a change to the node."""
        now = self.world.queue.now
        match change:
            case BecomeReplica():
                if self.primary_id != change.primary_id:
                    self.is_synced, self.sync_ends_at, self.silent_since = False, None, None
                self.primary_id, self.primary_ip = change.primary_id, change.ip
            case BecomePrimary():
                self.primary_id, self.is_synced, self.sync_ends_at = None, False, None
                self.data.begin_history(f"{self.node_id} {self.boot} {now}")
            case FlushData():
                self.data = Dataset(f"{self.node_id} {self.boot} {now}", start=0)
            case PauseWrites():
                self.paused_until = change.until
            case UnpauseWrites():
                self.paused_until = None
            case DeleteKeys():
                self.delete_keys(change.slots, now)
            case _:
                pass

    def delete_keys(self, slots: bytes, now: int) -> None:
        """Drops what it holds in these slots."""
        for first, last in slot_ranges(slots):
            for slot in [slot for slot in self.data.slots if first <= slot <= last]:
                self.data.append(Entry(now, slot, is_removal=True))

    # ---- serving ----

    def may_write(self, slot: int) -> bool:
        """Whether it serves a client's write to a slot."""
        if not self.is_working or not self.core.state.is_ok or self.is_write_paused():
            return False
        return bool(self.myself.mask >> slot & 1)

    def is_write_paused(self) -> bool:
        """Whether a manual failover makes its clients wait."""
        if self.paused_until is None:
            return False
        if self.clock.monotonic(self.world.queue.now) > self.paused_until:
            self.paused_until = None
            return False
        return True
