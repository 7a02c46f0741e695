"""Replacing files, and the disk that fails on order."""

import errno
import os
from pathlib import Path

import pytest

from clustrio.node.runtime.disk import SHORT, Disk, FaultyDisk
from clustrio.node.runtime.files import replace_file


def test_a_replaced_file_has_the_new_contents(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for data in (b"old", b"", b"new" * 100_000):
        replace_file(str(path), data)
        assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]
    assert path.stat().st_mode & 0o777 == 0o644


def test_the_claim_comes_before_the_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[bytes] = []
    descriptor = Disk().replace(str(path), b"new", claim=lambda _: seen.append(path.read_bytes()))
    assert seen == [b"old"]
    assert os.fstat(descriptor).st_ino == path.stat().st_ino
    os.close(descriptor)


@pytest.mark.parametrize("fault", [SHORT, "ENOSPC", "EIO"])
def test_whatever_fails_the_old_file_is_whole(fault: str, tmp_path: Path) -> None:
    codes: list[int | None] = []
    for at in range(1, 8):
        path = tmp_path / "file"
        path.write_bytes(b"old")
        disk = FaultyDisk(at, fault)
        before = len(codes)
        try:
            os.close(disk.replace(str(path), b"newer"))
        except OSError as failure:
            codes.append(failure.errno)
        is_old = path.read_bytes() == b"old"
        assert is_old == (len(codes) > before)
        assert is_old or path.read_bytes() == b"newer"
        assert os.listdir(tmp_path) == ["file"]
    # Open, write, sync, rename; half a write is made good by the next.
    assert codes == [getattr(errno, fault, errno.ENOSPC)] * (3 if fault == SHORT else 4)


def test_the_disk_gets_well_again(tmp_path: Path) -> None:
    disk = FaultyDisk(2, "EIO", times=2)
    descriptor = disk.create(str(tmp_path / "file"))
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output error"):
            disk.write(descriptor, b"x")
    assert disk.write(descriptor, b"x") == 1
    disk.close(descriptor)
