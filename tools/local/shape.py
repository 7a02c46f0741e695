"""What a cluster looks like before its first node starts: ids, ports, roles, slots, nodes.conf.

Owns the plan. Rules: the same seed gives the same ids and roles; every node finds in its nodes.conf
what all would have agreed on by meeting, so that nothing is left to create or to wait for.
"""

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

from attrs import frozen

from ...gossip.messages import NodeFlag
from ...gossip.nodes_conf import StoredCluster, StoredNode, encode_nodes_conf
from .errors import LocalClusterError

SLOT_COUNT: Final = 16_384
HOST: Final = "127.0.0.1"
NODES_FILE: Final = "nodes.conf"
LOG_FILE: Final = "node.log"


@frozen
class Ports:
    """Where a node listens, and where it says that it does (a relay may stand in front)."""

    port: int
    bus_port: int
    announced_port: int
    announced_bus_port: int

    @property
    def is_relayed(self) -> bool:
        """Whether the node is reached through a relay."""
        return self.port != self.announced_port


@frozen
class NodePlan:
    """One node as it is meant to start."""

    index: int
    node_id: str
    shard_id: str
    ports: Ports
    folder: Path
    primary_index: int | None
    """Whom it follows; None on a primary."""
    slots: range
    """Empty on a replica."""
    config_epoch: int
    command: tuple[str, ...] | None
    """What starts it; None is Clustrio itself."""

    @property
    def is_replica(self) -> bool:
        """Whether it starts as one."""
        return self.primary_index is not None


def slot_ranges(count: int) -> list[range]:
    """All slots in `count` ranges of about one size."""
    borders = [SLOT_COUNT * index // count for index in range(count + 1)]
    return [range(first, last) for first, last in pairwise(borders)]


def check_shape(masters: int, replicas: int) -> None:
    """Refuse what can be no cluster."""
    if not 1 <= masters <= 1000:
        raise LocalClusterError(f"a cluster needs 1 to 1000 masters, not {masters}")
    if replicas < 0:
        raise LocalClusterError(f"a master cannot have {replicas} replicas")


def plan_nodes(
    masters: int,
    replicas: int,
    ports: Sequence[Ports],
    folder: Path,
    commands: Sequence[tuple[str, ...] | None],
    seed: int,
) -> list[NodePlan]:
    """The masters first, then each one's first replica, then each one's second."""
    check_shape(masters, replicas)
    chance = random.Random(f"nodes {seed}")
    count = masters * (1 + replicas)
    node_ids = [f"{chance.getrandbits(160):040x}" for _ in range(count)]
    shard_ids = [f"{chance.getrandbits(160):040x}" for _ in range(masters)]
    ranges = slot_ranges(masters)
    return [
        NodePlan(
            index=index,
            node_id=node_ids[index],
            shard_id=shard_ids[index % masters],
            ports=ports[index],
            folder=folder / f"node-{index}",
            primary_index=None if index < masters else index % masters,
            slots=ranges[index] if index < masters else range(0),
            config_epoch=index % masters + 1,
            command=commands[index],
        )
        for index in range(count)
    ]


def nodes_conf(plans: Sequence[NodePlan], own_index: int) -> bytes:
    """The nodes.conf that a node starts with."""
    stored = tuple(_stored(plan, plans, is_own=plan.index == own_index) for plan in plans)
    epoch = max(plan.config_epoch for plan in plans)
    return encode_nodes_conf(StoredCluster(stored, current_epoch=epoch, last_vote_epoch=0))


def _stored(plan: NodePlan, plans: Sequence[NodePlan], *, is_own: bool) -> StoredNode:
    flags = NodeFlag.REPLICA if plan.is_replica else NodeFlag.PRIMARY
    mask = ((1 << len(plan.slots)) - 1) << plan.slots.start
    primary = None if plan.primary_index is None else plans[plan.primary_index].node_id
    return StoredNode(
        node_id=plan.node_id,
        ip=HOST,
        port=plan.ports.announced_port,
        cport=plan.ports.announced_bus_port,
        flags=flags | (NodeFlag.MYSELF if is_own else NodeFlag.NONE),
        replica_of=primary,
        config_epoch=plan.config_epoch,
        is_connected=True,
        slots=mask.to_bytes(SLOT_COUNT // 8, "little"),
        shard_id=plan.shard_id,
    )


def node_options(
    plan: NodePlan, node_timeout_ms: int, extra: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    """The directives of a node; what was asked for comes last, and wins."""
    ports = plan.ports
    options = [
        ("port", str(ports.port)),
        ("bind", HOST),
        ("dir", str(plan.folder)),
        ("logfile", str(plan.folder / LOG_FILE)),
        ("maxclients", "1000"),
        ("protected-mode", "no"),
        ("save", ""),
        ("appendonly", "no"),
        ("cluster-enabled", "yes"),
        ("cluster-config-file", str(plan.folder / NODES_FILE)),
        ("cluster-port", str(ports.bus_port)),
        ("cluster-node-timeout", str(node_timeout_ms)),
        ("repl-diskless-sync-delay", "0"),
        ("enable-debug-command", "yes"),
    ]
    if ports.is_relayed:
        options += [
            ("cluster-announce-ip", HOST),
            ("cluster-announce-port", str(ports.announced_port)),
            ("cluster-announce-bus-port", str(ports.announced_bus_port)),
        ]
    return [*options, *extra]
