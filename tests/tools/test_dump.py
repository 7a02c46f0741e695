"""`clustrio dump` for snapshots: what it shows, and what it says of damage."""

import json
from pathlib import Path
from random import Random

import pytest

from clustrio.node.database import Clock
from clustrio.node.keyspace import Keyspace
from clustrio.node.persistence.rdb import SnapshotFacts, write_snapshot
from clustrio.node.values.listvalue import ListValue
from clustrio.tools.__main__ import main


@pytest.fixture
def snapshot(tmp_path: Path) -> Path:
    keyspace = Keyspace(16, False, Clock(0), Random(1))
    first, second = keyspace.database(0), keyspace.database(3)
    first.set(b"text", b"value")
    first.expire_at(b"text", 1_700_000_000_000)
    first.set(b"odd\n\xff", b"1")
    second.set(b"list", ListValue([b"element"] * 20))
    path = tmp_path / "dump.rdb"
    pieces = write_snapshot(keyspace, SnapshotFacts(created_s=5), functions=[b"#!lua name=x"])
    path.write_bytes(b"".join(pieces))
    return path


def test_keys_sizes_and_lifetimes_are_shown(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", str(snapshot)]) == 0
    out = capsys.readouterr().out
    keys = {line.split()[-1]: line for line in out.splitlines()[1:4]}
    assert set(keys) == {"text", r"odd\n\xff", "list"}
    assert "2023-11-14 22:13:20Z" in keys["text"]
    assert "list-quicklist-2" in keys["list"]
    assert " 20 " in keys["list"]
    assert "3 keys, 1 of them with a lifetime" in out
    assert "ctime: 5" in out
    assert "function library of 12 bytes" in out
    assert "db 3: 1" in out
    assert out.splitlines()[-1].endswith("sound, 3 keys")


def test_the_summary_leaves_out_the_keys_and_tells_the_biggest(
    snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", str(snapshot), "--summary", "--top", "1"]) == 0
    out = capsys.readouterr().out
    assert out.count("quicklist") == 1
    assert "text" not in out


@pytest.mark.parametrize("options", [[], ["--summary"], ["--top", "0"]])
def test_json_is_one_document(
    snapshot: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert main(["dump", "--json", str(snapshot), *options]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["sound"] is True
    assert document["version"] == 10
    assert document["types"]["list"] == {"keys": 1, "elements": 20, "bytes": 33}
    assert document["databases"] == {"0": 2, "3": 1}
    assert document["functions"] == ["#!lua name=x"]
    assert len(document["biggest"]) == (0 if "--top" in options else 3)
    if "--summary" in options:
        assert "keys" not in document
    else:
        by_name = {entry["key"]: entry for entry in document["keys"]}
        assert by_name["text"]["expire_at_ms"] == 1_700_000_000_000
        assert "expire_at_ms" not in by_name["list"]
        assert by_name["list"]["db"] == 3


@pytest.mark.parametrize("form", ["--check", "--summary", "--json"])
def test_damage_is_told_with_its_place(
    snapshot: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    data = snapshot.read_bytes()
    snapshot.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert main(["dump", str(snapshot), form]) == 1
    out = capsys.readouterr().out
    assert str(len(data) - 8) in out
    assert "checksum" in out
    if form == "--json":
        assert json.loads(out)["error"]["offset"] == len(data) - 8


def test_a_sound_file_is_called_sound(snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    snapshot.write_bytes(snapshot.read_bytes() + b"*1\r\n")
    assert main(["dump", "--check", str(snapshot)]) == 0
    assert capsys.readouterr().out.rstrip().endswith("followed by 4 bytes of something else")


def test_other_files_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"something else")
    assert main(["dump", str(path)]) == 1
    assert "no file of a known kind" in capsys.readouterr().err
    assert main(["dump", str(tmp_path / "missing")]) == 1
    assert "No such file" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["dump", "--nonsense", str(path)])
    assert caught.value.code == 2
