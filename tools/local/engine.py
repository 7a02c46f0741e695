"""What a node needs somebody to do for it: start, end, freeze. Threads and processes do it."""

from collections.abc import Sequence
from typing import Protocol

from attrs import frozen

from .scripted import ScriptedReply
from .shape import NodePlan


@frozen
class Launch:
    """How to start a node."""

    plan: NodePlan
    options: Sequence[tuple[str, str]]
    seed: str
    is_fresh: bool
    """Whether the whole cluster starts for the first time."""
    has_full_disk: bool


class Engine(Protocol):
    """Runs nodes. All but `alive` are called for nodes in the fitting state only."""

    def start(self, launches: Sequence[Launch]) -> None:
        """Start these nodes; raises NodeStartError. When it returns, they listen or soon will."""

    def is_alive(self, index: int) -> bool:
        """Whether a node runs, or would if it were not paused."""

    def pid(self, index: int) -> int:
        """The process that it runs in."""

    def kill(self, index: int) -> None:
        """End it as a crash does."""

    def stop(self, index: int) -> None:
        """End it in good order."""

    def pause(self, index: int) -> None:
        """Freeze it: it neither reads nor writes nor sees time pass."""

    def resume(self, index: int) -> None:
        """Let it go on."""

    def set_disk_full(self, index: int, *, is_full: bool) -> None:
        """Take all room on its disk, or give it back; raises NotSupportedError."""

    def script(self, index: int, rule: ScriptedReply | None) -> None:
        """Give it a rule more, or (None) take all away; raises NotSupportedError."""

    def close(self) -> None:
        """End everything that runs."""
