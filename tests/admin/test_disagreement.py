"""What is said of nodes that do not agree."""

from types import SimpleNamespace
from typing import Any

import pytest

from clustrio.slots.plan_create import Address
from clustrio.slots.plan_moves import Move
from clustrio.tools.admin.connection import Access
from clustrio.tools.admin.failures import AdminError
from clustrio.tools.admin.reminding import reminder
from clustrio.tools.admin.screen import Screen
from clustrio.tools.admin.topology import Cluster, Shape
from clustrio.tools.admin.waiting import wait_for_agreement

from .shell import new_cluster

MASTER, OTHER = "a" * 40, "b" * 40
USUAL: Shape = ((MASTER, None, "0-99"), (OTHER, MASTER, ""))


def seen_by(name: str, shape: Shape) -> SimpleNamespace:
    return SimpleNamespace(name=name, shape=lambda: shape)


def complaint(odd: Shape) -> str:
    nodes = [seen_by("one", USUAL), seen_by("two", USUAL), seen_by("three", odd)]
    cluster: Any = SimpleNamespace(reachable=nodes)
    return Cluster.complaint(cluster)


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        (((MASTER, None, "0-98"), USUAL[1]), "aaaaaaaa they say master of 0-98 and master of 0-99"),
        ((USUAL[0],), "bbbbbbbb they say nothing and replica of aaaaaaaa"),
        (
            (USUAL[0], (OTHER, None, "")),
            "bbbbbbbb they say master of no slots and replica of aaaaaaaa",
        ),
    ],
)
def test_the_first_difference_is_told(odd: Shape, what: str) -> None:
    assert complaint(odd) == f"three sees other members, roles or slots than one: of {what}"


def test_nothing_is_said_of_nodes_that_agree() -> None:
    assert complaint(USUAL) == ""


@pytest.mark.slow
@pytest.mark.redis_server
def test_a_target_that_gave_its_slot_back_is_told_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody claims the slot, and no heartbeat ever mends that."""
    with new_cluster("mixed") as nodes:
        first, source, target = nodes.nodes
        slot = 16_384 // 3 + 1
        for node in (source, first):
            node.call("CLUSTER", "SETSLOT", slot, "NODE", target.node_id)
        cluster = Cluster(Address("127.0.0.1", first.port), Access())
        screen = Screen(is_json=False)
        with pytest.raises(AdminError, match="sees other members, roles or slots"):
            wait_for_agreement(cluster, 2.0, screen)
        moves = [Move(slot, source.node_id, target.node_id)]
        wait_for_agreement(cluster, 60.0, screen, reminder(cluster, moves, screen))
        assert slot in cluster.by_id(target.node_id).line.slots
        cluster.close()
    assert "again who owns 1 slot" in capsys.readouterr().err
