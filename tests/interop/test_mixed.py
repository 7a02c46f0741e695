"""Clusters of Clustrio and redis-server nodes: one view, one verdict, votes for each other."""

import sys
from collections.abc import Sequence
from functools import partial

import pytest

from clustrio.tools.bench.clusters import (
    FAIL,
    ClusterNode,
    disagreement,
    form,
    health_in,
    meet,
    not_ok,
    running,
    shape_of,
    start_clustrio_node,
    start_redis_node,
    wait_until,
)
from clustrio.tools.wire import Caller

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

TIMEOUT_MS = 1000


def settle(nodes: Sequence[ClusterNode]) -> None:
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)


def wait_for_fail(watchers: Sequence[ClusterNode], node_id: str) -> None:
    wait_until(
        "FAIL in all views",
        lambda: ", ".join(
            f"{each.name} {each.port}: {health_in(each, node_id)!r}"
            for each in watchers
            if health_in(each, node_id) != FAIL
        ),
        watchers,
    )


def not_owned(nodes: Sequence[ClusterNode], owner_id: str, slots: tuple[str, ...]) -> str:
    """Who does not see that these slots have this owner."""
    return ", ".join(
        f"{node.name} {node.port}" for node in nodes if node.lines()[owner_id].slots != slots
    )


def subscribe(node: ClusterNode, kind: str = "SUBSCRIBE") -> Caller:
    caller = Caller(node.port)
    caller.call(kind, "news")
    return caller


def test_both_kinds_see_the_same_before_and_after_either_was_killed() -> None:
    with running(clustrio=2, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        form(nodes)
        before = shape_of(nodes[0].lines())
        for victim in (nodes[3], nodes[0]):
            survivors = [node for node in nodes if node is not victim]
            victim_id = victim.node_id
            victim.kill()
            wait_for_fail(survivors, victim_id)
            wait_until("one view", partial(disagreement, survivors, 4), survivors)
            assert not any(node.is_ok() for node in survivors)
            victim.start_again()
            settle(nodes)
        assert shape_of(nodes[0].lines()) == before


def test_published_messages_pass_the_bus_and_disturb_nothing() -> None:
    with running(clustrio=2, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        form(nodes)
        real_listener = subscribe(nodes[2])
        for publisher in (nodes[3], nodes[2]):
            for number in range(200):
                publisher.call("PUBLISH", "news", f"{number} " + "x" * 2000)
        heard = [real_listener.read() for _ in range(400)]
        assert all(isinstance(item, list) and item[0] == b"message" for item in heard)
        real_listener.close()
        counter = "cluster_stats_messages_publish_received"
        wait_until(
            "ours have received all",
            lambda: ", ".join(seen for n in nodes[:2] if (seen := n.info()[counter]) != "400"),
            nodes,
        )
        settle(nodes)
        assert all(not line.health for line in nodes[1].lines().values())


def test_our_votes_promote_the_replica_of_a_killed_real_primary() -> None:
    with running(clustrio=2, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        first, second, real, replica = nodes
        form([first, second, real], [(replica, real)])
        real_id, replica_id = real.node_id, replica.node_id
        wait_until(
            "the replica has the data",
            lambda: "" if "master_link_status:up" in replica.text("INFO") else "link down",
            [replica],
        )
        slots, old_epoch = first.lines()[real_id].slots, first.info()["cluster_current_epoch"]
        real.kill()
        survivors = [first, second, replica]
        wait_until(
            "the replica took over",
            lambda: "" if first.lines()[replica_id].slots == slots else str(first.lines()),
            survivors,
        )
        wait_until("ok without the old primary", lambda: not_ok(survivors), survivors)
        wait_until("one view", lambda: disagreement(survivors, 4), survivors)
        promoted = first.lines()[replica_id]
        assert promoted.role == "master"
        assert promoted.config_epoch > int(old_epoch)
        real.start_again()
        settle(nodes)
        assert first.lines()[real_id].primary_id == replica_id


def test_real_votes_promote_our_replica_when_an_operator_asks() -> None:
    with running(clustrio=2, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        primary, replica, *real = nodes
        form([primary, *real], [(replica, primary)])
        primary_id, replica_id = primary.node_id, replica.node_id
        slots, old_epoch = real[0].lines()[primary_id].slots, replica.info()["cluster_my_epoch"]
        # Otherwise it may be elected of its own accord before the order arrives.
        replica.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
        primary.kill()
        survivors = [replica, *real]
        wait_for_fail(survivors, primary_id)
        replica.call("CLUSTER", "FAILOVER", "FORCE")
        wait_until(
            "our replica took over",
            lambda: "" if real[0].lines()[replica_id].slots == slots else str(real[0].lines()),
            survivors,
        )
        wait_until("ok without the old primary", lambda: not_ok(survivors), survivors)
        assert int(replica.info()["cluster_my_epoch"]) > int(old_epoch)
        primary.start_again()
        settle(nodes)
        assert real[0].lines()[primary_id].primary_id == replica_id


def test_a_takeover_of_either_kind_is_believed_by_the_other() -> None:
    with running(clustrio=2, redis=3, timeout_ms=TIMEOUT_MS) as nodes:
        ours, our_replica, theirs, their_replica, other = nodes
        form([ours, theirs, other], [(our_replica, ours), (their_replica, theirs)])
        for replica, primary in ((our_replica, ours), (their_replica, theirs)):
            replica_id, primary_id = replica.node_id, primary.node_id
            slots = other.lines()[primary_id].slots
            replica.call("CLUSTER", "FAILOVER", "TAKEOVER")
            wait_until("all slots moved", partial(not_owned, nodes, replica_id, slots), nodes)
            settle(nodes)
            assert other.lines()[primary_id].primary_id == replica_id


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")
def test_announced_addresses_ports_and_host_names_are_passed_on() -> None:
    def announced(port_base: int, hostname: str) -> tuple[str, ...]:
        return (
            *("--bind", "127.0.0.1", "127.0.0.2", "--cluster-announce-ip", "127.0.0.2"),
            *("--cluster-announce-port", str(port_base), "--cluster-announce-hostname", hostname),
        )

    with (
        start_clustrio_node(*announced(1111, "ours.example"), timeout_ms=TIMEOUT_MS) as ours,
        start_redis_node(*announced(2222, "theirs.example"), timeout_ms=TIMEOUT_MS) as theirs,
        start_clustrio_node(timeout_ms=TIMEOUT_MS) as plain,
    ):
        # A bus port is announced when it is not the client port and 10000.
        for node in (ours, theirs):
            node.call("CONFIG", "SET", "cluster-announce-bus-port", node.port + 10_000)
        nodes = [plain, ours, theirs]
        form(nodes)
        wait_until("host names are known", lambda: disagreement(nodes, 3), nodes)
        for view in nodes:
            lines = view.lines()
            for node, port, name in ((ours, 1111, "ours"), (theirs, 2222, "theirs")):
                address = f"127.0.0.2:{port}@{node.port + 10_000},{name}.example"
                assert lines[node.node_id].address == address
        # Clients are sent to what was announced, and to the host name if they are to be.
        key_of_theirs = "{foo}"  # slot 12182: the last third
        with pytest.raises(Exception, match=r"MOVED 12182 127\.0\.0\.2:2222"):
            plain.call("GET", key_of_theirs)
        plain.call("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
        with pytest.raises(Exception, match=r"MOVED 12182 theirs\.example:2222"):
            plain.call("GET", key_of_theirs)


def test_each_kind_goes_on_with_the_nodes_conf_of_the_other() -> None:
    with running(clustrio=3, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        ours, our_replica, other, theirs, their_replica = nodes
        form([ours, theirs, other], [(our_replica, ours), (their_replica, theirs)])
        before = shape_of(other.lines())
        epochs = [node.info()["cluster_my_epoch"] for node in nodes]
        for first, second in ((ours, theirs), (our_replica, their_replica)):
            first.kill()
            second.kill()
            first.command, second.command = second.command, first.command
            first.start_again()
            second.start_again()
            assert len(first.lines()) == len(second.lines()) == 5
            settle(nodes)
        assert [node.is_real for node in nodes] == [True, True, False, False, False]
        # Killed primaries were away for less than the time after which they would be replaced.
        assert shape_of(other.lines()).keys() == before.keys()
        assert len({line.config_epoch for line in other.lines().values() if line.slots}) == 3
        assert epochs[2] == other.info()["cluster_my_epoch"]


def test_a_forgotten_and_reset_node_is_gone_and_may_return_as_a_new_one() -> None:
    with running(clustrio=2, redis=2, timeout_ms=TIMEOUT_MS) as nodes:
        *members, spare = nodes
        form(members)
        for joining in (spare, members[0]):
            stay = [node for node in nodes if node is not joining]
            if joining is spare:
                meet(members[0], [spare])
                wait_until("four nodes", lambda: disagreement(nodes, 4), nodes)
            else:
                joining.call("CLUSTER", "FLUSHSLOTS")
            old_id = joining.node_id
            joining.call("CLUSTER", "RESET", "HARD")
            for node in stay:
                node.call("CLUSTER", "FORGET", old_id)
            assert joining.node_id != old_id
            assert len(joining.lines()) == 1
            assert joining.info()["cluster_current_epoch"] == "0"
            wait_until("three nodes", partial(disagreement, stay, 3), stay)
            assert all(old_id not in node.lines() for node in stay)
            meet(stay[0], [joining])
            wait_until("four nodes", lambda: disagreement(nodes, 4), nodes)
