"""MULTI, EXEC and WATCH: what ends a transaction, and what a watch notices."""

from collections.abc import Callable

import pytest

from clustrio.gossip import commands as ask

from ..clustered import node_serving
from ..harness import Failure, MemoryClient, MemoryNode
from ..migration.pair import TAGS, Pair

_ABORTED = "EXECABORT Transaction discarded because of: "
_BROKEN = Failure("EXECABORT Transaction discarded because of previous errors.")
_OOM = "OOM command not allowed when used memory > 'maxmemory'."


def begun(node: MemoryNode, *commands: tuple[str, ...]) -> MemoryClient:
    """A client in the middle of a transaction."""
    client = node.connect()
    replies = client.send(("MULTI",), *commands)
    assert replies == ["OK", *["QUEUED"] * len(commands)]
    return client


def is_over(client: MemoryClient) -> bool:
    """Whether a client is in no transaction any more."""
    return bool(client.call("EXEC") == "ERR EXEC without MULTI")


# --- EXEC that is refused -------------------------------------------------------------------------


def test_memory_that_is_used_up_ends_a_transaction_that_would_use_more() -> None:
    node = MemoryNode()
    writer, reader = begun(node, ("SET", "k", "v")), begun(node, ("GET", "k"))
    node.call("SET", "much", "x" * 100)
    node.call("CONFIG", "SET", "maxmemory", 1)
    assert writer.call("EXEC") == Failure(_ABORTED + _OOM)
    assert reader.call("EXEC") == [None]
    assert is_over(writer)


def test_nothing_is_queued_while_memory_is_used_up() -> None:
    node = MemoryNode()
    node.call("SET", "much", "x" * 100)
    node.call("CONFIG", "SET", "maxmemory", 1)
    for words in (("GET", "k"), ("PING",), ("UNWATCH",), ("WATCH", "k"), ("EVAL", "return 1", 0)):
        client = begun(node)
        assert client.call(*words) == Failure(_OOM), words
        assert client.call("EXEC") == _BROKEN
    assert begun(node).call("EXEC") == []
    assert begun(node).call("DISCARD") == "OK"
    assert begun(node).call("RESET") == "RESET"
    assert begun(node).call("MULTI") == "ERR MULTI calls can not be nested"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            ("CONFIG", "SET", "min-replicas-to-write", 1),
            "NOREPLICAS Not enough good replicas to write.",
        ),
        (
            ("REPLICAOF", "127.0.0.1", 1),
            "READONLY You can't write against a read only replica.",
        ),
        (
            ("ACL", "SETUSER", "default", "-exec"),
            "NOPERM User default has no permissions to run the 'exec' command",
        ),
    ],
)
def test_a_refused_exec_ends_the_transaction(change: tuple[str, ...], reason: str) -> None:
    node = MemoryNode()
    client = begun(node, ("SET", "k", "v"))
    assert node.call(*change) == "OK"
    assert client.call("EXEC") == Failure(_ABORTED + reason)
    node.call("CONFIG", "SET", "min-replicas-to-write", 0)
    node.call("REPLICAOF", "NO", "ONE")
    node.call("ACL", "SETUSER", "default", "+exec")
    assert is_over(client)
    assert node.call("EXISTS", "k") == 0


def test_words_behind_exec_end_the_transaction() -> None:
    client = begun(MemoryNode(), ("SET", "k", "v"))
    assert client.call("EXEC", "now") == Failure(
        _ABORTED + "wrong number of arguments for 'exec' command"
    )
    assert is_over(client)


def test_a_script_that_is_busy_ends_the_transactions_of_others() -> None:
    node = MemoryNode(busy_reply_threshold=1)
    client = begun(node, ("SET", "k", "v"))
    other = node.connect()
    heard: list[object] = []

    def breathe(session: object) -> None:
        heard.append(client.call("EXEC"))
        heard.append(client.call("EXEC"))
        heard.extend(other.send(("MULTI",), ("PING",), ("EXEC",), ("MULTI",), ("DISCARD",)))
        node.connect().call("SCRIPT", "KILL")

    node.machine.breathe = breathe
    assert "Script killed by user" in node.call("EVAL", "while true do end", 0)
    busy = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
    aborted = Failure(_ABORTED + busy)
    assert heard[:2] == [aborted, aborted]
    assert heard[2:] == ["OK", Failure(busy), aborted, "OK", "OK"]
    assert is_over(client)
    assert node.call("EXISTS", "k") == 0


def test_who_is_redirected_hears_nothing_else() -> None:
    node = node_serving(range(16_384))
    client = begun(node, ("SET", "k", "v"), ("SET", "l", "v"))
    assert client.call("EXEC").startswith("CROSSSLOT ")
    assert is_over(client)
    client = begun(node)
    assert client.call("MGET", "k", "l").startswith("CROSSSLOT ")
    assert client.call("EXEC") == _BROKEN


# --- WATCH ---------------------------------------------------------------------------------------


def watched(node: MemoryNode, key: str) -> MemoryClient:
    """A client that watches a key."""
    client = node.connect()
    assert client.call("WATCH", key) == "OK"
    return client


def outcome(client: MemoryClient) -> object:
    """How a transaction ends that needs no keys."""
    return client.send(("MULTI",), ("PING",), ("EXEC",))[-1]


@pytest.mark.parametrize("remove", [lambda node: None, lambda node: node.call("GET", "k")])
def test_a_key_that_dies_while_it_is_watched(remove: Callable[[MemoryNode], object]) -> None:
    node = MemoryNode()
    node.call("SET", "k", "v", "PX", 10)
    client = watched(node, "k")
    node.advance(20)
    remove(node)
    assert outcome(client) is None


def test_a_key_that_was_dead_when_it_was_first_watched() -> None:
    node = MemoryNode()
    node.call("DEBUG", "SET-ACTIVE-EXPIRE", 0)
    for touch, is_kept in ((("GET", "k"), True), (("DEL", "k"), True), (("SET", "k", 1), False)):
        node.call("SET", "k", "v", "PX", 10)
        node.advance(20)
        client = watched(node, "k")
        node.call(*touch)
        assert outcome(client) == (["PONG"] if is_kept else None), touch
    node.call("SET", "k", "v", "PX", 10)
    first = watched(node, "k")
    node.advance(20)
    second = watched(node, "k")
    assert outcome(first) is None
    assert outcome(second) == ["PONG"]


def test_what_is_made_and_deleted_again_was_changed() -> None:
    node = MemoryNode()
    client = watched(node, "k")
    node.send(("MULTI",), ("SET", "k", 1), ("DEL", "k"), ("EXEC",))
    assert outcome(client) is None


# --- slots that move ------------------------------------------------------------------------------


def by_hand(pair: Pair) -> None:
    assert pair.a.call("CLUSTER", "SETSLOT", 0, "NODE", pair.b.id) == "OK"


def at_once(pair: Pair) -> None:
    pair.begin(0, 0)
    pair.tell_all()
    pair.hand_over()


@pytest.mark.parametrize("move", [by_hand, at_once])
def test_a_watch_ends_with_the_slot_of_the_key(move: Callable[[Pair], None]) -> None:
    # There, the key may be written before the slot comes back.
    pair = Pair()
    missing, elsewhere = watched(pair.a, TAGS[0]), watched(pair.a, TAGS[1])
    move(pair)
    assert outcome(missing) is None
    assert outcome(elsewhere) == ["PONG"]
    assert outcome(missing) == ["PONG"]


def test_a_watched_key_leaves_with_its_slot() -> None:
    pair = Pair()
    pair.a.call("SET", TAGS[0], "v")
    client = watched(pair.a, TAGS[0])
    at_once(pair)
    assert outcome(client) is None


def test_a_transaction_in_a_slot_that_has_left_is_sent_after_it() -> None:
    pair = Pair()
    client = begun(pair.a, ("SET", TAGS[0], "v"))
    at_once(pair)
    assert client.call("EXEC") == Failure("MOVED 0 127.0.0.1:7000")
    assert is_over(client)


def test_a_slot_without_an_owner_takes_its_watches_along() -> None:
    pair = Pair()
    client = watched(pair.a, TAGS[0])
    pair.a.cluster.command(ask.DelSlots((0,)))
    assert outcome(client) is None
