"""May a replica go on where it stopped, or does it need everything? Pure.

A history is named by an id. After a failover a node knows two: its own, and that of the primary it
replaced, which is the same data up to `second_offset` (exclusive of what came later there).
"""

from typing import Final

from attrs import frozen

from .backlog import Backlog

NO_ID: Final = b"0" * 40


@frozen
class History:
    """The names of the data of one node."""

    identity: bytes
    second_identity: bytes = NO_ID
    #: The first offset that the second history does not share; -1 for none.
    second_offset: int = -1

    def shares(self, identity: bytes, offset: int) -> bool:
        """Whether everything before `offset` of that history is in this one, too."""
        if identity.lower() == self.identity:
            return True
        return (
            identity.lower() == self.second_identity
            and self.second_identity != NO_ID
            and offset <= self.second_offset
        )


def may_continue(history: History, backlog: Backlog | None, identity: bytes, offset: int) -> bool:
    """Whether a replica that wants `offset` of history `identity` next can be given just that."""
    return backlog is not None and history.shares(identity, offset) and backlog.has(offset)
