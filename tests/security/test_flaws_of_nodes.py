"""Known flaws outside of commands: listeners, files, the bus, replication, TLS."""

import contextlib
import resource
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
import trustme

from clustrio.tools.bench.processes import BUS_OFFSET, reserve_port

from ..gossip.test_wire import REJECTED, with_length
from ..support.raw import RawClient, encode_command, integer, simple
from ..support.servers import ServerProcess, client_of, start_clustrio
from .flaws import checks

pytestmark = pytest.mark.slow

_PATIENCE_S = 60.0


def wait_until(what: str, is_so: Callable[[], bool]) -> None:
    ends_at_s = time.monotonic() + _PATIENCE_S
    while not is_so():
        assert time.monotonic() < ends_at_s, f"not in time: {what}"
        time.sleep(0.02)


def is_served(server: ServerProcess) -> bool:
    try:
        with RawClient("127.0.0.1", server.port, 5.0) as client:
            return client.call("PING") == simple("PONG")
    except OSError:
        return False


@checks("2023-45145")
def test_nobody_gets_through_the_unix_socket_too_early(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    modes: list[int] = []
    with start_clustrio("--unixsocket", str(path), "--unixsocketperm", "700"):
        modes.append(stat.S_IMODE(path.stat().st_mode))
    assert modes == [0o700]


@checks("2025-48367")
def test_errors_of_accept_pass_by() -> None:
    with start_clustrio() as server:
        used = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        before = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 3, before[1]))
        crowd = [server.connect() for _ in range(30)]
        for each in crowd:
            each.sendall(b"PING\r\n")
        answered = 0
        for each in crowd:
            each.settimeout(0.1)
            with contextlib.suppress(OSError):
                answered += each.recv(16) == b"+PONG\r\n"
        assert answered < len(crowd)
        for each in crowd:
            each.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, before)
        wait_until("clients are served again", lambda: is_served(server))
        assert server.is_running()


@checks("2025-27151")
def test_long_file_names_are_refused(tmp_path: Path) -> None:
    for name in ("x" * 10_000, "/".join(["x" * 200] * 100)):
        done = subprocess.run(
            [sys.executable, "-m", "clustrio.tools", "dump", "--check", name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=False,
        )
        assert done.returncode not in (0, -11)
        assert "Traceback" not in done.stderr
    with start_clustrio() as server, client_of(server) as client:
        for directive in ("dbfilename", "dir", "appenddirname", "aclfile"):
            client.call("CONFIG", "SET", directive, "x" * 10_000)
        client.call("CONFIG", "SET", "dbfilename", "x" * 200)
        assert client.call("SAVE").kind in (b"+", b"-")
        assert client.call("PING") == simple("PONG")


def tell_bus(server: ServerProcess, body: bytes) -> None:
    """Send this to the bus port, and wait until it is read and the link closed."""
    # A link that is closed with something unread is reset.
    port = server.port + BUS_OFFSET
    reset = contextlib.suppress(ConnectionError)
    with RawClient("127.0.0.1", port, _PATIENCE_S) as stranger, reset:
        stranger.send_raw(body)
        stranger.socket.shutdown(socket.SHUT_WR)
        stranger.read_to_end()


@checks("2026-21863")
def test_malformed_messages_at_the_bus_port(seed: int) -> None:
    random = Random(f"bus {seed}")
    with start_clustrio("--cluster-enabled", "yes") as server:
        for number in range(200):
            size = random.choice((0, 1, 16, 2255, 2256, 2**31, 2**32 - 1))
            kind = random.choice((0, 1, 2, 3, 4, 9, 255, 65535))
            head = b"RCmb" + size.to_bytes(4, "big") + b"\0\1" + b"\0\0" + kind.to_bytes(2, "big")
            count = random.choice((0, 1, 65535)).to_bytes(2, "big")
            body = head + count + random.randbytes(random.choice((0, 10, 2240, 5000)))
            if number % 4 == 0:
                body = random.randbytes(3000)
            tell_bus(server, body)
        for frame, _ in REJECTED.values():
            tell_bus(server, with_length(frame) if len(frame) >= 16 else frame)
        wait_until("clients are served", lambda: is_served(server))
        with client_of(server) as client:
            assert client.call("CLUSTER", "NODES").text.count(b"\n") == 1
        assert "Traceback" not in server.log()


@checks("2026-23631")
def test_a_full_synchronization_during_a_script() -> None:
    script = (
        "local ends = redis.call('TIME')[1] + 2 local count = 0 "
        "while tonumber(redis.call('TIME')[1]) < ends do count = count + redis.call('DBSIZE') end "
        "return 1"
    )
    options = ("--busy-reply-threshold", "10", "--repl-diskless-sync-delay", "0")
    with (
        start_clustrio(*options) as primary,
        start_clustrio(*options) as replica,
        client_of(primary) as writer,
        client_of(replica) as client,
    ):
        writer.call("DEBUG", "POPULATE", "20000")
        client.call("SET", "own", "value")
        for _ in range(2):
            client.send_raw(
                encode_command([b"REPLICAOF", b"127.0.0.1", b"%d" % primary.port])
                + encode_command([b"EVAL", script.encode(), b"0"])
            )
            assert client.read() == simple("OK")
            assert client.read() == integer(1)
            wait_until("the copy", lambda: client.call("DBSIZE") == integer(20_000))
            assert client.call("EXISTS", "own") == integer(0)
            client.call("REPLICAOF", "NO", "ONE")
            client.call("SET", "own", "value")
        assert replica.is_running()
        assert "Traceback" not in replica.log()


@checks("2026-56684")
def test_client_kill_under_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    made = authority.issue_cert("127.0.0.1", "localhost")
    identity, ca = tmp_path / "server.pem", tmp_path / "ca.pem"
    made.private_key_and_cert_chain_pem.write_to_path(identity)
    authority.cert_pem.write_to_path(ca)
    context = ssl.create_default_context(cafile=str(ca))
    reserved = reserve_port()
    options = ("--tls-port", str(reserved.port), "--tls-auth-clients", "no")
    files = ("--tls-cert-file", str(identity), "--tls-key-file", str(identity))
    with start_clustrio(*options, *files, "--tls-ca-cert-file", str(ca)) as server:

        def connect() -> RawClient:
            client = RawClient("127.0.0.1", reserved.port)
            client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
            return client

        for order in (
            ("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no"),
            ("CLIENT", "KILL", "TYPE", "normal"),
            ("CLIENT", "KILL", "USER", "default", "SKIPME", "no"),
        ):
            crowd = [connect() for _ in range(10)]
            half_way = [RawClient("127.0.0.1", reserved.port) for _ in range(10)]
            for each in crowd:
                each.send_raw(encode_command([b"PING"]) * 500)
            request = encode_command([word.encode() for word in order])
            crowd[0].send_raw(request + encode_command([b"PING"]) * 100)
            for each in (*crowd, *half_way):
                each.close()
            # A client that comes too early may be killed with the others.
            wait_until("clients are served", lambda: is_served(server))
        assert "Traceback" not in server.log()
    reserved.release()
