"""What replicas and their primaries have on disk: restarts, logs, snapshots, and one child."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from clustrio.tools.bench.processes import CLUSTRIO, ServerProcess

from ..support.raw import RawClient
from ..support.servers import client_of, start_clustrio
from .test_replication import (
    COMMON,
    PAIRS,
    STARTERS,
    assert_equal,
    follow,
    info,
    is_caught_up,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


def config(client: RawClient, name: str) -> str:
    return client.call("CONFIG", "GET", name).items[1].text.decode()


# --- after a restart -----------------------------------------------------------------------------


def restart(server: ServerProcess, *more: str) -> None:
    """The same again in the same directory, perhaps at another port."""
    server.arguments = (*server.arguments, *more)
    server.restart()


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_a_replica_goes_on_where_its_snapshot_was(upper: str, lower: str) -> None:
    with ExitStack() as stack:
        servers = [stack.enter_context(STARTERS[kind](*COMMON)) for kind in (upper, lower)]
        primary = stack.enter_context(client_of(servers[0]))
        with client_of(servers[1]) as replica:
            follow(replica, primary)
            primary.pipeline([(b"SELECT", b"3"), (b"SET", b"k", b"1")])
            wait_for(lambda: is_caught_up(replica, primary))
            assert replica.call("SAVE").text == b"OK"
        primary.call("SET", "k", "2")
        restart(servers[1], "--replicaof", f"127.0.0.1 {servers[0].port}")
        with client_of(servers[1]) as replica:
            primary.call("APPEND", "k", "3")
            replica.call("SELECT", 3)
            assert_equal(replica, primary)
            assert replica.call("GET", "k").text == b"23"
        assert info(primary, "stats")["sync_full"] == "1"
        assert info(primary, "stats")["sync_partial_ok"] == "1"


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_a_primary_goes_on_with_its_replicas_after_a_restart(upper: str, lower: str) -> None:
    # A sign of life behind the snapshot would be missing in it.
    options = (*COMMON, "--repl-ping-replica-period", "3600")
    with ExitStack() as stack:
        top, below = (stack.enter_context(STARTERS[kind](*options)) for kind in (upper, lower))
        replica = stack.enter_context(client_of(below))
        with client_of(top) as primary:
            follow(replica, primary)
            primary.call("SET", "k", "1")
            wait_for(lambda: is_caught_up(replica, primary))
            # The child that made the copy may be about to end.
            wait_for(lambda: primary.call("SAVE").text == b"OK")
        restart(top)
        with client_of(top) as primary:
            follow(replica, primary)
            primary.call("APPEND", "k", "2")
            assert_equal(replica, primary)
            stats = info(primary, "stats")
            assert (stats["sync_full"], stats["sync_partial_ok"]) == ("0", "1")


def test_the_file_says_whom_to_follow_and_is_rewritten(tmp_path: Path) -> None:
    with start_clustrio(*COMMON) as upper, client_of(upper) as primary:
        primary.call("SET", "k", "v")
        path = tmp_path / "redis.conf"
        path.write_text(f"replicaof 127.0.0.1 {upper.port}\n")
        with ServerProcess((*CLUSTRIO, str(path)), COMMON) as lower, client_of(lower) as replica:
            assert_equal(replica, primary)
            assert config(replica, "replicaof") == f"127.0.0.1 {upper.port}"
            replica.call("REPLICAOF", "NO", "ONE")
            assert replica.call("CONFIG", "REWRITE").text == b"OK"
            assert "replicaof" not in path.read_text()
            follow(replica, primary)
            assert replica.call("CONFIG", "REWRITE").text == b"OK"
            assert f"replicaof 127.0.0.1 {upper.port}" in path.read_text()


# --- disks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", ["disabled", "swapdb", "on-empty-db"])
@pytest.mark.parametrize("upper", ["clustrio", "redis"])
def test_the_log_of_a_replica_is_that_of_the_copy(upper: str, load: str) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always", "--repl-diskless-load", load)
    with ExitStack() as stack:
        top = stack.enter_context(STARTERS[upper](*COMMON))
        below = stack.enter_context(start_clustrio(*COMMON, *options))
        primary = stack.enter_context(client_of(top))
        primary.call("SET", "copied", "1")
        with client_of(below) as replica:
            replica.call("SET", "old", "goes")
            follow(replica, primary)
            wait_for(lambda: is_caught_up(replica, primary))
            primary.call("SET", "streamed", "2")
            wait_for(lambda: is_caught_up(replica, primary))
            wait_for(lambda: info(replica, "persistence")["aof_rewrite_in_progress"] == "0")
            assert info(replica, "persistence")["aof_last_bgrewrite_status"] == "ok"
            before = replica.call("DEBUG", "DIGEST")
            assert replica.call("DEBUG", "LOADAOF").text == b"OK"
            assert replica.call("DEBUG", "DIGEST") == before
            assert replica.call("DEBUG", "RELOAD").text == b"OK"
            assert replica.call("DEBUG", "DIGEST") == before == primary.call("DEBUG", "DIGEST")
            primary.call("SET", "later", "3")
            wait_for(lambda: is_caught_up(replica, primary))
        restart(below)
        with client_of(below) as replica:
            keys = sorted(key.text for key in replica.call("KEYS", "*").items)
            assert keys == [b"copied", b"later", b"streamed"]


def test_a_log_that_cannot_begin_anew_is_tried_again() -> None:
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*COMMON))
        lower = stack.enter_context(start_clustrio(*COMMON, "--appendonly", "yes"))
        primary, replica = (stack.enter_context(client_of(each)) for each in (upper, lower))
        primary.call("SET", "k", "v")
        folder = lower.folder / "appendonlydir"
        folder.rename(lower.folder / "away")
        folder.write_text("in the way")
        follow(replica, primary)
        assert_equal(replica, primary)
        wait_for(lambda: info(replica, "persistence")["aof_last_bgrewrite_status"] == "err")
        folder.unlink()
        (lower.folder / "away").rename(folder)
        replica.call("BGREWRITEAOF")
        wait_for(lambda: info(replica, "persistence")["aof_last_bgrewrite_status"] == "ok")
        assert replica.call("DEBUG", "LOADAOF").text == b"OK"
        assert_equal(replica, primary)


def test_waitaof_hears_of_the_disks_of_replicas() -> None:
    log = ("--appendonly", "yes")
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*COMMON, *log))
        lower = stack.enter_context(start_clustrio(*COMMON, *log))
        plain = stack.enter_context(start_clustrio(*COMMON))
        primary, replica, other = (
            stack.enter_context(client_of(each)) for each in (upper, lower, plain)
        )
        follow(replica, primary)
        follow(other, primary)
        wait_for(lambda: info(primary)["connected_slaves"] == "2")
        wait_for(lambda: info(replica, "persistence")["aof_rewrite_in_progress"] == "0")
        primary.call("SET", "k", "v")
        assert [each.number for each in primary.call("WAITAOF", 1, 1, 8000).items] == [1, 1]
        primary.call("SET", "k", "w")
        assert [each.number for each in primary.call("WAITAOF", 1, 2, 2500).items] == [1, 1]
        assert primary.call("WAIT", 2, 5000).number == 2


def test_only_one_child_writes_at_a_time() -> None:
    options = (*COMMON, "--rdb-key-save-delay", "2000")
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*options))
        lower = stack.enter_context(start_clustrio(*COMMON))
        primary, replica = (stack.enter_context(client_of(each)) for each in (upper, lower))
        primary.call("DEBUG", "POPULATE", 2000)
        follow(replica, primary)
        wait_for(lambda: info(primary, "persistence")["rdb_bgsave_in_progress"] == "1")
        assert primary.call("BGSAVE").text.startswith(b"ERR Background save already in progress")
        assert primary.call("BGREWRITEAOF").text.endswith(b"rewriting scheduled")
        assert primary.call("CONFIG", "SET", "rdb-key-save-delay", 0).text == b"OK"
        with pytest.raises(ConnectionError):
            primary.call("SHUTDOWN", "NOW", "SAVE")
        wait_for(lambda: not upper.is_running())
        assert (upper.folder / "dump.rdb").stat().st_size > 2000
        assert not list(upper.folder.glob("temp-*"))


def test_a_child_that_saves_old_data_does_not_outlive_the_copy() -> None:
    options = (*COMMON, "--rdb-key-save-delay", "2000")
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*COMMON))
        lower = stack.enter_context(start_clustrio(*options))
        primary, replica = (stack.enter_context(client_of(each)) for each in (upper, lower))
        replica.call("DEBUG", "POPULATE", 3000, "old")
        assert replica.call("BGSAVE").text == b"Background saving started"
        primary.call("SET", "new", "1")
        follow(replica, primary)
        assert_equal(replica, primary)
        assert info(replica, "persistence")["rdb_bgsave_in_progress"] == "0"
        assert b"old:1" not in (lower.folder / "dump.rdb").read_bytes()
        assert not list(lower.folder.glob("temp-*"))
