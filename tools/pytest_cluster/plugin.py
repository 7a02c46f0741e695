"""What pytest loads: the settings and the fixtures of the default shape.

Rules: loading it imports pytest and attrs only, nothing of a cluster; a cluster is imported and
started when the first test asks for it. Names never shadow those of pytest-redis.
"""

from collections.abc import Callable
from importlib import import_module
from types import ModuleType

import pytest

from . import factories
from .settings import add_settings

redis_cluster_proc = factories.redis_cluster_proc()
redis_cluster_noproc = factories.redis_cluster_noproc()
redis_cluster = factories.redis_cluster()
redis_cluster_url = factories.redis_cluster_url()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings."""
    add_settings(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Make the fixtures that await by the plugin that runs them."""
    is_there = config.pluginmanager.hasplugin
    # A module, since that is where pytest looks for fixtures.
    fixtures = ModuleType("clustrio_loop_fixtures")
    makers: dict[str, Callable[..., object]] = {"asyncio": pytest.fixture, "trio": pytest.fixture}
    if is_there("asyncio"):
        makers["asyncio"] = import_module("pytest_asyncio").fixture
    if is_there("trio"):
        makers["trio"] = import_module("pytest_trio").trio_fixture
    made = {
        "redis_cluster_asyncio": factories.redis_cluster_asyncio(fixture=makers["asyncio"]),
        "redis_cluster_trio": factories.redis_cluster_trio(fixture=makers["trio"]),
    }
    for name, fixture in made.items():
        setattr(fixtures, name, fixture)
    config.pluginmanager.register(fixtures, fixtures.__name__)
