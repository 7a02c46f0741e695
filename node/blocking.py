"""Clients that wait for a key: BLPOP, BZPOPMIN, XREAD BLOCK and their like.

A blocking command first tries. If there is nothing to take, it leaves a `Waiter` with the keys it
waits for and a function that tries again, and its session is parked. Every command that changes
one of those keys makes it *ready* (this object consumes the effects); when that command, with its
whole transaction or script, is over, the waiters of the ready keys try again in the order in which
they came, each at most once per round, until the key has nothing left to give. A try that succeeds
is a command of its own: it has effects, is propagated in its plain form, and may make further keys
ready. While the node is paused nobody is served; the keys stay ready until the pause is over.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from .effects import EffectBatch
from .errors import TIMEOUT_NEGATIVE, TIMEOUT_NOT_A_FLOAT, TIMEOUT_OUT_OF_RANGE, CommandError
from .session import Session, Wait
from .values.numbers import INTEGER_MAXIMUM, parse_long_double

if TYPE_CHECKING:
    from .machine import Machine

#: Tries again now that `key` is ready: the reply, or None if there is still nothing to take.
Attempt = Callable[[bytes], bytes | None]
Place = tuple[int, bytes]

_MILLISECONDS_PER_SECOND: Final = 1000
#: No number of this many digits, seconds as milliseconds, is out of range.
_SAFE_DIGITS: Final = 9
_MANTISSA_BITS: Final = 64
#: A binary exponent beyond this makes any mantissa too large, or too small to tell from zero.
_EXPONENT_BOUND: Final = 256


def parse_timeout_ms(text: bytes, now_ms: int) -> int:
    """How long a client wants to wait, told in seconds, maybe with a fraction; 0: for ever.

    Fractions of milliseconds are rounded up, so that the shortest time is no eternity. Redis
    computes in the `long double` of x86, where 0.001 times 1000 is 1 exactly; so does this.
    """
    if text.isdigit() and len(text) <= _SAFE_DIGITS:
        return int(text) * _MILLISECONDS_PER_SECOND
    seconds = parse_long_double(text)
    if seconds is None:
        raise TIMEOUT_NOT_A_FLOAT
    mantissa, exponent = seconds.mantissa, seconds.exponent
    if seconds.is_infinite or (mantissa and exponent > _EXPONENT_BOUND):
        raise TIMEOUT_NEGATIVE if mantissa < 0 else TIMEOUT_OUT_OF_RANGE
    product = abs(mantissa) * _MILLISECONDS_PER_SECOND
    excess = product.bit_length() - _MANTISSA_BITS
    if excess > 0:
        rounded, rest = divmod(product, 1 << excess)
        half = 1 << (excess - 1)
        rounded += rest > half or (rest == half and rounded & 1)
        product, exponent = rounded, exponent + excess
    if mantissa < 0:
        product = -product
    timeout_ms = product << exponent if exponent >= 0 else -(-product >> -exponent)
    if timeout_ms < 0:
        raise TIMEOUT_NEGATIVE
    if timeout_ms > INTEGER_MAXIMUM - now_ms:
        raise TIMEOUT_OUT_OF_RANGE
    return timeout_ms


class Waiter:
    """One session that waits for some keys."""

    __slots__ = ("attempt", "is_write", "places", "session", "wakes_when_gone")

    def __init__(
        self,
        session: Session,
        places: Sequence[Place],
        attempt: Attempt,
        is_write: bool,
        wakes_when_gone: bool,
    ) -> None:
        self.session = session
        self.places = places
        self.attempt = attempt
        #: The command takes something away, so it must not run on a replica or in a paused node.
        self.is_write = is_write
        #: Also try when the key was deleted or changed its type (XREADGROUP must tell its client).
        self.wakes_when_gone = wakes_when_gone


class BlockedClients:
    """All waiting sessions of one node, by key."""

    wants_misses: Final = False

    def __init__(self, machine: "Machine") -> None:
        self._machine = machine
        #: Dicts serve as ordered sets: waiters are served in the order of their arrival.
        self._waiters: dict[Place, dict[Waiter, None]] = {}
        self._ready: dict[Place, None] = {}
        self._is_serving = False
        #: How many waiters want to know when their key goes.
        self._watchful = 0

    def __len__(self) -> int:
        return len({waiter for waiters in self._waiters.values() for waiter in waiters})

    def waiters(self) -> list[Waiter]:
        """Everybody who waits, each once, in the order of arrival per key."""
        return list(dict.fromkeys(w for waiters in self._waiters.values() for w in waiters))

    def wait(
        self,
        session: Session,
        keys: Sequence[bytes],
        timeout_ms: int,
        attempt: Attempt,
        timeout_reply: bytes,
        *,
        is_write: bool = True,
        wakes_when_gone: bool = False,
    ) -> bytes:
        """Park a session until one of the keys is ready; `timeout_ms` 0 is for ever.

        Returns what the blocking command has to return. Where nothing may block (in a transaction
        or a script) that is the reply of a time-out, at once.
        """
        if not session.may_block:
            return timeout_reply
        machine = self._machine
        index = session.db.index
        places = list(dict.fromkeys((index, key) for key in keys))
        waiter = Waiter(session, places, attempt, is_write, wakes_when_gone)
        if not self._waiters:
            machine.add_consumer(self)
            machine.gate.after_command = self.serve_ready
            if self.serve_ready not in machine.on_tick:
                machine.on_tick.append(self.serve_ready)
        self._watchful += wakes_when_gone
        for place in places:
            self._waiters.setdefault(place, {})[waiter] = None
        deadline_ms = machine.clock.now_ms + timeout_ms if timeout_ms else None
        return machine.park(
            session,
            Wait("blocked", deadline_ms, lambda: timeout_reply, lambda: self._remove(waiter)),
        )

    def _remove(self, waiter: Waiter) -> None:
        self._watchful -= waiter.wakes_when_gone
        for place in waiter.places:
            waiters = self._waiters.get(place)
            if waiters is None:
                continue
            waiters.pop(waiter, None)
            if not waiters:
                del self._waiters[place]
        if not self._waiters:
            self._machine.remove_consumer(self)
            self._machine.gate.after_command = None
            self._ready.clear()

    # --- becoming ready
    # ----------------------------------------------------------------------------

    def on_effects(self, batch: EffectBatch) -> None:
        """Note which changed keys somebody waits for."""
        for place in batch.touched:
            if place in self._waiters:
                self._ready[place] = None
        if batch.flushed:
            for place in self._waiters:
                if -1 in batch.flushed or place[0] in batch.flushed:
                    self._ready[place] = None

    def serve_ready(self) -> None:
        """Let waiters try whose keys became ready: after each command, and on every tick."""
        if not self._ready or self._is_serving or self._machine.pause.mode() is not None:
            return
        if self._machine.transfers.locks or self._machine.slot_migration.guard:
            return  # The keys may be on their way to another node; the next tick looks again.
        self._is_serving = True
        try:
            while self._ready:
                place = next(iter(self._ready))
                del self._ready[place]
                self._serve(place)
        finally:
            self._is_serving = False

    def _serve(self, place: Place) -> None:
        index, key = place
        machine = self._machine
        database = machine.keyspace.database(index)
        for waiter in list(self._waiters.get(place, ())):
            session = waiter.session
            if session.wait is None or session.wait.reason != "blocked" or session.close_now:
                # Released meanwhile; or about to be, and what it took would be lost.
                continue
            if database.peek(key) is None:
                if not self._watchful:
                    return
                if not waiter.wakes_when_gone:
                    continue
            reply = self._try(waiter, index, key)
            if reply is not None:
                machine.unpark(session, reply)

    def _try(self, waiter: Waiter, index: int, key: bytes) -> bytes | None:
        """One try, as a command of its own; its effects are out before its client is let go.

        The last client that is let go takes the recording of effects with it.
        """
        effects = self._machine.keyspace.effects
        dirty_before = effects.dirty
        try:
            return waiter.attempt(key)
        except CommandError as failure:
            self._machine.gate.count_error(failure)
            return failure.encoded()
        finally:
            effects.finish_command(index, (), dirty_before)
            effects.deliver()
            waiter.session.written_offset = effects.stream_offset

    # --- ends from outside
    # -------------------------------------------------------------------------

    def release_all(self, reply: bytes, *, only_writes: bool = False) -> None:
        """The node changed its role, or the like: nobody (or no writer) may go on waiting."""
        for waiter in self.waiters():
            if waiter.is_write or not only_writes:
                self._machine.unpark(waiter.session, reply)
