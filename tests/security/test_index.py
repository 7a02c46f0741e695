"""Every known flaw is looked for by a test."""

from . import test_flaws_of_commands, test_flaws_of_nodes, test_known_flaws
from .flaws import CHECKS, FLAWS


def test_every_flaw_has_its_test() -> None:
    assert FLAWS.keys() == CHECKS.keys()
    places = (test_known_flaws, test_flaws_of_commands, test_flaws_of_nodes)
    for names in CHECKS.values():
        assert all(any(hasattr(place, name) for place in places) for name in names), names
