"""What is measured beside single commands: scripts, transactions, messages, and what rights cost.

Owns the workloads that redis-benchmark cannot make alone: it knows neither transactions nor
subscribers. Rules: each is a function of a server and a scale that gives the same figures as a run
of redis-benchmark does; what it made in the server is gone when it returns.
"""

import contextlib
import hashlib
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from statistics import median, quantiles
from typing import Final

from attrs import frozen

from ..wire import Caller
from .measure import Figures, run_load, run_workload
from .processes import ServerError, ServerProcess
from .workloads import VALUE_BYTES, Goal, Workload

_ONE_LINE: Final = "return redis.call('GET', KEYS[1])"
#: Ten a second, at most a hundred at once; the time is the server's.
_TOKEN_BUCKET: Final = """
local rate, size, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(known[1]) or size, tonumber(known[2]) or now
tokens = math.min(size, tokens + (now - at) * rate / 1000)
local allowed = 0
if tokens >= wanted then
    tokens, allowed = tokens - wanted, 1
end
redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(size / rate * 1000))
return {allowed, tostring(tokens)}
"""
_KEY: Final = "key:__rand_int__"
_FILLED: Final = (("SET", _KEY, "v" * VALUE_BYTES),)
_SUBSCRIBERS: Final = 50
_PUBLISHERS: Final = 50
_QUEUED: Final = 10
_TRANSACTION_CLIENTS: Final = 50
_DRAIN_PAUSE_S: Final = 0.001
_COST_GOAL: Final = (Goal("cost_percent", 3, is_absolute=True),)
_USER: Final = ("limited", "secret")
_RULES: Final = ("on", f">{_USER[1]}", "~key:*", "~other:*", "+@all", "-@dangerous")


@frozen
class Feature:
    """Something to measure: its name, what it should come to, and how."""

    name: str
    goals: tuple[Goal, ...]
    measure: Callable[[ServerProcess, float], Figures]


@contextlib.contextmanager
def _called(server: ServerProcess) -> Iterator[Caller]:
    caller = Caller(server.port, 60.0)
    try:
        yield caller
    finally:
        caller.close()


# --- scripts -------------------------------------------------------------------------------------


def _run_script(script: str, workload: Workload, server: ServerProcess, scale: float) -> Figures:
    with _called(server) as caller:
        caller.call("SCRIPT", "LOAD", script)
    return run_workload(server, workload, scale)


def _evaluate(name: str, pipeline: int, requests: int) -> Feature:
    command = ("EVAL", _ONE_LINE, "1", _KEY)
    workload = Workload(name, command, 50, pipeline, requests, (), _FILLED)
    return Feature(name, (), partial(_run_script, _ONE_LINE, workload))


def _take_tokens(name: str) -> Feature:
    sha = hashlib.sha1(_TOKEN_BUCKET.encode(), usedforsecurity=False).hexdigest()
    command = ("EVALSHA", sha, "1", "bucket:__rand_int__", "10", "100", "1")
    workload = Workload(name, command, 50, 1, 60_000, ())
    return Feature(name, (), partial(_run_script, _TOKEN_BUCKET, workload))


# --- transactions --------------------------------------------------------------------------------


def _packed(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(
        b"$%d\r\n%b\r\n" % (len(word), word.encode()) for word in words
    )


def _run_transactions(server: ServerProcess, scale: float) -> Figures:
    """MULTI, ten times SET and EXEC in one piece, from many clients at the same time."""
    value = "v" * VALUE_BYTES
    orders = [
        b"".join(
            (
                _packed("MULTI"),
                *(_packed("SET", f"key:{client}:{number}", value) for number in range(_QUEUED)),
                _packed("EXEC"),
            )
        )
        for client in range(_TRANSACTION_CLIENTS)
    ]
    expected = b"+OK\r\n" + b"+QUEUED\r\n" * _QUEUED + b"*%d\r\n" % _QUEUED + b"+OK\r\n" * _QUEUED
    rounds = max(20, int(800 * scale))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(server.connect()) for _ in orders]
        delays_ms: list[float] = []
        before_s, began_s = server.cpu_seconds(), time.perf_counter()
        for _ in range(rounds):
            sent_s = time.perf_counter()
            for each, order in zip(sockets, orders, strict=True):
                each.sendall(order)
            for each in sockets:
                _expect(each, expected)
                delays_ms.append((time.perf_counter() - sent_s) * 1000)
        elapsed_s, used_s = time.perf_counter() - began_s, server.cpu_seconds() - before_s
    count = rounds * len(orders)
    return {
        "throughput": count / elapsed_s,
        "cpu_us": used_s / count * 1e6,
        "p50_ms": median(delays_ms),
        "p99_ms": quantiles(delays_ms, n=100)[98],
    }


def _expect(connection: socket.socket, expected: bytes) -> None:
    reply = connection.recv(len(expected))
    while reply and len(reply) < len(expected):
        reply += connection.recv(len(expected) - len(reply))
    if reply != expected:
        raise ServerError(f"no reply of a transaction: {reply[:200]!r}")


# --- messages ------------------------------------------------------------------------------------


class _Audience:
    """Subscribers of one channel that throw away what they hear, but count it."""

    def __init__(self, server: ServerProcess, count: int, channel: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._is_over = threading.Event()
        self.heard_bytes = 0
        for _ in range(count):
            connection = server.connect()
            connection.sendall(_packed("SUBSCRIBE", channel))
            connection.recv(256)
            connection.setblocking(False)
            self._selector.register(connection, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self) -> None:
        space = bytearray(1 << 18)
        while not self._is_over.is_set():
            for key, _ in self._selector.select(0.1):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                with contextlib.suppress(BlockingIOError):
                    self.heard_bytes += connection.recv_into(space)
            # Much at once, so that the listeners do not take the time of who publishes.
            time.sleep(_DRAIN_PAUSE_S)

    def wait_for(self, byte_count: int) -> None:
        """Until all of them have heard everything."""
        ends_s = time.perf_counter() + 30.0
        while self.heard_bytes < byte_count:
            if time.perf_counter() > ends_s:
                raise ServerError(f"heard {self.heard_bytes} of {byte_count} bytes of messages")
            time.sleep(0.005)

    def close(self) -> None:
        """Go away."""
        self._is_over.set()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            connection = key.fileobj
            assert isinstance(connection, socket.socket)
            connection.close()
        self._selector.close()


def _run_publish(server: ServerProcess, scale: float) -> Figures:
    """PUBLISH to all of the audience; it must have heard all of it."""
    message = "m" * VALUE_BYTES
    workload = Workload("PUBLISH", ("PUBLISH", "news", message), _PUBLISHERS, 1, 40_000, ())
    audience = _Audience(server, _SUBSCRIBERS, "news")
    try:
        figures = run_workload(server, workload, scale)
        one = len(_packed("message", "news", message))
        sent = max(min(1000, workload.requests), int(workload.requests * scale))
        audience.wait_for(one * sent * _SUBSCRIBERS)
    finally:
        audience.close()
    return figures


# --- what rights and copies cost -----------------------------------------------------------------


@contextlib.contextmanager
def _another_user(server: ServerProcess) -> Iterator[None]:
    """Somebody is restricted to some keys, and is there."""
    with _called(server) as caller, _called(server) as other:
        caller.call("ACL", "SETUSER", _USER[0], "reset", *_RULES)
        other.call("AUTH", *_USER)
        try:
            yield
        finally:
            caller.call("ACL", "DELUSER", _USER[0])


@contextlib.contextmanager
def _another_tracker(server: ServerProcess) -> Iterator[None]:
    """Somebody keeps copies, and has read a key."""
    with _called(server) as tracker:
        tracker.call("HELLO", 3)
        tracker.call("CLIENT", "TRACKING", "ON")
        tracker.call("GET", "key:000000000001")
        yield


@contextlib.contextmanager
def _nothing(server: ServerProcess) -> Iterator[None]:
    yield


Setting = Callable[[ServerProcess], contextlib.AbstractContextManager[None]]


def _run_cost(
    setting: Setting, options: Sequence[str], pipeline: int, server: ServerProcess, scale: float
) -> Figures:
    """By how much the server's time for a GET grows, in a setting and by options of the client."""
    requests = 80_000 * (4 if pipeline > 1 else 1)
    plain = Workload("GET", ("GET", _KEY), 50, pipeline, requests, (), _FILLED)
    special = Workload("GET", (*options, "GET", _KEY), 50, pipeline, requests, ())
    # The first run makes the data; it is not counted, and so warms up both ways.
    run_workload(server, plain, scale)
    plain_us = special_us = 0.0
    for _ in range(3):
        plain_us += run_load(server, plain, scale)["cpu_us"]
        with setting(server):
            special_us += run_load(server, special, scale)["cpu_us"]
    return {"cost_percent": (special_us / plain_us - 1) * 100}


def _cost(
    name: str, setting: Setting, *options: str, goals: tuple[Goal, ...] = (), pipeline: int = 1
) -> Feature:
    return Feature(name, goals, partial(_run_cost, setting, options, pipeline))


FEATURES: Final[list[Feature]] = [
    _evaluate("EVAL of one line", 1, 100_000),
    _evaluate("EVAL of one line -P 16", 16, 200_000),
    _take_tokens("EVALSHA of the token bucket"),
    Feature("MULTI of 10 SET, EXEC", (), _run_transactions),
    Feature(f"PUBLISH to {_SUBSCRIBERS}", (), _run_publish),
    _cost("GET while a user is restricted", _another_user, goals=_COST_GOAL),
    _cost("GET while a client tracks", _another_tracker, goals=_COST_GOAL),
    _cost("GET by a restricted user", _another_user, "--user", _USER[0], "-a", _USER[1]),
    _cost("GET by clients that track", _nothing, "-3", "--enable-tracking"),
]
