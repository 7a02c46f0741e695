"""The processes that other tests rely on: they start, they answer, and they never stay behind."""

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from clustrio.tools.bench.processes import REDIS, ServerError, ServerProcess, reserve_port

from ..support.raw import RawClient, array, bulk, error, integer, simple
from ..support.servers import client_of, start_redis

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_answers_and_leaves_nothing_behind() -> None:
    with start_redis() as server:
        pid, folder = server.pid, server.folder
        assert server.port < 32768 - 10000
        assert server.rss_bytes() > 1_000_000
        with client_of(server) as client:
            assert client.call("PING") == simple("PONG")
    assert not _is_alive(pid)
    assert not folder.exists()


def test_servers_started_at_the_same_moment_get_ports_of_their_own() -> None:
    with ThreadPoolExecutor(4) as pool:
        servers = list(pool.map(lambda _: start_redis(), range(4)))
    try:
        assert len({server.port for server in servers}) == 4
    finally:
        for server in servers:
            server.stop()


def test_a_reserved_port_is_not_given_out_twice() -> None:
    held = [reserve_port() for _ in range(20)]
    assert len({port.port for port in held}) == 20
    for port in held:
        port.release()


def test_a_server_that_cannot_start_shows_its_log() -> None:
    with pytest.raises(ServerError, match="no-such-directive"):
        ServerProcess(REDIS, ["--no-such-directive", "1"])


def test_a_server_dies_with_the_process_that_started_it() -> None:
    text = (
        "from clustrio.tools.bench.processes import *; import time;"
        "server = ServerProcess(REDIS);"
        "print(server.pid, server.folder, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        number, folder = parent.stdout.readline().decode().split()
        pid = int(number)
        assert _is_alive(pid)
        parent.kill()
        parent.wait()
    shutil.rmtree(folder)
    if sys.platform != "linux":
        os.kill(pid, signal.SIGKILL)
        return
    ends_at_s = time.monotonic() + 30
    while _is_running(pid) and time.monotonic() < ends_at_s:
        time.sleep(0.01)
    assert not _is_running(pid)


def _is_running(pid: int) -> bool:
    # An orphan that nobody has waited for yet still has an entry; it runs no more.
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_replies_keep_their_types() -> None:
    with start_redis() as server, client_of(server) as client:
        assert client.call("SET", "k", "OK") == simple("OK")
        assert client.call("GET", "k") == bulk("OK") != simple("OK")
        assert client.call("GET", "none") == bulk(None)
        assert client.call("LPUSH", "list", "a", "b") == integer(2)
        assert client.call("LRANGE", "list", 0, -1) == array(bulk("b"), bulk("a"))
        assert client.call("INCR", "k") == error("ERR value is not an integer or out of range")
        assert client.inline(b"PING there") == bulk("there")
        assert client.call("BLPOP", "none", "0.01").kind == b"*"
    with start_redis() as server, client_of(server, protocol=3) as client:
        kinds = {
            name: client.call("DEBUG", "PROTOCOL", name).kind
            for name in ("double", "null", "map", "set", "true", "verbatim", "bignum", "attrib")
        }
        assert kinds == {
            "double": b",",
            "null": b"_",
            "map": b"%",
            "set": b"~",
            "true": b"#",
            "verbatim": b"=",
            "bignum": b"(",
            "attrib": b"|",
        }
        assert client.read().kind == b"$"


def test_a_pipeline_says_which_replies_are_missing() -> None:
    with start_redis() as server, RawClient("127.0.0.1", server.port, timeout_s=0.2) as client:
        replies = client.pipeline([[b"PING"], [b"QUIT"], [b"PING"]])
        assert [reply.kind for reply in replies] == [b"+", b"+", b"closed"]
