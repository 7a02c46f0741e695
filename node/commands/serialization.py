"""DUMP and RESTORE: single values as text, to be kept elsewhere or given to another node."""

from typing import Final

from ...slots.keyspec import one_key
from ..database import Database
from ..errors import BUSY_KEY, SYNTAX, CommandError
from ..lazyfree import free_later
from ..persistence.rdb import (
    CorruptSnapshotError,
    PayloadSealError,
    decode_value_untrusted,
    encode_value,
)
from ..registry import command
from ..resp.encoder import OK, bulk
from ..session import Session
from ..values.hashvalue import HashValue
from ..values.numbers import INTEGER_MAXIMUM
from .arguments import required_integer

#: Raised anew each time: an error that is kept would keep the payload, through its traceback.
_BAD_SEAL: Final = b"ERR DUMP payload version or checksum are wrong"
_BAD_FORMAT: Final = b"ERR Bad data format"
_BAD_LIFETIME: Final = CommandError(b"ERR Invalid TTL value, must be >= 0")
_BAD_IDLE_TIME: Final = CommandError(b"ERR Invalid IDLETIME value, must be >= 0")
_BAD_FREQUENCY: Final = CommandError(b"ERR Invalid FREQ value, must be >= 0 and <= 255")
_HIGHEST_FREQUENCY: Final = 255

_RESTORE_KEYS: Final = (one_key(1, "OW", "UPDATE"),)
_RESTORE_ARGS: Final = (
    "key ttl:integer serialized-value [REPLACE] [ABSTTL] [IDLETIME seconds] "
    "[FREQ frequency:integer]"
)
_RESTORE_COMPLEXITY: Final = "O(N) in the size of the value"


@command(
    "DUMP",
    group="generic",
    since="2.6.0",
    arity=2,
    flags="readonly",
    keys=(one_key(1, "RO", "ACCESS"),),
    args="key",
    complexity="O(N) in the size of the value",
    tips=("nondeterministic_output",),
)
def dump(session: Session, args: list[bytes]) -> bytes:
    """Returns a value in a form that RESTORE makes the same value of."""
    value = session.db.get(args[1])
    if value is None:
        return session.encoder.null
    return bulk(encode_value(value, compress=session.machine.config.rdbcompression))


class _Options:
    """What stands behind the payload."""

    __slots__ = ("frequency", "has_absolute_lifetime", "idle_s", "replaces")

    def __init__(self, words: list[bytes]) -> None:
        self.replaces = False
        self.has_absolute_lifetime = False
        self.idle_s: int | None = None
        self.frequency: int | None = None
        place = 0
        while place < len(words):
            word = words[place].upper()
            following = words[place + 1] if place + 1 < len(words) else None
            place += 1
            if word == b"REPLACE":
                self.replaces = True
            elif word == b"ABSTTL":
                self.has_absolute_lifetime = True
            elif word == b"IDLETIME" and following is not None and self.frequency is None:
                place += 1
                self.idle_s = required_integer(following)
                if self.idle_s < 0:
                    raise _BAD_IDLE_TIME
            elif word == b"FREQ" and following is not None and self.idle_s is None:
                place += 1
                self.frequency = required_integer(following)
                if not 0 <= self.frequency <= _HIGHEST_FREQUENCY:
                    raise _BAD_FREQUENCY
            else:
                raise SYNTAX


@command(
    "RESTORE",
    group="generic",
    since="2.6.0",
    arity=-4,
    flags="write denyoom",
    keys=_RESTORE_KEYS,
    args=_RESTORE_ARGS,
    complexity=_RESTORE_COMPLEXITY,
    categories="dangerous",
)
def restore(session: Session, args: list[bytes]) -> bytes:
    """Creates a key with a value that DUMP returned."""
    machine = session.machine
    db = session.db
    key = args[1]
    options = _Options(args[4:])
    old = db.for_write(key)
    if old is not None and not options.replaces:
        raise BUSY_KEY
    lifetime_ms = required_integer(args[2])
    if lifetime_ms < 0:
        raise _BAD_LIFETIME
    value = _decoded(session, args[3])
    if old is not None:
        db.delete(key)
        free_later(machine, old)
    if lifetime_ms and not options.has_absolute_lifetime:
        lifetime_ms += db.clock.now_ms
    if _is_over(session, lifetime_ms):
        if old is not None:
            word = b"UNLINK" if machine.config.lazyfree_lazy_server_del else b"DEL"
            db.changed(key, "g", b"del")
            db.effects.propagate_instead(db.index, (word, key))
        return OK
    db.set(key, value)
    if lifetime_ms:
        db.expire_at(key, lifetime_ms)
        if db.effects.observed and not options.has_absolute_lifetime:
            absolute = (*args[:2], b"%d" % lifetime_ms, *args[3:], b"ABSTTL")
            db.effects.propagate_instead(db.index, absolute)
    if type(value) is HashValue and value.has_expiry:
        machine.field_expiry.note(db, key, value)
    _note_use(session, db, key, options)
    db.changed(key, "g", b"restore")
    return OK


def _is_over(session: Session, at_ms: int) -> bool:
    """Whether a key with such a lifetime is dead already.

    A replica leaves that to its primary, but no time beyond 64 bits is ever stored: in Redis it
    becomes a negative one, which is long ago.
    """
    if at_ms > INTEGER_MAXIMUM:
        return True
    db = session.db
    may_remove = not db.is_replica and not session.machine.gate.is_loading
    return may_remove and 0 < at_ms <= db.clock.now_ms


def _decoded(session: Session, payload: bytes) -> object:
    machine = session.machine
    try:
        return decode_value_untrusted(
            payload,
            machine.limits,
            check_checksum=not machine.debug_switches.skip_checksums,
        )
    except PayloadSealError:
        raise CommandError(_BAD_SEAL) from None
    except CorruptSnapshotError as failure:
        machine.log.verbose(f"RESTORE of a damaged payload: {failure}")
        raise CommandError(_BAD_FORMAT) from None


def _note_use(session: Session, db: Database, key: bytes, options: _Options) -> None:
    """Take over when or how often the key was used, as far as the policy asks for it."""
    access = db.access
    if access is None:
        return
    slot = db.slot_of(key)
    if session.machine.memory.policy.uses_lfu:
        if options.frequency is not None:
            access.set_frequency(slot, key, options.frequency)
    elif options.idle_s is not None:
        access.set_idle_ms(slot, key, options.idle_s * 1000)


@command(
    "RESTORE-ASKING",
    group="server",
    since="3.0.0",
    arity=-4,
    flags="write denyoom asking",
    keys=_RESTORE_KEYS,
    args=_RESTORE_ARGS,
    complexity=_RESTORE_COMPLEXITY,
    categories="keyspace dangerous",
)
def restore_asking(session: Session, args: list[bytes]) -> bytes:
    """Creates a key while its slot is on the way here; for servers that move slots."""
    return restore(session, args)
