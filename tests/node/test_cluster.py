"""The cluster side of a node, as its clients meet it."""

from clustrio.slots.hashing import key_slot

from .clustered import node_serving
from .harness import Failure


def test_a_transaction_that_is_sent_away_is_over() -> None:
    """Else the client could never begin another one on this connection."""
    slot = key_slot(b"a")
    node = node_serving([slot, key_slot(b"b")])
    node.observe(False)
    node.call("MULTI")
    assert node.call("RPUSH", "a", "1") == "QUEUED"
    assert node.call("CLUSTER", "INFO")  # queued, too: it does not matter
    assert node.machine.cluster is not None
    other = node.machine.connect("127.0.0.1:9", "127.0.0.1:6379")
    gone = b"*3\r\n$7\r\nCLUSTER\r\n$8\r\nDELSLOTS\r\n$%d\r\n%d\r\n" % (len(str(slot)), slot)
    assert node.machine.receive(other, gone) == b"+OK\r\n"
    refused = node.call("EXEC")
    assert isinstance(refused, Failure)
    assert refused.startswith("CLUSTERDOWN")
    assert node.call("MULTI") == "OK"
    assert node.call("DISCARD") == "OK"
