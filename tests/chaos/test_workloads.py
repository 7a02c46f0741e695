"""What clients send, and what they understand of the answers."""

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.tools.chaos.client import owners_untrusted
from clustrio.tools.chaos.history import READ, WRITE, Value
from clustrio.tools.chaos.load import probe_keys
from clustrio.tools.chaos.observer import ranges_of
from clustrio.tools.chaos.plan import WORKLOADS, WorkloadPlan
from clustrio.tools.chaos.workloads import (
    Counter,
    Workload,
    read_value,
    sides,
    value_untrusted,
    write_commands,
)
from clustrio.tools.local.shape import slot_ranges
from clustrio.tools.wire import Reply, encode


@pytest.mark.parametrize("kind", WORKLOADS)
def test_elements_are_unique_and_keys_are_given_up(kind: str) -> None:
    workload = Workload(0, WorkloadPlan(kind, keys=2, writes_per_key=5), Counter(), "seed")
    steps = [workload.next_step() for _ in range(200)]
    written = [step.value for step in steps if step.action == WRITE]
    assert len(written) == len(set(map(str, written)))
    assert len(written) + sum(step.action == READ for step in steps) == 200
    by_key: dict[str, int] = {}
    for step in steps:
        if step.action == WRITE:
            by_key[step.key] = by_key.get(step.key, 0) + 1
    assert max(by_key.values()) == 5
    assert by_key.keys() == set(workload.key_names)


def test_a_seed_gives_the_same_steps() -> None:
    one, other = (Workload(0, WorkloadPlan("set"), Counter(), "seed") for _ in range(2))
    assert [one.next_step() for _ in range(50)] == [other.next_step() for _ in range(50)]


def test_both_lists_of_a_transaction_live_in_one_slot() -> None:
    one, other = sides("transaction-0:1")
    assert one != other
    assert key_slot(one.encode()) == key_slot(other.encode())
    commands = write_commands("transaction", "transaction-0:1", 5)
    assert [command[0] for command in commands] == ["MULTI", "RPUSH", "RPUSH", "EXEC"]


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (None, None),
        (b"12", 12),
        (b"-3", -3),
        (b"x", -1),
        (7, 7),
        ([b"1", [b"2"]], [1, [2]]),
        (2.5, -1),
    ],
)
def test_replies_become_numbers(reply: Reply, value: Value) -> None:
    assert value_untrusted(reply) == value


def test_sets_come_in_order() -> None:
    assert read_value("set", [[b"3", b"1"]]) == [1, 3]
    assert read_value("append", [[b"3", b"1"]]) == [3, 1]
    assert read_value("transaction", [b"OK", [[b"1"], [b"1"]]]) == [[1], [1]]


@pytest.mark.parametrize("masters", [1, 3, 5])
def test_each_shard_has_a_probe(masters: int) -> None:
    keys = probe_keys(masters)
    for key, slots in zip(keys, slot_ranges(masters), strict=True):
        assert key_slot(key.encode()) in slots


def test_commands_on_the_wire() -> None:
    assert encode(["SET", "k", 1], [b"GET", "k"]) == (
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\n1\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n"
    )


def test_owners_of_slots() -> None:
    reply: Reply = [
        [0, 5, [b"10.0.0.1", 7000, b"id"], [b"10.0.0.2", 7001, b"id"]],
        [6, 9, [b"", 7002, b"id"]],
        [10, 12, [b"10.0.0.1", 7000, b"id"]],
        b"nonsense",
        [1, 2],
    ]
    assert owners_untrusted(reply, "here") == {
        ("10.0.0.1", 7000): [(0, 5), (10, 12)],
        ("here", 7002): [(6, 9)],
    }
    assert owners_untrusted(b"nonsense", "here") == {}


def test_slots_on_the_move_are_nobodys_range() -> None:
    assert ranges_of(["7", "0-5", "[9->-abc]", "[10-<-def]"]) == ((0, 5), (7, 7))
