"""An acknowledged write.

Owns the record alone, as the world, the clients and the checkers all need it.
"""

from attrs import define


@define(eq=False)
class Write:
    """What a client was promised."""

    number: int
    slot: int
    at: int
    by: int
    """The index of the node that acknowledged it."""
    excuse: str = ""
    """Why it may be lost: a window that the documentation names."""
