"""The stream of a primary, applied to a replica's data.

Where the link is a plain socket, the data plane reads it in its own passes, between the clients: a
replica that is busy with reads would otherwise hear of a write only when the other tasks have their
turn. What is read is applied at once; never in the middle of a command, which may breathe.
"""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import hiredis
import trio

from ..replay import Replay, ReplayError
from ..replication.replica import LinkError
from ..session import ClientKind, Session

if TYPE_CHECKING:
    from .dataplane import DataPlane

#: Read at a time; clients wait while it is applied.
_READ_BYTES: Final = 32 * 1024


class StreamApplier:
    """Runs the commands of the stream, and passes their bytes on."""

    def __init__(self, plane: "DataPlane", session: Session) -> None:
        self._plane = plane
        self._machine = plane.machine
        self._session = session
        self._primary = plane.machine.replication.primary
        self._replay = Replay(plane.machine, ClientKind.MASTER)
        self._replay.session = session
        session.select(plane.machine.replication.stream_database)
        self._reader = hiredis.Reader()
        self._raw: list[bytes] = []
        self._parsed_bytes = 0

    def apply(self, data: bytes) -> bool:
        """Take bytes; whether the primary wants to hear how far we are.

        Raises ReplayError, and LinkError when a client has ended the link (CLIENT KILL).
        """
        if self._session.close_now:
            raise LinkError("Connection with master lost: a client ended it.")
        reader, replay, replication = self._reader, self._replay, self._machine.replication
        if replication.primary is not self._primary:
            # An order has come in this very pass; the link will end as soon as its task runs.
            return False
        replication.heard_ms = self._machine.clock.now_ms
        reader.feed(data)
        self._raw.append(data)
        done_bytes, wants_ack = 0, False
        try:
            while (args := reader.gets()) is not False:
                self._parsed_bytes += len(hiredis.pack_command(tuple(args)))
                if args[0] == b"REPLCONF":
                    wants_ack = True
                else:
                    replay.apply(args)
                if not replay.in_transaction:
                    done_bytes = self._parsed_bytes
        except (hiredis.HiredisError, TypeError) as failure:
            raise ReplayError(f"Protocol error in the stream of the primary: {failure}") from None
        if done_bytes:
            raw = b"".join(self._raw)
            rest = raw[done_bytes:]
            self._raw = [rest] if rest else []
            self._parsed_bytes -= done_bytes
            replication.stream_database = replay.session.db.index
            replication.feed(raw[:done_bytes] if rest else raw)
            if self._plane.before_sending is not None:
                # What we say that we have is in our log.
                self._plane.before_sending()
        replication.unapplied_bytes = sum(map(len, self._raw))
        return wants_ack


class DirectReader:
    """Reads the socket of a link whenever the data plane finds it readable."""

    def __init__(
        self,
        plane: "DataPlane",
        descriptor: int,
        applier: StreamApplier,
        acknowledge: Callable[[], None],
    ) -> None:
        self._plane = plane
        self._descriptor = descriptor
        self._applier = applier
        self._acknowledge = acknowledge
        self._is_over = trio.Event()
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Apply what comes until the link ends, which raises LinkError, OSError or ReplayError."""
        self._plane.attend(self._descriptor, self._on_readable)
        try:
            await self._is_over.wait()
        finally:
            self._plane.disregard(self._descriptor)
        assert self._failure is not None
        raise self._failure

    def _on_readable(self) -> None:
        if self._plane.is_in_command or self._failure is not None:
            return
        try:
            data = os.read(self._descriptor, _READ_BYTES)
            if not data:
                raise LinkError("Connection with master lost.")
            if self._applier.apply(data):
                self._acknowledge()
        except BlockingIOError:
            return
        except (OSError, LinkError, ReplayError) as failure:
            self._failure = failure
            self._is_over.set()
