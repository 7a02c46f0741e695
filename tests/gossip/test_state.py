"""Slot sets, the slot table, and the invariants that guard it."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.gossip.messages import NodeFlag
from clustrio.gossip.state import (
    BrokenInvariant,
    ClusterState,
    Link,
    Node,
    bitmap_of,
    mask_of,
    slots_in,
)

from .harness import World, id_of

SLOTS = st.sets(st.integers(0, 16_383), max_size=50)


def state_of(names: str) -> ClusterState:
    """A cluster of primaries; the first is this node."""
    nodes = [Node(id_of(name), NodeFlag.PRIMARY, 0) for name in names]
    nodes[0].flags |= NodeFlag.MYSELF
    state = ClusterState(nodes[0])
    for node in nodes[1:]:
        state.enter(node, random.Random(1))
    return state


@given(SLOTS)
def test_a_set_of_slots_in_three_forms(slots: set[int]) -> None:
    mask = sum(1 << slot for slot in slots)
    assert list(slots_in(mask)) == sorted(slots)
    assert mask_of(bitmap_of(mask)) == mask
    assert all(bitmap_of(mask)[slot // 8] >> slot % 8 & 1 for slot in slots)


@given(st.lists(st.tuples(st.sampled_from("abc-"), SLOTS), max_size=12))
def test_the_table_is_as_good_as_a_plain_dictionary(moves: list[tuple[str, set[int]]]) -> None:
    state = state_of("abc")
    plain: dict[int, str] = {}
    for name, slots in moves:
        mask = sum(1 << slot for slot in slots)
        lost = state.assign(mask, None if name == "-" else state.nodes[id_of(name)])
        for other in "abc":
            expected = {slot for slot in slots if plain.get(slot) == other != name}
            assert set(slots_in(lost.get(id_of(other), 0))) == expected
        for slot in slots:
            plain[slot] = name
        state.invariants()
    for slot, name in plain.items():
        owner = state.owner_of(slot)
        assert (owner is None) if name == "-" else (owner is state.nodes[id_of(name)])


@pytest.mark.parametrize(("owners", "quorum"), [(0, 1), (1, 1), (2, 2), (3, 2), (4, 3), (5, 3)])
def test_quorum(owners: int, quorum: int) -> None:
    state = state_of("abcdef")
    for number, node in enumerate(list(state.nodes.values())[:owners]):
        state.assign(1 << number, node)
    assert (len(state.owners), state.quorum) == (owners, quorum)


def break_epoch(state: ClusterState) -> None:
    state.myself.config_epoch = 1


def break_vote(state: ClusterState) -> None:
    state.last_vote_epoch = 1


def break_slots(state: ClusterState) -> None:
    state.assign(1, state.nodes[id_of("b")])
    state.nodes[id_of("c")].mask = 1


def break_owner(state: ClusterState) -> None:
    state.assign(1, state.nodes[id_of("b")])
    node = state.nodes[id_of("b")]
    node.flags, node.replica_of = NodeFlag.REPLICA, id_of("a")


def break_role(state: ClusterState) -> None:
    state.nodes[id_of("b")].flags |= NodeFlag.REPLICA


def break_failing(state: ClusterState) -> None:
    state.nodes[id_of("b")].flags |= NodeFlag.FAIL | NodeFlag.PFAIL


def break_myself_failing(state: ClusterState) -> None:
    state.myself.flags |= NodeFlag.PFAIL


def break_migrating(state: ClusterState) -> None:
    state.migrating_to[5] = id_of("b")


def break_importing(state: ClusterState) -> None:
    state.assign(1, state.myself)
    state.importing_from[0] = id_of("b")


def break_loop(state: ClusterState) -> None:
    state.myself.flags = NodeFlag.MYSELF | NodeFlag.REPLICA
    state.myself.replica_of = state.myself.node_id


def break_name(state: ClusterState) -> None:
    state.nodes[id_of("b")].node_id = id_of("x")


def break_link(state: ClusterState) -> None:
    state.links[1] = Link(1, 0, False, node=Node(id_of("x"), NodeFlag.PRIMARY, 0))


@pytest.mark.parametrize(
    "harm",
    [
        break_epoch,
        break_vote,
        break_slots,
        break_owner,
        break_role,
        break_failing,
        break_myself_failing,
        break_migrating,
        break_importing,
        break_loop,
        break_name,
        break_link,
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_broken_state_is_noticed(harm: Callable[[ClusterState], None]) -> None:
    state = state_of("abc")
    state.invariants()
    harm(state)
    with pytest.raises(BrokenInvariant):
        state.invariants()


def test_the_clock_may_not_go_back() -> None:
    world = World()
    (sim,) = world.add("A")
    with pytest.raises(BrokenInvariant, match="clock"):
        sim.core.tick(world.now - 1)
