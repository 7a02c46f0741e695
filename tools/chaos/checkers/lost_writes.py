"""Acknowledged writes that are gone at the end, and other things that a final look shows.

Owns: lost writes by window, holes (P05: what is lost on a crash is the end of what a node took, not
something in between), what was refused and done all the same, what is there twice, torn
transactions. Rules: only what was acknowledged can be lost; a key that could not be read is not
judged, but told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import Factory, define, frozen

from ..history import FAIL, OK, WRITE, FinalRead, History, Operation, Value
from .base import Case, Finding, acknowledged, by_key, is_broken, together
from .windows import Window, Windows

NAME: Final = "lost-writes"
ELEMENTS: Final = ("append", "set", "transaction")


@frozen
class Loss:
    """One acknowledged write that is gone."""

    operation: Operation
    window: Window | None

    def __str__(self) -> str:
        write = self.operation
        reason = self.window.reason if self.window is not None else "no excuse"
        return (
            f"{write.workload} {write.key} lost {write.value}, acknowledged by node {write.node} "
            f"at {write.end_ms / 1000:.2f} s ({reason})"
        )


@define
class Losses:
    """What the checker found."""

    losses: list[Loss] = Factory(list)
    findings: list[Finding] = Factory(list)
    acknowledged: int = 0

    @property
    def excused(self) -> int:
        """Lost in a window."""
        return sum(loss.window is not None for loss in self.losses)

    @property
    def unexcused(self) -> int:
        """Lost without an excuse."""
        return len(self.losses) - self.excused

    @property
    def waited(self) -> int:
        """Lost although a replica was said to have it."""
        return sum((loss.operation.replicas or 0) > 0 for loss in self.losses)


def elements_of(value: Value, workload: str) -> set[int]:
    """The elements that a value holds; of a transaction those on both lists."""
    if not isinstance(value, list):
        return set()
    if workload == "transaction":
        sides = [elements_of(side, "append") for side in value]
        return set.intersection(*sides) if sides else set()
    return {element for element in value if isinstance(element, int)}


def check_losses(history: History, windows: Windows) -> Losses:
    """Compare what was acknowledged with what is left."""
    result = Losses()
    finals = {final.key: final for final in history.finals if final.is_known}
    unread = [final.key for final in history.finals if not final.is_known]
    if unread:
        words = f"{len(unread)} keys could not be read at the end: {', '.join(unread[:5])}"
        result.findings.append(Finding(NAME, True, words))
    for kind, lost_of in _RULES.items():
        writes = acknowledged(history, kind)
        result.acknowledged += len(writes)
        for key, group in by_key(writes).items():
            if key in finals:
                lost, most = lost_of(group, finals[key])
                found = [Loss(each, windows.maybe_for_write(each)) for each in lost]
                # Where it cannot be told which, it was one that could be lost.
                found.sort(key=lambda loss: loss.window is None)
                result.losses += found[:most]
    result.findings += together(
        NAME, [_case(loss, history.plan.promises.lost_writes) for loss in result.losses]
    )
    result.findings += _holes(history, result.losses, finals)
    result.findings += _ghosts(history, finals)
    result.findings += _doubles(finals.values())
    return result


def _case(loss: Loss, tolerance: str) -> Case:
    write = loss.operation
    reason = loss.window.reason if loss.window is not None else "no excuse"
    return Case(
        is_broken(tolerance, is_excused=loss.window is not None),
        f"lost ({reason}), acknowledged by node {write.node}",
        f"{write.value} of {write.key}",
        write.end_ms,
    )


def _lost_elements(writes: Sequence[Operation], final: FinalRead) -> tuple[list[Operation], int]:
    left = elements_of(final.value, final.workload)
    lost = [write for write in writes if write.value not in left]
    return lost, len(lost)


def _lost_values(writes: Sequence[Operation], final: FinalRead) -> tuple[list[Operation], int]:
    """Writes of a register that came after the one that is left: it was rolled back to that."""
    if final.value is None:
        return list(writes), len(writes)
    left = next((write for write in writes if write.value == final.value), None)
    if left is None:
        # It is that of a write whose outcome was unknown, and may have come at any time after.
        return [], 0
    lost = [write for write in writes if write.start_ms > left.end_ms]
    return lost, len(lost)


def _lost_counts(writes: Sequence[Operation], final: FinalRead) -> tuple[list[Operation], int]:
    """How many increments are missing, and which may be it: answers given twice, or too high."""
    left = final.value if isinstance(final.value, int) else 0
    missing = len(writes) - left
    if missing <= 0:
        return [], 0
    seen: dict[Value, int] = {}
    for write in writes:
        seen[write.reply] = seen.get(write.reply, 0) + 1
    suspects = [
        write
        for write in writes
        if seen[write.reply] > 1 or (isinstance(write.reply, int) and write.reply > left)
    ]
    return suspects or list(writes), missing


_RULES: Final = {
    "append": _lost_elements,
    "set": _lost_elements,
    "transaction": _lost_elements,
    "register": _lost_values,
    "probe": _lost_values,
    "counter": _lost_counts,
}


def _holes(
    history: History, losses: Iterable[Loss], finals: Mapping[str, FinalRead]
) -> list[Finding]:
    """What a crashed node took later must be lost too: replicas get things in their order."""
    findings = []
    writes = by_key(acknowledged(history, *ELEMENTS))
    for loss in losses:
        window, lost = loss.window, loss.operation
        if window is None or window.reason != "crash" or lost.key not in finals:
            continue
        left = elements_of(finals[lost.key].value, lost.workload)
        for later in writes.get(lost.key, ()):
            is_same = later.node == lost.node and later.end_ms <= window.end_ms
            if is_same and later.start_ms > lost.end_ms and later.value in left:
                words = f"{loss}, but {later.value}, taken later, is there"
                findings.append(Finding("holes", True, words, lost.end_ms))
                break
    return findings


def _ghosts(history: History, finals: Mapping[str, FinalRead]) -> list[Finding]:
    """What was refused must not have been done."""
    findings = []
    for write in history.operations:
        if write.outcome != FAIL or write.action != WRITE or write.workload not in ELEMENTS:
            continue
        final = finals.get(write.key)
        if final is not None and write.value in elements_of(final.value, write.workload):
            words = f"{write.key}: {write.value} was refused ({write.error}), and is there"
            findings.append(Finding("ghosts", True, words, write.start_ms))
    return findings


def _doubles(finals: Iterable[FinalRead]) -> list[Finding]:
    findings = []
    for final in finals:
        if final.workload not in ("append", "transaction") or not isinstance(final.value, list):
            continue
        lists = final.value if final.workload == "transaction" else [final.value]
        for each in lists:
            if isinstance(each, list) and len(each) != len({str(element) for element in each}):
                words = f"{final.key} holds elements twice, though each was written once"
                findings.append(Finding("doubles", True, words))
                break
        if final.workload == "transaction" and len(lists) == 2 and lists[0] != lists[1]:
            one, other = (elements_of(side, "append") for side in lists)
            words = f"{final.key}: {len(one ^ other)} elements are on one list only"
            findings.append(Finding("torn", True, words))
    return findings


def outcomes(history: History) -> dict[str, int]:
    """How many operations ended how, probes left out."""
    counts: dict[str, int] = {}
    for each in history.operations:
        if each.workload != "probe":
            counts[each.outcome] = counts.get(each.outcome, 0) + 1
    return {OK: 0, **counts}
