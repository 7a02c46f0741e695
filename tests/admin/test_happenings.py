"""What is told of two looks at a cluster."""

from attrs import evolve

from clustrio.slots.slotset import SlotSet
from clustrio.tools.admin.happenings import Event, Picture, Seen, events_between

FIRST = Seen("one:1", True, None, SlotSet.of_text("0-9999"), 1, {"b": "ok", "c": "ok"}, {}, "ok")
SECOND = Seen("two:2", True, None, SlotSet.of_text("10000-16383"), 2, {"a": "ok"}, {}, "ok")
THIRD = Seen("three:3", True, "a", SlotSet(), 1, {"a": "ok"}, {}, "ok")
BEFORE: Picture = {"a": FIRST, "b": SECOND, "c": THIRD}


def told(**after: Seen) -> list[tuple[str, str]]:
    events = events_between(BEFORE, {**BEFORE, **after})
    return [(event.kind, event.text) for event in events]


def test_nothing_happens_between_equal_looks() -> None:
    assert events_between(BEFORE, dict(BEFORE)) == []


def test_members_come_and_go() -> None:
    assert events_between({"a": FIRST}, {"a": FIRST, "c": THIRD}) == [
        Event("joined", "three:3", "three:3 has joined")
    ]
    assert events_between({"a": FIRST, "c": THIRD}, {"a": FIRST}) == [
        Event("left", "three:3", "three:3 has left")
    ]


def test_a_failure_is_told_from_suspicion_to_promotion() -> None:
    assert told(a=evolve(FIRST, is_reachable=False)) == [("unreachable", "one:1 does not answer")]
    assert told(b=evolve(SECOND, health={"a": "fail?"})) == [("pfail", "two:2 sees one:1 as PFAIL")]
    assert told(b=evolve(SECOND, health={"a": "fail"}, state="fail", votes_given=1)) == [
        ("fail", "two:2 sees one:1 as FAIL"),
        ("vote", "two:2 gives its vote"),
        ("state", "two:2 says cluster_state:fail"),
    ]
    promoted = evolve(THIRD, primary_id=None, slots=FIRST.slots, config_epoch=3, votes_asked=2)
    relieved = evolve(FIRST, is_reachable=False, slots=SlotSet())
    assert told(c=promoted, a=relieved) == [
        ("unreachable", "one:1 does not answer"),
        ("election", "three:3 asks for votes"),
        ("promoted", "three:3 is a master now"),
        ("epoch", "three:3 has config epoch 3, before 1"),
        ("moved", "0-9999 moved from one:1 to three:3"),
    ]


def test_a_node_that_is_back_is_told_and_follows() -> None:
    lost = {**BEFORE, "a": evolve(FIRST, is_reachable=False)}
    events = events_between(lost, {**lost, "a": FIRST})
    assert [event.kind for event in events] == ["reachable"]
    assert told(a=evolve(FIRST, primary_id="c"))[0] == ("follows", "one:1 follows three:3 now")


def test_moves_openings_and_holes_are_told() -> None:
    opened = evolve(FIRST, open_slots={5: "b", 6: "b"})
    assert told(a=opened) == [("open", "one:1 opens 5-6")]
    assert [event.kind for event in events_between({"a": opened}, {"a": FIRST})] == ["closed"]
    gone = evolve(FIRST, slots=FIRST.slots - SlotSet.of([5, 6]))
    got = evolve(SECOND, slots=SECOND.slots | SlotSet.of([5, 6]))
    events = events_between({"a": opened, "b": SECOND}, {"a": gone, "b": got})
    assert [event.text for event in events] == ["5-6 moved from one:1 to two:2"]
    smaller = evolve(FIRST, slots=FIRST.slots - SlotSet.of([5]))
    assert told(a=smaller) == [("uncovered", "nobody owns 5 any more")]
    bigger = evolve(SECOND, slots=SECOND.slots | SlotSet.of([5]))
    assert told(a=smaller, b=bigger) == [("moved", "5 moved from one:1 to two:2")]
    hole = {**BEFORE, "a": smaller}
    assert [event.text for event in events_between(hole, BEFORE)] == ["5 have an owner again"]
