"""Owners, claims and marks."""

from hypothesis import given
from hypothesis import strategies as st

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.slotset import SlotSet
from clustrio.slots.table import SlotTable

EPOCHS = {"a": 5, "b": 7, "c": 9}


def _table(**owned: str) -> SlotTable:
    table = SlotTable()
    for node_id, text in owned.items():
        table.assign_all(SlotSet.of_text(text), node_id)
    return table


def test_an_empty_table_covers_nothing() -> None:
    table = SlotTable()
    assert table.owner(0) is None
    assert table.assigned_count() == 0
    assert table.owners() == set()
    assert not table.is_fully_covered()
    assert table.ranges() == []


def test_assigning_moves_a_slot_and_the_sets_follow() -> None:
    table = _table(a="0-9", b="10-16383")
    assert table.is_fully_covered()
    assert table.slots_of("a").text() == "0-9"
    table.assign(5, "b")
    assert table.owner(5) == "b"
    assert table.slots_of("a").text() == "0-4 6-9"
    assert table.count_of("b") == SLOT_COUNT - 9
    table.unassign(5)
    assert table.unassigned_slots().text() == "5"
    assert table.assigned_count() == SLOT_COUNT - 1
    assert table.ranges() == [(0, 4, "a"), (6, 9, "a"), (10, SLOT_COUNT - 1, "b")]
    assert table.unassign_all_of("a").text() == "0-4 6-9"
    assert table.owners() == {"b"}


def test_a_claim_wins_unowned_slots_and_those_of_smaller_epochs() -> None:
    table = _table(a="0-1", b="2-3", c="4-5")
    outcome = table.claim("b", SlotSet.of_text("0-6"), 7, EPOCHS)
    assert {owner: found.text() for owner, found in outcome.taken.items()} == {
        "a": "0-1",
        None: "6",
    }
    assert {owner: found.text() for owner, found in outcome.stale.items()} == {"c": "4-5"}
    assert outcome.taken_slots.text() == "0-1 6"
    assert table.slots_of("b").text() == "0-3 6"
    assert table.slots_of("c").text() == "4-5"


def test_an_equal_epoch_neither_wins_nor_is_stale() -> None:
    table = _table(a="0")
    outcome = table.claim("b", SlotSet.of([0]), 5, EPOCHS)
    assert (outcome.taken, outcome.stale) == ({}, {})
    assert table.owner(0) == "a"


def test_a_claim_leaves_an_importing_slot_alone() -> None:
    table = _table(a="0-1")
    table.importing[0] = "a"
    outcome = table.claim("c", SlotSet.of([0, 1]), 9, EPOCHS)
    assert outcome.taken_slots.text() == "1"
    assert table.owner(0) == "a"


@given(
    st.dictionaries(st.integers(0, 20), st.sampled_from("abc")),
    st.sampled_from("abc"),
    st.frozensets(st.integers(0, 20)),
)
def test_after_all_claims_the_greatest_epoch_owns(
    owned: dict[int, str], first: str, claimed: frozenset[int]
) -> None:
    table = SlotTable()
    for slot, node_id in owned.items():
        table.assign(slot, node_id)
    table.claim(first, SlotSet.of(claimed), EPOCHS[first], EPOCHS)
    for slot in range(21):
        candidates = {owned.get(slot), first if slot in claimed else None} - {None}
        expected = max(candidates, key=lambda node_id: EPOCHS[str(node_id)], default=None)
        assert table.owner(slot) == expected


def test_marks_close_follow_failovers_and_are_checked() -> None:
    table = _table(a="0-9", b="10")
    table.migrating.update({0: "b", 1: "c", 10: "c"})
    table.importing.update({11: "b", 2: "c"})
    assert table.is_open(0)
    assert table.is_open(11)
    assert not table.is_open(3)
    assert len(table.invariants("a")) == 2
    assert "10 is migrating to c but belongs to b" in table.invariants("a")[0]
    assert "2 is importing from c but is ours" in table.invariants("a")[1]
    table.repoint_marks("c", "d")
    assert (table.migrating, table.importing) == ({0: "b", 1: "d", 10: "d"}, {11: "b", 2: "d"})
    table.close_all_with("d")
    assert (table.migrating, table.importing) == ({0: "b"}, {11: "b"})
    assert table.invariants("a") == []
    table.close(0)
    assert not table.is_open(0)
    table.close_all()
    assert not table.is_open(11)
