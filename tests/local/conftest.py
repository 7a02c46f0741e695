"""Clusters of each kind, shared by the tests of a module."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from clustrio.tools.local.cluster import LocalCluster

from .clusters import new_cluster

if TYPE_CHECKING:
    from redis.cluster import RedisCluster

KINDS = [
    "threads",
    "processes",
    pytest.param("redis", marks=pytest.mark.redis_server),
]


@pytest.fixture(params=KINDS, scope="module")
def shared(request: pytest.FixtureRequest) -> Iterator[LocalCluster]:
    with new_cluster(request.param) as cluster:
        yield cluster


@pytest.fixture
def cluster(shared: LocalCluster) -> LocalCluster:
    shared.reset()
    return shared


@pytest.fixture
def client(cluster: LocalCluster) -> Iterator["RedisCluster"]:
    client = cluster.client()
    yield client
    client.close()
