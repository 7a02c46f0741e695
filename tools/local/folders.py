"""The folder that a cluster lives in.

Owns its end: a folder of ours goes away with the cluster, and also when the caller is killed; one
that the caller named stays.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

MARK: Final = ".clustrio"
#: Waits for the end of its input, which comes when its parent is gone, however it went.
_WATCHER: Final = 'read _; rm -rf -- "$0"'


class ClusterFolder:
    """A folder, and what removes it."""

    def __init__(self, wanted: Path | None, *, watched: bool) -> None:
        self.is_ours = wanted is None
        self._watcher: subprocess.Popen[bytes] | None = None
        if wanted is not None:
            self.path = wanted.absolute()
            self.path.mkdir(parents=True, exist_ok=True)
            return
        self.path = Path(tempfile.mkdtemp(prefix="clustrio-local-"))
        self._mark()
        if watched:
            self._watcher = subprocess.Popen(
                ["/bin/sh", "-c", _WATCHER, str(self.path)],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )

    def _mark(self) -> None:
        (self.path / MARK).touch()

    def empty(self) -> None:
        """Remove what the nodes wrote."""
        for folder in self.path.glob("node-*"):
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove it, if it is ours."""
        if not self.is_ours:
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self._watcher is not None:
            assert self._watcher.stdin is not None
            self._watcher.stdin.close()
            self._watcher.wait()
            self._watcher = None
