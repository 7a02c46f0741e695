"""Running commands that were decided elsewhere: those of the append-only file or of the primary.

Nothing is checked but that the command exists and has a proper length: rights, memory, slots and
disk were somebody else's business when it was first run. Nobody gets a reply, nothing blocks, and
nothing is expired: whoever wrote the commands also wrote down when keys died.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .errors import CommandError
from .registry import Command
from .session import ClientKind, Session

if TYPE_CHECKING:
    from .machine import Machine

#: More failures than this are only counted.
_FAILURES_LOGGED_MAX: Final = 10


class ReplayError(Exception):
    """There is no going on: a command that this server does not know, or a broken transaction."""


class Replay:
    """One stream of commands; `session` is the client that runs them."""

    def __init__(self, machine: "Machine", kind: ClientKind = ClientKind.NORMAL) -> None:
        self._machine = machine
        self._commands = machine.gate.commands
        self._clock = machine.clock
        self._effects = machine.keyspace.effects
        self._compaction = machine.keyspace.compaction
        self.session = Session(machine, 0, machine.keyspace.database(0))
        self.session.kind = kind
        self.session.account = machine.accounts.node
        self.session.may_block = False
        #: The commands of a transaction that is not complete yet.
        self._queue: list[tuple[Command, Sequence[bytes]]] | None = None
        self.applied_count = 0
        self.failed_count = 0

    @property
    def in_transaction(self) -> bool:
        """Whether a MULTI waits for its EXEC; what stands behind it was not run."""
        return self._queue is not None

    def apply(self, args: list[bytes]) -> None:
        """Run one command, or keep it for EXEC."""
        name = args[0].upper()
        command = self._commands.get(name)
        if command is None:
            raise ReplayError(f"Unknown command '{args[0].decode('latin-1')}'")
        if command.subcommands:
            try:
                command = self._machine.gate.resolve(command, args)
            except CommandError as failure:
                raise ReplayError(failure.text.decode("latin-1")) from None
        if not command.low <= len(args) <= command.high:
            raise ReplayError(f"Wrong number of arguments for '{command.full_name}'")
        if name == b"MULTI":
            if self._queue is not None:
                raise ReplayError("MULTI inside MULTI")
            self._queue = []
        elif name == b"EXEC":
            self._exec()
        elif self._queue is not None:
            self._queue.append((command, args))
        else:
            self._run(command, args)
            if self._effects.observed:
                self._deliver()
        if self._compaction.is_due and self._queue is None:
            self._compaction.run()

    def forget_transaction(self) -> None:
        """The rest of a transaction never came: none of it happened."""
        self._queue = None

    def _exec(self) -> None:
        queue, self._queue = self._queue, None
        if queue is None:
            raise ReplayError("EXEC without MULTI")
        effects = self._effects
        effects.depth += 1
        try:
            for command, args in queue:
                self._run(command, args)
        finally:
            effects.depth -= 1
        if effects.observed:
            self._deliver()

    def _run(self, command: Command, args: Sequence[bytes]) -> None:
        session = self.session
        effects = self._effects
        dirty_before = effects.dirty
        database = session.db.index
        request = list(args)
        clock = self._clock
        clock.is_replaying = True
        try:
            command.function(session, request)
        except CommandError as failure:
            self._on_failure(request, failure)
        finally:
            clock.is_replaying = False
        self.applied_count += 1
        if session.outbox:
            session.outbox.clear()
        if effects.observed:
            effects.finish_command(database, request, dirty_before)

    def _deliver(self) -> None:
        self._effects.deliver()
        after_command = self._machine.gate.after_command
        if after_command is not None and not self._effects.depth:
            after_command()

    def _on_failure(self, args: list[bytes], failure: CommandError) -> None:
        """Where it was first run it succeeded, so that something is wrong with the data."""
        self.failed_count += 1
        if self.failed_count <= _FAILURES_LOGGED_MAX:
            self._machine.log.warning(
                f"A replayed command failed: {args[0].decode('latin-1')}: "
                f"{failure.text.decode('latin-1')}"
            )
