"""`clustrio dump` on append-only files judges and mends as redis-check-aof does."""

import io
import subprocess
from pathlib import Path

import pytest

from clustrio.node.propagation import encode_command
from clustrio.tools.dump.cli import FORMATS, Request, main

pytestmark = pytest.mark.redis_server

GOOD = b"".join(
    encode_command(line.split())
    for line in (b"SELECT 0", b"SET a 1", b"MULTI", b"INCR a", b"INCR a", b"EXEC", b"DEL b")
)


def judge(path: Path, *, fixes: bool = False) -> tuple[bool, str]:
    out = io.StringIO()
    request = Request(
        path=path, out=out, as_json=False, only_checks=False, lists_keys=False, top=0, fixes=fixes
    )
    return FORMATS["aof"].dump(request), out.getvalue()


def redis_judges(path: Path) -> bool:
    done = subprocess.run(["redis-check-aof", str(path)], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.parametrize("cut", [*range(1, len(GOOD), 7), len(GOOD)])
def test_same_verdict_and_same_cut(cut: int, tmp_path: Path) -> None:
    own, other = tmp_path / "own.aof", tmp_path / "other.aof"
    for path in (own, other):
        path.write_bytes(GOOD[:cut])
    is_sound, text = judge(own)
    assert is_sound == redis_judges(other), text
    assert judge(own, fixes=True)[0]
    subprocess.run(
        ["redis-check-aof", "--fix", str(other)], input=b"y\n", capture_output=True, check=False
    )
    assert own.read_bytes() == other.read_bytes()
    assert not own.read_bytes() or main(["--check", str(own)]) == 0


def test_a_manifest_and_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = tmp_path / "log.manifest"
    manifest.write_bytes(b"file log.1.incr.aof seq 1 type i\nfile log.2.incr.aof seq 2 type i\n")
    (tmp_path / "log.1.incr.aof").write_bytes(GOOD)
    assert main([str(manifest)]) == 1
    assert "missing" in capsys.readouterr().out
    (tmp_path / "log.2.incr.aof").write_bytes(b"")
    assert main([str(manifest)]) == 0
    assert "INCR 2" in capsys.readouterr().out
