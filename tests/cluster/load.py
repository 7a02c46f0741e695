"""Clients that read back what they wrote, while the cluster changes beneath them.

Each thread has keys of its own and a model of them, so that every single reply can be checked: a
lost write, a key that is missing or comes back, an APPEND done twice, an error: all are failures.
"""

import threading
import time
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from redis.cluster import ClusterNode as Address
from redis.cluster import RedisCluster

KEYS_PER_THREAD: Final = 300


#: redis-py's types say of each reply that it may be anything.
Client = Any


def connect(port: int) -> Client:
    """A redis-py client of the cluster that this node belongs to."""
    make_address: Any = Address
    return RedisCluster(startup_nodes=[make_address("127.0.0.1", port)])


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
            self.failures.append(f"thread {number}: {failure!r}")
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
        assert not self.failures
        client = connect(self._port)
        try:
            for model in self._models:
                for key, value in model.items():
                    self._check(client, key, value)
        finally:
            client.close()
        return sum(map(len, self._models))
