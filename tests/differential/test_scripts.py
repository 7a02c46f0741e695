"""Clustrio against a real redis-server: the same scripts, the same replies to the byte.

python -m pytest tests/differential/test_scripts.py
"""

from collections.abc import Iterator, Sequence

import pytest

from ..support.raw import RawClient, Reply
from ..support.servers import require_redis, start_clustrio, start_redis
from .runner import Pair, show
from .script_cases import Case
from .script_corpus import CASES, EXCEPTIONS

pytestmark = [pytest.mark.redis_server, pytest.mark.slow]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    # A fixture of a wider scope comes before the marker is looked at.
    require_redis()
    options = ("--enable-debug-command", "yes")
    with start_clustrio(*options) as ours, start_redis(*options) as theirs:
        yield Pair(ours, theirs)


def words_of(case: Case) -> list[list[bytes]]:
    """The requests of a case as bytes."""
    return [
        [word if isinstance(word, bytes) else str(word).encode() for word in request]
        for request in case.requests
    ]


def play(client: RawClient, requests: Sequence[Sequence[bytes]]) -> list[Reply]:
    """The replies to requests, on a server that knows no scripts."""
    client.call("SCRIPT", "FLUSH")
    return client.pipeline(requests)


def difference(pair: Pair, case: Case, protocol: int) -> str | None:
    """How the two servers differ in a case, in words."""
    requests = words_of(case)
    ours, theirs = pair.reset(protocol)
    with ours, theirs:
        replies = zip(requests, play(ours, requests), play(theirs, requests), strict=True)
        for request, our, their in replies:
            if our != their:
                return f"{show(request)}\n  clustrio: {our}\n  redis:    {their}"
    return None


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_scripts_agree(pair: Pair, case: Case, protocol: int) -> None:
    told = difference(pair, case, protocol)
    if case.name in EXCEPTIONS:
        assert told is not None, f"no exception any more: {EXCEPTIONS[case.name]}"
    elif told is not None:
        pytest.fail(told, pytrace=False)


def test_exceptions_are_of_known_cases() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert EXCEPTIONS.keys() <= set(names)


def test_a_difference_is_found(pair: Pair) -> None:
    told = difference(pair, Case("version", (("EVAL", "return redis.sha1hex('')", 0),)), 2)
    assert told is None
    told = difference(pair, Case("memory", (("EVAL", "return redis.call('info')", 0),)), 2)
    assert told is not None
    assert "clustrio: " in told
