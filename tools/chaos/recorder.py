"""Time, and what is written down while a run goes on.

Owns the clock of a run. Rules: one steady clock for all that is recorded; several threads write
down what they see, each into lists of its own kind.
"""

import time

from .client import Address
from .history import History, Operation


class Recorder:
    """The history as it grows."""

    def __init__(self, history: History, addresses: list[Address]) -> None:
        self.history = history
        self._started_s = time.monotonic()
        self._indexes = {address: index for index, address in enumerate(addresses)}

    def now_ms(self) -> float:
        """Since the start."""
        return round((time.monotonic() - self._started_s) * 1000, 1)

    def node_of(self, address: Address | None) -> int:
        """The number of a node; -1 for strangers."""
        return -1 if address is None else self._indexes.get(address, -1)

    def on_operation(self, operation: Operation) -> None:
        """A request is over."""
        self.history.operations.append(operation)

    def note(self, text: str) -> None:
        """Something that a reader of the report should know."""
        self.history.notes.append(f"{self.now_ms() / 1000:.2f} s: {text}")
