"""What CONFIG SET changes in a running server: addresses, limits, the log, the file."""

import resource
import socket
from pathlib import Path

import pytest
import trio

from clustrio.node.runtime.live_settings import (
    RESERVED_DESCRIPTORS,
    ServerConfigFile,
    possible_clients,
)
from clustrio.node.runtime.server import Server

from ...support.raw import encode_command
from .test_server import ask, connect, running


def free_port() -> int:
    """A port that nobody uses just now."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        return int(finder.getsockname()[1])


async def config_set(stream: trio.SocketStream, *words: str) -> bytes:
    request = encode_command([b"CONFIG", b"SET", *(word.encode() for word in words)])
    await stream.send_all(request)
    with trio.fail_after(30):
        return bytes(await stream.receive_some())


async def answers(port: int) -> bool:
    """Whether a server serves clients on this port."""
    try:
        stream = await trio.open_tcp_stream("127.0.0.1", port)
    except OSError:
        return False
    async with stream:
        return await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_a_new_port_is_served_and_the_old_one_is_not(tmp_path: Path) -> None:
    first, second = free_port(), free_port()
    async with running(tmp_path, "bind 127.0.0.1"), await connect(tmp_path) as stream:
        assert await config_set(stream, "port", str(first)) == b"+OK\r\n"
        assert await answers(first)
        kept = await trio.open_tcp_stream("127.0.0.1", first)
        assert await config_set(stream, "port", str(second)) == b"+OK\r\n"
        assert await answers(second)
        assert not await answers(first)
        # Clients that are connected stay so.
        assert await ask(kept, b"PING\r\n", 7) == b"+PONG\r\n"
        await kept.aclose()
        assert await config_set(stream, "port", "0") == b"+OK\r\n"
        assert not await answers(second)


async def test_a_port_that_is_taken_changes_nothing(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        port = free_port()
        lines = ("bind 127.0.0.1", f"port {port}")
        async with running(tmp_path, *lines) as server, await connect(tmp_path) as stream:
            refusal = await config_set(stream, "port", str(taken))
            assert refusal == (
                b"-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen "
                b"on this port. Check server logs.\r\n"
            )
            assert server.config.port == port
            assert await answers(port)


async def test_addresses_that_do_not_exist_change_nothing(tmp_path: Path) -> None:
    port = free_port()
    lines = ("bind 127.0.0.1", f"port {port}")
    async with running(tmp_path, *lines) as server, await connect(tmp_path) as stream:
        refusal = await config_set(stream, "bind", "192.0.2.1")
        assert refusal.endswith(b" - Failed to bind to specified addresses.\r\n")
        assert server.config.bind == ("127.0.0.1",)
        assert await answers(port)
        # Both in one go are one change.
        new_port = free_port()
        reply = await config_set(stream, "bind", "127.0.0.1 -192.0.2.1", "port", str(new_port))
        assert reply == b"+OK\r\n"
        assert await answers(new_port)


async def test_a_cluster_node_keeps_its_port(tmp_path: Path) -> None:
    nodes = tmp_path / "nodes.conf"
    lines = ("cluster-enabled yes", f"cluster-config-file {nodes}", f"cluster-port {free_port()}")
    async with running(tmp_path, *lines), await connect(tmp_path) as stream:
        refusal = await config_set(stream, "port", str(free_port()))
        assert b"a cluster node keeps its port" in refusal


async def test_more_clients_than_descriptors_are_refused(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running(tmp_path) as server, await connect(tmp_path) as stream:
        try:
            refusal = await config_set(stream, "maxclients", str(2**31))
            assert b"not able to handle the specified number of clients, try with " in refusal
            assert server.config.maxclients == 10_000
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_as_many_clients_as_the_system_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (100, 1000))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: asked.append(limits))
    assert possible_clients(100 - RESERVED_DESCRIPTORS) == 100 - RESERVED_DESCRIPTORS
    assert asked == []
    assert possible_clients(500) == 500
    assert possible_clients(5000) == 1000 - RESERVED_DESCRIPTORS
    assert asked == [(500 + RESERVED_DESCRIPTORS, 1000), (1000, 1000)]


async def test_the_log_level_follows(tmp_path: Path) -> None:
    async with running(tmp_path) as server, await connect(tmp_path) as stream:
        assert await config_set(stream, "loglevel", "debug") == b"+OK\r\n"
        assert server.log.level == "debug"


def test_the_file_is_replaced_and_may_be_gone(tmp_path: Path) -> None:
    path = tmp_path / "server.conf"
    file = ServerConfigFile(str(path))
    assert file.read() == ""
    file.replace("odd \udcff byte\n")
    assert path.read_bytes() == b"odd \xff byte\n"
    assert file.read() == "odd \udcff byte\n"
    with pytest.raises(OSError, match="No such file"):
        ServerConfigFile(str(tmp_path / "missing" / "file")).replace("")


async def test_shutdown_ends_the_server_and_the_connection(tmp_path: Path) -> None:
    async with running(tmp_path) as server, await connect(tmp_path) as stream:
        assert await ask(stream, b"SHUTDOWN NOSAVE\r\nPING\r\n", 1) == b""
        assert server.exit_code == 0


async def test_a_watcher_is_sent_what_others_run(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as watcher:
        assert await ask(watcher, b"MONITOR\r\n", 5) == b"+OK\r\n"
        async with await connect(tmp_path) as stream:
            await ask(stream, b"PING\r\n", 7)
        line = await ask(watcher, b"", 10)
        assert line.endswith(b'"PING"\r\n')
        assert b" [0 unix:" in line


async def test_facts_and_traffic_of_a_real_server(tmp_path: Path) -> None:
    async with running(tmp_path) as server, await connect(tmp_path) as stream:
        await ask(stream, b"PING\r\n" * 10, 70)
        machine = server.machine
        assert machine.process.resident_bytes() > 1_000_000
        assert machine.process.total_memory_bytes > machine.process.resident_bytes()
        assert machine.process.cpu_times().user_s > 0
        assert machine.traffic.input_bytes_total() == 60
        assert machine.traffic.output_bytes_total() == 70
        assert machine.traffic.reads == machine.traffic.writes == 1


async def test_output_that_the_kernel_did_not_take_counts_once_it_leaves(tmp_path: Path) -> None:
    value = b"x" * 3_000_000
    async with running(tmp_path) as server, await connect(tmp_path) as stream:
        await ask(stream, encode_command([b"SET", b"k", value]), 5)
        await ask(stream, encode_command([b"GET", b"k"]), len(value) + 12)
        assert server.machine.traffic.output_bytes_total() == 5 + len(value) + 12


def test_a_server_without_a_file_has_none(tmp_path: Path) -> None:
    from .test_server import make_server

    server: Server = make_server(tmp_path)
    assert server.machine.config_file is None
    server.plane.close_all()
    for listener in server.listeners:
        listener.close()


async def test_protection_and_password_hold_for_new_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every client seems to come from elsewhere.
    monkeypatch.setattr("clustrio.node.runtime.server.is_loopback", lambda client: False)
    async with running(tmp_path, "protected-mode no"), await connect(tmp_path) as early:
        assert await config_set(early, "protected-mode", "yes") == b"+OK\r\n"
        async with await connect(tmp_path) as denied:
            assert (await ask(denied, b"", 7)).startswith(b"-DENIED")
        # Who is in stays in, and may open the door.
        assert await ask(early, b"PING\r\n", 7) == b"+PONG\r\n"
        assert await config_set(early, "requirepass", "pw") == b"+OK\r\n"
        async with await connect(tmp_path) as late:
            refusal = b"-NOAUTH Authentication required.\r\n"
            assert await ask(late, b"PING\r\n", len(refusal)) == refusal
            assert await ask(late, b"AUTH pw\r\n", 5) == b"+OK\r\n"
        assert await ask(early, b"PING\r\n", 7) == b"+PONG\r\n"
        assert await config_set(early, "requirepass", "", "protected-mode", "no") == b"+OK\r\n"
        async with await connect(tmp_path) as late:
            assert await ask(late, b"PING\r\n", 7) == b"+PONG\r\n"
