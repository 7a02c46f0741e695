"""CLIENT TRACKING: clients that keep copies of values are told when these are out of date.

By default the node remembers which client read which key, and tells it once when the key changes
(`Tracking.table`). A broadcasting client gets all keys that begin with its prefixes, and nothing is
remembered for it. Keys count as one in all databases, as in Redis. What a client must hear about
its own command follows the reply.

Rules: reads are noted after the command ran, by the keys of commands that only read; a client is
remembered by its number, so that one that is gone costs nothing to forget. While no client tracks,
nothing here is a consumer of effects, and no command passes through here.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .effects import EffectBatch
from .registry import Command, Flag
from .resp.encoder import bulk, bulk_array, integer
from .session import Session

if TYPE_CHECKING:
    from .machine import Machine

FEATURE: Final = "tracking"
TRACKING: Final = "tracking"
BROADCAST: Final = "tracking-broadcast"
BROKEN: Final = "tracking-broken"

_CHANNEL: Final = b"__redis__:invalidate"
#: These only read as a whole; what they read is noted command by command.
_SCRIPTS: Final = frozenset({"eval_ro", "evalsha_ro", "fcall_ro"})
#: At most so many keys are forgotten after one command.
_EVICTIONS_MAX: Final = 100


class Tracker:
    """How one session wants to be told."""

    __slots__ = (
        "_tracking",
        "is_broadcast",
        "is_caching_named",
        "is_opt_in",
        "is_opt_out",
        "prefixes",
        "redirect_id",
        "skips_own",
    )

    def __init__(self, tracking: "Tracking") -> None:
        self._tracking = tracking
        #: The number of the session that hears it instead; 0: this one itself.
        self.redirect_id = 0
        self.is_broadcast = False
        self.is_opt_in = False
        self.is_opt_out = False
        #: NOLOOP: no word about what this session changes itself.
        self.skips_own = False
        self.prefixes: list[bytes] = []
        #: CLIENT CACHING was said: the next command is an exception.
        self.is_caching_named = False

    def on_disconnect(self, session: Session) -> None:
        """The client is gone, or has no copies any more."""
        self._tracking.forget(session, self)


class Tracking:
    """Everything about clients with copies, for one node."""

    wants_misses: Final = False

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: key -> the numbers of the sessions that read it; the key that was added first goes first.
        self.table: OrderedDict[bytes, dict[int, None]] = OrderedDict()
        self.item_count = 0
        #: prefix -> the broadcasting sessions that asked for it.
        self.prefixes: dict[bytes, dict[Session, None]] = {}
        self._sessions: dict[Session, None] = {}

    # --- clients -----------------------------------------------------------------------------

    def enable(
        self,
        session: Session,
        *,
        redirect_id: int = 0,
        is_broadcast: bool = False,
        is_opt_in: bool = False,
        is_opt_out: bool = False,
        skips_own: bool = False,
        prefixes: list[bytes] | None = None,
    ) -> None:
        """Track for a session, or change how it is told; prefixes add up."""
        tracker: Tracker | None = session.features.get(FEATURE)
        if tracker is None:
            tracker = session.features[FEATURE] = Tracker(self)
            self._sessions[session] = None
            if len(self._sessions) == 1:
                self._machine.gate.after_run = self.after_run
                self._machine.add_consumer(self)
        tracker.redirect_id = redirect_id
        tracker.is_broadcast = is_broadcast
        tracker.is_opt_in, tracker.is_opt_out = is_opt_in, is_opt_out
        tracker.skips_own = skips_own
        session.flags.add(TRACKING)
        session.flags -= {BROADCAST, BROKEN}
        if is_broadcast:
            session.flags.add(BROADCAST)
            for prefix in prefixes or [b""]:
                if prefix not in tracker.prefixes:
                    tracker.prefixes.append(prefix)
                self.prefixes.setdefault(prefix, {})[session] = None
        self._machine.regate(session)

    def disable(self, session: Session) -> None:
        """Track no more for a session."""
        tracker: Tracker | None = session.features.pop(FEATURE, None)
        if tracker is not None:
            self.forget(session, tracker)
            self._machine.regate(session)

    def forget(self, session: Session, tracker: Tracker) -> None:
        """A session is gone, or tracks no more."""
        for prefix in tracker.prefixes:
            listeners = self.prefixes[prefix]
            listeners.pop(session, None)
            if not listeners:
                del self.prefixes[prefix]
        tracker.prefixes.clear()
        session.flags -= {TRACKING, BROADCAST, BROKEN}
        self._sessions.pop(session, None)
        if not self._sessions and self._machine.gate.after_run is not None:
            self._machine.gate.after_run = None
            self._machine.remove_consumer(self)
            self._clear()

    def _clear(self) -> None:
        self.table.clear()
        self.item_count = 0

    # --- reads -------------------------------------------------------------------------------

    def after_run(self, session: Session, command: Command, args: list[bytes]) -> None:
        """The gate has run a command: note what it read, for whoever sent it."""
        tracker: Tracker | None = session.features.get(FEATURE)
        reader = session
        if tracker is None:
            # A script reads for the client that sent it.
            reader = self._machine.gate.running or session
            tracker = reader.features.get(FEATURE)
            if tracker is None:
                return
        if Flag.READONLY in command.flags and command.full_name not in _SCRIPTS:
            if tracker.is_opt_in:
                wanted = tracker.is_caching_named
            elif tracker.is_opt_out:
                wanted = not tracker.is_caching_named
            else:
                wanted = not tracker.is_broadcast
            if wanted and command.keys_of is not None:
                self._remember(reader.id, command.keys_of(args))
        if (
            tracker.is_caching_named
            and session.queue is None
            and not self._machine.keyspace.effects.depth
            and not command.full_name.startswith("client|")
        ):
            tracker.is_caching_named = False

    def _remember(self, session_id: int, keys: Sequence[bytes]) -> None:
        table = self.table
        for key in keys:
            readers = table.get(key)
            if readers is None:
                readers = table[key] = {}
            if session_id not in readers:
                readers[session_id] = None
                self.item_count += 1
        self.keep_limit()

    def keep_limit(self) -> None:
        """`tracking-table-max-keys`: the keys noted first are declared out of date."""
        limit = self._machine.config.tracking_table_max_keys
        if not limit:
            return
        for _ in range(_EVICTIONS_MAX):
            if len(self.table) <= limit:
                return
            self._invalidate(next(iter(self.table)), None)

    # --- changes -----------------------------------------------------------------------------

    def on_effects(self, batch: EffectBatch) -> None:
        """Tell whoever has copies of what changed."""
        running = self._machine.gate.running
        if self.table:
            for _, key in batch.touched:
                if key in self.table:
                    self._invalidate(key, running)
        if self.prefixes and batch.touched:
            self._broadcast(batch, running)
        if batch.flushed and not any(
            command.args[0].upper() == b"SWAPDB" for command in batch.commands
        ):
            self._clear()
            for session in list(self._sessions):
                # The null is that of the session itself, whoever hears it.
                self._send(session, session.encoder.null)

    def _invalidate(self, key: bytes, running: Session | None) -> None:
        readers = self.table.pop(key)
        self.item_count -= len(readers)
        sessions = self._machine.sessions
        keys = bulk_array([key])
        for number in readers:
            session = sessions.get(number)
            tracker = session.features.get(FEATURE) if session is not None else None
            if session is None or tracker is None or tracker.is_broadcast:
                continue
            if not (tracker.skips_own and session is running):
                self._send(session, keys)

    def _broadcast(self, batch: EffectBatch, running: Session | None) -> None:
        """One message for each prefix, with all keys in their order."""
        last_kind = {event.key: event.kind for event in batch.events if event.kind not in "mn"}
        touched = sorted({key for _, key in batch.touched})
        for prefix, listeners in sorted(self.prefixes.items(), key=_prefix_of):
            keys = [key for key in touched if key.startswith(prefix)]
            if not keys:
                continue
            message = bulk_array(keys)
            for session in list(listeners):
                if session is running and session.features[FEATURE].skips_own:
                    # What died of age or for want of memory is nobody's own doing.
                    others = [key for key in keys if last_kind.get(key) in ("x", "e")]
                    if others:
                        self._send(session, bulk_array(others))
                else:
                    self._send(session, message)

    def _send(self, session: Session, keys: bytes) -> None:
        """Tell a session, or whoever hears it instead, about keys (already encoded)."""
        tracker: Tracker = session.features[FEATURE]
        target = session
        if tracker.redirect_id:
            found = self._machine.sessions.get(tracker.redirect_id)
            if found is None:
                session.flags.add(BROKEN)
                if session.resp3:
                    session.push(
                        b">2\r\n" + bulk(b"tracking-redir-broken") + integer(tracker.redirect_id)
                    )
                return
            target = found
        if target.resp3:
            target.push(b">2\r\n$10\r\ninvalidate\r\n" + keys)
        elif target is not session and "subscribed" in target.flags:
            target.push(b"*3\r\n$7\r\nmessage\r\n" + bulk(_CHANNEL) + keys)


def _prefix_of(entry: tuple[bytes, dict[Session, None]]) -> bytes:
    return entry[0]
