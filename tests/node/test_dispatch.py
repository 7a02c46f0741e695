"""The gate: what is counted, who is refused, and what a command leaves behind."""

import pytest

from clustrio.node.errors import CommandError

from .harness import Failure, MemoryClient, MemoryNode


def shown(watcher: MemoryClient) -> list[str]:
    """The database and the words of each line that MONITOR wrote."""
    data = b"".join(watcher.session.outbox).decode()
    watcher.session.outbox.clear()
    found = []
    for line in data.split("\r\n")[:-1]:
        place, _, words = line.partition("] ")
        found.append(place.partition("[")[2].split()[0] + " " + words)
    return found


# --- MONITOR --------------------------------------------------------------------------------------


def test_commands_are_shown_after_they_ran() -> None:
    node = MemoryNode()
    watcher = node.connect()
    watcher.call("MONITOR")
    node.send(("SELECT", 3), ("MULTI",), ("SET", "a", 1), ("INCR", "a"), ("EXEC",), ("RESET",))
    assert shown(watcher) == [
        '3 "SELECT" "3"',
        '3 "MULTI"',
        '3 "SET" "a" "1"',
        '3 "INCR" "a"',
        '3 "EXEC"',
        '0 "RESET"',
    ]


def test_a_command_that_failed_is_shown_and_one_that_was_refused_is_not() -> None:
    node = MemoryNode()
    watcher = node.connect()
    watcher.call("MONITOR")
    node.call("RPUSH", "list", "a")
    node.call("GET", "list")
    node.call("GET")
    assert shown(watcher) == ['0 "RPUSH" "list" "a"', '0 "GET" "list"']


def test_data_is_refused_to_a_watcher_before_anything_is_booked() -> None:
    node = MemoryNode()
    watcher = node.connect()
    watcher.call("MONITOR")
    refusal = Failure("ERR Replica can't interact with the keyspace")
    assert watcher.call("SET", "a", "b") == refusal
    replies = watcher.send(("MULTI",), ("GET", "a"), ("EXEC",))
    assert [reply for reply in replies if isinstance(reply, Failure)] == [
        refusal,
        Failure("EXECABORT Transaction discarded because of previous errors."),
    ]
    commands = node.machine.gate.commands
    assert (commands[b"SET"].statistics.rejected, commands[b"SET"].statistics.calls) == (1, 0)


# --- what is counted ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"WRONGTYPE Operation against", "WRONGTYPE"),
        (b"anything", "ERR"),
        (b"", "ERR"),
        (b"A" * 30 + b" is a code", "A" * 30),
        (b"A" * 31 + b" is none", "ERR"),
        (b"A" * 5000, "ERR"),
    ],
)
def test_errors_count_by_their_code(text: bytes, code: str) -> None:
    gate = MemoryNode().machine.gate
    gate.count_error(CommandError(text))
    assert gate.error_counts == {code: 1}
    assert gate.error_total == 1


def test_a_container_alone_is_a_rejected_call() -> None:
    for is_observed in (True, False):
        node = MemoryNode()
        node.observe(is_observed)
        assert node.call("CONFIG") == Failure("ERR wrong number of arguments for 'config' command")
        node.call("CONFIG", "NOPE")
        assert node.machine.gate.commands[b"CONFIG"].statistics.rejected == 1


# --- rename-command -------------------------------------------------------------------------------


def unknown(*words: str) -> Failure:
    arguments = "".join(f"'{word}' " for word in words[1:])
    return Failure(f"ERR unknown command '{words[0]}', with args beginning with: {arguments}")


@pytest.mark.parametrize("is_observed", [True, False])
def test_a_renamed_command_answers_to_its_new_name_alone(is_observed: bool) -> None:
    node = MemoryNode(rename_command="SET sEt2")
    node.observe(is_observed)
    assert node.call("set", "a", "b") == unknown("set", "a", "b")
    assert node.call("SET", "a", "b") == unknown("SET", "a", "b")
    for name in ("set2", "SET2", "Set2"):
        assert node.call(name, "a", "b") == "OK"
    assert node.call("set2") == Failure("ERR wrong number of arguments for 'set' command")
    # In books and tables it keeps its own name.
    assert node.machine.gate.commands[b"SET"].statistics.calls == 3
    assert node.call("COMMAND", "INFO", "set") == [None]
    assert node.call("COMMAND", "INFO", "set2")[0][0] == b"set"
    assert node.call("COMMAND", "GETKEYS", "set2", "a", "b") == [b"a"]
    assert node.call("COMMAND", "GETKEYS", "set", "a", "b") == Failure(
        "ERR Invalid command specified"
    )


def test_a_renamed_container_is_asked_for_by_its_new_name() -> None:
    node = MemoryNode(rename_command="config cfg")
    assert node.call("CONFIG", "GET", "hz") == unknown("CONFIG", "GET", "hz")
    assert node.call("cfg", "get", "hz") == [b"hz", b"10"]
    assert node.call("cfg", "nope") == Failure("ERR unknown subcommand 'nope'. Try CFG HELP.")
    assert node.call("cfg") == Failure("ERR wrong number of arguments for 'config' command")
    assert node.call("COMMAND", "INFO", "cfg|get")[0][0] == b"config|get"


def test_a_command_without_a_name_is_gone() -> None:
    count = MemoryNode().call("COMMAND", "COUNT")
    node = MemoryNode(rename_command='get ""')
    assert node.call("get", "a") == unknown("get", "a")
    assert node.call("COMMAND", "COUNT") == count - 1
    assert b"get" not in node.call("COMMAND", "LIST")
    node.send(*[("GET", "a")] * 20)
    node.send(("MULTI",), ("GET", "a"))
    assert node.call("EXEC") == Failure(
        "EXECABORT Transaction discarded because of previous errors."
    )


# --- CLIENT NO-TOUCH ------------------------------------------------------------------------------


def idle_s(node: MemoryNode, key: str) -> int:
    idle = node.call("OBJECT", "IDLETIME", key)
    assert isinstance(idle, int)
    return idle


@pytest.fixture
def node() -> MemoryNode:
    """A node that keeps access times, with a key that was not used for a minute."""
    node = MemoryNode(maxmemory_policy="allkeys-lru")
    node.observe(False)
    node.call("SET", "a", "b")
    node.advance(60_000)
    return node


@pytest.mark.parametrize("request_", [("GET", "a"), ("STRLEN", "a"), ("APPEND", "a", "x")])
def test_a_client_that_leaves_no_trace(node: MemoryNode, request_: tuple[str, ...]) -> None:
    quiet = node.connect()
    assert quiet.call("CLIENT", "NO-TOUCH", "ON") == "OK"
    quiet.call(*request_)
    assert idle_s(node, "a") == 60


def test_touch_always_leaves_a_trace(node: MemoryNode) -> None:
    quiet = node.connect()
    quiet.call("CLIENT", "NO-TOUCH", "ON")
    assert quiet.call("TOUCH", "a") == 1
    assert idle_s(node, "a") == 0


def test_the_rule_holds_for_each_command_of_a_transaction(node: MemoryNode) -> None:
    quiet = node.connect()
    quiet.call("CLIENT", "NO-TOUCH", "ON")
    quiet.send(("MULTI",), ("GET", "a"), ("GET", "a"), ("EXEC",))
    assert idle_s(node, "a") == 60
    quiet.send(("MULTI",), ("GET", "a"), ("TOUCH", "a"), ("GET", "a"), ("EXEC",))
    assert idle_s(node, "a") == 0


@pytest.mark.parametrize("end", [("CLIENT", "NO-TOUCH", "OFF"), ("RESET",)])
def test_other_clients_and_later_commands_leave_traces(
    node: MemoryNode, end: tuple[str, ...]
) -> None:
    quiet = node.connect()
    quiet.call("CLIENT", "NO-TOUCH", "ON")
    quiet.call("GET", "a")
    quiet.call("INCR", "a")  # Fails, and must not leave the books closed.
    assert idle_s(node, "a") == 60
    node.call("GET", "a")
    assert idle_s(node, "a") == 0
    node.advance(60_000)
    quiet.send(end)
    quiet.call("GET", "a")
    assert idle_s(node, "a") == 0


# --- requirepass ----------------------------------------------------------------------------------

NO_AUTH = Failure("NOAUTH Authentication required.")


def test_a_new_password_is_asked_of_new_clients_only() -> None:
    node = MemoryNode()
    node.call("CONFIG", "SET", "requirepass", "first")
    assert node.call("GET", "a") is None
    late = node.connect()
    assert late.call("GET", "a") == NO_AUTH
    assert late.call("AUTH", "first") == "OK"
    node.call("CONFIG", "SET", "requirepass", "second")
    assert late.call("GET", "a") is None
    assert late.call("AUTH", "first") == Failure(
        "WRONGPASS invalid username-password pair or user is disabled."
    )


def test_a_password_that_is_taken_away_keeps_nobody_out() -> None:
    node = MemoryNode()
    node.call("CONFIG", "SET", "requirepass", "first")
    stranger = node.connect()
    assert stranger.call("GET", "a") == NO_AUTH
    node.call("CONFIG", "SET", "requirepass", "")
    assert stranger.call("GET", "a") is None
    # It never logged in, though, and HELLO and the next password know that.
    assert stranger.call("HELLO", 2).startswith("NOAUTH HELLO must be called with")
    node.call("CONFIG", "SET", "requirepass", "second")
    assert stranger.call("GET", "a") == NO_AUTH
