"""Faults that overlap: the end of one leaves what another is still there for."""

from collections.abc import Callable

import pytest
from attrs import Factory, define

from clustrio.tools.chaos.breaker import Breaker, Undo
from clustrio.tools.chaos.history import History
from clustrio.tools.chaos.plan import FaultPlan, Plan
from clustrio.tools.chaos.recorder import Recorder
from clustrio.tools.local.faults import Faults
from clustrio.tools.local.node import Node
from clustrio.tools.local.relay import CLIENTS, Rules

from ..local.test_shape import plans


@define
class Relay:
    """Only its rules."""

    rules: Rules = Factory(lambda: Rules(1))

    def run(self, change: Callable[[Rules], object]) -> None:
        change(self.rules)


class Puppet(Node):
    """A node that nothing runs."""

    def __init__(self, index: int) -> None:
        super().__init__(plans()[index], None)  # type: ignore[arg-type]
        self.states: set[str] = set()

    @property
    def is_running(self) -> bool:
        return "down" not in self.states


class Puppets(Faults):
    """A cluster of such: links have rules, and lives are words."""

    def __init__(self) -> None:
        self.nodes = [Puppet(index) for index in range(6)]
        self.masters = 3
        self._relay = Relay()  # type: ignore[assignment]
        self._full_disks = set()
        self._is_altered = False

    def node(self, node: Node | int) -> Node:
        return self.nodes[node if isinstance(node, int) else node.index]

    def states(self, word: str) -> list[int]:
        puppets = [node for node in self.nodes if isinstance(node, Puppet)]
        return [puppet.index for puppet in puppets if word in puppet.states]

    def kill(self, node: Node | int) -> None:
        self.node(node).states.add("down")  # type: ignore[attr-defined]

    stop = kill

    def restart(self, node: Node | int, *, wait: bool) -> None:
        self.node(node).states.remove("down")  # type: ignore[attr-defined]

    def pause(self, node: Node | int) -> None:
        self.node(node).states.add("paused")  # type: ignore[attr-defined]

    def resume(self, node: Node | int) -> None:
        self.node(node).states.remove("paused")  # type: ignore[attr-defined]

    @property
    def rules(self) -> Rules:
        return self.relay.rules

    def cut_off(self, node: int) -> set[int]:
        """Whom it neither hears nor is heard by."""
        cuts = self.rules.cuts
        others = {*range(6), CLIENTS} - {node}
        return {each for each in others if (node, each) in cuts and (each, node) in cuts}


@pytest.fixture
def cluster() -> Puppets:
    return Puppets()


@pytest.fixture
def begin(cluster: Puppets) -> Callable[..., Undo]:
    plan = Plan("x")
    breaker = Breaker(plan, cluster, Recorder(History(plan), []), list)  # type: ignore[arg-type]

    def begin(kind: str, *targets: str, towards: tuple[str, ...] = (), **settings: float) -> Undo:
        undo = breaker.begin(FaultPlan(kind, 0.0, 1.0, targets, towards, settings))
        assert undo is not None
        return undo

    return begin


def test_the_end_of_a_cut_leaves_what_another_cuts(
    cluster: Puppets, begin: Callable[..., Undo]
) -> None:
    end_split = begin("partition", "node:0", "node:1", towards=("others",))
    end_alone = begin("isolate", "node:1")
    end_split()
    assert cluster.cut_off(0) == {1}
    assert cluster.cut_off(1) == {0, 2, 3, 4, 5}
    end_one_way = begin("partition", "node:2", towards=("node:1",), one_way=True)
    end_alone()
    assert cluster.rules.cuts == {(2, 1)}
    end_one_way()
    assert cluster.rules.cuts == set()


def test_a_link_may_be_slow_and_cut(cluster: Puppets, begin: Callable[..., Undo]) -> None:
    end_slow = begin("slow", "node:0", latency_ms=50.0)
    end_slower = begin("slow", "node:0", "node:1", latency_ms=70.0)
    end_cut = begin("isolate", "node:0", clients=True)
    end_slow()
    assert cluster.cut_off(0) == {1, 2, 3, 4, 5, CLIENTS}
    assert {(0, 1), (CLIENTS, 0), (1, CLIENTS)} <= set(cluster.rules.slow)
    end_slower()
    assert cluster.rules.slow == {}
    end_cut()
    assert cluster.rules.cuts == set()


def test_who_was_killed_twice_is_down_until_both_ends(
    cluster: Puppets, begin: Callable[..., Undo]
) -> None:
    end_one = begin("kill", "node:3")
    end_all = begin("kill", "all")
    end_one()
    assert cluster.states("down") == [0, 1, 2, 3, 4, 5]
    end_all()
    assert cluster.states("down") == []


def test_who_was_frozen_twice_is_so_until_both_ends(
    cluster: Puppets, begin: Callable[..., Undo]
) -> None:
    end_some = begin("pause", "node:3", "node:4")
    end_one = begin("pause", "node:3")
    end_some()
    assert cluster.states("paused") == [3]
    end_one()
    assert cluster.states("paused") == []
