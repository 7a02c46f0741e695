"""The clusters that were left running: one state file each, locked while its cluster lives.

Owns these files. Rules: the lock, not the file, says whether a cluster lives, so that a file left
by a crash is recognised and removed by whoever finds it next.
"""

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from attrs import asdict, frozen

from ..local.folders import MARK

DEFAULT_NAME: Final = "default"
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_END_TIMEOUT_S: Final = 15.0


class StateError(Exception):
    """There is no such cluster, or there is one already; the text says which."""


@frozen
class ClusterState:
    """What is known of a cluster that runs by itself."""

    name: str
    supervisor_pid: int
    folder: str
    ports: list[int]
    masters: int


def state_folder() -> Path:
    """Where state files are kept."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "clustrio"


def state_path(name: str) -> Path:
    """The state file of a cluster; raises StateError for a name that is none."""
    if _NAME.fullmatch(name) is None or name.startswith("."):
        raise StateError(f"{name!r} is no name: letters, digits, dots, dashes")
    return state_folder() / f"{name}.json"


def is_alive(path: Path) -> bool:
    """Whether the supervisor of that cluster lives; a file without one is removed."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        _clean_up_after(path)
        return False
    finally:
        os.close(descriptor)


def _clean_up_after(path: Path) -> None:
    """Remove what a supervisor left that had no time to do it itself."""
    with contextlib.suppress(StateError):
        folder = Path(read_state(path).folder)
        if (folder / MARK).exists():
            shutil.rmtree(folder, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()


def write_state(path: Path, state: ClusterState) -> None:
    """Fill in the file, which the supervisor has made and locked."""
    with open(path, "r+", encoding="utf-8") as file:
        file.truncate()
        json.dump(asdict(state), file)


def read_state(path: Path) -> ClusterState:
    """What the file says."""
    try:
        return ClusterState(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as failure:
        raise StateError(f"{path} cannot be read: {failure}") from None


def running_clusters() -> list[ClusterState]:
    """All that live."""
    paths = sorted(state_folder().glob("*.json"))
    return [read_state(path) for path in paths if is_alive(path)]


def end_cluster(name: str) -> None:
    """Have a cluster end, and wait until it has; raises StateError."""
    path = state_path(name)
    if not is_alive(path):
        raise StateError(f"no cluster named {name!r} is running")
    os.kill(read_state(path).supervisor_pid, signal.SIGTERM)
    deadline_s = time.monotonic() + _END_TIMEOUT_S
    while is_alive(path):
        if time.monotonic() > deadline_s:
            raise StateError(f"the cluster {name!r} does not end")
        time.sleep(0.01)
