"""When to save and to rewrite, what INFO says, and when writes are refused."""

import pytest

from clustrio.node.persistence.status import ChildKind, LogState

from ..harness import START_MS, Failure, MemoryNode

MISCONF = Failure("MISCONF Errors writing to the AOF file: No space left on device")


def node_with(**settings: str) -> tuple[MemoryNode, list[str]]:
    """A node whose orders to save are only noted."""
    node = MemoryNode(**settings)
    orders: list[str] = []
    state = node.machine.persistence

    def save() -> bool:
        orders.append("save")
        state.begin_child(ChildKind.SNAPSHOT)
        return True

    def rewrite() -> bool:
        orders.append("rewrite")
        state.begin_child(ChildKind.REWRITE)
        return True

    state.start_background_save = save
    state.start_rewrite = rewrite
    return node, orders


def test_a_save_point_is_due_after_its_time_and_its_changes() -> None:
    node, orders = node_with(save="10 3")
    for number in range(2):
        node.call("SET", number, "x")
    node.advance(11_000)
    node.tick()
    assert orders == []
    node.call("SET", "third", "x")
    node.tick()
    node.tick()
    assert orders == ["save"]
    node.call("SET", "meanwhile", "x")
    node.advance(2000)
    state = node.machine.persistence
    state.on_background_saved(12345)
    assert state.dirty == 1
    assert state.last_save_s == (START_MS + 13_000) // 1000
    assert state.last_save_took_s == 2


def test_after_a_failure_the_next_try_waits() -> None:
    node, orders = node_with(save="1 1")
    node.call("SET", "a", "b")
    node.advance(2000)
    node.tick()
    state = node.machine.persistence
    state.on_background_save_failed()
    node.advance(4000)
    node.tick()
    assert orders == ["save"]
    node.advance(2000)
    node.tick()
    assert orders == ["save", "save"]


def test_writes_are_refused_while_saving_fails() -> None:
    node, _ = node_with(save="1 1")
    state = node.machine.persistence
    state.begin_child(ChildKind.SNAPSHOT)
    state.on_background_save_failed()
    for words in (("SET", "a", "b"), ("PING",)):
        assert str(node.call(*words)).startswith("MISCONF Redis is configured to save RDB")
    assert node.call("GET", "a") is None
    state.on_saved()
    assert node.call("SET", "a", "b") == "OK"
    state.begin_child(ChildKind.SNAPSHOT)
    state.on_background_save_failed(was_ordered=True)
    assert node.call("SET", "a", "b") == "OK"


def test_writes_are_refused_while_the_log_fails() -> None:
    node, _ = node_with()
    state = node.machine.persistence
    state.log_write_error = "No space left on device"
    state.recheck()
    assert node.call("SET", "a", "b") == "OK"  # there is no log
    state.log_state = LogState.ON
    state.recheck()
    assert node.call("SET", "a", "b") == MISCONF
    assert node.call("GET", "a") == b"b"
    state.log_write_error = None
    state.recheck()
    assert node.call("SET", "a", "b") == "OK"


def test_a_transaction_with_a_write_is_refused_at_its_end() -> None:
    node, _ = node_with()
    state = node.machine.persistence
    node.send(("MULTI",), ("SET", "a", "b"))
    state.log_state, state.log_write_error = LogState.ON, "No space left on device"
    state.recheck()
    assert str(node.call("EXEC")).startswith(("MISCONF", "EXECABORT"))
    node.call("DISCARD")
    assert node.call("EXISTS", "a") == 0


def test_growth_of_the_log_orders_a_rewrite() -> None:
    node, orders = node_with(auto_aof_rewrite_min_size="1000", auto_aof_rewrite_percentage="50")
    state = node.machine.persistence
    state.log_state = LogState.ON
    state.log_rewritten_bytes = 1000
    state.log_bytes = 1499
    node.tick()
    assert orders == []
    state.log_bytes = 1500
    node.tick()
    assert orders == ["rewrite"]
    state.on_rewritten(0)
    node.call("CONFIG", "SET", "auto-aof-rewrite-percentage", 0)
    node.tick()
    assert orders == ["rewrite"]


def test_rewrites_that_fail_become_rare() -> None:
    node, orders = node_with(auto_aof_rewrite_min_size="10", auto_aof_rewrite_percentage="1")
    state = node.machine.persistence
    state.log_state = LogState.ON
    state.log_bytes = 1000
    for _ in range(3):
        node.tick()
        state.on_rewrite_failed()
    assert orders == ["rewrite"] * 3
    node.tick()
    assert orders == ["rewrite"] * 3
    node.advance(61_000)
    node.tick()
    assert orders == ["rewrite"] * 4


@pytest.mark.parametrize(
    ("running", "words", "reply"),
    [
        (None, "BGSAVE", "Background saving started"),
        (None, "BGSAVE SCHEDULE", "Background saving started"),
        (None, "BGSAVE LATER", Failure("ERR syntax error")),
        (None, "BGREWRITEAOF", "Background append only file rewriting started"),
        (ChildKind.SNAPSHOT, "SAVE", Failure("ERR Background save already in progress")),
        (ChildKind.SNAPSHOT, "BGSAVE", Failure("ERR Background save already in progress")),
        (
            ChildKind.SNAPSHOT,
            "BGREWRITEAOF",
            "Background append only file rewriting scheduled",
        ),
        (
            ChildKind.REWRITE,
            "BGREWRITEAOF",
            Failure("ERR Background append only file rewriting already in progress"),
        ),
        (ChildKind.REWRITE, "BGSAVE SCHEDULE", "Background saving scheduled"),
        (
            ChildKind.REWRITE,
            "BGSAVE",
            Failure(
                "ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE "
                "SCHEDULE in order to schedule a BGSAVE whenever possible."
            ),
        ),
    ],
)
def test_one_child_at_a_time(running: ChildKind | None, words: str, reply: str | Failure) -> None:
    node, _ = node_with()
    if running is not None:
        node.machine.persistence.begin_child(running)
    assert node.call(*words.split()) == reply


def test_what_was_scheduled_starts_when_the_child_is_gone() -> None:
    node, orders = node_with()
    state = node.machine.persistence
    state.begin_child(ChildKind.REWRITE)
    node.call("BGSAVE", "SCHEDULE")
    node.tick()
    assert orders == []
    state.on_rewritten(0)
    node.tick()
    assert orders == ["save"]


def test_saving_is_no_change_to_be_propagated() -> None:
    node, _ = node_with()
    state = node.machine.persistence

    def save() -> bool:
        state.on_saved()
        return True

    state.save_now = save
    node.call("SET", "a", "b")
    node.take_batches()
    assert node.call("SAVE") == "OK"
    assert node.take_propagated() == []
    assert node.call("LASTSAVE") == START_MS // 1000
    assert state.dirty == 0


@pytest.mark.parametrize(("points", "saves"), [("60 1", 1), ('""', 0)])
def test_deleting_everything_is_saved_at_once(points: str, saves: int) -> None:
    node, orders = node_with(save=points)
    state = node.machine.persistence

    def save() -> bool:
        orders.append("now")
        state.on_saved()
        return True

    state.save_now = save
    node.call("SET", "a", "b")
    node.take_batches()
    assert node.call("FLUSHALL") == "OK"
    assert orders == ["now"] * saves
    assert node.take_propagated() == [[b"FLUSHALL"]]


def test_a_log_that_waits_for_its_first_rewrite_gets_one() -> None:
    node, orders = node_with(save='""')
    state = node.machine.persistence
    state.log_state, state.is_rewrite_scheduled = LogState.WAITS_FOR_REWRITE, True
    tries: list[str] = []

    def fail() -> bool:
        tries.append("rewrite")
        state.failed_rewrites += 1
        return False

    rewrite, state.start_rewrite = state.start_rewrite, fail
    for _ in range(20):
        node.advance(100)
        node.tick()
    assert len(tries) == 3
    state.start_rewrite = rewrite
    node.advance(61_000)
    node.tick()
    assert orders == ["rewrite"]
    assert not state.is_rewrite_scheduled
