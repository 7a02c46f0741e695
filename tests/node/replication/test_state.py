"""A primary and its replicas in memory: what each is sent, and who is refused."""

import pytest

from clustrio.node.pause import PauseMode
from clustrio.node.persistence.status import LogState
from clustrio.node.replication.primary import Peer, PeerState
from clustrio.node.replication.psync import NO_ID
from clustrio.node.replication.replica import LinkState
from clustrio.node.replication.state import Replication

from ..harness import Failure, MemoryClient, MemoryNode


def outbox(client: MemoryClient) -> bytes:
    data = b"".join(client.session.outbox)
    client.session.outbox.clear()
    return data


def attach(node: MemoryNode, port: int = 7001, online: bool = True) -> tuple[MemoryClient, Peer]:
    """A replica that has got its copy."""
    client = node.connect()
    assert client.call("REPLCONF", "listening-port", port) == "OK"
    assert client.call("REPLCONF", "capa", "eof", "capa", "psync2") == "OK"
    client.receive(("PSYNC", "?", "-1"))
    peer = node.machine.replication.peers[-1]
    assert peer.state is PeerState.WAITS_FOR_SNAPSHOT
    if online:
        node.machine.replication.begin_snapshot([peer])
        peer.state = PeerState.MUST_CONFIRM
        client.receive(("REPLCONF", "ACK", 0))
        assert peer.is_online
        outbox(client)
    return client, peer


def info(node: MemoryNode) -> dict[str, str]:
    text = node.call("INFO", "replication").decode()
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


def test_each_command_is_encoded_once_and_shared() -> None:
    node = MemoryNode()
    first, _ = attach(node, 7001)
    second, _ = attach(node, 7002)
    node.call("SET", "k", "v")
    assert first.session.outbox[-1] is second.session.outbox[-1]
    assert b"".join(first.session.outbox).endswith(b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n")
    assert int(info(node)["master_repl_offset"]) == node.machine.replication.offset > 0


def test_the_stream_waits_for_the_end_of_the_copy() -> None:
    node = MemoryNode()
    client, peer = attach(node, online=False)
    node.call("SET", "early", "1")
    node.machine.replication.begin_snapshot([peer])
    identity = node.machine.replication.history.identity
    offset = node.machine.replication.offset
    assert outbox(client) == b"+FULLRESYNC %b %d\r\n" % (identity, offset)
    node.call("SET", "late", "1")
    assert outbox(client) == b""
    peer.state = PeerState.MUST_CONFIRM
    node.call("SET", "later", "1")
    sent = client.receive(("REPLCONF", "ACK", offset)) + outbox(client)
    assert b"early" not in sent
    assert sent.startswith(b"*2\r\n$6\r\nSELECT\r\n")
    assert sent.index(b"late") < sent.index(b"later")
    assert offset + len(sent) == node.machine.replication.offset


def test_a_replica_that_comes_back_gets_just_the_rest() -> None:
    node = MemoryNode()
    client, _ = attach(node)
    node.call("SET", "a", "1")
    seen = node.machine.replication.offset
    node.machine.disconnect(client.session)
    node.call("SET", "b", "2")
    again = node.connect()
    again.call("REPLCONF", "capa", "psync2")
    identity = node.machine.replication.history.identity
    sent = again.receive(("PSYNC", identity, seen + 1)) + outbox(again)
    assert sent == (b"+CONTINUE " + identity + b"\r\n*3\r\n$3\r\nSET\r\n$1\r\nb\r\n$1\r\n2\r\n")


def test_the_history_gets_a_second_name_when_a_replica_becomes_primary() -> None:
    node = MemoryNode()
    replication = node.machine.replication
    replication.follow("10.0.0.1", 7000)
    replication.on_full_copy(b"e" * 40, 1000)
    replication.on_link(LinkState.CONNECTED)
    replication.feed(b"x" * 50)
    assert node.call("ROLE") == [b"slave", b"10.0.0.1", 7000, b"connected", 1050]
    assert node.call("REPLICAOF", "NO", "ONE") == "OK"
    shown = info(node)
    assert shown["master_replid2"] == "e" * 40
    assert shown["second_repl_offset"] == "1051"
    assert shown["master_replid"] not in ("e" * 40, NO_ID.decode())
    sibling = node.connect()
    sent = sibling.receive(("PSYNC", "e" * 40, 1041)) + outbox(sibling)
    assert sent == b"+CONTINUE\r\n" + b"x" * 10


def known(replication: Replication) -> tuple[bool, bool]:
    """Whether the data is said to be of some age, and of the primary."""
    return replication.primary_silence_ms() is not None, replication.is_synced


def test_a_replica_whose_data_made_room_for_a_copy_counts_as_empty() -> None:
    """It must not win an election by an offset that it had, nor lead others on from there."""
    node = MemoryNode()
    replication = node.machine.replication
    replication.follow("10.0.0.1", 7000)
    replication.on_full_copy(b"e" * 40, 1000)
    replication.on_link(LinkState.CONNECTED)
    assert known(replication) == (True, True)
    # A new copy begins to be loaded, and then the primary dies.
    replication.on_link(LinkState.SYNC)
    replication.on_data_dropped()
    for state in (LinkState.SYNC, LinkState.CONNECT, LinkState.CONNECTING):
        replication.on_link(state)
        assert known(replication) == (False, False)
        assert replication.resume_point() is None
    # The next copy is complete.
    replication.on_full_copy(b"f" * 40, 2000)
    replication.on_link(LinkState.CONNECTED)
    assert known(replication) == (True, True)
    # Again, and now it is made a primary by order.
    replication.on_data_dropped()
    assert node.call("REPLICAOF", "NO", "ONE") == "OK"
    assert info(node)["master_replid2"] == NO_ID.decode()
    sibling = node.connect()
    assert not (sibling.receive(("PSYNC", "f" * 40, 2001)) + outbox(sibling)).startswith(b"+CONT")


def test_a_replica_passes_the_bytes_of_its_primary_on_and_no_others() -> None:
    node = MemoryNode(replica_read_only="no")
    replication = node.machine.replication
    replication.follow("10.0.0.1", 7000)
    replication.on_full_copy(b"e" * 40, 0)
    replication.on_link(LinkState.CONNECTED)
    client, _ = attach(node)
    node.call("SET", "local", "1")
    assert outbox(client) == b""
    replication.feed(b"raw")
    assert outbox(client) == b"raw"


@pytest.mark.parametrize(
    ("settings", "is_up", "command", "expected"),
    [
        ({}, True, ("SET", "k", "v"), "READONLY"),
        ({}, True, ("GET", "k"), None),
        ({}, False, ("GET", "k"), None),
        ({"replica_serve_stale_data": "no"}, False, ("GET", "k"), "MASTERDOWN"),
        ({"replica_serve_stale_data": "no"}, True, ("GET", "k"), None),
        ({"replica_serve_stale_data": "no"}, False, ("PING",), "MASTERDOWN"),
        ({"replica_serve_stale_data": "no"}, False, ("INFO", "server"), None),
        ({"replica_read_only": "no"}, True, ("SET", "k", "v"), None),
    ],
)
def test_what_a_replica_refuses(
    settings: dict[str, str], is_up: bool, command: tuple[str, ...], expected: str | None
) -> None:
    node = MemoryNode(**settings)
    node.machine.replication.follow("10.0.0.1", 7000)
    if is_up:
        node.machine.replication.on_link(LinkState.CONNECTED)
    reply = node.call(*command)
    if expected is None:
        assert not isinstance(reply, Failure)
    else:
        assert isinstance(reply, Failure)
        assert reply.startswith(expected)


def test_too_few_good_replicas() -> None:
    node = MemoryNode(min_replicas_to_write=1, min_replicas_max_lag=10)
    assert node.call("SET", "k", "v").startswith("NOREPLICAS")
    attach(node)
    assert node.call("SET", "k", "v") == "OK"
    node.machine.clock.now_ms += 11_000
    assert node.call("SET", "k", "v").startswith("NOREPLICAS")
    assert node.call("GET", "k") == b"v"


def test_wait_is_answered_by_acknowledgements_or_by_time() -> None:
    node = MemoryNode()
    client, _ = attach(node)
    writer = node.connect()
    writer.call("SET", "k", "v")
    offset = node.machine.replication.offset
    assert writer.receive(("WAIT", 1, 1000)) == b""
    assert outbox(client).endswith(b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n")
    client.receive(("REPLCONF", "ACK", offset - 1))
    assert writer.take_pushed() == []
    client.receive(("REPLCONF", "ACK", offset))
    assert writer.take_pushed() == [1]
    assert writer.receive(("WAIT", 2, 1000)) == b""
    node.machine.clock.now_ms += 1001
    node.machine.tick(lambda: True)
    assert len(writer.take_pushed()) == 1


def test_a_failover_waits_for_the_replica_and_gives_up_in_time() -> None:
    node = MemoryNode()
    assert node.call("FAILOVER") == "ERR FAILOVER requires connected replicas."
    client, _ = attach(node)
    node.call("SET", "k", "v")
    assert node.call("FAILOVER", "TIMEOUT", 100) == "OK"
    assert info(node)["master_failover_state"] == "waiting-for-sync"
    assert node.connect().receive(("SET", "k", "w")) == b""
    node.machine.clock.now_ms += 101
    node.machine.tick(lambda: True)
    assert info(node)["master_failover_state"] == "no-failover"
    assert node.call("FAILOVER") == "OK"
    client.receive(("REPLCONF", "ACK", node.machine.replication.offset))
    assert info(node)["master_failover_state"] == "failover-in-progress"
    assert info(node)["role"] == "slave"
    node.machine.replication.failover.on_refused("no")
    assert info(node)["role"] == "master"


def test_the_backlog_goes_when_nobody_wants_it() -> None:
    node = MemoryNode(repl_backlog_ttl=10)
    client, _ = attach(node)
    before = info(node)["master_replid"]
    node.machine.disconnect(client.session)
    node.machine.clock.now_ms += 9_000
    node.machine.tick(lambda: True)
    assert info(node)["repl_backlog_active"] == "1"
    node.machine.clock.now_ms += 2_000
    node.machine.tick(lambda: True)
    assert info(node)["repl_backlog_active"] == "0"
    assert info(node)["master_replid"] != before


@pytest.mark.parametrize("is_observed", [True, False])
@pytest.mark.parametrize(
    "write",
    [
        [("SET", "k", "v")],
        [("INCR", "n")] * 40,
        [("MULTI",), ("SET", "k", "v"), ("EXEC",)],
        [("LPUSH", "l", "1"), ("SORT", "l", "STORE", "m")],
    ],
)
def test_wait_is_about_the_last_write_of_the_client_itself(
    write: list[tuple[str, ...]], is_observed: bool
) -> None:
    node = MemoryNode()
    if not is_observed:
        node.observe(False)
    client, _ = attach(node)
    writer, other = node.connect(), node.connect()
    writer.send(*write)
    offset = node.machine.replication.offset
    assert writer.session.written_offset == offset > 0
    other.call("SET", "later", "1")
    assert node.machine.replication.offset > offset
    client.receive(("REPLCONF", "ACK", offset))
    assert writer.call("WAIT", 1, 0) == 1
    assert other.receive(("WAIT", 1, 0)) == b""
    assert node.connect().call("WAIT", 1, 0) == 1


def test_a_client_that_was_let_go_has_written_what_it_took() -> None:
    node = MemoryNode()
    attach(node)
    waiting = node.connect()
    assert waiting.receive(("BLPOP", "l", 0)) == b""
    node.call("RPUSH", "l", "a")
    assert waiting.session.written_offset == node.machine.replication.offset


def test_a_run_of_commands_is_sent_on_in_its_database() -> None:
    node = MemoryNode()
    node.observe(False)
    client, _ = attach(node)
    writer = node.connect()
    assert not writer.session.gated
    writer.send(*[("SET", f"k{number}", "v") for number in range(40)])
    writer.send(("SELECT", 3), *[("SET", "k", "v")] * 40)
    sent = outbox(client)
    assert (sent.count(b"SELECT"), sent.count(b"SET")) == (2, 80)
    assert sent.index(b"$1\r\n3\r\n") > sent.index(b"k39")


def test_waitaof_waits_for_disks() -> None:
    node = MemoryNode()
    client, _ = attach(node)
    assert node.call("WAITAOF", 2, 0, 0) == "ERR value is out of range, must be between 0 and 1"
    assert node.call("WAITAOF", 1, 0, 0).startswith("ERR WAITAOF cannot be used when numlocal")
    state = node.machine.persistence
    state.log_state, state.log_position = LogState.ON, lambda: 100
    writer = node.connect()
    writer.call("SET", "k", "v")
    offset = node.machine.replication.offset
    assert writer.receive(("WAITAOF", 1, 1, 0)) == b""
    client.receive(("REPLCONF", "ACK", offset))
    state.synced_position = 99
    state.on_log_synced()
    assert writer.take_pushed() == []
    state.synced_position = 100
    state.on_log_synced()
    assert writer.take_pushed() == []
    client.receive(("REPLCONF", "ACK", offset, "FACK", offset - 1))
    assert writer.take_pushed() == []
    client.receive(("REPLCONF", "ACK", offset, "FACK", offset))
    assert writer.take_pushed() == [[1, 1]]
    assert writer.receive(("WAITAOF", 0, 2, 10)) == b""
    node.machine.clock.now_ms += 11
    node.machine.tick(lambda: True)
    assert writer.take_pushed() == [[1, 1]]
    assert writer.receive(("WAITAOF", 1, 2, 0)) == b""
    state.log_state = LogState.OFF
    state.on_log_synced()
    assert writer.take_pushed()[0].startswith("ERR WAITAOF cannot be used when numlocal")
    node.machine.replication.follow("10.0.0.1", 7000)
    assert node.call("WAITAOF", 0, 0, 0).startswith("ERR WAITAOF cannot be used with replica")


def test_a_pause_of_clients_does_not_stop_the_pings() -> None:
    node = MemoryNode(repl_ping_replica_period=1)
    attach(node)
    pause, replication = node.machine.pause, node.machine.replication

    def has_pinged() -> bool:
        before = replication.offset
        node.machine.clock.now_ms += 1500
        node.machine.tick(lambda: True)
        return replication.offset > before

    assert node.call("CLIENT", "PAUSE", 60_000) == "OK"
    assert has_pinged()
    pause.begin("failover", PauseMode.WRITE, 1 << 60)
    assert not has_pinged()
    pause.end("failover")
    assert has_pinged()


def test_what_waits_for_the_end_of_a_copy_is_limited_softly_too() -> None:
    node = MemoryNode()
    assert node.call("CONFIG", "SET", "client-output-buffer-limit", "replica 0 100 2") == "OK"
    client, peer = attach(node, online=False)
    node.machine.replication.begin_snapshot([peer])
    outbox(client)
    node.call("SET", "k", "v" * 200)
    for _ in range(3):
        assert not client.session.close_now
        node.machine.clock.now_ms += 1000
        node.machine.tick(lambda: True)
    node.machine.clock.now_ms += 1000
    node.machine.tick(lambda: True)
    assert client.session.close_now


def test_staleness_is_looked_at_after_subscriptions() -> None:
    node = MemoryNode(replica_serve_stale_data="no")
    node.machine.replication.follow("10.0.0.1", 7000)
    client = node.connect()
    client.receive(("SUBSCRIBE", "c"))
    assert client.call("GET", "k").startswith("ERR Can't execute 'get'")
    assert node.call("GET", "k").startswith("MASTERDOWN")
    assert node.call("SET", "k", "v").startswith("READONLY")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), (False, True)),
        (("rdb-filter-only", "functions"), (True, True)),
        (("rdb-filter-only", ""), (True, False)),
    ],
)
def test_a_filtered_snapshot(words: tuple[str, ...], expected: tuple[bool, bool]) -> None:
    node = MemoryNode()
    client = node.connect()
    if words:
        assert client.call("REPLCONF", *words) == "OK"
        refusal = client.call("PSYNC", "?", "-1")
        assert refusal == "ERR Filtered replica requires EOF capability"
    client.call("REPLCONF", "capa", "eof")
    client.receive(("PSYNC", "?", "-1"))
    assert node.machine.replication.peers[-1].wanted == expected
    failure = node.call("REPLCONF", "rdb-filter-only", "keys")
    assert failure == "ERR Unsupported rdb-filter-only option: keys"


FACTS = {b"repl-id": b"a" * 40, b"repl-offset": b"1000", b"repl-stream-db": b"3"}


def test_a_replica_goes_on_where_its_snapshot_ends() -> None:
    node = MemoryNode(replicaof="10.0.0.1 7000")
    replication = node.machine.replication
    replication.restore(FACTS, is_whole=True)
    replication.follow("10.0.0.1", 7000)
    assert replication.resume_point() == (b"a" * 40, 1001)
    assert replication.stream_database == 3
    assert node.machine.persistence.replication_facts() is None
    replication.on_continue(None)
    replication.on_link(LinkState.CONNECTED)
    assert node.machine.persistence.replication_facts() == (b"a" * 40, 1000, 3)


def test_a_primary_that_was_started_again_serves_the_replicas_that_it_had() -> None:
    node = MemoryNode()
    replication = node.machine.replication
    replication.restore(FACTS, is_whole=True)
    replica = node.connect()
    replica.call("REPLCONF", "capa", "psync2")
    sent = replica.receive(("PSYNC", b"a" * 40, 1001)) + outbox(replica)
    assert sent == b"+CONTINUE " + replication.history.identity + b"\r\n"
    assert replication.history.identity != b"a" * 40
    node.call("SET", "k", "v")
    assert outbox(replica).startswith(b"*2\r\n$6\r\nSELECT")


def test_an_old_primary_that_was_started_again_follows_under_its_old_name() -> None:
    for is_touched in (False, True):
        node = MemoryNode()
        replication = node.machine.replication
        replication.restore(FACTS, is_whole=True)
        if is_touched:
            node.call("SET", "k", "v")
        replication.follow("10.0.0.1", 7000)
        point = replication.resume_point()
        assert point is not None
        assert (point == (b"a" * 40, 1001)) is not is_touched


def test_a_snapshot_that_was_not_loaded_whole_begins_a_history_of_its_own() -> None:
    node = MemoryNode()
    node.machine.replication.restore(FACTS, is_whole=False)
    assert node.machine.replication.offset == 0
    assert node.machine.replication.history.second_identity == NO_ID
