"""The one gate between a parsed request and its command function.

Two tables hold the same commands under the same names:

* `plain`: the functions themselves. A client of a node on which nothing special is going on uses
  this one, and a request costs one dict look-up before its function runs.
* `gated`: the same functions behind every check there is. A client is moved here when something
  about it (a transaction, a subscription, missing login) or about the node (a replica to feed,
  MONITOR, `maxmemory`, a cluster, loading) needs a check.

The order of the checks is Redis', since it decides which error wins: exists, arity, login, rights,
route, memory, disk, replicas, role, subscription, staleness, loading, busy, transaction, pause.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .errors import (
    LOADING,
    NO_AUTH,
    NO_MULTI_HERE,
    REPLICA_AND_DATA,
    CommandError,
    unknown_command,
    unknown_subcommand,
    wrong_arity,
)
from .registry import Command, CommandFunction, Flag, Statistics, build_commands
from .resp.encoder import QUEUED
from .session import ClientKind, ReplyMode, Session

if TYPE_CHECKING:
    from .machine import Machine

#: A check that a feature adds: returns quietly or raises the refusal.
Check = Callable[[Session, Command, list[bytes]], None]

#: What a replica, or a client that watches all others, may not do: touch the data.
_DATA: Final = Flag.READONLY | Flag.WRITE | Flag.MAY_REPLICATE
#: Commands for administrators are too delicate for MONITOR.
_UNSEEN: Final = Flag.SKIP_MONITOR | Flag.ADMIN
#: Longer first words of error texts are no codes.
_ERROR_CODE_MAX_LENGTH: Final = 30

#: These run at once inside MULTI; everything else is queued.
_NEVER_QUEUED: Final = frozenset({"exec", "discard", "multi", "watch", "quit", "reset"})
#: What a RESP2 client may say while it is subscribed.
_SUBSCRIBER_MAY: Final = frozenset(
    {
        "ping",
        "subscribe",
        "ssubscribe",
        "unsubscribe",
        "sunsubscribe",
        "psubscribe",
        "punsubscribe",
        "quit",
        "reset",
    },
)


class WrappedCommand:
    """A command as the dispatch loop sees it when more than its function has to run."""

    __slots__ = ("batch", "full_name", "function", "high", "low", "statistics")

    def __init__(self, gate: "Gate", command: Command, function: CommandFunction) -> None:
        # Lengths are checked behind the wrapping, where a sub-command is known.
        self.low = 0
        self.high = 1 << 31
        self.full_name = command.full_name
        self.function = function
        self.batch = None
        #: The gate keeps the real books; what the loop books here is thrown away.
        self.statistics = gate.scrap


def _is_quick(command: Command) -> bool:
    """A command that takes about the same short time always need not be timed by itself."""
    return not command.subcommands and (
        Flag.FAST in command.flags or command.spec.complexity.startswith("O(1)")
    )


class Gate:
    """Checks requests and runs them."""

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Every command under its own name, whatever clients call it.
        self.commands = build_commands()
        #: What clients can call, by upper-case name: `rename-command` leaves its traces here.
        self.names = dict(self.commands)
        self.scrap = Statistics()
        self.plain: dict[bytes, Command | WrappedCommand] = {}
        self.gated: dict[bytes, Command | WrappedCommand] = {}
        #: Refusals by what they look at, in the order in which they are asked; None: nothing to
        #: check.
        self.authorize: Check | None = None
        self.route: Check | None = None
        self.make_room: Check | None = None
        self.check_disk: Check | None = None
        self.check_replication: Check | None = None
        self.check_busy: Check | None = None
        #: Says whether a request must wait (CLIENT PAUSE), and if so parks the session.
        self.postpone: Callable[[Session, Command, list[bytes]], bool] | None = None
        #: Is shown every request that has run (MONITOR).
        self.monitor: Callable[[Session, list[bytes]], None] | None = None
        #: Called after each command, outside transactions and scripts (blocked clients try again).
        self.after_command: Callable[[], None] | None = None
        self.is_loading = False
        #: Error replies by their first word, for INFO errorstats.
        self.error_counts: dict[str, int] = {}
        self.error_total = 0
        self._fill_tables()

    def _fill_tables(self) -> None:
        for name, command in self.commands.items():
            plain = command if _is_quick(command) else self._timed(command)
            gated = self._gated(command)
            for spelling in (name, name.lower()):
                self.plain[spelling] = plain
                self.gated[spelling] = gated

    def rename(self, old: bytes, new: bytes) -> str | None:
        """Let clients call a command by another name only, or (empty) by none; what is wrong."""
        old, new = old.upper(), new.upper()
        command = self.names.pop(old, None)
        if command is None:
            return "No such command in rename-command"
        if new in self.names:
            return "Target command name already exists"
        plain, gated = self.plain[old], self.gated[old]
        for spelling in {old, old.lower()}:
            del self.plain[spelling], self.gated[spelling]
        if new:
            self.names[new] = command
            for spelling in (new, new.lower()):
                self.plain[spelling] = plain
                self.gated[spelling] = gated
        return None

    def _timed(self, command: Command) -> WrappedCommand:
        def call_timed(session: Session, args: list[bytes]) -> bytes:
            chosen = self._checked_name(session, command, args)
            return self.call(session, chosen, args)

        return WrappedCommand(self, command, call_timed)

    def _gated(self, command: Command) -> WrappedCommand:
        def pass_gate(session: Session, args: list[bytes]) -> bytes:
            return self.run(session, command, args)

        return WrappedCommand(self, command, pass_gate)

    def resolve(self, command: Command, args: list[bytes]) -> Command:
        """The sub-command that a request means, or the command itself."""
        if not command.subcommands:
            return command
        if len(args) < 2:
            if command.spec.arity in (-1, 1):
                return command
            raise wrong_arity(command.full_name)
        child = command.subcommands.get(args[1].upper())
        if child is None:
            raise unknown_subcommand(args[0].decode("latin-1"), args[1])
        return child

    def find(self, name: bytes) -> Command | None:
        """The command of that name in any spelling."""
        return self.names.get(name) or self.names.get(name.upper())

    # --- what the dispatch loop cannot settle itself --------------------------------------------

    def irregular(self, session: Session, args: list[bytes]) -> bytes:
        """A request whose name is not spelt as expected, or whose length is wrong."""
        if not args:
            return b""
        command = self.find(args[0])
        if command is None:
            if args[0].lower() in (b"post", b"host:"):
                self._machine.log.warning(
                    "Possible SECURITY ATTACK detected. It looks like somebody is sending POST or "
                    "Host: commands to Redis. This is likely due to an attacker attempting to use "
                    "Cross Protocol Scripting to compromise your Redis instance. Connection from "
                    f"{session.address} aborted.",
                )
                session.close(after_reply=False)
                return b""
            raise self._refused(session, unknown_command(args))
        if session.gated:
            return self.run(session, command, args)
        return self.call(session, self._checked_name(session, command, args), args)

    def count_error(self, error: CommandError) -> None:
        """Book an error reply.

        Texts that begin with no code count as `ERR`: foreign words must not grow the books.
        """
        word, blank, _ = error.text.partition(b" ")
        is_code = blank and len(word) <= _ERROR_CODE_MAX_LENGTH
        code = word.decode("latin-1") if is_code else "ERR"
        self.error_counts[code] = self.error_counts.get(code, 0) + 1
        self.error_total += 1

    def _refused(self, session: Session, error: CommandError) -> CommandError:
        """A request that is never run also breaks the transaction that it stands in."""
        if session.queue is not None:
            session.queue_broken = True
        return error

    # --- the gate -------------------------------------------------------------------------------

    def run(self, session: Session, command: Command, args: list[bytes]) -> bytes:
        """Check a request and, if nothing speaks against it, run or queue it."""
        command = self._checked_name(session, command, args)
        try:
            self._check(session, command, args)
        except CommandError as refusal:
            command.statistics.rejected += 1
            raise self._refused(session, refusal) from None
        if session.queue is not None and command.full_name not in _NEVER_QUEUED:
            if Flag.NO_MULTI in command.flags:
                command.statistics.rejected += 1
                raise self._refused(session, NO_MULTI_HERE)
            session.queue.append((command, args))
            return self._heard(session, QUEUED)
        if self.postpone is not None and self.postpone(session, command, args):
            return b""
        return self._heard(session, self.call(session, command, args))

    def _checked_name(self, session: Session, command: Command, args: list[bytes]) -> Command:
        try:
            command = self.resolve(command, args)
        except CommandError as refusal:
            if len(args) < 2:
                # A container alone; what is no sub-command is nothing that could be counted.
                command.statistics.rejected += 1
            raise self._refused(session, refusal) from None
        if not command.spec.accepts(len(args)):
            command.statistics.rejected += 1
            raise self._refused(session, wrong_arity(command.full_name))
        return command

    def _check(self, session: Session, command: Command, args: list[bytes]) -> None:
        flags = command.flags
        if not (session.authenticated or Flag.NO_AUTH in flags or self._machine.accounts.is_open):
            # A password that was taken away keeps nobody out.
            raise NO_AUTH
        if self.authorize is not None:
            self.authorize(session, command, args)
        if self.route is not None:
            self.route(session, command, args)
        if self.make_room is not None:
            self.make_room(session, command, args)
        if self.check_disk is not None:
            self.check_disk(session, command, args)
        if self.check_replication is not None:
            self.check_replication(session, command, args)
        if (
            "subscribed" in session.flags
            and not session.resp3
            and command.full_name not in _SUBSCRIBER_MAY
        ):
            raise CommandError(
                b"ERR Can't execute '%b': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
                b"RESET are allowed in this context" % command.full_name.encode(),
            )
        if self.is_loading and Flag.LOADING not in flags:
            raise LOADING
        if self.check_busy is not None:
            self.check_busy(session, command, args)
        # Flags are asked last: their `&` costs as much as all else here.
        if ("monitor" in session.flags or session.kind is ClientKind.REPLICA) and flags & _DATA:
            raise REPLICA_AND_DATA

    def call(self, session: Session, command: Command, args: list[bytes]) -> bytes:
        """Run a command whose checks are done: count, time, and hand out its effects."""
        machine = self._machine
        effects = machine.keyspace.effects
        dirty_before = effects.dirty
        database = session.db.index
        is_traceless = session.no_touch
        if is_traceless:
            machine.keyspace.pause_access(command.full_name != "touch")
        statistics = command.statistics
        started = machine.timer()
        try:
            return command.function(session, args)
        except CommandError:
            statistics.failed += 1
            raise
        finally:
            elapsed = machine.timer() - started
            statistics.count_run(elapsed, 1)
            self.note_slow(session, command, args, elapsed)
            if is_traceless:
                machine.keyspace.pause_access(False)
            if self.monitor is not None and not command.flags & _UNSEEN:
                self.monitor(session, args)
            if effects.observed:
                effects.finish_command(database, args, dirty_before)
                effects.deliver()
                if self.after_command is not None and not effects.depth:
                    self.after_command()

    def note_slow(
        self, session: Session, command: Command, args: list[bytes], nanoseconds: int
    ) -> None:
        """Put a slow command into the slow log and the latency history."""
        machine = self._machine
        threshold_us = machine.slowlog.threshold_us
        if 0 <= threshold_us <= nanoseconds // 1000 and Flag.SKIP_SLOWLOG not in command.flags:
            machine.slowlog.record(
                machine.clock.now_ms, nanoseconds // 1000, args, session.address, session.name
            )
        machine.latency.note(
            "fast-command" if Flag.FAST in command.flags else "command", nanoseconds // 1_000_000
        )

    def _heard(self, session: Session, reply: bytes) -> bytes:
        """What the client hears: pushes that the command made for it follow its reply."""
        if session.reply_mode is not ReplyMode.ON:
            if session.reply_mode is ReplyMode.SKIP and "skip-armed" not in session.flags:
                session.reply_mode = ReplyMode.ON
                self._machine.regate(session)
            session.flags.discard("skip-armed")
            return b""
        if session.outbox:
            reply += b"".join(session.outbox)
            session.outbox.clear()
        return reply
