"""Replication links beyond the ordinary: bad ends, old words, other ways, disks, and orders.

What stands in `test_replication` is not repeated here.
"""

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme

from clustrio.tools.bench.processes import ServerProcess, reserve_port

from ..support.raw import Reply
from ..support.servers import client_of, start_clustrio
from .test_replication import (
    COMMON,
    PAIRS,
    STARTERS,
    assert_equal,
    follow,
    info,
    is_caught_up,
    running,
    wait_for,
)

pytestmark = [pytest.mark.slow, pytest.mark.redis_server]


def read_all(plain: socket.socket, until: bytes, seconds: float = 30.0) -> bytes:
    """What comes, until something has come."""
    ends, data = time.monotonic() + seconds, b""
    while until not in data:
        assert time.monotonic() < ends, data
        piece = plain.recv(65_536)
        assert piece, data
        data += piece
    return data


# --- old words, and part of the data -------------------------------------------------------------


def test_sync_of_old_gets_the_data_and_the_stream() -> None:
    with start_clustrio(*COMMON) as server, client_of(server) as client:
        client.call("SET", "before", "1")
        with server.connect() as plain:
            plain.sendall(b"SYNC\r\n")
            data = read_all(plain, b"REDIS0010")
            assert data.lstrip(b"\n").startswith(b"$")
            client.call("SET", "after", "2")
            assert b"before" in read_all(plain, b"after\r\n$1\r\n2\r\n") + data


@pytest.mark.parametrize(
    ("words", "has_key", "has_library"),
    [
        (b"rdb-only 1", True, True),
        (b"rdb-only 1 rdb-filter-only functions", False, True),
        (b'rdb-only 1 rdb-filter-only ""', False, False),
    ],
)
def test_who_wants_a_snapshot_only_gets_no_more(
    words: bytes, has_key: bool, has_library: bool
) -> None:
    with start_clustrio(*COMMON) as server, client_of(server) as client:
        client.call("SET", "the-key", "1")
        client.call("FUNCTION", "LOAD", LIBRARY)
        with server.connect() as plain:
            plain.sendall(b"REPLCONF capa eof " + words + b"\r\nPSYNC ? -1\r\n")
            data = b""
            while piece := plain.recv(65_536):
                data += piece
        assert data.startswith(b"+OK\r\n+FULLRESYNC ")
        mark = data.partition(b"$EOF:")[2][:40]
        assert data.endswith(mark)
        assert (b"the-key" in data, b"the_answer" in data) == (has_key, has_library)


LIBRARY = "#!lua name=answers\nredis.register_function('the_answer', function() return 42 end)"


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_libraries_of_functions_are_those_of_the_primary(upper: str, lower: str, load: str) -> None:
    options = ("--repl-diskless-load", load)
    with running(upper, lower, options=options) as (primary, replica):
        primary.call("FUNCTION", "LOAD", LIBRARY)
        old = LIBRARY.replace("answers", "old").replace("the_answer", "question")
        replica.call("FUNCTION", "LOAD", old)
        follow(replica, primary)
        assert_equal(replica, primary)
        assert replica.call("FUNCTION", "LIST") == primary.call("FUNCTION", "LIST")
        replica.call("REPLICAOF", "NO", "ONE")
        assert replica.call("FCALL", "the_answer", 0).number == 42
        assert replica.call("FCALL", "question", 0).text == b"ERR Function not found"


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_a_replica_without_data_takes_the_copy_as_it_comes(upper: str, lower: str) -> None:
    with running(upper, lower, options=("--repl-diskless-load", "on-empty-db")) as pair:
        primary, replica = pair
        primary.call("DEBUG", "POPULATE", 3000)
        primary.call("FUNCTION", "LOAD", LIBRARY)
        follow(replica, primary)
        assert_equal(replica, primary)
        assert replica.call("FUNCTION", "LIST") == primary.call("FUNCTION", "LIST")


# --- bad ends ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_a_primary_that_hangs_is_left_and_found_again(upper: str, lower: str) -> None:
    with ExitStack() as stack:
        servers = [
            stack.enter_context(
                STARTERS[kind](*COMMON, "--repl-timeout", "2", "--repl-ping-replica-period", "1")
            )
            for kind in (upper, lower)
        ]
        primary, replica = (stack.enter_context(client_of(server)) for server in servers)
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        os.kill(servers[0].pid, signal.SIGSTOP)
        try:
            wait_for(lambda: info(replica)["master_link_status"] == "down")
        finally:
            os.kill(servers[0].pid, signal.SIGCONT)
        primary.call("SET", "k", "v")
        assert_equal(replica, primary)
        assert info(primary, "stats")["sync_full"] == "1"


def test_a_replica_that_hangs_is_disconnected() -> None:
    options = ("--repl-timeout", "2", "--repl-ping-replica-period", "1")
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*COMMON, *options))
        lower = stack.enter_context(start_clustrio(*COMMON, *options))
        primary, replica = (stack.enter_context(client_of(each)) for each in (upper, lower))
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        os.kill(lower.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: info(primary)["connected_slaves"] == "0")
        finally:
            os.kill(lower.pid, signal.SIGCONT)
        assert_equal(replica, primary)


def test_a_replica_for_which_too_much_waits_is_dropped_and_comes_back() -> None:
    limit = ("--client-output-buffer-limit", "replica 1mb 0 0")
    with ExitStack() as stack:
        upper = stack.enter_context(start_clustrio(*COMMON, *limit))
        lower = stack.enter_context(start_clustrio(*COMMON))
        primary, replica = (stack.enter_context(client_of(each)) for each in (upper, lower))
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        os.kill(lower.pid, signal.SIGSTOP)
        try:
            for number in range(12):
                primary.call("SET", f"k{number}", b"x" * 1_000_000)
            wait_for(lambda: info(primary)["connected_slaves"] == "0")
        finally:
            os.kill(lower.pid, signal.SIGCONT)
        assert_equal(replica, primary)


# --- under load ----------------------------------------------------------------------------------


@contextmanager
def counting(server: ServerProcess) -> Iterator[list[int]]:
    """Somebody who adds to counters all the time; what was acknowledged."""
    is_over = threading.Event()
    done = [0] * 50

    def count() -> None:
        with client_of(server) as client:
            number = 0
            while not is_over.is_set():
                place = number % len(done)
                replies = client.pipeline([(b"INCR", b"c%d" % place), (b"LPUSH", b"l", b"x")])
                if replies[0].kind != b":":
                    return
                done[place] = replies[0].number
                number += 1

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield done
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "swapdb"])
def test_a_copy_is_exact_while_clients_write(
    upper: str, lower: str, diskless: str, load: str
) -> None:
    options = (*COMMON, "--repl-diskless-sync", diskless, "--repl-diskless-load", load)
    with ExitStack() as stack:
        top, below = (stack.enter_context(STARTERS[kind](*options)) for kind in (upper, lower))
        primary, replica = (stack.enter_context(client_of(each)) for each in (top, below))
        primary.call("DEBUG", "POPULATE", 20_000)
        with counting(top) as done:
            wait_for(lambda: sum(done) > 100)
            before = sum(done)
            follow(replica, primary)
            wait_for(lambda: info(replica)["master_link_status"] == "up", 20)
            seen = sum(done)
            wait_for(lambda: sum(done) > seen + 100)
            assert seen > before
        assert_equal(replica, primary)
        for place, count in enumerate(done):
            assert int(replica.call("GET", f"c{place}").text) == count


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
def test_failover_under_load_loses_and_doubles_nothing(upper: str, lower: str) -> None:
    with ExitStack() as stack:
        top, below = (stack.enter_context(STARTERS[kind](*COMMON)) for kind in (upper, lower))
        old, new = (stack.enter_context(client_of(each)) for each in (top, below))
        follow(new, old)
        wait_for(lambda: is_caught_up(new, old))
        with counting(top) as done:
            wait_for(lambda: sum(done) > 100)
            # A replica that has caught up counts as online from its next answer on.
            order = ("FAILOVER", "TO", "127.0.0.1", below.port)
            wait_for(lambda: old.call(*order).text == b"OK")
            wait_for(lambda: info(new)["role"] == "master")
            wait_for(lambda: info(old)["role"] == "slave")
        assert_equal(old, new)
        for place, count in enumerate(done):
            assert new.call("GET", f"c{place}") == Reply(b"$", b"%d" % count)


def test_failover_that_is_forced_or_called_off() -> None:
    with ExitStack() as stack:
        top, below = (stack.enter_context(start_clustrio(*COMMON)) for _ in range(2))
        old, new = (stack.enter_context(client_of(each)) for each in (top, below))
        follow(new, old)
        wait_for(lambda: is_caught_up(new, old))
        wait_for(lambda: "state=online" in info(old)["slave0"])
        os.kill(below.pid, signal.SIGSTOP)
        try:
            old.call("SET", "k", "v")
            assert old.call("FAILOVER").text == b"OK"
            assert info(old)["master_failover_state"] == "waiting-for-sync"
            assert old.call("FAILOVER", "ABORT").text == b"OK"
            assert old.call("SET", "k", "w").text == b"OK"
            forced = ("FAILOVER", "TO", "127.0.0.1", below.port, "FORCE", "TIMEOUT", 200)
            assert old.call(*forced).text == b"OK"
            wait_for(lambda: info(old)["master_failover_state"] == "failover-in-progress")
            assert info(old)["role"] == "slave"
            assert old.call("FAILOVER", "ABORT").text == b"OK"
            wait_for(lambda: info(old)["role"] == "master")
            os.kill(below.pid, signal.SIGCONT)
            assert_equal(new, old)
            wait_for(lambda: "state=online" in info(old)["slave0"])
            os.kill(below.pid, signal.SIGSTOP)
            assert old.call("SET", "k", "x").text == b"OK"
            assert old.call(*forced).text == b"OK"
            wait_for(lambda: info(old)["master_failover_state"] == "failover-in-progress")
        finally:
            os.kill(below.pid, signal.SIGCONT)
        wait_for(lambda: info(new)["role"] == "master" and info(old)["role"] == "slave")
        assert_equal(old, new)
        assert new.call("GET", "k").text in (b"w", b"x", b"v")


def test_an_end_in_order_waits_for_the_replica() -> None:
    with ExitStack() as stack:
        top, below = (stack.enter_context(start_clustrio(*COMMON)) for _ in range(2))
        primary, replica = (stack.enter_context(client_of(each)) for each in (top, below))
        follow(replica, primary)
        wait_for(lambda: is_caught_up(replica, primary))
        os.kill(below.pid, signal.SIGSTOP)
        try:
            primary.call("SET", "k", "v")
            os.kill(top.pid, signal.SIGTERM)
            wait_for(lambda: "Waiting for replicas" in top.log())
            time.sleep(0.3)
            assert top.is_running()
        finally:
            os.kill(below.pid, signal.SIGCONT)
        wait_for(lambda: not top.is_running())
        assert replica.call("GET", "k").text == b"v"


# --- encrypted -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("upper", "lower"), PAIRS)
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_an_encrypted_link(upper: str, lower: str, diskless: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    ca, own = tmp_path / "ca.pem", tmp_path / "own.pem"
    authority.cert_pem.write_to_path(ca)
    authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(own)
    files = (
        *("--tls-cert-file", str(own), "--tls-key-file", str(own), "--tls-ca-cert-file", str(ca)),
        *("--tls-replication", "yes", "--repl-diskless-sync", diskless),
    )
    with ExitStack() as stack:
        held = [reserve_port() for _ in range(2)]
        for each in held:
            stack.callback(each.release)
        top, below = (
            stack.enter_context(STARTERS[kind](*COMMON, *files, "--tls-port", str(place.port)))
            for kind, place in zip((upper, lower), held, strict=True)
        )
        primary, replica = (stack.enter_context(client_of(each)) for each in (top, below))
        primary.call("DEBUG", "POPULATE", 5000)
        replica.call("REPLICAOF", "127.0.0.1", held[0].port)
        assert_equal(replica, primary)
        for number in range(200):
            primary.call("SET", f"k{number}", "x" * number)
        assert_equal(replica, primary)
        assert f"port={held[1].port}" in info(primary)["slave0"]
        primary.call("CLIENT", "KILL", "TYPE", "replica")
        primary.call("SET", "more", "1")
        assert_equal(replica, primary)
        # Nobody gets the stream in the clear from the port for encrypted talk.
        replica.call("CONFIG", "SET", "tls-replication", "no")
        replica.call("REPLICAOF", "NO", "ONE")
        replica.call("REPLICAOF", "127.0.0.1", held[0].port)
        time.sleep(0.3)
        assert info(replica)["master_link_status"] == "down"
