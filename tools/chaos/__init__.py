"""Chaos: a cluster under load, broken by a plan, and what came of it.

    from clustrio.tools.chaos import judge, load_plan, run_plan

    history = run_plan(load_plan("kill"), server="redis-server")
    verdict = judge(history)
    assert verdict.is_fine, verdict.broken

`plan.py` says what is to happen, `run.py` lets it happen, `history.py` holds what did, `checkers/`
and `verdict.py` judge it, and `report.py` and `page.py` tell it.
"""

from .cli import load_plan, shipped_plans
from .drawing import plan_from_seed
from .history import History, lines_of, parse_history_untrusted
from .page import html_page
from .plan import FaultPlan, Plan, PlanError, Promises, WorkloadPlan, parse_plan_untrusted
from .report import json_report, text_report
from .run import run_on_addresses, run_plan
from .verdict import Verdict, judge

__all__ = [
    "FaultPlan",
    "History",
    "Plan",
    "PlanError",
    "Promises",
    "Verdict",
    "WorkloadPlan",
    "html_page",
    "json_report",
    "judge",
    "lines_of",
    "load_plan",
    "parse_history_untrusted",
    "parse_plan_untrusted",
    "plan_from_seed",
    "run_on_addresses",
    "run_plan",
    "shipped_plans",
    "text_report",
]
