"""What many clients sent in one pass comes to the same together as one by one."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from clustrio.node import crowds as crowds_module
from clustrio.node.batches import Replies
from clustrio.node.requests import Parcel
from clustrio.node.resp.alike import Requests
from clustrio.node.session import Session
from clustrio.slots.hashing import SLOT_COUNT

from ..support.raw import encode_command
from .harness import MemoryClient, MemoryNode, as_bytes
from .test_lean_tables import books, filled, node_with

_REQUESTS = [
    *("GET k", "SET k w", "INCR k", "DECR k", "APPEND k w", "GETDEL k", "DEL k", "EXISTS k k"),
    *("MGET k k k", "MSET k w k w", "STRLEN k", "TTL k", "PEXPIRE k 20", "TYPE k", "Get k"),
    *("LPUSH k w", "RPOP k", "LRANGE k 0 -1", "HSET k w w", "HGET k w", "SADD k w", "XLEN k"),
    *("ZADD k 1 w", "ZPOPMIN k", "PING", "ECHO w", "DBSIZE", "SELECT 0", "ASKING", "NOPE k"),
    *("MULTI", "EXEC", "DISCARD", "WATCH k", "RESET", "CLIENT REPLY SKIP", "HELLO 3", "HELLO 2"),
    *("BLPOP k 0.01", "BZPOPMIN k 0.01", "GET", "SET k", "INCR k w", "CLIENT REPLY ON"),
    *("SUBSCRIBE w", "PUBLISH w w", "CLIENT TRACKING ON", "CLIENT TRACKING OFF", "READONLY"),
]

_CLIENTS = 6
_EVEN = range(0, SLOT_COUNT, 2)


def run_together(node: MemoryNode, parcels: list[Parcel]) -> tuple[dict[Session, bytes], list[int]]:
    """As the data plane does it: what each session heard, and who was left over, by number."""
    machine = node.machine
    held: list[Parcel] = []
    rest = machine.run_crowd(parcels, held)
    held += [(session, machine.receive(session, data)) for session, data in rest]
    heard = dict(held)
    assert len(heard) == len(held), "one chunk, one reply"
    return heard, [parcels.index(parcel) for parcel in rest]


def proceed(node: MemoryNode, heard: dict[Session, bytes]) -> None:
    """What sessions get besides, added to what they heard."""
    machine = node.machine
    while machine.awake:
        awake, machine.awake = machine.awake, []
        for session in awake:
            heard[session] = heard.get(session, b"") + machine.proceed(session)


def clients_of(node: MemoryNode) -> list[MemoryClient]:
    return [node, *[node.connect() for _ in range(_CLIENTS - 1)]]


def chunks_of(random: Random, longest: int) -> list[bytes]:
    """Requests for each client, often the same command; now and then one that is odd."""
    chunks: list[bytes] = []
    # Who listens or has left a transaction open is out of the crowd until then.
    pattern = random.choice(_REQUESTS) if random.randrange(6) else "RESET"
    count = random.randint(1, longest)
    is_mixed = longest == 1 or not random.randrange(3)
    for _ in range(_CLIENTS):
        chunk = b""
        for _ in range(count if random.randrange(3) else random.randint(1, longest)):
            if is_mixed and not random.randrange(3):
                pattern = random.choice(_REQUESTS)
            chunk += encode_command([as_bytes(word) for word in filled(random, pattern)])
        chunks.append(chunk)
    if not random.randrange(30):
        chunks[2] *= 2
    if not random.randrange(30):
        chunks[3] = chunks[3][:-5]
    return chunks


def replies_in(heard: dict[Session, bytes], clients: list[MemoryClient]) -> list[bytes]:
    # Pushed messages may come before a reply or after it.
    return [b"\n".join(sorted(heard.get(each.session, b"").split(b"\n"))) for each in clients]


@pytest.mark.parametrize("observers", ["", "feed", "recorder misses"])
@pytest.mark.parametrize("slots", [None, _EVEN, range(SLOT_COUNT)], ids=["alone", "half", "all"])
@pytest.mark.parametrize("longest", [1, 12])
def test_together_and_one_by_one_agree(
    observers: str,
    slots: Sequence[int] | None,
    longest: int,
    seed: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crowds_module, "CROWDS_LEFT_ALONE", 2)
    random = Random(f"{seed} {observers} {slots} {longest}")
    crowd, single = node_with(observers, slots), node_with(observers, slots)
    crowds, singles = clients_of(crowd), clients_of(single)
    together = 0
    for _ in range(400 // longest + 80):
        chunks = chunks_of(random, longest)
        parcels = [(each.session, data) for each, data in zip(crowds, chunks, strict=True)]
        heard, left_over = run_together(crowd, parcels)
        together += len(parcels) - len(left_over)
        # All that is not quick comes after what is.
        quick = [number for number in range(_CLIENTS) if number not in left_over]
        expected: dict[Session, bytes] = {}
        for number in quick + left_over:
            session = singles[number].session
            expected[session] = single.machine.receive(session, chunks[number])
        proceed(crowd, heard)
        proceed(single, expected)
        assert replies_in(heard, crowds) == replies_in(expected, singles), chunks
        assert books(crowd) == books(single), chunks
        for node in (crowd, single):
            node.advance(7)
            node.tick()
    assert together > 60


def test_a_crowd_with_one_command_is_booked_as_such() -> None:
    node = node_with("", None)
    clients = clients_of(node)
    parcels = [(each.session, encode_command([b"SET", b"k", b"v"])) for each in clients]
    heard, left_over = run_together(node, parcels)
    assert list(heard.values()) == [b"+OK\r\n"] * _CLIENTS
    assert not left_over
    command = node.machine.gate.commands[b"SET"]
    assert command.statistics.calls == _CLIENTS
    assert command.statistics.nanoseconds > 0
    for client in clients:
        assert client.session.last_command is command
        assert client.session.input_bytes == len(parcels[0][1])


def test_pipelines_of_one_command_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_with("", None)
    clients = clients_of(node)
    command = node.machine.gate.commands[b"INCR"]
    runs: list[int] = []
    batch = command.batch
    assert batch is not None

    def noted(session: Session, requests: list[list[bytes]]) -> "Replies[Any] | None":
        runs.append(len(requests))
        return batch(session, requests)

    monkeypatch.setattr(command, "batch", noted)
    incr = encode_command([b"INCR", b"k"])
    parcels = [(each.session, incr * (1 + number)) for number, each in enumerate(clients)]
    heard, left_over = run_together(node, parcels)
    assert not left_over
    assert runs == [21]
    assert heard[clients[2].session] == b":4\r\n:5\r\n:6\r\n"
    assert command.statistics.calls == 21
    other = clients[3]
    other.call("SELECT", 1)
    assert run_together(node, parcels)[0][other.session] == b":1\r\n:2\r\n:3\r\n:4\r\n"
    assert node.call("GET", "k") == b"38"


def test_a_pipeline_that_only_reads_forgets_nobodys_writes() -> None:
    """WAIT asks for what its own client wrote last, whoever else was in the crowd."""
    node = node_with("feed", None)
    clients = clients_of(node)
    writer = clients[-1]
    writer.session.written_offset = 77
    get = encode_command([b"GET", b"k"])
    run_together(node, [(each.session, get * 6) for each in clients])
    assert writer.session.written_offset == 77
    assert clients[0].session.written_offset == 0


def test_a_bug_in_a_batch_costs_its_crowd_the_connections() -> None:
    node = node_with("", None)
    clients = clients_of(node)
    failures: list[str] = []
    node.log.exception = lambda text, failure: failures.append(text)  # type: ignore[method-assign]

    def broken(session: Session, requests: Requests) -> "Replies[Any] | None":
        raise ZeroDivisionError

    node.machine.gate.commands[b"GET"].batch = broken
    get = encode_command([b"GET", b"k"])
    heard, left_over = run_together(node, [(each.session, get * 6) for each in clients])
    assert not left_over
    for client in clients:
        assert heard[client.session].startswith(b"-ERR ")
        assert client.session.close_after_reply
    assert len(failures) == 1


def test_after_odd_requests_crowds_are_left_alone_for_a_while() -> None:
    node = node_with("", None)
    clients = clients_of(node)
    ping = encode_command([b"PING"])
    odd = [(each.session, b"PING\r\n") for each in clients]
    assert run_together(node, odd)[1] == [*range(_CLIENTS)]
    singles = [(each.session, ping) for each in clients]
    turns = [len(run_together(node, singles)[1]) for _ in range(200)]
    assert turns == sorted(turns, reverse=True)
    assert turns[0] == _CLIENTS
    assert turns[-1] == 0
