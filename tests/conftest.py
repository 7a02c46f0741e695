"""Options, markers and the seed: what every test may rely on.

`redis_server` skips a test where no redis-server is installed; with CLUSTRIO_REQUIRE_REDIS=1 it
fails instead, so that a machine meant to compare cannot quietly stop comparing."""

import pytest
from hypothesis import HealthCheck, settings

from .support.servers import require_redis

#: The ordinary run repeats itself, so that it fails for a change only; give other seeds to hunt.
_SEED_DEFAULT = 1
#: Generated steps or inputs up to which the ordinary time limit holds.
_WORK_DEFAULT_MAX = 20_000
#: Steps or inputs in a second: far below what is seen, so that only a run that hangs is cut off.
_WORK_PER_SECOND_MIN = 100


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("clustrio")
    group.addoption("--seed", type=int, default=None, help="seed of all generated tests")
    group.addoption(
        "--differential-steps",
        type=int,
        default=_WORK_DEFAULT_MAX,
        help="generated commands for each command group (default: %(default)s)",
    )
    group.addoption(
        "--fuzz-inputs",
        type=int,
        default=5_000,
        help="broken inputs for each port (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    # How long an example takes says more of the machine than of the code.
    settings.register_profile(
        "clustrio", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("clustrio")
    # The workers of pytest-xdist start with the options of the run as they are after this.
    if config.option.seed is None:
        config.option.seed = _SEED_DEFAULT


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Long runs on request must not be cut off by the time limit of ordinary tests.
    work = max(config.option.differential_steps, config.option.fuzz_inputs)
    for item in items:
        if item.get_closest_marker("slow") is not None and work > _WORK_DEFAULT_MAX:
            item.add_marker(pytest.mark.timeout(120 + work / _WORK_PER_SECOND_MIN))


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {config.option.seed}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # The header is not shown with -q, and a run that failed must be repeatable.
    seed = terminalreporter.config.option.seed
    terminalreporter.write_line(f"seed: {seed} (repeat with --seed {seed})")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("redis_server") is not None:
        require_redis()


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """The seed of this run; combine it with the test's own name."""
    value = request.config.option.seed
    assert isinstance(value, int)
    return value
