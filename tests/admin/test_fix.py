"""`clustrio cluster fix`: every half-done state that a broken-off move or a mistake can leave."""

from collections.abc import Callable, Iterator

import pytest

from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.local.node import Node

from .shell import admin, assert_kept, empty, fill, new_cluster, slot_of

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

KEY = "key"
SLOT = slot_of(KEY)


@pytest.fixture(scope="module", params=["redis", "clustrio", "mixed"])
def repaired(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    """Every test leaves it repaired."""
    with new_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture
def cluster(repaired: LocalCluster) -> LocalCluster:
    return empty(repaired)


def _mark(node: Node, word: str, other: Node) -> None:
    node.call("CLUSTER", "SETSLOT", SLOT, word, other.node_id)


def _put(node: Node, key: str, value: str) -> None:
    node.call("ASKING")
    node.call("SET", key, value)


def both_ends(owner: Node, other: Node, third: Node) -> None:
    _mark(other, "IMPORTING", owner)
    _mark(owner, "MIGRATING", other)


def both_ends_with_keys(owner: Node, other: Node, third: Node) -> None:
    both_ends(owner, other, third)
    owner.call("MIGRATE", "127.0.0.1", other.port, KEY, 0, 5000)


def only_migrating(owner: Node, other: Node, third: Node) -> None:
    _mark(owner, "MIGRATING", other)


def only_importing(owner: Node, other: Node, third: Node) -> None:
    _mark(other, "IMPORTING", owner)


def several_importing(owner: Node, other: Node, third: Node) -> None:
    both_ends(owner, other, third)
    _mark(third, "IMPORTING", owner)


def closed_at_the_target_only(owner: Node, other: Node, third: Node) -> None:
    # The target is told last of all when nothing is left to move, and the kill comes right then.
    both_ends_with_keys(owner, other, third)
    for key in ("{key}2", "{key}3"):
        owner.call("MIGRATE", "127.0.0.1", other.port, key, 0, 5000)
    other.call("CLUSTER", "SETSLOT", SLOT, "NODE", other.node_id)


def uncovered_with_keys(owner: Node, other: Node, third: Node) -> None:
    for node in (owner, other, third):
        node.call("CLUSTER", "DELSLOTS", SLOT)


def uncovered_with_keys_on_two(owner: Node, other: Node, third: Node) -> None:
    both_ends_with_keys(owner, other, third)
    for node in (owner, other):
        node.call("CLUSTER", "SETSLOT", SLOT, "STABLE")
    uncovered_with_keys(owner, other, third)


def stray_keys(owner: Node, other: Node, third: Node) -> None:
    both_ends_with_keys(owner, other, third)
    for node in (owner, other):
        node.call("CLUSTER", "SETSLOT", SLOT, "STABLE")


def two_owners(owner: Node, other: Node, third: Node) -> None:
    # The other's epoch is the lower one: a node that loses a slot to a newer claim drops its keys.
    owner.call("CLUSTER", "BUMPEPOCH")
    other.call("MULTI")
    for word in ("DELSLOTS", "ADDSLOTS"):
        other.call("CLUSTER", word, SLOT)
    other.call("EXEC")


@pytest.mark.parametrize(
    "damage",
    [
        both_ends,
        both_ends_with_keys,
        only_migrating,
        only_importing,
        several_importing,
        closed_at_the_target_only,
        uncovered_with_keys,
        uncovered_with_keys_on_two,
        stray_keys,
        two_owners,
    ],
)
def test_every_half_done_state_is_repaired(
    cluster: LocalCluster, damage: Callable[[Node, Node, Node], None]
) -> None:
    written = fill(cluster, 50)
    owner = cluster.master_of(KEY)
    other, third = (node for node in cluster.nodes if node is not owner)
    for key in (KEY, "{key}2", "{key}3"):
        owner.call("SET", key, "value")
        written[key] = "value"
    damage(owner, other, third)
    admin("fix", third.address, "--yes").must()
    admin("check", other.address, "--search-multiple-owners").must()
    cluster.wait_for_ok()
    assert_kept(cluster, written)
    again = admin("fix", third.address, "--yes", "--json").must().document
    assert again["repairs"] == []


def test_a_dry_run_changes_nothing(cluster: LocalCluster) -> None:
    owner = cluster.master_of(KEY)
    other = next(node for node in cluster.nodes if node is not owner)
    only_migrating(owner, other, other)
    plan = admin("fix", owner.address, "--dry-run", "--json").must().document
    assert plan["repairs"] == [
        {"slot": SLOT, "case": "open-only-migrating", "owner": owner.node_id}
    ]
    found = admin("check", owner.address, "--json").must(1).document
    assert [problem["kind"] for problem in found["problems"]] == ["open"]
    unasked = admin("fix", owner.address).must(1)
    assert "give --yes" in unasked.err
    admin("fix", owner.address, "--yes").must()


def test_lost_masters_are_not_replaced_unless_told_so() -> None:
    with new_cluster("redis") as cluster:
        place, second = cluster.nodes[0].address, cluster.nodes[1].address
        cluster.kill(2)
        found = admin("check", place, "--json").must(1).document
        assert "unreachable" in [problem["kind"] for problem in found["problems"]]
        cluster.nodes[0].call("CLUSTER", "SETSLOT", 1, "MIGRATING", cluster.nodes[1].node_id)
        refused = admin("fix", place, "--yes").must(1)
        assert "cannot be reached" in refused.err
        assert "--fix-with-unreachable-masters" in refused.err
        moved = admin("reshard", place, "--to", second, "--slots", 1, "--yes").must(1)
        assert cluster.nodes[2].address in moved.err
