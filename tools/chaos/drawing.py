"""Faults that a seed draws: the same seed and plan give the same faults.

Owns the drawing. Rules: nothing begins in the calm at either end; whom a fault hits is drawn in
words, whose meaning is found out at its time.
"""

import random
from collections.abc import Callable, Mapping
from typing import Final

from attrs import evolve

from .plan import DEFAULT_WORKLOADS, DRAWABLE, FAULTS, DrawPlan, FaultPlan, Plan, Promises

_LIVES: Final = ("some-primary", "some-primary", "some-replica", "minority", "majority", "all")


def _life(kind: str) -> Callable[[random.Random], FaultPlan]:
    return lambda chance: FaultPlan(kind, 0.0, targets=(chance.choice(_LIVES),))


def _partition(chance: random.Random) -> FaultPlan:
    form = chance.choice(("one", "one", "majority", "ring", "one-way"))
    if form == "ring":
        return FaultPlan("ring", 0.0)
    if form == "one":
        return FaultPlan("isolate", 0.0, targets=("some-primary",))
    targets = ("majority",) if form == "majority" else ("some-primary",)
    settings = {"one_way": form == "one-way"}
    return FaultPlan("partition", 0.0, targets=targets, towards=("others",), settings=settings)


def _slow(chance: random.Random) -> FaultPlan:
    settings: dict[str, float | str | bool] = {
        "latency_ms": float(chance.randrange(20, 300)),
        "jitter_ms": float(chance.randrange(0, 200)),
        "loss": round(chance.random() * 0.2, 2),
    }
    return FaultPlan("slow", 0.0, targets=("some-primary",), settings=settings)


def _migrate(chance: random.Random, masters: int) -> FaultPlan:
    source, target = chance.sample(range(masters), 2) if masters > 1 else (0, 0)
    return FaultPlan(
        "migrate",
        0.0,
        targets=(f"primary:{source}",),
        towards=(f"primary:{target}",),
        settings={"slots": float(chance.randrange(1, 30))},
    )


def _failover(chance: random.Random) -> FaultPlan:
    option = chance.choice(("", "", "FORCE"))
    return FaultPlan("failover", 0.0, targets=("some-replica",), settings={"option": option})


def draw_faults(draw: DrawPlan, seed: int, duration_s: float, masters: int) -> list[FaultPlan]:
    """The faults of a seed."""
    chance = random.Random(f"faults {seed}")
    makers: Mapping[str, Callable[[random.Random], FaultPlan]] = {
        "kill": _life("kill"),
        "pause": _life("pause"),
        "partition": _partition,
        "slow": _slow,
        "migrate": lambda chance: _migrate(chance, masters),
        "failover": _failover,
    }
    faults = []
    at_s = draw.calm_s
    while at_s < duration_s - draw.calm_s:
        fault = makers[chance.choice(draw.kinds)](chance)
        for_s = round(draw.interval_s * (0.5 + chance.random()), 2)
        for_s = min(for_s, duration_s - at_s)
        settings = {**FAULTS[fault.kind], **fault.settings}
        faults.append(evolve(fault, at_s=round(at_s, 2), for_s=for_s, settings=settings))
        at_s += draw.interval_s
    return faults


def with_drawn_faults(plan: Plan) -> Plan:
    """The plan with what its seed draws written out."""
    if plan.draw is None:
        return plan
    drawn = draw_faults(plan.draw, plan.seed, plan.duration_s, plan.masters)
    faults = tuple(sorted((*plan.faults, *drawn), key=lambda fault: fault.at_s))
    return evolve(plan, faults=faults, draw=None)


def plan_from_seed(seed: int, duration_s: float = 30.0) -> Plan:
    """A plan with nothing given but a seed."""
    chance = random.Random(f"plan {seed}")
    kinds = tuple(kind for kind in DRAWABLE if chance.random() < 0.6) or ("kill",)
    return Plan(
        name=f"seed-{seed}",
        about=f"drawn from seed {seed}: {', '.join(kinds)}",
        duration_s=duration_s,
        masters=chance.choice((3, 3, 3, 4)),
        node_timeout_ms=chance.choice((800, 1000, 2000)),
        seed=seed,
        # Nodes that were killed all at once must find their data again.
        options={"appendonly": "yes"},
        workloads=DEFAULT_WORKLOADS,
        draw=DrawPlan(kinds, interval_s=round(chance.uniform(2.0, 6.0), 1)),
        promises=Promises(converge_s=30.0),
    )
