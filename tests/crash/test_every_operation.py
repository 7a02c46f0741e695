"""The process dies, or the disk fails, at each operation of saving, rewriting and logging."""

from collections.abc import Callable
from pathlib import Path

import pytest

from clustrio.node.runtime.disk import KILL, SHORT, Disk, FaultyDisk

from .scenario import BROKEN, DONE, Node, broken, run_story

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

KILLED = -9
#: More operations than any story here has.
OPERATIONS_MAX = 200
#: What the story writes and is told of.
WRITES = 4
ALWAYS = 'appendonly yes\nappendfsync always\nsave ""\n'
EVERY_SECOND = 'appendonly yes\nsave ""\n'


async def write_and_rewrite(node: Node, tell: Callable[[str], None]) -> None:
    """Some writes, a rewrite with writes meanwhile, some more."""
    number = 0

    def write() -> None:
        nonlocal number
        number += 1
        if node.call("SET", f"key:{number}", number) == "OK":
            tell(f"{number}")
        node.call("INCR", "count")

    write()
    write()
    node.call("BGREWRITEAOF")
    write()
    await node.wait_for_child()
    write()
    await node.write_rest()


def is_untouched(directory: Path) -> bool:
    """Whether the log knows of no trouble: the fault came after the end of the story."""
    log = (directory / "log.txt").read_text()
    return " # " not in log


def recovered(directory: Path, settings: str) -> tuple[set[str], int]:
    """What a node on a sound disk finds: the numbers of the keys, and the count."""

    async def look(node: Node, tell: Callable[[str], None]) -> None:
        for key in node.call("KEYS", "key:*"):
            number = key.decode().removeprefix("key:")
            assert node.call("GET", key) == number.encode()
            tell(number)
        tell(f"count {int(node.call('GET', 'count') or 0)}")

    code, told = run_story(directory, Disk(), settings, look)
    log = (directory / "log.txt").read_text()
    assert code == DONE, f"{broken(directory)}\n{log}"
    return set(told[:-1]), int(told[-1].split()[1])


def sweep(
    tmp_path: Path, fault: str, settings: str, check: Callable[[Path, int, list[str]], None]
) -> int:
    """Run the story with the fault at each operation until one is late enough not to matter."""
    step = 1 if fault == KILL else 3
    for at in range(1, OPERATIONS_MAX, step):
        directory = tmp_path / str(at)
        directory.mkdir()
        disk = FaultyDisk(at, fault)
        code, told = run_story(directory, disk, settings, write_and_rewrite)
        assert code != BROKEN, f"operation {at}: {broken(directory)}"
        check(directory, code, told)
        if code == DONE and len(told) == WRITES and is_untouched(directory):
            return at
    raise AssertionError("there is no end of operations")


def test_killed_at_any_operation_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    def check(directory: Path, code: int, told: list[str]) -> None:
        assert code in (KILLED, DONE)
        numbers, count = recovered(directory, ALWAYS)
        assert set(told) <= numbers
        assert len(told) - 1 <= count <= len(told) + 1

    assert sweep(tmp_path, KILL, ALWAYS, check) > 25


@pytest.mark.parametrize("fault", [SHORT, "ENOSPC", "EIO"])
def test_a_failing_disk_loses_nothing_acknowledged(fault: str, tmp_path: Path) -> None:
    def check(directory: Path, code: int, told: list[str]) -> None:
        numbers, _ = recovered(directory, ALWAYS)
        assert set(told) <= numbers

    sweep(tmp_path, fault, ALWAYS, check)


@pytest.mark.parametrize("fault", [SHORT, "ENOSPC", "EIO"])
def test_without_fsync_for_each_write_the_node_lives_on(fault: str, tmp_path: Path) -> None:
    def check(directory: Path, code: int, told: list[str]) -> None:
        numbers, _ = recovered(directory, EVERY_SECOND)
        assert set(told) <= numbers

    sweep(tmp_path, fault, EVERY_SECOND, check)


@pytest.mark.parametrize("fault", [KILL, SHORT, "ENOSPC", "EIO"])
def test_a_snapshot_is_the_old_one_or_the_new_one(fault: str, tmp_path: Path) -> None:
    settings = 'save ""\n'

    async def save(node: Node, tell: Callable[[str], None]) -> None:
        node.call("SET", "key:2", "2")
        if node.call("SAVE") == "OK":
            tell("2")

    async def first(node: Node, tell: Callable[[str], None]) -> None:
        node.call("SET", "key:1", "1")
        assert node.call("SAVE") == "OK"

    outcomes = set()
    for at in range(1, 12):
        directory = tmp_path / str(at)
        directory.mkdir()
        assert run_story(directory, Disk(), settings, first) == (DONE, [])
        code, told = run_story(directory, FaultyDisk(at, fault), settings, save)
        assert code in (DONE, KILLED)
        numbers, _ = recovered(directory, settings)
        assert "1" in numbers
        assert set(told) <= numbers
        if code == DONE and not told:
            assert not list(directory.glob("temp-*"))
        outcomes.add((bool(told), "2" in numbers))
    assert (True, True) in outcomes
    assert (False, False) in outcomes
