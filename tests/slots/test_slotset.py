"""A slot set behaves as a plain set, and every notation of it leads back to it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.slotset import BITMAP_SIZE_BYTES, SlotSet

LAST = SLOT_COUNT - 1
slots = st.integers(0, LAST)
#: Both scattered slots and runs, as the sets of a cluster have.
sets = st.builds(
    lambda single, runs: single.union(
        *(range(start, min(start + size, SLOT_COUNT)) for start, size in runs)
    ),
    st.frozensets(slots, max_size=30),
    st.lists(st.tuples(slots, st.integers(1, 300)), max_size=3),
)

TEXTS = [
    ([], ""),
    ([0], "0"),
    ([LAST], "16383"),
    ([0, 1, 2, 5], "0-2 5"),
    ([3, 4], "3-4"),
    (list(range(SLOT_COUNT)), "0-16383"),
    ([*range(5461), 5462, LAST], "0-5460 5462 16383"),
]


@pytest.mark.parametrize(("members", "text"), TEXTS)
def test_text_both_ways(members: list[int], text: str) -> None:
    assert SlotSet.of(members).text() == text
    assert list(SlotSet.of_text(text)) == members
    assert repr(SlotSet.of(members)) == f"SlotSet.of_text({text!r})"


@pytest.mark.parametrize(
    "text", ["x", "-1", "1-", "-", "16384", "5-16384", "7-3", "+1", "1_0", "1--2"]
)
def test_foreign_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"slot"):
        SlotSet.of_text(text)


@pytest.mark.parametrize("slot", [-1, SLOT_COUNT])
def test_no_set_holds_a_slot_that_does_not_exist(slot: int) -> None:
    with pytest.raises(ValueError, match="no such slot"):
        SlotSet.of([slot])
    with pytest.raises(ValueError, match="no such slot"):
        SlotSet.of_ranges([(slot, slot)])
    assert slot not in SlotSet.full()


@pytest.mark.parametrize("size", [0, BITMAP_SIZE_BYTES - 1, BITMAP_SIZE_BYTES + 1])
def test_a_bitmap_has_one_size(size: int) -> None:
    with pytest.raises(ValueError, match="2048 bytes"):
        SlotSet.of_bitmap(bytes(size))


@pytest.mark.parametrize(
    ("slot", "index", "byte"), [(0, 0, 1), (7, 0, 128), (8, 1, 1), (LAST, 2047, 128)]
)
def test_the_lowest_bit_of_a_byte_is_its_first_slot(slot: int, index: int, byte: int) -> None:
    bitmap = bytearray(BITMAP_SIZE_BYTES)
    bitmap[index] = byte
    assert SlotSet.of([slot]).bitmap() == bitmap
    assert list(SlotSet.of_bitmap(bytes(bitmap))) == [slot]


def test_the_empty_set_has_no_ends() -> None:
    with pytest.raises(ValueError, match="no lowest"):
        SlotSet().minimum()
    with pytest.raises(ValueError, match="no highest"):
        SlotSet().maximum()
    assert not SlotSet()


@given(sets, sets)
def test_it_behaves_as_a_plain_set(left: frozenset[int], right: frozenset[int]) -> None:
    one, two = SlotSet.of(left), SlotSet.of(right)
    assert list(one) == sorted(left)
    assert len(one) == len(left)
    assert bool(one) == bool(left)
    assert set(one | two) == left | right
    assert set(one & two) == left & right
    assert set(one - two) == left - right
    assert set(one ^ two) == left ^ right
    assert (one <= two) == (left <= right)
    assert one.is_disjoint(two) == left.isdisjoint(right)
    assert (one == two) == (left == right)
    assert hash(one) == hash(SlotSet.of(sorted(left)))
    assert len(one.complement()) == SLOT_COUNT - len(left)
    assert one.is_disjoint(one.complement())
    for slot in (*left, *right):
        assert (slot in one) == (slot in left)
    if left:
        assert (one.minimum(), one.maximum()) == (min(left), max(left))


@given(sets)
def test_every_notation_leads_back(members: frozenset[int]) -> None:
    found = SlotSet.of(members)
    assert SlotSet.of_bitmap(found.bitmap()) == found
    assert SlotSet.of_text(found.text()) == found
    ranges = found.ranges()
    assert SlotSet.of_ranges(ranges) == found
    assert all(before[1] + 1 < after[0] for before, after in pairwise(ranges))
