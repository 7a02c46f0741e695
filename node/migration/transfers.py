"""MIGRATE: keys go to another server, and are deleted here once it has said that it has them.

A `KeyTransfer` is one MIGRATE. While it is under way its client waits, and its keys are locked.
`Conversation` is what is said on one connection: a second one is tried when a connection that was
kept from last time turns out to be dead. The runtime carries the bytes (`on_wanted`), or, where
nothing can wait (in a transaction or a script), carries all of them at once (`carry_now`).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from attrs import define, field

from ..errors import CommandError
from ..persistence.rdb import encode_value
from ..propagation import encode_command
from ..resp.encoder import OK
from ..session import Session, Wait
from .locks import KeyLocks

if TYPE_CHECKING:
    from ..database import Database
    from ..machine import Machine

#: As many bytes are handed to the runtime at once.
_PIECE_BYTES: Final = 64 * 1024

CONNECTING: Final = "IOERR error or timeout connecting to the client"
WRITING: Final = "IOERR error or timeout writing to target instance"
READING: Final = "IOERR error or timeout reading to target instance"
_NOT_NOW: Final = b"-UNBLOCKED the node became a replica while its keys were on their way\r\n"


@define(eq=False)
class KeyTransfer:
    """One MIGRATE."""

    host: str
    port: int
    #: The database over there.
    database: int
    timeout_ms: int
    keys: Sequence[bytes]
    source: "Database"
    is_copy: bool = False
    replaces: bool = False
    #: What follows AUTH; empty for no login.
    login: tuple[bytes, ...] = ()
    #: Keys that the target has, by its own word.
    arrived: list[bytes] = field(factory=list)
    #: What went wrong, for the client.
    failure: str | None = None


class Conversation:
    """What is said to the target on one connection."""

    def __init__(self, transfer: KeyTransfer, selected: int | None, *, asks: bool) -> None:
        self._transfer = transfer
        self._word = b"RESTORE-ASKING" if asks else b"RESTORE"
        self._selects = selected != transfer.database
        self._preface_left = bool(transfer.login) + self._selects
        self._preface_failure: str | None = None
        self._sent: list[bytes] = []
        self._answered = 0

    @property
    def missing(self) -> int:
        """How many lines of answer are still to come, for what was sent so far."""
        return self._preface_left + len(self._sent) - self._answered

    @property
    def is_untouched(self) -> bool:
        """Whether the target has answered to no key yet: then another connection may be tried."""
        return self._answered == 0

    def pieces(self, *, compress: bool) -> Iterator[bytes]:
        """Everything to say, in pieces of some size."""
        transfer = self._transfer
        buffer = bytearray()
        if transfer.login:
            buffer += encode_command((b"AUTH", *transfer.login))
        if self._selects:
            buffer += encode_command((b"SELECT", b"%d" % transfer.database))
        database = transfer.source
        options = (b"REPLACE",) if transfer.replaces else ()
        for key in transfer.keys:
            value = database.peek(key)
            if value is None:
                continue  # It died while the others were sent.
            ttl_ms = 0
            expires_at_ms = database.expiry(key)
            if expires_at_ms is not None:
                ttl_ms = max(1, expires_at_ms - database.clock.now_ms)
            payload = encode_value(value, compress=compress)
            buffer += encode_command((self._word, key, b"%d" % ttl_ms, payload, *options))
            self._sent.append(key)
            if len(buffer) >= _PIECE_BYTES:
                yield bytes(buffer)
                buffer.clear()
        if buffer:
            yield bytes(buffer)

    def on_line(self, line: bytes) -> None:
        """The target's next answer."""
        failure = line[1:].decode("latin-1") if line[:1] == b"-" else None
        if self._preface_left:
            self._preface_left -= 1
            self._preface_failure = self._preface_failure or failure
            return
        transfer = self._transfer
        key = self._sent[self._answered]
        self._answered += 1
        failure = self._preface_failure or failure
        if failure is None:
            transfer.arrived.append(key)
        elif transfer.failure is None:
            transfer.failure = f"ERR Target instance replied with error: {failure}"


class KeyTransfers:
    """The transfers of one node; `machine.transfers`."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        self.locks = KeyLocks(machine)
        #: The runtime carries a transfer and then calls `finish`; None without a runtime.
        self.on_wanted: Callable[[KeyTransfer], None] | None = None
        #: The runtime carries a transfer at once, while everything stands still.
        self.carry_now: Callable[[KeyTransfer], None] | None = None
        #: How many connections are kept, for INFO.
        self.count_connections: Callable[[], int] = _none
        self._sessions: dict[KeyTransfer, Session] = {}

    def begin(self, session: Session, transfer: KeyTransfer) -> bytes:
        """Carry out what MIGRATE asks for; what the command has to return."""
        if self.on_wanted is None or self.carry_now is None:
            raise CommandError(CONNECTING.encode())
        if not session.may_block:
            self.carry_now(transfer)
            return self._settle(transfer)
        self.locks.lock(transfer.keys)
        self._sessions[transfer] = session
        wait = Wait("migrating", None, _no_reply, lambda: self._let_go(transfer))
        self._machine.park(session, wait)
        self.on_wanted(transfer)
        return b""

    def _let_go(self, transfer: KeyTransfer) -> None:
        """The client is gone; its keys travel on."""
        self._sessions.pop(transfer, None)

    def finish(self, transfer: KeyTransfer) -> None:
        """The runtime is done with a transfer: settle it, then let everybody go on."""
        effects = self._machine.keyspace.effects
        dirty_before = effects.dirty
        reply = self._settle(transfer)
        effects.finish_command(transfer.source.index, (), dirty_before)
        effects.deliver()
        self.locks.unlock(transfer.keys)
        session = self._sessions.pop(transfer, None)
        if session is not None and session.wait is not None:
            self._machine.unpark(session, reply)

    def _settle(self, transfer: KeyTransfer) -> bytes:
        """Delete what arrived; the reply for the client."""
        machine, database = self._machine, transfer.source
        if not transfer.is_copy and transfer.arrived:
            if database.is_replica:
                # The keys are somebody else's now, who still has them.
                return _NOT_NOW
            deleted = [key for key in transfer.arrived if self._delete(database, key)]
            if deleted:
                database.effects.propagate_instead(database.index, (b"DEL", *deleted))
        if transfer.failure is None:
            return OK
        failure = CommandError(transfer.failure.encode("latin-1"))
        machine.gate.count_error(failure)
        return failure.encoded()

    def _delete(self, database: "Database", key: bytes) -> bool:
        if not database.delete(key):
            return False
        database.changed(key, "g", b"del")
        return True


def _no_reply() -> bytes:
    return b""


def _none() -> int:
    return 0
