"""The latest part of the replication stream, kept for replicas that come back.

A queue of the chunks that were fed, shared with the output of the replicas: appending costs the
same however much is kept. Whole chunks are dropped at the front, so that a little more than the
wanted size may be there. Offsets count bytes of the stream from 1, as Redis' do.
"""

from collections import deque


class Backlog:
    """Bytes `first_offset` to `next_offset - 1` of the stream."""

    def __init__(self, size_bytes: int, next_offset: int) -> None:
        self.size_bytes = size_bytes
        self.first_offset = next_offset
        self.next_offset = next_offset
        self._chunks: deque[bytes] = deque()

    @property
    def held_bytes(self) -> int:
        """How much is kept."""
        return self.next_offset - self.first_offset

    def append(self, chunk: bytes) -> None:
        """The stream goes on."""
        chunks = self._chunks
        chunks.append(chunk)
        self.next_offset += len(chunk)
        if self.next_offset - self.first_offset - len(chunks[0]) >= self.size_bytes:
            self._trim()

    def resize(self, size_bytes: int) -> None:
        """Keep more, or less, from now on."""
        self.size_bytes = size_bytes
        self._trim()

    def _trim(self) -> None:
        chunks = self._chunks
        while chunks and self.held_bytes - len(chunks[0]) >= self.size_bytes:
            self.first_offset += len(chunks.popleft())

    def has(self, offset: int) -> bool:
        """Whether a replica that wants everything from `offset` on can be served."""
        return self.first_offset <= offset <= self.next_offset

    def since(self, offset: int) -> list[bytes]:
        """Everything from `offset` on, which must be there."""
        rest = self.next_offset - offset
        found: list[bytes] = []
        for chunk in reversed(self._chunks):
            if rest <= 0:
                break
            found.append(chunk if len(chunk) <= rest else chunk[len(chunk) - rest :])
            rest -= len(chunk)
        found.reverse()
        return found
