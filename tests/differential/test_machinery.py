"""The differential test must be able to fail: its parts, tried on servers that lie."""

from collections.abc import Sequence
from random import Random

import pytest

from ..support.raw import CLOSED, SILENT, RawClient, Reply, array, bulk, error, integer
from . import runner
from .agreement import exact, near_milliseconds, same_type, scanned, unordered, unordered_pairs
from .dataset import Lifetime
from .dsl import JUNK, damaged
from .grammars import GRAMMARS, Step, draw_steps
from .runner import Pair, agrees, explore, show
from .shrink import shrink
from .stream_agreement import Moment


def test_shrink_finds_the_few_items_that_matter() -> None:
    def fails(items: Sequence[int]) -> bool:
        return {3, 70, 99} <= set(items)

    assert list(shrink(range(100), fails, lambda: False)) == [3, 70, 99]


def test_shrink_stops_when_time_is_up() -> None:
    tries = 0

    def fails(items: Sequence[int]) -> bool:
        nonlocal tries
        tries += 1
        return 7 in items

    shorter = shrink(range(1000), fails, lambda: tries >= 3)
    assert 7 in shorter
    assert tries == 3


@pytest.mark.parametrize("group", GRAMMARS)
def test_the_same_seed_draws_the_same_commands(group: str) -> None:
    first, second = (draw_steps(GRAMMARS[group], Random(5), 200) for _ in range(2))
    assert [step.command for step in first] == [step.command for step in second]
    assert all(step.command[0] for step in first)


def test_damage_never_adds_a_short_time_to_live() -> None:
    # Digits alone make a number: servers take no spaces and no signs but the minus.
    for argument in JUNK:
        number = int(argument) if argument.isdigit() else 0
        assert number == 0 or number > 10**6, argument
    random = Random(1)
    for _ in range(1000):
        assert damaged([b"SET", b"a", b"b"], random)[0] == b"SET"


LISTING, OTHER = array(bulk("a"), bulk("b")), array(bulk("b"), bulk("a"))
PAIRS, SAME_PAIRS = array(*LISTING.items, *OTHER.items), array(*OTHER.items, *LISTING.items)
AGREEMENTS = [
    (exact, LISTING, OTHER, False),
    (unordered, LISTING, OTHER, True),
    (unordered, LISTING, array(bulk("a"), bulk("a")), False),
    (unordered, LISTING, Reply(b"~", LISTING.value), False),
    (unordered, error("ERR a"), error("ERR b"), False),
    (
        unordered_pairs,
        array(*LISTING.items, *OTHER.items),
        array(*OTHER.items, *LISTING.items),
        True,
    ),
    (unordered_pairs, LISTING, OTHER, False),
    (same_type, bulk("a"), bulk("b"), True),
    (same_type, bulk("a"), bulk(None), False),
    (same_type, error("a"), error("b"), False),
    (near_milliseconds, integer(100_000), integer(100_900), True),
    (near_milliseconds, integer(100_000), integer(200_000), False),
    (near_milliseconds, integer(-1), integer(-2), False),
    (near_milliseconds, integer(-1), integer(5), False),
    (scanned, array(bulk("0"), LISTING), array(bulk("0"), OTHER), True),
    (scanned, array(bulk("0"), LISTING), array(bulk("0"), array()), False),
    (scanned, array(bulk("8"), LISTING), array(bulk("5"), array()), True),
    (scanned, array(integer(8), LISTING), array(bulk("5"), array()), False),
]


@pytest.mark.parametrize(("agreement", "ours", "theirs", "expected"), AGREEMENTS)
def test_agreements(agreement: object, ours: Reply, theirs: Reply, expected: bool) -> None:
    assert callable(agreement)
    assert agreement([b"SCAN", b"0"], ours, theirs) is expected
    assert agreement([b"SCAN", b"0"], theirs, ours) is expected


@pytest.mark.parametrize("lost", [CLOSED, SILENT])
def test_a_lost_connection_is_a_difference_even_when_both_lose_it(lost: Reply) -> None:
    assert not agrees(Step([b"GET", b"a"], same_type), lost, lost)


def test_lifetimes_are_equal_within_the_tolerance() -> None:
    assert Lifetime(100_000) == Lifetime(100_100)
    assert Lifetime(100_000) != Lifetime(-1)
    assert Lifetime(-1) != Lifetime(-2)
    assert Lifetime(100_000) != Lifetime(200_000)


def test_commands_are_shown_as_one_would_type_them() -> None:
    assert show([b"SET", b"a b", b"", b'"\x00']) == 'SET "a b" "" "\\"\\x00"'


class _Liar:
    """A server in memory that counts, and whose every second one miscounts from 5 on."""

    def __init__(self, lies: bool) -> None:
        self.lies = lies
        self.counts: dict[bytes, int] = {}

    def reply(self, command: Sequence[bytes]) -> Reply:
        if command[0] != b"INCR":
            return bulk("")
        count = self.counts[command[1]] = self.counts.get(command[1], 0) + 1
        return integer(count + (self.lies and command[1] == b"b" and count >= 5))


class _LiarClient(RawClient):
    def __init__(self, liar: _Liar) -> None:
        self.liar = liar

    def pipeline(self, commands: Sequence[Sequence[bytes]]) -> list[Reply]:
        return [self.liar.reply(command) for command in commands]

    def close(self) -> None:
        pass


class _LiarPair(Pair):
    def __init__(self) -> None:
        self.compared = 0

    def reset(self, protocol: int) -> tuple[RawClient, RawClient]:
        return _LiarClient(_Liar(False)), _LiarClient(_Liar(True))

    def compare_data(self, steps: Sequence[Step]) -> None:
        return None


def test_a_lie_is_found_and_told_in_the_fewest_commands() -> None:
    random = Random(3)

    def draw(count: int) -> list[Step]:
        names = [[b"INCR", random.choice((b"a", b"b", b"c")), b"x", b"y"] for _ in range(count)]
        return [Step(random.choice((name, [b"GET", b"a"])), exact) for name in names]

    (difference,) = explore(_LiarPair(), draw, 2000)
    assert [step.command for step in difference.history] == [[b"INCR", b"b"]] * 5
    assert (difference.ours, difference.theirs) == (":5", ":6")
    assert runner.BATCH_STEPS > 1
    assert "5 commands:\n  INCR b\n" in difference.describe()


def test_moments_are_equal_wherever_they_fall() -> None:
    """Rounding would part two neighbours at some places."""
    for start in range(1_795_273_410_000, 1_795_273_420_000, 500):
        assert Moment(start) == Moment(start + 100)
        assert Moment(start) != Moment(start + 6000)
