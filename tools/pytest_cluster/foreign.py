"""A cluster that somebody else runs: it is emptied between tests, and never broken."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from redis.asyncio.cluster import RedisCluster as AsyncioRedisCluster
    from redis.cluster import RedisCluster

    from ..local.clients import TrioClient


class ForeignCluster:
    """What the client fixtures need of it."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        """The node that we were told of."""
        return f"redis://{self.host}:{self.port}"

    def reset(self) -> None:
        """Empty it."""
        client = self.client()
        try:
            client.flushall(target_nodes="primaries")
        finally:
            client.close()

    def client(self, **options: object) -> "RedisCluster":
        """A redis-py client."""
        from redis.cluster import RedisCluster

        make: Callable[..., RedisCluster] = RedisCluster
        return make(host=self.host, port=self.port, **options)

    def asyncio_client(self, **options: object) -> "AsyncioRedisCluster":
        """A redis-py client for asyncio."""
        from redis.asyncio.cluster import RedisCluster

        make: Callable[..., RedisCluster] = RedisCluster
        return make(host=self.host, port=self.port, **options)

    def trio_client(self, timeout_s: float = 30.0) -> "TrioClient":
        """A small client for trio."""
        from ..local.clients import TrioClient

        return TrioClient([self.port], timeout_s, host=self.host)
