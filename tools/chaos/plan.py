"""What a chaos run is to do: the cluster, the load, the faults over time, what must hold.

Owns the records of a plan and reading them from TOML or JSON. Rules: everything here is pure; a
plan that is wrong is refused as a whole, with the place and what would be right; nothing that is
not understood is passed over.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

from attrs import Factory, evolve, frozen

T = TypeVar("T")
Setting = float | str | bool

WORKLOADS: Final[Mapping[str, str]] = {
    "register": "SET and GET of single values",
    "counter": "INCR and GET",
    "append": "RPUSH to lists that only grow, and LRANGE",
    "set": "SADD to sets that only grow, and SMEMBERS",
    "transaction": "MULTI: the same element onto two lists, and both read at once",
}

#: What a kind of fault may be told, with what it takes otherwise.
FAULTS: Final[Mapping[str, Mapping[str, Setting]]] = {
    "kill": {},
    "stop": {},
    "pause": {},
    "isolate": {"clients": False},
    "partition": {"one_way": False},
    "ring": {},
    "slow": {"latency_ms": 0.0, "jitter_ms": 0.0, "loss": 0.0},
    "fill_disk": {},
    "migrate": {"slots": 10.0},
    "failover": {"option": ""},
}
FAULT_WORDS: Final[Mapping[str, str]] = {
    "kill": "SIGKILL, and a new start after for_s",
    "stop": "SIGTERM, and a new start after for_s",
    "pause": "SIGSTOP, and SIGCONT after for_s",
    "isolate": "cut off from all other nodes (with clients = true, from clients too)",
    "partition": "links between targets and towards cut (one_way: only what targets say)",
    "ring": "each primary sees a majority, no two the same one",
    "slow": "links of the targets get latency_ms, jitter_ms and loss",
    "fill_disk": "the targets' disks have no byte left",
    "migrate": "so many slots of a primary move to another, with all keys",
    "failover": "a replica takes over in good order (option: FORCE, TAKEOVER)",
}
#: Faults that need somebody on the other side.
TWO_SIDED: Final = ("partition", "migrate")
UNTARGETED: Final = ("ring",)
#: Who can be meant; `:N` is the number of a node or of a shard.
NUMBERED_TARGETS: Final = ("node", "primary", "replica")
PLAIN_TARGETS: Final = (
    "all",
    "primaries",
    "replicas",
    "some-primary",
    "some-replica",
    "majority",
    "minority",
    "others",
    "clients",
)
#: Kinds that a seed may draw.
DRAWABLE: Final = ("kill", "pause", "partition", "slow", "migrate", "failover")
TOLERANCES: Final = ("none", "windows", "any")


class PlanError(Exception):
    """A plan cannot be understood; the text says where and why."""


@frozen
class WorkloadPlan:
    """One kind of load."""

    kind: str
    clients: int = 4
    rate: float = 25.0
    """Operations a second for each client."""
    keys: int = 4
    """So many are in use at a time."""
    writes_per_key: int = 60
    """Then another key takes its place."""
    read_share: float = 0.4
    wait_replicas: int = 0
    """Each write is followed by WAIT for so many replicas."""
    wait_ms: int = 200


@frozen
class FaultPlan:
    """One fault: from when, for how long, whom it hits."""

    kind: str
    at_s: float
    for_s: float | None = None
    """None: to the end of the load; meaningless for what is done at once."""
    targets: tuple[str, ...] = ()
    towards: tuple[str, ...] = ()
    settings: Mapping[str, Setting] = Factory(dict)


@frozen
class DrawPlan:
    """Faults that the seed draws."""

    kinds: tuple[str, ...]
    interval_s: float = 5.0
    """From the beginning of one to the next; each lasts about as long."""
    calm_s: float = 3.0
    """At the start and at the end nothing happens."""


@frozen
class Promises:
    """What must hold. "windows" allows what asynchronous replication allows, and nothing else."""

    lost_writes: str = "windows"
    stale_reads: str = "windows"
    dirty_reads: str = "windows"
    linearizable: bool = False
    split_brain_s: float | None = None
    unavailable_s: float | None = None
    """The longest that any slot may go without a write."""
    failover_s: float | None = None
    failovers_max: int | None = None
    converge_s: float = 15.0


@frozen
class Plan:
    """A whole run."""

    name: str
    about: str = ""
    duration_s: float = 10.0
    masters: int = 3
    replicas: int = 1
    node_timeout_ms: int = 1000
    seed: int = 0
    options: Mapping[str, str] = Factory(dict)
    workloads: tuple[WorkloadPlan, ...] = ()
    faults: tuple[FaultPlan, ...] = ()
    draw: DrawPlan | None = None
    promises: Promises = Promises()
    operation_timeout_ms: int = 1000


#: What a plan without workloads of its own gets: each kind, and one that waits for replicas.
DEFAULT_WORKLOADS: Final = (
    *(WorkloadPlan(kind) for kind in WORKLOADS),
    WorkloadPlan("append", clients=2, rate=15.0, wait_replicas=1),
)


# ---- reading -------------------------------------------------------------------------------------


class _Table:
    """A table of a plan: each entry is taken once, and none may be left."""

    def __init__(self, value: object, where: str) -> None:
        if not isinstance(value, dict):
            raise PlanError(f"{where}: a table is wanted, not {value!r}")
        self._entries: dict[str, object] = dict(value)
        self.where = where
        self._known: list[str] = []

    def take(self, name: str, convert: Callable[[object, str], T], otherwise: T) -> T:
        """An entry, or what holds without it."""
        self._known.append(name)
        if name not in self._entries:
            return otherwise
        return convert(self._entries.pop(name), f"{self.where}.{name}")

    def need(self, name: str, convert: Callable[[object, str], T]) -> T:
        """An entry that must be there."""
        if name not in self._entries:
            raise PlanError(f"{self.where}: {name} is missing")
        self._known.append(name)
        return convert(self._entries.pop(name), f"{self.where}.{name}")

    def end(self) -> None:
        """Refuse what nobody asked for."""
        for name in self._entries:
            known = ", ".join(sorted(self._known))
            raise PlanError(f"{self.where}: unknown entry {name!r}; there are: {known}")


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise PlanError(f"{where}: a text is wanted, not {value!r}")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise PlanError(f"{where}: true or false is wanted, not {value!r}")
    return value


def _number(low: float, high: float) -> Callable[[object, str], float]:
    def convert(value: object, where: str) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise PlanError(f"{where}: a number is wanted, not {value!r}")
        if not low <= value <= high:
            raise PlanError(f"{where}: {value} is not in {low:g}..{high:g}")
        return float(value)

    return convert


def _whole(low: int, high: int) -> Callable[[object, str], int]:
    def convert(value: object, where: str) -> int:
        number = _number(low, high)(value, where)
        if number != int(number):
            raise PlanError(f"{where}: a whole number is wanted, not {value!r}")
        return int(number)

    return convert


def _one_of(words: Sequence[str]) -> Callable[[object, str], str]:
    def convert(value: object, where: str) -> str:
        if value not in words:
            raise PlanError(f"{where}: {value!r} is none of {', '.join(words)}")
        return str(value)

    return convert


def _maybe(convert: Callable[[object, str], T]) -> Callable[[object, str], T | None]:
    """The same, for an entry that may be absent."""
    return convert


def _tables(value: object, where: str) -> list[_Table]:
    if not isinstance(value, list):
        raise PlanError(f"{where}: a list of tables is wanted, not {value!r}")
    return [_Table(each, f"{where}[{number}]") for number, each in enumerate(value)]


def _targets(value: object, where: str) -> tuple[str, ...]:
    words = [value] if isinstance(value, str) else value
    if not isinstance(words, list) or not words:
        raise PlanError(f"{where}: a target or a list of them is wanted, not {value!r}")
    return tuple(_target(word, where) for word in words)


def _target(value: object, where: str) -> str:
    word = _text(value, where)
    kind, colon, number = word.partition(":")
    if word in PLAIN_TARGETS or (colon and kind in NUMBERED_TARGETS and number.isdigit()):
        return word
    known = ", ".join([*(f"{each}:N" for each in NUMBERED_TARGETS), *PLAIN_TARGETS])
    raise PlanError(f"{where}: unknown target {word!r}; there are: {known}")


def _options(value: object, where: str) -> dict[str, str]:
    table = _Table(value, where)
    names = list(value) if isinstance(value, dict) else []
    return {name: table.need(name, _option) for name in names}


def _option(value: object, where: str) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, str | int):
        raise PlanError(f"{where}: a text or a number is wanted, not {value!r}")
    return str(value)


def _workload(table: _Table) -> WorkloadPlan:
    plain = WorkloadPlan("register")
    workload = WorkloadPlan(
        kind=table.need("kind", _one_of(list(WORKLOADS))),
        clients=table.take("clients", _whole(1, 1000), plain.clients),
        rate=table.take("rate", _number(0.1, 10_000), plain.rate),
        keys=table.take("keys", _whole(1, 10_000), plain.keys),
        writes_per_key=table.take("writes_per_key", _whole(1, 1_000_000), plain.writes_per_key),
        read_share=table.take("read_share", _number(0, 1), plain.read_share),
        wait_replicas=table.take("wait_replicas", _whole(0, 100), plain.wait_replicas),
        wait_ms=table.take("wait_ms", _whole(1, 60_000), plain.wait_ms),
    )
    table.end()
    return workload


def _setting(otherwise: Setting) -> Callable[[object, str], Setting]:
    if isinstance(otherwise, bool):
        return _flag
    if isinstance(otherwise, str):
        return _text
    return _number(0, 1_000_000)


def _fault(table: _Table, duration_s: float) -> FaultPlan:
    kind = table.need("kind", _one_of(list(FAULTS)))
    is_targeted = kind not in UNTARGETED
    settings = {
        name: table.take(name, _setting(otherwise), otherwise)
        for name, otherwise in FAULTS[kind].items()
    }
    fault = FaultPlan(
        kind=kind,
        at_s=table.need("at_s", _number(0, duration_s)),
        for_s=table.take("for_s", _maybe(_number(0, duration_s)), None),
        targets=table.need("targets", _targets) if is_targeted else (),
        towards=table.need("towards", _targets) if kind in TWO_SIDED else (),
        settings=settings,
    )
    if float(settings.get("loss", 0.0)) > 1:
        raise PlanError(f"{table.where}.loss: a share lies in 0..1")
    table.end()
    return fault


def _draw(value: object, where: str) -> DrawPlan:
    table = _Table(value, where)
    draw = DrawPlan(
        kinds=table.need("kinds", _kinds),
        interval_s=table.take("interval_s", _number(0.5, 3600), DrawPlan(()).interval_s),
        calm_s=table.take("calm_s", _number(0, 3600), DrawPlan(()).calm_s),
    )
    table.end()
    return draw


def _kinds(value: object, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise PlanError(f"{where}: a list of kinds is wanted, not {value!r}")
    return tuple(_one_of(DRAWABLE)(each, where) for each in value)


def _promises(value: object, where: str) -> Promises:
    table, plain = _Table(value, where), Promises()
    tolerance = _one_of(TOLERANCES)
    seconds = _number(0, 3600)
    promises = Promises(
        lost_writes=table.take("lost_writes", tolerance, plain.lost_writes),
        stale_reads=table.take("stale_reads", tolerance, plain.stale_reads),
        dirty_reads=table.take("dirty_reads", tolerance, plain.dirty_reads),
        linearizable=table.take("linearizable", _flag, plain.linearizable),
        split_brain_s=table.take("split_brain_s", _maybe(seconds), None),
        unavailable_s=table.take("unavailable_s", _maybe(seconds), None),
        failover_s=table.take("failover_s", _maybe(seconds), None),
        failovers_max=table.take("failovers_max", _maybe(_whole(0, 1000)), None),
        converge_s=table.take("converge_s", seconds, plain.converge_s),
    )
    table.end()
    return promises


def plan_from(value: object) -> Plan:
    """A plan out of plain tables, as TOML and JSON give them; raises PlanError."""
    table, plain = _Table(value, "plan"), Plan("")
    nothing: list[_Table] = []
    duration_s = table.take("duration_s", _number(0.5, 86_400), plain.duration_s)
    plan = Plan(
        name=table.need("name", _text),
        about=table.take("about", _text, plain.about),
        duration_s=duration_s,
        masters=table.take("masters", _whole(1, 1000), plain.masters),
        replicas=table.take("replicas", _whole(0, 10), plain.replicas),
        node_timeout_ms=table.take("node_timeout_ms", _whole(100, 600_000), plain.node_timeout_ms),
        seed=table.take("seed", _whole(0, 2**32 - 1), plain.seed),
        options=table.take("options", _options, {}),
        workloads=tuple(map(_workload, table.take("workload", _tables, nothing)))
        or DEFAULT_WORKLOADS,
        faults=tuple(_fault(each, duration_s) for each in table.take("fault", _tables, nothing)),
        draw=table.take("draw", _maybe(_draw), None),
        promises=table.take("promises", _promises, plain.promises),
        operation_timeout_ms=table.take(
            "operation_timeout_ms", _whole(10, 60_000), plain.operation_timeout_ms
        ),
    )
    table.end()
    _check_targets(plan)
    return plan


def _check_targets(plan: Plan) -> None:
    count = plan.masters * (1 + plan.replicas)
    for number, fault in enumerate(plan.faults):
        for word in (*fault.targets, *fault.towards):
            kind, _, index = word.partition(":")
            limit = count if kind == "node" else plan.masters
            if index and int(index) >= limit:
                raise PlanError(f"plan.fault[{number}]: there is no {word}, only {limit} of them")


def parse_plan_untrusted(text: str, *, is_json: bool = False) -> Plan:
    """A plan out of the text of a file; raises PlanError."""
    try:
        return plan_from(json.loads(text) if is_json else tomllib.loads(text))
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as failure:
        raise PlanError(f"this is no {'JSON' if is_json else 'TOML'}: {failure}") from None


def stretched(plan: Plan, duration_s: float) -> Plan:
    """The same with another duration: faults keep their length, and their place in proportion."""
    share = duration_s / plan.duration_s
    faults = tuple(evolve(fault, at_s=fault.at_s * share) for fault in plan.faults)
    return evolve(plan, duration_s=duration_s, faults=faults)
