"""Files of the append-only log and snapshots, from one kind of server to the other."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ..support.raw import RawClient
from ..support.servers import ServerProcess, client_of, start_clustrio, start_redis

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]

COMMANDS = (
    "SET string text",
    "SET number 12345",
    "SET long " + "x" * 3000,
    "SET dying soon PX 900000",
    "APPEND string more",
    "RPUSH list a b c 1 2 3",
    "LPOP list",
    "SADD numbers 1 2 3",
    "SADD words one two three",
    "ZADD scores 1.5 a 2 b inf c",
    "HSET hash field value other 1",
    "XADD stream 1-1 a b",
    "XADD stream * c d",
    "XGROUP CREATE stream group 0",
    "XREADGROUP GROUP group reader COUNT 1 STREAMS stream >",
    "PFADD unique a b c",
    "SETBIT bits 77 1",
    "GEOADD places 13.36 38.11 Palermo",
    "EXPIRE hash 5000",
    "SELECT 3",
    "SET elsewhere 1",
    "MULTI",
    "INCR elsewhere",
    "INCR elsewhere",
    "EXEC",
    "SELECT 0",
)


def fill(client: RawClient) -> None:
    for line in COMMANDS:
        reply = client.call(*line.split())
        assert reply.kind != b"-", (line, reply)


def digest(client: RawClient) -> bytes:
    return client.call("DEBUG", "DIGEST").text


def start(kind: str, directory: Path, *options: str) -> ServerProcess:
    starter = start_redis if kind == "redis" else start_clustrio
    return starter(
        *("--dir", str(directory), "--enable-debug-command", "yes", "--appendonly", "yes"),
        *("--save", "", *options),
    )


PREAMBLES = ("yes", "no")


def wait_for_rewrite(client: RawClient) -> None:
    import time

    ends = time.monotonic() + 30
    while time.monotonic() < ends:
        info = client.call("INFO", "persistence").text
        if b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info:
            assert b"aof_last_bgrewrite_status:ok" in info
            return
        time.sleep(0.02)
    raise AssertionError("the rewrite does not end")


@pytest.mark.parametrize("preamble", PREAMBLES)
@pytest.mark.parametrize("writer", ["redis", "clustrio"])
def test_a_log_goes_from_one_kind_to_the_other(writer: str, preamble: str, tmp_path: Path) -> None:
    reader = "clustrio" if writer == "redis" else "redis"
    options = ("--aof-use-rdb-preamble", preamble)
    with start(writer, tmp_path, *options) as server, client_of(server) as client:
        fill(client)
        assert client.call("BGREWRITEAOF").kind == b"+"
        wait_for_rewrite(client)
        client.call("SET", "after", "rewrite")
        client.call("XADD", "stream", "*", "e", "f")
        expected = digest(client)
        groups = client.call("XINFO", "STREAM", "stream", "FULL").items[-1]
        client.send("SHUTDOWN")
        client.read_to_end()
    manifest = next((tmp_path / "appendonlydir").glob("*.manifest"))
    check = subprocess.run(
        ["redis-check-aof", str(manifest)], capture_output=True, text=True, check=False
    )
    assert check.returncode == 0, check.stdout
    with start(reader, tmp_path, *options) as server, client_of(server) as client:
        assert digest(client) == expected
        assert len(client.call("XINFO", "STREAM", "stream", "FULL").items[-1].items) == len(
            groups.items
        )
        client.call("SET", "back", "again")
        expected = digest(client)
        client.call("BGREWRITEAOF")
        wait_for_rewrite(client)
        client.call("INCR", "number")
        expected = digest(client)
        client.send("SHUTDOWN")
        client.read_to_end()
    with start(writer, tmp_path, *options) as server, client_of(server) as client:
        assert digest(client) == expected


@pytest.mark.parametrize("writer", ["redis", "clustrio"])
def test_a_snapshot_goes_from_one_kind_to_the_other(writer: str, tmp_path: Path) -> None:
    reader = "clustrio" if writer == "redis" else "redis"
    with (
        start(writer, tmp_path, "--appendonly", "no") as server,
        client_of(server) as client,
    ):
        fill(client)
        assert client.call("SAVE").kind == b"+"
        expected = digest(client)
    check = subprocess.run(
        ["redis-check-rdb", str(tmp_path / "dump.rdb")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert check.returncode == 0, check.stdout
    with (
        start(reader, tmp_path, "--appendonly", "no") as server,
        client_of(server) as client,
    ):
        assert digest(client) == expected


def test_the_one_file_of_old_is_taken_over(tmp_path: Path) -> None:
    with start("redis", tmp_path) as server, client_of(server) as client:
        fill(client)
        expected = digest(client)
        client.send("SHUTDOWN")
        client.read_to_end()
    directory = tmp_path / "appendonlydir"
    old = tmp_path / "appendonly.aof"
    base = (directory / "appendonly.aof.1.base.rdb").read_bytes()
    old.write_bytes(base + (directory / "appendonly.aof.1.incr.aof").read_bytes())
    shutil.rmtree(directory)
    for _ in range(2):
        with start("clustrio", tmp_path) as server, client_of(server) as client:
            assert digest(client) == expected
            assert not old.exists()
    with start("redis", tmp_path) as server, client_of(server) as client:
        assert digest(client) == expected


def test_both_refuse_writes_in_the_same_words(tmp_path: Path) -> None:
    texts: list[list[object]] = []
    for kind in ("redis", "clustrio"):
        directory = tmp_path / kind
        directory.mkdir()
        with (
            start(kind, directory, "--appendonly", "no", "--save", "3600 1") as server,
            client_of(server) as client,
        ):
            client.call("SET", "a", "b")
            # A directory in its place cannot be replaced by a file.
            (directory / "dump.rdb").mkdir()
            save = client.call("SAVE")
            replies: list[object] = [save]
            client.call("BGSAVE")
            import time

            ends = time.monotonic() + 30
            while b"rdb_last_bgsave_status:err" not in client.call("INFO", "persistence").text:
                assert time.monotonic() < ends
                time.sleep(0.02)
            for words in (
                "SET a c",
                "PING",
                "GET a",
                "MULTI",
                "SET a d",
                "EXEC",
                "CONFIG SET save",
            ):
                request = words.split()
                replies.append(client.call(*request, *([""] if words.endswith("save") else [])))
            replies.append(client.call("SET", "a", "e"))
            texts.append(replies)
    assert texts[0] == texts[1]
