"""Clients that read back what they wrote, while the cluster changes beneath them.

Each thread has keys of its own and a model of them, so that every single reply can be checked: a
lost write, a key that is missing or comes back, an APPEND done twice, an error: all are failures.
"""

import threading
import time
from random import Random
from traceback import format_exception
from types import TracebackType
from typing import Any, Final, Self

from redis.cluster import PRIMARY, RedisCluster
from redis.cluster import ClusterNode as Address

KEYS_PER_THREAD: Final = 300


#: redis-py's types say of each reply that it may be anything.
Client = Any


class LearningCluster(RedisCluster):
    """redis-py's client, which can also be told of a node by ASK.

    WORKAROUND: its own map comes from CLUSTER SLOTS, which never names a master without slots, and
    when the first slot on the way to such a node answers ASK, redis-py 8.1 fails with
    `AttributeError: 'NoneType' object has no attribute 'redis_connection'` (with redis-server as
    well). The specification wants clients to follow ASK to the address that it gives.
    """

    def get_node(self, host: Any = None, port: Any = None, node_name: Any = None) -> Any:
        """The node, whether or not the map has it."""
        look_up: Any = super().get_node
        found = look_up(host, port, node_name)
        if found is None and node_name:
            host, _, port = node_name.rpartition(":")
            make_address: Any = Address
            found = self.nodes_manager.nodes_cache[node_name] = make_address(
                host, int(port), PRIMARY
            )
        return found


def connect(port: int) -> Client:
    """A redis-py client of the cluster that this node belongs to."""
    make_address: Any = Address
    make_client: Any = LearningCluster
    return make_client(startup_nodes=[make_address("127.0.0.1", port)])


class CheckedLoad:
    """Threads that write and read until the block ends."""

    def __init__(self, port: int, *, threads: int = 2, prefix: str = "load") -> None:
        self._port = port
        self._prefix = prefix
        self._is_over = threading.Event()
        self.failures: list[str] = []
        self.latencies_s: list[float] = []
        self._models: list[dict[str, str]] = [{} for _ in range(threads)]
        self._threads = [
            threading.Thread(target=self._work, args=(number,)) for number in range(threads)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, number: int) -> None:
        client = connect(self._port)
        try:
            rng, model = Random(number), self._models[number]
            while not self._is_over.is_set():
                began_s = time.perf_counter()
                self._step(client, rng, model, number)
                self.latencies_s.append(time.perf_counter() - began_s)
        except Exception as failure:
            self.failures.append(f"thread {number}: {''.join(format_exception(failure))}")
        finally:
            client.close()

    def _step(self, client: Client, rng: Random, model: dict[str, str], number: int) -> None:
        key = f"{self._prefix}{number}:{rng.randrange(KEYS_PER_THREAD)}"
        choice = rng.random()
        if choice < 0.4:
            value = str(rng.random())
            assert client.set(key, value)
            model[key] = value
        elif choice < 0.5:
            assert client.delete(key) == (key in model), key
            model.pop(key, None)
        elif choice < 0.6:
            model[key] = model.get(key, "") + "x"
            assert client.append(key, "x") == len(model[key]), key
        else:
            self._check(client, key, model.get(key))

    @staticmethod
    def _check(client: Client, key: str, expected: str | None) -> None:
        seen = client.get(key)
        assert (None if seen is None else seen.decode()) == expected, (key, seen, expected)

    @property
    def count(self) -> int:
        """How many requests were answered."""
        return len(self.latencies_s)

    def check_everything(self) -> int:
        """Every key as it must be; returns how many there are."""
        assert not self.failures, self.failures
        client = connect(self._port)
        try:
            for model in self._models:
                for key, value in model.items():
                    self._check(client, key, value)
        finally:
            client.close()
        return sum(map(len, self._models))
