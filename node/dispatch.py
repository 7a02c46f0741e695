"""The one gate between a parsed request and its command function.

Several tables hold the same commands under the same names:

* `plain`: the functions themselves. A client of a node on which nothing special is going on uses
  this one, and a request costs one dict look-up before its function runs.
* `gated`: the same functions behind every check there is. A client is moved here when something
  about it (a transaction, a subscription, missing login) or about the node (CLIENT PAUSE,
  MONITOR, `maxmemory`, loading) needs a check.
* Those of `lean_tables`, for what is ordinary and needs one or two checks only: a cluster, and
  somebody who wants to know what commands did.

The order of the checks is Redis', since it decides which error wins: exists, arity, login, rights,
route, memory, disk, replicas, role, subscription, staleness, loading, busy, transaction, pause.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from .commands.transactions import refused
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
from .lean_tables import (
    NEVER_QUEUED,
    RefusedError,
    authorized,
    has_one_key,
    observed,
    observed_batch,
    queued,
    routed,
    routed_and_observed,
    routed_batch,
)
from .registry import BatchFunction, Command, CommandFunction, Flag, Statistics, build_commands
from .resp.encoder import QUEUED
from .session import ClientKind, ReplyMode, Session

if TYPE_CHECKING:
    from .machine import Machine

#: A check that a feature adds: returns quietly or raises the refusal.
Check = Callable[[Session, Command, list[bytes]], None]
#: Whether a request must wait; if so its session is parked, and the request in its backlog.
Postponement = Callable[[Session, Command, list[bytes]], bool]

#: What a replica, or a client that watches all others, may not do: touch the data.
_DATA: Final = Flag.READONLY | Flag.WRITE | Flag.MAY_REPLICATE
#: Commands for administrators are too delicate for MONITOR.
_UNSEEN: Final = Flag.SKIP_MONITOR | Flag.ADMIN
#: Longer first words of error texts are no codes.
_ERROR_CODE_MAX_LENGTH: Final = 30

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
        self.batch: BatchFunction | None = None
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
        self.effects = machine.keyspace.effects
        #: Every command under its own name, whatever clients call it.
        self.commands = build_commands()
        #: What clients can call, by upper-case name: `rename-command` leaves its traces here.
        self.names = dict(self.commands)
        self.scrap = Statistics()
        self.plain: dict[bytes, Command | WrappedCommand] = {}
        self.gated: dict[bytes, Command | WrappedCommand] = {}
        #: Made when they are first needed, by what they do: (routes, hands on effects, asks for
        #: rights).
        self._lean: dict[tuple[bool, bool, bool], dict[bytes, Command | WrappedCommand]] = {}
        #: For clients in the middle of MULTI; made when first needed, by whether it routes.
        self._queueing: dict[bool, dict[bytes, Command | WrappedCommand]] = {}
        #: Per slot 1 if a request for one key of it needs no look at the route; the cluster's own.
        self.served = bytearray()
        #: Refusals by what they look at, in the order in which they are asked; None: nothing to
        #: check.
        self.authorize: Check | None = None
        self.route: Check | None = None
        self.make_room: Check | None = None
        self.check_disk: Check | None = None
        self.check_replication: Check | None = None
        self.check_stale: Check | None = None
        self.check_busy: Check | None = None
        #: Says whether a request must wait (CLIENT PAUSE), and if so parks the session.
        self.postpone: Postponement | None = None
        self._postponements: list[Postponement] = []
        #: Are shown every request that has run: MONITOR, and with its reply COMMANDLOG.
        self.monitor: Callable[[Session, list[bytes]], None] | None = None
        self.note_sizes: Callable[[Session, Command, list[bytes], bytes], None] | None = None
        #: Called after each command, outside transactions and scripts (blocked clients try again).
        self.after_command: Callable[[], None] | None = None
        #: Called after each command with what has run (client tracking).
        self.after_run: Check | None = None
        #: Whose request is being carried out, by however many commands; known while `after_run` is.
        self.running: Session | None = None
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

    def ungated(
        self, *, is_routed: bool, is_observed: bool, is_restricted: bool = False
    ) -> dict[bytes, Command | WrappedCommand]:
        """The table for clients that need not pass the gate."""
        if not (is_routed or is_observed or is_restricted):
            return self.plain
        place = (is_routed, is_observed, is_restricted)
        table = self._lean.get(place)
        if table is None:
            table = self._lean[place] = {}
            for name, command in self.names.items():
                if is_restricted and not _is_quick(command):
                    lean = self.gated[name]
                else:
                    lean = self._lean_command(command, *place)
                table[name] = table[name.lower()] = lean
        return table

    def _lean_command(
        self, command: Command, is_routed: bool, is_observed: bool, is_restricted: bool
    ) -> Command | WrappedCommand:
        if not _is_quick(command):
            return self._timed_routed(command) if is_routed else self._timed(command)
        batch = observed_batch(self.effects, command) if is_observed else command.batch
        if is_routed and batch is not None:
            batch = routed_batch(self, batch) if has_one_key(command) else None
        if not is_observed:
            function = routed(self, command, command.function) if is_routed else command.function
        elif is_routed:
            function = routed_and_observed(self, command)
        else:
            function = observed(self, command)
        if is_restricted:
            function, batch = authorized(self, command, function), None
        lean = WrappedCommand(self, command, function)
        lean.low, lean.high = command.low, command.high
        lean.batch = batch
        lean.statistics = command.statistics
        return lean

    def queueing(self, *, is_routed: bool) -> dict[bytes, Command | WrappedCommand]:
        """The table for clients in the middle of MULTI that need not pass the gate else."""
        table = self._queueing.get(is_routed)
        if table is None:
            table = self._queueing[is_routed] = dict(self.gated)
            for name, command in self.names.items():
                function = queued(self, command, is_routed=is_routed)
                if function is not None:
                    lean = WrappedCommand(self, command, function)
                    lean.low, lean.high = command.low, command.high
                    table[name] = table[name.lower()] = lean
        return table

    def rename(self, old: bytes, new: bytes) -> str | None:
        """Let clients call a command by another name only, or (empty) by none; what is wrong."""
        old, new = old.upper(), new.upper()
        command = self.names.pop(old, None)
        if command is None:
            return "No such command in rename-command"
        if new in self.names:
            return "Target command name already exists"
        self._lean.clear()
        self._queueing.clear()
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
        if not command.subcommands:

            def call_itself(session: Session, args: list[bytes]) -> bytes:
                return self.call(session, command, args)

            wrapped = WrappedCommand(self, command, call_itself)
            wrapped.low, wrapped.high = command.low, command.high
            return wrapped

        def call_timed(session: Session, args: list[bytes]) -> bytes:
            chosen = self._checked_name(session, command, args)
            return self.call(session, chosen, args)

        return WrappedCommand(self, command, call_timed)

    def _timed_routed(self, command: Command) -> WrappedCommand:
        def call_timed(session: Session, args: list[bytes]) -> bytes:
            chosen = self._checked_name(session, command, args)
            self.check_route_alone(session, chosen, args)
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

    def add_postponement(self, postponement: Postponement) -> None:
        """From now on this one is asked, too."""
        if postponement not in self._postponements:
            self._postponements.append(postponement)
        self._combine_postponements()

    def remove_postponement(self, postponement: Postponement) -> None:
        """It has nothing to postpone any more."""
        if postponement in self._postponements:
            self._postponements.remove(postponement)
        self._combine_postponements()

    def _combine_postponements(self) -> None:
        several = tuple(self._postponements)
        if len(several) <= 1:
            self.postpone = several[0] if several else None
            return

        def ask_all(session: Session, command: Command, args: list[bytes]) -> bool:
            return any(each(session, command, args) for each in several)

        self.postpone = ask_all

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
            raise refused(session, unknown_command(args))
        if session.gated:
            return self.run(session, command, args)
        command = self._checked_name(session, command, args)
        self.check_route_alone(session, command, args)
        return self.call(session, command, args)

    def count_error(self, error: CommandError) -> None:
        """Book an error reply.

        Texts that begin with no code count as `ERR`: foreign words must not grow the books.
        """
        word, blank, _ = error.text.partition(b" ")
        is_code = blank and len(word) <= _ERROR_CODE_MAX_LENGTH
        code = word.decode("latin-1") if is_code else "ERR"
        self.error_counts[code] = self.error_counts.get(code, 0) + 1
        self.error_total += 1

    # --- the gate -------------------------------------------------------------------------------

    def run(self, session: Session, command: Command, args: list[bytes]) -> bytes:
        """Check a request and, if nothing speaks against it, run or queue it."""
        command = self._checked_name(session, command, args)
        was_asking = session.asking
        # What runs a script counts as what that script declares.
        checked = command
        if command.spec.group == "scripting":
            checked = self._machine.scripts.as_declared(command, args)
        try:
            self._check(session, checked, args)
        except CommandError as refusal:
            command.statistics.rejected += 1
            raise refused(session, refusal, command) from None
        if session.queue is not None and command.full_name not in NEVER_QUEUED:
            if Flag.NO_MULTI in command.flags:
                command.statistics.rejected += 1
                raise refused(session, NO_MULTI_HERE)
            session.queue.append((command, args))
            return self._heard(session, QUEUED)
        if self.postpone is not None and self.postpone(session, checked, args):
            # It will be looked at anew, and must find what was said before it.
            session.asking = was_asking
            return b""
        return self._heard(session, self.call(session, command, args))

    def _checked_name(self, session: Session, command: Command, args: list[bytes]) -> Command:
        try:
            command = self.resolve(command, args)
        except CommandError as refusal:
            if len(args) < 2:
                # A container alone; what is no sub-command is nothing that could be counted.
                command.statistics.rejected += 1
            raise refused(session, refusal) from None
        if not command.spec.accepts(len(args)):
            command.statistics.rejected += 1
            raise refused(session, wrong_arity(command.full_name), command)
        return command

    def check_route_alone(self, session: Session, command: Command, args: list[bytes]) -> None:
        """The only check on a node that has no other reason for checks than being in a cluster."""
        if self.route is None:
            return
        try:
            self.route(session, command, args)
        except CommandError as refusal:
            command.statistics.rejected += 1
            raise RefusedError(refusal.text) from None

    def wake_blocked(self) -> None:
        """A command has run that did something: clients may have waited for it."""
        if self.after_command is not None and not self.effects.depth:
            self.after_command()

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
        if self.check_stale is not None:
            self.check_stale(session, command, args)
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
        effects = self.effects
        dirty_before, offset_before = effects.dirty, effects.stream_offset
        database = session.db.index
        after_run = self.after_run
        is_outermost = after_run is not None and self.running is None
        if is_outermost:
            self.running = session
        is_traceless = session.no_touch
        if is_traceless:
            machine.keyspace.pause_access(command.full_name != "touch")
        statistics = command.statistics
        started = machine.timer()
        try:
            reply = command.function(session, args)
            if self.note_sizes is not None:
                self.note_sizes(session, command, args, reply)
            return reply
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
                if effects.pending or effects.dirty != dirty_before:
                    effects.settle(database, args, dirty_before)
                    if effects.stream_offset != offset_before:
                        session.written_offset = effects.stream_offset
                if self.after_command is not None and not effects.depth:
                    self.after_command()
            if after_run is not None:
                after_run(session, command, args)
                if is_outermost:
                    self.running = None

    def note_slow(
        self, session: Session, command: Command, args: list[bytes], nanoseconds: int
    ) -> None:
        """Put a slow command into the slow log and the latency history."""
        machine = self._machine
        slow = machine.command_logs.slow
        is_slow = 0 <= slow.threshold <= nanoseconds // 1000
        if nanoseconds < 1_000_000 and not is_slow:
            return
        if is_slow and Flag.SKIP_SLOWLOG not in command.flags:
            slow.record(machine.clock.now_ms, nanoseconds // 1000, args, session)
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
            reply = b""
        if session.outbox:
            reply += b"".join(session.outbox)
            session.outbox.clear()
        return reply
