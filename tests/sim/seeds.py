"""Reads `seeds.txt`: the seeds that once found something."""

from pathlib import Path

SEEDS = Path(__file__).with_name("seeds.txt")


def read_seeds(path: Path = SEEDS) -> list[int]:
    """The seeds, without their stories."""
    lines = [line.partition("#")[0].split() for line in path.read_text().splitlines()]
    return [int(words[0]) for words in lines if words]
