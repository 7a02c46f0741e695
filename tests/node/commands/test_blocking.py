"""Clients that wait for a list: who is served, when, with what, and what is left behind."""

from collections.abc import Iterator

import pytest

from clustrio.node.blocking import parse_timeout_ms
from clustrio.node.database import Database
from clustrio.node.errors import CommandError
from clustrio.node.pause import PauseMode

from ..harness import START_MS, Failure, MemoryClient, MemoryNode, Word

WRONG_TYPE = Failure("WRONGTYPE Operation against a key holding the wrong kind of value")


@pytest.fixture
def node() -> Iterator[MemoryNode]:
    node = MemoryNode()
    yield node
    # Whoever still waits leaves nothing behind when it goes.
    for session in list(node.machine.sessions.values()):
        node.machine.disconnect(session)
    blocked = node.machine.blocked
    assert len(blocked) == 0
    assert (blocked._waiters, blocked._ready, blocked._watchful) == ({}, {}, 0)
    assert blocked not in node.machine.keyspace.effects.consumers
    assert node.machine.gate.after_command is None


def waiting(node: MemoryNode, *words: Word) -> MemoryClient:
    """A client that waits in a command."""
    client = node.connect()
    assert client.send(words) == []
    assert is_waiting(client)
    return client


def is_waiting(client: MemoryClient) -> bool:
    return client.session.wait is not None


# --- timeouts ------------------------------------------------------------------------------------

TIMEOUTS = [
    (b"0", 0),
    (b"1", 1000),
    (b"0.001", 1),
    (b"0.0015", 2),
    (b"0.0000001", 1),
    (b"1e-30", 1),
    (b"1e-4000", 1),
    (b"0.1", 100),
    (b"3.3", 3300),
    (b"-0.0001", 0),
    (b"999999999", 999_999_999_000),
    (b"12345678901", 12_345_678_901_000),
    (b"0x10", 16_000),
]
REFUSED_TIMEOUTS = [
    (b"-1", b"ERR timeout is negative"),
    (b"-0.002", b"ERR timeout is negative"),
    (b"-inf", b"ERR timeout is negative"),
    (b"-1e4000", b"ERR timeout is negative"),
    (b"inf", b"ERR timeout is out of range"),
    (b"1e300", b"ERR timeout is out of range"),
    (b"9223372036854775", b"ERR timeout is out of range"),
    (b"9223372036854775807", b"ERR timeout is out of range"),
    *((text, b"ERR timeout is not a float or out of range") for text in (b"", b"x", b"nan", b"1 ")),
]


@pytest.mark.parametrize(("text", "expected"), TIMEOUTS)
def test_timeouts_are_rounded_up_to_milliseconds(text: bytes, expected: int) -> None:
    assert parse_timeout_ms(text, START_MS) == expected


@pytest.mark.parametrize(("text", "expected"), REFUSED_TIMEOUTS)
def test_refused_timeouts(text: bytes, expected: bytes) -> None:
    with pytest.raises(CommandError) as refusal:
        parse_timeout_ms(text, START_MS)
    assert refusal.value.text == expected


@pytest.mark.parametrize(
    "words",
    [
        ("BLPOP", "a", "b", "0.25"),
        ("BRPOP", "a", "0.25"),
        ("BLMPOP", "0.25", 2, "a", "b", "LEFT", "COUNT", 3),
        ("BLMOVE", "a", "b", "LEFT", "RIGHT", "0.25"),
        ("BRPOPLPUSH", "a", "b", "0.25"),
    ],
)
def test_time_up_is_a_null_array(node: MemoryNode, words: tuple[str, ...]) -> None:
    client = waiting(node, *words)
    node.advance(249)
    node.tick()
    assert is_waiting(client)
    node.advance(1)
    node.tick()
    assert b"".join(client.session.outbox) == b"*-1\r\n"
    client.session.outbox.clear()
    assert not is_waiting(client)
    assert len(node.machine.blocked) == 0
    assert node.take_effects() == ([], [])


def test_a_time_of_zero_has_no_end(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    node.advance(10**12)
    node.tick()
    assert is_waiting(client)


# --- being served --------------------------------------------------------------------------------

SERVED = [
    (("BLPOP", "x", "a", 0), [b"a", b"1"], [b"LPOP", b"a"], [b"2", b"3"]),
    (("BRPOP", "x", "a", 0), [b"a", b"3"], [b"RPOP", b"a"], [b"1", b"2"]),
    (("BLMPOP", 0, 2, "x", "a", "LEFT"), [b"a", [b"1"]], [b"LPOP", b"a", b"1"], [b"2", b"3"]),
    (
        ("BLMPOP", 0, 1, "a", "right", "count", 2),
        [b"a", [b"3", b"2"]],
        [b"RPOP", b"a", b"2"],
        [b"1"],
    ),
    (
        ("BLMPOP", 0, 1, "a", "LEFT", "COUNT", 9),
        [b"a", [b"1", b"2", b"3"]],
        [b"LPOP", b"a", b"3"],
        [],
    ),
    (("BLMOVE", "a", "t", "LEFT", "RIGHT", 0), b"1", [b"LMOVE", b"a", b"t", b"LEFT", b"RIGHT"], 2),
    (("BRPOPLPUSH", "a", "t", 0), b"3", [b"RPOPLPUSH", b"a", b"t"], 2),
    (
        ("BLMOVE", "a", "a", "left", "right", 0),
        b"1",
        [b"LMOVE", b"a", b"a", b"left", b"right"],
        [b"2", b"3", b"1"],
    ),
]


@pytest.mark.parametrize(("words", "reply", "propagated", "left"), SERVED)
@pytest.mark.parametrize("waits", [True, False])
def test_waiting_or_not_makes_no_difference(
    node: MemoryNode,
    words: tuple[Word, ...],
    reply: object,
    propagated: list[bytes],
    left: list[bytes] | int,
    waits: bool,
) -> None:
    push = [b"RPUSH", b"a", b"1", b"2", b"3"]
    if waits:
        client = waiting(node, *words)
        assert node.call(*push) == 3
        assert client.take_pushed() == [reply]
    else:
        node.call(*push)
        assert node.call(*words) == reply
    assert node.take_propagated() == [push, propagated]
    if isinstance(left, int):
        assert node.call("LLEN", "a") == left
        assert node.call("LRANGE", "t", 0, -1) == [reply]
    else:
        assert node.call("LRANGE", "a", 0, -1) == left
    assert node.call("EXISTS", "a") == bool(left)


def test_events_of_a_served_client(node: MemoryNode) -> None:
    waiting(node, "BLMOVE", "a", "t", "LEFT", "LEFT", 0)
    node.call("RPUSH", "a", 1)
    assert node.take_events() == [
        ("l", b"rpush", b"a"),
        ("l", b"lpush", b"t"),
        ("l", b"lpop", b"a"),
        ("g", b"del", b"a"),
    ]


def test_who_came_first_is_served_first(node: MemoryNode) -> None:
    clients = [waiting(node, "BLPOP", "a", 0) for _ in range(3)]
    node.call("RPUSH", "a", 1, 2)
    assert [client.take_pushed() for client in clients] == [[[b"a", b"1"]], [[b"a", b"2"]], []]
    node.call("RPUSH", "a", 3, 4)
    assert clients[2].take_pushed() == [[b"a", b"3"]]
    assert node.call("LRANGE", "a", 0, -1) == [b"4"]


def test_the_same_key_twice_is_waited_for_once(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", "a", 0)
    node.call("RPUSH", "a", 1, 2)
    assert client.take_pushed() == [[b"a", b"1"]]
    assert node.call("LLEN", "a") == 1


def test_keys_of_one_transaction_are_looked_at_in_the_order_of_the_command(
    node: MemoryNode,
) -> None:
    client = waiting(node, "BLPOP", "a", "b", 0)
    node.send(["MULTI"], ["RPUSH", "b", 1], ["RPUSH", "a", 2], ["EXEC"])
    assert client.take_pushed() == [[b"a", b"2"]]
    assert node.call("LLEN", "b") == 1


def test_a_transaction_is_over_before_anybody_is_served(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    node.send(["MULTI"], ["RPUSH", "a", 1], ["DEL", "a"], ["EXEC"])
    assert is_waiting(client)
    node.send(["MULTI"], ["RPUSH", "a", 1], ["RPUSH", "a", 2], ["LPOP", "a"], ["EXEC"])
    assert client.take_pushed() == [[b"a", b"2"]]


@pytest.mark.parametrize(
    "words",
    [
        ("LPUSH", "a", "v"),
        ("RENAME", "other", "a"),
        ("COPY", "other", "a"),
        ("LMOVE", "other", "a", "LEFT", "LEFT"),
        ("RPOPLPUSH", "other", "a"),
        ("SORT", "other", "ALPHA", "STORE", "a"),
    ],
)
def test_whatever_makes_a_list_wakes(node: MemoryNode, words: tuple[str, ...]) -> None:
    node.call("RPUSH", "other", "v")
    client = waiting(node, "BLPOP", "a", 0)
    node.call(*words)
    assert client.take_pushed() == [[b"a", b"v"]]


def test_databases_do_not_mix_and_a_swap_wakes(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    node.call("SELECT", 1)
    node.call("RPUSH", "a", "v")
    assert client.take_pushed() == []
    assert node.call("SWAPDB", 0, 1) == "OK"
    assert client.take_pushed() == [[b"a", b"v"]]


def test_moves_wake_further_clients(node: MemoryNode) -> None:
    first = waiting(node, "BLMOVE", "a", "b", "LEFT", "LEFT", 0)
    second = waiting(node, "BLMOVE", "b", "c", "LEFT", "LEFT", 0)
    third = waiting(node, "BLPOP", "c", 0)
    node.call("RPUSH", "a", "v")
    assert [client.take_pushed() for client in (first, second, third)] == [
        [b"v"],
        [b"v"],
        [[b"c", b"v"]],
    ]
    assert node.take_propagated() == [
        [b"RPUSH", b"a", b"v"],
        [b"LMOVE", b"a", b"b", b"LEFT", b"LEFT"],
        [b"LMOVE", b"b", b"c", b"LEFT", b"LEFT"],
        [b"LPOP", b"c"],
    ]
    assert node.call("EXISTS", "a", "b", "c") == 0


def test_a_ring_of_moves_comes_to_rest(node: MemoryNode) -> None:
    clients = [waiting(node, "BLMOVE", x, y, "LEFT", "LEFT", 0) for x, y in ("ab", "ba", "aa")]
    node.call("RPUSH", "a", "v")
    assert [client.take_pushed() for client in clients] == [[b"v"]] * 3
    assert node.call("LRANGE", "a", 0, -1) == [b"v"]


# --- wrong types ---------------------------------------------------------------------------------


def test_the_first_key_that_is_anything_decides(node: MemoryNode) -> None:
    node.call("SET", "s", "v")
    node.call("RPUSH", "a", 1, 2)
    assert node.call("BLPOP", "none", "a", "s", 0) == [b"a", b"1"]
    assert node.call("BLPOP", "none", "s", "a", 0) == WRONG_TYPE
    assert node.call("BLMPOP", 0, 2, "s", "a", "LEFT") == WRONG_TYPE


def test_another_type_wakes_nobody(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", "b", 0)
    node.call("SET", "a", "v")
    assert is_waiting(client)
    node.call("RPUSH", "b", 1)
    # As if it had just been sent: the first key is no list.
    assert client.take_pushed() == [WRONG_TYPE]
    assert node.call("LLEN", "b") == 1


def test_a_target_of_another_type(node: MemoryNode) -> None:
    node.call("SET", "s", "v")
    first = waiting(node, "BLMOVE", "a", "s", "LEFT", "LEFT", 0)
    second = waiting(node, "BLPOP", "a", 0)
    node.take_batches()
    node.call("RPUSH", "a", 1)
    assert first.take_pushed() == [WRONG_TYPE]
    assert second.take_pushed() == [[b"a", b"1"]]
    assert node.take_propagated() == [[b"RPUSH", b"a", b"1"], [b"LPOP", b"a"]]


# --- where nobody waits --------------------------------------------------------------------------


def test_in_a_transaction_nobody_waits(node: MemoryNode) -> None:
    queued: list[tuple[Word, ...]] = [
        ("BLPOP", "a", 0),
        ("BLMPOP", 0, 1, "a", "LEFT"),
        ("BLMOVE", "a", "b", "LEFT", "LEFT", 0),
        ("BRPOPLPUSH", "a", "b", 0),
    ]
    reply = node.receive(["MULTI"], *queued, ["EXEC"])
    assert reply.endswith(b"*4\r\n*-1\r\n*-1\r\n$-1\r\n$-1\r\n")
    assert len(node.machine.blocked) == 0


# --- the end of waiting --------------------------------------------------------------------------


def test_client_unblock(node: MemoryNode) -> None:
    first, second = waiting(node, "BLPOP", "a", 0), waiting(node, "BLPOP", "a", 0)
    assert node.call("CLIENT", "UNBLOCK", first.session.id) == 1
    assert first.take_pushed() == [None]
    assert node.call("CLIENT", "UNBLOCK", second.session.id, "ERROR") == 1
    assert second.take_pushed() == [Failure("UNBLOCKED client unblocked via CLIENT UNBLOCK")]
    assert node.call("CLIENT", "UNBLOCK", second.session.id) == 0
    node.call("RPUSH", "a", 1)
    assert node.call("LLEN", "a") == 1


def test_whoever_is_gone_gets_nothing(node: MemoryNode) -> None:
    gone, killed, here = (waiting(node, "BLPOP", "a", 0) for _ in range(3))
    node.machine.disconnect(gone.session)
    # It is still known, but whatever it was given would be lost.
    killed.session.close(after_reply=False)
    node.call("RPUSH", "a", 1)
    assert here.take_pushed() == [[b"a", b"1"]]
    assert killed.take_pushed() == []


def test_requests_sent_meanwhile_are_answered_behind_the_late_reply(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    assert client.send(["PING"], ["ECHO", "x"]) == []
    node.call("RPUSH", "a", 1)
    replies = node.machine.proceed(client.session)
    assert replies == b"*2\r\n$1\r\na\r\n$1\r\n1\r\n+PONG\r\n$1\r\nx\r\n"


def test_a_request_that_comes_with_the_late_reply_is_answered_behind_it(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    node.call("RPUSH", "a", 1)
    assert client.send(["PING"]) == [[b"a", b"1"], "PONG"]


def test_the_rest_of_a_pipeline_waits_too(node: MemoryNode) -> None:
    client = node.connect()
    assert client.send(["SET", "k", 1], ["BLPOP", "a", "b", 0], ["INCR", "k"]) == ["OK"]
    assert node.call("GET", "k") == b"1"
    node.call("RPUSH", "b", 5)
    assert client.send() == [[b"b", b"5"], 2]


def test_release_of_all_writers(node: MemoryNode) -> None:
    first, second = waiting(node, "BLPOP", "a", 0), waiting(node, "BLMPOP", 0, 1, "b", "LEFT")
    assert [waiter.session for waiter in node.machine.blocked.waiters()] == [
        first.session,
        second.session,
    ]
    node.machine.blocked.release_all(b"-UNBLOCKED so it is\r\n", only_writes=True)
    assert first.take_pushed() == second.take_pushed() == [Failure("UNBLOCKED so it is")]
    assert len(node.machine.blocked) == 0


def test_during_a_pause_nobody_is_served(node: MemoryNode) -> None:
    client = waiting(node, "BLPOP", "a", 0)
    pause = node.machine.pause
    pause.begin("test", PauseMode.WRITE, START_MS + 1000)
    # Something that the pause lets through, as a primary's stream is.
    node.machine.gate.postpone = None
    node.call("RPUSH", "a", 1)
    assert client.take_pushed() == []
    node.advance(1000)
    node.tick()
    assert client.take_pushed() == [[b"a", b"1"]]


def test_the_last_one_leaves_no_effects_behind() -> None:
    node = MemoryNode()
    node.observe(False)
    client = waiting(node, "BLMOVE", "a", "b", "LEFT", "LEFT", 0)
    node.call("RPUSH", "a", 1)
    assert client.take_pushed() == [b"1"]
    effects = node.machine.keyspace.effects
    assert not effects.observed
    assert effects.take_batch() is None
    assert effects._instead is None
    node.observe(True)
    node.call("SET", "k", "v")
    assert node.take_propagated() == [[b"SET", b"k", b"v"]]


def test_many_waiters_cost_no_more_than_those_that_are_served(
    node: MemoryNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [waiting(node, "BLPOP", "a", 0) for _ in range(300)]
    peek = Database.peek
    looked_at: list[bytes] = []

    def counting_peek(database: Database, key: bytes) -> object:
        looked_at.append(key)
        return peek(database, key)

    monkeypatch.setattr(Database, "peek", counting_peek)
    node.call("RPUSH", "a", 1)
    assert clients[0].take_pushed() == [[b"a", b"1"]]
    assert 0 < len(looked_at) < 10
