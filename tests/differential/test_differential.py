"""Clustrio against a real redis-server: the same commands, the same replies, the same data.

    python -m pytest tests/differential --differential-steps 200000 --seed 7

A failure prints the seed and the shortest history of commands found that shows the difference.
"""

from collections.abc import Iterator
from random import Random

import pytest

from ..support.servers import client_of, require_redis, start_clustrio, start_redis
from .dsl import VALUES
from .grammar_generic import COLLECTIONS
from .grammars import GRAMMARS, Step, draw_steps
from .runner import Pair, explore

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # A fixture of a wider scope comes before the marker is looked at.
    require_redis()
    with start_clustrio() as ours, start_redis() as theirs:
        yield Pair(ours, theirs)


@pytest.fixture(scope="module")
def has_collections(pair: Pair) -> bool:
    """Whether keys of other types can be made, for commands to refuse."""
    with client_of(pair.servers[0]) as client:
        names = [rule.name for rule in COLLECTIONS]
        return all(reply.value for reply in client.call("COMMAND", "INFO", *names).items)


@pytest.mark.parametrize("group", GRAMMARS)
def test_replies_and_data_agree(
    group: str, pair: Pair, seed: int, has_collections: bool, pytestconfig: pytest.Config
) -> None:
    random = Random(f"{group} {seed}")
    rules = GRAMMARS[group] + (COLLECTIONS if has_collections else [])

    def draw(count: int) -> list[Step]:
        return draw_steps(rules, random, count)

    differences = explore(pair, draw, pytestconfig.option.differential_steps)
    if differences:
        told = "\n".join(difference.describe() for difference in differences)
        pytest.fail(f"seed {seed}, group {group}\n{told}", pytrace=False)


def test_encodings_of_stored_values_agree(pair: Pair) -> None:
    # In generated runs the encodings of strings count as one: see `agreement.py`.
    values = [*VALUES, *(b"%d" % (sign * 10**size) for size in range(20) for sign in (1, -1))]
    values += [b"x" * size for size in range(40, 50)]
    ours, theirs = pair.reset(protocol=2)
    with ours, theirs:
        for text in values:
            encodings = []
            for client in (ours, theirs):
                client.call("SET", "key", text)
                encodings.append(client.call("OBJECT", "ENCODING", "key"))
            assert encodings[0] == encodings[1], text
