"""Why something was refused."""

from enum import IntEnum

from attrs import frozen


class Reason(IntEnum):
    """What was missing. Of several selectors' reasons the highest is told."""

    COMMAND = 1
    KEY = 2
    AUTH = 3
    CHANNEL = 4

    @property
    def word(self) -> bytes:
        """As ACL LOG shows it."""
        return self.name.lower().encode()


@frozen
class Denial:
    """A refusal: `position` is that of the word in the request that it is about."""

    reason: Reason
    position: int = 0
