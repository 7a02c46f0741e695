"""Every step of CLUSTER SETSLOT, and every refusal in the words of Redis."""

import pytest

from clustrio.slots.table import SlotTable

from ..support.raw import RawClient
from ..support.servers import client_of, start_redis
from .setslot_model import (
    TRANSITIONS,
    Form,
    Reason,
    Refusal,
    Setslot,
    SlotState,
    Target,
    Transition,
    carry_out,
    decide_setslot,
    slot_state,
)

ME, PEER, SLOT = "a" * 40, "b" * 40, 7


def _table(state: SlotState) -> SlotTable:
    table = SlotTable()
    table.assign(SLOT, ME if state in (SlotState.OWNED, SlotState.MIGRATING) else PEER)
    if state is SlotState.MIGRATING:
        table.migrating[SLOT] = PEER
    if state is SlotState.IMPORTING:
        table.importing[SLOT] = PEER
    return table


def _setslot(form: Form, target: Target) -> Setslot:
    ids = {Target.MYSELF: ME, Target.NONE: ""}
    return Setslot(SLOT, form, ids.get(target, PEER), target)


MIGRATING = (Form.MIGRATING, Target.OTHER_PRIMARY)
IMPORTING = (Form.IMPORTING, Target.OTHER_PRIMARY)
STABLE = (Form.STABLE, Target.NONE)
TO_ME = (Form.NODE, Target.MYSELF)
TO_PEER = (Form.NODE, Target.OTHER_PRIMARY)

#: State, what is said, keys held -> the state after it or the reason of the refusal.
STEPS = [
    (SlotState.FOREIGN, MIGRATING, 0, Reason.NOT_THE_OWNER),
    (SlotState.FOREIGN, IMPORTING, 0, SlotState.IMPORTING),
    (SlotState.FOREIGN, STABLE, 0, SlotState.FOREIGN),
    (SlotState.FOREIGN, TO_ME, 0, SlotState.OWNED),
    (SlotState.FOREIGN, TO_PEER, 3, SlotState.FOREIGN),
    (SlotState.IMPORTING, MIGRATING, 0, Reason.NOT_THE_OWNER),
    (SlotState.IMPORTING, IMPORTING, 0, SlotState.IMPORTING),
    (SlotState.IMPORTING, STABLE, 3, SlotState.FOREIGN),
    (SlotState.IMPORTING, TO_ME, 0, SlotState.OWNED),
    (SlotState.IMPORTING, TO_ME, 3, SlotState.OWNED),
    (SlotState.IMPORTING, TO_PEER, 3, SlotState.IMPORTING),
    (SlotState.OWNED, MIGRATING, 3, SlotState.MIGRATING),
    (SlotState.OWNED, IMPORTING, 0, Reason.ALREADY_THE_OWNER),
    (SlotState.OWNED, STABLE, 0, SlotState.OWNED),
    (SlotState.OWNED, TO_ME, 3, SlotState.OWNED),
    (SlotState.OWNED, TO_PEER, 0, SlotState.FOREIGN),
    (SlotState.OWNED, TO_PEER, 1, Reason.STILL_HOLDS_KEYS),
    (SlotState.MIGRATING, MIGRATING, 0, SlotState.MIGRATING),
    (SlotState.MIGRATING, IMPORTING, 0, Reason.ALREADY_THE_OWNER),
    (SlotState.MIGRATING, STABLE, 3, SlotState.OWNED),
    (SlotState.MIGRATING, TO_ME, 0, SlotState.OWNED),
    (SlotState.MIGRATING, TO_ME, 3, SlotState.MIGRATING),
    (SlotState.MIGRATING, TO_PEER, 0, SlotState.FOREIGN),
    (SlotState.MIGRATING, TO_PEER, 1, Reason.STILL_HOLDS_KEYS),
]


@pytest.mark.parametrize(("state", "said", "key_count", "expected"), STEPS)
def test_a_step(
    state: SlotState, said: tuple[Form, Target], key_count: int, expected: SlotState | Reason
) -> None:
    table, setslot = _table(state), _setslot(*said)
    assert slot_state(table, ME, SLOT) is state
    decision = decide_setslot(setslot, state, key_count=key_count, i_am_replica=False)
    if isinstance(decision, Refusal):
        assert decision.reason is expected
        return
    assert decision.state is expected
    carry_out(table, setslot, decision)
    assert slot_state(table, ME, SLOT) is expected
    assert decision.gave_away == (
        state in (SlotState.OWNED, SlotState.MIGRATING) and expected is SlotState.FOREIGN
    )
    assert decision.bumps_epoch == (state is SlotState.IMPORTING and expected is SlotState.OWNED)


def test_every_state_knows_what_to_do_with_every_event() -> None:
    events = {event for _, event in TRANSITIONS}
    assert TRANSITIONS.keys() == {(state, event) for state in SlotState for event in events}
    kept = {Reason.NOT_THE_OWNER, Reason.ALREADY_THE_OWNER, Reason.STILL_HOLDS_KEYS}
    assert {step for step in TRANSITIONS.values() if not isinstance(step, Transition)} == kept


@pytest.mark.parametrize(
    ("form", "target", "state", "reason"),
    [
        (Form.MIGRATING, Target.UNKNOWN, SlotState.OWNED, Reason.UNKNOWN_PEER),
        (Form.IMPORTING, Target.UNKNOWN, SlotState.FOREIGN, Reason.UNKNOWN_PEER),
        (Form.NODE, Target.UNKNOWN, SlotState.OWNED, Reason.UNKNOWN_OWNER),
        (Form.MIGRATING, Target.REPLICA, SlotState.OWNED, Reason.TARGET_NOT_A_MASTER),
        (Form.IMPORTING, Target.REPLICA, SlotState.FOREIGN, Reason.TARGET_NOT_A_MASTER),
        (Form.NODE, Target.REPLICA, SlotState.OWNED, Reason.TARGET_NOT_A_MASTER),
        # Whose slot it is comes before who is named; for NODE it is the other way round.
        (Form.MIGRATING, Target.UNKNOWN, SlotState.FOREIGN, Reason.NOT_THE_OWNER),
        (Form.IMPORTING, Target.REPLICA, SlotState.OWNED, Reason.ALREADY_THE_OWNER),
    ],
)
def test_the_named_node_must_be_a_known_primary(
    form: Form, target: Target, state: SlotState, reason: Reason
) -> None:
    decision = decide_setslot(_setslot(form, target), state, key_count=9, i_am_replica=False)
    assert isinstance(decision, Refusal)
    assert decision.reason is reason


def test_a_replica_refuses_before_anything_else() -> None:
    for form, target in (MIGRATING, STABLE, (Form.NODE, Target.UNKNOWN)):
        decision = decide_setslot(
            _setslot(form, target), SlotState.FOREIGN, key_count=0, i_am_replica=True
        )
        assert decision == Refusal(
            Reason.ONLY_WITH_MASTERS, "Please use SETSLOT only with masters."
        )


def test_the_texts_name_slot_and_node() -> None:
    def text(form: Form, target: Target, state: SlotState) -> str:
        decision = decide_setslot(_setslot(form, target), state, key_count=1, i_am_replica=False)
        assert isinstance(decision, Refusal)
        return decision.text

    assert text(*MIGRATING, SlotState.FOREIGN) == "I'm not the owner of hash slot 7"
    assert text(*IMPORTING, SlotState.OWNED) == "I'm already the owner of hash slot 7"
    assert text(Form.NODE, Target.UNKNOWN, SlotState.OWNED) == f"Unknown node {PEER}"


def _said_by_redis(client: RawClient, setslot: Setslot) -> str:
    words = ["CLUSTER", "SETSLOT", str(setslot.slot), setslot.form.value]
    reply = client.call(*words, *([setslot.node_id] if setslot.node_id else []))
    return reply.text.decode().removeprefix("ERR ")


@pytest.mark.redis_server
@pytest.mark.slow
def test_a_lone_redis_says_the_same_word_for_word() -> None:
    with start_redis("--cluster-enabled", "yes") as server, client_of(server) as client:
        my_id = client.call("CLUSTER", "MYID").text.decode()
        client.call("CLUSTER", "ADDSLOTS", "7")
        client.call("SET", "x", "1")
        compared = 0
        for slot, state in ((7, SlotState.OWNED), (8, SlotState.FOREIGN)):
            for form in (Form.MIGRATING, Form.IMPORTING, Form.NODE):
                setslot = Setslot(slot, form, PEER, Target.UNKNOWN)
                decision = decide_setslot(setslot, state, key_count=0, i_am_replica=False)
                assert isinstance(decision, Refusal)
                assert _said_by_redis(client, setslot) == decision.text
                compared += 1
        assert compared == 6
        # The slot is confirmed as ours while it is empty and migrating: it stops migrating.
        table = SlotTable()
        table.assign(7, my_id)
        for form in (Form.MIGRATING, Form.NODE):
            setslot = Setslot(7, form, my_id, Target.MYSELF)
            step = decide_setslot(
                setslot, slot_state(table, my_id, 7), key_count=0, i_am_replica=False
            )
            assert isinstance(step, Transition)
            carry_out(table, setslot, step)
            assert _said_by_redis(client, setslot) == "OK"
            is_marked = "[7->-" in client.call("CLUSTER", "NODES").text.decode()
            assert is_marked == (7 in table.migrating)
