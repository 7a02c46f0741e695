"""CLIENT: the list of connections, ending them, silence."""

import pytest

from ..harness import Failure, MemoryClient, MemoryNode, Plain


def flags_of(client: MemoryClient) -> bytes:
    line: bytes = client.call("CLIENT", "INFO")
    return line.partition(b" flags=")[2].partition(b" ")[0]


def test_flags_come_in_their_order() -> None:
    node = MemoryNode()
    assert flags_of(node) == b"N"
    client = node.connect()
    client.call("HELLO", "3")
    client.send(("CLIENT", "TRACKING", "ON", "BCAST"), ("SUBSCRIBE", "a"), ("READONLY",))
    client.send(("CLIENT", "NO-EVICT", "ON"), ("CLIENT", "NO-TOUCH", "ON"))
    assert flags_of(client).startswith(b"PtB")
    assert flags_of(client).endswith(b"eT")
    watcher = node.connect()
    watcher.call("MONITOR")
    assert b" flags=O " in node.call("CLIENT", "LIST", "ID", watcher.session.id)


def test_redirections_are_listed() -> None:
    node = MemoryNode()
    assert b" redir=-1 " in node.call("CLIENT", "INFO")
    node.call("CLIENT", "TRACKING", "ON")
    assert b" redir=0 " in node.call("CLIENT", "INFO")


@pytest.mark.parametrize(
    ("first", "replies"),
    [
        ([("SKIP",)], ["PONG"]),
        ([("SKIP",), ("SKIP",)], ["PONG"]),
        ([("OFF",), ("SKIP",)], []),
        ([("OFF",), ("ON",)], ["OK", "PONG", "PONG"]),
    ],
)
def test_silence(first: list[tuple[str]], replies: list[Plain]) -> None:
    commands = [("CLIENT", "REPLY", *mode) for mode in first]
    assert MemoryNode().send(*commands, ("PING",), ("PING",)) == replies
    node = MemoryNode()
    singly = [reply for words in (*commands, ("PING",), ("PING",)) for reply in node.send(words)]
    assert singly == replies


def test_kill_by_filters() -> None:
    node = MemoryNode()
    listener, other = node.connect(), node.connect()
    listener.call("SUBSCRIBE", "a")
    assert node.call("CLIENT", "KILL", "TYPE", "pubsub", "ID", other.session.id) == 0
    assert node.call("CLIENT", "KILL", "TYPE", "pubsub") == 1
    assert listener.session.close_now
    assert not other.session.close_now
    assert node.call("CLIENT", "KILL", "ID", node.session.id) == 0
    assert node.call("CLIENT", "KILL", "ID", node.session.id, "SKIPME", "no") == 1
    assert node.session.close_after_reply


@pytest.mark.parametrize(
    ("filters", "ended"),
    [
        ("127.0.0.1:50002", "1"),
        ("ADDR 127.0.0.1:50003", "2"),
        ("ADDR 127.0.0.1:1", ""),
        ("LADDR 127.0.0.1:6379", "123"),
        ("LADDR 127.0.0.1:1", ""),
        ("TYPE normal", "12"),
        ("type PUBSUB", "3"),
        ("TYPE replica", ""),
        ("TYPE master", ""),
        ("USER alice", "1"),
        ("USER default", "23"),
        ("USER default TYPE pubsub", "3"),
        ("USER alice TYPE pubsub", ""),
        ("TYPE pubsub TYPE normal", "12"),
        ("MAXAGE 60", "1"),
        ("MAXAGE 60 USER default", ""),
        ("SKIPME yes", "123"),
        ("LADDR 127.0.0.1:6379 SKIPME no", "0123"),
    ],
)
def test_kill_ends_those_whom_all_filters_fit(filters: str, ended: str) -> None:
    node = MemoryNode()
    node.call("ACL", "SETUSER", "alice", "on", "nopass", "+@all")
    first = node.connect()
    node.session.created_ms += 100_000
    node.advance(100_000)
    clients = [node, first, node.connect(), node.connect()]
    first.call("AUTH", "alice", "x")
    clients[3].call("SUBSCRIBE", "a")
    reply = node.call("CLIENT", "KILL", *filters.split())
    assert reply == ("OK" if len(filters.split()) == 1 else len(ended))
    over = [each.session.close_now or each.session.close_after_reply for each in clients]
    assert "".join(str(index) for index, is_over in enumerate(over) if is_over) == ended


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("KILL 1.2.3.4:5", "ERR No such client"),
        ("KILL MAXAGE 0", "ERR maxage is not an integer or out of range"),
        ("KILL ID 1 FOO bar", "ERR syntax error"),
        ("KILL ID", "ERR No such client"),
        ("KILL ID 1 TYPE", "ERR syntax error"),
        ("KILL ID 0", "ERR client-id should be greater than 0"),
        ("KILL TYPE foo", "ERR Unknown client type 'foo'"),
        ("KILL USER foo", "ERR No such user 'foo'"),
        ("KILL ID 9 SKIPME foo", "ERR syntax error"),
        ("LIST TYPE foo", "ERR Unknown client type 'foo'"),
        ("LIST ID x", "ERR Invalid client ID"),
        (
            "UNBLOCK 1 ERROR x",
            "ERR unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
        ),
    ],
)
def test_refusals(words: str, text: str) -> None:
    assert MemoryNode().call("CLIENT", *words.split()) == Failure(text)


def test_numbers_that_nobody_has_list_nothing() -> None:
    assert MemoryNode().call("CLIENT", "LIST", "ID", "0", "-5", "999") == b""
