"""One measurement at a time: a run of redis-benchmark, a fill, a start.

Throughput and latency are the load generator's figures, CPU time the kernel's for the server's
process. Where there are two processors, servers run on one and everything else on another.
"""

import csv
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from .processes import ServerError, ServerProcess
from .workloads import KEY_COUNT, VALUE_BYTES, Fill, Metric, Workload

Figures = dict[Metric, float]
_OK: Final = b"+OK\r\n"
_FILL_BATCH: Final = 1000


def split_processors() -> int | None:
    """Keep this process, and so the load, off the servers' processor; which one that is."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        return None
    os.sched_setaffinity(0, processors[1:])
    return processors[0]


def pin(server: ServerProcess, processor: int | None) -> None:
    """Put all threads of a server on its processor."""
    if processor is not None:
        for thread in os.listdir(f"/proc/{server.pid}/task"):
            os.sched_setaffinity(int(thread), {processor})


def require_load_generator() -> None:
    """Fail early, and clearly, where redis-benchmark is missing."""
    if shutil.which("redis-benchmark") is None:
        raise ServerError("no redis-benchmark on PATH (Debian: apt-get install redis-tools)")


def _generate(
    server: ServerProcess, command: Sequence[str], clients: int, pipeline: int, requests: int
) -> dict[str, str]:
    options = ["-p", str(server.port), "-c", str(clients), "-P", str(pipeline)]
    options += ["-n", str(requests), "-r", str(KEY_COUNT), "--csv"]
    output = subprocess.run(
        ["redis-benchmark", *options, *command],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    rows = list(csv.reader(output.stdout.splitlines()))
    if output.returncode != 0 or len(rows) < 2:
        raise ServerError(f"{server.name}: {command[0]}: {output.stdout}{output.stderr}")
    return dict(zip(rows[0], rows[-1], strict=True))


def run_workload(server: ServerProcess, workload: Workload, scale: float) -> Figures:
    """Make the data that a workload needs, and run it once."""
    with server.connect() as connection:
        connection.sendall(b"FLUSHALL\r\n")
        connection.recv(64)
    for command in workload.prepare:
        _generate(server, command, clients=50, pipeline=64, requests=2 * KEY_COUNT)
    for fill in workload.fills:
        _fill(server, fill)
    return run_load(server, workload, scale)


def run_load(server: ServerProcess, workload: Workload, scale: float) -> Figures:
    """Run a workload once, on the data that are there."""
    requests = max(min(1000, workload.requests), int(workload.requests * scale))
    before_s = server.cpu_seconds()
    row = _generate(server, workload.command, workload.clients, workload.pipeline, requests)
    return {
        "throughput": float(row["rps"]),
        "cpu_us": (server.cpu_seconds() - before_s) / requests * 1e6,
        "p50_ms": float(row["p50_latency_ms"]),
        "p99_ms": float(row["p99_latency_ms"]),
    }


def _fill(server: ServerProcess, fill: Fill) -> None:
    with server.connect(timeout_s=60.0) as connection:
        for start in range(0, fill.count, _FILL_BATCH):
            numbers = range(start, min(start + _FILL_BATCH, fill.count))
            words = [*fill.command, *[word.format(n) for n in numbers for word in fill.element]]
            texts = [word.encode() for word in words]
            bulks = b"".join(b"$%d\r\n%b\r\n" % (len(text), text) for text in texts)
            connection.sendall(b"*%d\r\n%b" % (len(texts), bulks))
            reply = connection.recv(64)
            if not reply.startswith(b":"):
                raise ServerError(f"{server.name} refused {fill.command[0]}: {reply!r}")


def measure_memory(command: Sequence[str], key_count: int) -> Figures:
    """What a key of 16 bytes with a value of 64 bytes takes in a fresh server."""
    with ServerProcess(command) as server, server.connect(timeout_s=60.0) as connection:
        before_bytes = server.rss_bytes()
        for start in range(0, key_count, _FILL_BATCH):
            count = min(_FILL_BATCH, key_count - start)
            connection.sendall(b"".join(map(_set_command, range(start, start + count))))
            missing = count * len(_OK)
            while missing > 0:
                replies = connection.recv(65536)
                if not replies or b"-" in replies:
                    raise ServerError(f"{server.name} refused a SET: {replies[:200]!r}")
                missing -= len(replies)
        return {"bytes_per_key": (server.rss_bytes() - before_bytes) / key_count}


def _set_command(index: int) -> bytes:
    value = b"%0*d" % (VALUE_BYTES, index)
    return b"*3\r\n$3\r\nSET\r\n$16\r\nkey:%012d\r\n$%d\r\n%b\r\n" % (index, VALUE_BYTES, value)


def measure_start(command: Sequence[str]) -> Figures:
    """The time from starting the process to its first PONG."""
    with ServerProcess(command, guarded=False) as server:
        return {"start_ms": server.start_to_ping_s * 1000}


def alternate(turns: Sequence[Callable[[], Figures]], rounds: int) -> list[Figures]:
    """Measure A B A B ..., so that what disturbs the machine disturbs both; the medians."""
    samples: list[list[Figures]] = [[] for _ in turns]
    for _ in range(rounds):
        for measure, kept in zip(turns, samples, strict=True):
            kept.append(measure())
    return [{name: median(each[name] for each in kept) for name in kept[0]} for kept in samples]
