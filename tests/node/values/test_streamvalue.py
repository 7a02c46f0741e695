"""Streams against a naive model and, for their nodes and counters, against the real server."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.limits import CollectionLimits
from clustrio.node.values.streamentries import Entry, Fields, StreamId, radix_tree_nodes
from clustrio.node.values.streamgroups import NEVER_ACTIVE
from clustrio.node.values.streamvalue import (
    LARGEST_ID,
    ZERO_ID,
    StreamValue,
    maybe_id_after,
    maybe_id_before,
)

from .conftest import Oracle


def text(entry_id: StreamId) -> bytes:
    return b"%d-%d" % entry_id


def random_fields(rng: Random) -> Fields:
    kind = rng.randrange(6)
    if kind == 0:
        return (b"other", b"1", b"fields", bytes(range(256)))
    if kind == 1:
        return (b"f", b"%d" % rng.randrange(-(10**6), 10**12))
    return (b"name", b"x" * rng.randrange(90), b"count", b"%d" % rng.randrange(300))


def check(value: StreamValue, model: list[Entry], rng: Random) -> None:
    assert len(value) == value.length == len(model)
    assert list(value) == model
    assert value.first_id == (model[0][0] if model else ZERO_ID)
    assert value.maybe_last_entry_id() == (model[-1][0] if model else None)
    for _ in range(3):
        start = (rng.randrange(30), rng.randrange(4))
        end = (rng.randrange(30), rng.randrange(4))
        count = rng.randrange(5)
        expected = [entry for entry in model if start <= entry[0] <= end]
        assert value.range(start, end, count) == (expected[:count] if count else expected)
        expected.reverse()
        assert value.reversed_range(end, start, count) == (expected[:count] if count else expected)
        assert value.has_entry(start) == any(entry[0] == start for entry in model)
        assert value.maybe_entry(start) == dict(model).get(start)


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_entries_are_those_of_a_naive_model(seed: int, node_entries: int) -> None:
    rng = Random(seed)
    value = StreamValue(CollectionLimits(stream_node_max_entries=node_entries))
    model: list[Entry] = []
    last = ZERO_ID
    deleted = ZERO_ID
    for turn in range(60):
        action = rng.randrange(10)
        if action < 6:
            last = (last[0] + 1, 0) if rng.random() < 0.3 else (last[0], last[1] + 1)
            fields = random_fields(rng)
            value.append(last, fields)
            model.append((last, fields))
        elif action < 8:
            entry_id = rng.choice(model)[0] if model and rng.random() < 0.8 else (99, 9)
            exists = any(known == entry_id for known, _ in model)
            assert value.delete(entry_id) == exists
            if exists:
                deleted = max(deleted, entry_id)
            model = [entry for entry in model if entry[0] != entry_id]
        elif action == 8:
            longest = rng.randrange(len(model) + 3)
            gone = max(len(model) - longest, 0)
            assert value.trim_to_length(longest, False) == gone
            model = model[gone:]
        else:
            lowest = (rng.randrange(last[0] + 1), rng.randrange(5))
            kept = [entry for entry in model if entry[0] >= lowest]
            assert value.trim_below(lowest, False) == len(model) - len(kept)
            model = kept
        if turn % 5 == 0:
            check(value, model, rng)
    check(value, model, rng)
    assert value.last_id == last
    assert value.max_deleted_id == deleted
    other = value.copy()
    other.append((1000, 0), (b"a", b"b"))
    other.trim_to_length(0, False)
    check(value, model, rng)


def test_the_ids_around_an_id() -> None:
    assert maybe_id_after((1, 2)) == (1, 3)
    assert maybe_id_after((1, 2**64 - 1)) == (2, 0)
    assert maybe_id_after(LARGEST_ID) is None
    assert maybe_id_before((1, 0)) == (0, 2**64 - 1)
    assert maybe_id_before(ZERO_ID) is None
    value = StreamValue()
    assert value.maybe_next_id(5) == (5, 0)
    value.append((5, 0), (b"a", b"b"))
    assert value.maybe_next_id(5) == value.maybe_next_id(4) == (5, 1)
    value.append(LARGEST_ID, (b"a", b"b"))
    assert value.maybe_next_id(7) is None
    assert value.range(ZERO_ID, LARGEST_ID) == [((5, 0), (b"a", b"b")), (LARGEST_ID, (b"a", b"b"))]


@pytest.mark.parametrize(
    ("node_bytes", "node_entries"), [(4096, 100), (0, 0), (200, 0), (900, 200)]
)
def test_a_run_of_entries_is_like_one_after_the_other(
    seed: int, node_bytes: int, node_entries: int
) -> None:
    rng = Random(f"{seed} run {node_bytes}")
    limits = CollectionLimits(
        stream_node_max_bytes=node_bytes, stream_node_max_entries=node_entries
    )
    together, apart = StreamValue(limits), StreamValue(limits)
    milliseconds = 1
    for _ in range(40):
        milliseconds += rng.choice([0, 1, 5000])
        first = together.maybe_next_id(milliseconds)
        assert first is not None
        rows: list[Fields] = [
            (b"field", b"%d" % rng.randrange(1 << rng.randrange(1, 40)))
            for _ in range(rng.randrange(1, 90))
        ]
        if not rng.randrange(3):
            rows[rng.randrange(len(rows))] = random_fields(rng)
        together.append_run(first, rows)
        for number, fields in enumerate(rows):
            apart.append((first[0], first[1] + number), fields)
        if not rng.randrange(4):
            victim = rng.choice(apart.range(ZERO_ID, LARGEST_ID))[0]
            assert together.delete(victim) == apart.delete(victim)
        assert together.range(ZERO_ID, LARGEST_ID) == apart.range(ZERO_ID, LARGEST_ID)
        for value in ("last_id", "first_id", "entries_added", "length"):
            assert getattr(together, value) == getattr(apart, value)
        shapes = [
            [(len(node), node.listpack_bytes, node.last_id) for node in value._nodes]
            for value in (together, apart)
        ]
        assert shapes[0] == shapes[1]


@pytest.mark.redis_server
@pytest.mark.parametrize("node_bytes", [0, 300, 4096])
def test_nodes_end_and_trimming_stops_where_they_do_in_redis(
    oracle: Oracle, seed: int, node_bytes: int
) -> None:
    """Approximate trimming removes whole nodes: what is left tells where they ended."""
    rng = Random(f"{seed} nodes {node_bytes}")
    limits = CollectionLimits(stream_node_max_bytes=node_bytes, stream_node_max_entries=70)
    oracle("CONFIG", "SET", "stream-node-max-bytes", node_bytes)
    oracle("CONFIG", "SET", "stream-node-max-entries", 70)
    oracle("DEL", "s")
    value = StreamValue(limits)
    last = ZERO_ID
    for _ in range(25):
        commands: list[tuple[bytes | str | int, ...]] = []
        for _ in range(rng.randrange(100)):
            last = (last[0] + rng.choice([0, 0, 1, 1000]), last[1] + rng.randrange(1, 300))
            fields = random_fields(rng)
            value.append(last, fields)
            commands.append(("XADD", "s", text(last), *fields))
        oracle.pipeline(commands)
        for _ in range(rng.randrange(20)):
            victims = value.range((rng.randrange(last[0] + 1), 0), LARGEST_ID, 1)
            if victims:
                assert oracle("XDEL", "s", text(victims[0][0])) == 1
                assert value.delete(victims[0][0])
        if value.length:
            compare_trim(oracle, value, rng, last)
            compare_info(oracle, value)
    oracle("CONFIG", "SET", "stream-node-max-bytes", 4096)
    oracle("CONFIG", "SET", "stream-node-max-entries", 100)


def compare_trim(oracle: Oracle, value: StreamValue, rng: Random, last: StreamId) -> None:
    is_approximate = rng.random() < 0.8
    limit = rng.choice([0, 50, 100]) if is_approximate else 0
    sign = "~" if is_approximate else "="
    words = ("LIMIT", limit) if is_approximate else ()
    if rng.random() < 0.5:
        longest = rng.randrange(value.length + 1)
        reply = oracle("XTRIM", "s", "MAXLEN", sign, longest, *words)
        assert value.trim_to_length(longest, is_approximate, limit) == reply
    else:
        lowest = (rng.randrange(last[0] // 2 + 1), 0)
        reply = oracle("XTRIM", "s", "MINID", sign, text(lowest), *words)
        assert value.trim_below(lowest, is_approximate, limit) == reply


def compare_info(oracle: Oracle, value: StreamValue) -> None:
    reply = oracle("XINFO", "STREAM", "s")
    assert isinstance(reply, list)
    info = dict(zip(reply[::2], reply[1::2], strict=True))
    assert info[b"length"] == value.length
    assert info[b"radix-tree-keys"] == value.radix_tree_keys
    assert info[b"radix-tree-nodes"] == value.radix_tree_nodes
    assert info[b"last-generated-id"] == text(value.last_id)
    assert info[b"max-deleted-entry-id"] == text(value.max_deleted_id)
    assert info[b"entries-added"] == value.entries_added
    assert info[b"recorded-first-entry-id"] == text(value.first_id)


@pytest.mark.redis_server
def test_the_radix_tree_has_as_many_nodes_as_in_redis(oracle: Oracle, seed: int) -> None:
    rng = Random(f"{seed} tree")
    oracle("CONFIG", "SET", "stream-node-max-entries", 1)
    for turn in range(60):
        # Few different bytes make keys that part, and stay together, at every depth.
        alphabet = bytes([1] * (1 + turn % 3) + [0] * (turn % 7))
        keys = {bytes(rng.choices(alphabet, k=16)) for _ in range(rng.randrange(1, 30))}
        ids = [
            (int.from_bytes(key[:8], "big"), int.from_bytes(key[8:], "big"))
            for key in sorted(keys - {bytes(16)})
        ]
        if not ids:
            continue
        oracle("DEL", "s")
        oracle.pipeline([("XADD", "s", text(entry_id), "f", "v") for entry_id in ids])
        reply = oracle("XINFO", "STREAM", "s")
        assert isinstance(reply, list)
        info = dict(zip(reply[::2], reply[1::2], strict=True))
        assert info[b"radix-tree-nodes"] == radix_tree_nodes(ids), ids
    oracle("CONFIG", "SET", "stream-node-max-entries", 100)


def test_an_empty_radix_tree_has_its_root() -> None:
    assert radix_tree_nodes([]) == 1
    assert radix_tree_nodes([(1, 1)]) == 2


def stream_of(count: int) -> StreamValue:
    value = StreamValue()
    for number in range(1, count + 1):
        value.append((number, 0), (b"f", b"%d" % number))
    return value


def test_a_group_counts_what_it_reads() -> None:
    value = stream_of(5)
    group = value.create_group(b"g", ZERO_ID, None)
    assert group is not None
    assert value.create_group(b"g", ZERO_ID, None) is None
    assert value.maybe_lag(group) == 5
    assert value.advance(group, (1, 0))
    assert not value.advance(group, (1, 0))
    assert (group.entries_read, value.maybe_lag(group)) == (1, 4)
    assert value.advance(group, (2, 0))
    assert (group.entries_read, value.maybe_lag(group)) == (2, 3)
    value.delete((4, 0))
    assert value.maybe_lag(group) is None
    assert value.advance(group, (3, 0))
    unknown = group.entries_read
    assert unknown is None
    assert value.advance(group, (5, 0))
    assert group.entries_read == 5
    assert value.maybe_lag(group) == 0


def test_a_deletion_before_the_first_entry_does_not_hide_the_lag() -> None:
    value = stream_of(5)
    group = value.create_group(b"g", (1, 0), 1)
    assert group is not None
    value.delete((1, 0))
    assert value.maybe_lag(group) == 4
    group.entries_read = 2
    assert value.maybe_lag(group) == 3
    group.entries_read = None
    assert value.maybe_lag(group) == 4
    value.delete((3, 0))
    assert value.maybe_lag(group) is None


def test_the_lag_of_groups_in_odd_places() -> None:
    value = stream_of(5)
    assert StreamValue().create_group(b"g", ZERO_ID, None) is not None
    middle = value.create_group(b"middle", (3, 0), None)
    future = value.create_group(b"future", (9, 0), None)
    end = value.create_group(b"end", (5, 0), None)
    assert middle is not None
    assert future is not None
    assert end is not None
    assert [value.maybe_lag(group) for group in (middle, future, end)] == [None, None, 0]
    value.trim_to_length(2, False)
    assert value.maybe_lag(middle) == 2
    value.trim_to_length(0, False)
    assert [value.maybe_lag(group) for group in (middle, end)] == [0, 0]
    empty = StreamValue()
    group = empty.create_group(b"g", ZERO_ID, None)
    assert group is not None
    assert empty.maybe_lag(group) == 0


def test_a_delivered_entry_is_pending_until_it_is_acknowledged() -> None:
    value = stream_of(3)
    group = value.create_group(b"g", ZERO_ID, None)
    assert group is not None
    ann = group.create_consumer(b"ann", 10)
    bob = group.create_consumer(b"bob", 11)
    assert ann is not None
    assert bob is not None
    assert group.create_consumer(b"ann", 12) is None
    assert ann.active_time_ms == NEVER_ACTIVE
    group.deliver((1, 0), ann, 20)
    group.deliver((3, 0), ann, 20)
    pending = group.deliver((2, 0), bob, 21)
    pending.delivery_count = 7
    assert [entry_id for entry_id, _ in group.pending.items()] == [(1, 0), (2, 0), (3, 0)]
    assert [entry_id for entry_id, _ in group.pending.items((1, 1), (2, 9))] == [(2, 0)]
    assert (ann.pending.maybe_first(), ann.pending.maybe_last()) == ((1, 0), (3, 0))
    group.assign((2, 0), pending, ann)
    assert pending.delivery_count == 7
    assert (len(ann.pending), len(bob.pending)) == (3, 0)
    assert group.deliver((2, 0), bob, 30) is pending
    assert (pending.consumer, pending.delivery_count, pending.delivered_at_ms) == (bob, 1, 30)
    assert (len(ann.pending), len(bob.pending)) == (2, 1)
    other = value.copy().groups[b"g"]
    assert group.acknowledge((1, 0))
    assert not group.acknowledge((1, 0))
    assert (len(group.pending), len(ann.pending)) == (2, 1)
    assert group.delete_consumer(b"ann") == 1
    assert group.delete_consumer(b"ann") is None
    assert [entry_id for entry_id, _ in group.pending.items()] == [(2, 0)]
    assert [consumer.name for consumer in other.sorted_consumers()] == [b"ann", b"bob"]
    assert [(entry_id, kept.consumer.name) for entry_id, kept in other.pending.items()] == [
        ((1, 0), b"ann"),
        ((2, 0), b"bob"),
        ((3, 0), b"ann"),
    ]


def test_pending_entries_stay_in_order(seed: int) -> None:
    rng = Random(f"{seed} pending")
    value = StreamValue()
    group = value.create_group(b"g", ZERO_ID, None)
    assert group is not None
    consumer = group.create_consumer(b"c", 0)
    assert consumer is not None
    model: set[StreamId] = set()
    for _ in range(2000):
        entry_id = (rng.randrange(400), 0)
        if rng.random() < 0.5:
            assert group.acknowledge(entry_id) == (entry_id in model)
            model.discard(entry_id)
        else:
            group.deliver(entry_id, consumer, 0)
            model.add(entry_id)
    assert [entry_id for entry_id, _ in group.pending.items()] == sorted(model)
    assert [entry_id for entry_id, _ in consumer.pending.items()] == sorted(model)
    for entry_id in sorted(model)[3:]:
        group.acknowledge(entry_id)
    assert len(group.pending._ids) <= 2 * 3 + 65
    assert group.pending.maybe_last() == sorted(model)[2]


def test_the_estimate_counts_groups_and_pending_entries() -> None:
    value = stream_of(1000)
    before = value.estimate_bytes(5)
    group = value.create_group(b"g", ZERO_ID, None)
    assert group is not None
    consumer = group.create_consumer(b"c", 0)
    assert consumer is not None
    group.deliver((1, 0), consumer, 0)
    assert value.estimate_bytes(5) > before + 300
    assert before > StreamValue().estimate_bytes(5) + 1000 * 20
