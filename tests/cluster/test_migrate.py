"""Slots that move key by key, as redis-cli does it, under the eyes of clients."""

import subprocess
import time
from collections.abc import Sequence

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    begin_move,
    disagreement,
    form,
    meet,
    not_ok,
    running,
    start_clustrio_node,
    wait_until,
)

from ..support.servers import client_of, start_clustrio, start_redis
from .load import CheckedLoad, connect

#: Two thousand slots, key by key, take minutes on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.redis_server, pytest.mark.timeout(500)]


def manage(verb: str, node: ClusterNode, *options: str) -> str:
    """`redis-cli --cluster`; what it prints."""
    done = subprocess.run(
        ["redis-cli", "--cluster", verb, f"127.0.0.1:{node.port}", *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    return done.stdout


def reshard(asked: ClusterNode, source: ClusterNode, target: ClusterNode, count: int) -> None:
    ends = ("--cluster-from", source.node_id, "--cluster-to", target.node_id)
    manage("reshard", asked, *ends, "--cluster-slots", str(count), "--cluster-yes")


def assert_settled(nodes: Sequence[ClusterNode], key_count: int) -> None:
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
    sizes = [node.number("DBSIZE") for node in nodes]
    assert sum(sizes) == key_count
    for node, size in zip(nodes, sizes, strict=True):
        with client_of(node) as client:
            questions = [[b"CLUSTER", b"COUNTKEYSINSLOT", b"%d" % slot] for slot in range(16_384)]
            assert size == sum(reply.number for reply in client.pipeline(questions))
    checked = manage("check", nodes[0])
    assert "[OK] All 16384 slots covered" in checked
    assert "[WARNING]" not in checked
    assert "[ERR]" not in checked


def test_two_thousand_slots_move_and_no_client_notices() -> None:
    with running(clustrio=3) as nodes:
        form(nodes)
        with CheckedLoad(nodes[1].port) as load:
            reshard(nodes[1], nodes[0], nodes[2], 2000)
            reshard(nodes[1], nodes[2], nodes[0], 200)
        assert load.count > 1000
        assert_settled(nodes, load.check_everything())


def test_slots_move_to_a_real_server_and_back() -> None:
    with running(clustrio=2, redis=1) as nodes:
        form(nodes)
        with CheckedLoad(nodes[1].port) as load:
            reshard(nodes[0], nodes[0], nodes[2], 300)
            reshard(nodes[0], nodes[2], nodes[1], 300)
        assert load.count > 500
        assert_settled(nodes, load.check_everything())


def test_rebalance_with_an_empty_node() -> None:
    with running(clustrio=3) as nodes:
        form(nodes)
        with start_clustrio_node() as fresh:
            manage("add-node", fresh, f"127.0.0.1:{nodes[0].port}")
            four = [*nodes, fresh]
            wait_until("all see the new one", lambda: disagreement(four, 4), four)
            wait_until("it serves, too", lambda: not_ok(four), four)
            with CheckedLoad(nodes[1].port) as load:
                weight = f"{fresh.node_id}=0.05"
                options = ("--cluster-use-empty-masters", "--cluster-weight", weight)
                manage("rebalance", nodes[0], *options)
            assert fresh.lines()[fresh.node_id].slots
            assert_settled(four, load.check_everything())


def test_the_client_of_the_load_follows_to_a_node_without_slots() -> None:
    # It happens in a rebalance for some milliseconds only: the tests above must not depend on it.
    with running(clustrio=2) as nodes, start_clustrio_node() as fresh:
        form(nodes)
        three = [*nodes, fresh]
        meet(nodes[0], [fresh])
        wait_until("all see the new one", lambda: disagreement(three, 3), three)
        wait_until("it serves, too", lambda: not_ok(three), three)
        client = connect(nodes[0].port)
        slot = nodes[0].number("CLUSTER", "KEYSLOT", "key")
        source = next(node for node in nodes if node.serves(slot))
        fresh.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.node_id)
        source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", fresh.node_id)
        assert client.set("key", "value")
        client.close()
        assert [node.number("DBSIZE") for node in three] == [0, 0, 1]


def test_fix_ends_a_move_that_somebody_left_half_way() -> None:
    with running(clustrio=3) as nodes:
        form(nodes)
        for name in range(40):
            key = f"{{x}}{name}"
            slot = nodes[0].number("CLUSTER", "KEYSLOT", key)
            next(node for node in nodes if node.serves(slot)).call("SET", key, name)
        source, target = begin_move(nodes, slot)
        keys = source.items("CLUSTER", "GETKEYSINSLOT", slot, 15)
        words = [key for key in keys if isinstance(key, bytes)]
        source.call("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *words)
        counts = [each.number("CLUSTER", "COUNTKEYSINSLOT", slot) for each in (source, target)]
        assert counts == [25, 15]
        manage("fix", nodes[0], "--cluster-yes")
        counts = [each.number("CLUSTER", "COUNTKEYSINSLOT", slot) for each in (source, target)]
        assert sorted(counts) == [0, 40]
        assert_settled(nodes, 40)


@pytest.mark.parametrize("start", [start_redis, start_clustrio])
def test_import_from_a_standalone(start: type) -> None:
    with running(clustrio=3) as nodes, start() as standalone:
        form(nodes)
        with client_of(standalone) as client:
            for number in range(200):
                client.call("SET", f"key{number}", number)
        manage("import", nodes[0], "--cluster-from", f"127.0.0.1:{standalone.port}")
        assert_settled(nodes, 200)


def test_a_key_is_on_one_side_at_every_instant() -> None:
    with running(clustrio=2) as nodes:
        form(nodes)
        slot = nodes[0].number("CLUSTER", "KEYSLOT", "{x}")
        next(each for each in nodes if each.serves(slot)).call("SET", "{x}large", b"v" * 5_000_000)
        source, target = begin_move(nodes, slot)
        with client_of(source) as mover, client_of(source) as here, client_of(target) as there:
            mover.send("MIGRATE", "127.0.0.1", target.port, "{x}large", 0, 5000)
            ends_s = time.monotonic() + 10
            seen = b""
            while seen[:3] != b"ASK" and time.monotonic() < ends_s:
                there.call("ASKING")
                came_first = there.call("EXISTS", "{x}large").number
                reply = here.call("EXISTS", "{x}large")
                seen = reply.text if reply.kind == b"-" else b""
                if not seen:
                    # It was still here after we looked there, so it cannot have been there.
                    assert (came_first, reply.number) == (0, 1)
            assert seen == f"ASK {slot} 127.0.0.1:{target.port}".encode()
            there.call("ASKING")
            assert there.call("EXISTS", "{x}large").number == 1
            assert mover.read().text == b"OK"
