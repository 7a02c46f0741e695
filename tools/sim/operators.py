"""What operators order, in the middle of everything else.

Owns `Operators`: failovers, epochs, moving slots and replicas. Rules: an order that a node refuses
has no effect; orders follow each other after a while, and the operator may leave in between, as a
tool that is killed does.
"""

from collections.abc import Callable
from typing import Final

from ...gossip.commands import (
    AddSlots,
    BumpEpoch,
    DelSlots,
    Done,
    Failover,
    MeetNode,
    PublishToNodes,
    Replicate,
    Request,
    SetSlotImporting,
    SetSlotMigrating,
    SetSlotNode,
)
from .clients import SLOTS_PER_PRIMARY
from .data import Entry
from .process import Process
from .world import BUS_PORT, PORT, World

MAX_STEP_MS: Final = 400
GIVE_UP_CHANCE: Final = 0.04


class Operators:
    """All operators together."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.rng
        self.moving: set[int] = set()
        self.is_stopped = False

    def stop(self) -> None:
        """They go home: what is half done stays so."""
        self.is_stopped = True
        self.world.disturbed_slots |= self.moving

    def _order(self, process: Process, request: Request) -> bool:
        """Gives an order; whether it was carried out."""
        if isinstance(request, SetSlotNode):
            ordered = self.world.ordered
            ordered[request.node_id] = ordered.get(request.node_id, 0) | 1 << request.slot
        return process.is_working and isinstance(process.command(request), Done)

    def _pick(self, found: list[Process]) -> Process | None:
        return found[self.rng.randrange(len(found))] if found else None

    # ---- failovers and epochs ----

    def do_failover(self) -> None:
        """Orders a failover, sometimes at two replicas at once."""
        self.world.disturb()
        replicas = [p for p in self.world.live() if p.myself.is_replica]
        replica = self._pick(replicas)
        if replica is None:
            return
        chance = self.rng.random()
        request = Failover(force=chance < 0.5, takeover=chance < 0.15)
        self._order(replica, request)
        if self.rng.random() < 0.5:
            siblings = [p for p in replicas if p.myself.replica_of == replica.myself.replica_of]
            sibling = self._pick(siblings)
            if sibling is not None and sibling is not replica and sibling.myself.is_replica:
                self._order(sibling, request)

    def do_bump(self) -> None:
        """Bumps epochs; two at a time collide."""
        self.world.disturb()
        primaries = [p for p in self.world.live() if p.myself.is_primary]
        for _ in range(1 + self.rng.randrange(2)):
            primary = self._pick(primaries)
            if primary is not None:
                self._order(primary, BumpEpoch())
        if self.rng.random() < 0.4:
            # A takeover beside a bump: two primaries of one shard with the same epoch.
            primary = self._pick(primaries)
            replicas = [
                p
                for p in self.world.live()
                if primary is not None and p.myself.replica_of == primary.node_id
            ]
            replica = self._pick(replicas)
            if replica is not None and primary is not None:
                self._order(replica, Failover(force=True, takeover=True))
                self._order(primary, BumpEpoch())

    def do_publish(self) -> None:
        """Passes messages on over the bus, from everywhere."""
        for process in self.world.live():
            self._order(process, PublishToNodes(b"news", b"hello", sharded=False))

    def do_replicate(self) -> None:
        """Has a replica follow another primary."""
        self.world.disturb()
        replica = self._pick([p for p in self.world.live() if p.myself.is_replica])
        primary = self._pick([p for p in self.world.live() if p.myself.is_primary])
        if replica is not None and primary is not None:
            self._order(replica, Replicate(primary.node_id))

    # ---- moving a slot ----

    def do_reshard(self) -> None:
        """Moves a slot that clients write to, one order after the other."""
        bounds = self.world.options.slot_bounds
        slot = bounds[self.rng.randrange(len(bounds) - 1)] + self.rng.randrange(SLOTS_PER_PRIMARY)
        if slot in self.moving:
            return
        owners = [p for p in self.world.live() if p.myself.mask >> slot & 1]
        targets = [p for p in self.world.live() if p.myself.is_primary and p.myself.mask]
        source, target = self._pick(owners), self._pick(targets)
        if source is None or target is None or source is target:
            return
        self.moving.add(slot)
        if not self.world.is_calm_for(self.world.options.node_timeout_ms):
            self.world.disturbed_slots.add(slot)
        others = [p for p in targets if p is not source and p is not target]
        steps: list[Callable[[], object]] = [
            lambda: self._order(target, SetSlotImporting(slot, source.node_id)),
            lambda: self._order(source, SetSlotMigrating(slot, target.node_id)),
            lambda: self._move_keys(source, target, slot),
            lambda: self._hand_over(source, target, slot),
        ]
        if self.rng.random() < 0.5:
            steps += [
                lambda p=p: self._order(p, SetSlotNode(slot, target.node_id))  # type: ignore[misc]
                for p in others
            ]
        if self.rng.random() < 0.5:
            steps.append(lambda: self._order(source, BumpEpoch()))
        self._step(steps, (slot, self.world.queue.now))

    def _step(self, steps: list[Callable[[], object]], what: tuple[int, int]) -> None:
        slot, began = what
        if self.is_stopped:
            return
        if not self.world.is_calm_for(self.world.queue.now - began):
            self.world.disturbed_slots.add(slot)
        if not steps:
            self.moving.discard(slot)
            return
        if self.rng.random() < GIVE_UP_CHANCE:
            self.world.disturbed_slots.add(slot)
            return
        steps[0]()
        when = self.world.queue.now + self.rng.randrange(MAX_STEP_MS)
        self.world.queue.push(when, self._step, steps[1:], what)

    def _hand_over(self, source: Process, target: Process, slot: int) -> None:
        """Tells both who owns the slot now; the wrong way round, nobody claims it for a while."""
        request = SetSlotNode(slot, target.node_id)
        first, second = (target, source) if self.rng.random() < 0.7 else (source, target)
        if not self._order(first, request):
            # A tool that is refused leaves it at that.
            self.world.disturbed_slots.add(slot)
            return
        when = self.world.queue.now + self.rng.randrange(MAX_STEP_MS)
        if second is source:
            self.world.queue.push(when, self._order, source, request)
        else:
            self.world.queue.push(when, self._insist, target, slot)

    def _insist(self, target: Process, slot: int) -> None:
        """Has somebody take a slot that its source has given up already."""
        if any(p.is_up and p.myself.mask >> slot & 1 for p in self.world.processes):
            return
        if not target.is_working or target.myself.is_replica:
            found = [p for p in self.world.live() if p.myself.is_primary and p.myself.mask]
            target = self._pick(found) or target
        if target.is_working:
            self.world.disturbed_slots.add(slot)
            self._order(target, SetSlotNode(slot, target.node_id))
        when = self.world.queue.now + MAX_STEP_MS
        self.world.queue.push(when, self._insist, target, slot)

    def fix(self) -> bool:
        """What operators do about what no node can mend by itself; whether there was anything."""
        has_introduced = self._introduce()
        return self._give_orphans() or has_introduced

    def _introduce(self) -> bool:
        """Has nodes meet again that all moved at a time, so that none knows where another is."""
        live = self.world.live()
        found = live[:1]
        for process in found:
            found += [
                other
                for other in live
                if other not in found and (_knows(process, other) or _knows(other, process))
            ]
        lost = [process for process in live if process not in found]
        for process in lost:
            self._order(live[0], MeetNode(process.ip, PORT, BUS_PORT))
        return bool(lost)

    def _give_orphans(self) -> bool:
        """What `redis-cli --cluster fix` does about half moved slots."""
        live = self.world.live()
        primaries = [p for p in live if p.myself.is_primary and p.myself.mask]
        orphans = [
            slot
            for slot in sorted(self.world.disturbed_slots)
            if not any(p.myself.mask >> slot & 1 for p in live)
        ]
        for slot in orphans:
            for process in live:
                self._order(process, DelSlots((slot,)))
            self._order(primaries[0], AddSlots((slot,)))
            self._order(primaries[0], BumpEpoch())
        return bool(orphans)

    def _move_keys(self, source: Process, target: Process, slot: int) -> None:
        """Moves all keys at once: MIGRATE removes a key only after the target has it."""
        if not source.is_working or not target.is_working:
            return
        if source.core.state.migrating_to.get(slot) != target.node_id:
            return
        if slot not in target.core.state.importing_from:
            return
        now, writes = self.world.queue.now, source.data.slots.get(slot, set())
        if writes:
            target.data.append(Entry(now, slot, tuple(sorted(writes))))
            source.data.append(Entry(now, slot, is_removal=True))
            for number in sorted(writes):
                # From now on the target answers for it.
                self.world.writes[number].at = now
                self.world.writes[number].by = target.index


def _knows(process: Process, other: Process) -> bool:
    """Whether a node knows where another one lives."""
    node = process.core.state.nodes.get(other.node_id)
    return node is not None and node.has_address and node.ip == other.ip
