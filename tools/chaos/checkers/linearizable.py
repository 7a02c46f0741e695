"""Is there one order of all operations on a key that explains every answer? (Wing, Gong; Lowe)

Owns the search. Rules: an operation takes effect at one moment between its start and its end; one
whose outcome is unknown takes effect at some moment after its start, or never; a refused one never
does. The search remembers what it has tried, and gives up after `LIMIT` states: "unknown" is an
honest answer.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from math import inf
from typing import Final

from attrs import frozen

from ..history import FAIL, INFO, OK, READ, WRITE, History, Operation, Value
from .base import by_key

LIMIT: Final = 100_000


class Answer(Enum):
    """What the search found."""

    YES = "linearizable"
    NO = "not linearizable"
    UNKNOWN = "unknown"


@frozen
class Call:
    """An operation as the search sees it."""

    start_ms: float
    end_ms: float
    is_read: bool
    value: Value
    """What was written, or read; of an increment what it answered (None: nobody knows)."""

    @property
    def is_certain(self) -> bool:
        """Whether it certainly took effect."""
        return self.end_ms != inf


#: The state after a call; None if the call cannot have had its answer in that state.
Step = Callable[[Value, Call], tuple[Value] | None]


def register_step(state: Value, call: Call) -> tuple[Value] | None:
    """A single value."""
    if not call.is_read:
        return (call.value,)
    return (state,) if state == call.value else None


def counter_step(state: Value, call: Call) -> tuple[Value] | None:
    """A number that INCR raises by one."""
    count = state if isinstance(state, int) else 0
    if call.is_read:
        return (state,) if state == call.value else None
    return (count + 1,) if call.value in (None, count + 1) else None


STEPS: Final[dict[str, Step]] = {"register": register_step, "counter": counter_step}


def calls_of(operations: Sequence[Operation], workload: str) -> list[Call]:
    """What the search needs to know of the operations on a key."""
    read_values = {o.value for o in operations if o.action == READ and isinstance(o.value, int)}
    calls = []
    for each in operations:
        if each.outcome == FAIL or (each.action == READ and each.outcome == INFO):
            continue
        is_lost = each.outcome == INFO
        if is_lost and workload == "register" and each.value not in read_values:
            # Nobody saw it: as if it never was.
            continue
        value = each.reply if workload == "counter" and each.action == WRITE else each.value
        end_ms = inf if is_lost else each.end_ms
        calls.append(Call(each.start_ms, end_ms, each.action == READ, value))
    return sorted(calls, key=lambda call: call.start_ms)


def search(calls: Sequence[Call], step: Step, state: Value = None, limit: int = LIMIT) -> Answer:
    """Look for an order, depth first."""
    certain = sum(1 << index for index, call in enumerate(calls) if call.is_certain)
    tried: set[tuple[int, str]] = set()
    stack: list[tuple[int, Value]] = [(0, state)]
    while stack:
        done, present = stack.pop()
        if done & certain == certain:
            return Answer.YES
        mark = (done, repr(present))
        if mark in tried:
            continue
        tried.add(mark)
        if len(tried) > limit:
            return Answer.UNKNOWN
        stack += _next(calls, step, done, present)
    return Answer.NO


def _next(calls: Sequence[Call], step: Step, done: int, present: Value) -> list[tuple[int, Value]]:
    """Every call that may come next: none that is left has ended before it began."""
    first_end_ms = min(
        (call.end_ms for index, call in enumerate(calls) if not done >> index & 1), default=inf
    )
    found = []
    for index, call in enumerate(calls):
        if call.start_ms > first_end_ms:
            break
        if done >> index & 1:
            continue
        after = step(present, call)
        if after is not None:
            found.append((done | 1 << index, after[0]))
    return found


def check_keys(history: History) -> dict[str, Answer]:
    """The answer for each key of registers and counters; the last look at it counts as a read."""
    answers = {}
    finals = {final.key: final for final in history.finals if final.is_known}
    for key, group in by_key(o for o in history.operations if o.workload in STEPS).items():
        workload = group[0].workload
        operations = list(group)
        if key in finals:
            late_ms = max(o.end_ms for o in operations) + 1
            value = finals[key].value
            operations.append(
                Operation("final", workload, READ, key, value, late_ms, late_ms + 1, OK)
            )
        answers[key] = search(calls_of(operations, workload), STEPS[workload])
    return answers
