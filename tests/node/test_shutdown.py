"""SHUTDOWN waits for replicas: until they have everything, for a while, or not at all."""

from .harness import MemoryClient, MemoryNode
from .replication.test_state import attach


def ending_node(**settings: str) -> tuple[MemoryNode, MemoryClient, list[int]]:
    """A node that notes its end, and a replica of it that lags."""
    node = MemoryNode(save='""', **settings)
    ends: list[int] = []
    node.machine.on_shutdown = ends.append
    node.machine.persistence.prepare_shutdown = lambda save, force: True
    replica, _ = attach(node)
    node.call("SET", "k", "v")
    return node, replica, ends


def pass_time(node: MemoryNode, milliseconds: int) -> None:
    node.machine.clock.now_ms += milliseconds
    node.machine.tick(lambda: True)


def test_the_end_waits_until_the_replica_has_everything() -> None:
    node, replica, ends = ending_node()
    offset = node.machine.replication.offset
    operator, writer = node.connect(), node.connect()
    assert operator.receive(("SHUTDOWN",)) == b""
    assert writer.receive(("SET", "k", "w")) == b""
    assert node.call("GET", "k") == b"v"
    pass_time(node, 5_000)
    assert ends == []
    replica.receive(("REPLCONF", "ACK", offset))
    assert ends == [0]
    assert writer.take_pushed() == []


def test_the_end_comes_when_time_is_over() -> None:
    node, _, ends = ending_node(shutdown_timeout="10")
    node.connect().receive(("SHUTDOWN", "SAVE"))
    pass_time(node, 9_000)
    assert ends == []
    pass_time(node, 1_001)
    assert ends == [0]


def test_it_need_not_wait() -> None:
    node, _, ends = ending_node()
    node.connect().receive(("SHUTDOWN", "NOW"))
    assert ends == [0]
    node, _, ends = ending_node(shutdown_timeout="0")
    node.connect().receive(("SHUTDOWN",))
    assert ends == [0]
    node, replica, ends = ending_node()
    replica.receive(("REPLCONF", "ACK", node.machine.replication.offset))
    node.connect().receive(("SHUTDOWN",))
    assert ends == [0]


def test_it_can_be_called_off() -> None:
    node, _, ends = ending_node()
    assert node.call("SHUTDOWN", "ABORT") == "ERR No shutdown in progress."
    operator, writer = node.connect(), node.connect()
    operator.receive(("SHUTDOWN",))
    writer.receive(("SET", "k", "w"))
    assert node.call("SHUTDOWN", "ABORT") == "OK"
    assert operator.take_pushed() == ["ERR Errors trying to SHUTDOWN. Check logs."]
    assert writer.machine.proceed(writer.session) == b"+OK\r\n"
    pass_time(node, 60_000)
    assert ends == []
    assert node.call("SHUTDOWN", "NOW", "ABORT") == "ERR syntax error"


def test_in_a_transaction_nothing_can_wait_for_the_end() -> None:
    node, _, ends = ending_node()
    node.call("MULTI")
    assert node.call("SHUTDOWN").startswith("ERR Command not allowed inside a transaction")
    assert ends == []


def test_a_failure_to_save_lets_the_node_live_on() -> None:
    node, replica, ends = ending_node()
    node.machine.persistence.prepare_shutdown = lambda save, force: False
    operator = node.connect()
    operator.receive(("SHUTDOWN",))
    replica.receive(("REPLCONF", "ACK", node.machine.replication.offset))
    assert operator.take_pushed() == ["ERR Errors trying to SHUTDOWN. Check logs."]
    assert ends == []
    assert node.call("SET", "k", "w") == "OK"
