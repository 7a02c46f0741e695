"""Every kind of event and every named reason is reached by a story."""

import enum
from functools import cache
from typing import get_args

import attrs
import pytest

from clustrio.gossip import events

from .stories import DATA, tell

REASONS = [
    reason
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and kind.__module__ == events.__name__
    for reason in kind
]


@cache
def reached() -> tuple[frozenset[type], frozenset[enum.Enum]]:
    kinds: set[type] = set()
    reasons: set[enum.Enum] = set()
    for path in sorted(DATA.glob("*.txt")):
        for _, _, event in tell(path)[2]:
            kinds.add(type(event))
            for field in attrs.fields(type(event)):
                value = getattr(event, field.name)
                if isinstance(value, enum.Enum):
                    reasons.add(value)
    return frozenset(kinds), frozenset(reasons)


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_event_is_reached(kind: type) -> None:
    assert kind in reached()[0]


@pytest.mark.parametrize("reason", REASONS, ids=str)
def test_reason_is_reached(reason: enum.Enum) -> None:
    assert reason in reached()[1]
