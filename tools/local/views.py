"""What the nodes of a cluster see, and waiting until they see what they should.

Owns looking and waiting. Rules: whoever waits polls up to a deadline and then says what was missing
to the end; a node that is not meant to run is not asked.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from attrs import frozen

from ..bench.clusters import Line, shape_of
from ..wire import CallError
from .errors import LocalClusterError, NodeStartError, WaitTimeoutError
from .node import Node

POLL_S: Final = 0.01


@frozen
class NodeView:
    """What one node says."""

    index: int
    is_running: bool
    is_paused: bool
    cluster: Mapping[str, str]
    """CLUSTER INFO; empty if it cannot be asked."""
    nodes: Mapping[str, Line]
    """CLUSTER NODES by id."""
    replication: Mapping[str, str]
    """INFO replication."""

    def __str__(self) -> str:
        if not self.cluster:
            return f"node {self.index}: {'paused' if self.is_paused else 'down'}"
        link = self.replication.get("master_link_status")
        own = next(line for line in self.nodes.values() if "myself" in line.flags)
        words = [
            (line.address.partition("@")[0], line.role, line.health) for line in self.nodes.values()
        ]
        seen = ", ".join(" ".join(filter(None, each)) for each in words)
        return (
            f"node {self.index}: {own.role}, state {self.cluster.get('cluster_state')}"
            f"{', link ' + link if link else ''}, sees {seen}"
        )


@frozen
class Snapshot:
    """All views at about one moment."""

    views: tuple[NodeView, ...]

    @property
    def is_agreed(self) -> bool:
        """Whether all that can be asked see the same."""
        shapes = [shape_of(view.nodes) for view in self.views if view.cluster]
        return all(shape == shapes[0] for shape in shapes)

    def __str__(self) -> str:
        return "\n".join(map(str, self.views))


def view_of(node: Node) -> NodeView:
    """Ask one node."""
    if node.is_up:
        try:
            return NodeView(
                node.index,
                is_running=True,
                is_paused=False,
                cluster=node.cluster_info(),
                nodes=node.lines(),
                replication=node.info("replication"),
            )
        except (OSError, CallError, LocalClusterError):
            # Between alive and dead; the next look will tell.
            return NodeView(node.index, node.is_running, node.is_paused, {}, {}, {})
    return NodeView(node.index, node.is_running, node.is_paused, {}, {}, {})


def take_snapshot(nodes: Iterable[Node]) -> Snapshot:
    """Ask all nodes."""
    return Snapshot(tuple(map(view_of, nodes)))


def missing_for_service(nodes: Sequence[Node]) -> str:
    """What keeps the cluster from serving in all views; empty if nothing does."""
    snapshot = take_snapshot(nodes)
    for node, view in zip(nodes, snapshot.views, strict=True):
        if node.is_running and not node.is_paused and not view.cluster:
            return f"{node} does not answer"
        if view.cluster and view.cluster.get("cluster_state") != "ok":
            return f"{node} says cluster_state:{view.cluster.get('cluster_state')}"
        link = view.replication.get("master_link_status")
        if link is not None and link != "up":
            return f"{node} says master_link_status:{link}"
    if not snapshot.is_agreed:
        return f"the nodes see different things:\n{snapshot}"
    return ""


def missing_for_start(nodes: Sequence[Node]) -> str:
    """As above; every node must also have a link to every other."""
    missing = missing_for_service(nodes)
    if missing:
        return missing
    for node in nodes:
        lines = node.lines().values()
        if len(lines) != len(nodes):
            return f"{node} sees {len(lines)} nodes, not {len(nodes)}"
        for line in lines:
            if not line.is_linked:
                return f"{node} has no link to {line.address}"
    return ""


def wait_until(
    complaint: Callable[[], object],
    what: str,
    timeout_s: float,
    nodes: Sequence[Node],
) -> float:
    """Poll until there is no complaint; the seconds it took."""
    started_s = time.monotonic()
    while True:
        try:
            missing = complaint()
        except NodeStartError:
            # Nothing will come of waiting.
            raise
        except (OSError, CallError, LocalClusterError) as failure:
            missing = f"{type(failure).__name__}: {failure}"
        passed_s = time.monotonic() - started_s
        if not missing:
            return passed_s
        if passed_s > timeout_s:
            raise WaitTimeoutError(
                f"not within {timeout_s} s: {what}: {missing}\n{take_snapshot(nodes)}"
            )
        time.sleep(POLL_S)
