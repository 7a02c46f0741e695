"""Every story goes as it is written."""

from pathlib import Path

import pytest

from .stories import DATA, is_rewriting, tell

STORIES = sorted(DATA.glob("*.txt"))


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_story(path: Path) -> None:
    written, told, _ = tell(path)
    if is_rewriting():
        path.write_text(told)
    else:
        assert told == written


def test_there_are_stories() -> None:
    assert len(STORIES) >= 10


@pytest.mark.slow
def test_the_same_seed_gives_the_same_run() -> None:
    path = DATA / "failover.txt"
    assert tell(path)[1:] == tell(path)[1:]
