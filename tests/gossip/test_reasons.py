"""Every kind of event and every named reason is reached by a story."""

import enum
from typing import get_args

import attrs
import pytest

from clustrio.gossip import events, reasons

from .stories import DATA, tell

REASONS = [
    reason
    for kind in vars(reasons).values()
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and kind is not enum.Enum
    for reason in kind
]


@pytest.mark.slow
def test_every_event_and_every_reason_is_reached_by_a_story() -> None:
    kinds: set[type] = set()
    named: set[enum.Enum] = set()
    for path in sorted(DATA.glob("*.txt")):
        for _, _, event in tell(path)[2]:
            kinds.add(type(event))
            for field in attrs.fields(type(event)):
                value = getattr(event, field.name)
                if isinstance(value, enum.Enum):
                    named.add(value)
    assert set(get_args(events.Event)) - kinds == set()
    assert set(REASONS) - named == set()


def test_every_event_is_in_the_union() -> None:
    declared = {
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and attrs.has(kind) and kind.__module__ == events.__name__
    }
    assert declared == set(get_args(events.Event))
