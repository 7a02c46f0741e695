"""Who served when: gaps in service for each shard, failover times, two who serve one slot.

Owns availability (by the probes), failovers, split brain, and a minority that goes on writing
(P02). Rules: a gap lasts from the last write that was answered to the next one; split brain is
counted while two nodes were both seen to claim a slot and to serve.
"""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import Final

from attrs import frozen

from ..history import OK, PROBE, WRITE, FaultSpan, History, Operation, ViewSpan
from .base import Finding, by_key
from .windows import LINKS, LIVES, alone_limit_ms

#: A shorter pause between two answers is no gap.
GAP_MS: Final = 500.0
#: A failover that takes longer after its fault has ended has another cause.
_AFTER_MS: Final = 5000.0
#: Who is hit may have answered so long before that: a probe comes and goes.
_AT_ONCE_MS: Final = 500.0


@frozen
class Gap:
    """A time in which a slot took no write."""

    key: str
    slot: int
    start_ms: float
    end_ms: float

    @property
    def seconds(self) -> float:
        """How long."""
        return (self.end_ms - self.start_ms) / 1000


@frozen
class Failover:
    """Another node took over what a fault had taken."""

    fault: str
    node: int
    successor: int
    start_ms: float
    """When the fault began."""
    end_ms: float
    """When the other one answered its first write."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.end_ms - self.start_ms) / 1000


def _probes(history: History) -> dict[str, list[Operation]]:
    return by_key(o for o in history.operations if o.workload == PROBE)


def find_gaps(history: History) -> list[Gap]:
    """All gaps of all probes."""
    gaps = []
    for key, probes in _probes(history).items():
        answered = [probe.end_ms for probe in probes if probe.outcome == OK]
        moments = [0.0, *answered, history.load_end_ms]
        for one, other in pairwise(moments):
            if other - one > GAP_MS:
                gaps.append(Gap(key, probes[0].slot, one, other))
    return sorted(gaps, key=lambda gap: gap.start_ms)


def find_failovers(history: History) -> list[Failover]:
    """For each fault and shard, when somebody else wrote in place of who was hit.

    Its cause is the last fault that hit a node which had just answered: a link that was cut before
    and did it no harm is none, nor is what came when it was silent already.
    """
    found: dict[tuple[float, int], Failover] = {}
    for probes in _probes(history).values():
        answered = [probe for probe in probes if probe.outcome == OK]
        for fault in sorted(history.faults, key=lambda each: each.start_ms):
            failover = _maybe_failover(fault, answered)
            if fault.kind not in (*LIVES, *LINKS) or failover is None:
                continue
            place = failover.end_ms, failover.successor
            last_ms = max(
                each.end_ms
                for each in answered
                if each.node == failover.node and each.end_ms <= failover.end_ms
            )
            if place not in found or fault.start_ms <= last_ms + _AT_ONCE_MS:
                found[place] = failover
    return sorted(found.values(), key=lambda failover: failover.start_ms)


def _maybe_failover(fault: FaultSpan, answered: Sequence[Operation]) -> Failover | None:
    before = [probe for probe in answered if probe.end_ms <= fault.start_ms]
    hit = {*fault.nodes, *fault.others} if fault.kind in LINKS else set(fault.nodes)
    if not before or before[-1].node not in hit:
        return None
    node = before[-1].node
    for probe in answered:
        if probe.end_ms > fault.end_ms + _AFTER_MS:
            break
        if probe.start_ms >= fault.start_ms and probe.node not in (node, -1):
            return Failover(fault.kind, node, probe.node, fault.start_ms, probe.end_ms)
    return None


def owner_changes(history: History) -> int:
    """How often the node that answered the probes of a shard was another than before."""
    changes = 0
    for probes in _probes(history).values():
        nodes = [probe.node for probe in probes if probe.outcome == OK]
        changes += sum(one != other for one, other in pairwise(nodes))
    return changes


# ---- split brain ---------------------------------------------------------------------------------


def _share_slots(one: ViewSpan, other: ViewSpan) -> bool:
    return any(a <= d and c <= b for a, b in one.slots for c, d in other.slots)


def split_brains(history: History) -> list[tuple[float, float, int, int]]:
    """When two nodes both claimed a slot and served: start, end, and who."""
    serving = [view for view in history.views if view.role == "master" and view.is_ok]
    found = []
    for one, other in combinations(serving, 2):
        start_ms = max(one.start_ms, other.start_ms)
        end_ms = min(one.end_ms, other.end_ms)
        if one.node != other.node and start_ms < end_ms and _share_slots(one, other):
            found.append((start_ms, end_ms, one.node, other.node))
    return sorted(found)


def union_s(spans: Iterable[tuple[float, float]]) -> float:
    """How long at least one of the spans lasts, in seconds."""
    total_ms, last_ms = 0.0, float("-inf")
    for start_ms, end_ms in sorted(spans):
        total_ms += max(0.0, end_ms - max(start_ms, last_ms))
        last_ms = max(last_ms, end_ms)
    return total_ms / 1000


def late_minority_writes(history: History) -> list[Finding]:
    """P02: who is alone takes no write once it must have noticed."""
    findings = []
    writes = [o for o in history.operations if o.outcome == OK and o.action == WRITE]
    for fault in history.faults:
        if fault.kind != "isolate" or history.plan.masters < 3:
            continue
        limit_ms = fault.start_ms + alone_limit_ms(history.timeout_ms)
        late = [
            write
            for write in writes
            if write.node in fault.nodes
            and limit_ms < write.start_ms
            and write.end_ms < fault.end_ms
        ]
        if late:
            words = (
                f"node {late[0].node}, cut off at {fault.start_ms / 1000:.2f} s, took {len(late)} "
                f"writes after {limit_ms / 1000:.2f} s, the last at {late[-1].end_ms / 1000:.2f} s"
            )
            findings.append(Finding("minority", True, words, late[0].end_ms))
    return findings
