"""Who may log in: the default user and its password (`requirepass`)."""

from hmac import compare_digest
from typing import TYPE_CHECKING

from .config.syntax import bytes_from

if TYPE_CHECKING:
    from .config import Config


class Accounts:
    """The users of one node."""

    def __init__(self, config: "Config") -> None:
        self._config = config

    @property
    def is_open(self) -> bool:
        """The default user needs no password, so every new client is logged in."""
        return not self._config.requirepass

    def exists(self, user: bytes) -> bool:
        """Whether there is a user of that name."""
        return user == b"default"

    def is_password_right(self, user: bytes, password: bytes) -> bool:
        """Compare in constant time; an open default user accepts any password."""
        if user != b"default":
            return False
        wanted = self._config.requirepass
        return not wanted or compare_digest(bytes_from(wanted), password)
