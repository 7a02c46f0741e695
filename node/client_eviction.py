"""`maxmemory-clients`: when the buffers of all clients take too much, the largest clients go.

What counts is what a client has sent and nobody has read yet, what it has not fetched, and what its
transaction holds. Replicas and the primary are spared, and so is whoever said CLIENT NO-EVICT.
"""

from typing import TYPE_CHECKING, Final

from .session import ClientKind, Session

if TYPE_CHECKING:
    from .machine import Machine

#: What a client takes even if it says nothing.
BASE_BYTES: Final = 2048
_MAY_GO: Final = (ClientKind.NORMAL, ClientKind.PUBSUB)


def queued_bytes(session: Session) -> int:
    """How much a client's open transaction holds."""
    return sum(sum(map(len, args)) for _, args in session.queue or ())


def client_bytes(session: Session) -> int:
    """How much memory a client takes."""
    return (
        BASE_BYTES
        + session.stream.pending_bytes
        + session.output_bytes
        + sum(map(len, session.outbox))
        + queued_bytes(session)
    )


class ClientEviction:
    """Keeps the clients of one node below the limit."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.evicted_count = 0
        machine.on_tick.append(self.on_tick)

    def on_tick(self) -> None:
        """Send the largest clients away until the others keep the limit."""
        machine = self._machine
        limit_bytes = machine.config.maxmemory_clients.bytes_of(machine.config.maxmemory)
        if not limit_bytes:
            return
        sizes = [
            (client_bytes(session), session)
            for session in machine.sessions.values()
            if session.kind in _MAY_GO and not session.no_evict and not session.close_now
        ]
        total_bytes = sum(size for size, _ in sizes)
        if total_bytes <= limit_bytes:
            return
        sizes.sort(key=lambda entry: -entry[0])
        for size, session in sizes:
            if total_bytes <= limit_bytes:
                break
            machine.log.notice(f"Evicting client: {session.address}, {size} bytes")
            session.close(after_reply=False)
            self.evicted_count += 1
            total_bytes -= size
