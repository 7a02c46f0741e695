"""Servers under attack: the tests of a module share one, and look at it after each of them."""

from collections.abc import Iterator

import pytest

from ..support.raw import RawClient, simple
from ..support.servers import client_of, start_clustrio

#: What a server may grow by in one test.
_GROWTH_BYTES_MAX = 64 * 1024 * 1024
_PASSWORD = "secret"


class Node:
    """A server under attack, and what it was before."""

    def __init__(self) -> None:
        self.server = start_clustrio()
        self.client = client_of(self.server)
        self.before = (self.server.pid, self.server.rss_bytes())

    def begin(self) -> None:
        """What a test finds."""
        self._log_in(self.client)
        self.client.call("FLUSHALL")
        self.before = (self.server.pid, self.server.rss_bytes())

    def check(self) -> None:
        """It lives on, with a client of before and with a new one, and found no bug in itself."""
        assert self.server.is_running(), self.server.log()[-3000:]
        with client_of(self.server) as newcomer:
            for client in (self.client, newcomer):
                self._log_in(client)
                assert client.call("PING") == simple("PONG")
        pid, rss_bytes = self.before
        assert self.server.pid == pid
        assert self.server.rss_bytes() - rss_bytes < _GROWTH_BYTES_MAX
        assert "Traceback" not in self.server.log(), self.server.log()[-3000:]

    @staticmethod
    def _log_in(client: RawClient) -> None:
        client.call("AUTH", _PASSWORD)

    def stop(self) -> None:
        """The end."""
        self.client.close()
        self.server.stop()


@pytest.fixture(scope="module")
def shared() -> Iterator[Node]:
    node = Node()
    yield node
    node.stop()


@pytest.fixture
def node(shared: Node) -> Iterator[Node]:
    shared.begin()
    yield shared
    shared.check()


@pytest.fixture
def client(node: Node) -> RawClient:
    return node.client


@pytest.fixture(scope="module")
def shared_guarded() -> Iterator[Node]:
    node = Node()
    node.client.call("CONFIG", "SET", "requirepass", _PASSWORD)
    yield node
    node.stop()


@pytest.fixture
def guarded(shared_guarded: Node) -> Iterator[Node]:
    shared_guarded.begin()
    yield shared_guarded
    shared_guarded.check()
