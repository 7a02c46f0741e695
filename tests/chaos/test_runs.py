"""Whole runs on real clusters: nothing is found in a calm, and in a storm what is there."""

from pathlib import Path

import pytest
from attrs import evolve

from clustrio.tools.chaos.cli import load_plan, main
from clustrio.tools.chaos.history import WRITE, History, lines_of, parse_history_untrusted
from clustrio.tools.chaos.plan import FaultPlan, Plan, Promises, WorkloadPlan
from clustrio.tools.chaos.run import run_on_addresses, run_plan
from clustrio.tools.chaos.verdict import judge
from clustrio.tools.local.cluster import LocalCluster

pytestmark = pytest.mark.slow

SERVERS = [None, pytest.param("redis-server", marks=pytest.mark.redis_server)]


def short(plan: Plan, duration_s: float, *faults: FaultPlan) -> Plan:
    return evolve(
        plan,
        duration_s=duration_s,
        faults=faults,
        node_timeout_ms=800,
        operation_timeout_ms=400,
        promises=Promises(converge_s=30),
    )


@pytest.mark.parametrize(
    ("server", "mix"),
    [
        (None, False),
        pytest.param("redis-server", False, marks=pytest.mark.redis_server),
        pytest.param("redis-server", True, marks=pytest.mark.redis_server),
    ],
)
def test_nothing_is_found_where_nothing_happens(server: str | None, mix: bool) -> None:
    # A busy machine may hold up anything: how long gaps are is not asked here.
    calm = load_plan("calm")
    plan = evolve(calm, duration_s=1.5, promises=evolve(calm.promises, unavailable_s=None))
    history = run_plan(plan, server=server, mix=mix)
    assert history.server == ("redis-server + clustrio" if mix else server or "clustrio")
    verdict = judge(history)
    assert verdict.is_fine, verdict.broken
    assert verdict.figures.lost_writes == 0
    assert {each.workload for each in history.operations} >= {"register", "set", "transaction"}
    assert parse_history_untrusted(lines_of(history)) == history


@pytest.mark.parametrize("server", SERVERS)
def test_a_crash_is_seen_for_what_it_is(server: str | None) -> None:
    plan = short(load_plan("smoke"), 4.5, FaultPlan("kill", 0.5, 3.5, ("primary:0",)))
    history = run_plan(plan, server=server)
    verdict = judge(history)
    assert verdict.is_fine, verdict.broken
    failover = verdict.failovers[0]
    assert (failover.fault, failover.node, failover.successor) == ("kill", 0, 3)
    assert failover.seconds > 0.7
    assert verdict.figures.unavailable_s > 0.7
    assert [fault.nodes for fault in history.faults] == [(0,)]
    (killed,) = history.faults
    while_down = [
        each
        for each in history.operations
        if each.node == 0 and each.outcome == "ok"
        if killed.start_ms + 50 < each.start_ms and each.end_ms < killed.end_ms
    ]
    assert while_down == []


@pytest.mark.redis_server
def test_what_really_is_lost_is_found() -> None:
    """All nodes crash at once, and nothing was on any disk."""
    plan = short(load_plan("smoke"), 3, FaultPlan("kill", 1.0, 0.2, ("all",)))
    plan = evolve(plan, workloads=(WorkloadPlan("append"), WorkloadPlan("register")))
    verdict = judge(run_plan(plan, server="redis-server"))
    assert verdict.figures.lost_unexcused > 10
    assert verdict.exit_code == 1


def test_a_cluster_that_runs_already_only_gets_the_load() -> None:
    plan = evolve(load_plan("calm"), duration_s=1.0, workloads=(WorkloadPlan("append"),))
    with LocalCluster(3, 0, node_timeout_ms=2000, seed=1, relayed=False) as cluster:
        history = run_on_addresses(plan, cluster.addresses[1])
    assert history.node_count == 3
    assert sorted(history.addresses) == sorted(f"{h}:{p}" for h, p in cluster.addresses)
    assert sum(each.action == WRITE for each in history.operations) > 10
    assert judge(history).figures.lost_writes == 0


def test_the_command_runs_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan, record = tmp_path / "mine.toml", tmp_path / "mine.jsonl"
    plan.write_text(
        'name = "mine"\nduration_s = 0.8\nreplicas = 0\n[[workload]]\nkind = "counter"\n'
        '[[fault]]\nkind = "slow"\nat_s = 0.2\nfor_s = 0.3\ntargets = "all"\nlatency_ms = 5\n'
    )
    arguments = ["run", str(plan), "--mode", "threads", "--quiet", "--history", str(record)]
    assert main(arguments) == 0
    assert "mine on clustrio" in capsys.readouterr().out
    history: History = parse_history_untrusted(record.read_text().splitlines())
    assert [fault.kind for fault in history.faults] == ["slow"]


@pytest.mark.parametrize("server", SERVERS)
def test_a_disk_can_be_filled_to_the_last_byte(server: str | None) -> None:
    plan = short(load_plan("disk-full"), 3, FaultPlan("fill_disk", 0.5, 2.0, ("primary:0",)))
    history = run_plan(plan, server=server)
    errors = {each.error[:7] for each in history.operations if each.node in (0, -1)}
    assert "MISCONF" in errors
    assert judge(history).figures.lost_writes == 0
