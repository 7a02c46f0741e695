"""SHUTDOWN, saving, ROLE, MODULE and LOLWUT."""

import pytest

from ..harness import START_MS, Failure, MemoryNode

CANNOT_END = Failure("ERR Errors trying to SHUTDOWN. Check logs.")
NO_MODULES = Failure("ERR modules cannot be loaded: this server is written in Python")


@pytest.mark.parametrize("words", [(), ("NOSAVE",), ("nosave", "now", "Force"), ("NOW",)])
def test_shutdown_has_no_reply(words: tuple[str, ...]) -> None:
    node = MemoryNode()
    codes: list[int] = []
    node.machine.on_shutdown = codes.append
    assert node.receive(["SHUTDOWN", *words]) == b""
    assert codes == [0]
    assert node.session.close_after_reply


def test_nothing_behind_shutdown_is_run() -> None:
    node = MemoryNode()
    node.machine.on_shutdown = lambda code: None
    assert node.receive(["SHUTDOWN"], ["SET", "a", "b"]) == b""
    assert node.machine.keyspace.database(0).key_count() == 0


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("SAVE",), CANNOT_END),
        (("SAVE", "NOW"), CANNOT_END),
        (("ABORT",), Failure("ERR No shutdown in progress.")),
        (("ABORT", "NOW"), Failure("ERR syntax error")),
        (("SAVE", "NOSAVE"), Failure("ERR syntax error")),
        (("LATER",), Failure("ERR syntax error")),
    ],
)
def test_shutdown_that_is_refused(words: tuple[str, ...], refusal: Failure) -> None:
    node = MemoryNode()
    codes: list[int] = []
    node.machine.on_shutdown = codes.append
    assert node.call("SHUTDOWN", *words) == refusal
    assert codes == []
    assert not node.session.close_after_reply


@pytest.mark.parametrize("words", ["SAVE", "BGSAVE", "BGSAVE SCHEDULE"])
def test_nothing_pretends_to_save(words: str) -> None:
    assert MemoryNode().call(*words.split()) == Failure("ERR")


def test_last_save_is_the_start() -> None:
    node = MemoryNode()
    node.advance(100_000)
    assert node.call("LASTSAVE") == START_MS // 1000


def test_role_of_a_primary_without_replicas() -> None:
    assert MemoryNode().call("ROLE") == [b"master", 0, []]


@pytest.mark.parametrize(
    ("words", "reply"),
    [
        ("LIST", []),
        ("LOAD path arg", NO_MODULES),
        ("LOADEX path CONFIG a b", NO_MODULES),
        ("UNLOAD name", Failure("ERR Error unloading module: no such module with that name")),
    ],
)
def test_modules(words: str, reply: object) -> None:
    node = MemoryNode(enable_module_command="yes")
    assert node.call("MODULE", *words.split()) == reply


@pytest.mark.parametrize("container", ["CONFIG", "MEMORY", "SLOWLOG", "LATENCY", "MODULE", "DEBUG"])
def test_help_names_every_subcommand(container: str) -> None:
    node = MemoryNode(enable_debug_command="yes")
    lines = node.call(container, "HELP")
    assert lines[0] == f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    names = {line.split()[0] for line in lines[1::2]}
    assert "HELP" in names
    assert all(line.startswith("    ") for line in lines[2::2])
    for command in node.machine.gate.commands[container.encode()].subcommands.values():
        assert command.spec.name in names


def test_a_drawing_names_the_version_and_differs_each_time() -> None:
    node = MemoryNode()
    first, second = node.call("LOLWUT"), node.call("LOLWUT")
    assert first != second
    assert first.splitlines()[-1].startswith(b"Redis ver. 7.")


@pytest.mark.parametrize(
    ("words", "columns", "rows"),
    [(("VERSION", 5, 20, 3), 20, 3), ((8, 2), 8, 2), ((0, -1), 1, 1), (("x", "y"), 48, 9)],
)
def test_a_drawing_has_the_wanted_size(
    words: tuple[str | int, ...], columns: int, rows: int
) -> None:
    lines = MemoryNode().call("LOLWUT", *words).decode().split("\n")[:-3]
    assert len(lines) == 2 * rows - 1
    assert max(map(len, lines)) <= columns + 2


def test_a_drawing_of_any_size_stays_small() -> None:
    assert len(MemoryNode().call("LOLWUT", 2**62, 2**62)) < 3_000_000
