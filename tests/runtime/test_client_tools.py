"""The tools that come with Redis run unmodified against Clustrio, and end as they do with Redis.

Each call is made on both servers where they should say the same; what is measured or random in the
output is left out of the comparison, the exit code never is.
"""

import contextlib
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import pytest

from ..support.raw import encode_command
from ..support.servers import ServerProcess, client_of, require_redis, start_clustrio, start_redis

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[ServerProcess, ServerProcess]]:
    require_redis()
    for tool in ("redis-cli", "redis-benchmark"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on PATH (Debian: apt-get install redis-tools)")
    with start_clustrio() as ours, start_redis() as theirs:
        yield ours, theirs


@pytest.fixture
def filled(pair: tuple[ServerProcess, ServerProcess]) -> tuple[ServerProcess, ServerProcess]:
    """Both servers with the same two hundred keys."""
    for server in pair:
        with client_of(server) as client:
            client.call("FLUSHALL")
            client.pipeline([[b"SET", b"key:%d" % index, b"v" * index] for index in range(200)])
    return pair


def run(
    server: ServerProcess, tool: str, *arguments: str, given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [tool, "-p", str(server.port), *arguments],
        input=given,
        capture_output=True,
        timeout=90,
        check=False,
    )


def run_for(server: ServerProcess, seconds: float, *arguments: str) -> bytes:
    """The output of a tool that runs until it is interrupted, as a terminal shows it.

    Without a terminal it would keep its output in a buffer, and lose it in the end.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        ["redis-cli", "-p", str(server.port), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        process.wait(10)
    with open(ours, "rb", buffering=0) as terminal:
        return terminal.read(65536)


@pytest.mark.parametrize("options", [[], ["-P", "16"], ["-c", "1"], ["--threads", "2"], ["-3"]])
def test_redis_benchmark_runs(
    options: Sequence[str], pair: tuple[ServerProcess, ServerProcess]
) -> None:
    result = run(
        pair[0], "redis-benchmark", "-t", "ping,set,get,incr,mset", "-n", "2000", "-q", *options
    )
    assert result.returncode == 0, result.stderr
    # Its questions about the server's settings must have been answered too.
    assert b"WARNING" not in result.stdout + result.stderr
    finished = result.stdout.replace(b"\r", b"\n").split(b"\n")
    for name in (b"PING_INLINE", b"PING_MBULK", b"SET", b"GET", b"INCR", b"MSET (10 keys)"):
        lines = [line for line in finished if line.startswith(name + b": ")]
        assert any(b"requests per second" in line for line in lines), (name, result.stdout)


CALLS = {
    "ping": ["PING"],
    "a value": ["GET", "key:5"],
    "a missing value": ["GET", "missing"],
    "an error": ["INCR", "key:5"],
    "an error with an exit code": ["-e", "INCR", "key:5"],
    "an unknown command": ["NOSUCH", "a", "b"],
    "RESP3": ["-3", "MGET", "key:1", "missing"],
    "another database": ["-n", "3", "DBSIZE"],
    "a database that does not exist": ["-n", "99", "PING"],
    "csv": ["--csv", "MGET", "key:1", "missing"],
    "json": ["-3", "--json", "MGET", "key:1", "missing"],
    "repeated": ["-r", "3", "-i", "0.01", "PING"],
    "a password that nobody asked for": ["-a", "wrong", "--no-auth-warning", "PING"],
    "in binary": ["--no-raw", "SET", "bin", "\x01é"],
}


@pytest.mark.parametrize("call", CALLS)
def test_redis_cli_says_the_same(call: str, filled: tuple[ServerProcess, ServerProcess]) -> None:
    ours, theirs = (run(server, "redis-cli", *CALLS[call]) for server in filled)
    assert (ours.returncode, ours.stdout, ours.stderr) == (
        theirs.returncode,
        theirs.stdout,
        theirs.stderr,
    )


@pytest.mark.parametrize("pattern", ["*", "key:1*", "none*", "key:[3-5]"])
def test_redis_cli_scan_lists_the_same_keys(
    pattern: str, filled: tuple[ServerProcess, ServerProcess]
) -> None:
    ours, theirs = (run(server, "redis-cli", "--scan", "--pattern", pattern) for server in filled)
    assert ours.returncode == theirs.returncode == 0
    assert sorted(set(ours.stdout.split())) == sorted(set(theirs.stdout.split()))


@pytest.mark.parametrize("option", ["--bigkeys", "--memkeys"])
def test_redis_cli_finds_the_largest_keys(
    option: str, filled: tuple[ServerProcess, ServerProcess]
) -> None:
    ours, theirs = (run(server, "redis-cli", option, "-i", "0") for server in filled)
    assert ours.returncode == theirs.returncode == 0, ours.stdout + ours.stderr
    for result in (ours, theirs):
        assert b"Sampled 200 keys in the keyspace!" in result.stdout
        assert b"failed" not in result.stdout
        biggest = re.findall(rb"Biggest string found '\"(.+)\"' has (\d+) bytes", result.stdout)
        # How much memory a value takes is each server's own affair.
        assert biggest == [(b"key:199", b"199")] or (option == "--memkeys" and len(biggest) == 1)


def test_redis_cli_pipe_loads_commands(pair: tuple[ServerProcess, ServerProcess]) -> None:
    load = b"".join(encode_command([b"SET", b"pipe:%d" % index, b"v"]) for index in range(5000))
    load += encode_command([b"NOSUCH"])
    outputs = []
    for server in pair:
        result = run(server, "redis-cli", "--pipe", given=load)
        assert result.returncode == 1, "one command failed, and the exit code says so"
        outputs.append(result.stdout + result.stderr)
        with client_of(server) as client:
            assert client.call("EXISTS", "pipe:0", "pipe:4999").number == 2
    assert b"errors: 1, replies: 5001" in outputs[0]
    assert outputs[0] == outputs[1]


def test_redis_cli_measures_latency(pair: tuple[ServerProcess, ServerProcess]) -> None:
    for server in pair:
        result = run(server, "redis-cli", "--latency", "--raw", "-i", "0.2")
        # Without a terminal it prints one line: least, most, average, samples.
        assert result.returncode == 0, result.stderr
        least, most, _, samples = result.stdout.split()
        assert float(least) <= float(most)
        assert int(samples) > 5


def test_redis_cli_stat_reads_info(filled: tuple[ServerProcess, ServerProcess]) -> None:
    for server in filled:
        lines = run_for(server, 0.6, "--stat", "-i", "0.1").splitlines()
        assert len(lines) >= 4, lines
        assert lines[1].split()[:3] == [b"keys", b"mem", b"clients"]
        keys, memory = lines[2].split()[:2]
        assert (keys, memory[-1:] in b"KMG") == (b"200", True)


def test_redis_cli_fails_alike_without_a_server(pair: tuple[ServerProcess, ServerProcess]) -> None:
    with start_clustrio() as stopped:
        port = str(stopped.port)
    result = subprocess.run(
        ["redis-cli", "-p", port, "PING"], capture_output=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert b"Connection refused" in result.stderr
