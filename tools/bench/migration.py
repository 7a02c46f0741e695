"""`python -m clustrio.tools.bench.migration`: how fast slots move, and what clients feel of it.

The same slots with the same keys go from one node to another and back, in three ways: atomically
between Clustrio nodes, key by key between Clustrio nodes, and key by key between redis-servers
(both by `redis-cli --cluster reshard`). Meanwhile a client reads and writes keys of the source, in
moving slots and in others, one request after the other; the p99 of that is compared with the p99 of
the seconds before each move. By default 2,000 slots with 40,000 keys move: a move then lasts long
enough for its p99 to tell how the copying is felt, whereas in a tenth of a second the two moments
in which nodes.conf must reach the disk would be a hundredth of all requests. At the end they go
there and back once more under redis-py's cluster client, which checks every reply against what it
wrote.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from attrs import define, field

from ...slots.hashing import key_slot
from ..wire import Caller, CallError
from .clusters import ClusterNode, disagreement, form, running, wait_until
from .measure import require_load_generator
from .processes import ServerError

_WAITED: Final = re.compile(r"waited ([0-9.]+) ms")
_POLL_S: Final = 0.005
_PIPELINE: Final = 500
_IDLE_S: Final = 2.0
_SETTLE_S: Final = 0.5
ATOMIC: Final = "atomic, Clustrio"
BY_KEY: Final = "key by key, Clustrio"
BY_KEY_REAL: Final = "key by key, redis-server"

#: Seconds of each move; what requests took before, and meanwhile.
Samples = tuple[list[float], list[float], list[float]]
#: Moves slots from a node to another.
Mover = Callable[[ClusterNode, ClusterNode, range], None]


@define
class Result:
    """What was measured of one way."""

    way: str
    seconds: list[float] = field(factory=list)
    pauses_ms: list[float] = field(factory=list)
    idle_ms: list[float] = field(factory=list)
    busy_ms: list[float] = field(factory=list)
    library_idle_ms: list[float] = field(factory=list)
    library_busy_ms: list[float] = field(factory=list)
    errors: int = 0
    """Requests that failed or got a wrong reply, of both clients."""

    def figures(self, slot_count: int, byte_count: int) -> dict[str, float]:
        """The medians, and the percentiles over all runs."""
        seconds = statistics.median(self.seconds)
        return {
            "seconds": seconds,
            "slots_per_s": slot_count / seconds,
            "mb_per_s": byte_count / seconds / 1e6,
            "idle_p99_ms": _percentile(self.idle_ms, 99),
            "busy_p99_ms": _percentile(self.busy_ms, 99),
            "busy_max_ms": max(self.busy_ms, default=0.0),
            "pause_ms": statistics.median(self.pauses_ms) if self.pauses_ms else 0.0,
            "py_idle_p99": _percentile(self.library_idle_ms, 99),
            "py_busy_p99": _percentile(self.library_busy_ms, 99),
            "client_errors": self.errors,
        }


def _percentile(values: list[float], percent: int) -> float:
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


class Load:
    """A client in a thread of its own; `samples_ms` is what each request took."""

    def __init__(self, tags: Sequence[str]) -> None:
        self._tags = tags
        self._is_over = threading.Event()
        self.samples_ms: list[float] = []
        self.errors = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def take(self) -> list[float]:
        """The samples since the last time."""
        samples, self.samples_ms = self.samples_ms, []
        return samples

    def close(self) -> None:
        """Stop, and hang up."""
        self._is_over.set()
        self._thread.join()
        self.hang_up()

    def hang_up(self) -> None:
        """Let go of all connections."""

    def request(self, tag: str, key: str, value: str | None) -> None:
        """SET if there is a value, else GET."""

    def _work(self) -> None:
        rng = Random(1)
        while not self._is_over.is_set():
            tag = self._tags[rng.randrange(len(self._tags))]
            key = f"{{{tag}}}{rng.randrange(10)}"
            value = f"{rng.random():x<100}" if rng.random() < 0.5 else None
            began_s = time.perf_counter()
            self.request(tag, key, value)
            self.samples_ms.append((time.perf_counter() - began_s) * 1000)


class Prober(Load):
    """A client that costs little: what it measures is the servers' time."""

    def __init__(self, nodes: Sequence[ClusterNode], tags: Sequence[str]) -> None:
        self._callers = {node.port: Caller(node.port) for node in nodes}
        self._first_port = nodes[0].port
        self._ports: dict[str, int] = {}
        super().__init__(tags)

    def hang_up(self) -> None:
        """Let go of all connections."""
        for caller in self._callers.values():
            caller.close()

    def request(self, tag: str, key: str, value: str | None) -> None:
        """SET if there is a value, else GET."""
        self._ask(tag, ("GET", key) if value is None else ("SET", key, value))

    def _ask(self, tag: str, words: tuple[str, ...]) -> None:
        port, asks = self._ports.get(tag, self._first_port), False
        for _ in range(10):
            caller = self._callers[port]
            try:
                if asks:
                    caller.call("ASKING")
                caller.call(*words)
            except CallError as failure:
                verdict, *rest = str(failure).split()
                if verdict not in ("MOVED", "ASK"):
                    continue
                port, asks = int(rest[-1].rpartition(":")[2]), verdict == "ASK"
                if verdict == "MOVED":
                    self._ports[tag] = port
            else:
                return
        self.errors += 1


class LibraryLoad(Load):
    """redis-py's cluster client; every reply is checked."""

    def __init__(self, node: ClusterNode, tags: Sequence[str]) -> None:
        from redis.cluster import RedisCluster
        from redis.exceptions import RedisError

        make: Any = RedisCluster
        self._client: Any = make(host="127.0.0.1", port=node.port)
        self._failure = RedisError
        self._written: dict[str, str] = {}
        super().__init__(tags)

    def hang_up(self) -> None:
        """Let go of all connections."""
        self._client.close()

    def request(self, tag: str, key: str, value: str | None) -> None:
        """SET if there is a value, else GET, which must give what was set last."""
        try:
            if value is not None:
                is_right = self._client.set(key, value)
                self._written[key] = value
            else:
                seen = self._client.get(key)
                expected = self._written.get(key)
                is_right = expected is None or (seen is not None and seen.decode() == expected)
        except self._failure:
            is_right = False
        self.errors += not is_right


def find_tags(slots: range) -> list[str]:
    """A hash tag for each slot."""
    found: dict[int, str] = {}
    number = 0
    while len(found) < len(slots):
        slot = key_slot(str(number).encode())
        if slot in slots:
            found.setdefault(slot, str(number))
        number += 1
    return [found[slot] for slot in slots]


def fill(node: ClusterNode, tags: Sequence[str], per_slot: int, value_bytes: int) -> int:
    """Put as many keys into each slot; returns the size of all values."""
    value = "v" * value_bytes
    for tag in tags:
        words = [(f"{{{tag}}}{number}", value) for number in range(per_slot)]
        node.call("MSET", *(word for pair in words for word in pair))
    return len(tags) * per_slot * value_bytes


def move_atomically(source: ClusterNode, target: ClusterNode, slots: range) -> None:
    """CLUSTER MIGRATESLOTS, until it is over."""
    ends = (slots.start, slots.stop - 1)
    source.call("CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", *ends, "NODE", target.node_id)
    while True:
        row = source.items("CLUSTER", "GETSLOTMIGRATIONS")[0]
        assert isinstance(row, list)
        state = row[row.index(b"state") + 1]
        if state == b"success":
            return
        if state in (b"failed", b"cancelled"):
            raise ServerError(f"the migration ended: {row}")
        time.sleep(_POLL_S)


def move_by_key(source: ClusterNode, target: ClusterNode, slots: range) -> None:
    """`redis-cli --cluster reshard`; it takes the lowest slots first."""
    ends = ("--cluster-from", source.node_id, "--cluster-to", target.node_id)
    count = ("--cluster-slots", str(len(slots)), "--cluster-yes")
    done = subprocess.run(
        ["redis-cli", "--cluster", "reshard", f"127.0.0.1:{source.port}", *ends, *count],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServerError(done.stdout[-1000:] + done.stderr)


def pauses_in(node: ClusterNode) -> list[float]:
    """How long requests waited at each hand-over, by the node's log."""
    return [float(text) for text in _WAITED.findall(node.log())]


def measure(way: str, options: argparse.Namespace, move: Mover) -> tuple[Result, int]:
    """Move the slots there and back; the result, and how many bytes each move carried."""
    is_real = way == BY_KEY_REAL
    slots = range(options.slots)
    result = Result(way)
    with running(clustrio=0 if is_real else 3, redis=3 if is_real else 0) as nodes:
        form(nodes)
        tags = find_tags(slots)
        byte_count = fill(nodes[0], tags, options.keys, options.value_bytes)
        resident = find_tags(range(options.slots, options.slots + 50))
        asked = [*tags[:: max(1, len(tags) // 50)], *resident]
        seconds, idle_ms, busy_ms = result.seconds, result.idle_ms, result.busy_ms
        result.errors = _watch(
            Prober(nodes, asked), nodes, move, slots, options.moves, (seconds, idle_ms, busy_ms)
        )
        result.pauses_ms = [pause for node in nodes for pause in pauses_in(node)]
        felt: Samples = ([], result.library_idle_ms, result.library_busy_ms)
        result.errors += _watch(LibraryLoad(nodes[0], asked), nodes, move, slots, 2, felt)
    return result, byte_count


def _watch(
    load: Load,
    nodes: Sequence[ClusterNode],
    move: Mover,
    slots: range,
    moves: int,
    samples: Samples,
) -> int:
    """Move there and back under a load; fills seconds, idle and busy times; returns the errors."""
    seconds, idle_ms, busy_ms = samples
    try:
        for turn in range(moves):
            ends = (nodes[0], nodes[2]) if turn % 2 == 0 else (nodes[2], nodes[0])
            time.sleep(_SETTLE_S)
            load.take()
            time.sleep(_IDLE_S)
            idle_ms += load.take()
            began_s = time.perf_counter()
            move(*ends, slots)
            seconds.append(time.perf_counter() - began_s)
            busy_ms += load.take()
            wait_until("one view", lambda: disagreement(nodes, 3), nodes)
    finally:
        load.close()
    return load.errors


def _print_table(rows: dict[str, dict[str, float]], goals: dict[str, tuple[float, bool]]) -> None:
    names = list(next(iter(rows.values())))
    print(f"{'':26}" + "".join(f"{name:>15}" for name in names))
    for way, figures in rows.items():
        print(f"{way:26}" + "".join(f"{figures[name]:15.2f}" for name in names))
    for goal, (seen, is_met) in goals.items():
        print(f"{goal}: {seen:.2f} ({'met' if is_met else 'missed'})")


def judge(rows: dict[str, dict[str, float]]) -> dict[str, tuple[float, bool]]:
    """The goals: what was seen, and whether it is enough."""
    atomic, real = rows[ATOMIC], rows[BY_KEY_REAL]
    speed = real["seconds"] / atomic["seconds"]
    felt = atomic["busy_p99_ms"] / atomic["idle_p99_ms"] if atomic["idle_p99_ms"] else 0.0
    pause = atomic["pause_ms"]
    return {
        "atomic, times as fast as key by key on redis-server (>= 5)": (speed, speed >= 5),
        "client p99 meanwhile, times that when idle (<= 3)": (felt, felt <= 3),
        "hand-over pause in ms (< 50)": (pause, pause < 50),
        "requests that failed or got a wrong reply, in all ways (0)": (
            sum(row["client_errors"] for row in rows.values()),
            not any(row["client_errors"] for row in rows.values()),
        ),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; the exit code is 0 whatever the figures are."""
    parser = argparse.ArgumentParser(prog="python -m clustrio.tools.bench.migration")
    parser.add_argument("--slots", type=int, default=2000, help="how many slots move")
    parser.add_argument("--keys", type=int, default=20, help="how many keys each of them has")
    parser.add_argument("--value-bytes", type=int, default=100, help="the size of their values")
    parser.add_argument("--moves", type=int, default=4, help="how often the slots move")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        require_load_generator()
        rows: dict[str, dict[str, float]] = {}
        for way, move in (
            (BY_KEY_REAL, move_by_key),
            (ATOMIC, move_atomically),
            (BY_KEY, move_by_key),
        ):
            print(f"{way} ...", file=sys.stderr, flush=True)
            result, byte_count = measure(way, options, move)
            rows[way] = result.figures(options.slots, byte_count)
    except ServerError as failure:
        print(failure, file=sys.stderr)
        return 1
    goals = judge(rows)
    if options.json:
        print(json.dumps({"ways": rows, "goals": {k: v[0] for k, v in goals.items()}}, indent=2))
    else:
        _print_table(rows, goals)
    return 0


if __name__ == "__main__":
    sys.exit(main())
