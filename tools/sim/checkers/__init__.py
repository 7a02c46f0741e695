"""The promises that every run is checked against; one file for each group of promises.

Owns the list of them. A new checker is a new file and a line here.
"""

from typing import TYPE_CHECKING, Final

from .base import Checker
from .collisions import Collisions
from .convergence import Chains, Service, SlotOwner, Views
from .durability import Durability
from .elections import Elections
from .epochs import Epochs
from .failure import Failure
from .identity import Identity
from .late import LatePackets
from .lost_writes import LostWrites
from .manual import ManualFailovers
from .minority import Minority
from .reconnects import Reconnects
from .refusals import Refusals
from .truth import Truth
from .votes import Votes
from .winners import Winners

if TYPE_CHECKING:
    from ..world import World

__all__ = ["CHECKERS", "Checker", "all_checkers"]

CHECKERS: Final[tuple[type[Checker], ...]] = (
    Durability,
    Epochs,
    Votes,
    Winners,
    Truth,
    LatePackets,
    Elections,
    Failure,
    ManualFailovers,
    Collisions,
    Refusals,
    Reconnects,
    Identity,
    Minority,
    SlotOwner,
    Chains,
    Views,
    Service,
    LostWrites,
)


def all_checkers(world: "World") -> list[Checker]:
    """One of each, for one run."""
    return [kind(world) for kind in CHECKERS]
