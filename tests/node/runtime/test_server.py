"""A server on real sockets: unix sockets in a temporary directory, no port to fight over."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from clustrio.node.config import Config
from clustrio.node.runtime.log import RedisLog
from clustrio.node.runtime.server import Server


def make_server(tmp_path: Path, *lines: str) -> Server:
    config = Config()
    path = tmp_path / "s"
    config.load("\n".join((f"port 0\nunixsocket {path}\nunixsocketperm 700\nsave ''", *lines)))
    server = Server(config, RedisLog(str(tmp_path / "log")))
    server.open_listeners()
    return server


@asynccontextmanager
async def running(tmp_path: Path, *lines: str) -> AsyncIterator[Server]:
    server = make_server(tmp_path, *lines)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.run)
        yield server
        server.request_stop()


async def ask(stream: trio.SocketStream, data: bytes, length: int) -> bytes:
    if data:
        await stream.send_all(data)
    reply = b""
    with trio.fail_after(30):
        while len(reply) < length:
            part = await stream.receive_some()
            if not part:
                break
            reply += part
    return reply


async def send_for_ever(stream: trio.SocketStream, data: bytes) -> None:
    while True:
        await stream.send_all(data)


async def connect(tmp_path: Path) -> trio.SocketStream:
    return await trio.open_unix_socket(str(tmp_path / "s"))


async def test_a_pipeline_is_answered_in_order(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as stream:
        request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n"
        expected = b"+OK\r\n$1\r\nv\r\n+PONG\r\n"
        assert await ask(stream, request, len(expected)) == expected


async def test_large_values_come_and_go_in_pieces(tmp_path: Path) -> None:
    value = bytes(range(256)) * 40_000
    async with running(tmp_path), await connect(tmp_path) as stream:
        async with trio.open_nursery() as nursery:
            request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%b\r\n" % (len(value), value)
            nursery.start_soon(stream.send_all, request)
            assert await ask(stream, b"", 5) == b"+OK\r\n"
        expected = b"$%d\r\n%b\r\n" % (len(value), value)
        assert await ask(stream, b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", len(expected)) == expected


async def test_a_half_closed_client_still_gets_its_replies(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as stream:
        await ask(
            stream, b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1048576\r\n" + b"x" * 1048576 + b"\r\n", 5
        )
        await stream.send_all(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n" * 20)
        await trio.testing.wait_all_tasks_blocked(0.01)
        await stream.send_eof()
        size = 20 * (len(b"$1048576\r\n") + 1048576 + 2)
        assert len(await ask(stream, b"", size)) == size


async def test_quit_answers_and_hangs_up(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as stream:
        assert await ask(stream, b"PING\r\nQUIT\r\nPING\r\n", 1000) == b"+PONG\r\n+OK\r\n"


async def test_a_protocol_error_is_told_and_costs_only_its_connection(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as good, await connect(tmp_path) as bad:
        reply = await ask(bad, b"PING\r\n*abc\r\n", 1000)
        assert reply == b"+PONG\r\n-ERR Protocol error: invalid multibulk length\r\n"
        assert await ask(good, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_client_kill_ends_another_connection(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as one, await connect(tmp_path) as other:
        number = (await ask(other, b"CLIENT ID\r\n", 4)).strip(b":\r\n")
        assert await ask(one, b"CLIENT KILL ID " + number + b"\r\n", 4) == b":1\r\n"
        assert await ask(other, b"", 1) == b""


async def test_too_many_clients_are_told_so(tmp_path: Path) -> None:
    async with running(tmp_path, "maxclients 1"), await connect(tmp_path) as first:
        assert await ask(first, b"PING\r\n", 7) == b"+PONG\r\n"
        async with await connect(tmp_path) as second:
            assert await ask(second, b"", 100) == b"-ERR max number of clients reached\r\n"


async def test_paused_clients_go_on_when_the_pause_ends(tmp_path: Path) -> None:
    async with running(tmp_path), await connect(tmp_path) as one, await connect(tmp_path) as other:
        assert await ask(one, b"CLIENT PAUSE 60000 WRITE\r\n", 5) == b"+OK\r\n"
        await other.send_all(b"SET k v\r\nGET k\r\n")
        assert await ask(one, b"GET k\r\n", 5) == b"$-1\r\n"
        assert await ask(one, b"CLIENT UNPAUSE\r\n", 5) == b"+OK\r\n"
        assert await ask(other, b"", 12) == b"+OK\r\n$1\r\nv\r\n"


@pytest.mark.parametrize("secret", ["pw", "with space"])
async def test_a_password_is_asked_for(tmp_path: Path, secret: str) -> None:
    async with running(tmp_path, f'requirepass "{secret}"'), await connect(tmp_path) as stream:
        expected = b"-NOAUTH Authentication required.\r\n"
        assert await ask(stream, b"PING\r\n", len(expected)) == expected
        wrong = await ask(stream, b"AUTH nope\r\n", 20)
        assert wrong.startswith(b"-WRONGPASS")
        assert await ask(stream, b'AUTH "' + secret.encode() + b'"\r\n', 5) == b"+OK\r\n"
        assert await ask(stream, b"PING\r\n", 7) == b"+PONG\r\n"


async def test_an_unread_flood_of_errors_before_login_is_cut_off(tmp_path: Path) -> None:
    async with running(tmp_path, "requirepass pw") as server, await connect(tmp_path) as stream:
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(60):
            await send_for_ever(stream, b"PING\r\n" * 2000)
        assert not server.machine.sessions


async def test_an_orderly_end_removes_the_socket_and_says_goodbye(tmp_path: Path) -> None:
    async with running(tmp_path) as server:
        pass
    assert server.exit_code == 0
    assert not (tmp_path / "s").exists()
    assert "bye bye" in (tmp_path / "log").read_text()
