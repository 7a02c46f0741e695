"""How damaged or unfinished snapshots are told of."""


class CorruptSnapshotError(Exception):
    """A snapshot or a serialized value cannot be read; `offset` is where, counted in bytes."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"{reason} (at offset {offset})")
        self.offset = offset
        self.reason = reason


class DamagedError(Exception):
    """A part is not what it should be; whoever knows where it stands makes the above of it."""


class IncompleteError(Exception):
    """The data ends too early; `needed` is how far it would have to reach at least."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class DuplicateKeyError(Exception):
    """A sink was given a key twice."""
