"""Whom a fault hits: the words of a plan, and the nodes that they mean at a moment.

Owns the meaning of targets. Rules: what is drawn is drawn from the generator that is handed in; who
is primary is asked at the moment of the fault, not of the plan.
"""

import random
from collections.abc import Sequence
from typing import Final, Protocol

from .plan import Plan, PlanError

#: Stands for the clients among nodes.
CLIENTS: Final = -1


class Roles(Protocol):
    """Who is what at this moment."""

    def primary_of_shard(self, shard: int) -> int:
        """The node that serves a shard, or served it last."""

    def replicas_of_shard(self, shard: int) -> list[int]:
        """Who follows that node."""


def resolve(
    words: Sequence[str],
    plan: Plan,
    roles: Roles,
    chance: random.Random,
    without: Sequence[int] = (),
) -> list[int]:
    """The nodes that are meant, each once, and `CLIENTS`; "others" is everybody but `without`."""
    found: list[int] = []
    for word in words:
        for node in _nodes_of(word, plan, roles, chance, without):
            if node not in found:
                found.append(node)
    return found


def _nodes_of(
    word: str, plan: Plan, roles: Roles, chance: random.Random, without: Sequence[int]
) -> list[int]:
    kind, _, text = word.partition(":")
    number = int(text or 0)
    shards = range(plan.masters)
    everybody = list(range(plan.masters * (1 + plan.replicas)))
    match kind:
        case "node":
            return [number]
        case "primary":
            return [roles.primary_of_shard(number)]
        case "replica":
            return roles.replicas_of_shard(number)[:1]
        case "all":
            return everybody
        case "others":
            return [node for node in everybody if node not in without]
        case "clients":
            return [CLIENTS]
        case "primaries":
            return [roles.primary_of_shard(shard) for shard in shards]
        case "replicas":
            return [node for shard in shards for node in roles.replicas_of_shard(shard)]
        case "some-primary":
            return [roles.primary_of_shard(chance.choice(shards))]
        case "some-replica":
            return roles.replicas_of_shard(chance.choice(shards))[:1]
        case "majority" | "minority":
            half = plan.masters // 2
            count = half + 1 if kind == "majority" else plan.masters - half - 1
            return [roles.primary_of_shard(shard) for shard in chance.sample(shards, count)]
        case _:
            raise PlanError(f"unknown target {word!r}")


def ring_cuts(nodes: Sequence[int]) -> list[tuple[int, int]]:
    """Cuts after which each node sees a majority (itself among it), and no two see the same one."""
    count = len(nodes)
    # Half of the others that make a majority on either side, rounded up.
    reach = (count // 2 + 1) // 2
    cuts = []
    for one in range(count):
        for other in range(one + 1, count):
            distance = min(other - one, count - (other - one))
            if distance > reach:
                cuts.append((nodes[one], nodes[other]))
    return cuts
