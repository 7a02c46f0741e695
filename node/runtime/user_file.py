"""The `aclfile` on disk, and reading it before anybody is served."""

from pathlib import Path
from typing import Final

from ..acl.userfile import UserFileError
from ..config.syntax import ConfigError, text_from
from ..machine import Machine
from .files import replace_file


class ServerUserFile:
    """The file that `aclfile` names."""

    def __init__(self, path: str) -> None:
        self.path: Final = path

    def read(self) -> bytes:
        """Its text."""
        return Path(self.path).read_bytes()

    def replace(self, text: bytes) -> None:
        """Give it a new text, so that it is never seen half written."""
        replace_file(self.path, text)


def load_user_file(machine: Machine) -> None:
    """Take in the `aclfile`, if there is one; raises ConfigError, for nobody may be served then."""
    path = machine.config.aclfile
    if not path:
        return
    machine.accounts.file = ServerUserFile(path)
    try:
        machine.accounts.load_file()
    except UserFileError as failure:
        raise ConfigError(
            f"Aborting Redis startup because of ACL errors: {text_from(failure.text)}"
        ) from None
