"""Makes fixtures: a cluster for the session, a clean client for each test.

Owns the fixtures' lives. Rules: a cluster is started once a session, which under pytest-xdist means
once a worker; before each test it is made as it was at its start: no data, all nodes alive, links
whole, the first roles and slots.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import pytest

from .settings import Wanted, flag, new_cluster, number, setting

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster as AsyncioRedisCluster
    from redis.cluster import RedisCluster

    from ..local.clients import TrioClient
    from ..local.cluster import LocalCluster


class ClusterLike(Protocol):
    """What the client fixtures need of a cluster, ours or not."""

    @property
    def url(self) -> str:
        """A URL of one node."""

    def reset(self) -> None:
        """Make it as it was at its start."""

    def client(self, **options: object) -> "RedisCluster":
        """A redis-py client."""

    def asyncio_client(self, **options: object) -> "AsyncioRedisCluster":
        """A redis-py client for asyncio."""

    def trio_client(self, timeout_s: float = 30.0) -> "TrioClient":
        """A client for trio."""


def redis_cluster_proc(
    masters: int | None = None,
    replicas: int | None = None,
    *,
    mode: str | None = None,
    executable: str | None = None,
    mix: bool | None = None,
    port: int | None = None,
    node_timeout_ms: int | None = None,
    options: dict[str, str] | None = None,
    seed: int | None = None,
) -> Callable[..., Iterator["LocalCluster"]]:
    """A session fixture: a running `LocalCluster`."""
    wanted = Wanted(masters, replicas, mode, executable, mix, port, node_timeout_ms, options, seed)

    @pytest.fixture(scope="session")
    def cluster_fixture(request: pytest.FixtureRequest) -> Iterator["LocalCluster"]:
        """A running cluster, for the whole session: a clustrio.LocalCluster."""
        with new_cluster(request.config, wanted) as cluster:
            yield cluster

    return cluster_fixture


def redis_cluster_noproc(
    host: str | None = None, port: int | None = None
) -> Callable[..., ClusterLike]:
    """A session fixture: a cluster that runs already, and is not ours to break."""

    @pytest.fixture(scope="session")
    def foreign_fixture(request: pytest.FixtureRequest) -> ClusterLike:
        """A cluster that runs already."""
        from .foreign import ForeignCluster

        config = request.config
        return ForeignCluster(
            host or setting(config, "host"),
            number(config, "noproc_port") if port is None else port,
        )

    return foreign_fixture


def redis_cluster(
    process_fixture: str = "redis_cluster_proc", *, decode: bool | None = None
) -> Callable[..., Iterator["RedisCluster"]]:
    """A fixture: a redis-py cluster client on a clean cluster."""

    @pytest.fixture
    def client_fixture(request: pytest.FixtureRequest) -> Iterator["RedisCluster"]:
        """A redis-py client of a clean cluster."""
        cluster: ClusterLike = request.getfixturevalue(process_fixture)
        cluster.reset()
        wants_text = flag(request.config, "decode") if decode is None else decode
        client = cluster.client(decode_responses=wants_text)
        yield client
        client.close()

    return client_fixture


def redis_cluster_url(
    process_fixture: str = "redis_cluster_proc",
) -> Callable[..., str]:
    """A fixture: the URL of one node of a clean cluster."""

    @pytest.fixture
    def url_fixture(request: pytest.FixtureRequest) -> str:
        """The URL of one node of a clean cluster."""
        cluster: ClusterLike = request.getfixturevalue(process_fixture)
        cluster.reset()
        return cluster.url

    return url_fixture


def redis_cluster_asyncio(
    process_fixture: str = "redis_cluster_proc",
    *,
    decode: bool | None = None,
    fixture: Callable[..., object] = pytest.fixture,
) -> Callable[..., object]:
    """A fixture for asyncio: a redis-py client on a clean cluster.

    `fixture` makes it one: pytest_asyncio.fixture, or pytest's own for anyio's plugin.
    """

    async def client_fixture(
        request: pytest.FixtureRequest,
    ) -> AsyncIterator["AsyncioRedisCluster"]:
        """A redis-py client of a clean cluster, for asyncio."""
        from ..local.off_loop import run_off_loop

        cluster: ClusterLike = request.getfixturevalue(process_fixture)
        await run_off_loop(cluster.reset)
        wants_text = flag(request.config, "decode") if decode is None else decode
        async with cluster.asyncio_client(decode_responses=wants_text) as client:
            yield client

    made: Callable[..., object] = fixture(client_fixture)  # type: ignore[assignment]
    return made


def redis_cluster_trio(
    process_fixture: str = "redis_cluster_proc",
    *,
    fixture: Callable[..., object] = pytest.fixture,
) -> Callable[..., object]:
    """A fixture for trio: a small client on a clean cluster.

    `fixture` makes it one: pytest_trio.trio_fixture, or pytest's own in trio mode.
    """

    async def client_fixture(request: pytest.FixtureRequest) -> AsyncIterator["TrioClient"]:
        """A small client of a clean cluster, for trio."""
        from ..local.off_loop import run_off_loop

        cluster: ClusterLike = request.getfixturevalue(process_fixture)
        await run_off_loop(cluster.reset)
        async with cluster.trio_client() as client:
            yield client

    made: Callable[..., object] = fixture(client_fixture)  # type: ignore[assignment]
    return made
