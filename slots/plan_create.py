"""The layout of a new cluster: who becomes a primary with which slots, and who replicates whom.

Owns the choice of primaries (taking turns between the hosts), their slot ranges (the same as those
of `redis-cli --cluster create`) and the spreading of replicas over the hosts.

Rules: a replica on the host of its primary is worth 10,000 points of anti-affinity score, each of
several replicas of one primary on one host 1 point; 0 is perfect. Given the same addresses in the
same order, the plan is the same. Any number of primaries from 1 to 16384 is fine here; whoever
wants automatic failover needs 3, and it is for the caller to say so.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from attrs import define, frozen

from .arithmetic import round_half_away, single
from .hashing import SLOT_COUNT
from .plan_moves import PlanError

SAME_HOST_AS_PRIMARY_SCORE: Final = 10_000


@frozen(order=True)
class Address:
    """Where a node is reached; nodes with the same host die together."""

    host: str
    port: int


@frozen
class PlannedPrimary:
    """A primary-to-be and its slots; both ends belong to the range."""

    address: Address
    first_slot: int
    last_slot: int


@frozen
class PlannedReplica:
    """A replica-to-be."""

    address: Address
    primary: Address


@frozen
class CreatePlan:
    """A whole cluster."""

    primaries: tuple[PlannedPrimary, ...]
    replicas: tuple[PlannedReplica, ...]
    #: See `anti_affinity_score`; 0 means that no host holds two nodes of one shard.
    score: int


def slot_ranges(primary_count: int) -> list[tuple[int, int]]:
    """The ranges of so many primaries, both ends included."""
    if not 1 <= primary_count <= SLOT_COUNT:
        raise PlanError(f"the slots can be divided among 1 to {SLOT_COUNT}, not {primary_count}")
    share = single(SLOT_COUNT / primary_count)
    ranges = []
    first, cursor = 0, 0.0
    for index in range(primary_count):
        last = round_half_away(single(single(cursor + share) - 1))
        if last > SLOT_COUNT or index == primary_count - 1:
            last = SLOT_COUNT - 1
        last = max(first, last)
        ranges.append((first, last))
        first = last + 1
        cursor = single(cursor + share)
    return ranges


def plan_create(addresses: Sequence[Address], replicas_per_primary: int = 0) -> CreatePlan:
    """Lay out a cluster on empty nodes; nodes left over become further replicas."""
    repeated = [address for address, count in Counter(addresses).items() if count > 1]
    if repeated:
        raise PlanError(f"{repeated[0].host}:{repeated[0].port} is given twice")
    if replicas_per_primary < 0:
        raise PlanError("the number of replicas cannot be negative")
    primary_count = len(addresses) // (replicas_per_primary + 1)
    if primary_count < 1:
        raise PlanError(
            f"{len(addresses)} nodes are not enough for a primary "
            f"with {replicas_per_primary} replicas"
        )
    mixed = _taking_turns(addresses)
    primaries, rest = mixed[:primary_count], mixed[primary_count:]
    shards = _attach_replicas(primaries, rest, replicas_per_primary)
    _spread(shards)
    return CreatePlan(
        tuple(
            PlannedPrimary(primary, first, last)
            for primary, (first, last) in zip(primaries, slot_ranges(primary_count), strict=True)
        ),
        tuple(
            PlannedReplica(replica, shard.primary) for shard in shards for replica in shard.replicas
        ),
        sum(shard.score() for shard in shards),
    )


def anti_affinity_score(primary_of: Iterable[PlannedReplica]) -> int:
    """How badly replicas are spread; 0 is perfect."""
    shards: defaultdict[Address, list[Address]] = defaultdict(list)
    for planned in primary_of:
        shards[planned.primary].append(planned.address)
    return sum(_Shard(primary, replicas).score() for primary, replicas in shards.items())


@define
class _Shard:
    primary: Address
    replicas: list[Address]

    def score(self) -> int:
        total = 0
        for host, count in Counter(replica.host for replica in self.replicas).items():
            if host == self.primary.host:
                total += SAME_HOST_AS_PRIMARY_SCORE * count
            elif count > 1:
                total += count
        return total


def _taking_turns(addresses: Sequence[Address]) -> list[Address]:
    """One node of each host, then the next one of each, and so on."""
    by_host: defaultdict[str, deque[Address]] = defaultdict(deque)
    for address in addresses:
        by_host[address.host].append(address)
    rounds = max(map(len, by_host.values()), default=0)
    return list(
        chain.from_iterable(
            [nodes[turn] for nodes in by_host.values() if turn < len(nodes)]
            for turn in range(rounds)
        )
    )


def _attach_replicas(
    primaries: Sequence[Address], free_nodes: Sequence[Address], replicas_per_primary: int
) -> list[_Shard]:
    shards = [_Shard(primary, []) for primary in primaries]
    # The first free node often shares a host with the first primary: let it wait.
    free = [*free_nodes[1:], *free_nodes[:1]]
    for shard in shards:
        for _ in range(replicas_per_primary):
            shard.replicas.append(_take_from_another_host(free, shard.primary.host))
    while free:
        for shard in shards[: len(free)]:
            shard.replicas.append(_take_from_another_host(free, shard.primary.host))
    return shards


def _take_from_another_host(free: list[Address], host: str) -> Address:
    index = next((index for index, node in enumerate(free) if node.host != host), 0)
    return free.pop(index)


def _spread(shards: Sequence[_Shard]) -> None:
    """Swap replicas between shards as long as a swap makes the score better.

    Every pair is tried, so the result is the best that swapping two at a time can reach, and unlike
    a search by chance it is the same every time.
    """
    has_improved = True
    while has_improved:
        has_improved = False
        for shard in shards:
            while shard.score() and _swap_one(shard, shards):
                has_improved = True


def _swap_one(shard: _Shard, shards: Sequence[_Shard]) -> bool:
    for other in shards:
        if other is shard:
            continue
        before = shard.score() + other.score()
        for own_index, own in enumerate(shard.replicas):
            for other_index, foreign in enumerate(other.replicas):
                if own.host == foreign.host:
                    continue
                shard.replicas[own_index], other.replicas[other_index] = foreign, own
                if shard.score() + other.score() < before:
                    return True
                shard.replicas[own_index], other.replicas[other_index] = own, foreign
    return False
