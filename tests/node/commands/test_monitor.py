"""MONITOR."""

import pytest

from clustrio.node.commands.monitor import quoted

from ..harness import START_MS, Failure, MemoryClient, MemoryNode

STAMP = f"+{START_MS // 1000}.{START_MS % 1000 * 1000:06d}"


def watched_node(**settings: str | int) -> tuple[MemoryNode, MemoryClient]:
    node = MemoryNode(**settings)
    watcher = node.connect()
    assert watcher.call("MONITOR") == "OK"
    return node, watcher


def lines(watcher: MemoryClient) -> list[str]:
    data = b"".join(watcher.session.outbox).decode("latin-1")
    watcher.session.outbox.clear()
    return data.split("\r\n")[:-1]


def test_lines_are_as_redis_writes_them() -> None:
    node, watcher = watched_node()
    node.call("SELECT", 3)
    node.machine.unix_time_us = lambda: 1339518083107412
    node.call("set", "a b", b'x"\n\x00\xff')
    assert lines(watcher)[-1] == (
        '+1339518083.107412 [3 127.0.0.1:50000] "set" "a b" "x\\"\\n\\x00\\xff"'
    )


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        (b"", b'""'),
        (b"plain text~", b'"plain text~"'),
        (b'\\"', b'"\\\\\\""'),
        (b"\n\r\t\a\b", b'"\\n\\r\\t\\a\\b"'),
        (b"\x00\x1f\x7f\xff", b'"\\x00\\x1f\\x7f\\xff"'),
    ],
)
def test_quoting(word: bytes, shown: bytes) -> None:
    assert quoted(word) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("10.0.0.1:77", "10.0.0.1:77"),
        ("[::1]:77", "[::1]:77"),
        ("/tmp/socket:0", "unix:/tmp/socket"),
    ],
)
def test_where_a_request_came_from(address: str, shown: str) -> None:
    node, watcher = watched_node()
    node.session.address = address
    node.call("PING")
    assert lines(watcher) == [f'{STAMP} [0 {shown}] "PING"']


def test_requests_of_scripts_are_marked() -> None:
    node, watcher = watched_node()
    node.session.flags.add("lua")
    node.call("PING")
    assert lines(watcher) == [f'{STAMP} [0 lua] "PING"']


@pytest.mark.parametrize(
    "hidden",
    [
        "CONFIG GET hz",
        "SLOWLOG LEN",
        "CLIENT LIST",
        "GET",
        "nope",
        "CONFIG NOPE",
        "MONITOR",
    ],
)
def test_what_is_not_shown(hidden: str) -> None:
    node, watcher = watched_node()
    node.call(*hidden.split())
    assert lines(watcher) == []


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("AUTH secret", '"AUTH" "(redacted)"'),
        ("HELLO 3 AUTH default secret", '"HELLO" "3" "AUTH" "(redacted)" "(redacted)"'),
        ("INFO server", '"INFO" "server"'),
        ("client id", '"client" "id"'),
        ("INCR list", '"INCR" "list"'),
    ],
)
def test_what_is_shown(request_: str, shown: str) -> None:
    node, watcher = watched_node()
    node.call("RPUSH", "list", "a")
    lines(watcher)
    node.call(*request_.split())
    assert lines(watcher) == [f"{STAMP} [0 127.0.0.1:50000] {shown}"]


def test_a_transaction_is_shown_when_it_runs() -> None:
    node, watcher = watched_node()
    node.call("MULTI")
    node.call("SET", "a", 1)
    shown = [line.split("] ")[1] for line in lines(watcher)]
    assert shown == ['"MULTI"']
    node.call("EXEC")
    shown = [line.split("] ")[1] for line in lines(watcher)]
    assert sorted(shown) == ['"EXEC"', '"SET" "a" "1"']


def test_a_watcher_hears_its_own_replies_first() -> None:
    _, watcher = watched_node()
    assert watcher.receive(["PING"]) == (
        f'+PONG\r\n{STAMP} [0 127.0.0.1:50002] "PING"\r\n'.encode()
    )


@pytest.mark.parametrize("request_", ["GET a", "SET a b", "DEL a"])
def test_a_watcher_gets_no_data(request_: str) -> None:
    node, watcher = watched_node()
    reply = watcher.call(*request_.split())
    assert reply == Failure("ERR Replica can't interact with the keyspace")
    assert node.call("DBSIZE") == 0


def test_a_second_monitor_says_nothing() -> None:
    node, watcher = watched_node()
    assert watcher.receive(["MONITOR"]) == b""
    node.call("PING")
    assert len(lines(watcher)) == 1


def test_not_inside_a_transaction() -> None:
    node = MemoryNode()
    node.send(("MULTI",), ("MONITOR",))
    assert node.call("EXEC") == [Failure("ERR MONITOR isn't allowed for DENY BLOCKING client")]


def test_several_watchers_see_the_same_until_they_leave() -> None:
    node, first = watched_node()
    second = node.connect()
    second.call("MONITOR")
    node.call("PING")
    assert lines(first) == lines(second) != []
    first.send(("RESET",))
    lines(first), lines(second)
    assert "monitor" not in first.session.flags
    node.call("PING")
    assert lines(first) == []
    assert len(lines(second)) == 1
    node.machine.disconnect(second.session)
    assert node.machine.gate.monitor is None


def test_nobody_pays_when_nobody_watches() -> None:
    node = MemoryNode()
    node.observe(False)
    watcher = node.connect()
    gated = [node.session.gated]
    watcher.call("MONITOR")
    gated.append(node.session.gated)
    watcher.send(("RESET",))
    gated.append(node.session.gated)
    assert gated == [False, True, False]


def test_the_runtime_is_woken_once_a_batch() -> None:
    node, watcher = watched_node()
    node.machine.awake.clear()
    node.send(*[("PING",)] * 10)
    assert node.machine.awake == [watcher.session]
    assert len(lines(watcher)) == 10


def test_client_list_marks_watchers() -> None:
    _, watcher = watched_node()
    assert b" flags=O " in watcher.send(("CLIENT", "INFO"))[0]
