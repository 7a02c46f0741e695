"""Atomic slot migration between two nodes in memory: every moment of it can be looked at."""

from random import Random

import pytest

from clustrio.gossip import commands as ask
from clustrio.node.migration.coordinator import JobOverError
from clustrio.node.migration.jobs import Operation, State

from ..harness import Failure, Word
from .pair import TAGS, ClusteredNode, Pair


def key(number: int) -> str:
    return f"{{{TAGS[number % len(TAGS)]}}}{number}"


def fill(node: ClusteredNode, count: int) -> None:
    for number in range(count):
        node.call("SET", key(number), number)


def contents(node: ClusteredNode) -> dict[bytes, object]:
    return dict(node.machine.keyspace.database(0).living_items())


def counted(node: ClusteredNode) -> int:
    return sum(int(node.call("CLUSTER", "COUNTKEYSINSLOT", slot)) for slot in range(100))


def assert_hidden(pair: Pair) -> None:
    """The target shows nothing of what it has got."""
    b = pair.b
    assert b.call("DBSIZE") == counted(b) == 0
    assert b.call("KEYS", "*") == []
    assert b.call("SCAN", 0, "COUNT", 1000)[1] == []
    assert b.call("RANDOMKEY") is None
    assert b.call("CLUSTER", "GETKEYSINSLOT", 0, 10) == []
    assert str(b.call("GET", key(0))).startswith("MOVED 0 ")


def test_tags_are_of_the_slots_that_move() -> None:
    node = ClusteredNode()
    assert [node.call("CLUSTER", "KEYSLOT", tag) for tag in TAGS] == [0, 1, 2]


def test_slots_change_hands_with_all_their_keys() -> None:
    pair = Pair()
    fill(pair.a, 30)
    before = contents(pair.a)
    pair.begin()
    assert_hidden(pair)
    pair.tell_all()
    assert_hidden(pair)
    assert pair.a.call("GET", key(3)) == b"3"
    pair.hand_over()
    assert contents(pair.a) == {}
    assert contents(pair.b) == before
    assert pair.b.call("DBSIZE") == counted(pair.b) == 30
    assert pair.a.call("DBSIZE") == counted(pair.a) == 0
    assert str(pair.a.call("GET", key(0))).startswith("MOVED 0 ")
    assert pair.b.call("GET", key(3)) == b"3"
    assert (pair.job.state, pair.b.last_job(Operation.IMPORT).state) == (
        State.SUCCESS,
        State.SUCCESS,
    )
    assert not pair.a.machine.keyspace.staged
    assert not pair.b.machine.keyspace.staged


@pytest.mark.parametrize("seed", range(5))
def test_what_clients_do_meanwhile_arrives(seed: int) -> None:
    """Writes of all kinds between any two pieces; the target has just what the source had."""
    pair = Pair()
    rng = Random(seed)
    fill(pair.a, 60)

    def write() -> None:
        name = f"{{{rng.choice(TAGS)}}}{rng.randrange(40)}"
        request: tuple[Word, ...] = rng.choice(
            [
                ("SET", name, rng.random()),
                ("DEL", name),
                ("APPEND", f"{name}s", "x"),
                ("RPUSH", f"{name}l", rng.random(), rng.random()),
                ("LPOP", f"{name}l"),
                ("HSET", f"{name}h", rng.randrange(5), rng.random()),
                ("SADD", f"{name}e", rng.randrange(50)),
                ("SPOP", f"{name}e"),
                ("ZINCRBY", f"{name}z", 1, rng.randrange(5)),
                ("XADD", f"{name}x", "*", "f", rng.random()),
                ("PEXPIRE", name, rng.randrange(1, 5000)),
                ("PERSIST", name),
                ("RENAME", name, f"{name}r"),
                ("GETDEL", f"{name}r"),
                ("SETRANGE", f"{name}s", rng.randrange(10), "y"),
                ("SETBIT", f"{name}s", rng.randrange(100), 1),
            ]
        )
        pair.a.call(*request)
        if rng.random() < 0.3:
            pair.a.send(("MULTI",), ("INCR", f"{name}c"), ("INCR", f"{name}c"), ("EXEC",))
        pair.a.advance(rng.randrange(20))
        pair.b.machine.clock.now_ms = pair.a.machine.clock.now_ms

    for _ in range(100):
        write()
    pair.begin()
    export = pair.export
    while not export.is_read:
        # Small pieces: a clock that has run out ends one after its first key.
        export._machine.timer = lambda: rng.randrange(3_000_000)
        pair.tell_piece()
        write()
    for _ in range(200):
        write()
        if rng.random() < 0.5:
            pair.tell_piece()
    names = sorted(name.decode() for name in contents(pair.a))
    digests = pair.a.call("DEBUG", "DIGEST-VALUE", *names)
    lifetimes = [pair.a.call("PEXPIRETIME", name) for name in names]
    export._machine.timer = lambda: 0
    pair.hand_over()
    assert sorted(name.decode() for name in contents(pair.b)) == names
    assert pair.b.call("DEBUG", "DIGEST-VALUE", *names) == digests
    assert [pair.b.call("PEXPIRETIME", name) for name in names] == lifetimes
    assert pair.b.call("DBSIZE") == counted(pair.b)


def test_requests_for_the_slots_wait_only_while_they_change_hands() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    reader, writer, other, script = (pair.a.connect() for _ in range(4))
    epoch = pair.say("PREPARE")
    pair.a.migration.close_slots(pair.job)
    assert reader.send(("GET", key(0))) == []
    assert writer.send(("SET", key(1), "new"), ("PING",)) == []
    assert script.send(("FLUSHALL",)) == []
    assert other.call("SET", "{foo}", 1) != []
    pair.tell_all()
    pair.a.migration.grant(pair.job, 5000)
    assert pair.say("FINISH", epoch) == "OK"
    pair.a.migration.settle(pair.job)
    for client in (reader, writer):
        reply = pair.a.machine.proceed(client.session)
        assert reply.startswith(b"-MOVED ")
    assert pair.a.machine.gate.postpone is None


END_OF_JOB = {
    "cancel": (lambda pair: pair.a.call("CLUSTER", "CANCELSLOTMIGRATIONS", "ALL"), State.CANCELLED),
    "flush of the source": (lambda pair: pair.a.call("FLUSHALL"), State.FAILED),
    "source demoted": (lambda pair: pair.a.migration.on_demoted(), State.FAILED),
    "slots taken away": (
        lambda pair: pair.a.cluster._on_slots_moved([5], "f" * 40),
        State.FAILED,
    ),
}


@pytest.mark.parametrize("name", END_OF_JOB)
@pytest.mark.parametrize("is_closed", [False, True])
def test_whatever_ends_the_job_leaves_the_source_as_it_was(name: str, is_closed: bool) -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    if is_closed:
        if name == "flush of the source":
            return  # It has to wait.
        pair.a.migration.close_slots(pair.job)
    stops: list[bool] = []
    pair.job.stop = lambda: stops.append(True)
    action, state = END_OF_JOB[name]
    action(pair)  # type: ignore[no-untyped-call]
    assert pair.job.state is state
    assert stops == [True]
    assert not pair.a.migration.guard
    assert pair.a.machine.gate.postpone is None
    assert pair.export not in pair.a.machine.keyspace.effects.consumers
    # The connection ends, and the target forgets everything.
    pair.b.machine.disconnect(pair.link.session)
    assert pair.b.last_job(Operation.IMPORT).state is State.FAILED
    assert not pair.b.machine.keyspace.staged
    assert pair.b.call("DBSIZE") == 0
    if name != "flush of the source":
        assert len(contents(pair.a)) == 10


def test_what_ends_the_target_s_job() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.b.migration.on_demoted()
    assert pair.say("KEYS", "a", 0, "") == Failure("ERR No such slot migration job")
    assert pair.link.session.close_after_reply


def test_who_carries_a_job_that_was_ended_can_do_nothing_more_for_it() -> None:
    """The word of its end, and the target's answer, may come at the same moment."""
    pair = Pair()
    pair.begin()
    pair.a.call("CLUSTER", "CANCELSLOTMIGRATIONS", "ALL")
    migration = pair.a.migration
    for step in (
        lambda: migration.note(pair.job, State.SNAPSHOTTING),
        lambda: migration.open_export(pair.job),
        lambda: migration.close_slots(pair.job),
        lambda: migration.grant(pair.job, 5000),
    ):
        with pytest.raises(JobOverError):
            step()
    assert pair.job.state.value == "cancelled"
    assert not migration.guard
    assert pair.export not in pair.a.machine.keyspace.effects.consumers


def test_what_is_granted_cannot_be_cancelled() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    epoch = pair.say("PREPARE")
    pair.a.migration.close_slots(pair.job)
    pair.tell_all()
    pair.a.migration.grant(pair.job, 5000)
    assert pair.a.call("CLUSTER", "CANCELSLOTMIGRATIONS", "ALL") == "OK"
    assert pair.job.state.value == "failover-granted"
    pair.say("FINISH", epoch)
    pair.a.migration.settle(pair.job)
    assert pair.job.state.value == "success"


def test_the_bus_may_be_the_first_to_tell_the_source() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    pair.a.migration.close_slots(pair.job)
    pair.a.migration.grant(pair.job, 5000)
    pair.a.cluster._on_slots_moved(list(range(100)), pair.b.id)
    assert pair.job.state is State.SUCCESS
    pair.a.migration.settle(pair.job)
    assert not pair.a.migration.guard


def test_a_source_that_asks_again_ends_what_was_left_half_way() -> None:
    """A FINISH that is still on its way must find nothing any more."""
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    epoch = pair.say("PREPARE")
    again = pair.b.connect()
    words = ("STATUS", "NAME", pair.job.name, "SLOTSRANGE", 0, 99)
    assert again.call("CLUSTER", "SYNCSLOTS", *words) == b"failed"
    assert pair.say("FINISH", epoch) == Failure("ERR No such slot migration job")
    assert pair.b.call("DBSIZE") == 0


def test_a_source_that_asks_again_learns_of_success() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    assert pair.say("FINISH", pair.say("PREPARE")) == "OK"
    words = ("STATUS", "NAME", pair.job.name, "SLOTSRANGE", 0, 99)
    assert pair.b.connect().call("CLUSTER", "SYNCSLOTS", *words) == b"success"


def test_slots_are_on_disk_before_anybody_hears() -> None:
    pair = Pair()
    pair.begin()
    pair.b.bus.saved.clear()
    assert pair.say("FINISH", pair.say("PREPARE")) == "OK"
    stored, must_sync = pair.b.bus.saved[0]
    assert must_sync
    assert stored.current_epoch == pair.b.cluster.core.state.myself.config_epoch


def test_an_epoch_of_the_source_s_own_is_held_back() -> None:
    pair = Pair()
    pair.begin()
    epoch = pair.say("PREPARE")
    pair.a.migration.close_slots(pair.job)
    pair.a.migration.grant(pair.job, 5000)
    before = pair.a.cluster.core.state.myself.config_epoch
    pair.a.cluster.command(ask.BumpEpoch())
    assert pair.a.cluster.core.state.myself.config_epoch == before
    pair.say("FINISH", epoch)
    pair.a.migration.settle(pair.job)
    pair.a.cluster.command(ask.BumpEpoch())
    assert pair.a.cluster.core.state.myself.config_epoch > before
    assert pair.a.cluster.view.table.owner(5) == pair.b.id


# --- replicas and the log of the target


def told(node: ClusteredNode) -> list[list[bytes]]:
    return [list(command.args) for batch in node.take_batches() for command in batch.commands]


def test_replicas_are_told_of_staged_keys_and_of_their_end() -> None:
    pair = Pair()
    fill(pair.a, 6)
    pair.a.call("PEXPIREAT", key(1), 1_800_000_000_000)
    pair.begin()
    pair.b.take_batches()
    pair.tell_all()
    commands = told(pair.b)
    assert {command[0] for command in commands} == {b"RESTORE"}
    assert {command[1] for command in commands} == set(contents(pair.a))
    assert all(command[-2:] == [b"REPLACE", b"ABSTTL"] for command in commands)
    assert [c[2] for c in commands if c[1] == key(1).encode()] == [b"1800000000000"]
    pair.a.call("DEL", key(2))
    pair.tell_all()
    assert told(pair.b) == [[b"DEL", key(2).encode()]]
    pair.b.machine.disconnect(pair.link.session)
    pair.b.tick()
    forgotten = {name for command in told(pair.b) for name in command[1:]}
    assert forgotten == set(contents(pair.a))


def test_the_source_s_replicas_are_told_that_the_keys_are_gone() -> None:
    pair = Pair()
    fill(pair.a, 10)
    names = set(contents(pair.a))
    pair.begin()
    pair.tell_all()
    pair.a.take_batches()
    pair.hand_over()
    pair.a.tick()
    commands = told(pair.a)
    assert {command[0] for command in commands} == {b"UNLINK"}
    assert {name for command in commands for name in command[1:]} == names


def test_keys_are_told_to_be_gone_before_they_can_come_back() -> None:
    pair = Pair()
    fill(pair.a, 10)
    pair.begin()
    pair.tell_all()
    pair.hand_over()
    assert pair.a.migration.trimmer.untold_count == 10
    pair.a.take_batches()
    back = pair.a.connect()
    words = ("ESTABLISH", "SOURCE", pair.b.id, "NAME", "0" * 40, "SLOTSRANGE", 0, 99)
    assert back.call("CLUSTER", "SYNCSLOTS", *words) == "OK"
    assert pair.a.migration.trimmer.untold_count == 0
    assert told(pair.a)


def test_foreign_keys_are_swept_away_and_others_are_not() -> None:
    pair = Pair()
    database = pair.b.machine.keyspace.database(0)
    database.set(key(0).encode(), b"left over")
    database.set(b"{foo}", b"ours")
    assert pair.b.cluster.view.table.owner(database.slot_of(b"{foo}")) == pair.b.id
    pair.b.migration.drop_foreign_keys()
    assert set(contents(pair.b)) == {b"{foo}"}


# --- refusals


def test_two_migrations_of_one_slot() -> None:
    pair = Pair()
    pair.begin()
    words = ("SLOTSRANGE", 99, 100, "NODE", pair.b.id)
    assert pair.a.call("CLUSTER", "MIGRATESLOTS", *words) == Failure(
        "ERR I am already migrating slot 99."
    )
    other = pair.b.connect()
    begin = ("ESTABLISH", "SOURCE", pair.a.id, "NAME", "1" * 40, "SLOTSRANGE", 99, 100)
    assert other.call("CLUSTER", "SYNCSLOTS", *begin) == Failure(
        "ERR Slot is already being imported on the target by a different migration"
    )


def test_keys_of_other_slots_end_the_job() -> None:
    pair = Pair()
    pair.begin()
    reply = pair.say("KEYS", "{foo}", 0, "x")
    assert reply == Failure("ERR A key is in none of the slots of this migration")
    assert pair.b.last_job(Operation.IMPORT).state is State.FAILED


def test_a_damaged_payload_ends_the_job() -> None:
    pair = Pair()
    pair.begin()
    assert pair.say("KEYS", key(0), 0, "nonsense") == Failure("ERR The payload of a key is damaged")
    assert not pair.b.machine.keyspace.staged


def test_a_source_that_is_never_in_time_tells_everything_all_the_same() -> None:
    pair = Pair()
    for number in range(20):
        pair.a.call("SET", key(number), "x")
    pair.begin()
    now_ns = 0

    def late() -> int:
        # As if the system had taken the processor away between any two looks.
        nonlocal now_ns
        now_ns += 1_000_000
        return now_ns

    pair.a.machine.timer = late
    pair.hand_over()
    assert pair.b.call("DBSIZE") == 20


def test_no_message_has_a_hundred_words_or_much_more_than_16_kb() -> None:
    pair = Pair()
    pair.a.machine.timer = lambda: 0
    fill(pair.a, 200)
    for number in range(200, 240):
        pair.a.call("SET", key(number), "x" * 3000)
    pair.begin()
    pieces: list[list[bytes]] = []
    while piece := pair.export.next_piece():
        pieces.append(piece)
    assert sum(map(len, pieces)) == 240 * 3
    assert max(map(len, pieces)) == 96
    assert max(sum(map(len, piece)) for piece in pieces) < 20_000


def test_a_target_without_room_ends_the_job() -> None:
    pair = Pair(maxmemory=60_000)
    for number in range(20):
        pair.a.call("SET", key(number), "x" * 2000)
    for number in range(20):
        pair.b.call("SET", f"{{foo}}{number}", "x" * 2000)
    pair.begin()
    words: list[bytes] = []
    while piece := pair.export.next_piece():
        words += piece
    replies = [pair.say("KEYS", *words[i : i + 3]) for i in range(0, len(words), 3)]
    assert any("OOM" in str(reply) for reply in replies)
    assert pair.b.last_job(Operation.IMPORT).state is State.FAILED
    assert pair.b.call("DBSIZE") == 20


def cluster_info(pair: Pair, *, of_target: bool = False) -> dict[str, int]:
    reply = (pair.b if of_target else pair.a).call("CLUSTER", "INFO")
    assert isinstance(reply, bytes)
    rows = [row.split(":") for row in reply.decode().splitlines()]
    prefix = "cluster_slot_migration_"
    return {name.removeprefix(prefix): int(value) for name, value in rows if prefix in name}


def test_cluster_info_counts_what_goes_on() -> None:
    pair = Pair()
    fill(pair.a, 10)
    assert not any(cluster_info(pair).values())
    pair.a.observe(True)
    pair.begin()
    assert cluster_info(pair)["active_tasks"] == cluster_info(pair, of_target=True)["active_tasks"]
    assert cluster_info(pair)["active_tasks"] == 1
    pair.tell_all()
    pair.hand_over()
    seen = cluster_info(pair)
    assert (seen["active_tasks"], seen["active_trim_current_job_keys"]) == (0, 10)
    slots = seen["active_trim_running"]
    assert slots == seen["stats_active_trim_started"] > 0
    pair.a.tick()
    seen = cluster_info(pair)
    assert (seen["active_trim_running"], seen["stats_active_trim_completed"]) == (0, slots)
