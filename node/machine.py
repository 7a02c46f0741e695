"""The whole node without I/O: client bytes and ticks in, replies out.

The runtime (or a test, or the simulator) owns sockets and clocks. It sets the time, hands in what
clients sent, and sends what comes back; everything between is here and below, and never waits.

    machine.set_time(now_ms)
    session = machine.connect("127.0.0.1:5000", "127.0.0.1:6379")
    reply = machine.receive(session, b"PING\\r\\n")
    machine.tick()
"""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, Protocol

from ..slots.randomness import Generator
from .accounts import Accounts
from .blocking import BlockedClients
from .commands.config_commands import ConfigFile
from .commands.monitor import Monitors
from .commands.transactions import WatchedKeys
from .config import Config
from .debug_switches import DebugSwitches
from .dispatch import Gate, WrappedCommand
from .effects import Consumer
from .errors import INTERNAL, CommandError, ProtocolError
from .eviction import Evictor
from .expiry import ExpiryCycle
from .field_expiry import FieldExpiryCycle
from .keyspace import Clock, Keyspace
from .latency import LatencyMonitor
from .memory_limit import MemoryLimit
from .observe.process import NoProcess, ProcessFacts
from .observe.standard import standard_sections
from .observe.traffic import Traffic
from .pause import ClientPause
from .registry import Command
from .resp.encoder import error
from .resp.stream import RequestStream
from .session import ClientKind, Session, Wait
from .settings import apply_settings
from .slowlog import SlowLog
from .values.limits import CollectionLimits

if TYPE_CHECKING:
    from .cluster import Cluster

_JOIN: Final = b"".join
#: A client that has not logged in and does not read its errors gets no more memory than this.
STRANGER_OUTPUT_MAX_BYTES: Final = 1024 * 1024
#: Shorter pipelines are not worth the look whether they are all of one kind.
BATCH_MIN: Final = 6


class Log(Protocol):
    """Where the node tells what happens; the runtime writes it in Redis' format."""

    def debug(self, text: str) -> None:
        """For people who look for a bug."""

    def verbose(self, text: str) -> None:
        """Rarely useful, but not a mess."""

    def notice(self, text: str) -> None:
        """What an operator wants to know."""

    def warning(self, text: str) -> None:
        """What an operator must know."""

    def exception(self, text: str, failure: BaseException) -> None:
        """A bug in this program, with its traceback."""


class Machine:
    """One node."""

    def __init__(
        self, config: Config, log: Log, rng: Generator, timer: Callable[[], int], now_ms: int
    ) -> None:
        self.config = config
        self.log = log
        self.rng = rng
        #: Nanoseconds of a monotonic clock, to measure how long commands take.
        self.timer = timer
        self.clock = Clock(now_ms)
        self.started_ms = now_ms
        self.keyspace = Keyspace(config.databases, config.cluster_enabled, self.clock, rng)
        self.evictor = Evictor(self.keyspace, rng)
        self.slowlog = SlowLog(config.is_sensitive)
        self.latency = LatencyMonitor(lambda: self.clock.now_ms // 1000)
        #: The cluster side; None outside a cluster.
        self.cluster: Cluster | None = None
        self.run_id = b"%040x" % rng.getrandbits(160)
        #: The history of the data that replicas follow.
        self.replication_id = b"%040x" % rng.getrandbits(160)
        #: What the operating system knows, and what only the runtime can do: it puts itself here.
        self.process: ProcessFacts = NoProcess()
        self.config_file: ConfigFile | None = None
        self.sleep: Callable[[float], None] = _no_sleep
        self.unix_time_us: Callable[[], int] = lambda: self.clock.now_ms * 1000
        #: INFO's sections; features add theirs.
        self.info = standard_sections()
        self.accounts = Accounts(config)
        self.watched_keys = WatchedKeys()
        self.pause = ClientPause(self)
        self.gate = Gate(self)
        self.blocked = BlockedClients(self)
        self.monitors = Monitors(self)
        #: Reasons for which every client must pass the gate.
        self._gate_reasons: set[str] = set()
        self.sessions: dict[int, Session] = {}
        self._next_session_id = 1
        #: Sessions whose outbox or state the runtime must look at.
        self.awake: list[Session] = []
        self.connections_total = 0
        self.connections_rejected = 0
        #: What clients that are gone had sent and received.
        self.past_input_bytes = 0
        self.past_output_bytes = 0
        #: Times at which waiting sessions give up: (Unix milliseconds, session id, wait).
        self._deadlines: list[tuple[int, int, Wait]] = []
        self._expiry_cycles: dict[int, ExpiryCycle] = {}
        #: DEBUG SET-ACTIVE-EXPIRE.
        self.active_expiry = True
        self.debug_switches = DebugSwitches()
        #: How an orderly end is begun (SHUTDOWN); the runtime puts itself here.
        self.on_shutdown: Callable[[int], None] = _no_runtime
        #: Called on every tick, by features.
        self.on_tick: list[Callable[[], None]] = []
        #: Removes dead hash fields.
        self.field_expiry = FieldExpiryCycle(self)
        self.on_tick.append(self.field_expiry)
        self.memory = MemoryLimit(self)
        self.traffic = Traffic(self)
        self.on_tick.append(self.traffic)
        #: When collections stop being compact; every value points to it.
        self.limits = CollectionLimits()
        apply_settings(self)

    # --- clients
    # -----------------------------------------------------------------------------------

    def new_stream(self) -> RequestStream:
        """A parser for a new client."""
        return RequestStream(self.config.proto_max_bulk_len, stranger=not self.accounts.is_open)

    def connect(self, address: str, local_address: str) -> Session:
        """A client arrived."""
        session = Session(self, self._next_session_id, self.keyspace.database(0))
        self._next_session_id += 1
        session.address = address
        session.local_address = local_address
        session.authenticated = self.accounts.is_open
        self.sessions[session.id] = session
        self.connections_total += 1
        self.regate(session)
        return session

    def disconnect(self, session: Session) -> None:
        """A client is gone: whatever it waited for or listened to is let go."""
        if self.sessions.pop(session.id, None) is None:
            return
        self.past_input_bytes += session.input_bytes
        self.past_output_bytes += session.sent_bytes
        if session.wait is not None:
            session.wait.release()
            session.wait = None
        for feature in list(session.features.values()):
            feature.on_disconnect(session)
        session.features.clear()

    def awaken(self, session: Session) -> None:
        """Have the runtime look at this session: output waits, or its end is near."""
        self.awake.append(session)

    def regate(self, session: Session) -> None:
        """Choose the table that a session looks its commands up in."""
        gated = (
            bool(self._gate_reasons)
            or not session.authenticated
            or session.queue is not None
            or bool(session.flags)
            or bool(session.features)
            or session.reply_mode is not session.reply_mode.ON
        )
        session.gated = gated
        session.lookup = (self.gate.gated if gated else self.gate.plain).get

    def require_gate(self, reason: str, wanted: bool) -> None:
        """Something about the node needs (or no longer needs) the full gate for every client."""
        before = bool(self._gate_reasons)
        if wanted:
            self._gate_reasons.add(reason)
        else:
            self._gate_reasons.discard(reason)
        if before != bool(self._gate_reasons):
            for session in self.sessions.values():
                self.regate(session)

    # --- effects
    # -----------------------------------------------------------------------------------

    def add_consumer(self, consumer: Consumer) -> None:
        """`consumer` gets the effects of every command from now on."""
        self.keyspace.effects.add_consumer(consumer)
        self.require_gate("effects", True)

    def remove_consumer(self, consumer: Consumer) -> None:
        """`consumer` has seen enough."""
        effects = self.keyspace.effects
        effects.remove_consumer(consumer)
        self.require_gate("effects", effects.observed)

    # --- waiting
    # -----------------------------------------------------------------------------------

    def park(self, session: Session, wait: Wait) -> bytes:
        """The session reads no further request until `unpark`; returns what its command returns."""
        session.wait = wait
        if wait.deadline_ms is not None:
            heappush(self._deadlines, (wait.deadline_ms, session.id, wait))
        return b""

    def unpark(self, session: Session, reply: bytes) -> None:
        """The wait is over: send its reply, and go on with what the client sent meanwhile."""
        wait = session.wait
        assert wait is not None
        session.wait = None
        wait.release()
        if reply and session.reply_mode is session.reply_mode.ON:
            session.outbox.append(reply)
        self.awaken(session)

    def next_deadline_ms(self) -> int | None:
        """When the next waiting session gives up."""
        while self._deadlines:
            deadline_ms, session_id, wait = self._deadlines[0]
            session = self.sessions.get(session_id)
            if session is not None and session.wait is wait:
                return deadline_ms
            heappop(self._deadlines)
        return None

    # --- time
    # --------------------------------------------------------------------------------------

    def tick(self, is_time_up: Callable[[], bool]) -> None:
        """Everything that is due by now; `is_time_up` bounds the expiry of keys."""
        now_ms = self.clock.now_ms
        while (deadline_ms := self.next_deadline_ms()) is not None and deadline_ms <= now_ms:
            _, session_id, wait = heappop(self._deadlines)
            self.unpark(self.sessions[session_id], wait.on_timeout())
        if self.debug_switches.cron_is_paused:
            return
        if self.active_expiry and not self.keyspace.is_replica:
            self._expire_keys(is_time_up)
        self.memory.on_tick()
        if self.config.timeout:
            self._close_idle(now_ms - self.config.timeout * 1000)
        for hook in self.on_tick:
            hook()

    def _expire_keys(self, is_time_up: Callable[[], bool]) -> None:
        for database in self.keyspace.existing():
            if not database.volatile_count:
                continue
            cycle = self._expiry_cycles.get(database.index)
            if cycle is None:
                cycle = self._expiry_cycles[database.index] = ExpiryCycle(database)
            cycle.run(is_time_up)
            if is_time_up():
                break
        self.keyspace.effects.deliver()

    def _close_idle(self, since_ms: int) -> None:
        """`timeout`: clients that said nothing for so long, unless they are there to listen."""
        for session in list(self.sessions.values()):
            if (
                session.last_request_ms < since_ms
                and session.kind is ClientKind.NORMAL
                and session.wait is None
                and "subscribed" not in session.flags
            ):
                self.log.verbose("Closing idle client")
                session.close(after_reply=False)

    def output_limit_reason(self, session: Session) -> str | None:
        """Which `client-output-buffer-limit` a session is over; asked as output piles up."""
        waiting = session.output_bytes
        if not session.authenticated and waiting > STRANGER_OUTPUT_MAX_BYTES:
            return "not authenticated"
        limit = self.config.output_limit(session.kind.value)
        if limit.hard_bytes and waiting > limit.hard_bytes:
            return "hard limit"
        if not limit.soft_bytes or waiting <= limit.soft_bytes:
            session.over_soft_limit_since_ms = None
            return None
        if session.over_soft_limit_since_ms is None:
            session.over_soft_limit_since_ms = self.clock.now_ms
        elif self.clock.now_ms - session.over_soft_limit_since_ms > limit.soft_seconds * 1000:
            return "soft limit"
        return None

    # --- requests ----------------------------------------------------------------------------

    def receive(self, session: Session, data: bytes) -> bytes:
        """Bytes from a client; returns the bytes to send back (perhaps none)."""
        session.last_request_ms = self.clock.now_ms
        session.input_bytes += len(data)
        stream = session.stream
        requests = stream.read(data)
        is_idle = session.wait is None and not session.backlog
        if len(requests) == 1 and is_idle and not session.outbox:
            reply = self._run_one(session, requests[0])
            if reply and not session.outbox and stream.failure is None and not stream.unread:
                return reply
            return self._finish_turn(session, [reply] if reply else [])
        if not is_idle:
            session.backlog += self._proper(session, requests, 0)
            return self.proceed(session)
        replies = self._take_outbox(session)
        self._run_batch(session, requests, replies)
        return self._finish_turn(session, replies)

    def proceed(self, session: Session) -> bytes:
        """Run the requests that wait in the session, unless it is itself waiting for something."""
        return self._finish_turn(session, self._take_outbox(session))

    @staticmethod
    def _take_outbox(session: Session) -> list[bytes]:
        """What a client must hear before the reply to anything that is run now: late replies."""
        pushed, session.outbox = session.outbox, []
        return pushed

    def _finish_turn(self, session: Session, replies: list[bytes]) -> bytes:
        """Run what is left, and see to whatever is out of the ordinary."""
        stream = session.stream
        while (
            (session.backlog or stream.unread)
            and session.wait is None
            and not session.close_after_reply
            and not session.close_now
        ):
            requests, session.backlog = session.backlog or stream.read(b""), []
            self._run_batch(session, requests, replies)
        failure = stream.failure
        if failure is not None and not session.backlog and session.wait is None:
            self._break_off(session, failure)
        if stream.pending_bytes > self.config.client_query_buffer_limit:
            self.log.warning(
                f"Closing client that reached max query buffer length: {session.address}"
            )
            session.close(after_reply=False)
        if session.outbox:
            replies += session.outbox
            session.outbox.clear()
        return replies[0] if len(replies) == 1 else _JOIN(replies)

    def _run_one(self, session: Session, args: list[bytes]) -> bytes:
        """The hot path of a client that waits for each reply."""
        timer = self.timer
        started = timer()
        try:
            command = session.lookup(args[0])
            _JOIN(args)  # raises unless all of them are bulk strings
            if command is None or not command.low <= len(args) <= command.high:
                return self.gate.irregular(session, args)
            session.last_command = command
            statistics = command.statistics
            statistics.calls += 1
            reply = command.function(session, args)
            elapsed = timer() - started
            statistics.nanoseconds += elapsed
            statistics.histogram[(elapsed // 1000).bit_length()] += 1
            return reply
        except CommandError as failure:
            self._count_failure(command, args, failure)
            return failure.encoded()
        except Exception as failure:
            return self._on_failure(session, failure, args, 0) or b""

    def _run_batch(
        self, session: Session, requests: list[list[bytes]], replies: list[bytes]
    ) -> None:
        """The hot path of a pipeline.

        A run of equal commands is handed over as a whole to commands that can take one (`batch`).
        Otherwise time is taken when the command changes, not per request: a run of equal commands
        shares its time out evenly, and commands that may be slow time themselves (`Gate.call`).
        """
        if len(requests) >= BATCH_MIN and self._run_as_one(session, requests, replies):
            return
        timer = self.timer
        append = replies.append
        run = 0
        previous: Command | WrappedCommand | None = None
        started = timer()
        for index, args in enumerate(requests):
            try:
                command = session.lookup(args[0])
                _JOIN(args)
                if command is not previous:
                    if run and previous is not None:
                        now = timer()
                        previous.statistics.count_run(now - started, run)
                        started = now
                    previous = command
                    run = 0
                if command is None or not command.low <= len(args) <= command.high:
                    reply = self.gate.irregular(session, args)
                else:
                    run += 1
                    reply = command.function(session, args)
            except CommandError as failure:
                self._count_failure(command, args, failure)
                reply = failure.encoded()
            except Exception as failure:
                settled = self._on_failure(session, failure, args, index)
                if settled is None:
                    break
                reply = settled
            if reply:
                append(reply)
            elif session.wait is not None or session.close_after_reply or session.close_now:
                session.backlog += self._proper(session, requests, index + 1)
                break
        if previous is not None and run:
            previous.statistics.count_run(timer() - started, run)
            session.last_command = previous

    def _count_failure(
        self, command: Command | WrappedCommand | None, args: list[bytes], failure: CommandError
    ) -> None:
        """Book an error reply; a command behind the gate has been booked there as a failure."""
        self.gate.count_error(failure)
        if command is not None and command.low <= len(args) <= command.high:
            command.statistics.failed += 1

    def _run_as_one(
        self, session: Session, requests: list[list[bytes]], replies: list[bytes]
    ) -> bool:
        """Run a pipeline of one and the same command in one go; False when it is not such a one."""
        try:
            names = {args[0] for args in requests}
        except (IndexError, TypeError):
            return False
        if len(names) != 1:
            return False
        command = session.lookup(names.pop())
        if command is None or command.batch is None:
            return False
        started = self.timer()
        reply = command.batch(session, requests)
        if reply is None:
            return False
        replies.append(reply)
        command.statistics.count_run(self.timer() - started, len(requests))
        session.last_command = command
        return True

    def _on_failure(
        self, session: Session, failure: Exception, args: object, taken: int
    ) -> bytes | None:
        """Something other than an error reply came out of a request: an odd request, or a bug.

        Nothing that a client sends may get past here; a bug in a command costs its client one
        error. None: the exact parser takes over from request number `taken` on, and what the fast
        one made of the rest goes.
        """
        if args == []:
            return b""  # an empty request asks for nothing
        odd = _odd_part(args)
        if odd is not None:
            session.backlog = session.stream.reparse(taken, odd)
            return None
        self.log.exception(f"A command of client {session.address} failed", failure)
        self.gate.count_error(INTERNAL)
        return INTERNAL.encoded()

    def _proper(
        self, session: Session, requests: list[list[bytes]], start: int
    ) -> list[list[bytes]]:
        """The requests of the latest read from number `start` on, the odd ones settled."""
        for index in range(start, len(requests)):
            if requests[index] != []:
                odd = _odd_part(requests[index])
                if odd is not None:
                    return requests[start:index] + session.stream.reparse(index, odd)
        return requests[start:]

    def _break_off(self, session: Session, failure: ProtocolError) -> None:
        """The client broke the protocol: tell it, and hang up."""
        session.stream.failure = None
        session.stream.drop()
        self.log.verbose(f"{failure.text.decode('latin-1')} from client {session.address}")
        self._reply_and_close(session, error(b"ERR " + failure.text))

    def _reply_and_close(self, session: Session, reply: bytes) -> None:
        """The last words to a client."""
        session.outbox.append(reply)
        session.close(after_reply=True)

    def finish(self, session: Session, reply: bytes) -> bytes:
        """For a command that ends its connection: the reply leaves, nothing more is read."""
        self._reply_and_close(session, reply)
        return b""


def _no_runtime(exit_code: int) -> None:
    """A machine without a runtime has nothing to shut down."""


def _no_sleep(seconds: float) -> None:
    """A machine without a runtime cannot hold up anything."""


#: Stands for a null that a client sent, since None says that nothing is odd.
_NULL: Final = object()


def _odd_part(args: object) -> object | None:
    """What in a request is no bulk string, itself or one of its words; None if all is well."""
    for word in args if isinstance(args, list) else [args]:
        if type(word) is not bytes or not isinstance(args, list):
            return _NULL if word is None else word
    return None
