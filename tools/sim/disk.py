"""The disk under nodes.conf: what was synced survives a crash, anything else may.

Owns `Disk`. Rules: a write with `must_sync` is durable when it returns, and so is everything before
it; another write becomes durable some time later. A crash leaves one of the files that were
written since, never a mixture (the file is replaced as a whole).
"""

from attrs import Factory, define

from ...gossip.inputs import Rng
from ...gossip.nodes_conf import StoredCluster


@define(eq=False)
class Disk:
    """One node's nodes.conf."""

    durable: StoredCluster
    flush_ms: int
    pending: list[tuple[int, StoredCluster]] = Factory(list)
    """What was written since, and when: the operating system may still hold it."""

    def write(self, stored: StoredCluster, now: int, *, must_sync: bool) -> None:
        """Writes the file."""
        if must_sync:
            self.durable = stored
            self.pending.clear()
        else:
            self._settle(now)
            self.pending.append((now, stored))

    def _settle(self, now: int) -> None:
        """What was written long enough ago is durable."""
        while self.pending and self.pending[0][0] + self.flush_ms <= now:
            self.durable = self.pending.pop(0)[1]

    def crash(self, now: int, rng: Rng) -> StoredCluster:
        """What is there after a crash."""
        self._settle(now)
        survivors = rng.randrange(len(self.pending) + 1)
        if survivors:
            self.durable = self.pending[survivors - 1][1]
        self.pending.clear()
        return self.durable
