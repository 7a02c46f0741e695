"""Clusters of real processes: nodes that can be killed and come back, and what they see.

Owns how benchmarks and tests make a cluster and look at it. Rules: nodes of both kinds are started
with the same options and looked at by the same commands, so that each figure and each check means
the same for both; whoever waits polls up to a deadline, and says at the end what was missing.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from ..wire import Argument, Caller, CallError, Reply
from .processes import CLUSTRIO, REDIS, ServerError, ServerProcess

SLOT_COUNT: Final = 16_384
POLL_S: Final = 0.02
#: Flags about the health of a node, as CLUSTER NODES words them.
PFAIL: Final = "fail?"
FAIL: Final = "fail"
#: How long a cluster may take for what takes it a second or two on a quiet machine.
PATIENCE_S: Final = 60.0


@frozen
class Line:
    """What CLUSTER NODES says about one node."""

    node_id: str
    address: str
    flags: frozenset[str]
    primary_id: str
    config_epoch: int
    is_linked: bool
    slots: tuple[str, ...]

    @property
    def role(self) -> str:
        """`master` or `slave`, as the wire has it."""
        return "slave" if "slave" in self.flags else "master"

    @property
    def health(self) -> str:
        """`fail`, `fail?` or nothing."""
        return next((flag for flag in (FAIL, PFAIL) if flag in self.flags), "")


def parse_nodes(text: str) -> dict[str, Line]:
    """The lines of CLUSTER NODES by id."""
    lines = {}
    for row in text.splitlines():
        node_id, address, flags, primary_id, _ping, _pong, epoch, link, *slots = row.split()
        lines[node_id] = Line(
            node_id,
            address,
            frozenset(flags.split(",")),
            primary_id,
            int(epoch),
            link == "connected",
            tuple(slots),
        )
    return lines


class ClusterNode(ServerProcess):
    """A server in cluster mode, which can be killed and started again at its port."""

    def __init__(self, command: Sequence[str], *arguments: str, timeout_ms: int = 2000) -> None:
        self._caller: Caller | None = None
        self.timeout_ms = timeout_ms
        options: tuple[str, ...] = (
            "--cluster-enabled",
            "yes",
            "--cluster-node-timeout",
            str(timeout_ms),
        )
        # Otherwise a real primary waits five seconds for more replicas before it sends its data.
        options += ("--repl-diskless-sync-delay", "0")
        name = "redis-server" if tuple(command) == REDIS else "clustrio-server"
        super().__init__(command, (*options, *arguments), name=name)

    @property
    def is_real(self) -> bool:
        """Whether this is a redis-server."""
        return self.command == REDIS

    def call(self, *arguments: Argument) -> Reply:
        """Ask over a connection that is kept, and made anew if it was lost before."""
        if self._caller is None:
            self._caller = Caller(self.port)
        try:
            return self._caller.call(*arguments)
        except OSError:
            self._caller.close()
            self._caller = None
            raise

    def text(self, *arguments: Argument) -> str:
        """Ask for what is a text."""
        reply = self.call(*arguments)
        assert isinstance(reply, bytes), reply
        return reply.decode()

    def number(self, *arguments: Argument) -> int:
        """Ask for what is a number."""
        reply = self.call(*arguments)
        assert isinstance(reply, int), reply
        return reply

    def items(self, *arguments: Argument) -> list[Reply]:
        """Ask for what is a list."""
        reply = self.call(*arguments)
        assert isinstance(reply, list), reply
        return reply

    @property
    def node_id(self) -> str:
        """The node's id at this moment."""
        return self.text("CLUSTER", "MYID")

    def lines(self) -> dict[str, Line]:
        """What the node sees of the cluster."""
        return parse_nodes(self.text("CLUSTER", "NODES"))

    def info(self) -> dict[str, str]:
        """CLUSTER INFO."""
        rows = self.text("CLUSTER", "INFO").split()
        return dict(row.split(":", 1) for row in rows)

    def serves(self, slot: int) -> bool:
        """Whether the node considers a slot its own."""
        for text in self.lines()[self.node_id].slots:
            first, _, last = text.partition("-")
            if first.isdigit() and int(first) <= slot <= int(last or first):
                return True
        return False

    def is_ok(self) -> bool:
        """Whether the node says that the cluster serves."""
        return self.info()["cluster_state"] == "ok"

    def kill(self) -> None:
        """End it as a crash does, and keep its directory and its port."""
        self._hang_up()
        process = self._process
        assert process is not None, "the server has stopped"
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(timeout=10.0)

    def start_again(self) -> None:
        """Start it anew after `kill`, with the same files at the same port."""
        self._start()

    def stop(self) -> None:
        """End it and remove its directory."""
        self._hang_up()
        super().stop()

    def _hang_up(self) -> None:
        caller, self._caller = getattr(self, "_caller", None), None
        if caller is not None:
            caller.close()


def start_clustrio_node(*arguments: str, timeout_ms: int = 2000) -> ClusterNode:
    """Start a Clustrio node from this very environment."""
    return ClusterNode(CLUSTRIO, *arguments, timeout_ms=timeout_ms)


def start_redis_node(*arguments: str, timeout_ms: int = 2000) -> ClusterNode:
    """Start a real redis-server as a node."""
    return ClusterNode(REDIS, *arguments, timeout_ms=timeout_ms)


@contextlib.contextmanager
def running(
    *, clustrio: int = 0, redis: int = 0, timeout_ms: int = 2000, arguments: Sequence[str] = ()
) -> Iterator[list[ClusterNode]]:
    """So many nodes of each kind, Clustrio's first, not yet in one cluster."""
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(ClusterNode(command, *arguments, timeout_ms=timeout_ms))
            for command, count in ((CLUSTRIO, clustrio), (REDIS, redis))
            for _ in range(count)
        ]


# ---- waiting -------------------------------------------------------------------------------------


def wait_until(
    what: str,
    complaint: Callable[[], str],
    nodes: Iterable[ServerProcess] = (),
    deadline_s: float = PATIENCE_S,
) -> float:
    """Poll until there is no complaint; the seconds it took. Raises ServerError with the last."""
    started_s = time.monotonic()
    while True:
        try:
            missing = complaint()
        except (OSError, CallError) as failure:
            missing = repr(failure)
        passed_s = time.monotonic() - started_s
        if not missing:
            return passed_s
        if passed_s > deadline_s:
            logs = "".join(f"\n--- {node.name}:\n{node.log()[-1500:]}" for node in nodes)
            raise ServerError(f"not within {deadline_s} s: {what}: {missing}{logs}")
        time.sleep(POLL_S)


def shape_of(lines: Mapping[str, Line]) -> dict[str, tuple[str, ...]]:
    """What all nodes must see alike: addresses, roles, primaries, epochs, slots, health."""
    return {
        line.node_id: (
            line.address,
            line.role,
            line.primary_id,
            str(line.config_epoch),
            " ".join(slot for slot in line.slots if not slot.startswith("[")),
            line.health,
        )
        for line in lines.values()
        if "handshake" not in line.flags
    }


def disagreement(nodes: Sequence[ClusterNode], count: int | None = None) -> str:
    """How the views of these nodes differ; empty if they are one. `count`: how many they see."""
    views = [shape_of(node.lines()) for node in nodes]
    for node, view in zip(nodes, views, strict=True):
        if count is not None and len(view) != count:
            return f"{node.name} {node.port} sees {len(view)} nodes, not {count}"
        if view != views[0]:
            different = {key: view.get(key) for key in view.keys() | views[0].keys()}
            different = {key: seen for key, seen in different.items() if seen != views[0].get(key)}
            expected = {key: views[0].get(key) for key in different}
            return f"{node.name} {node.port} sees {different}, {nodes[0].name} sees {expected}"
    return ""


def not_ok(nodes: Iterable[ClusterNode]) -> str:
    """Which nodes say that the cluster does not serve."""
    return ", ".join(f"{node.name} {node.port} says fail" for node in nodes if not node.is_ok())


# ---- making --------------------------------------------------------------------------------------


def slot_shares(count: int) -> list[tuple[int, int]]:
    """All slots in `count` ranges of about one size."""
    borders = [SLOT_COUNT * index // count for index in range(count + 1)]
    return [(first, last - 1) for first, last in pairwise(borders)]


def meet(first: ClusterNode, others: Iterable[ClusterNode]) -> None:
    """Have a node meet the others; the rest is gossip."""
    for other in others:
        first.call("CLUSTER", "MEET", "127.0.0.1", other.port)


def form(
    primaries: Sequence[ClusterNode], replicas: Sequence[tuple[ClusterNode, ClusterNode]] = ()
) -> None:
    """Make one cluster of these nodes, the slots shared evenly; `replicas`: (replica, primary)."""
    for epoch, (node, (first, last)) in enumerate(
        zip(primaries, slot_shares(len(primaries)), strict=True), 1
    ):
        node.call("CLUSTER", "ADDSLOTSRANGE", first, last)
        node.call("CLUSTER", "SET-CONFIG-EPOCH", epoch)
    nodes = [*primaries, *(replica for replica, _ in replicas)]
    meet(nodes[0], nodes[1:])
    count = len(nodes)
    wait_until("all nodes see each other", lambda: disagreement(nodes, count), nodes)
    for replica, primary in replicas:
        replica.call("CLUSTER", "REPLICATE", primary.node_id)
    wait_until("the cluster serves", lambda: not_ok(nodes), nodes)
    wait_until("all nodes see the same", lambda: disagreement(nodes, count), nodes)


def health_in(view: ClusterNode, node_id: str) -> str:
    """How a node finds another: empty, `fail?` or `fail`."""
    line = view.lines().get(node_id)
    return "unknown" if line is None else line.health


# ---- moving slots --------------------------------------------------------------------------------


def begin_move(nodes: Sequence[ClusterNode], slot: int) -> tuple[ClusterNode, ClusterNode]:
    """Open a slot between its owner and another node; (source, target)."""
    source = next(node for node in nodes if node.serves(slot))
    target = next(node for node in nodes if node is not source)
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
    return source, target


def end_move(nodes: Sequence[ClusterNode], slot: int, target: ClusterNode) -> None:
    """Give an open slot to its new owner, in all views."""
    for node in (target, *nodes):
        node.call("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
