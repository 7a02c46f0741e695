"""The state of a node that reads its data from a file or from its primary.

While it does, commands that need the data are refused with -LOADING (the gate asks), nothing is
expired, and INFO tells how far it has got. Pure: whoever reads the bytes reports here.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .machine import Machine


class Loading:
    """How far loading has got; `machine.loading`."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.is_active = False
        #: What is loaded, for the log: a path, or `primary`.
        self.source = ""
        self.started_ms = 0
        self.total_bytes = 0
        self.loaded_bytes = 0
        #: What the latest load of a snapshot found.
        self.keys_loaded = 0
        self.keys_expired = 0
        self.snapshot_memory_bytes = 0

    def begin(self, total_bytes: int, source: str) -> None:
        """Refuse what needs the data; `total_bytes` is 0 if nobody knows."""
        machine = self._machine
        self.is_active = True
        self.source = source
        self.started_ms = machine.clock.now_ms
        self.total_bytes = total_bytes
        self.loaded_bytes = 0
        machine.gate.is_loading = True
        machine.require_gate("loading", True)

    def progress(self, count_bytes: int) -> None:
        """So much more was read."""
        self.loaded_bytes += count_bytes

    def end(self) -> None:
        """The data is there (or given up)."""
        machine = self._machine
        self.is_active = False
        machine.gate.is_loading = False
        machine.require_gate("loading", False)

    def fields(self) -> list[tuple[str, str | int]]:
        """INFO's fields while loading."""
        elapsed_ms = max(0, self._machine.clock.now_ms - self.started_ms)
        rest_bytes = max(0, self.total_bytes - self.loaded_bytes)
        rest_s = 1
        if elapsed_ms >= 1000 and self.loaded_bytes:
            rest_s = elapsed_ms * rest_bytes // self.loaded_bytes // 1000
        percentage = 100.0 * self.loaded_bytes / self.total_bytes if self.total_bytes else 0.0
        return [
            ("loading_start_time", self.started_ms // 1000),
            ("loading_total_bytes", self.total_bytes),
            ("loading_rdb_used_mem", self.snapshot_memory_bytes),
            ("loading_loaded_bytes", self.loaded_bytes),
            ("loading_loaded_perc", f"{percentage:.2f}"),
            ("loading_eta_seconds", rest_s),
        ]
