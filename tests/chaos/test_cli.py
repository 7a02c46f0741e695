"""The command as its users call it, where nothing runs."""

from pathlib import Path

import pytest

from clustrio.tools.__main__ import main as clustrio
from clustrio.tools.chaos.cli import main
from clustrio.tools.chaos.history import lines_of

from .histories import final, history, write


def recorded(path: Path, left: list[int]) -> Path:
    story = history([write("k", 1, 10)], [final("k", list(left))])
    path.write_text("\n".join(lines_of(story)))
    return path


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert clustrio(["chaos", "list"]) == 0
    words = capsys.readouterr().out.split()
    assert {"kill", "jepsen", "disk-full", "fill_disk", "counter"} <= set(words)


@pytest.mark.parametrize(("left", "code"), [([1], 0), ([], 1)])
def test_the_exit_code_is_the_verdict(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], left: list[int], code: int
) -> None:
    path = recorded(tmp_path / "run.jsonl", left)
    page = tmp_path / "page.html"
    assert main(["check", str(path), "--html", str(page)]) == code
    assert ("all promises kept" in capsys.readouterr().out) == (code == 0)
    assert page.read_text().startswith("<!doctype html>")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["run"],
        ["run", "no-such-plan"],
        ["run", "kill", "--address", "here"],
        ["check", "no-such-file"],
        ["run", "kill", "--mode", "dreams"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err


def test_a_broken_history_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.jsonl"
    path.write_text("nonsense\n")
    assert main(["check", str(path)]) == 2
    assert "line 1" in capsys.readouterr().err
