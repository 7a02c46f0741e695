"""Plans are looked at, and carried out on model nodes that refuse what Redis refuses."""

from collections.abc import Iterable, Mapping

import pytest
from attrs import define, field
from hypothesis import given
from hypothesis import strategies as st

from clustrio.slots.hashing import SLOT_COUNT
from clustrio.slots.plan_fix import (
    Action,
    Case,
    CloseSlot,
    FinishMove,
    FixPlan,
    MoveKeys,
    NodeView,
    OpenForLeaving,
    Refusal,
    TakeSlot,
    TellOwner,
    disagreements,
    plan_fix,
)
from clustrio.slots.slotset import SlotSet
from clustrio.slots.table import SlotTable

from .setslot_model import (
    Form,
    Setslot,
    Target,
    Transition,
    carry_out,
    decide_setslot,
    slot_state,
)

SLOT = 7
REST = SlotSet.full() - SlotSet.of([SLOT])


def _views(**nodes: str) -> list[NodeView]:
    """`a="owns migrating>b keys=3"`: what node a says of the slot. Node a owns all other slots."""
    return [_view(node_id, words.split()) for node_id, words in nodes.items()]


def _view(node_id: str, words: Iterable[str]) -> NodeView:
    slots = REST if node_id == "a" else SlotSet()
    migrating, importing, keys = {}, {}, {}
    for word in words:
        if word == "owns":
            slots |= SlotSet.of([SLOT])
        elif word.startswith("migrating>"):
            migrating[SLOT] = word.partition(">")[2]
        elif word.startswith("importing<"):
            importing[SLOT] = word.partition("<")[2]
        else:
            keys[SLOT] = int(word.removeprefix("keys="))
    return NodeView(node_id, slots, migrating, importing, keys)


def _short(action: Action) -> str:
    match action:
        case TakeSlot(node, _):
            return f"{node} takes"
        case TellOwner(node, _, owner, drops):
            return f"{node} {'drops and ' if drops else ''}is told {owner}"
        case OpenForLeaving(node, _, owner):
            return f"{node} opens to {owner}"
        case MoveKeys(source, target, _, count):
            return f"{count} keys {source}>{target}"
        case FinishMove(source, target, _):
            return f"slot {source}>{target}"
        case CloseSlot(node, _):
            return f"{node} closes"


ROWS: list[tuple[dict[str, str], Case, str]] = [
    (
        {"a": "", "b": "", "c": ""},
        Case.UNCOVERED_WITHOUT_KEYS,
        "b takes",
    ),
    ({"a": "", "b": "keys=1", "c": ""}, Case.UNCOVERED_KEYS_ON_ONE, "b takes"),
    (
        {"a": "keys=2", "b": "keys=1", "c": "keys=5"},
        Case.UNCOVERED_KEYS_ON_SEVERAL,
        "c takes, a is told c, a opens to c, 2 keys a>c, a closes, "
        "b is told c, b opens to c, 1 keys b>c, b closes",
    ),
    ({"a": "owns migrating>b keys=3", "b": "importing<a"}, Case.OPEN_BOTH_ENDS, "slot a>b"),
    ({"a": "owns migrating>b keys=3", "b": "importing<a keys=9"}, Case.OPEN_BOTH_ENDS, "slot a>b"),
    ({"a": "owns migrating>c", "b": "importing<a"}, Case.OPEN_BOTH_ENDS, "slot a>b"),
    (
        {"a": "owns migrating>c keys=1", "b": "importing<a keys=2", "c": "importing<a"},
        Case.OPEN_SEVERAL_IMPORTING,
        "slot a>c, 2 keys b>c, b closes",
    ),
    (
        {"a": "owns migrating>d keys=1", "b": "importing<a", "c": "importing<a keys=1", "d": ""},
        Case.OPEN_SEVERAL_IMPORTING,
        "b closes, 1 keys c>a, c closes, a closes",
    ),
    ({"a": "owns migrating>b keys=3", "b": ""}, Case.OPEN_ONLY_MIGRATING, "a closes"),
    (
        {"a": "owns migrating>b keys=3", "b": "keys=1"},
        Case.OPEN_ONLY_MIGRATING,
        "b opens to a, 1 keys b>a, b closes, a closes",
    ),
    (
        {"a": "owns", "b": "importing<a keys=4", "c": "importing<a"},
        Case.OPEN_ONLY_IMPORTING,
        "4 keys b>a, b closes, c closes, b is told a, c is told a",
    ),
    (
        {"a": "migrating>b keys=2", "b": "owns"},
        Case.OPEN_LEFTOVER,
        "a opens to b, 2 keys a>b, a closes, a is told b",
    ),
    ({"a": "owns importing<b", "b": ""}, Case.OPEN_LEFTOVER, "a closes, b is told a"),
    (
        {"a": "owns migrating>b keys=1", "b": "owns keys=2", "c": ""},
        Case.SEVERAL_OWNERS,
        "b takes, a drops and is told b, a opens to b, 1 keys a>b, a closes, c is told b",
    ),
    ({"a": "", "b": "importing<a"}, Case.UNCOVERED_WITHOUT_KEYS, "b takes, a is told b"),
    ({"a": "", "b": "importing<a keys=1"}, Case.UNCOVERED_KEYS_ON_ONE, "b takes, a is told b"),
    (
        {"a": "migrating>b keys=1", "b": "importing<a keys=2"},
        Case.UNCOVERED_KEYS_ON_SEVERAL,
        "b takes, a is told b, a opens to b, 1 keys a>b, a closes",
    ),
    (
        {"a": "owns", "b": "owns keys=1", "c": "keys=1"},
        Case.SEVERAL_OWNERS,
        "b takes, a drops and is told b, c is told b, c opens to b, 1 keys c>b, c closes",
    ),
    (
        {"a": "owns", "b": "keys=1", "c": ""},
        Case.STRAY_KEYS,
        "b opens to a, 1 keys b>a, b closes",
    ),
]


@pytest.mark.parametrize(("nodes", "case", "expected"), ROWS)
def test_a_repair(nodes: dict[str, str], case: Case, expected: str) -> None:
    (repair,) = plan_fix(_views(**nodes)).repairs
    assert ", ".join(map(_short, repair.actions)) == expected
    assert (repair.slot, repair.case) == (SLOT, case)
    assert {action.reason for action in repair.actions} == {case.value}


def test_every_case_has_a_row() -> None:
    assert {case for _, case, _ in ROWS} == set(Case)


def test_a_healthy_cluster_needs_nothing_even_if_a_master_is_away() -> None:
    views = _views(a="owns keys=3", b="")
    assert plan_fix(views) == FixPlan()
    assert plan_fix([*views, NodeView("c", is_reachable=False)]) == FixPlan()


def test_with_a_master_away_nothing_is_repaired_unless_demanded() -> None:
    views = [*_views(a="", b=""), NodeView("c", is_reachable=False)]
    assert plan_fix(views) == FixPlan(refusal=Refusal.UNREACHABLE_PRIMARIES)
    assert len(plan_fix(views, with_unreachable_primaries=True).repairs) == 1
    gone = NodeView("c", is_reachable=False)
    assert plan_fix([gone], with_unreachable_primaries=True).refusal is Refusal.NO_PRIMARY


def test_replicas_do_not_count() -> None:
    copy = NodeView("r", migrating={1: "b"}, key_counts={SLOT: 3}, is_replica=True)
    assert plan_fix([*_views(a="owns keys=3"), copy]) == FixPlan()


def test_several_owners_are_looked_for_on_request() -> None:
    views = _views(a="owns", b="owns")
    assert plan_fix(views, search_several_owners=False) == FixPlan()
    assert len(plan_fix(views).repairs) == 1


def test_uncovered_slots_are_spread_over_the_nodes() -> None:
    plan = plan_fix([NodeView("a"), NodeView("b")])
    owners = [repair.owner_id for repair in plan.repairs]
    assert len(owners) == len(plan.actions()) == SLOT_COUNT
    assert owners.count("a") == owners.count("b") == SLOT_COUNT // 2


def test_disagreements_are_named() -> None:
    truth = {"a": SlotSet.of([1]), "b": SlotSet.of([2])}
    stale = {"a": SlotSet.of([1, 2])}
    views = [
        NodeView("a", SlotSet.of([1]), owners=truth),
        NodeView("b", SlotSet.of([2]), owners=stale),
        NodeView("c", owners=None),
    ]
    assert disagreements(views) == {"b": SlotSet.of([2])}


# --- the same, carried out


@define
class _Node:
    node_id: str
    table: SlotTable = field(factory=SlotTable)
    keys: int = 0

    def setslot(self, form: Form, node_id: str = "") -> None:
        target = Target.MYSELF if node_id == self.node_id else Target.OTHER_PRIMARY
        setslot = Setslot(SLOT, form, node_id, target)
        state = slot_state(self.table, self.node_id, SLOT)
        step = decide_setslot(setslot, state, key_count=self.keys, i_am_replica=False)
        assert isinstance(step, Transition), (self.node_id, step)
        carry_out(self.table, setslot, step)


@define
class _Model:
    """Nodes that know only what they were told: no gossip comes to the help of a plan."""

    nodes: dict[str, _Node]

    @classmethod
    def of(cls, views: Iterable[NodeView]) -> "_Model":
        views = list(views)
        nodes = {view.node_id: _Node(view.node_id) for view in views}
        claimants = [view.node_id for view in views if SLOT in view.slots]
        for view in views:
            node = nodes[view.node_id]
            if SLOT in view.slots:
                node.table.assign(SLOT, view.node_id)
            elif claimants:
                node.table.assign(SLOT, claimants[0])
            node.table.migrating.update(view.migrating)
            node.table.importing.update(view.importing)
            node.keys = view.key_counts.get(SLOT, 0)
        return cls(nodes)

    def views(self) -> list[NodeView]:
        return [
            NodeView(
                node_id,
                node.table.slots_of(node_id) | (REST if node_id == "a" else SlotSet()),
                dict(node.table.migrating),
                dict(node.table.importing),
                {SLOT: node.keys} if node.keys else {},
            )
            for node_id, node in self.nodes.items()
        ]

    def move_keys(self, source: _Node, target: _Node) -> None:
        may_leave = source.table.owner(SLOT) == source.node_id or source.table.is_open(SLOT)
        assert may_leave, f"MIGRATE on {source.node_id} would be redirected"
        assert source.table.owner(SLOT) is not None, "MIGRATE would be told that nobody serves"
        owns = target.table.owner(SLOT) == target.node_id
        assert owns or SLOT in target.table.importing, "the target would redirect RESTORE"
        target.keys += source.keys
        source.keys = 0

    def carry_out(self, action: Action) -> None:
        match action:
            case TakeSlot(node_id, _):
                node = self.nodes[node_id]
                node.table.assign(SLOT, node_id)
                node.table.close(SLOT)
            case TellOwner(node_id, _, owner_id, drops):
                if drops:
                    self.nodes[node_id].table.unassign(SLOT)
                self.nodes[node_id].setslot(Form.NODE, owner_id)
            case OpenForLeaving(node_id, _, owner_id):
                self.nodes[node_id].setslot(Form.IMPORTING, owner_id)
            case MoveKeys(source_id, target_id, _, count):
                assert self.nodes[source_id].keys == count
                self.move_keys(self.nodes[source_id], self.nodes[target_id])
            case FinishMove(source_id, target_id, _):
                source, target = self.nodes[source_id], self.nodes[target_id]
                target.setslot(Form.IMPORTING, source_id)
                source.setslot(Form.MIGRATING, target_id)
                self.move_keys(source, target)
                for node in (target, source, *self.nodes.values()):
                    node.setslot(Form.NODE, target_id)
            case CloseSlot(node_id, _):
                self.nodes[node_id].setslot(Form.STABLE)


def _check_by_doing(views: list[NodeView]) -> None:
    model = _Model.of(views)
    keys = sum(node.keys for node in model.nodes.values())
    plan = plan_fix(views)
    for action in plan.actions():
        model.carry_out(action)
    assert plan_fix(model.views()) == FixPlan()
    if plan.repairs:
        owner = plan.repairs[0].owner_id
        assert model.nodes[owner].keys == keys
        assert model.nodes[owner].table.owner(SLOT) == owner


@pytest.mark.parametrize("nodes", [nodes for nodes, _, _ in ROWS])
def test_a_repair_carried_out_loses_no_key(nodes: Mapping[str, str]) -> None:
    _check_by_doing(_views(**nodes))


marks = st.sampled_from(
    ["", "migrating>a", "migrating>b", "migrating>c", "importing<a", "importing<b", "importing<c"]
)
words = st.tuples(st.sampled_from(["", "owns"]), marks, st.sampled_from(["", "keys=1", "keys=5"]))
spoken = words.map(" ".join)


@pytest.mark.slow
@given(spoken, spoken, spoken, spoken)
def test_any_muddle_is_repaired(a: str, b: str, c: str, d: str) -> None:
    _check_by_doing(_views(a=a, b=b, c=c, d=d))
