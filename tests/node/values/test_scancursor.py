"""The cursor law: what is there during a whole scan is returned, whatever else comes and goes."""

from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.node.values.hashvalue import HashValue
from clustrio.node.values.scancursor import MemberIndex, scan_members
from clustrio.node.values.setvalue import SetValue
from clustrio.node.values.zsetvalue import ZSetValue


@given(st.sets(st.binary(max_size=4), max_size=400), st.integers(1, 50))
def test_a_scan_returns_every_member_exactly_once_when_nothing_changes(
    members: set[bytes], count: int
) -> None:
    index = MemberIndex(members)
    seen = []
    cursor = 0
    while True:
        cursor, found = index.window(cursor, count)
        assert len(found) >= count or not cursor
        assert len(found) < count + 10
        seen += found
        if not cursor:
            break
    assert sorted(seen) == sorted(members)


@pytest.mark.parametrize("growth", [0.02, 1.0, 50.0])
def test_members_present_during_the_whole_scan_are_returned_while_the_rest_changes(
    growth: float, seed: int
) -> None:
    rng = Random(f"{seed} scan")
    staying = {b"stay%d" % number for number in range(700)}
    value = SetValue()
    fleeting = [b"go%d" % number for number in range(700)]
    for member in [*staying, *fleeting]:
        value.insert(member)
    seen: set[bytes] = set()
    cursor = 0
    turn = 0
    while True:
        cursor, found = value.scan(cursor, 20)
        seen.update(found)
        if not cursor:
            break
        for _ in range(int(20 * growth) if turn < 5000 else 0):
            value.insert(b"new%d" % turn)
            turn += 1
        for _ in range(20):
            if fleeting:
                value.take(fleeting.pop(rng.randrange(len(fleeting))))
    assert staying <= seen


def test_a_scan_survives_the_loss_of_its_index() -> None:
    members = {b"%d" % number for number in range(5000)}
    value = SetValue.from_members(members)
    seen: set[bytes] = set()
    cursor = 0
    while True:
        cursor, found = value.scan(cursor, 100)
        seen.update(found)
        if not cursor:
            break
        value = value.copy()
    assert seen == members


def test_members_of_one_hash_value_stay_together() -> None:
    index = MemberIndex([b"x%d" % number for number in range(1000)])
    bucket = index._buckets[crc32(b"x1") >> index._shift]
    # Fake a collision: the same text three times has one hash value for sure.
    bucket += [b"x1"] * 3
    counts = []
    cursor = 0
    while True:
        cursor, found = index.window(cursor, 1)
        counts.append(found.count(b"x1"))
        if not cursor:
            break
    assert [count for count in counts if count] == [4]


def test_without_an_index_the_cursors_are_the_same() -> None:
    members = [b"m%d" % number for number in range(300)]
    index = MemberIndex(members)
    cursor, first = index.window(0, 50)
    done, second = scan_members(members, cursor, 1000)
    assert done == 0
    assert sorted(first + second) == sorted(members)


def test_a_strange_cursor_ends_the_scan() -> None:
    value = SetValue.from_members(b"%d" % number for number in range(1000))
    assert value.scan(2**64 - 1, 10) == (0, [])
    assert value.scan(2**32 - 1, 10)[0] == 0


def test_an_index_follows_growth_and_shrinkage_and_goes_when_unused() -> None:
    value = SetValue()
    for number in range(1000):
        value.insert(b"%d" % number)
    assert value.scan(0, 1)[0] != 0
    assert value._beside is not None
    index = value._beside.index
    assert index is not None
    for number in range(1000, 1500):
        value.insert(b"%d" % number)
        value.scan(1, 1)
    assert sorted(index) == sorted(value)
    for number in range(1490):
        value.take(b"%d" % number)
        value.scan(1, 1)
    assert value._beside.index is index
    assert sorted(index) == sorted(value)
    assert len(index._buckets) < 32
    for number in range(100):
        value.insert(b"again%d" % number)
    assert value._beside is None


def test_what_shrinks_gives_its_room_back(seed: int) -> None:
    rng = Random(f"{seed} room")
    names = [b"%d" % number for number in range(5000)]
    members, fields, scores = SetValue(), HashValue(), ZSetValue()
    for name in names:
        members.insert(name)
        fields.put(name, name)
        fields.expire_at(name, 7)
        scores.put(name, 1.0)
    popped, dying, ranked = members.copy(), fields.copy(), scores.copy()
    popped.pop_random(4990, rng)
    dying.put(b"stays", b"")
    dying.take_dead(7)
    ranked.take_ranks(0, 4990)
    for name in names[10:]:
        members.take(name)
        fields.take(name)
        scores.take(name)
    for value, left in ((members, 10), (fields, 10), (scores, 10)):
        assert sorted(value) == names[:left]
        assert value.__sizeof__() < 80_000
    for value, left in ((popped, 10), (dying, 1), (ranked, 10)):
        assert len(list(value)) == left
        assert value.__sizeof__() < 10_000
