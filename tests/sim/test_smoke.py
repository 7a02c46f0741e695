"""A few dozen seeds: whatever they draw, nothing that was promised is broken."""

import pytest

from clustrio.tools.sim.run import Run
from clustrio.tools.sim.swarm import draw
from clustrio.tools.sim.verdict import Verdict

from .seeds import Seed, read_seeds

SHORT = {"safety_ms": 4_000}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, 24, 4))
def test_seeds_keep_all_promises(first: int) -> None:
    for seed in range(first, first + 4):
        outcome = Run(draw(seed, SHORT)).go()
        assert outcome.verdict is Verdict.OK, f"{outcome.line}\n{outcome.details}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", read_seeds(), ids=lambda seed: str(seed.number))
def test_seeds_that_once_failed(seed: Seed) -> None:
    outcome = Run(draw(seed.number)).go()
    if seed.is_open and outcome.verdict is not Verdict.OK:
        pytest.xfail(outcome.line)
    assert outcome.verdict is Verdict.OK, f"{outcome.line}\n{outcome.details}"
