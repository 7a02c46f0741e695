"""`LocalCluster`: a whole cluster on this machine in a second, and every way to break it.

    with LocalCluster() as cluster:
        client = cluster.client()
        client.set("key", "value")
        lost = cluster.kill(cluster.master_of("key"))
        cluster.wait_for_failover(lost)

Owns the nodes' lives; `faults.py` beside it owns the links and what is done to slots. Rules: all
calls block, for callers of any kind; `async with` starts and ends the cluster without blocking the
caller's loop, be it asyncio's or trio's.
"""

import atexit
import contextlib
import os
import random
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from ...slots.hashing import key_slot
from .engine import Engine, Launch
from .errors import LocalClusterError, NodeStartError
from .faults import Faults
from .folders import ClusterFolder
from .node import Node
from .off_loop import run_off_loop
from .ports import HeldPorts
from .relay import Relay
from .shape import HOST, NODES_FILE, NodePlan, check_shape, node_options, nodes_conf, plan_nodes
from .views import Snapshot, missing_for_service, missing_for_start, take_snapshot, wait_until

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster as AsyncioRedisCluster
    from redis.cluster import RedisCluster

    from .clients import TrioClient
    from .processes import ProcessEngine

THREADS: Final = "threads"
PROCESSES: Final = "processes"


class LocalCluster(Faults):
    """A cluster of Clustrio nodes, real servers, or both; also a context manager of both kinds."""

    def __init__(
        self,
        masters: int = 3,
        replicas: int = 1,
        *,
        mode: str | None = None,
        server: str | Sequence[str] | None = None,
        mix: bool = False,
        port: int | None = None,
        folder: str | os.PathLike[str] | None = None,
        node_timeout_ms: int = 1000,
        seed: int | None = None,
        relayed: bool = True,
        options: Mapping[str, str] | None = None,
        start_timeout_s: float = 60.0,
    ) -> None:
        """Nothing runs yet; `start` or `with` does that.

        `replicas` is per master. `mode` is "threads" (of this process) or "processes". `server` is
        a command to run in Clustrio's place, and `mix` runs it for every other node only. `port` is
        the first of a row; ports are found by themselves otherwise. Without `relayed`, links cannot
        be cut or slowed. `options` are directives for every node.
        """
        check_shape(masters, replicas)
        self.masters = masters
        self.replicas = replicas
        self._command = _command(server)
        self.mode = mode or (PROCESSES if self._command is not None else THREADS)
        if self.mode not in (THREADS, PROCESSES):
            raise LocalClusterError(f"mode is {THREADS!r} or {PROCESSES!r}, not {mode!r}")
        if self.mode == THREADS and self._command is not None:
            raise LocalClusterError("another server cannot run in a thread: use mode='processes'")
        self.seed = random.SystemRandom().getrandbits(32) if seed is None else seed
        self.node_timeout_ms = node_timeout_ms
        self.nodes: list[Node] = []
        self._mix = mix
        self._port = port
        self._wanted_folder = None if folder is None else Path(folder)
        self._relayed = relayed
        self._options = tuple((options or {}).items())
        self._start_timeout_s = start_timeout_s
        self._state_file: Path | None = None
        self._stack = contextlib.ExitStack()
        self._plans: list[NodePlan] = []
        self._engine: Engine | None = None
        self._relay: Relay | None = None
        self._is_altered = False
        self._full_disks: set[int] = set()
        self._starts = 0
        self._lock = threading.RLock()

    # --- start and end ----------------------------------------------------------------------

    def start(self) -> Self:
        """Start all nodes; returns when every one serves, and all see the same."""
        if self._engine is not None:
            raise LocalClusterError("the cluster runs already")
        atexit.register(self.close)
        try:
            count = self.masters * (1 + self.replicas)
            ports = HeldPorts(count, self._port, relayed=self._relayed)
            self._stack.callback(ports.close)
            self.folder = ClusterFolder(self._wanted_folder, watched=self.mode == THREADS)
            self._stack.callback(self.folder.close)
            path = self.folder.path
            commands = self._commands(count)
            self._plans = plan_nodes(
                self.masters, self.replicas, ports.nodes, path, commands, self.seed
            )
            self._engine = self._new_engine(ports.descriptors)
            self._stack.callback(self._engine.close)
            if self._relayed:
                self._relay = Relay(self._plans, self.seed)
                self._stack.callback(self._relay.close)
            self.nodes = [Node(plan, self._engine) for plan in self._plans]
            self._start_all(is_fresh=True)
        except BaseException:
            self.close()
            raise
        return self

    def start_detached(self, state_file: Path) -> Self:
        """Start nodes that can be left running; `state_file` is locked while they live."""
        if self.mode != PROCESSES or self._relayed:
            raise LocalClusterError("only processes without a relay can be left running")
        self._state_file = state_file
        return self.start()

    @property
    def supervisor_pid(self) -> int:
        """The process above the nodes, in a cluster of processes."""
        return self._process_engine().supervisor_pid

    def detach(self) -> None:
        """Leave the nodes running, and forget them; after `start_detached` only."""
        self._process_engine().detach()
        atexit.unregister(self.close)
        for node in self.nodes:
            node.hang_up()
        self._engine = None
        # The supervisor holds the ports by now, and removes the folder at its end.
        self._stack.pop_all()

    def _process_engine(self) -> "ProcessEngine":
        from .processes import ProcessEngine

        if not isinstance(self._engine, ProcessEngine):
            raise LocalClusterError("the nodes are no processes, or do not run")
        return self._engine

    def _new_engine(self, descriptors: Sequence[int]) -> Engine:
        # Either engine alone costs its imports.
        if self.mode == THREADS:
            from .threads import ThreadEngine

            return ThreadEngine()
        from .processes import ProcessEngine

        return ProcessEngine(self.folder.path, descriptors, self._state_file)

    def _commands(self, count: int) -> list[tuple[str, ...] | None]:
        """Which node runs what; with `mix`, a replica is never of its master's kind."""
        every_other = self._mix and self._command is not None
        return [
            None
            if every_other and (index % self.masters + index // self.masters) % 2
            else self._command
            for index in range(count)
        ]

    def _start_all(self, *, is_fresh: bool) -> None:
        for plan in self._plans:
            plan.folder.mkdir(parents=True, exist_ok=True)
            (plan.folder / NODES_FILE).write_bytes(nodes_conf(self._plans, plan.index))
        self._launch(self.nodes, is_fresh=is_fresh)
        self.wait_for_start()

    def _launch(self, nodes: Sequence[Node], *, is_fresh: bool) -> None:
        self._starts += 1
        launches = [
            Launch(
                plan,
                node_options(plan, self.node_timeout_ms, self._options),
                f"{self.seed} {self._starts} {plan.index}",
                is_fresh,
                plan.index in self._full_disks,
            )
            for plan in (self._plans[node.index] for node in nodes)
        ]
        self.engine.start(launches)
        for node in nodes:
            node.is_wanted, node.is_paused = True, False
            if self._relay is not None:
                self._relay.open_front(node.index)

    def wait_for_start(self) -> float:
        """Wait until every node serves and all see each other; the seconds it took."""

        def missing() -> str:
            for node in self.nodes:
                if not node.is_running:
                    raise NodeStartError(f"{node} ended:\n{node.log()[-3000:]}")
            return missing_for_start(self.nodes)

        return wait_until(missing, "the cluster serves", self._start_timeout_s, self.nodes)

    def close(self) -> None:
        """End all nodes, and remove what they left; may be called twice."""
        with self._lock:
            atexit.unregister(self.close)
            for node in self.nodes:
                node.hang_up()
                node.is_wanted = False
            self._engine = None
            self._relay = None
            self._stack.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        await run_off_loop(self.start)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await run_off_loop(self.close)

    @property
    def engine(self) -> Engine:
        """What runs the nodes; raises LocalClusterError while nothing runs."""
        if self._engine is None:
            raise LocalClusterError("the cluster does not run: use `with`, or start()")
        return self._engine

    # --- asking -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """A URL of one node, which knows the others."""
        return self._first_up().url

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where clients can begin."""
        return [(HOST, node.port) for node in self.nodes]

    def client(self, **options: object) -> "RedisCluster":
        """A redis-py cluster client; the cluster's end closes it. `options` go to redis-py."""
        from redis.cluster import RedisCluster

        make: Callable[..., RedisCluster] = RedisCluster
        client = make(host=HOST, port=self._first_up().port, **options)
        self._stack.callback(client.close)
        return client

    def asyncio_client(self, **options: object) -> "AsyncioRedisCluster":
        """A redis-py cluster client for asyncio; `async with` it, or await its `aclose`."""
        from redis.asyncio.cluster import RedisCluster

        make: Callable[..., RedisCluster] = RedisCluster
        return make(host=HOST, port=self._first_up().port, **options)

    def _first_up(self) -> Node:
        """A node that can tell a client about the others."""
        for node in self.nodes:
            if node.is_up:
                return node
        raise LocalClusterError("no node runs")

    def trio_client(self, timeout_s: float = 30.0) -> "TrioClient":
        """A small cluster client for trio; `async with` it."""
        from .clients import TrioClient

        return TrioClient([node.port for node in self.nodes], timeout_s)

    def snapshot(self) -> Snapshot:
        """What every node sees at this moment."""
        return take_snapshot(self.nodes)

    def master_of(self, key: str | bytes) -> Node:
        """The node that serves a key; of two that claim it, the one with the newer claim."""
        return self.master_of_slot(key_slot(key if isinstance(key, bytes) else key.encode()))

    def master_of_slot(self, slot: int) -> Node:
        """The node that serves a slot."""
        claims = []
        for node in self.nodes:
            if not node.is_up:
                continue
            for line in node.lines().values():
                if "myself" in line.flags and line.role == "master" and _owns(line.slots, slot):
                    claims.append((line.config_epoch, node))
        if not claims:
            raise LocalClusterError(f"nobody serves slot {slot}:\n{self.snapshot()}")
        return max(claims, key=lambda claim: claim[0])[1]

    def replicas_of(self, master: Node | int) -> list[Node]:
        """Who follows a node, as itself sees it."""
        master = self.node(master)
        known = master.lines()
        own_id = next(line.node_id for line in known.values() if "myself" in line.flags)
        addresses = {
            line.address.partition("@")[0]
            for line in known.values()
            if line.primary_id == own_id and not line.health
        }
        return [node for node in self.nodes if node.address in addresses]

    def node(self, node: Node | int) -> Node:
        """A node by its number, or itself."""
        return self.nodes[node] if isinstance(node, int) else node

    # --- waiting ----------------------------------------------------------------------------

    def wait_for(
        self, condition: Callable[[], object], what: str = "", timeout_s: float = 30.0
    ) -> float:
        """Wait until `condition` is true; WaitTimeoutError says what everybody saw to the end."""
        name = what or getattr(condition, "__name__", "a condition")
        return wait_until(lambda: "" if condition() else "not yet", name, timeout_s, self.nodes)

    def wait_for_ok(self, timeout_s: float = 30.0) -> float:
        """Wait until all nodes that run serve, are in sync, and see the same."""
        return wait_until(
            lambda: missing_for_service(self.nodes), "the cluster serves", timeout_s, self.nodes
        )

    def wait_for_failover(self, lost: Node | int, timeout_s: float = 30.0) -> float:
        """Wait until others serve what `lost` served when it was killed, paused or cut off."""
        lost = self.node(lost)

        def missing() -> str:
            for node in self.nodes:
                if node is lost or not node.is_up:
                    continue
                for line in node.lines().values():
                    is_lost = line.address.partition("@")[0] == lost.address
                    if is_lost and line.role == "master" and line.slots:
                        return f"{node} still sees slots at {lost}"
                if node.cluster_info().get("cluster_state") != "ok":
                    return f"{node} does not say cluster_state:ok"
            return ""

        return wait_until(missing, f"failover of {lost}", timeout_s, self.nodes)

    # --- lives of nodes ---------------------------------------------------------------------

    def kill(self, node: Node | int) -> Node:
        """End a node as a crash does (SIGKILL)."""
        return self._end(node, in_order=False)

    def stop(self, node: Node | int) -> Node:
        """End a node in good order (SIGTERM)."""
        return self._end(node, in_order=True)

    def _end(self, node: Node | int, *, in_order: bool) -> Node:
        node = self.node(node)
        self._is_altered = True
        node.hang_up()
        if node.is_running:
            if node.is_paused and in_order:
                self.resume(node)
            (self.engine.stop if in_order else self.engine.kill)(node.index)
        node.is_wanted = node.is_paused = False
        if self._relay is not None:
            self._relay.close_front(node.index)
        return node

    def restart(self, node: Node | int, *, wait: bool = True) -> Node:
        """Start a node again with the files that it left; kills it first if it runs."""
        node = self.node(node)
        if node.is_running:
            self.kill(node)
        self._launch([node], is_fresh=False)
        if wait:

            def missing() -> str:
                if not node.is_running:
                    raise NodeStartError(f"{node} ended:\n{node.log()[-3000:]}")
                return "" if node.call("PING") else "no answer"

            wait_until(missing, f"{node} answers", self._start_timeout_s, [node])
        return node

    def pause(self, node: Node | int) -> Node:
        """Freeze a node (SIGSTOP): it neither answers nor sees time pass."""
        node = self.node(node)
        if node.is_up:
            self._is_altered = True
            node.hang_up()
            self.engine.pause(node.index)
            node.is_paused = True
        return node

    def resume(self, node: Node | int) -> Node:
        """Let a frozen node go on (SIGCONT)."""
        node = self.node(node)
        if node.is_paused:
            self.engine.resume(node.index)
            node.is_paused = False
        return node

    # --- back to the beginning --------------------------------------------------------------

    def reset(self) -> None:
        """Make the cluster as it was at its start: no data, all nodes, first roles and slots.

        Where nothing but data changed this is a FLUSHALL on each master; otherwise the nodes are
        started anew with new files at the same ports.
        """
        self.heal()
        self.free_disk()
        self.clear_scripts()
        if not self._is_altered and self._is_as_planned():
            for node in self.nodes[: self.masters]:
                node.call("FLUSHALL")
            return
        for node in self.nodes:
            if node.is_running:
                self.kill(node)
        self.folder.empty()
        self._is_altered = False
        self._start_all(is_fresh=True)

    def _is_as_planned(self) -> bool:
        """Whether roles and slots are the first ones, and every node serves."""
        ids = [plan.node_id for plan in self._plans]
        for node, plan in zip(self.nodes, self._plans, strict=True):
            if not node.is_running or missing_for_service([node]):
                return False
            lines = node.lines()
            own = lines.get(plan.node_id)
            primary = "-" if plan.primary_index is None else ids[plan.primary_index]
            slots = (f"{plan.slots[0]}-{plan.slots[-1]}",) if plan.slots else ()
            if own is None or own.primary_id != primary or own.slots != slots:
                return False
            if lines.keys() != set(ids):
                return False
        return True

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)


def _command(server: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if server is None:
        return None
    words = shlex.split(server) if isinstance(server, str) else list(server)
    if not words:
        raise LocalClusterError("the server's command is empty")
    return tuple(words)


def _owns(ranges: Sequence[str], slot: int) -> bool:
    for text in ranges:
        first, _, last = text.partition("-")
        if first.isdigit() and int(first) <= slot <= int(last or first):
            return True
    return False
