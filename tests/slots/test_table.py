"""Owners and marks."""

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.slotset import SlotSet
from clustrio.slots.table import SlotTable


def _table(**owned: str) -> SlotTable:
    table = SlotTable()
    for node_id, text in owned.items():
        table.assign_all(SlotSet.of_text(text), node_id)
    return table


def test_an_empty_table_covers_nothing() -> None:
    table = SlotTable()
    assert table.owner(0) is None
    assert table.owners() == set()


def test_assigning_moves_a_slot_and_the_sets_follow() -> None:
    table = _table(a="0-9", b="10-16383")
    assert table.slots_of("a").text() == "0-9"
    table.assign(5, "b")
    assert table.owner(5) == "b"
    assert table.slots_of("a").text() == "0-4 6-9"
    assert len(table.slots_of("b")) == SLOT_COUNT - 9
    table.unassign(5)
    assert table.owner(5) is None
    assert table.slots_of("a").text() == "0-4 6-9"
    assert table.unassign_all_of("a").text() == "0-4 6-9"
    assert table.owners() == {"b"}


def test_marks_open_and_close_a_slot() -> None:
    table = _table(a="0-9", b="10")
    table.migrating[0] = "b"
    table.importing[10] = "b"
    assert [slot for slot in range(12) if table.is_open(slot)] == [0, 10]
    table.close(0)
    assert not table.is_open(0)
