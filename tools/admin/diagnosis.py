"""What is wrong with a cluster: everything that `check` tells and `fix` repairs.

Owns the findings. Rules: looking changes nothing; slots and keys are judged by `slots.plan_fix`,
the same as for the repair; what a node does not answer is a finding, too.
"""

from collections.abc import Iterable
from typing import Final

from attrs import field, frozen

from ...slots.hashing import SLOT_COUNT
from ...slots.plan_fix import NodeView, disagreements
from ...slots.slotset import SlotSet
from .failures import AdminError
from .moving import Job, jobs_of
from .topology import Cluster, Node

_FEW: Final = 3


@frozen
class Problem:
    """One thing that is wrong."""

    kind: str
    """Fixed words, for programs."""
    text: str
    nodes: tuple[str, ...] = ()
    slots: SlotSet = field(factory=SlotSet)


def key_counts(node: Node, slots: Iterable[int]) -> dict[int, int]:
    """How many keys a node holds in these slots; those without are left out."""
    wanted = list(slots)
    replies = node.connection.replies([("CLUSTER", "COUNTKEYSINSLOT", slot) for slot in wanted])
    counts = {}
    for slot, reply in zip(wanted, replies, strict=True):
        if isinstance(reply, Exception):
            raise node.connection.refusal(("CLUSTER", "COUNTKEYSINSLOT", slot), reply)
        if isinstance(reply, int) and reply:
            counts[slot] = reply
    return counts


def open_slots(cluster: Cluster) -> SlotSet:
    """Slots with a mark on any node that answers."""
    marks: set[int] = set()
    for node in cluster.reachable:
        marks |= node.line.migrating.keys() | node.line.importing.keys()
    return SlotSet.of(marks)


def active_jobs(cluster: Cluster) -> list[tuple[Node, Job]]:
    """Atomic migrations under way, once each, as their sources tell."""
    return [
        (node, job)
        for node in cluster.primaries
        if node.is_reachable
        for job in jobs_of(node.connection)
        if job.is_active and job.operation != "IMPORT"
    ]


def views_of(cluster: Cluster, *, with_strays: bool = True) -> list[NodeView]:
    """What `plan_fix` needs; `with_strays` also looks for keys in slots of others."""
    # The records of a migration under way look like damage; its own nodes look after it.
    busy = SlotSet()
    for _, job in active_jobs(cluster):
        busy |= job.slots
    watched = open_slots(cluster) | _disputed(cluster) | cluster.uncovered()
    views = []
    for node in cluster.nodes:
        line = node.line
        counts: dict[int, int] = {}
        if node.is_reachable and node.is_primary:
            foreign = line.slots.complement() if with_strays else SlotSet()
            counts = key_counts(node, (foreign | watched) - busy)
        views.append(
            NodeView(
                node.node_id,
                line.slots,
                {slot: other for slot, other in line.migrating.items() if slot not in busy},
                {slot: other for slot, other in line.importing.items() if slot not in busy},
                counts,
                is_replica=line.is_replica,
                is_reachable=node.is_reachable,
                owners=node.owners() if node.is_reachable else None,
            )
        )
    return views


def damaged_slots(cluster: Cluster) -> SlotSet:
    """Slots that no move can explain: without an owner or with several, and not open."""
    return (cluster.uncovered() | _disputed(cluster)) - open_slots(cluster)


def _disputed(cluster: Cluster) -> SlotSet:
    covered, twice = SlotSet(), SlotSet()
    for node in cluster.primaries:
        twice |= covered & node.line.slots
        covered |= node.line.slots
    return twice


def problems_of(cluster: Cluster, *, with_strays: bool = False) -> list[Problem]:
    """Everything that is wrong, worst first."""
    found = [
        Problem("unreachable", f"{node.name} does not answer: {node.failure.text}", (node.name,))
        for node in cluster.nodes
        if node.failure is not None
    ]
    uncovered = cluster.uncovered()
    if uncovered:
        text = f"{len(uncovered)} of {SLOT_COUNT} slots have no owner: {shortened(uncovered)}"
        found.append(Problem("uncovered", text, slots=uncovered))
    disputed = _disputed(cluster)
    if disputed:
        owners = [node.name for node in cluster.primaries if node.line.slots & disputed]
        text = f"slots with more than one owner: {shortened(disputed)} ({', '.join(owners)})"
        found.append(Problem("disputed", text, tuple(owners), disputed))
    for node in cluster.reachable:
        found += _problems_of_marks(node)
    found += _disagreement(cluster)
    found += _health(cluster)
    if with_strays:
        found += _strays(cluster)
    return found


def _problems_of_marks(node: Node) -> list[Problem]:
    return [
        Problem(
            "open",
            f"{node.name} has slots {word}: {shortened(SlotSet.of(marks))}",
            (node.name,),
            SlotSet.of(marks),
        )
        for word, marks in (("migrating", node.line.migrating), ("importing", node.line.importing))
        if marks
    ]


def _disagreement(cluster: Cluster) -> list[Problem]:
    found = []
    wrong = disagreements(views_without_counts(cluster))
    for node_id, slots in wrong.items():
        name = cluster.by_id(node_id).name
        text = f"{name} sees other owners than these themselves: {shortened(slots)}"
        found.append(Problem("disagreement", text, (name,), slots))
    if not found and (complaint := cluster.complaint()):
        found.append(Problem("disagreement", complaint))
    return found


def views_without_counts(cluster: Cluster) -> list[NodeView]:
    """Views for questions that do not depend on keys."""
    return [
        NodeView(
            node.node_id,
            node.line.slots,
            is_replica=node.line.is_replica,
            is_reachable=node.is_reachable,
            owners=node.owners() if node.is_reachable else None,
        )
        for node in cluster.nodes
    ]


def _health(cluster: Cluster) -> list[Problem]:
    found = []
    for node in cluster.reachable:
        sick = [
            f"{line.node_id[:8]} ({line.health})"
            for line in node.lines.values()
            if line.health != "ok"
        ]
        if sick:
            found.append(Problem("failing", f"{node.name} sees {', '.join(sick)}", (node.name,)))
        try:
            state = node.connection.text("CLUSTER", "INFO")
        except AdminError as failure:
            found.append(Problem("unreachable", failure.text, (node.name,)))
            continue
        if "cluster_state:ok" not in state:
            found.append(Problem("down", f"{node.name} says cluster_state:fail", (node.name,)))
    for node in cluster.replicas:
        primary = next((p for p in cluster.nodes if p.node_id == node.line.primary_id), None)
        if primary is None or not primary.is_primary:
            text = f"{node.name} follows {node.line.primary_id}, which is no master here"
            found.append(Problem("orphan", text, (node.name,)))
    return found


def _strays(cluster: Cluster) -> list[Problem]:
    found = []
    opened = open_slots(cluster)
    for node in cluster.primaries:
        if node.is_reachable:
            counts = key_counts(node, node.line.slots.complement() - opened)
            if counts:
                slots = SlotSet.of(counts)
                text = f"{node.name} holds {sum(counts.values())} keys in slots of others: "
                text += shortened(slots)
                found.append(Problem("stray-keys", text, (node.name,), slots))
    return found


def shortened(slots: SlotSet) -> str:
    """The ranges of a set, or the first few of many."""
    ranges = slots.text().split()
    more = f" and {len(ranges) - _FEW} more ranges" if len(ranges) > _FEW + 1 else ""
    return " ".join(ranges[:_FEW] if more else ranges) + more
