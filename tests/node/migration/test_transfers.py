"""MIGRATE without sockets: what is said, who waits, and what is left at the end."""

import pytest

from clustrio.node.migration.transfers import Conversation, KeyTransfer
from clustrio.node.pause import PauseMode

from ...support.raw import encode_command
from ..harness import Failure, MemoryClient, MemoryNode, Word


class Node(MemoryNode):
    """A node whose transfers go nowhere until the test says how they end."""

    def __init__(self, **settings: str | int) -> None:
        super().__init__(**settings)
        self.transfers: list[KeyTransfer] = []
        transfers = self.machine.transfers
        transfers.on_wanted = self.transfers.append
        transfers.carry_now = self.transfers.append
        for key in ("a", "b", "c"):
            self.call("SET", key, key)
        self.take_batches()

    def begin(self, *keys: Word, options: tuple[Word, ...] = ()) -> KeyTransfer:
        words = ("MIGRATE", "10.0.0.1", 6379, "", 0, 100, *options, "KEYS", *keys)
        assert self.send(words) == []
        self.take_batches()
        return self.transfers[-1]

    def finish(self, transfer: KeyTransfer, *arrived: bytes, failure: str | None = None) -> None:
        transfer.arrived += arrived
        transfer.failure = failure
        self.machine.transfers.finish(transfer)


def is_waiting(client: MemoryClient) -> bool:
    return client.session.wait is not None


def test_what_arrived_is_deleted_and_told_as_one_del() -> None:
    node = Node()
    transfer = node.begin("a", "none", "b", "c")
    assert transfer.keys == [b"a", b"b", b"c"]
    node.finish(transfer, b"a", b"c", failure="IOERR error or timeout reading to target instance")
    assert node.take_pushed() == [Failure("IOERR error or timeout reading to target instance")]
    (batch,) = node.take_batches()
    assert node.call("EXISTS", "a", "b", "c") == 1
    assert [command.args for command in batch.commands] == [(b"DEL", b"a", b"c")]
    assert [(event.name, event.key) for event in batch.events if event.kind == "g"] == [
        (b"del", b"a"),
        (b"del", b"c"),
    ]


def test_a_copy_deletes_nothing() -> None:
    node = Node()
    transfer = node.begin("a", options=("COPY",))
    node.finish(transfer, b"a")
    assert node.take_pushed() == ["OK"]
    assert node.take_batches() == []
    assert node.call("GET", "a") == b"a"


def test_nothing_there_is_no_transfer() -> None:
    node = Node()
    assert node.call("MIGRATE", "h", 1, "none", 0, 100) == "NOKEY"
    assert not node.transfers
    assert not node.machine.transfers.locks


@pytest.mark.parametrize(
    "request_",
    [
        ("GET", "a"),
        ("SET", "a", "1"),
        ("MGET", "c", "a"),
        ("RENAME", "c", "a"),
        ("MOVE", "a", 1),
        ("WATCH", "a"),
        ("FLUSHALL",),
        ("SWAPDB", 0, 1),
        ("DEBUG", "RELOAD"),
        ("SORT", "c", "BY", "*", "GET", "a"),
        ("MIGRATE", "h", 1, "a", 0, 100),
    ],
)
def test_who_touches_a_key_under_way_waits(request_: tuple[Word, ...]) -> None:
    node = Node()
    transfer = node.begin("a", "b")
    other = node.connect()
    assert other.send(request_, ("PING",)) == []
    assert is_waiting(other)
    node.finish(transfer)
    assert not is_waiting(other)
    assert other.session.backlog == [
        [str(word).encode() for word in request_],
        [b"PING"],
    ]


def test_who_touches_other_keys_goes_on() -> None:
    node = Node()
    node.begin("a", "b")
    other = node.connect()
    assert other.send(("SET", "c", "1"), ("GET", "c"), ("DBSIZE",), ("PING",)) == [
        "OK",
        b"1",
        3,
        "PONG",
    ]


def test_a_transaction_waits_for_what_it_queued() -> None:
    node = Node()
    other = node.connect()
    other.send(("MULTI",), ("SET", "c", "1"), ("SET", "a", "1"))
    transfer = node.begin("a")
    assert other.send(("EXEC",)) == []
    node.finish(transfer, b"a")
    assert node.machine.proceed(other.session) == b"*2\r\n+OK\r\n+OK\r\n"


def test_each_waits_for_its_own_key_only() -> None:
    node = Node()
    first = node.begin("a")
    other = node.connect()
    other.send(("MIGRATE", "h", 1, "b", 0, 100))
    second = node.transfers[-1]
    for_a, for_b, for_all = node.connect(), node.connect(), node.connect()
    for_a.send(("GET", "a"))
    for_b.send(("GET", "b"))
    for_all.send(("FLUSHDB",))
    node.finish(first, b"a")
    waits = [client.session.wait is not None for client in (for_a, for_b, for_all)]
    assert waits == [False, True, True]
    node.finish(second, b"b")
    assert all(client.session.wait is None for client in (for_b, for_all))
    assert node.machine.gate.postpone is None


def test_a_pause_and_a_transfer_do_not_end_each_other() -> None:
    node = Node()
    transfer = node.begin("a")
    node.machine.pause.begin("test", PauseMode.WRITE, node.machine.clock.now_ms + 1000)
    writer, reader = node.connect(), node.connect()
    writer.send(("SET", "c", "1"))
    reader.send(("GET", "a"))
    node.finish(transfer, b"a")
    assert reader.session.wait is None
    assert writer.session.wait is not None
    node.machine.pause.end("test")
    assert writer.session.wait is None


def test_the_client_may_go_and_its_keys_travel_on() -> None:
    node = Node()
    client = node.connect()
    client.send(("MIGRATE", "h", 1, "a", 0, 100))
    node.machine.disconnect(client.session)
    node.finish(node.transfers[0], b"a")
    assert node.call("EXISTS", "a") == 0


def test_a_waiting_client_may_go() -> None:
    node = Node()
    transfer = node.begin("a")
    other = node.connect()
    other.send(("GET", "a"))
    node.machine.disconnect(other.session)
    node.finish(transfer, b"a")
    assert node.machine.awake == [node.session]


def test_a_replica_keeps_its_keys() -> None:
    node = Node()
    transfer = node.begin("a")
    node.machine.keyspace.become_replica(True)
    node.finish(transfer, b"a")
    (reply,) = node.take_pushed()
    assert str(reply).startswith("UNBLOCKED")
    assert node.machine.keyspace.database(0).peek(b"a") == b"a"


def test_in_a_transaction_it_is_carried_out_at_once() -> None:
    node = Node()

    def carry(transfer: KeyTransfer) -> None:
        transfer.arrived += transfer.keys

    node.machine.transfers.carry_now = carry
    replies = node.send(("MULTI",), ("MIGRATE", "h", 1, "a", 0, 100), ("GET", "a"), ("EXEC",))
    assert replies[-1] == ["OK", None]
    (batch,) = node.take_batches()
    assert [command.args for command in batch.commands] == [(b"DEL", b"a")]


def test_blocked_clients_are_not_served_from_a_key_under_way() -> None:
    node = Node()
    other = node.connect()
    assert other.send(("BLPOP", "list", 0)) == []
    node.call("SET", "d", 1)
    transfer = node.begin("d")
    node.connect().call("RPUSH", "list", 1)
    assert other.session.wait is not None
    node.finish(transfer, b"d")
    node.tick()
    assert other.session.wait is None


# --- the conversation


def talk(node: Node, selected: int | None = None, **options: object) -> Conversation:
    fields: dict[str, object] = {
        "host": "h",
        "port": 1,
        "database": 3,
        "timeout_ms": 100,
        "keys": [b"a", b"b"],
        "source": node.machine.keyspace.database(0),
    }
    transfer = KeyTransfer(**(fields | options))  # type: ignore[arg-type]
    return Conversation(transfer, selected, asks=False)


def test_login_and_database_come_first() -> None:
    node = Node()
    said = b"".join(talk(node, login=(b"user", b"word")).pieces(compress=True))
    assert said.startswith(encode_command([b"AUTH", b"user", b"word"]))
    assert encode_command([b"SELECT", b"3"]) in said
    again = b"".join(talk(node, 3).pieces(compress=True))
    assert again.startswith(b"*4\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n")


def test_an_error_about_the_login_counts_for_every_key() -> None:
    conversation = talk(Node(), login=(b"word",))
    list(conversation.pieces(compress=True))
    assert conversation.missing == 4
    for line in (b"-WRONGPASS no", b"+OK", b"+OK", b"+OK"):
        conversation.on_line(line)
    transfer = conversation._transfer
    assert transfer.failure == "ERR Target instance replied with error: WRONGPASS no"
    assert transfer.arrived == []
    assert conversation.missing == 0


def test_the_first_error_is_told_and_what_arrived_is_known() -> None:
    conversation = talk(Node(), 3, keys=[b"a", b"b", b"c"])
    list(conversation.pieces(compress=True))
    for line in (b"+OK", b"-BUSYKEY there", b"-OOM full"):
        conversation.on_line(line)
    assert conversation._transfer.arrived == [b"a"]
    assert conversation._transfer.failure == "ERR Target instance replied with error: BUSYKEY there"


def test_lifetimes_are_told_as_what_is_left_of_them() -> None:
    node = Node()
    node.call("PEXPIRE", "a", 5000)
    node.call("PEXPIRE", "b", 10)
    node.advance(1000)
    said = b"".join(talk(node, 3).pieces(compress=True))
    assert b"$1\r\na\r\n$4\r\n4000\r\n" in said
    assert b"$1\r\nb\r\n" not in said
