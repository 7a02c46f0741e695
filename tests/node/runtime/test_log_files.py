"""The files of the log: what becomes of those that a rewrite has made superfluous."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from clustrio.node.runtime.disk import Disk
from clustrio.node.runtime.log_files import LogFiles

from ..harness import MemoryNode


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogFiles:
    monkeypatch.chdir(tmp_path)
    files = LogFiles(MemoryNode().machine, Disk())
    files.open_at_start()
    return files


def rewrite(files: LogFiles) -> None:
    files.begin_increment()
    Path("temp.aof").write_bytes(b"base")
    files.take_new_base("temp.aof", True)


def open_files() -> int:
    """How many descriptors of this process are of files of the log."""
    files = {(each.stat().st_dev, each.stat().st_ino) for each in Path("appendonlydir").iterdir()}
    count = 0
    for descriptor in map(int, os.listdir("/dev/fd")):
        with suppress(OSError):
            status = os.fstat(descriptor)
            count += (status.st_dev, status.st_ino) in files
    return count


def test_removed_files_are_left_for_another_thread_to_close(files: LogFiles) -> None:
    left: list[int] = []
    files.close_removed = left.append
    old = {each.name for each in files.manifest.files()}
    assert len(old) == 2
    rewrite(files)
    kept = {each.name for each in files.manifest.files()} | {files.manifest.file_name}
    assert set(os.listdir("appendonlydir")) == kept
    assert not kept & old
    assert [os.fstat(descriptor).st_nlink for descriptor in left] == [0, 0]
    for descriptor in left:
        os.close(descriptor)
    for descriptor in files.retired:
        os.close(descriptor)
    files.retired.clear()
    files.close()


def test_what_cannot_be_removed_stays_listed_and_leaves_nothing_open(
    files: LogFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise PermissionError(1, "no", path)

    assert open_files() == 1
    with monkeypatch.context() as patch:
        patch.setattr(files.disk, "unlink", refuse)
        rewrite(files)
    assert len(files.manifest.history) == 2
    # The new increment, too.
    assert open_files() == 2
    files.remove_history()
    assert files.manifest.history == []
    files.close()
