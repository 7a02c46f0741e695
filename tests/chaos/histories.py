"""Histories made by hand, as checkers are given them."""

from collections.abc import Sequence

from clustrio.tools.chaos.history import (
    OK,
    PROBE,
    READ,
    WRITE,
    FaultSpan,
    FinalRead,
    History,
    Operation,
    Value,
    ViewSpan,
)
from clustrio.tools.chaos.plan import DEFAULT_WORKLOADS, Plan, Promises


def write(
    key: str,
    value: Value,
    start_ms: float,
    end_ms: float | None = None,
    *,
    workload: str = "append",
    outcome: str = OK,
    node: int = 0,
    reply: Value = None,
    replicas: int | None = None,
) -> Operation:
    return Operation(
        "client",
        workload,
        WRITE,
        key,
        value,
        start_ms,
        start_ms + 1 if end_ms is None else end_ms,
        outcome,
        node,
        reply=reply,
        replicas=replicas,
    )


def read(
    key: str,
    value: Value,
    start_ms: float,
    end_ms: float | None = None,
    *,
    workload: str = "append",
    node: int = 0,
) -> Operation:
    last_ms = start_ms + 1 if end_ms is None else end_ms
    return Operation("reader", workload, READ, key, value, start_ms, last_ms, OK, node)


def probe(moment_ms: float, node: int = 0, outcome: str = OK) -> Operation:
    return Operation(
        "probe:0", PROBE, WRITE, "probe:0", int(moment_ms), moment_ms - 1, moment_ms, outcome, node
    )


def view(
    node: int, start_ms: float, end_ms: float, *, role: str = "master", is_ok: bool = True
) -> ViewSpan:
    slots = ((0, 16383),) if role == "master" else ()
    return ViewSpan(node, start_ms, end_ms, role, is_ok, 1, slots, "owners")


def fault(
    kind: str, start_ms: float, end_ms: float, nodes: Sequence[int] = (0,), **more: object
) -> FaultSpan:
    return FaultSpan(kind, start_ms, end_ms, tuple(nodes), **more)  # type: ignore[arg-type]


def history(
    operations: Sequence[Operation] = (),
    finals: Sequence[FinalRead] = (),
    faults: Sequence[FaultSpan] = (),
    views: Sequence[ViewSpan] = (),
    promises: Promises | None = None,
) -> History:
    """Of a cluster that came to agree."""
    return History(
        Plan("by-hand", workloads=DEFAULT_WORKLOADS, promises=promises or Promises()),
        "clustrio",
        6,
        [f"127.0.0.1:{7000 + index}" for index in range(6)],
        load_end_ms=max((each.end_ms for each in operations), default=0.0),
        converged_ms=10.0,
        operations=list(operations),
        faults=list(faults),
        views=list(views),
        finals=list(finals),
    )


def final(key: str, value: Value, workload: str = "append", **more: object) -> FinalRead:
    return FinalRead(workload, key, value, **more)  # type: ignore[arg-type]
