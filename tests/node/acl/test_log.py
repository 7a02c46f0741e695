"""The log of refusals: what is one entry, and how many there are."""

from clustrio.node.acl.denials import Reason
from clustrio.node.acl.log import AclLog


def add(log: AclLog, subject: bytes, now_ms: int, maximum: int = 100, user: bytes = b"a") -> None:
    log.add(Reason.KEY, b"toplevel", subject, user, b"id=%d" % now_ms, now_ms, maximum)


def test_alike_refusals_within_a_minute_are_one_entry() -> None:
    log = AclLog()
    add(log, b"x", 1_000)
    add(log, b"y", 2_000)
    add(log, b"x", 61_000)
    entries = list(log.newest(10))
    assert [(entry.subject, entry.count, entry.id) for entry in entries] == [
        (b"x", 2, 0),
        (b"y", 1, 1),
    ]
    assert (entries[0].created_ms, entries[0].updated_ms) == (1_000, 61_000)
    assert entries[0].client == b"id=61000"
    add(log, b"x", 121_001)
    add(log, b"x", 121_001, user=b"b")
    assert [entry.count for entry in log.newest(10)] == [1, 1, 2, 1]
    assert log.totals[Reason.KEY] == 5


def test_the_oldest_go_and_only_ten_are_looked_through() -> None:
    log = AclLog()
    for number in range(11):
        add(log, b"%d" % number, 0)
    add(log, b"0", 0)
    assert len(log) == 12
    add(log, b"new", 0, maximum=3)
    assert [entry.subject for entry in log.newest(10)] == [b"new", b"0", b"10"]
    add(log, b"newer", 0, maximum=0)
    assert len(log) == 0
