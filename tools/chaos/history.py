"""What happened in a run: operations, faults, what nodes saw, and what was left at the end.

Owns the records and their form on disk: one JSON object a line, the first for the run as a whole.
Rules: times are milliseconds of one steady clock, from the start of the load; an operation is "ok"
(answered), "fail" (certainly not done) or "info" (nobody knows); checkers read nothing else.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

import attrs
from attrs import Factory, define, frozen

from ...slots.hashing import key_slot
from .plan import Plan, PlanError, plan_from

OK: Final = "ok"
FAIL: Final = "fail"
INFO: Final = "info"

#: What is read or written: one element, nothing, several, or several of several.
Value = None | int | list["Value"]

READ: Final = "read"
WRITE: Final = "write"
PROBE: Final = "probe"


class HistoryError(Exception):
    """A recorded history cannot be read."""


@frozen
class Operation:
    """One request of one client."""

    client: str
    workload: str
    action: str
    """`read` or `write`."""
    key: str
    value: Value
    """What was written, or read."""
    start_ms: float
    end_ms: float
    outcome: str
    node: int = -1
    """Who answered; -1 if nobody did."""
    error: str = ""
    reply: Value = None
    """What a write answered, where that tells something."""
    replicas: int | None = None
    """What WAIT counted."""

    @property
    def slot(self) -> int:
        """Where its key lives."""
        return key_slot(self.key.encode())


@frozen
class FaultSpan:
    """One fault as it was in force."""

    kind: str
    start_ms: float
    end_ms: float
    nodes: tuple[int, ...]
    """Whom it hits."""
    others: tuple[int, ...] = ()
    """Whom they were cut off from, or whom slots went to."""
    is_one_way: bool = False
    reaches_clients: bool = True
    """Whether clients could go on talking to them."""
    slots: tuple[int, ...] = ()
    note: str = ""


@frozen
class ViewSpan:
    """What one node said about itself and the cluster, as long as it said so."""

    node: int
    start_ms: float
    end_ms: float
    role: str
    """`master`, `slave`, or empty while it did not answer."""
    is_ok: bool = False
    epoch: int = 0
    slots: tuple[tuple[int, int], ...] = ()
    """Ranges that it claims as its own."""
    owners: str = ""
    """A fingerprint of who owns what in its eyes."""
    failed: tuple[int, ...] = ()
    """Whom it sees as failed."""


@frozen
class FinalRead:
    """What was left of a key, after everything was mended."""

    workload: str
    key: str
    value: Value
    is_known: bool = True
    """Whether it could be read at all."""
    copies: Mapping[str, Value] = Factory(dict)
    """What replicas hold, by their number."""


@define
class History:
    """A whole run."""

    plan: Plan
    server: str = ""
    node_count: int = 0
    addresses: list[str] = Factory(list)
    load_end_ms: float = 0.0
    converged_ms: float | None = None
    """How long after the last fault all agreed; None if they never did."""
    stalled_ms: float = 0.0
    """How long our own clients stood still, since the machine was busy with other things."""
    complaint: str = ""
    """What was missing, if they did not."""
    operations: list[Operation] = Factory(list)
    faults: list[FaultSpan] = Factory(list)
    views: list[ViewSpan] = Factory(list)
    finals: list[FinalRead] = Factory(list)
    notes: list[str] = Factory(list)

    @property
    def timeout_ms(self) -> int:
        """The node timeout."""
        return self.plan.node_timeout_ms


_KINDS: Final[Mapping[str, type]] = {
    "operation": Operation,
    "fault": FaultSpan,
    "view": ViewSpan,
    "final": FinalRead,
}
_HEAD: Final = (
    "server",
    "node_count",
    "addresses",
    "load_end_ms",
    "converged_ms",
    "stalled_ms",
    "complaint",
)


def plan_tables(plan: Plan) -> dict[str, object]:
    """A plan as `plan_from` takes it."""
    tables = attrs.asdict(plan, filter=lambda _, value: value is not None)
    tables["workload"] = tables.pop("workloads")
    faults = tables.pop("faults")
    for fault in faults:
        fault.update(fault.pop("settings"))
        for side in ("targets", "towards"):
            words = list(fault.pop(side))
            if words:
                fault[side] = words
    tables["fault"] = list(faults)
    tables["workload"] = list(tables["workload"])
    return tables


def lines_of(history: History) -> Iterator[str]:
    """The history as JSON lines, without line ends."""
    head = {name: getattr(history, name) for name in _HEAD}
    yield json.dumps(
        {"record": "run", "plan": plan_tables(history.plan), "notes": history.notes, **head}
    )
    groups: Iterable[tuple[str, Iterable[attrs.AttrsInstance]]] = (
        ("fault", history.faults),
        ("view", history.views),
        ("operation", history.operations),
        ("final", history.finals),
    )
    for name, record in chain.from_iterable(((n, r) for r in records) for n, records in groups):
        yield json.dumps({"record": name, **attrs.asdict(record)}, separators=(",", ":"))


def _frozen_lists(fields: dict[str, object]) -> dict[str, object]:
    """Tuples where JSON only has lists."""
    for name in ("nodes", "others", "failed"):
        if isinstance(fields.get(name), list):
            fields[name] = tuple(fields[name])  # type: ignore[arg-type]
    slots = fields.get("slots")
    if isinstance(slots, list):
        fields["slots"] = tuple(tuple(each) if isinstance(each, list) else each for each in slots)
    return fields


def parse_history_untrusted(lines: Iterable[str]) -> History:
    """A history from its JSON lines; raises HistoryError."""
    history: History | None = None
    count = 0
    try:
        for line in lines:
            count += 1
            if not line.strip():
                continue
            fields = json.loads(line)
            name = fields.pop("record")
            if name == "run":
                history = History(plan_from(fields.pop("plan")), **fields)
                continue
            if history is None:
                raise HistoryError("line 1 does not describe the run")
            record = _KINDS[name](**_frozen_lists(fields))
            _list_for(history, name).append(record)
    except (ValueError, KeyError, TypeError, AttributeError, PlanError) as failure:
        raise HistoryError(f"line {count}: {failure!r}") from None
    if history is None:
        raise HistoryError("the file is empty")
    return history


def _list_for(history: History, name: str) -> list[object]:
    lists: Mapping[str, list[object]] = {
        "operation": history.operations,  # type: ignore[dict-item]
        "fault": history.faults,  # type: ignore[dict-item]
        "view": history.views,  # type: ignore[dict-item]
        "final": history.finals,  # type: ignore[dict-item]
    }
    return lists[name]
