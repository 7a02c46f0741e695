"""One line for each decision.

Owns the wording. The columns: simulated milliseconds, the node, the event, its fields; ids are
shown as the names of nodes, slots as ranges.
"""

import enum
from typing import TYPE_CHECKING, Final

from attrs import fields

from ...gossip.events import Event
from ...gossip.messages import slots_text

if TYPE_CHECKING:
    from .world import World

ID_CHARS: Final = 40


def line_of(world: "World", now: int, index: int, event: Event) -> str:
    """The line for one decision."""
    kind = type(event)
    words = [f"{now:>8} n{index:<4} {kind.__name__}"]
    for field in fields(kind):
        words.append(f"{field.name}={_text(world, getattr(event, field.name))}")
    return " ".join(words)


def _text(world: "World", value: object) -> str:
    match value:
        case enum.Enum():
            return value.name
        case bytes():
            return slots_text(value).replace(" ", ",") or "none"
        case str() if len(value) == ID_CHARS:
            return world.name_of(value)
        case _:
            return str(value)
