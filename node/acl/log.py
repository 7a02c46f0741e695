"""ACL LOG: what was refused of late, and to whom.

Refusals that are alike and follow each other within a minute are one entry with a count. Only the
ten latest entries are looked through for that, so a flood of different refusals stays cheap.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Final

from attrs import define

from .denials import Reason

GROUPING_MS: Final = 60_000
_LOOKED_THROUGH: Final = 10


@define(eq=False)
class LogEntry:
    """One refusal, or several that are alike."""

    id: int
    reason: Reason
    #: `toplevel`, `multi` or `lua`.
    context: bytes
    #: What it was about: the command, the key, the channel, or the word AUTH.
    subject: bytes
    user: bytes
    created_ms: int
    updated_ms: int
    #: The line of CLIENT LIST of the latest client.
    client: bytes
    count: int = 1

    def is_like(self, other: "LogEntry") -> bool:
        """Whether both are one entry."""
        return (
            self.reason is other.reason
            and self.context == other.context
            and abs(self.updated_ms - other.updated_ms) <= GROUPING_MS
            and self.subject == other.subject
            and self.user == other.user
        )


class AclLog:
    """The log of one node, the latest entry first, and the totals that INFO shows."""

    def __init__(self) -> None:
        self._entries: list[LogEntry] = []
        self._next_id = 0
        self.totals = dict.fromkeys(Reason, 0)

    def __len__(self) -> int:
        return len(self._entries)

    def newest(self, count: int) -> Iterator[LogEntry]:
        """The latest entries."""
        return islice(self._entries, count)

    def clear(self) -> None:
        """Forget all entries; the totals stay."""
        self._entries.clear()

    def add(
        self,
        reason: Reason,
        context: bytes,
        subject: bytes,
        user: bytes,
        client: bytes,
        now_ms: int,
        max_length: int,
    ) -> None:
        """Something was refused."""
        self.totals[reason] += 1
        entry = LogEntry(self._next_id, reason, context, subject, user, now_ms, now_ms, client)
        entries = self._entries
        for place, earlier in enumerate(entries[:_LOOKED_THROUGH]):
            if earlier.is_like(entry):
                earlier.client, earlier.updated_ms = client, now_ms
                earlier.count += 1
                entries.insert(0, entries.pop(place))
                return
        self._next_id += 1
        entries.insert(0, entry)
        del entries[max_length:]
