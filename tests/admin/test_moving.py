"""`reshard` and `rebalance`: plans, moves, what stops them, and going on after a kill."""

import random
import signal
import subprocess
from collections.abc import Iterator

import pytest

from clustrio.tools.local.cluster import LocalCluster
from clustrio.tools.wire import CallError

from .shell import admin, assert_kept, fill, new_cluster, slot_of, start

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


@pytest.fixture(params=["redis", "clustrio", "mixed"])
def cluster(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture(params=["redis", "clustrio"])
def durable(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param, is_durable=True) as cluster:
        yield cluster


@pytest.fixture
def real() -> Iterator[LocalCluster]:
    with new_cluster("redis") as cluster:
        yield cluster


def slots_of(cluster: LocalCluster) -> list[int]:
    """The numbers of slots of the nodes, in their order."""
    rows = admin("info", cluster.nodes[0].address, "--json").must().document["masters"]
    assert isinstance(rows, list)
    found = {row["address"]: row["slots"] for row in rows}
    return [found[node.address] for node in cluster.nodes]


def test_slots_move_with_their_keys(cluster: LocalCluster) -> None:
    written = fill(cluster, 600)
    first, second, third = (node.address for node in cluster.nodes)
    before = slots_of(cluster)
    plan = admin("reshard", first, "--to", second, "--slots", 300, "--dry-run", "--json").must()
    assert plan.document["slots_moved"] == 0
    assert slots_of(cluster) == before
    done = admin("reshard", first, "--to", second, "--slots", 300, "--yes", "--json").must()
    assert done.document["slots_moved"] == 300
    assert done.document["moves"] == plan.document["moves"]
    between = slots_of(cluster)
    assert between[1] == before[1] + 300
    assert_kept(cluster, written)
    words = ("--cluster-from", cluster.nodes[1].node_id, "--cluster-to", cluster.nodes[2].node_id)
    admin("reshard", third, *words, "--cluster-slots", 50, "--cluster-yes").must()
    assert slots_of(cluster)[2] == between[2] + 50
    rebalanced = admin("rebalance", first, "--yes", "--threshold", 0, "--json").must().document
    assert rebalanced["by"] == "slots"
    assert sorted(slots_of(cluster)) == [5461, 5461, 5462]
    assert_kept(cluster, written)
    admin("check", second, "--search-multiple-owners").must()


def test_named_slots_and_a_total_are_reached_once(cluster: LocalCluster) -> None:
    place, target = cluster.nodes[0].address, cluster.nodes[2].address
    words = ("reshard", place, "--to", target, "--yes", "--json")
    assert admin(*words, "--slot-ranges", "0-9,40").must().document["slots_moved"] == 11
    assert admin(*words, "--slot-ranges", "0-9,40").must().document["slots_moved"] == 0
    total = slots_of(cluster)[2] + 5
    assert admin(*words, "--until", total).must().document["slots_moved"] == 5
    assert admin(*words, "--until", total).must().document["slots_moved"] == 0


def test_rebalance_minds_weights_thresholds_and_loads(real: LocalCluster) -> None:
    place = real.nodes[0].address
    even = admin("rebalance", place).must()
    assert "balanced well enough: nothing to move" in even.out
    light = f"{real.nodes[2].node_id[:10]}=0.5"
    plan = admin("rebalance", "--cluster-weight", light, place, "--cluster-simulate").must()
    assert f"{real.nodes[2].address} -> " in plan.out
    written = fill(real, 300, prefix="{one}")
    heavy = real.master_of("{one}")
    loads = admin("rebalance", place, "--by", "keys", "--dry-run", "--json").must().document
    assert loads["excess"][heavy.address] == 200
    memory = admin("rebalance", place, "--by", "memory", "--dry-run", "--json").must().document
    assert memory["excess"][heavy.address] > 1000
    no_stats = admin("rebalance", place, "--by", "ops", "--yes").must(1)
    assert "cluster-slot-stats-enabled" in no_stats.err
    assert "is no number" in admin("rebalance", place, "--weight", "a=b").must(2).err
    assert "no node is 'nobody'" in admin("rebalance", place, "--weight", "nobody=1").must(1).err
    assert_kept(real, written)


def test_wishes_that_make_no_sense_are_refused(real: LocalCluster) -> None:
    first, second = real.nodes[0].address, real.nodes[1].address
    assert "needed" in admin("reshard", first, "--slots", 5).must(2).err
    assert "needed" in admin("reshard", first, "--to", second).must(2).err
    both = ("--slots", 5, "--slot-ranges", "1-2")
    assert "not allowed" in admin("reshard", first, "--to", second, *both).must(2).err
    nobody = admin("reshard", first, "--to", "nobody", "--slots", 1, "--yes").must(1)
    assert "no node is 'nobody' in this cluster; there are" in nobody.err
    own = admin("reshard", first, "--to", first, "--from", first, "--slots", 1).must(1)
    assert "cannot be a source as well" in own.err
    unasked = admin("reshard", first, "--to", second, "--slots", 1).must(1)
    assert "give --yes to go ahead" in unasked.err
    atomic = ("--way", "atomic", "--slots", 1, "--yes")
    assert "MIGRATESLOTS" in admin("reshard", first, "--to", second, *atomic).must(1).err


def test_a_key_that_both_ends_hold_stops_the_move(real: LocalCluster) -> None:
    key = "key"
    slot = slot_of(key)
    source = real.master_of(key)
    target = next(node for node in real.nodes if node is not source)
    source.call("SET", key, "from the source")
    target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
    target.call("ASKING")
    target.call("SET", key, "from the target")
    source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.node_id)
    words = ("reshard", source.address, "--to", target.address, "--slot-ranges", slot, "--yes")
    stopped = admin(*words).must(1)
    assert "with different values" in stopped.err
    assert "--replace" in stopped.err
    assert source.call("GET", key) == b"from the source"
    admin(*words, "--replace").must()
    assert_kept(real, {key: "from the source"})


def test_equal_values_on_both_ends_do_not(real: LocalCluster) -> None:
    key = "key"
    source = real.master_of(key)
    target = next(node for node in real.nodes if node is not source)
    source.call("SET", key, "value")
    target.call("CLUSTER", "SETSLOT", slot_of(key), "IMPORTING", source.node_id)
    target.call("ASKING")
    target.call("SET", key, "value")
    words = ("reshard", source.address, "--to", target.address, "--slot-ranges", slot_of(key))
    admin(*words, "--yes").must()
    assert_kept(real, {key: "value"})


def _break_off(process: "subprocess.Popen[str]", seconds: float, number: signal.Signals) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    process.communicate(timeout=90)


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_reshard_goes_on(cluster: LocalCluster, seed: int) -> None:
    """The CLI dies at random moments; the same command, or `fix`, brings it to its end."""
    chance = random.Random(seed)
    written = fill(cluster, 500)
    first, second = cluster.nodes[0].address, cluster.nodes[1].address
    words = ("reshard", first, "--to", second, "--slot-ranges", "0-399", "--yes", "--way", "keys")
    for _ in range(3):
        number = chance.choice([signal.SIGKILL, signal.SIGINT])
        _break_off(start(*words, "--pipeline", 1), chance.uniform(0.3, 0.9), number)
    if seed % 2:
        admin("fix", first, "--yes").must()
    admin(*words).must()
    admin("check", first, "--search-multiple-owners").must()
    assert slots_of(cluster)[0] == 5461 - 400
    assert_kept(cluster, written)


@pytest.mark.parametrize("seed", range(2))
def test_a_killed_atomic_reshard_goes_on(seed: int) -> None:
    chance = random.Random(seed)
    with new_cluster("clustrio") as cluster:
        try:
            cluster.nodes[0].call("CLUSTER", "GETSLOTMIGRATIONS")
        except CallError:
            pytest.skip("these nodes do not know MIGRATESLOTS yet")
        written = fill(cluster, 1000)
        first, second = cluster.nodes[0].address, cluster.nodes[1].address
        words = ("reshard", first, "--to", second, "--slot-ranges", "0-2999", "--yes")
        for _ in range(2):
            _break_off(start(*words), chance.uniform(0.3, 0.8), signal.SIGKILL)
        done = admin(*words, "--way", "atomic", "--json").must().document
        assert done["slots_moved"] == done["slots_moved_atomically"]
        assert slots_of(cluster)[0] == 5461 - 3000
        admin("check", second, "--search-multiple-owners").must()
        assert_kept(cluster, written)


@pytest.mark.parametrize("victim", ["source", "target"])
def test_an_end_that_died_comes_back(durable: LocalCluster, victim: str) -> None:
    cluster = durable
    written = fill(cluster, 300)
    source, target = cluster.nodes[0], cluster.nodes[1]
    words = ("reshard", target.address, "--to", target.address, "--slot-ranges", "0-1999")
    process = start(*words, "--yes", "--way", "keys", "--pipeline", 1)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)
    cluster.kill(source if victim == "source" else target)
    _, text = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "next:" in text
    cluster.restart(source if victim == "source" else target)
    cluster.wait_for_ok()
    admin(*words, "--yes").must()
    admin("check", source.address, "--search-multiple-owners").must()
    assert_kept(cluster, written)
