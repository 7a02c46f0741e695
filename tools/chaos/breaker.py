"""Carries out the faults of a plan on a local cluster, and writes down what was in force when.

Owns the faults in a history. Rules: what a fault began its end takes back, but for what another
one is still there for, and `mend_all` takes back everything; whatever takes time (moving slots,
taking over) is done in a thread beside.
"""

import contextlib
import random
import re
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Final, TypeVar

from ..local.cluster import LocalCluster
from ..local.errors import LocalClusterError
from ..local.faults import CLIENTS_SIDE
from ..local.node import Node
from ..local.relay import Pair
from ..local.shape import slot_ranges
from ..wire import CallError
from .history import FaultSpan
from .observer import ranges_of
from .plan import FAULTS, FaultPlan, Plan
from .recorder import Recorder
from .targets import CLIENTS, resolve, ring_cuts

_FAILURES: Final = (OSError, CallError, LocalClusterError)
_OPEN_SLOT: Final = re.compile(r"\[(\d+)-([<>])-(\w+)\]")
_JOIN_TIMEOUT_S: Final = 30.0

Undo = Callable[[], None]
H = TypeVar("H", bound=Hashable)


class LiveRoles:
    """Who serves which shard, as the nodes say."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._cluster = cluster
        self._middles = [slots[len(slots) // 2] for slots in slot_ranges(cluster.masters)]
        self._last = list(range(cluster.masters))

    def primary_of_shard(self, shard: int) -> int:
        """The node that serves it; the last known, if nobody does."""
        with contextlib.suppress(*_FAILURES):
            self._last[shard] = self._cluster.master_of_slot(self._middles[shard]).index
        return self._last[shard]

    def replicas_of_shard(self, shard: int) -> list[int]:
        """Who follows it; the other planned nodes of the shard, if it cannot be asked."""
        primary = self.primary_of_shard(shard)
        with contextlib.suppress(*_FAILURES):
            found = [node.index for node in self._cluster.replicas_of(primary)]
            if found:
                return found
        planned = range(shard, len(self._cluster.nodes), self._cluster.masters)
        return [index for index in planned if index != primary]


class Holds:
    """Which faults are there for what: a node that is down, a link that is cut."""

    def __init__(self) -> None:
        self._counts: Counter[Hashable] = Counter()

    def take(self, what: str, things: Iterable[H]) -> Callable[[], list[H]]:
        """One more fault is there for these; returns what ends that, and tells which are free."""
        held = list(things)
        self._counts.update((what, thing) for thing in held)

        def release() -> list[H]:
            self._counts.subtract((what, thing) for thing in held)
            return [thing for thing in held if self._counts[what, thing] <= 0]

        return release


class Breaker:
    """Begins and ends faults."""

    def __init__(
        self,
        plan: Plan,
        cluster: LocalCluster,
        recorder: Recorder,
        hot_slots: Callable[[], list[int]],
    ) -> None:
        """`hot_slots` are those in which there is something to move."""
        self._plan = plan
        self._cluster = cluster
        self._recorder = recorder
        self._hot_slots = hot_slots
        self._chance = random.Random(f"targets {plan.seed}")
        self._roles = LiveRoles(cluster)
        self._threads: list[threading.Thread] = []
        self._is_over = threading.Event()
        self._holds = Holds()

    def begin(self, fault: FaultPlan) -> Undo:
        """Bring a fault into force; returns what ends it."""
        nodes = self._resolve(fault.targets, ())
        others = self._resolve(fault.towards, nodes)
        settings = {**FAULTS[fault.kind], **fault.settings}
        starts: dict[str, Callable[[], Undo]] = {
            "kill": partial(self._end_nodes, nodes, self._cluster.kill),
            "stop": partial(self._end_nodes, nodes, self._cluster.stop),
            "pause": partial(self._pause, nodes),
            "isolate": partial(self._isolate, nodes, with_clients=bool(settings.get("clients"))),
            "partition": partial(
                self._partition, nodes, others, one_way=bool(settings.get("one_way"))
            ),
            "ring": self._ring,
            "slow": partial(self._slow, nodes, settings),
            "fill_disk": partial(self._fill, nodes),
            "migrate": partial(self._migrate, nodes, others, settings),
            "failover": partial(self._failover, nodes, str(settings.get("option", ""))),
        }
        if fault.kind == "ring":
            nodes = [node.index for node in self._cluster.nodes]
        # Not before: to ask who is primary may take a while.
        start_ms = self._recorder.now_ms()
        undo = starts[fault.kind]()
        if fault.kind in ("migrate", "failover"):
            # It writes down itself how long it took.
            return undo
        return partial(self._finish, fault, start_ms, tuple(nodes), tuple(others), undo)

    def _resolve(self, words: Iterable[str], without: Sequence[int]) -> list[int]:
        return resolve(list(words), self._plan, self._roles, self._chance, without)

    def _finish(
        self,
        fault: FaultPlan,
        start_ms: float,
        nodes: tuple[int, ...],
        others: tuple[int, ...],
        undo: Undo,
    ) -> None:
        cuts_clients = bool(fault.settings.get("clients")) or CLIENTS in others
        end_ms = self._recorder.now_ms()
        undo()
        self._recorder.history.faults.append(
            FaultSpan(
                kind=fault.kind,
                start_ms=start_ms,
                end_ms=end_ms,
                nodes=nodes,
                others=others,
                is_one_way=bool(fault.settings.get("one_way")),
                reaches_clients=not cuts_clients,
            )
        )

    # --- lives ------------------------------------------------------------------------------

    def _end_nodes(self, nodes: list[int], end: Callable[[Node], Node]) -> Undo:
        release = self._holds.take("down", nodes)
        for node in map(self._cluster.node, nodes):
            if node.is_running:
                end(node)

        def start_again() -> None:
            for node in map(self._cluster.node, release()):
                if not node.is_running:
                    self._start(node)

        return start_again

    def _start(self, node: Node) -> None:
        try:
            self._cluster.restart(node, wait=False)
        except _FAILURES as failure:
            self._recorder.note(f"{node} does not start: {failure}")

    def _pause(self, nodes: list[int]) -> Undo:
        running = [index for index in nodes if self._cluster.node(index).is_running]
        release = self._holds.take("paused", running)
        for index in running:
            self._cluster.pause(index)

        def resume() -> None:
            for index in release():
                self._cluster.resume(index)

        return resume

    # --- links ------------------------------------------------------------------------------

    def _sides(self, nodes: Iterable[int]) -> list[Node | int | str]:
        return [CLIENTS_SIDE if node == CLIENTS else node for node in nodes]

    def _isolate(self, nodes: list[int], *, with_clients: bool) -> Undo:
        everybody = [*range(len(self._cluster.nodes)), *([CLIENTS] if with_clients else [])]
        return self._cut([([node], everybody) for node in nodes])

    def _partition(self, nodes: list[int], others: list[int], *, one_way: bool) -> Undo:
        return self._cut([(nodes, others)], one_way=one_way)

    def _cut(self, cuts: Iterable[tuple[list[int], list[int]]], *, one_way: bool = False) -> Undo:
        pairs: set[Pair] = set()
        for nodes, others in cuts:
            a, b = self._sides(nodes), self._sides(others)
            pairs |= self._cluster.pairs(a, b, one_way=one_way)
            self._cluster.partition(a, b, one_way=one_way)
        release = self._holds.take("cut", pairs)
        return lambda: self._cluster.mend(cuts=release())

    def _ring(self) -> Undo:
        cuts = ring_cuts([node.index for node in self._cluster.nodes])
        return self._cut([([one], [other]) for one, other in cuts])

    def _slow(self, nodes: list[int], settings: dict[str, float | str | bool]) -> Undo:
        pairs = self._cluster.pairs(nodes, [*self._cluster.nodes, CLIENTS_SIDE])
        release = self._holds.take("slow", pairs)
        for node in nodes:
            self._cluster.slow(
                node,
                float(settings["latency_ms"]),
                float(settings["jitter_ms"]),
                float(settings["loss"]),
            )
        return lambda: self._cluster.mend(slow=release())

    # --- disks ------------------------------------------------------------------------------

    def _fill(self, nodes: list[int]) -> Undo:
        release = self._holds.take("full", nodes)
        for node in nodes:
            self._cluster.fill_disk(node)

        def free() -> None:
            for node in release():
                self._cluster.free_disk(node)

        return free

    # --- orders -----------------------------------------------------------------------------

    def _beside(
        self, fault: str, nodes: list[int], others: list[int], do: Callable[[], str]
    ) -> Undo:
        start_ms = self._recorder.now_ms()
        slots: tuple[int, ...] = ()
        if fault == "migrate":
            slots = self._slots_to_move

        def run() -> None:
            try:
                note = do()
            except _FAILURES as failure:
                note = f"given up: {failure}".splitlines()[0][:300]
                self._recorder.note(f"{fault} {note}")
            span = FaultSpan(
                fault,
                start_ms,
                self._recorder.now_ms(),
                tuple(nodes),
                tuple(others),
                slots=slots,
                note=note,
            )
            self._recorder.history.faults.append(span)

        thread = threading.Thread(target=run, name=f"clustrio-chaos-{fault}", daemon=True)
        self._threads.append(thread)
        thread.start()
        return lambda: None

    _slots_to_move: tuple[int, ...] = ()

    def _migrate(
        self, nodes: list[int], others: list[int], settings: dict[str, float | str | bool]
    ) -> Undo:
        source, target = self._cluster.node(nodes[0]), self._cluster.node(others[0])
        own = next(line for line in source.lines().values() if "myself" in line.flags)
        owned = [slot for a, b in ranges_of(own.slots) for slot in range(a, b + 1)]
        hot = [slot for slot in dict.fromkeys(reversed(self._hot_slots())) if slot in set(owned)]
        chosen = [*hot, *(slot for slot in owned if slot not in hot)][: int(settings["slots"])]
        self._slots_to_move = tuple(chosen)

        def move() -> str:
            keys = 0
            for slot in chosen:
                if self._is_over.is_set():
                    return "stopped"
                keys += self._cluster.migrate(slot, target)
            return f"{len(chosen)} slots, {keys} keys"

        return self._beside("migrate", nodes, others, move)

    def _failover(self, nodes: list[int], option: str) -> Undo:
        replica = nodes[0]
        return self._beside(
            "failover",
            nodes,
            [],
            lambda: f"took {self._cluster.failover(replica, option):.2f} s",
        )

    # --- the end ----------------------------------------------------------------------------

    def mend_all(self) -> None:
        """All links whole, all nodes up, nothing left half done but slots."""
        self._is_over.set()
        self._cluster.heal()
        self._cluster.free_disk()
        for node in self._cluster.nodes:
            self._cluster.resume(node)
        for node in self._cluster.nodes:
            if not node.is_running:
                if node.is_wanted:
                    last = node.log().strip().splitlines()[-1:]
                    self._recorder.note(f"{node} had ended by itself: {' '.join(last)[:300]}")
                self._start(node)
        for thread in self._threads:
            thread.join(_JOIN_TIMEOUT_S)

    def finish_slots(self) -> int:
        """Finish what was begun with slots, as `redis-cli --cluster fix` would; how many."""
        finished = 0
        for slot, target in self._open_slots():
            try:
                if self._cluster.master_of_slot(slot) is target:
                    self._settle(slot, target)
                else:
                    self._cluster.migrate(slot, target)
                finished += 1
            except _FAILURES as failure:
                self._recorder.note(f"slot {slot} cannot be finished: {failure}".splitlines()[0])
        return finished

    def _settle(self, slot: int, owner: Node) -> None:
        name = owner.text("CLUSTER", "MYID")
        for node in self._cluster.nodes:
            with contextlib.suppress(*_FAILURES):
                node.call("CLUSTER", "SETSLOT", slot, "NODE", name)

    def _open_slots(self) -> list[tuple[int, Node]]:
        """Each slot on the move, and where to."""
        found: dict[int, Node] = {}
        by_id: dict[str, Node] = {}
        wanted: dict[int, str] = {}
        for node in self._cluster.nodes:
            with contextlib.suppress(*_FAILURES):
                for line in node.lines().values():
                    if "myself" not in line.flags:
                        continue
                    leader = line.node_id if line.role == "master" else line.primary_id
                    by_id[line.node_id] = node
                    for slot, way, other in _OPEN_SLOT.findall(" ".join(line.slots)):
                        wanted.setdefault(int(slot), leader if way == "<" else other)
        leaders = self._leaders()
        for slot, node_id in wanted.items():
            target = by_id.get(leaders.get(node_id, node_id))
            if target is not None:
                found[slot] = target
        return sorted(found.items())

    def _leaders(self) -> dict[str, str]:
        """For each replica whom it follows: it may have been a primary when slots were sent."""
        for node in self._cluster.nodes:
            with contextlib.suppress(*_FAILURES):
                lines = node.lines().values()
                return {each.node_id: each.primary_id for each in lines if each.role == "slave"}
        return {}
