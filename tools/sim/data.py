"""The data of a node, as far as a cluster can lose it: which writes it holds, and how old it is.

Owns `Dataset`. Rules: a dataset is a log; its length is the replication offset; a replica's log is
a prefix of its primary's, or it is copied as a whole; a history (Redis' replication id) says whose
log it is, and a promoted replica begins a new one but remembers where it left the old one, so that
its siblings can go on without a copy.
"""

from attrs import Factory, define, frozen


@frozen
class Entry:
    """One change of the data."""

    at: int
    slot: int
    writes: tuple[int, ...] = ()
    """What comes in; nothing for a slot that is emptied."""
    is_removal: bool = False


@define(eq=False)
class Dataset:
    """What one node holds."""

    history: str
    start: int = 1
    """The offset of an empty log."""
    former_history: str = ""
    former_end: int = 0
    log: list[Entry] = Factory(list)
    slots: dict[int, set[int]] = Factory(dict)

    @property
    def offset(self) -> int:
        """How far the log goes."""
        return self.start + len(self.log)

    def append(self, entry: Entry) -> None:
        """Takes in one change."""
        self.log.append(entry)
        if entry.is_removal:
            self.slots.pop(entry.slot, None)
        else:
            self.slots.setdefault(entry.slot, set()).update(entry.writes)

    def begin_history(self, history: str) -> None:
        """The node was promoted: what follows is nobody else's."""
        self.former_history, self.former_end = self.history, self.offset
        self.history = history

    def can_continue(self, primary: "Dataset") -> bool:
        """Whether this log is a beginning of the primary's."""
        if self.start != primary.start or self.offset > primary.offset:
            return False
        if self.history == primary.history:
            return True
        return self.history == primary.former_history and self.offset <= primary.former_end

    def copy_from(self, primary: "Dataset", until: int) -> bool:
        """Follows the primary's log up to a time; whether anything came."""
        before = len(self.log)
        for entry in primary.log[before:]:
            if entry.at > until:
                break
            self.append(entry)
        if self.history != primary.history and self.offset >= primary.former_end:
            self.history = primary.history
            self.former_history, self.former_end = primary.former_history, primary.former_end
        return len(self.log) != before

    def copied(self) -> "Dataset":
        """A copy: a full synchronisation."""
        return Dataset(
            self.history,
            self.start,
            self.former_history,
            self.former_end,
            list(self.log),
            {slot: set(writes) for slot, writes in self.slots.items()},
        )

    def keys_in(self, slot: int) -> int:
        """How many keys a slot holds: one for each write."""
        return len(self.slots.get(slot, ()))

    def keys_in_all(self) -> int:
        """How many keys there are."""
        return sum(map(len, self.slots.values()))
