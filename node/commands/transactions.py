"""MULTI, EXEC and the optimistic lock WATCH.

Between MULTI and EXEC the gate queues requests in `session.queue`. A transaction that held a
request which could not even be queued is refused as a whole; errors while it runs are replies
among others.
"""

from typing import Final

from ...slots.hashing import key_slot
from ...slots.keyspec import key_range
from ..effects import EffectBatch
from ..errors import EXEC_ABORT, CommandError
from ..registry import Command, command
from ..resp.encoder import OK, array
from ..session import Session

_CONTROL = "noscript loading stale fast allow_busy"
_FEATURE = "watch"
_ELSEWHERE: Final = (b"MOVED ", b"ASK ", b"TRYAGAIN ", b"CROSSSLOT ", b"CLUSTERDOWN ")


@command("MULTI", group="transactions", since="1.2.0", arity=1, flags=_CONTROL)
def multi(session: Session, args: list[bytes]) -> bytes:
    """Begins a transaction: what follows is queued until EXEC."""
    if session.queue is not None:
        raise CommandError(b"ERR MULTI calls can not be nested")
    session.queue = []
    session.queue_broken = False
    session.machine.regate(session)
    return OK


def discard_transaction(session: Session) -> None:
    """Forget queued requests and watched keys."""
    session.queue = None
    session.queue_broken = False
    unwatch_all(session)
    session.machine.regate(session)


def refused(
    session: Session, refusal: CommandError, command: Command | None = None
) -> CommandError:
    """A request that is never run breaks the transaction that it stands in; EXEC ends it."""
    if command is None or command.full_name != "exec":
        if session.queue is not None:
            session.queue_broken = True
        return refusal
    discard_transaction(session)
    # Who is sent elsewhere hears just that.
    if refusal.text.startswith(_ELSEWHERE):
        return refusal
    reason = refusal.text.removeprefix(b"ERR ")
    return CommandError(b"EXECABORT Transaction discarded because of: " + reason)


@command(
    "DISCARD",
    group="transactions",
    since="2.0.0",
    arity=1,
    flags=_CONTROL,
    complexity="O(N) in the number of queued commands",
)
def discard(session: Session, args: list[bytes]) -> bytes:
    """Gives up the transaction."""
    if session.queue is None:
        raise CommandError(b"ERR DISCARD without MULTI")
    discard_transaction(session)
    return OK


@command(
    "EXEC",
    group="transactions",
    since="1.2.0",
    arity=1,
    flags="noscript loading stale skip_slowlog",
    complexity="That of the queued commands",
)
def exec_(session: Session, args: list[bytes]) -> bytes:
    """Runs the queued commands as one, unless a watched key has changed."""
    queue = session.queue
    if queue is None:
        raise CommandError(b"ERR EXEC without MULTI")
    broken = session.queue_broken
    is_stale = _is_stale(session)
    discard_transaction(session)
    if broken:
        raise EXEC_ABORT
    if is_stale:
        return session.encoder.null_array
    effects = session.machine.keyspace.effects
    session.may_block = False
    effects.depth += 1
    try:
        return array(_run(session, queue))
    finally:
        effects.depth -= 1
        session.may_block = True
        # The queued commands speak for themselves; EXEC is added by whoever writes them down.
        effects.propagate_instead(session.db.index)


def _run(session: Session, queue: list[tuple[Command, list[bytes]]]) -> list[bytes]:
    """Run what was queued; returns the replies.

    While nobody looks on, quick commands are timed by the run, as the request loop does it.
    """
    machine = session.machine
    gate, effects, timer = machine.gate, machine.keyspace.effects, machine.timer
    replies: list[bytes] = []
    previous: Command | None = None
    run = started = 0
    for queued, request in queue:
        if queued is not previous:
            if run and previous is not None:
                previous.statistics.count_run(timer() - started, run)
            # Any command may have changed what decides whether that is so.
            is_plain = (
                gate.plain.get(request[0]) is queued and not session.gated and not effects.observed
            )
            previous, run, started = (queued if is_plain else None), 0, timer()
        try:
            if previous is not None:
                run += 1
                replies.append(queued.function(session, request))
            else:
                if gate.authorize is not None:
                    machine.accounts.authorize_queued(session, queued, request)
                replies.append(gate.call(session, queued, request))
        except CommandError as failure:
            queued.statistics.failed += previous is not None
            gate.count_error(failure)
            replies.append(failure.encoded())
    if run and previous is not None:
        previous.statistics.count_run(timer() - started, run)
    return replies


# --- WATCH ---------------------------------------------------------------------------------------


class WatchedKeys:
    """Who watches which key of one node; learns of changes as a consumer of effects."""

    wants_misses: Final = False

    def __init__(self) -> None:
        self.watchers: dict[tuple[int, bytes], set[Session]] = {}

    def on_slots_left(self, slots: set[int]) -> None:
        """Spoil the transactions of everybody who watched what others may change from now on."""
        for (_, key), sessions in self.watchers.items():
            if key_slot(key) in slots:
                for session in sessions:
                    _watch_of(session).is_spoilt = True

    def on_effects(self, batch: EffectBatch) -> None:
        """Spoil the transactions of everybody who watched what changed."""
        for place in batch.touched:
            for session in self.watchers.get(place, ()):
                _watch_of(session).is_spoilt = True
        for database in batch.flushed:
            for place, sessions in self.watchers.items():
                if database in (-1, place[0]):
                    for session in sessions:
                        _watch_of(session).on_flush(session, place)


def _watch_of(session: Session) -> "Watch":
    watch: Watch = session.features[_FEATURE]
    return watch


class Watch:
    """The watched keys of one session, and whether each lived when the watch began."""

    __slots__ = ("is_spoilt", "places", "table")

    def __init__(self, table: WatchedKeys) -> None:
        self.table = table
        self.places: dict[tuple[int, bytes], bool] = {}
        self.is_spoilt = False

    def on_flush(self, session: Session, place: tuple[int, bytes]) -> None:
        """A whole database went or became another; a key missing before and after is the same."""
        index, key = place
        lives = session.machine.keyspace.database(index).peek(key) is not None
        if lives or self.places[place]:
            self.is_spoilt = True

    def on_disconnect(self, session: Session) -> None:
        """The client is gone, or wants to watch no more."""
        for place in self.places:
            watchers = self.table.watchers[place]
            watchers.discard(session)
            if not watchers:
                del self.table.watchers[place]
        self.places.clear()
        if not self.table.watchers:
            effects = session.machine.keyspace.effects
            if self.table in effects.consumers:
                session.machine.remove_consumer(self.table)


@command(
    "WATCH",
    group="transactions",
    since="2.2.0",
    arity=-2,
    flags=_CONTROL,
    keys=(key_range(1, "RO"),),
    args="key...",
    complexity="O(1) per key",
)
def watch(session: Session, args: list[bytes]) -> bytes:
    """Lets the next EXEC fail if one of the keys changes before it."""
    if session.queue is not None:
        raise CommandError(b"ERR WATCH inside MULTI is not allowed")
    machine = session.machine
    own: Watch | None = session.features.get(_FEATURE)
    if own is None:
        own = session.features[_FEATURE] = Watch(machine.watched_keys)
        machine.regate(session)
    database = session.db
    lives = [database.look(key) is not None for key in args[1:]]
    # A key that was found dead goes before it is watched: that is no change.
    machine.keyspace.effects.deliver()
    for key, is_alive in zip(args[1:], lives, strict=True):
        place = (database.index, key)
        if place in own.places:
            continue
        if not own.table.watchers:
            machine.add_consumer(own.table)
        own.places[place] = is_alive
        own.table.watchers.setdefault(place, set()).add(session)
    return OK


@command("UNWATCH", group="transactions", since="2.2.0", arity=1, flags=_CONTROL)
def unwatch(session: Session, args: list[bytes]) -> bytes:
    """Forgets all watched keys."""
    unwatch_all(session)
    return OK


def unwatch_all(session: Session) -> None:
    """Forget all watched keys of a session."""
    own: Watch | None = session.features.pop(_FEATURE, None)
    if own is not None:
        own.on_disconnect(session)
        session.machine.regate(session)


def _is_stale(session: Session) -> bool:
    """Whether a watched key was changed, or died of old age without anybody having removed it."""
    own: Watch | None = session.features.get(_FEATURE)
    if own is None:
        return False
    if own.is_spoilt:
        return True
    keyspace = session.machine.keyspace
    return any(
        lived and keyspace.database(index).peek(key) is None
        for (index, key), lived in own.places.items()
    )
