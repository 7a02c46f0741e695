"""The configuration's window to the disk."""

import glob
import os
from pathlib import Path

from ..config.syntax import text_from
from .disk import Disk


class DiskFiles:
    """Reads configuration files and follows `dir`."""

    def read(self, path: str) -> str:
        """The text of a file, odd bytes kept as they are."""
        return text_from(Path(path).read_bytes())

    def glob(self, pattern: str) -> list[str]:
        """The paths that match, sorted."""
        return sorted(glob.glob(pattern))

    def enter_directory(self, path: str) -> str:
        """Make it the working directory; returns its absolute path."""
        os.chdir(path)
        return os.getcwd()


def replace_file(path: str, data: bytes) -> None:
    """Give a file new contents so that it is never seen half written, not even after a crash."""
    disk = Disk()
    os.close(disk.replace(path, data))
    disk.sync_directory(os.path.dirname(path))
