"""Clients that write without end, follow redirects, and remember what they were promised.

Owns `Clients`. Rules: a client asks the node that it thinks owns the slot (at first any), goes
where it is sent, a few times at most, and gives up otherwise; a write counts only if it was
acknowledged. Clients reach every node that works: whom the nodes cannot reach, clients can.
"""

import random
from typing import Final

from .data import Entry
from .process import Process
from .world import World
from .writes import Write

SLOTS_PER_PRIMARY: Final = 4
MAX_REDIRECTS: Final = 4


class Clients:
    """All clients together."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"clients {world.options.seed}")
        bounds = world.options.slot_bounds
        self.slots = [first + step for first in bounds[:-1] for step in range(SLOTS_PER_PRIMARY)]
        self.believed: dict[int, Process] = {}
        self.refused = 0
        self.is_running = True

    def start(self) -> None:
        """Begins to write."""
        self.world.queue.push(self.world.queue.now, self._write, None, None)

    def _write(self, nothing: None, nothing_else: None) -> None:
        if self.is_running:
            slot = self.slots[self.rng.randrange(len(self.slots))]
            self.write(slot)
            when = self.world.queue.now + self.world.options.write_interval_ms
            self.world.queue.push(when, self._write, None, None)

    def write(self, slot: int) -> bool:
        """One write; whether it was acknowledged."""
        world = self.world
        process = self.believed.get(slot)
        if process is None or not process.is_working:
            process = world.processes[self.rng.randrange(len(world.processes))]
        for _ in range(MAX_REDIRECTS):
            if not process.is_working:
                break
            if process.may_write(slot):
                process = self._maybe_asked(process, slot)
                if process is None:
                    break
                self._acknowledge(process, slot)
                return True
            owner = process.core.state.owner_of(slot)
            if owner is None or owner.node_id == process.node_id:
                break
            process = world.by_id[owner.node_id]
        self.believed.pop(slot, None)
        self.refused += 1
        return False

    def _maybe_asked(self, process: Process, slot: int) -> Process | None:
        """Where a new key goes: a slot on the move takes it in at its target."""
        target_id = process.core.state.migrating_to.get(slot)
        if target_id is None:
            return process
        target = self.world.by_id[target_id]
        if not target.is_working or slot not in target.core.state.importing_from:
            return None
        if target.is_write_paused() or not target.core.state.is_ok:
            return None
        return target

    def _acknowledge(self, process: Process, slot: int) -> None:
        world = self.world
        number, now = len(world.writes), world.queue.now
        process.data.append(Entry(now, slot, (number,)))
        self.believed[slot] = process
        world.on_write(Write(number, slot, now, process.index))
