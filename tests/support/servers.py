"""Real servers for tests: Clustrio and the redis-server it must agree with.

The processes themselves are `clustrio.tools.bench.processes`' business; here stands what tests want
to say about them. The machinery is tested in `tests/runtime/test_servers.py`."""

import os
import shlex
import shutil
from collections.abc import Sequence
from typing import Final

import pytest

from clustrio.tools.bench.processes import CLUSTRIO, REDIS, ServerError, ServerProcess

from .raw import RawClient

__all__ = [
    "ServerError",
    "ServerProcess",
    "client_of",
    "require_redis",
    "start_clustrio",
    "start_redis",
]

#: Names a command to run in Clustrio's place: to try the tests themselves on a real server.
SUBJECT_VARIABLE: Final = "CLUSTRIO_SUBJECT"
#: Set to 1 where a missing redis-server is a failure, not a reason to skip.
REQUIRE_VARIABLE: Final = "CLUSTRIO_REQUIRE_REDIS"


def start_clustrio(*arguments: str) -> ServerProcess:
    """Start Clustrio's server, from this very environment."""
    command: Sequence[str] = shlex.split(os.environ.get(SUBJECT_VARIABLE, "")) or CLUSTRIO
    return ServerProcess(command, arguments, name="clustrio-server")


def start_redis(*arguments: str) -> ServerProcess:
    """Start a real redis-server; the test must carry the `redis_server` marker."""
    return ServerProcess(REDIS, arguments, name="redis-server")


def client_of(server: ServerProcess, protocol: int = 2) -> RawClient:
    """Connect to a server."""
    client = RawClient("127.0.0.1", server.port)
    if protocol != 2:
        client.call("HELLO", str(protocol))
    return client


def require_redis() -> None:
    """Skip, or fail where it is demanded, when no redis-server is installed."""
    if shutil.which(REDIS[0]) is not None:
        return
    reason = "no redis-server on PATH (Debian: apt-get install redis-server redis-tools)"
    if os.environ.get(REQUIRE_VARIABLE) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
