"""The same seed gives the same run, to the last decision."""

import os
import subprocess
import sys

import pytest

from clustrio.tools.sim.run import Run
from clustrio.tools.sim.swarm import draw

SEED = 5
SHORT = {"safety_ms": 3_000, "node_timeout_ms": 500, "kill_share": 0.0}


def digest_of(seed: int, **fixed: object) -> str:
    run = Run(draw(seed, {**SHORT, **fixed}))
    run.go()
    assert len(run.world.record) > 20
    return run.digest()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run() -> None:
    assert digest_of(SEED) == digest_of(SEED)


@pytest.mark.slow
def test_another_seed_gives_another_run() -> None:
    assert digest_of(SEED) != digest_of(SEED + 1)


@pytest.mark.slow
def test_going_through_the_bytes_of_the_bus_changes_nothing() -> None:
    assert digest_of(SEED, through_wire=True) == digest_of(SEED, through_wire=False)


@pytest.mark.slow
def test_the_order_of_hashes_does_not_matter() -> None:
    script = (
        "from clustrio.tools.sim.run import Run\n"
        "from clustrio.tools.sim.swarm import draw\n"
        f"run = Run(draw({SEED}, {SHORT!r}))\n"
        "run.go()\n"
        "print(run.digest())\n"
    )
    found = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1
