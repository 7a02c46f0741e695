"""The replicas that a node feeds: what each has got, and how far it has come.

A replica that needs everything waits until a snapshot begins; from that moment on the stream is
held back for it (the chunks are shared, not copied) until the snapshot is over there.
"""

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..session import Session


class PeerState(Enum):
    """How far a replica is."""

    #: Said REPLCONF, but not yet what it wants.
    NEW = "new"
    WAITS_FOR_SNAPSHOT = "wait_bgsave"
    #: A snapshot is being written to the disk for it.
    SNAPSHOT_IS_WRITTEN = "wait_bgsave_end"
    TRANSFER = "send_bulk"
    #: Has everything, and must say so before the stream goes on.
    MUST_CONFIRM = "must_confirm"
    ONLINE = "online"


#: What INFO calls them.
_SHOWN = {
    PeerState.SNAPSHOT_IS_WRITTEN: "wait_bgsave",
    PeerState.MUST_CONFIRM: "send_bulk",
}
#: States in which the stream is held back.
_HOLDING = (PeerState.SNAPSHOT_IS_WRITTEN, PeerState.TRANSFER, PeerState.MUST_CONFIRM)


class Peer:
    """One replica, as its primary sees it."""

    def __init__(self, session: "Session", on_gone: Callable[["Peer"], None]) -> None:
        self.session = session
        self._on_gone = on_gone
        self.state = PeerState.NEW
        self.announced_ip = ""
        self.port = 0
        self.understands_eof = False
        self.understands_psync2 = False
        #: Wants to know which slots are on the move.
        self.understands_marks = False
        #: Wants the snapshot, not what follows.
        self.only_snapshot = False
        #: Spoke SYNC: gets no line ahead of the snapshot, and never confirms.
        self.is_ancient = False
        #: Asked for a snapshot of the libraries of functions at most, or of nothing.
        self.is_filtered = False
        self.wants_functions = True
        self.acked_offset = 0
        #: How much it has on disk, as it says.
        self.synced_offset = -1
        self.over_soft_limit_since_ms: int | None = None
        self.acked_ms = 0
        self.waits_since_ms = 0
        self._held: list[bytes] = []
        self._held_bytes = 0

    @property
    def ip(self) -> str:
        """Where it is."""
        return self.announced_ip or self.session.address.rpartition(":")[0].strip("[]")

    @property
    def wanted(self) -> tuple[bool, bool]:
        """What its snapshot is to hold; replicas that want the same share one."""
        return self.is_filtered, self.wants_functions

    @property
    def shown_state(self) -> str:
        """The state in INFO's words."""
        return _SHOWN.get(self.state, self.state.value)

    @property
    def is_online(self) -> bool:
        """Whether it gets the stream as it comes."""
        return self.state is PeerState.ONLINE

    @property
    def is_fed(self) -> bool:
        """Whether it counts as a replica."""
        return self.state is not PeerState.NEW

    @property
    def held_bytes(self) -> int:
        """How much of the stream waits for the end of the snapshot."""
        return self._held_bytes

    def feed(self, chunk: bytes) -> None:
        """The stream goes on."""
        if self.state is PeerState.ONLINE:
            outbox = self.session.outbox
            outbox.append(chunk)
            if len(outbox) == 1:
                self.session.machine.awaken(self.session)
        elif self.state in _HOLDING:
            self._held.append(chunk)
            self._held_bytes += len(chunk)

    def go_online(self, now_ms: int) -> None:
        """It has everything up to what was held back."""
        self.state = PeerState.ONLINE
        self.acked_ms = now_ms
        held, self._held, self._held_bytes = self._held, [], 0
        if held:
            self.session.outbox += held
            self.session.machine.awaken(self.session)

    def on_disconnect(self, session: "Session") -> None:
        """The connection is gone."""
        self._held = []
        self._on_gone(self)
