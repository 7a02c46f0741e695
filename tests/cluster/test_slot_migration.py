"""Whole slots that change hands in one moment, between real processes and under load."""

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence

import pytest

from clustrio.tools.bench.clusters import (
    ClusterNode,
    disagreement,
    form,
    not_ok,
    running,
    wait_until,
)
from clustrio.tools.wire import CallError

from ..support.servers import client_of
from .load import CheckedLoad
from .slot_moves import OVER, check_fill, fill, jobs_of, move, slot_counts, start, wait_for_end

pytestmark = pytest.mark.slow


def assert_settled(nodes: Sequence[ClusterNode], key_count: int) -> None:
    wait_until("ok everywhere", lambda: not_ok(nodes), nodes)
    wait_until("one view", lambda: disagreement(nodes, len(nodes)), nodes)
    primaries = [node for node in nodes if node.lines()[node.node_id].role == "master"]
    counts = [slot_counts(node) for node in primaries]
    assert [sum(each) for each in counts] == [node.number("DBSIZE") for node in primaries]
    assert sum(map(sum, counts)) == key_count
    for slot, several in enumerate(zip(*counts, strict=True)):
        holders = [node for node, count in zip(primaries, several, strict=True) if count]
        assert len(holders) <= 1, f"slot {slot} has keys on two nodes"


@pytest.fixture(scope="module")
def shared_nodes() -> Iterator[list[ClusterNode]]:
    with running(clustrio=3, arguments=("--enable-debug-command", "yes")) as nodes:
        form(nodes)
        yield nodes


@pytest.fixture
def nodes(shared_nodes: list[ClusterNode]) -> list[ClusterNode]:
    """Three nodes without keys, the slots as they were at first."""
    for node in shared_nodes:
        node.call("FLUSHALL")
    home = shared_nodes[0]
    for node in shared_nodes[1:]:
        if node.serves(0):
            move(node, home, 0, 1999)
    wait_until("one view", lambda: disagreement(shared_nodes, 3), shared_nodes)
    return shared_nodes


def test_two_thousand_slots_there_and_back_and_no_client_notices(nodes: list[ClusterNode]) -> None:
    fill(nodes[0], 10_000)
    with CheckedLoad(nodes[1].port) as load:
        for source, target in ((nodes[0], nodes[2]), (nodes[2], nodes[0])):
            time.sleep(0.3)
            job = move(source, target, 0, 1999)
            assert job["slot_ranges"] == "0-1999"
            assert job["source_node"] == source.node_id
            assert job["target_node"] == target.node_id
            assert job["operation"] == "EXPORT"
            there = jobs_of(target)[0]
            assert (there["name"], there["operation"]) == (job["name"], "IMPORT")
            assert there["state"] == "success"
            assert target.serves(0)
            assert target.serves(1999)
    assert load.count > 50
    check_fill(nodes[0], 10_000)
    assert_settled(nodes, 10_000 + load.check_everything())


def test_every_type_arrives_as_it_was(nodes: list[ClusterNode]) -> None:
    source, target = nodes[0], nodes[1]
    tag = next(
        f"{{{number}}}"
        for number in range(100_000)
        if source.number("CLUSTER", "KEYSLOT", f"{{{number}}}") < 2000
    )
    slot = source.number("CLUSTER", "KEYSLOT", tag)
    requests: list[tuple[str | int, ...]] = [
        ("SET", f"{tag}string", "v"),
        ("SET", f"{tag}mortal", "v", "PX", 100_000),
        ("RPUSH", f"{tag}list", *range(1000)),
        ("SADD", f"{tag}set", *range(1000)),
        ("ZADD", f"{tag}zset", *(word for n in range(1000) for word in (n, f"m{n}"))),
        ("HSET", f"{tag}hash", *(word for n in range(1000) for word in (f"f{n}", n))),
        ("HPEXPIRE", f"{tag}hash", 50_000, "FIELDS", 1, "f1"),
        ("XADD", f"{tag}stream", "1-1", "f", "v"),
        ("PFADD", f"{tag}log", *range(1000)),
    ]
    for request in requests:
        source.call(*request)
    keys = source.items("CLUSTER", "GETKEYSINSLOT", slot, 100)
    names = [key for key in keys if isinstance(key, bytes)]
    before = source.items("DEBUG", "DIGEST-VALUE", *names)
    move(source, target, slot, slot)
    assert target.items("DEBUG", "DIGEST-VALUE", *names) == before
    assert 90_000 < target.number("PTTL", f"{tag}mortal") <= 100_000
    assert target.items("HPTTL", f"{tag}hash", "FIELDS", 1, "f1") != [-1]
    assert source.number("DBSIZE") == 0
    move(target, source, slot, slot)


class Storm:
    """redis-benchmark on one moving slot, as fast as the node can write."""

    def __init__(self, node: ClusterNode, slot_tag: str) -> None:
        self._command = (
            *("redis-benchmark", "-p", str(node.port), "-n", "100000000", "-c", "8", "-P", "32"),
            *("-r", "20000", "-q", "SET", f"{slot_tag}storm:__rand_int__", "__rand_int__"),
        )

    def __enter__(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


@pytest.mark.redis_server
def test_it_ends_under_the_heaviest_writing_and_loses_nothing(nodes: list[ClusterNode]) -> None:
    """Elsewhere such a migration never ends: the stream of writes outruns it."""
    source, target = nodes[0], nodes[2]
    tag = next(
        f"{{{number}}}"
        for number in range(100_000)
        if source.number("CLUSTER", "KEYSLOT", f"{{{number}}}") < 2000
    )
    slot = source.number("CLUSTER", "KEYSLOT", tag)
    with Storm(source, tag):
        time.sleep(1.0)
        # A value that grows with each write shows any that is lost, or done twice.
        with client_of(source) as counter:
            done = 0
            start(source, target, slot, slot)
            while (reply := counter.call("INCR", f"{tag}counter")).kind == b":":
                done += 1
                assert reply.number == done
    assert reply.text.startswith(b"MOVED")
    assert wait_for_end(source)["state"] == "success"
    assert target.call("GET", f"{tag}counter") == str(done).encode()
    assert source.number("DBSIZE") == 0
    target.call("FLUSHALL")
    move(target, source, slot, slot)


def test_hidden_until_it_is_over_and_gone_when_it_is_cancelled(nodes: list[ClusterNode]) -> None:
    source, target = nodes[0], nodes[2]
    fill(source, 30_000)
    here, there = source.number("DBSIZE"), target.number("DBSIZE")
    for _ in range(20):
        start(source, target, 0, 1999)
        time.sleep(0.01)
        with contextlib.suppress(CallError):  # It may be over already.
            source.call("CLUSTER", "CANCELSLOTMIGRATIONS", "ALL")
        job = wait_for_end(source)
        if job["state"] == "cancelled":
            break
        assert job["state"] == "success", job
        move(target, source, 0, 1999)
    assert job["state"] == "cancelled"
    wait_until(
        "the target knows",
        lambda: ", ".join(str(job) for job in jobs_of(target) if job["state"] not in OVER),
    )
    assert (source.number("DBSIZE"), target.number("DBSIZE")) == (here, there)
    assert sum(slot_counts(target)) == there
    check_fill(nodes[1], 30_000)
    assert_settled(nodes, 30_000)


@pytest.mark.parametrize("flushed", [0, 2])
def test_a_flush_of_either_side_ends_the_job_or_comes_after_it(
    nodes: list[ClusterNode], flushed: int
) -> None:
    source, target = nodes[0], nodes[2]
    fill(source, 20_000)
    start(source, target, 0, 1999)
    nodes[flushed].call("FLUSHALL")
    job = wait_for_end(source)
    wait_until("one view", lambda: disagreement(nodes, 3), nodes)
    total = sum(node.number("DBSIZE") for node in nodes)
    if flushed == 0 and job["state"] == "failed":
        assert source.number("DBSIZE") == 0
    assert_settled(nodes, total)


def refusal(node: ClusterNode, *words: str | int) -> str:
    with pytest.raises(CallError) as failure:
        node.call("CLUSTER", *words)
    return str(failure.value)


def test_refusals(nodes: list[ClusterNode]) -> None:
    one, other = nodes[0], nodes[1]
    to = ("NODE", other.node_id)
    migrate = ("MIGRATESLOTS", "SLOTSRANGE")
    cases: list[tuple[tuple[str | int, ...], str]] = [
        ((*migrate, 0, 1, "NODE", "x"), "ERR Invalid node name: x"),
        ((*migrate, 0, 1, "NODE", "f" * 40), f"ERR Unknown node name: {'f' * 40}"),
        ((*migrate, 0, 1, "NODE", one.node_id), "ERR Target node can not be this node."),
        ((*migrate, 0, 1), "ERR syntax error"),
        ((*migrate, *to), "ERR No slot ranges specified"),
        ((*migrate, 0, *to), "ERR Invalid or out of range slot"),
        ((*migrate, 0, 16_384, *to), "ERR Invalid or out of range slot"),
        ((*migrate, 2, 1, *to), "ERR Start slot number 2 is greater than end slot number 1."),
        (
            (*migrate, 0, 5, 5, 6, *to),
            "ERR Slot range 5-6 overlaps with previous range 0-5.",
        ),
        ((*migrate, 0, 16_383, *to), "ERR Requested slots span multiple shards"),
        ((*migrate, 16_383, 16_383, *to), "ERR Slots are not served by this node."),
        (
            (*migrate, 0, 5, *to, "SLOTSRANGE", 5, 6, *to),
            "ERR Slot ranges in migrations overlap",
        ),
        (("CANCELSLOTMIGRATIONS", "ALL"), "ERR No migrations ongoing"),
        (("CANCELSLOTMIGRATIONS", "SOME"), "ERR syntax error"),
        (("SYNCSLOTS", "FINISH", 5), "ERR No such slot migration job"),
        (("SYNCSLOTS", "KEYS"), "ERR No such slot migration job"),
        (("SYNCSLOTS", "NONSENSE"), "ERR syntax error"),
    ]
    for words, text in cases:
        assert refusal(one, *words) == text, words
    one.call("CLUSTER", "SETSLOT", 3, "MIGRATING", other.node_id)
    assert refusal(one, *migrate, 0, 1, *to) == "ERR Slots are being manually migrated"
    one.call("CLUSTER", "SETSLOT", 3, "STABLE")


def test_two_jobs_of_one_command(nodes: list[ClusterNode]) -> None:
    fill(nodes[0], 3000)
    ranges = ("SLOTSRANGE", 0, 99, 200, 299, "NODE", nodes[1].node_id)
    more = ("SLOTSRANGE", 100, 199, "NODE", nodes[2].node_id)
    nodes[0].call("CLUSTER", "MIGRATESLOTS", *ranges, *more)
    wait_until(
        "both end",
        lambda: ", ".join(str(job) for job in jobs_of(nodes[0])[:2] if job["state"] not in OVER),
    )
    latest, first = jobs_of(nodes[0])[:2]
    assert [job["state"] for job in (first, latest)] == ["success", "success"]
    assert (first["slot_ranges"], latest["slot_ranges"]) == ("0-99 200-299", "100-199")
    check_fill(nodes[1], 3000)
    assert_settled(nodes, 3000)
    for node, pairs in ((nodes[1], (0, 99, 200, 299)), (nodes[2], (100, 199))):
        node.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *pairs, "NODE", nodes[0].node_id)
        assert wait_for_end(node)["state"] == "success"


def test_the_nodes_know_each_other_by_password() -> None:
    with running(clustrio=2) as nodes:
        form(nodes)
        for node in nodes:
            node.call("CONFIG", "SET", "requirepass", "secret", "masterauth", "secret")
        nodes[0].call("SET", "{06S}x", 1)
        assert nodes[0].number("CLUSTER", "KEYSLOT", "{06S}x") == 0
        move(nodes[0], nodes[1], 0, 99)
        nodes[1].call("CONFIG", "SET", "masterauth", "wrong")
        start(nodes[1], nodes[0], 0, 99)
        job = wait_for_end(nodes[1])
        assert job["state"] == "failed"
        assert "WRONGPASS" in str(job["message"])
        assert nodes[1].call("GET", "{06S}x") == b"1"


def test_replicas_of_both_sides_follow() -> None:
    arguments = ("--enable-debug-command", "yes")
    with running(clustrio=4, timeout_ms=1000, arguments=arguments) as nodes:
        source, target, of_source, of_target = nodes
        form([source, target], [(of_source, source), (of_target, target)])
        wait_until(
            "the replicas are fed",
            lambda: ", ".join(
                str(node.port)
                for node in (of_source, of_target)
                if "master_link_status:up" not in node.text("INFO", "replication")
            ),
            nodes,
        )
        fill(source, 5000)
        move(source, target, 0, 4999)

        def differing() -> str:
            sizes = [node.number("DBSIZE") for node in nodes]
            return "" if sizes[0] == sizes[2] and sizes[1] == sizes[3] else str(sizes)

        wait_until("the replicas have what their primaries have", differing, nodes)
        digests = [node.text("DEBUG", "DIGEST") for node in nodes]
        assert digests[:2] == digests[2:]
        check_fill(source, 5000)
