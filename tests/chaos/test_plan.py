"""Reading plans: what is understood, and how what is not is refused."""

import json

import pytest

from clustrio.tools.chaos.cli import load_plan, shipped_plans
from clustrio.tools.chaos.drawing import draw_faults, plan_from_seed, with_drawn_faults
from clustrio.tools.chaos.history import plan_tables
from clustrio.tools.chaos.plan import (
    DEFAULT_WORKLOADS,
    DRAWABLE,
    DrawPlan,
    Plan,
    PlanError,
    parse_plan_untrusted,
    plan_from,
    stretched,
)

FULL = """
name = "full"
duration_s = 20
node_timeout_ms = 500
[options]
appendonly = true
hz = 50
[[workload]]
kind = "append"
clients = 2
wait_replicas = 1
[[fault]]
kind = "partition"
at_s = 5
for_s = 2.5
targets = ["primary:0", "node:4"]
towards = "others"
one_way = true
[[fault]]
kind = "slow"
at_s = 10
targets = "replicas"
latency_ms = 5
[promises]
lost_writes = "none"
split_brain_s = 0.5
"""


def test_a_full_plan_is_understood() -> None:
    plan = parse_plan_untrusted(FULL)
    assert (plan.duration_s, plan.node_timeout_ms, plan.masters) == (20, 500, 3)
    assert plan.options == {"appendonly": "yes", "hz": "50"}
    assert [(w.kind, w.clients, w.wait_replicas) for w in plan.workloads] == [("append", 2, 1)]
    cut, slow = plan.faults
    assert cut.targets == ("primary:0", "node:4")
    assert cut.towards == ("others",)
    assert cut.settings == {"one_way": True}
    assert slow.for_s is None
    assert slow.settings == {"latency_ms": 5.0, "jitter_ms": 0.0, "loss": 0.0}
    assert (plan.promises.lost_writes, plan.promises.split_brain_s) == ("none", 0.5)


def test_a_plan_survives_json() -> None:
    plan = parse_plan_untrusted(FULL)
    assert parse_plan_untrusted(json.dumps(plan_tables(plan)), is_json=True) == plan


def test_without_a_workload_all_kinds_are_at_work() -> None:
    assert plan_from({"name": "plain"}).workloads == DEFAULT_WORKLOADS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", "no TOML"),
        ("", "name is missing"),
        ("name = 3", "plan.name: a text is wanted"),
        ("name = 'x'\ncolour = 'red'", "unknown entry 'colour'"),
        ("name = 'x'\nduration_s = 'long'", "a number is wanted"),
        ("name = 'x'\nduration_s = 0", "not in 0.5"),
        ("name = 'x'\nmasters = 2.5", "a whole number is wanted"),
        ("name = 'x'\nseed = true", "a number is wanted"),
        ("name = 'x'\nworkload = 3", "a list of tables is wanted"),
        ("name = 'x'\n[[workload]]\nkind = 'queue'", "'queue' is none of register"),
        ("name = 'x'\n[[workload]]\nkind = 'set'\nread_share = 2", "not in 0..1"),
        ("name = 'x'\n[[fault]]\nkind = 'kill'", "at_s is missing"),
        ("name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 1", "targets is missing"),
        ("name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 99\ntargets = 'all'", "not in 0..10"),
        ("name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 1\ntargets = 'me'", "unknown target 'me'"),
        ("name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 1\ntargets = 'node:x'", "unknown target"),
        (
            "name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 1\ntargets = 'node:6'",
            "there is no node:6",
        ),
        (
            "name = 'x'\n[[fault]]\nkind = 'kill'\nat_s = 1\ntargets = 'primary:3'",
            "there is no primary:3",
        ),
        (
            "name = 'x'\n[[fault]]\nkind = 'ring'\nat_s = 1\ntargets = 'all'",
            "unknown entry 'targets'",
        ),
        (
            "name = 'x'\n[[fault]]\nkind = 'partition'\nat_s = 1\ntargets = 'all'",
            "towards is missing",
        ),
        (
            "name = 'x'\n[[fault]]\nkind = 'slow'\nat_s = 1\ntargets = 'all'\nloss = 2",
            "a share lies in 0..1",
        ),
        ("name = 'x'\n[promises]\nlost_writes = 'some'", "'some' is none of none, windows, any"),
        ("name = 'x'\n[draw]\nkinds = ['rain']", "'rain' is none of kill"),
        ("name = 'x'\n[draw]\nkinds = []", "a list of kinds is wanted"),
        ("name = 'x'\n[options]\nhz = 1.5", "a text or a number is wanted"),
    ],
)
def test_what_is_wrong_is_said(text: str, words: str) -> None:
    with pytest.raises(PlanError) as caught:
        parse_plan_untrusted(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"name": "x", "fault": {}}'])
def test_bad_json_is_refused(text: str) -> None:
    with pytest.raises(PlanError):
        parse_plan_untrusted(text, is_json=True)


def test_all_shipped_plans_are_sound() -> None:
    plans = shipped_plans()
    wanted = {
        "kill", "pause", "partition-minority", "partition-majority", "one-way-link", "slow-link",
        "reshard", "reshard-kills", "full-restart", "disk-full", "jepsen", "smoke",
    }  # fmt: skip
    assert wanted <= plans.keys()
    assert all(plan.about for plan in plans.values())
    recipe = plans["jepsen"]
    assert recipe.node_timeout_ms == 2000
    assert recipe.options["cluster-replica-validity-factor"] == "0"


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(PlanError, match="neither a file nor one of: calm, "):
        load_plan("no-such-plan")


def test_stretching_moves_faults_and_keeps_their_length() -> None:
    plan = stretched(parse_plan_untrusted(FULL), 40)
    assert [(fault.at_s, fault.for_s) for fault in plan.faults] == [(10, 2.5), (20, None)]


# ---- drawing -------------------------------------------------------------------------------------


def test_a_seed_draws_the_same_faults_again() -> None:
    draw = DrawPlan(DRAWABLE, interval_s=2)
    faults = draw_faults(draw, 7, 60, 3)
    assert faults == draw_faults(draw, 7, 60, 3)
    assert faults != draw_faults(draw, 8, 60, 3)
    assert len(faults) == 27
    assert {"kill", "pause", "migrate"} <= {fault.kind for fault in faults}
    for fault in faults:
        assert fault.for_s is not None
        assert draw.calm_s <= fault.at_s < 60 - draw.calm_s
        assert fault.at_s + fault.for_s <= 60


@pytest.mark.parametrize("seed", range(30))
def test_drawn_plans_can_be_read_back(seed: int) -> None:
    plan = with_drawn_faults(plan_from_seed(seed))
    assert plan.draw is None
    assert plan.faults
    assert plan_from(plan_tables(plan)) == plan


def test_nothing_is_drawn_without_being_asked_for() -> None:
    plan = Plan("plain")
    assert with_drawn_faults(plan) is plan
