"""What is said of nodes that do not agree."""

from types import SimpleNamespace
from typing import Any

import pytest

from clustrio.tools.admin.topology import Cluster, Shape

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
