"""Clustrio against a real redis-server: what several clients hear of each other.

python -m pytest tests/differential/test_listening.py --differential-steps 20000 --seed 7
"""

from collections.abc import Callable, Iterator
from random import Random

import pytest

from ..support.servers import require_redis, start_clustrio, start_redis
from .grammar_pubsub import draw_moves
from .grammar_transactions import draw_transactions
from .listening import Move, play, shortest
from .runner import Pair

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]

EPISODE_MOVES = 60
#: A move costs as much as ten steps of the other groups: each client is asked whether it is quiet.
STEPS_PER_MOVE = 10


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # A fixture of a wider scope comes before the marker is looked at.
    require_redis()
    with start_clustrio() as ours, start_redis() as theirs:
        yield Pair(ours, theirs)


@pytest.mark.parametrize(
    ("what", "draw", "share"),
    [("listening", draw_moves, 1.0), ("transactions", draw_transactions, 0.4)],
)
def test_clients_hear_the_same(
    pair: Pair,
    what: str,
    draw: Callable[[Random, int], list[Move]],
    share: float,
    seed: int,
    pytestconfig: pytest.Config,
) -> None:
    random = Random(f"{what} {seed}")
    steps = int(pytestconfig.option.differential_steps * share)
    left = max(EPISODE_MOVES, steps // STEPS_PER_MOVE)
    while left > 0:
        moves = draw(random, min(EPISODE_MOVES, left))
        left -= len(moves)
        if play(pair, moves) is not None:
            pytest.fail(f"seed {seed}\n{shortest(pair, moves)}", pytrace=False)


def test_a_difference_is_found(pair: Pair) -> None:
    # What only one of the servers knows is a difference, and the moves before it are not to blame.
    moves = [Move(0, ((b"SUBSCRIBE", b"a"),)), Move(2, ((b"CLIENT", b"NO-TOUCH", b"ON"),))]
    told = shortest(pair, moves)
    assert told.startswith("client 2: CLIENT NO-TOUCH ON\nclient 2 hears")
    assert (
        play(pair, [Move(0, ((b"SUBSCRIBE", b"a"),)), Move(2, ((b"PUBLISH", b"a", b"x"),))]) is None
    )
