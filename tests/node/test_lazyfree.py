"""Freeing in pieces: bounded on every tick, complete in the end, never under a reader's feet."""

from collections import deque
from weakref import ref

import pytest

from clustrio.node.lazyfree import (
    LARGE_ELEMENTS,
    LazyFree,
    free_later,
    lazy_free_of,
)
from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.listvalue import ListValue
from clustrio.node.values.setvalue import SetValue
from clustrio.node.values.zsetvalue import ZSetValue

from .harness import MemoryNode


class SlowTimer:
    """A millisecond passes with every look."""

    def __init__(self) -> None:
        self.looks = 0

    def __call__(self) -> int:
        self.looks += 1
        return self.looks * 1_000_000


class Watched:
    """An object that can tell whether it is gone."""

    __slots__ = ("__weakref__", "inside")

    def __init__(self, inside: object = None) -> None:
        self.inside = inside


def large_hash(count: int = LARGE_ELEMENTS) -> HashValue:
    value = HashValue()
    for number in range(count):
        value.put(b"%d" % number, b"v")
    return value


def free_all(garbage: LazyFree) -> int:
    for ticks in range(100_000):
        if not garbage.is_busy:
            return ticks
        garbage()
    raise AssertionError("there is no end to it")


@pytest.mark.parametrize("container", [list, dict, set, deque])
def test_whatever_is_inside_is_freed(container: type) -> None:
    objects = [Watched(Watched([Watched()])) for _ in range(1000)]
    last = ref(objects[-1])
    inner = ref(objects[0].inside)
    value = {watched: watched for watched in objects} if container is dict else container(objects)
    del objects
    garbage = LazyFree(SlowTimer())
    garbage.take_dicts([{b"key": value}])
    del value
    assert free_all(garbage) > 1
    assert last() is None
    assert inner() is None
    assert garbage.pending == 0


def test_a_piece_is_bounded_however_much_waits() -> None:
    for waiting in (0, 10**7):
        timer = SlowTimer()
        garbage = LazyFree(timer)
        garbage.take_value(large_hash())
        garbage.pending += waiting
        before = garbage.pending
        garbage()
        assert garbage.is_busy
        # When it begins, and when the time is up.
        assert timer.looks == 2
        assert garbage.pending < before


def test_what_somebody_reads_stays_whole() -> None:
    value = large_hash()
    slots: list[dict[bytes, object]] = [{b"key": value}, {b"other": b"text"}]
    read_slots, read_value = slots[1], value
    garbage = LazyFree(SlowTimer())
    garbage.take_dicts(slots)
    garbage.take_value(value)
    del value
    free_all(garbage)
    assert len(slots) == 2
    assert read_slots == {b"other": b"text"}
    assert len(read_value) == LARGE_ELEMENTS
    assert read_value.limits.hash_max_listpack_entries == 128


def test_settings_that_values_share_stay_whole() -> None:
    limits = HashValue().limits
    garbage = LazyFree(SlowTimer())
    garbage.take_value(large_hash())
    free_all(garbage)
    assert HashValue().limits is limits
    assert limits.set_max_intset_entries == 512


def test_every_kind_of_value_can_be_taken_apart() -> None:
    members = [b"%d" % number for number in range(LARGE_ELEMENTS)]
    scored = ZSetValue.from_scores(dict(zip(members, map(float, range(5000)), strict=False)))
    scored.put(b"new", 7.5)
    garbage = LazyFree(SlowTimer())
    garbage.take_value(scored)
    garbage.take_value(ListValue(members))
    garbage.take_value(SetValue.from_members(members))
    garbage.take_value(large_hash())
    del scored, members
    free_all(garbage)
    assert garbage.pending == 0


@pytest.mark.parametrize("words", [("DEL", "k"), ("UNLINK", "k"), ("RENAME", "a", "k")])
def test_commands_hand_over_only_large_values(words: tuple[str, ...]) -> None:
    for count, is_handed_over in ((LARGE_ELEMENTS, True), (LARGE_ELEMENTS - 1, False)):
        node = MemoryNode()
        node.call("SET", "a", "1")
        node.session.db.set(b"k", large_hash(count))
        node.call(*words)
        garbage = lazy_free_of(node.machine)
        assert garbage.is_busy is is_handed_over
        assert garbage.pending == (count if is_handed_over else 0)


@pytest.mark.parametrize("name", ["FLUSHDB", "FLUSHALL"])
def test_flushing_hands_over_everything(name: str) -> None:
    node = MemoryNode()
    for number in range(100):
        node.call("SET", number, "v", "PX", 1000)
    node.call(name)
    garbage = lazy_free_of(node.machine)
    assert garbage.pending == 200
    node.call("SET", "new", "v")
    while garbage.is_busy:
        node.tick()
    assert node.call("KEYS", "*") == [b"new"]
    assert garbage.pending == 0


def test_a_machine_has_one_of_it() -> None:
    machine = MemoryNode().machine
    hooks = len(machine.on_tick)
    free_later(machine, b"text")
    assert len(machine.on_tick) == hooks
    assert lazy_free_of(machine) is lazy_free_of(machine)
    assert len(machine.on_tick) == hooks + 1
