"""SLOWLOG."""

import pytest

from ..harness import START_MS, MemoryNode


def slow_node(**settings: str | int) -> MemoryNode:
    return MemoryNode(slowlog_log_slower_than=0, **settings)


def test_entries_are_newest_first() -> None:
    node = slow_node()
    node.call("CLIENT", "SETNAME", "me")
    node.advance(5000)
    node.call("SET", "a", "b")
    newest, older = node.call("SLOWLOG", "GET")
    number, at_s, microseconds, words, address, name = newest
    assert (number, at_s) == (1, START_MS // 1000 + 5)
    assert microseconds > 0
    assert words == [b"SET", b"a", b"b"]
    assert (address, name) == (b"127.0.0.1:50000", b"me")
    assert older[3] == [b"CLIENT", b"SETNAME", b"me"]


@pytest.mark.parametrize(("count", "shown"), [((), 10), ((3,), 3), ((0,), 0), ((-1,), 20)])
def test_how_many_are_shown(count: tuple[int, ...], shown: int) -> None:
    node = slow_node(slowlog_max_len=20)
    node.send(*[("PING",)] * 30)
    assert len(node.call("SLOWLOG", "GET", *count)) == shown


def test_reset_keeps_counting_and_the_length_is_bounded() -> None:
    node = slow_node(slowlog_max_len=3)
    node.send(*[("PING",)] * 5)
    assert node.call("SLOWLOG", "LEN") == 3
    assert node.call("SLOWLOG", "RESET") == "OK"
    # The entry of RESET itself, as in Redis.
    assert [entry[0] for entry in node.call("SLOWLOG", "GET")] == [6]


def test_off_by_default_for_fast_commands_and_by_a_negative_threshold() -> None:
    for node in (MemoryNode(), MemoryNode(slowlog_log_slower_than=-1)):
        node.call("PING")
        assert node.call("SLOWLOG", "LEN") == 0


def test_long_requests_are_cut() -> None:
    node = slow_node()
    node.call("RPUSH", "list", *range(40))
    node.call("SET", "k", b"x" * 200)
    (cut, many) = node.call("SLOWLOG", "GET", 2)
    assert cut[3][2] == b"x" * 128 + b"... (72 more bytes)"
    assert len(many[3]) == 32
    assert many[3][-1] == b"... (11 more arguments)"


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        ("AUTH user password", "AUTH (redacted) (redacted)"),
        ("HELLO 3 AUTH default x SETNAME me", "HELLO 3 AUTH (redacted) (redacted) SETNAME me"),
        ("HELLO 3 AUTH", "HELLO 3 AUTH"),
        ("config set hz 10 requirepass x", "config set hz 10 requirepass (redacted)"),
        ("config get requirepass", "config get requirepass"),
        ("ACL SETUSER me >pw", "ACL SETUSER (redacted) (redacted)"),
        ("ACL GETUSER me", "ACL GETUSER me"),
        (
            "MIGRATE h 1 k 0 9 COPY AUTH pw",
            "MIGRATE h 1 k 0 9 COPY AUTH (redacted)",
        ),
        (
            "MIGRATE h 1 k 0 9 AUTH2 u pw KEYS AUTH b",
            "MIGRATE h 1 k 0 9 AUTH2 (redacted) (redacted) KEYS AUTH b",
        ),
        ("GET AUTH secret", "GET AUTH secret"),
    ],
)
def test_secrets_are_hidden(request_: str, shown: str) -> None:
    node = MemoryNode()
    words = [word.encode() for word in request_.split()]
    log = node.machine.command_logs.slow
    log.record(START_MS, 1, words, node.session)
    (entry,) = log.newest(1)
    assert b" ".join(entry.args).decode() == shown
