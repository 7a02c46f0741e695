"""The plan of a cluster: same seed, same ids; nodes.conf says what all would have agreed on."""

from pathlib import Path

import pytest

from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.nodes_conf import decode_nodes_conf
from clustrio.tools.local.errors import LocalClusterError
from clustrio.tools.local.shape import (
    NodePlan,
    Ports,
    check_shape,
    node_options,
    nodes_conf,
    plan_nodes,
    slot_ranges,
)


def plans(masters: int = 3, replicas: int = 1, seed: int = 1) -> list[NodePlan]:
    count = masters * (1 + replicas)
    ports = [Ports(1000 + i, 11000 + i, 2000 + i, 12000 + i) for i in range(count)]
    return plan_nodes(masters, replicas, ports, Path("folder"), [None] * count, seed)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_ranges_cover_every_slot_once(count: int) -> None:
    ranges = slot_ranges(count)
    assert [slot for each in ranges for slot in each] == list(range(16_384))
    assert len({len(each) for each in ranges}) <= 2


def test_a_seed_gives_the_same_plan_and_another_seed_other_ids() -> None:
    assert plans(seed=5) == plans(seed=5)
    ids = {plan.node_id for seed in (5, 6) for plan in plans(seed=seed)}
    assert len(ids) == 12


def test_every_nodes_conf_tells_the_same_but_for_who_is_myself() -> None:
    all_plans = plans(replicas=2)
    for plan in all_plans:
        stored = decode_nodes_conf(nodes_conf(all_plans, plan.index))
        assert stored.myself.node_id == plan.node_id
        assert [node.node_id for node in stored.nodes] == [each.node_id for each in all_plans]
        for node, each in zip(stored.nodes, all_plans, strict=True):
            assert (node.port, node.cport) == (2000 + each.index, 12000 + each.index)
            if each.is_replica:
                assert node.flags & NodeFlag.REPLICA
                assert node.replica_of == all_plans[each.index % 3].node_id
                assert node.shard_id == all_plans[each.index % 3].shard_id
                assert not any(node.slots)
            else:
                assert node.flags & NodeFlag.PRIMARY
                assert int.from_bytes(node.slots, "little").bit_count() == len(each.slots)
    epochs = [plan.config_epoch for plan in all_plans if not plan.is_replica]
    assert sorted(epochs) == [1, 2, 3]


def test_what_was_asked_for_comes_last() -> None:
    options = node_options(plans()[0], 700, [("save", "60 1")])
    assert dict(options)["save"] == "60 1"
    assert dict(options)["cluster-node-timeout"] == "700"
    assert dict(options)["cluster-announce-port"] == "2000"


@pytest.mark.parametrize(("masters", "replicas"), [(0, 0), (1001, 0), (3, -1)])
def test_a_shape_that_is_none_is_refused(masters: int, replicas: int) -> None:
    with pytest.raises(LocalClusterError):
        check_shape(masters, replicas)
