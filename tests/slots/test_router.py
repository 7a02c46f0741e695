"""The whole table of routing: state of the slot, keys that are here, ASKING, READONLY, role."""

from collections.abc import Callable

import pytest

from clustrio.slots.hashing import key_slot
from clustrio.slots.router import (
    Ask,
    CrossSlot,
    Decision,
    Down,
    DownReason,
    Moved,
    Request,
    Serve,
    TryAgain,
    View,
    route,
    route_blocked,
)
from clustrio.slots.table import SlotTable

ME, PEER, PRIMARY = "me", "peer", "primary"
ONE, TWO = b"{t}1", b"{t}2"
SLOT = key_slot(b"t")
SERVE, ASK, TRY_AGAIN = Serve(SLOT), Ask(SLOT, PEER), TryAgain()
NONE: frozenset[bytes] = frozenset()


def _view(owner: str | None, mark: str = "", *, replica: bool = False) -> View:
    table = SlotTable()
    if owner is not None:
        table.assign(SLOT, owner)
    if mark:
        marks = table.migrating if mark == "migrating" else table.importing
        marks[SLOT] = PEER
    return View(table, ME, PRIMARY if replica else None)


def _has(present: frozenset[bytes]) -> Callable[[bytes], bool]:
    return present.__contains__


def _unasked(key: bytes) -> bool:
    raise AssertionError(f"nobody should look for {key!r}")


#: Keys of the command, keys that are here.
HERE, GONE = ((ONE,), {ONE}), ((ONE,), set[bytes]())
BOTH, TORN, NEITHER = ((ONE, TWO), {ONE, TWO}), ((ONE, TWO), {TWO}), ((ONE, TWO), set[bytes]())
SAME_GONE = ((ONE, ONE), set[bytes]())
KEYS = {
    "here": HERE,
    "gone": GONE,
    "both": BOTH,
    "torn": TORN,
    "neither": NEITHER,
    "same gone": SAME_GONE,
}

MOVED = Moved(SLOT, PEER)
#: A primary. State of the slot and ASKING -> for each of KEYS, what happens.
PRIMARY_TABLE: dict[tuple[str, str, bool], tuple[Decision, ...]] = {
    (ME, "", False): (SERVE,) * 6,
    (ME, "", True): (SERVE,) * 6,
    (PEER, "", False): (MOVED,) * 6,
    (PEER, "", True): (MOVED,) * 6,
    (ME, "migrating", False): (SERVE, ASK, SERVE, TRY_AGAIN, ASK, ASK),
    (ME, "migrating", True): (SERVE, ASK, SERVE, TRY_AGAIN, ASK, ASK),
    (PEER, "importing", False): (MOVED,) * 6,
    (PEER, "importing", True): (SERVE, SERVE, SERVE, TRY_AGAIN, TRY_AGAIN, SERVE),
}


@pytest.mark.parametrize("is_readonly", [False, True])
@pytest.mark.parametrize("is_write", [False, True])
@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(("owner", "mark", "is_asking"), PRIMARY_TABLE)
def test_a_primary(
    owner: str, mark: str, is_asking: bool, keys: str, is_write: bool, is_readonly: bool
) -> None:
    wanted, present = KEYS[keys]
    expected = PRIMARY_TABLE[owner, mark, is_asking][list(KEYS).index(keys)]
    found = route(
        _view(owner, mark),
        Request(wanted, is_write=is_write),
        _has(frozenset(present)),
        is_asking=is_asking,
        is_readonly=is_readonly,
    )
    assert found == expected


HOME = Moved(SLOT, PRIMARY)
#: A replica. Owner, mark, READONLY, write -> for each of KEYS, what happens (without ASKING).
REPLICA_TABLE: dict[tuple[str, str, bool, bool], tuple[Decision, ...]] = {
    (PRIMARY, "", False, False): (HOME,) * 6,
    (PRIMARY, "", False, True): (HOME,) * 6,
    (PRIMARY, "", True, False): (SERVE,) * 6,
    (PRIMARY, "", True, True): (HOME,) * 6,
    (PEER, "", True, False): (MOVED,) * 6,
    (PEER, "", True, True): (MOVED,) * 6,
    (PRIMARY, "migrating", False, False): (HOME,) * 6,
    (PRIMARY, "migrating", True, False): (SERVE, ASK, SERVE, TRY_AGAIN, ASK, ASK),
    (PRIMARY, "migrating", True, True): (HOME, ASK, HOME, TRY_AGAIN, ASK, ASK),
    (PEER, "importing", True, False): (MOVED,) * 6,
}


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize(("owner", "mark", "is_readonly", "is_write"), REPLICA_TABLE)
def test_a_replica(owner: str, mark: str, is_readonly: bool, is_write: bool, keys: str) -> None:
    wanted, present = KEYS[keys]
    row = REPLICA_TABLE[owner, mark, is_readonly, is_write]
    found = route(
        _view(owner, mark, replica=True),
        Request(wanted, is_write=is_write),
        _has(frozenset(present)),
        is_readonly=is_readonly,
    )
    assert found == row[list(KEYS).index(keys)]


@pytest.mark.parametrize("is_readonly", [False, True])
def test_a_replica_of_the_importing_primary_serves_asking_readers(is_readonly: bool) -> None:
    view = _view(PEER, "importing", replica=True)
    found = route(view, Request((ONE,)), _has(NONE), is_asking=True, is_readonly=is_readonly)
    assert found == (SERVE if is_readonly else MOVED)


def test_a_command_without_keys_is_served_whatever_the_state() -> None:
    view = _view(None)
    view.is_healthy = False
    assert route(view, Request(()), _unasked) == Serve(None)


def test_an_unowned_slot_comes_before_keys_in_other_slots_and_those_before_the_state() -> None:
    request = Request((ONE, b"other"))
    assert route(_view(None), request, _unasked) == Down(DownReason.SLOT_UNASSIGNED)
    view = _view(ME)
    view.is_healthy = False
    assert route(view, request, _unasked) == CrossSlot()


def test_stable_slots_are_routed_without_a_look_at_the_keys() -> None:
    assert route(_view(ME), Request((ONE, TWO)), _unasked) == SERVE
    assert route(_view(PEER), Request((ONE,)), _unasked) == MOVED


DOWN, READS_ONLY = Down(DownReason.CLUSTER_DOWN), Down(DownReason.CLUSTER_DOWN_READS_ONLY)


@pytest.mark.parametrize(
    ("allow_reads", "allow_shard", "request_", "expected"),
    [
        (False, True, Request((ONE,)), DOWN),
        (False, True, Request((ONE,), is_write=True), DOWN),
        (True, True, Request((ONE,)), SERVE),
        (True, True, Request((ONE,), is_write=True), READS_ONLY),
        (True, True, Request((ONE,), is_queued_write=True), SERVE),
        (False, True, Request((ONE,), is_pubsub_shard=True), SERVE),
        (True, False, Request((ONE,), is_pubsub_shard=True), DOWN),
    ],
)
def test_while_the_cluster_is_down(
    allow_reads: bool, allow_shard: bool, request_: Request, expected: Decision
) -> None:
    view = _view(ME)
    view.is_healthy = False
    view.allow_reads_when_down = allow_reads
    view.allow_pubsubshard_when_down = allow_shard
    assert route(view, request_, _unasked) == expected


@pytest.mark.parametrize(
    ("owner", "mark", "replica", "expected"),
    [
        (ME, "migrating", False, SERVE),
        (PEER, "importing", False, SERVE),
        (PEER, "", False, MOVED),
        (PRIMARY, "migrating", True, ASK),
    ],
)
def test_migrate_moves_keys_of_open_slots_wherever_they_are(
    owner: str, mark: str, replica: bool, expected: Decision
) -> None:
    request = Request((ONE, TWO), is_write=True, is_migrate=True)
    view = _view(owner, mark, replica=replica)
    assert route(view, request, _has(NONE), is_readonly=True) == expected


def test_some_commands_carry_their_own_asking() -> None:
    view = _view(PEER, "importing")
    assert route(view, Request((ONE,), implies_asking=True), _has(NONE)) == SERVE


def test_shard_channels_stay_at_the_source_until_the_slot_has_moved() -> None:
    request = Request((ONE,), is_pubsub_shard=True)
    assert route(_view(ME, "migrating"), request, _unasked) == SERVE
    assert route(_view(PEER, "importing"), request, _unasked) == MOVED
    assert route(_view(PRIMARY, replica=True), request, _unasked) == SERVE


def test_a_replica_does_not_serve_exec_of_queued_writes() -> None:
    request = Request((ONE,), is_queued_write=True)
    assert route(_view(PRIMARY, replica=True), request, _unasked, is_readonly=True) == HOME


@pytest.mark.parametrize(
    ("view", "is_write", "is_readonly", "expected"),
    [
        (_view(ME), True, False, None),
        (_view(ME, "migrating"), True, False, None),
        (_view(PEER), True, False, MOVED),
        (_view(PEER, "importing"), True, False, None),
        (_view(None), True, False, Down(DownReason.SLOT_UNASSIGNED)),
        (_view(PRIMARY, replica=True), False, True, None),
        (_view(PRIMARY, replica=True), False, False, HOME),
        (_view(PRIMARY, replica=True), True, True, HOME),
    ],
)
def test_a_blocked_client_waits_on_or_is_sent_away(
    view: View, is_write: bool, is_readonly: bool, expected: Decision | None
) -> None:
    assert route_blocked(view, ONE, is_write=is_write, is_readonly=is_readonly) == expected


def test_a_blocked_client_is_freed_when_the_cluster_goes_down() -> None:
    view = _view(ME)
    view.is_healthy = False
    view.allow_reads_when_down = True
    assert route_blocked(view, ONE, is_write=False, is_readonly=True) == DOWN
