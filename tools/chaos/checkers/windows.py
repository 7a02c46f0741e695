"""When may a write be lost, and a read be stale? The windows that asynchronous replication leaves.

Owns the excuses. Rules: there are three, and each needs a fault on the very node that answered:

* crash: it died (or froze for good) before the write had gone to whoever took its place: moments
  ago, or ever since a fault kept that successor from following it;
* deposed: it could not know yet that it had been replaced: cut off, for no longer than it may go on
  alone (and before that from its successor, who had nothing of it since), or back from a pause;
* reshard: the slot was on its way when one of the two nodes died.

The first two hold only if another node really took the slot over. Everything else is a broken
promise.
"""

from collections.abc import Sequence
from typing import Final

from attrs import Factory, define, frozen

from ..history import FaultSpan, History, Operation

#: How far a replica may be behind; on one machine it is a few milliseconds.
LAG_MS: Final = 1000.0
#: What the machine itself may add: processes wait for a processor.
SLACK_MS: Final = 500.0
#: How long a replica may take, once it can, until it follows its primary again.
RESYNC_MS: Final = 3000.0

LIVES: Final = ("kill", "stop", "pause")
LINKS: Final = ("isolate", "partition", "ring")


@frozen
class Window:
    """In which a node's answers may turn out to be void."""

    reason: str
    start_ms: float
    end_ms: float
    node: int | None = None
    """None: whoever answered."""
    slots: frozenset[int] | None = None
    """None: all."""
    successors: frozenset[int] | None = None
    """Who must have taken over; None: anybody."""

    def holds(self, operation: Operation, moment_ms: float) -> bool:
        """Whether it covers an operation."""
        return (
            self.start_ms <= moment_ms <= self.end_ms
            and self.node in (None, operation.node)
            and (self.slots is None or operation.slot in self.slots)
        )


def alone_limit_ms(timeout_ms: int) -> float:
    """How long a primary may go on after it was cut off: until it notices, and a little."""
    return 1.5 * timeout_ms + 100 + SLACK_MS


def _windows_of(fault: FaultSpan, history: History) -> list[Window]:
    start, end = fault.start_ms, fault.end_ms
    nodes = fault.nodes
    if fault.kind in ("kill", "stop"):
        return [Window("crash", start - LAG_MS, start + SLACK_MS, node) for node in nodes]
    if fault.kind == "pause":
        before = [Window("crash", start - LAG_MS, start + SLACK_MS, node) for node in nodes]
        return before + [Window("deposed", end - SLACK_MS, end + LAG_MS, node) for node in nodes]
    if fault.kind in LINKS:
        last = end + LAG_MS
        if not fault.is_one_way:
            # Who hears nobody must notice; who is not heard cannot, until he is told.
            last = min(start + alone_limit_ms(history.timeout_ms), last)
        cut = {*nodes, *fault.others}
        return [Window("deposed", start - LAG_MS, last, node) for node in sorted(cut)]
    if fault.kind == "slow":
        return [Window("deposed", start - LAG_MS, end + LAG_MS, node) for node in nodes]
    if fault.kind == "failover" and fault.note != "":
        return []
    return []


def _missed_windows(history: History) -> list[Window]:
    """What a node took that was lost while its successor had not caught up with it yet.

    A primary that was cut off comes back as a replica of who replaced it, and is elected again
    when that one crashes before it has sent its data. And a primary that is cut off from its
    replica alone goes on, rightly, but what it takes is nowhere else if it crashes, or is replaced.
    """
    windows = []
    for end in history.faults:
        if end.kind not in LIVES + LINKS:
            continue
        is_crash = end.kind in LIVES
        last_ms = end.start_ms + (SLACK_MS if is_crash else alone_limit_ms(history.timeout_ms))
        for node in end.nodes if is_crash else sorted({*end.nodes, *end.others}):
            for fault in history.faults:
                behind = frozenset({*fault.nodes, *fault.others} - {node})
                keeps_apart = fault.kind in LIVES + LINKS and fault is not end
                is_near = fault.start_ms < end.start_ms < fault.end_ms + RESYNC_MS
                if behind and keeps_apart and is_near:
                    reason = "crash" if is_crash else "deposed"
                    first_ms = fault.start_ms - LAG_MS
                    windows.append(Window(reason, first_ms, last_ms, node, successors=behind))
    return windows


def _reshard_windows(history: History) -> list[Window]:
    windows = []
    for move in history.faults:
        if move.kind != "migrate" or not move.slots:
            continue
        for fault in history.faults:
            hits = set(fault.nodes) & {*move.nodes, *move.others}
            overlaps = fault.start_ms < move.end_ms + LAG_MS and fault.end_ms > move.start_ms
            if fault.kind in LIVES + LINKS and hits and overlaps:
                windows.append(
                    Window("reshard", 0, fault.end_ms + LAG_MS, None, frozenset(move.slots))
                )
    return windows


@define
class Windows:
    """All windows of a run."""

    history: History
    all: list[Window] = Factory(list)

    def __attrs_post_init__(self) -> None:
        for fault in self.history.faults:
            self.all += _windows_of(fault, self.history)
        self.all += _missed_windows(self.history)
        self.all += _reshard_windows(self.history)

    def maybe_for_write(self, operation: Operation) -> Window | None:
        """The window in which a write was acknowledged that could not be kept."""
        return next((w for w in self._holding(operation, operation.end_ms)), None)

    def maybe_for_read(self, operation: Operation) -> Window | None:
        """The window in which a read may have been answered by somebody deposed."""
        moments = (operation.end_ms, operation.start_ms)
        return next((w for moment in moments for w in self._holding(operation, moment)), None)

    def _holding(self, operation: Operation, moment_ms: float) -> Sequence[Window]:
        return [
            window
            for window in self.all
            if window.holds(operation, moment_ms)
            and (window.reason == "reshard" or self._was_replaced(operation, window))
        ]

    def _was_replaced(self, operation: Operation, window: Window) -> bool:
        """Whether another node served the slot after the window had begun."""
        slot = operation.slot
        return any(
            view.node != operation.node
            and (window.successors is None or view.node in window.successors)
            and view.role == "master"
            and view.end_ms > window.start_ms
            and any(first <= slot <= last for first, last in view.slots)
            for view in self.history.views
        )
