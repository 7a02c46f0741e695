"""Reads `seeds.txt`: the seeds that once found something."""

from pathlib import Path

from attrs import frozen

SEEDS = Path(__file__).with_name("seeds.txt")


@frozen
class Seed:
    """One line."""

    number: int
    is_open: bool
    """Whether what it found is still to be mended."""


def read_seeds(path: Path = SEEDS) -> list[Seed]:
    """The seeds, without their stories."""
    lines = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
    return [Seed(int(words[0]), "open" in words) for words in lines if words]
