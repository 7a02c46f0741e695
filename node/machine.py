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
from .acl.accounts import Accounts
from .blocking import BlockedClients
from .client_eviction import ClientEviction
from .commands.config_commands import ConfigFile
from .commands.monitor import Monitors
from .commands.transactions import WatchedKeys
from .config import Config
from .crowds import CrowdRunner
from .database import Clock
from .debug_switches import DebugSwitches
from .dispatch import Gate
from .effects import Consumer
from .eviction import Evictor
from .expiry import ExpiryCycle
from .field_expiry import FieldExpiryCycle
from .keyspace import Keyspace
from .latency import LatencyMonitor
from .loading import Loading
from .maintenance import Maintenance
from .memory_limit import MemoryLimit
from .migration.coordinator import SlotMigration
from .migration.transfers import KeyTransfers
from .notifications import Notifications
from .observe.process import NoProcess, ProcessFacts
from .observe.standard import standard_sections
from .observe.traffic import Traffic
from .pause import ClientPause
from .persistence.status import Persistence
from .pubsub import PubSub
from .replication.state import Replication
from .requests import RequestRunner
from .resp.stream import RequestStream
from .scripting.functions import Functions
from .scripting.scripts import Scripts
from .session import ClientKind, Session, Wait
from .settings import apply_settings
from .shutdown import Shutdown
from .slowlog import CommandLogs
from .tracking import Tracking
from .values.limits import CollectionLimits

if TYPE_CHECKING:
    from .cluster import Cluster

#: A client that has not logged in and does not read its errors gets no more memory than this.
STRANGER_OUTPUT_MAX_BYTES: Final = 1024 * 1024
#: Why every client must pass the part of the gate that asks for the route.
_CLUSTER: Final = "cluster"
#: What a client may have without a need for the gate: watched keys.
_UNGATED_FEATURES: Final = frozenset({"watch"})


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
        self.scripts = Scripts(self)
        #: Serves other clients in the middle of a long command; the runtime puts itself here.
        self.breathe: Callable[[Session], None] = _no_breath
        self.command_logs = CommandLogs(self)
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
        self.accounts = Accounts(self)
        self.watched_keys = WatchedKeys()
        self.pause = ClientPause(self)
        #: Keys on their way to other servers (MIGRATE).
        self.transfers = KeyTransfers(self)
        self.gate = Gate(self)
        requests = RequestRunner(self)
        #: Bytes from a client; returns the bytes to send back (perhaps none).
        self.receive = requests.receive
        #: The same for many clients, each of which is likely to have sent one quick request.
        self.run_crowd = CrowdRunner(self, requests).run
        #: Runs the requests that wait in a session, unless it is itself waiting for something.
        self.proceed = requests.proceed
        self.blocked = BlockedClients(self)
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
        self.debug_switches = DebugSwitches()
        #: How an orderly end is begun (SHUTDOWN); the runtime puts itself here.
        self.on_shutdown: Callable[[int], None] = _no_runtime
        #: Called on every tick, by features.
        self.on_tick: list[Callable[[], None]] = []
        self._add_expiry()
        self._add_listeners()
        self._add_copies()
        #: When collections stop being compact; every value points to it.
        self.limits = self.keyspace.compaction.limits = CollectionLimits()
        apply_settings(self)

    def _add_expiry(self) -> None:
        """What removes dead keys and dead fields that nobody asks for."""
        self._expiry_cycles: dict[int, ExpiryCycle] = {}
        #: DEBUG SET-ACTIVE-EXPIRE.
        self.active_expiry = True
        #: Removes dead hash fields.
        self.field_expiry = FieldExpiryCycle(self)
        self.on_tick.append(self.field_expiry)

    def _add_copies(self) -> None:
        """Where the data comes from and goes to: files, a primary, replicas."""
        #: Whole slots on their way from and to other nodes of the cluster.
        self.slot_migration = SlotMigration(self)
        self.loading = Loading(self)
        self.functions = Functions(self)
        self.persistence = Persistence(self)
        self.persistence.function_sources = self.functions.sources
        self.persistence.load_function = self.functions.load_stored
        self.replication = Replication(self)
        self.shutdown = Shutdown(self)

    def _add_listeners(self) -> None:
        """What clients hear that is no reply of theirs, and what that may cost."""
        self.memory = MemoryLimit(self)
        self.traffic = Traffic(self)
        self.on_tick.append(self.traffic)
        self.on_tick.append(self.keyspace.compaction.run)
        self.monitors = Monitors(self)
        self.pubsub = PubSub(self)
        self.tracking = Tracking(self)
        self.maintenance = Maintenance(self)
        self.notifications = Notifications(self)
        self.client_eviction = ClientEviction(self)

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
        is_routed = _CLUSTER in self._gate_reasons
        is_special = (
            len(self._gate_reasons) > is_routed
            or not session.authenticated
            or bool(session.flags)
            or not session.features.keys() <= _UNGATED_FEATURES
            or session.reply_mode is not session.reply_mode.ON
        )
        is_queueing = session.queue is not None
        is_restricted = not session.account.is_unrestricted
        session.gated = is_special or is_queueing or is_restricted
        gate = self.gate
        if is_special or (is_queueing and is_restricted):
            table = gate.gated
        elif is_queueing:
            table = gate.queueing(is_routed=is_routed)
        else:
            table = gate.ungated(
                is_routed=is_routed,
                is_observed=self.keyspace.effects.observed,
                is_restricted=is_restricted,
            )
        session.lookup = table.get

    def require_gate(self, reason: str, wanted: bool) -> None:
        """Something about the node needs (or no longer needs) the gate for every client.

        All of it, but for the reason "cluster": of that alone the route is asked.
        """
        before = len(self._gate_reasons)
        if wanted:
            self._gate_reasons.add(reason)
        else:
            self._gate_reasons.discard(reason)
        if before != len(self._gate_reasons):
            for session in self.sessions.values():
                self.regate(session)

    # --- effects
    # -----------------------------------------------------------------------------------

    def add_consumer(self, consumer: Consumer) -> None:
        """`consumer` gets the effects of every command from now on."""
        effects = self.keyspace.effects
        before = effects.observed
        effects.add_consumer(consumer)
        self._on_observation(before)

    def remove_consumer(self, consumer: Consumer) -> None:
        """`consumer` has seen enough."""
        effects = self.keyspace.effects
        before = effects.observed
        effects.remove_consumer(consumer)
        self._on_observation(before)

    def _on_observation(self, was_observed: bool) -> None:
        """Sessions look their commands up where effects are handed on, or where they are not."""
        if was_observed != self.keyspace.effects.observed:
            for session in self.sessions.values():
                self.regate(session)

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
        if self.debug_switches.cron_is_paused or self.loading.is_active:
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
                and not session.flags & {"subscribed", "monitor"}
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

    def finish(self, session: Session, reply: bytes) -> bytes:
        """For a command that ends its connection: the reply leaves, nothing more is read."""
        session.outbox.append(reply)
        session.close(after_reply=True)
        return b""


def _no_runtime(exit_code: int) -> None:
    """A machine without a runtime has nothing to shut down."""


def _no_sleep(seconds: float) -> None:
    """A machine without a runtime cannot hold up anything."""


def _no_breath(session: Session) -> None:
    """A machine without a runtime has nobody else to serve."""
