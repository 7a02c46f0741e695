"""`clustrio` and `clustrio sim`: arguments, exit codes, replay, pictures."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from clustrio import __version__
from clustrio.tools.__main__ import main
from clustrio.tools.sim.cli import seed_of

QUICK = ["--timeout-ms", "500", "--faults", "none", "--kill-share", "0.3", "--nodes", "6"]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"clustrio {__version__}\n"


def test_help_lists_the_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert re.search(r"^  sim +simulate", capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["simulate"],
        ["sim", "--faults", "earthquake"],
        ["sim", "--bug", "none-such"],
        ["sim", "--nodes", "2"],
        ["sim", "--kill-share", "2"],
        ["sim", "--runs", "2", "--trace"],
        ["sim", "--picture", "run.png"],
        ["sim", "--no-such-option"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err
    assert not captured.out


def test_a_seed_may_be_a_commit() -> None:
    assert seed_of("17") == 17
    assert seed_of("6112c76") != seed_of("6112c77")
    assert seed_of("6112c76") == seed_of("6112c76")


@pytest.mark.slow
def test_a_run_prints_what_it_drew_and_replays(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "4", *QUICK, "--trace"]) == 0
    first = capsys.readouterr().out
    assert "node_timeout_ms = 500\n" in first
    assert "ElectionWon epoch=4\n" in first
    assert "seed 4: ok" in first
    assert main(["sim", "--seed", "4", *QUICK, "--trace"]) == 0
    assert capsys.readouterr().out == first


@pytest.mark.slow
def test_a_broken_promise_is_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "4", *QUICK, "--bug", "vote_before_sync"]) == 1
    assert "UNSAFE in phase kill" in capsys.readouterr().out


@pytest.mark.slow
def test_a_cluster_that_does_not_heal_is_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "73", "--bug", "keep_sub_replicas"]) == 3
    assert "STUCK in phase liveness" in capsys.readouterr().out


@pytest.mark.slow
def test_many_runs_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "4", "--runs", "2", "--jobs", "1", *QUICK]) == 0
    assert "2 OK, 0 UNSAFE, 0 STUCK" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".svg", ".html"])
def test_pictures_stand_alone(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"run{suffix}"
    assert main(["sim", "--seed", "4", *QUICK, "--picture", str(path)]) == 0
    capsys.readouterr()
    text = path.read_text()
    svg = text[text.index("<svg") : text.index("</svg>") + 6]
    titles = [
        title.text or "" for title in ElementTree.fromstring(svg).iter() if "title" in title.tag
    ]
    assert any("won epoch" in title for title in titles)
    assert any(": down" in title for title in titles)
    assert "http" not in text.replace('xmlns="http://www.w3.org/2000/svg"', "")
