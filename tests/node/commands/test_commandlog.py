"""COMMANDLOG: slow commands, large requests and large replies, each in a log of its own."""

import pytest

from ..harness import START_MS, Failure, MemoryNode

_LARGE_VALUE = b"x" * 1000


def sized_node(**settings: str | int) -> MemoryNode:
    limits = {"commandlog_request_larger_than": 500, "commandlog_reply_larger_than": 500}
    return MemoryNode(**{**limits, **settings})


def test_slow_commands_are_those_of_slowlog() -> None:
    node = MemoryNode(slowlog_log_slower_than=0)
    node.call("PING")
    assert node.call("COMMANDLOG", "LEN", "slow") == node.call("SLOWLOG", "LEN") - 1
    assert node.call("COMMANDLOG", "GET", 10, "SLOW")[-1] == node.call("SLOWLOG", "GET", 10)[-1]
    assert node.call("COMMANDLOG", "RESET", "slow") == "OK"
    assert node.call("SLOWLOG", "LEN") == 1


def test_large_requests_and_replies() -> None:
    node = sized_node()
    node.call("CLIENT", "SETNAME", "me")
    node.call("SET", "k", _LARGE_VALUE)
    node.call("GET", "k")
    node.call("GET", "none")
    (entry,) = node.call("COMMANDLOG", "GET", -1, "large-request")
    request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n" + _LARGE_VALUE + b"\r\n"
    assert entry[:3] == [0, START_MS // 1000, len(request)]
    assert entry[3] == [b"SET", b"k", b"x" * 128 + b"... (872 more bytes)"]
    assert entry[4:] == [b"127.0.0.1:50000", b"me"]
    (entry,) = node.call("COMMANDLOG", "GET", -1, "large-reply")
    assert entry[2:4] == [len(b"$1000\r\n") + 1000 + len(b"\r\n"), [b"GET", b"k"]]
    assert node.call("COMMANDLOG", "LEN", "slow") == 0
    assert node.call("COMMANDLOG", "RESET", "large-reply") == "OK"
    assert node.call("COMMANDLOG", "LEN", "large-reply") == 0
    assert node.call("COMMANDLOG", "LEN", "large-request") == 1


def test_pipelines_and_transactions_are_looked_at_too() -> None:
    node = sized_node()
    node.send(*[("SET", b"k%d" % number, _LARGE_VALUE) for number in range(40)])
    assert node.call("COMMANDLOG", "LEN", "large-request") == 40
    node.send(("MULTI",), ("GET", "k1"), ("GET", "k2"), ("EXEC",))
    found = node.call("COMMANDLOG", "GET", -1, "large-reply")
    assert [entry[3] for entry in found] == [[b"GET", b"k2"], [b"GET", b"k1"]]


def test_the_logs_are_off_until_asked_for_and_bounded() -> None:
    node = MemoryNode()
    node.observe(False)
    node.call("SET", "k", _LARGE_VALUE)
    assert not node.session.gated
    assert node.call("COMMANDLOG", "LEN", "large-request") == 0
    settings = ("commandlog-request-larger-than", 0, "commandlog-large-request-max-len", 2)
    assert node.call("CONFIG", "SET", *settings) == "OK"
    for _ in range(3):
        node.call("PING")
    assert node.call("COMMANDLOG", "LEN", "large-request") == 2
    node.call("CONFIG", "SET", "commandlog-request-larger-than", -1)
    node.call("COMMANDLOG", "RESET", "large-request")
    node.call("SET", "k", _LARGE_VALUE)
    assert node.call("COMMANDLOG", "LEN", "large-request") == 0
    assert not node.session.gated


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("GET -2 slow", "ERR count should be greater than or equal to -1"),
        ("GET x slow", "ERR count should be greater than or equal to -1"),
        (
            "GET 1 fast",
            "ERR type should be one of the following: slow, large-request, large-reply",
        ),
        ("LEN fast", "ERR type should be one of the following: slow, large-request, large-reply"),
        ("RESET x", "ERR type should be one of the following: slow, large-request, large-reply"),
        ("GET 1", "ERR wrong number of arguments for 'commandlog|get' command"),
    ],
)
def test_refusals(words: str, text: str) -> None:
    assert MemoryNode().call("COMMANDLOG", *words.split()) == Failure(text)


def test_secrets_are_hidden() -> None:
    node = sized_node(commandlog_request_larger_than=0)
    node.call("AUTH", "default", "password")
    assert node.call("COMMANDLOG", "GET", 1, "large-request")[0][3] == [
        b"AUTH",
        b"(redacted)",
        b"(redacted)",
    ]
