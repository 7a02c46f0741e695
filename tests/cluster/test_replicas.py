"""Replicas of cluster nodes of both kinds: failovers under load, files, guards, and addresses."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)
from clustrio.tools.wire import Caller, CallError

from .test_failover import out_of_step, replication

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

TIMEOUT_MS = 1500
OPTIONS = ("--repl-ping-replica-period", "1")


def in_step(replica: ClusterNode, primary: ClusterNode, nodes: list[ClusterNode]) -> None:
    wait_until("in step", lambda: out_of_step(replica, primary), nodes)


def role_is(node: ClusterNode, role: str) -> str:
    return "" if replication(node)["role"] == role else f"not {role}"


@contextmanager
def shard(
    kinds: tuple[str, str], arguments: tuple[str, ...] = ()
) -> Iterator[tuple[ClusterNode, ClusterNode, list[ClusterNode]]]:
    """A primary and its replica of these kinds, and two more primaries to vote: all nodes."""
    count = {kind: kinds.count(kind) for kind in ("clustrio", "redis")}
    with running(
        clustrio=count["clustrio"] + 1,
        redis=count["redis"] + 1,
        timeout_ms=TIMEOUT_MS,
        arguments=(*OPTIONS, *arguments),
    ) as nodes:
        pool = list(nodes)
        primary, replica = (
            pool.pop(next(n for n, each in enumerate(pool) if each.is_real == (kind == "redis")))
            for kind in kinds
        )
        form([primary, *pool], [(replica, primary)])
        in_step(replica, primary, nodes)
        yield primary, replica, nodes


class Counter:
    """Adds to counters of the first shard as a careful client does, and notes what was promised."""

    def __init__(self, nodes: tuple[ClusterNode, ClusterNode]) -> None:
        self._ports = [node.port for node in nodes]
        self.keys = [key for key in map(str, range(2000)) if key_slot(key.encode()) < 5461][:40]
        self.promised = dict.fromkeys(self.keys, 0)
        #: Requests whose reply never came: they count once or not.
        self.unknown = dict.fromkeys(self.keys, 0)
        self.worst_gap_s = 0.0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Counter":
        self._thread.start()
        wait_until("load", lambda: "" if sum(self.promised.values()) > 100 else "none yet")
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        number, place, caller = 0, 0, None
        good_s = time.perf_counter()
        while not self._is_over.is_set():
            key = self.keys[number % len(self.keys)]
            try:
                caller = caller or Caller(self._ports[place], 1.0)
                caller.call("INCR", key)
            except (CallError, OSError) as failure:
                if caller is not None:
                    # Cut: whoever counted on it does not know.
                    self.unknown[key] += isinstance(failure, OSError)
                    caller.close()
                place, caller = 1 - place, None
                self._is_over.wait(0.005)
            else:
                self.promised[key] += 1
                number += 1
                now_s = time.perf_counter()
                self.worst_gap_s = max(self.worst_gap_s, now_s - good_s)
                good_s = now_s
        if caller is not None:
            caller.close()

    def check(self, node: ClusterNode, *, may_lose: bool) -> None:
        """What the node has is what was promised."""
        for key, promised in self.promised.items():
            value = int(node.text("GET", key))
            assert value <= promised + self.unknown[key], (key, value, promised)
            assert may_lose or value >= promised, (key, value, promised)


def not_many_more(counter: Counter, before: int) -> str:
    """What is wrong if writes stand still."""
    done = sum(counter.promised.values()) - before
    return "" if done > 100 else f"only {done} more"


@pytest.mark.parametrize(
    "kinds", [("clustrio", "clustrio"), ("clustrio", "redis"), ("redis", "clustrio")]
)
def test_a_manual_failover_under_load_loses_and_doubles_nothing(kinds: tuple[str, str]) -> None:
    with shard(kinds) as (old, new, nodes):
        with Counter((old, new)) as counter:
            for primary, replica in ((old, new), (new, old)):
                in_step_under_load(replica, primary)
                # A primary takes such an order only from whom it knows as its replica.
                wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
                before = sum(counter.promised.values())
                replica.call("CLUSTER", "FAILOVER")
                wait_until("taken over", partial(role_is, replica, "master"), nodes)
                wait_until("given up", partial(role_is, primary, "slave"), nodes)
                wait_until(
                    "load goes on",
                    partial(not_many_more, counter, before),
                )
        in_step(new, old, nodes)
        assert not sum(counter.unknown.values())
        counter.check(old, may_lose=False)
        wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
        # A twentieth of that on a quiet machine; if the order were lost, it would be five seconds.
        assert counter.worst_gap_s < 4
        # The first copy is the only one.
        fulls = [node.text("INFO", "stats").count("sync_full:1\r\n") for node in (old, new)]
        assert sum(fulls) == 1


def in_step_under_load(replica: ClusterNode, primary: ClusterNode) -> None:
    """The link is up: the offsets never stand still."""
    wait_until(
        "the link is up",
        lambda: "" if replication(replica).get("master_link_status") == "up" else "down",
    )
    wait_until(
        "online", lambda: "" if "state=online" in replication(primary).get("slave0", "") else "no"
    )


@pytest.mark.parametrize(
    "kinds", [("clustrio", "clustrio"), ("clustrio", "redis"), ("redis", "clustrio")]
)
def test_a_killed_primary_is_replaced_under_load(kinds: tuple[str, str]) -> None:
    with shard(kinds) as (old, new, nodes):
        survivors = [node for node in nodes if node is not old]
        with Counter((old, new)) as counter:
            # What the replica had confirmed by now is safe.
            wait_until("load", lambda: "" if sum(counter.promised.values()) > 500 else "little")
            safe = dict(counter.promised)
            wait_until("confirmed", lambda: "" if old.number("WAIT", 1, 2000) else "no", nodes)
            offset = int(replication(old)["master_repl_offset"])
            wait_until(
                "applied",
                lambda: "" if int(replication(new)["slave_repl_offset"]) >= offset else "no",
            )
            old.kill()
            wait_until("taken over", lambda: role_is(new, "master"), survivors)
            before = sum(counter.promised.values())
            wait_until(
                "load goes on",
                lambda: "" if sum(counter.promised.values()) > before + 100 else "no",
            )
        for key, value in safe.items():
            assert int(new.text("GET", key)) >= value
        counter.check(new, may_lose=True)
        old.start_again()
        in_step(old, new, nodes)
        wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
        wait_until("ok again", lambda: not_ok(nodes), nodes)
        old.call("READONLY")
        for key in counter.keys:
            assert old.text("GET", key) == new.text("GET", key)


@pytest.mark.parametrize("kinds", [("clustrio", "redis"), ("redis", "clustrio")])
def test_a_primary_that_hangs_is_replaced_and_follows_when_it_wakes(kinds: tuple[str, str]) -> None:
    with shard(kinds) as (old, new, nodes):
        others = [node for node in nodes if node is not old]
        key = next(key for key in map(str, range(99)) if old.serves(key_slot(key.encode())))
        old.call("SET", key, "before")
        in_step(new, old, nodes)
        os.kill(old.pid, signal.SIGSTOP)
        try:
            wait_until("taken over", lambda: role_is(new, "master"), others)
            wait_until("ok", lambda: not_ok(others), others)
            new.call("SET", key, "after")
        finally:
            os.kill(old.pid, signal.SIGCONT)
        in_step(old, new, nodes)
        wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
        # Who was away serves nobody for a while.
        wait_until("ok again", lambda: not_ok(nodes), nodes)
        old.call("READONLY")
        assert old.text("GET", key) == "after"
        assert old.call("DEBUG", "DIGEST") == new.call("DEBUG", "DIGEST")


def test_an_empty_primary_wipes_nothing_in_any_way_of_loading() -> None:
    for load in ("swapdb", "disabled"):
        arguments = ("--repl-diskless-load", load, "--cluster-replica-no-failover", "yes")
        with shard(("clustrio", "clustrio"), arguments) as (primary, replica, nodes):
            for number in range(300):
                if primary.serves(key_slot(b"%d" % number)):
                    primary.call("SET", number, "x")
            assert primary.number("WAIT", 1, 5000) == 1
            count = primary.number("DBSIZE")
            primary.kill()
            primary.start_again()

            def not_refused(p: ClusterNode = primary, r: ClusterNode = replica) -> str:
                has_asked = "sync_full:0" not in p.text("INFO", "stats")
                is_refused = "come back without any data" in r.log()
                return "" if has_asked and is_refused else "not yet"

            wait_until("refused", not_refused, nodes)
            assert replica.number("DBSIZE") == count > 0


def test_files_of_cluster_nodes_and_their_replicas() -> None:
    # A replica that starts sooner than its primary must not take over.
    alone = ("--cluster-replica-no-failover", "yes")
    options = ("--appendonly", "yes", "--appendfsync", "always", *alone)
    with shard(("clustrio", "clustrio"), options) as (primary, replica, nodes):
        keys = [key for key in map(str, range(300)) if primary.serves(key_slot(key.encode()))]
        for key in keys:
            primary.call("SET", key, "x")
        in_step(replica, primary, nodes)
        for node in (replica, primary):
            digest = node.call("DEBUG", "DIGEST")
            node.call("SAVE")
            for order in ("LOADAOF", "RELOAD"):
                node.call("DEBUG", order)
                assert node.call("DEBUG", "DIGEST") == digest
        for node in (replica, primary):
            node.kill()
            node.start_again()
        wait_until("ok", lambda: not_ok(nodes), nodes)
        assert primary.number("DBSIZE") == len(keys)
        in_step(replica, primary, nodes)
        assert replica.number("DBSIZE") == len(keys)


def test_keys_that_were_loaded_decide_over_slots_that_nobody_has() -> None:
    with running(clustrio=1, timeout_ms=TIMEOUT_MS) as (node,):
        node.call("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
        wait_until("ok", lambda: not_ok([node]))
        for key in ("a", "b"):
            node.call("SET", key, "x")
        node.call("SAVE")
        node.kill()
        (node.folder / "nodes.conf").unlink()
        node.start_again()
        own = node.lines()[node.node_id].slots
        assert own == tuple(sorted((str(key_slot(b"a")), str(key_slot(b"b"))), key=int))


def test_a_replica_finds_its_primary_at_another_port() -> None:
    with shard(("clustrio", "clustrio")) as (primary, replica, nodes):
        replica.call("CONFIG", "SET", "cluster-replica-no-failover", "yes")
        old_port = primary.port
        assert replication(replica)["master_port"] == str(old_port)
        primary.kill()
        primary.restart()
        assert primary.port != old_port
        wait_until(
            "the replica follows",
            lambda: "" if replication(replica)["master_port"] == str(primary.port) else "no",
            nodes,
        )
        in_step(replica, primary, nodes)
