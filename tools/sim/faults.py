"""What goes wrong, when, and for how long.

Owns `Faults`: one method for each kind that `swarm.FAULTS` names. Rules: chance is the world's
fault generator alone; each fault ends by itself, or by `World.heal`; a fault that finds nobody to
hit does nothing.
"""

import random
from collections.abc import Callable
from typing import Final

from ...gossip.inputs import WallClockChanged
from .data import Dataset
from .operators import Operators
from .process import Process
from .world import World

WALL_JUMP_MS: Final = 3_600_000
OPERATIONS: Final = ("failover", "bump", "reshard", "replicate", "publish")


class Faults:
    """The bad luck of one run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.operators = Operators(world)
        self.rng: random.Random = world.rng
        self.ends_at = 0
        self.era = 0
        """Grows when all is healed, so that endings of faults before do nothing."""
        self.kinds: list[Callable[[], None]] = [
            getattr(self.operators if kind in OPERATIONS else self, f"do_{kind}")
            for kind in world.options.faults
        ]

    def start(self, duration_ms: int) -> None:
        """Things go wrong for so long."""
        self.ends_at = self.world.queue.now + duration_ms
        if self.kinds:
            self._later(self.world.options.fault_interval_ms)

    def stop(self) -> None:
        """Nothing goes wrong any more."""
        self.ends_at = 0
        self.era += 1
        self.operators.stop()

    def _later(self, interval_ms: int) -> None:
        when = self.world.queue.now + self.rng.randrange(1, 2 * interval_ms)
        self.world.queue.push(when, self._strike, None, None)

    def _strike(self, nothing: None, nothing_else: None) -> None:
        if self.world.queue.now >= self.ends_at:
            return
        self.kinds[self.rng.randrange(len(self.kinds))]()
        if "double" in self.world.options.faults:
            self._hit_winners()
        self._later(self.world.options.fault_interval_ms)

    # ---- tools ----

    def _until_healed(self, undo: Callable[[], None], shortest_ms: int = 1) -> None:
        """Ends a fault some time later."""
        world, era = self.world, self.era
        world.active_faults += 1
        world.disturb()

        def end(nothing: None, nothing_else: None) -> None:
            if era == self.era:
                undo()
                world.active_faults -= 1
                world.disturb()

        length_ms = shortest_ms + self.rng.randrange(2 * world.options.fault_length_ms)
        world.queue.push(world.queue.now + length_ms, end, None, None)

    def _any(self) -> Process:
        processes = self.world.processes
        return processes[self.rng.randrange(len(processes))]

    def _maybe_live(self, *, primary: bool | None = None) -> Process | None:
        found = [
            process
            for process in self.world.live()
            if primary is None or process.myself.is_primary == primary
        ]
        return found[self.rng.randrange(len(found))] if found else None

    def _cut(self, ways: list[tuple[int, int]]) -> None:
        network = self.world.network
        for source, target in ways:
            network.cut(source, target)

        def heal() -> None:
            for source, target in ways:
                network.heal(source, target)
            network.flush_stalled()

        self._until_healed(heal)

    # ---- processes ----

    def do_kill(self) -> None:
        """A process dies; primaries more often than others."""
        process = self._maybe_live(primary=True if self.rng.random() < 0.6 else None)
        if process is not None:
            self._kill(process)

    def _kill(self, process: Process, *, power: bool = False) -> None:
        self.world.kill(process, power=power)
        self._until_healed(lambda: self.world.revive(process))

    def do_power(self) -> None:
        """A machine is off for a while."""
        process = self._maybe_live()
        if process is not None:
            self._kill(process, power=True)

    def do_pause(self) -> None:
        """A process stands still."""
        process = self._maybe_live()
        if process is not None:
            self.world.pause(process)
            self._until_healed(lambda: self.world.resume(process))

    def do_deaf(self) -> None:
        """A node accepts connections and resets them, also those that stand."""
        process = self._any()
        if process.is_deaf:
            return
        process.is_deaf = True
        for link_id in list(process.pipes):
            self.world.network.reset(process, link_id)

        def hear() -> None:
            process.is_deaf = False

        self._until_healed(hear, 2 * self.world.options.node_timeout_ms)

    def do_wipe(self) -> None:
        """A replica dies and comes back without its data."""
        process = self._maybe_live(primary=False)
        if process is None:
            return
        self.world.kill(process)
        process.data = Dataset(f"wiped {process.node_id} {process.boot}", start=0)
        primary = self.world.by_id.get(process.primary_id or "")
        self._until_healed(lambda: self.world.revive(process))
        if primary is not None and primary.is_working and self.rng.random() < 0.6:
            self._kill(primary)

    def do_move(self) -> None:
        """A node comes back under another address, or two exchange theirs."""
        process, other = self._maybe_live(), self._maybe_live()
        if process is None or other is None:
            return
        self.world.kill(process)
        if process is other:
            last = 100 + self.rng.randrange(100)
            if f"10.9.0.{last}" not in self.world.network.addresses:
                self.world.move(process, f"10.9.0.{last}")
        else:
            self.world.kill(other)
            ip, other_ip = process.ip, other.ip
            self.world.move(process, other_ip)
            self.world.move(other, ip)
            self._until_healed(lambda: self.world.revive(other))
        self._until_healed(lambda: self.world.revive(process))

    def do_double(self) -> None:
        """A primary dies, and whoever is elected in its place soon dies as well."""
        self.do_kill()

    def _hit_winners(self) -> None:
        for process in self.world.winners:
            if process.is_up and process.myself.is_primary and self.rng.random() < 0.7:
                self._kill(process)
        self.world.winners.clear()

    # ---- network ----

    def do_isolate(self) -> None:
        """One node is cut off; primaries more often than others."""
        process = self._maybe_live(primary=True) if self.rng.random() < 0.6 else None
        one = (process or self._any()).index
        others = [i for i in range(len(self.world.processes)) if i != one]
        self._cut([way for other in others for way in ((one, other), (other, one))])

    def do_partition(self) -> None:
        """Two groups do not reach each other."""
        indexes = range(len(self.world.processes))
        side = [self.rng.random() < 0.4 for _ in indexes]
        self._cut([(a, b) for a in indexes for b in indexes if side[a] != side[b]])

    def do_oneway(self) -> None:
        """Packets from one node, or to it, vanish."""
        one, outwards = self._any().index, self.rng.random() < 0.5
        others = [i for i in range(len(self.world.processes)) if i != one]
        self._cut([(one, other) if outwards else (other, one) for other in others])

    def do_pair(self) -> None:
        """Two nodes do not reach each other."""
        one, other = self._any().index, self._any().index
        if one != other:
            self._cut([(one, other), (other, one)])

    def do_slow(self) -> None:
        """All packets of a node are late."""
        network, index = self.world.network, self._any().index
        delay_ms = self.rng.randrange(self.world.options.node_timeout_ms)
        network.slow_ms[index] = delay_ms

        def hurry() -> None:
            network.slow_ms.pop(index, None)

        self._until_healed(hurry)

    def do_reset(self) -> None:
        """Some connections of a node break."""
        process = self._any()
        self.world.disturb()
        for link_id in list(process.pipes):
            if self.rng.random() < 0.5:
                self.world.network.reset(process, link_id)

    # ---- clocks ----

    def do_wall(self) -> None:
        """A wall clock jumps."""
        process = self._any()
        process.clock.jumped_ms += self.rng.randrange(-WALL_JUMP_MS, WALL_JUMP_MS + 1)
        process.receive(WallClockChanged(process.clock.wall_offset_ms))
