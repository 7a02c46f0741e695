"""Saving and loading of a real server process: children that die, long loads, broken files."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from clustrio.tools.bench.processes import CLUSTRIO, reserve_port

from ..support.raw import RawClient, encode_command, error
from ..support.servers import ServerError, ServerProcess, client_of, start_clustrio

pytestmark = pytest.mark.slow

DEADLINE_S = 20.0


def start(directory: Path, *options: str) -> ServerProcess:
    return start_clustrio("--dir", str(directory), "--enable-debug-command", "yes", *options)


def wait_for(what: str, is_so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + DEADLINE_S
    while not is_so():
        assert time.monotonic() < ends_s, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


def info(client: RawClient) -> dict[str, str]:
    lines = client.call("INFO", "persistence").text.decode().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def child_of(server: ServerProcess) -> int:
    """The process number of the one child, from the log."""
    lines = [line for line in server.log().splitlines() if "started by pid" in line]
    return int(lines[-1].rsplit(" ", 1)[1])


@pytest.mark.parametrize(
    ("order", "in_progress", "status", "words"),
    [
        ("BGSAVE", "rdb_bgsave_in_progress", "rdb_last_bgsave_status", "Background saving"),
        (
            "BGREWRITEAOF",
            "aof_rewrite_in_progress",
            "aof_last_bgrewrite_status",
            "Background AOF rewrite",
        ),
    ],
)
def test_a_child_that_is_killed(
    order: str, in_progress: str, status: str, words: str, tmp_path: Path
) -> None:
    with start(tmp_path, "--save", "") as server, client_of(server) as client:
        client.call("DEBUG", "POPULATE", "1000")
        client.call("CONFIG", "SET", "rdb-key-save-delay", "10000")
        assert client.call(order).kind == b"+"
        assert info(client)[in_progress] == "1"
        assert client.call("SET", "meanwhile", "served").text == b"OK"
        os.kill(child_of(server), signal.SIGKILL)
        wait_for("the end of the child", lambda: info(client)[in_progress] == "0")
        assert info(client)[status] == "err"
        assert f"{words} terminated by signal 9" in server.log()
        assert not list(tmp_path.glob("temp-*"))
        client.call("CONFIG", "SET", "rdb-key-save-delay", "0")
        assert client.call(order).kind == b"+"
        wait_for("a child that is done", lambda: info(client)[in_progress] == "0")
        assert info(client)[status] == "ok"


def test_clients_are_told_that_data_is_loaded(tmp_path: Path) -> None:
    log = tmp_path / "appendonlydir"
    log.mkdir()
    (log / "appendonly.aof.manifest").write_bytes(b"file a.aof seq 1 type i\n")
    (log / "a.aof").write_bytes(encode_command([b"INCR", b"count"]) * 400_000)
    port = reserve_port()
    command = [*CLUSTRIO, "--port", str(port.port), "--dir", str(tmp_path), "--appendonly", "yes"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            client = connect(port.port)
            refusal = client.call("GET", "count")
            assert refusal == error("LOADING Redis is loading the dataset in memory")
            during = info(client)
            assert during["loading"] == "1"
            assert int(during["loading_total_bytes"]) == (log / "a.aof").stat().st_size
            wait_for("the end of loading", lambda: info(client)["loading"] == "0")
            assert client.call("GET", "count").text == b"400000"
            client.close()
        finally:
            process.kill()
            port.release()


def connect(port: int) -> RawClient:
    ends_s = time.monotonic() + DEADLINE_S
    while True:
        try:
            return RawClient("127.0.0.1", port)
        except ConnectionRefusedError:
            assert time.monotonic() < ends_s, "nobody listens"
            time.sleep(0.005)


def test_a_broken_snapshot_ends_the_start(tmp_path: Path) -> None:
    with start(tmp_path, "--save", "") as server, client_of(server) as client:
        client.call("SET", "key", "value")
        client.call("SAVE")
    path = tmp_path / "dump.rdb"
    data = bytearray(path.read_bytes())
    data[-9] ^= 1
    path.write_bytes(data)
    with pytest.raises(ServerError, match="Error loading the snapshot"):
        start(tmp_path).__enter__()
    assert path.read_bytes() == data


def _log_with(tmp_path: Path) -> Path:
    with (
        start(tmp_path, "--appendonly", "yes", "--save", "") as server,
        client_of(server) as client,
    ):
        for number in range(10):
            client.call("SET", f"key:{number}", "value")
        client.call("MULTI")
        client.call("SET", "both", "1")
        client.call("SET", "of", "2")
        client.call("EXEC")
    return tmp_path / "appendonlydir" / "appendonly.aof.1.incr.aof"


def test_a_missing_end_is_cut_off(tmp_path: Path) -> None:
    path = _log_with(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[:-3])
    options = ("--appendonly", "yes", "--save", "")
    with pytest.raises(ServerError, match="Unexpected end of file"):
        start(tmp_path, *options, "--aof-load-truncated", "no").__enter__()
    with start(tmp_path, *options) as server, client_of(server) as client:
        assert client.call("DBSIZE").number == 10
        assert "Revert incomplete MULTI/EXEC" in server.log()
        assert path.stat().st_size == data.index(b"*1\r\n$5\r\nMULTI")
        client.call("SET", "after", "it")
    with start(tmp_path, *options) as server, client_of(server) as client:
        assert client.call("DBSIZE").number == 11


def test_damage_in_the_middle_is_refused_with_its_place(tmp_path: Path) -> None:
    path = _log_with(tmp_path)
    data = bytearray(path.read_bytes())
    place = data.index(b"key:5") - len(b"*3\r\n$3\r\nSET\r\n$5\r\n")
    data[place] = ord("!")
    path.write_bytes(data)
    with pytest.raises(ServerError, match=f"Bad file format .* at offset {place}"):
        start(tmp_path, "--appendonly", "yes").__enter__()
    assert path.read_bytes() == data


@pytest.mark.parametrize("policy", ["always", "everysec"])
def test_killed_under_load(policy: str, tmp_path: Path, seed: int) -> None:
    """What was acknowledged before kill -9 is there: the system still has what was written."""
    options = ("--appendonly", "yes", "--appendfsync", policy, "--save", "")
    acknowledged = 0
    for turn in range(4):
        with start(tmp_path, *options) as server, client_of(server) as client:
            found = client.call("GET", "count").value
            assert int(found or 0) >= acknowledged  # type: ignore[arg-type]
            ends_s = time.monotonic() + 0.15 + (seed * 37 + turn * 61) % 100 / 500
            if turn % 2:
                client.call("BGREWRITEAOF")
            while time.monotonic() < ends_s:
                acknowledged = client.call("INCR", "count").number
            os.kill(server.pid, signal.SIGKILL)


def test_switched_on_and_off_while_running(tmp_path: Path) -> None:
    with start(tmp_path, "--save", "") as server, client_of(server) as client:
        client.call("SET", "before", "1")
        assert client.call("CONFIG", "SET", "appendonly", "yes").text == b"OK"
        client.call("SET", "during", "2")
        wait_for("the first rewrite", lambda: info(client)["aof_rewrite_in_progress"] == "0")
        client.call("SET", "later", "3")
        assert client.call("CONFIG", "SET", "appendonly", "no").text == b"OK"
        client.call("SET", "after", "4")
        assert client.call("CONFIG", "SET", "appendonly", "yes").text == b"OK"
        wait_for("the second rewrite", lambda: info(client)["aof_rewrite_in_progress"] == "0")
        os.kill(server.pid, signal.SIGKILL)
    with (
        start(tmp_path, "--appendonly", "yes", "--save", "") as server,
        client_of(server) as client,
    ):
        assert client.call("MGET", "before", "during", "later", "after").items == tuple(
            client.call("ECHO", text) for text in "1234"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_rewrites_leave_no_removed_file_open(tmp_path: Path) -> None:
    with start(tmp_path, "--appendonly", "yes") as server, client_of(server) as client:
        directory = Path(f"/proc/{server.pid}/fd")
        for _ in range(3):
            client.call("SET", "key", "value")
            client.call("BGREWRITEAOF")
            wait_for("the rewrite", lambda: info(client)["aof_rewrite_in_progress"] == "0")

        def is_none_left() -> bool:
            try:
                return not any("(deleted)" in os.readlink(each) for each in directory.iterdir())
            except FileNotFoundError:
                return False  # closed while we looked

        wait_for("removed files are closed", is_none_left)


def test_a_shutdown_that_cannot_save_is_refused(tmp_path: Path) -> None:
    with start(tmp_path) as server, client_of(server) as client:
        client.call("SET", "a", "b")
        (tmp_path / "dump.rdb").mkdir()
        refusal = error("ERR Errors trying to SHUTDOWN. Check logs.")
        assert client.call("SHUTDOWN", "SAVE") == refusal
        assert client.call("GET", "a").text == b"b"
        client.send("SHUTDOWN", "SAVE", "FORCE")
        assert client.read_to_end() == b""
