"""Bugs that are put back are found: otherwise the simulator's silence means nothing.

The numbers are those of the table in `tools/sim/README.md`.
"""

import pytest
from attrs import fields

from clustrio.gossip.config import Bugs
from clustrio.tools.sim.cli import Job, run_job
from clustrio.tools.sim.hunts import HUNTS
from clustrio.tools.sim.swarm import with_bug
from clustrio.tools.sim.verdict import Verdict

CANARIES = ("ignore_rival_win", "vote_before_sync", "never_arm_ping", "trust_old_promises")


def test_every_bug_has_its_hunt() -> None:
    assert sorted(HUNTS) == sorted(field.name for field in fields(Bugs))


@pytest.mark.slow
@pytest.mark.parametrize("bug", CANARIES)
def test_a_planted_bug_is_found_in_time(bug: str) -> None:
    hunt = HUNTS[bug]
    fixed = {**hunt.fixed, "bugs": with_bug(bug)}
    for seed in range(hunt.within):
        result = run_job(Job(seed, None, tuple(fixed.items())))
        if result.verdict is not Verdict.OK:
            assert result.checker == hunt.checker, result.line
            return
    raise AssertionError(f"{bug} was not found within {hunt.within} seeds")
