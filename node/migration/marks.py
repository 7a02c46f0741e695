"""The marks of slots on the move, told to this node's replicas along with the data.

Rules: SETSLOT that opens a slot, or takes it, is done when the healthy replicas know of it, or not
at all: whichever node dies then, its successor goes on with the move, and every slot has an owner.
The marks are always told as a whole, and only while all replicas understand them; a redis-server
among them does not.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from ...gossip.commands import NoteOpenSlots
from ..errors import CommandError
from ..propagation import encode_command
from ..values.numbers import parse_integer

if TYPE_CHECKING:
    from ..machine import Machine
    from ..session import Session

#: Replicas have so long to say that they know.
TELLING_MAX_MS: Final = 2000
#: A replica that was silent for longer is not waited for.
_HEALTHY_MS: Final = 5000
_MIGRATING: Final = b"MIGRATING"
_IMPORTING: Final = b"IMPORTING"
_TAKEN: Final = b"TAKEN"
NO_REPLICAS: Final = CommandError(b"NOREPLICAS Not enough good replicas to write.")

Marks = Mapping[int, str]


class MarkTeller:
    """What the replicas of one node know of its open slots."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: What was told last; None: nothing ever.
        self._told: tuple[bytes, ...] | None = None

    def tell(self, migrating: Marks, importing: Marks, taken: Sequence[int] = ()) -> bool:
        """Tell these marks, if they are news; False if there is nobody who could be told."""
        replication = self._machine.replication
        peers = [peer for peer in replication.peers if peer.is_fed]
        if replication.is_replica or not peers:
            return False
        if not all(peer.understands_marks for peer in peers):
            return False
        words: list[bytes] = []
        for kind, marks in ((_MIGRATING, migrating), (_IMPORTING, importing)):
            for slot, node_id in sorted(marks.items()):
                words += (kind, b"%d" % slot, node_id.encode())
        for slot in taken:
            words += (_TAKEN, b"%d" % slot, b"-")
        news = tuple(words)
        if news != (self._told or ()):
            self._told = news
            replication.feed(encode_command((b"CLUSTER", b"SYNCSLOTS", b"MARKS", *news)))
        return True

    def tell_present(self) -> bool:
        """Tell the marks as they are."""
        cluster = self._machine.cluster
        if cluster is None:
            return False
        table = cluster.view.table
        return self.tell(table.migrating, table.importing)

    def on_replica_online(self) -> None:
        """A replica has a copy of the data, but marks are no data."""
        if self._told is not None:
            # It may know others of old, so that also none at all is worth telling.
            self._told = (b"",)
        self.tell_present()

    def first_tell(
        self,
        session: "Session",
        migrating: Marks,
        importing: Marks,
        taken: Sequence[int],
        act: Callable[[], bytes],
    ) -> bytes:
        """Act when the healthy replicas know these marks; the reply, at once or later."""
        machine = self._machine
        now_ms = machine.clock.now_ms
        healthy = sum(
            peer.is_online and now_ms - peer.acked_ms <= _HEALTHY_MS
            for peer in machine.replication.peers
        )
        may_wait = healthy and session.may_block
        if not may_wait or not self.tell(migrating, importing, taken):
            return act()

        def finish(is_known: bool) -> bytes:
            error = NO_REPLICAS
            if is_known:
                try:
                    return act()
                except CommandError as failure:
                    error = failure
            self.tell_present()
            return error.encoded()

        return machine.replication.waits.wait_until_known(session, healthy, TELLING_MAX_MS, finish)


def parse_marks(words: Sequence[bytes]) -> NoteOpenSlots | None:
    """What a replica was told; None if it is not to be understood."""
    found: dict[bytes, list[tuple[int, str]]] = {_MIGRATING: [], _IMPORTING: [], _TAKEN: []}
    if len(words) % 3:
        return None
    for kind, place, node_id in zip(words[::3], words[1::3], words[2::3], strict=True):
        slot = parse_integer(place)
        if kind not in found or slot is None:
            return None
        found[kind].append((slot, node_id.decode("latin-1")))
    return NoteOpenSlots(
        tuple(found[_MIGRATING]),
        tuple(found[_IMPORTING]),
        tuple(slot for slot, _ in found[_TAKEN]),
    )
