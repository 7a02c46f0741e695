"""What reads saw that they should not: the past, what is gone later, half of a transaction.

Owns stale and dirty reads. Rules: a read is stale if it misses what was acknowledged before it
began and is there at the end; it is dirty if it shows what was refused, or is gone at the end.
"""

from collections.abc import Mapping
from typing import Final

from attrs import Factory, define

from ..history import FAIL, OK, READ, WRITE, FinalRead, History, Operation, Value
from .base import Case, Finding, by_key, is_broken, together
from .lost_writes import ELEMENTS, Losses, elements_of
from .windows import Windows

STALE: Final = "stale-reads"
DIRTY: Final = "dirty-reads"


@define
class Reads:
    """What the checker found."""

    stale: int = 0
    stale_unexcused: int = 0
    dirty: int = 0
    findings: list[Finding] = Factory(list)
    stale_cases: list[Case] = Factory(list)
    dirty_cases: list[Case] = Factory(list)


def check_reads(history: History, windows: Windows, losses: Losses) -> Reads:
    """Look at every read that was answered."""
    result = Reads()
    finals = {final.key: final for final in history.finals if final.is_known}
    lost = {(loss.operation.key, loss.operation.value): loss for loss in losses.losses}
    groups = by_key(o for o in history.operations if o.workload in (*ELEMENTS, "register"))
    for key, group in groups.items():
        final = finals.get(key)
        writes = [o for o in group if o.action == WRITE and o.outcome == OK]
        refused = {o.value for o in group if o.action == WRITE and o.outcome == FAIL}
        for read in group:
            if read.action != READ or read.outcome != OK:
                continue
            if read.workload == "register":
                missed = _older_value(read, writes)
            else:
                missed = _missed(read, writes, final)
                _on_seen(result, history, read, final, refused, lost)
            if missed is not None and (key, missed.value) not in lost:
                _on_stale(result, history, windows, read, missed)
            _on_torn(result, read)
    result.findings += together(STALE, result.stale_cases)
    result.findings += together(DIRTY, result.dirty_cases)
    return result


def _missed(read: Operation, writes: list[Operation], final: FinalRead | None) -> Operation | None:
    """An acknowledged element that was not seen, though it is there at the end."""
    left = elements_of(final.value, read.workload) if final is not None else set()
    seen = elements_of(read.value, read.workload)
    return next(
        (w for w in writes if w.end_ms < read.start_ms and w.value in left - seen),
        None,
    )


def _older_value(read: Operation, writes: list[Operation]) -> Operation | None:
    """A write that came after the one that was read, and before the read."""
    source = next((w for w in writes if w.value == read.value), None)
    if source is None and read.value is not None:
        return None
    after_ms = source.end_ms if source is not None else -1.0
    return next((w for w in writes if w.start_ms > after_ms and w.end_ms < read.start_ms), None)


def _on_stale(
    result: Reads, history: History, windows: Windows, read: Operation, missed: Operation
) -> None:
    window = windows.maybe_for_read(read)
    if window is None and read.workload == "register":
        # The newer value may itself have been void; a register does not show it at the end.
        window = windows.maybe_for_write(missed)
    result.stale += 1
    result.stale_unexcused += window is None
    broken = is_broken(history.plan.promises.stale_reads, is_excused=window is not None)
    reason = window.reason if window is not None else "no excuse"
    group = f"reads of the past ({reason}), answered by node {read.node}"
    example = (
        f"{read.key} without {missed.value}, acknowledged by node {missed.node} "
        f"at {missed.end_ms / 1000:.2f} s"
    )
    result.stale_cases.append(Case(broken, group, example, read.start_ms))


def _on_seen(
    result: Reads,
    history: History,
    read: Operation,
    final: FinalRead | None,
    refused: set[Value],
    lost: Mapping[tuple[str, Value], object],
) -> None:
    if final is None:
        return
    seen = elements_of(read.value, read.workload)
    aborted = seen & {value for value in refused if isinstance(value, int)}
    if aborted:
        words = f"{read.key}: node {read.node} shows {sorted(aborted)[:5]}, which were refused"
        result.findings.append(Finding(DIRTY, True, words, read.start_ms))
    gone = seen - elements_of(final.value, read.workload)
    if not gone:
        return
    result.dirty += 1
    # What was lost was lost: the reads of it follow from that, and are judged with it.
    excuses = [lost.get((read.key, value)) for value in gone]
    has_excuse = all(getattr(loss, "window", True) is not None for loss in excuses)
    broken = is_broken(history.plan.promises.dirty_reads, is_excused=has_excuse)
    group = f"reads of what was lost later, answered by node {read.node}"
    example = f"{read.key} with {', '.join(map(str, sorted(gone)[:3]))}"
    result.dirty_cases.append(Case(broken, group, example, read.start_ms))


def _on_torn(result: Reads, read: Operation) -> None:
    if read.workload != "transaction" or not isinstance(read.value, list) or len(read.value) != 2:
        return
    one, other = read.value
    if one != other:
        words = f"{read.key}: node {read.node} showed half of a transaction"
        result.findings.append(Finding("torn", True, words, read.start_ms))
